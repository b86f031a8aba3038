"""Power of radio units and of their energy-saving states from measured stations: eq. 13 by type of radio unit.

    energy of a station-hour = sum over cells [ idle + slope * load - sum_m saving_m * share_m ]

with small terms for antennas and transmit power, by bounded least squares (slope and savings at least 0, no saving
above the idle energy), with the share of the hour in each energy-saving mode. Units of energy do not matter: what a
mode still draws is given as a share of idle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import lsq_linear

from planning.errors import InputError

MODES = tuple(f"ESMode{i}" for i in range(1, 7))
MIN_HOURS = 100  # station-hours of a type; fewer are left out
MIN_MODE_HOURS = 50  # station-hours with a mode in use
ALIKE = 0.95  # correlation of two modes above which they are taken as one
FOLDS = 5  # by station
RIDGE = 0.1  # weight that keeps terms of antennas and transmit power small


@dataclass(frozen=True)
class TypeFit:
    """A type of radio unit. left: mode(s) -> share of idle energy that is still drawn. r2: of held-out stations."""

    name: str
    stations: int
    hours: int
    antennas: float
    idle: float
    slope: float
    left: dict[str, float]
    r2: float
    residual: float  # standard deviation on held-out stations, share of the mean energy


@dataclass(frozen=True)
class StateFit:
    """types: largest first. r2: of all held-out station-hours together. hours: station-hours used."""

    types: tuple[TypeFit, ...]
    r2: float
    hours: int

    def table(self) -> pd.DataFrame:
        """One row a type."""
        rows = [
            {
                "type": t.name, "stations": t.stations, "station-hours": t.hours, "antennas": t.antennas,
                "idle": t.idle, "slope (idle to full load)": t.slope, "held-out R2": t.r2,
                "residual (share of mean)": t.residual,
                "still drawn (share of idle)": ", ".join(f"{k} {v:.2f}" for k, v in t.left.items()),
            }
            for t in self.types
        ]  # fmt: skip
        return pd.DataFrame(rows)


def fit_states(cells: pd.DataFrame, stations: pd.DataFrame, energy: pd.DataFrame, seed: int = 0) -> StateFit:
    """Fit measured stations.

    Parameters
    ----------
    cells : Time, BS, CellName, load (0..1) and MODES (share of the hour in each energy-saving mode).
    stations : BS, CellName, RUType, Antennas, TXpower.
    energy : Time, BS, Energy.

    Raises InputError where columns are missing or nothing can be fitted.
    """
    for table, columns in (
        (cells, ("Time", "BS", "CellName", "load", *MODES)),
        (stations, ("BS", "CellName", "RUType", "Antennas", "TXpower")),
        (energy, ("Time", "BS", "Energy")),
    ):
        if lacking := [c for c in columns if c not in table]:
            raise InputError(f"The measured stations lack the column {lacking[0]}.")
    joined = cells.merge(stations, on=["BS", "CellName"]).assign(cells=1.0)
    sums = ["cells", "load", "Antennas", "TXpower", *MODES]
    hours = (
        joined.groupby(["Time", "BS"]).agg({**dict.fromkeys(sums, "sum"), "RUType": "first"}).reset_index()
    )
    hours = hours.merge(energy, on=["Time", "BS"])
    rng = np.random.default_rng(seed)
    fits, predicted, measured = [], [], []
    for name, mine in hours.groupby("RUType"):
        names = mine["BS"].astype(str).to_numpy()
        known = np.unique(names)
        if len(mine) < MIN_HOURS or len(known) < FOLDS:
            continue
        modes = _modes(mine)
        fold = dict(zip(rng.permutation(known), np.arange(len(known)) % FOLDS, strict=True))
        of_row = np.array([fold[n] for n in names])
        target = mine["Energy"].to_numpy(float)
        guess = np.empty(len(mine))
        typical = mine[["Antennas", "TXpower"]].mean().to_numpy() / mine["cells"].mean()
        for k in range(FOLDS):
            learnt = _solve(mine[of_row != k], modes, typical)
            guess[of_row == k] = _design(mine[of_row == k], modes, typical) @ learnt
        whole = _solve(mine, modes, typical)
        idle = float(whole[0])
        left = {label: float(np.clip(1 + whole[4 + i] / idle, 0, 1)) for i, label in enumerate(modes)}
        fits.append(
            TypeFit(
                str(name), len(known), len(mine), float(typical[0]), idle, float(whole[3]), left,
                _r2(target, guess), float((target - guess).std() / target.mean()),
            )
        )  # fmt: skip
        predicted.append(guess)
        measured.append(target)
    if not fits:
        raise InputError(f"No type of radio unit has {MIN_HOURS} station-hours of {FOLDS} stations.")
    total = np.concatenate(measured)
    fits.sort(key=lambda fit: -fit.hours)
    return StateFit(tuple(fits), _r2(total, np.concatenate(predicted)), len(total))


def _modes(hours: pd.DataFrame) -> dict[str, list[str]]:
    """Modes in use, those that always go together as one: label -> columns."""
    used = [m for m in MODES if (hours[m] > 0.02).sum() >= MIN_MODE_HOURS]
    out: dict[str, list[str]] = {}
    for mode in used:
        for label, columns in list(out.items()):
            if np.corrcoef(hours[mode], hours[columns[0]])[0, 1] > ALIKE:
                del out[label]
                out[f"{label}+{mode.removeprefix('ESMode')}"] = [*columns, mode]
                break
        else:
            out[f"mode {mode.removeprefix('ESMode')}"] = [mode]
    return out


def _design(hours: pd.DataFrame, modes: dict[str, list[str]], typical: np.ndarray) -> np.ndarray:
    """Columns: cells, what the cells have beyond the typical antennas and power, load, modes."""
    cells = hours["cells"].to_numpy(float)
    beyond = [
        hours[c].to_numpy(float) - t * cells for c, t in zip(("Antennas", "TXpower"), typical, strict=True)
    ]
    columns = [cells, *beyond, hours["load"].to_numpy(float)]
    columns += [hours[c].mean(axis=1).to_numpy(float) for c in modes.values()]
    return np.stack(columns, axis=1)


def _solve(hours: pd.DataFrame, modes: dict[str, list[str]], typical: np.ndarray) -> np.ndarray:
    """Coefficients of `_design`; no mode saves more than idle energy. The second and third are held near 0, as few
    stations differ in them."""
    design, target = _design(hours, modes, typical), hours["Energy"].to_numpy(float)
    held = np.zeros((2, design.shape[1]))
    held[[0, 1], [1, 2]] = np.sqrt(RIDGE * len(design)) * np.maximum(design[:, 1:3].std(axis=0), 1e-3)
    design, target = np.concatenate([design, held]), np.r_[target, 0.0, 0.0]
    low = np.r_[-np.inf, -np.inf, -np.inf, 0.0, np.full(len(modes), -np.inf)]
    high = np.r_[np.full(4, np.inf), np.zeros(len(modes))]
    found = lsq_linear(design, target, (low, high)).x
    for _ in range(3):
        low[4:] = -max(float(found[0]), 1e-9)
        found = lsq_linear(design, target, (low, high)).x
    return found


def _r2(measured: np.ndarray, guess: np.ndarray) -> float:
    return float(1 - ((measured - guess) ** 2).sum() / ((measured - measured.mean()) ** 2).sum())
