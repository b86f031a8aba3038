"""Tuning: a correction of the path loss of each band from measured levels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from plannerbase.counting import counted
from plannerbase.numbers import numbers_of
from planning.coverage.cells import RadioCells
from planning.coverage.computing import LevelWork
from planning.coverage.pixels import PixelGrid
from planning.coverage.settings import BandTuning, RadioSettings
from planning.coverage.terrain import Terrain
from planning.errors import InputError
from planning.network import Network

MAX_MEASUREMENTS = 1_000_000
MIN_POINTS = 10  # of a band for its offset
MIN_POINTS_SLOPE = 30  # and for a slope as well
MIN_RANGE = 2.0  # of distances, largest over smallest (10th to 90th percentile), for a slope
HELD_OUT = 5  # every fifth square of BLOCK_M is held out
BLOCK_M = 250.0  # neighbours share their shadowing, so whole squares are held out
MAX_SLOPE_DB = 30.0
COLUMNS = "lon, lat, cell, dbm"


@dataclass(frozen=True)
class BandFit:
    """Of one band: measurements used and held out, the correction, and the errors in dB before and after on those held
    out (on those used where too few are held out)."""

    band: str
    points: int
    held_out: int
    tuning: BandTuning
    bias_before_db: float
    rmse_before_db: float
    bias_after_db: float
    rmse_after_db: float
    note: str

    @property
    def sentence(self) -> str:
        """For the user."""
        slope = f" and {self.tuning.slope_db:+.1f} dB a decade of distance" if self.tuning.slope_db else ""
        judged = f"{self.held_out} held-out measurements" if self.held_out else "the measurements used"
        return (
            f"{self.band}: path loss {self.tuning.offset_db:+.1f} dB at 1 km{slope} from {self.points} measurements; "
            f"error (RMSE) on {judged} {self.rmse_before_db:.1f} dB before and {self.rmse_after_db:.1f} dB after."
            + (f" {self.note}" if self.note else "")
        )


@dataclass(frozen=True)
class Tuning:
    """fits: a band each. left_out: rows that were not used, with why, in sentences."""

    fits: tuple[BandFit, ...]
    left_out: tuple[str, ...]

    def settings(self, settings: RadioSettings) -> RadioSettings:
        """The settings with the corrections found; bands without measurements keep theirs."""
        return replace(settings, tuning=settings.tuning | {f.band: f.tuning for f in self.fits})

    @property
    def sentences(self) -> list[str]:
        return [f.sentence for f in self.fits] + list(self.left_out)

    def table(self) -> pd.DataFrame:
        """A row a band."""
        return pd.DataFrame(
            [
                {
                    "band": f.band, "measurements": f.points, "held_out": f.held_out, "offset_db": f.tuning.offset_db,
                    "slope_db_per_decade": f.tuning.slope_db, "bias_before_db": f.bias_before_db,
                    "rmse_before_db": f.rmse_before_db, "bias_after_db": f.bias_after_db,
                    "rmse_after_db": f.rmse_after_db,
                }
                for f in self.fits
            ]
        )  # fmt: skip


def tuned(
    network: Network,
    measured: pd.DataFrame,
    settings: RadioSettings | None = None,
    terrain: Terrain | None = None,
) -> Tuning:
    """Offset and slope of each band, by least squares on measured minus computed levels.

    The correction is of the path loss: offset_db + slope_db x log10(distance / 1 km). A fifth of the squares of 250 m
    is held out to say the error.

    Parameters
    ----------
    measured : columns lon, lat (degrees), cell (name), dbm (RSRP per resource element, outdoors).
    settings : of the model that is tuned; a tuning that it has is left out.

    Raises
    ------
    InputError
        For a table without these columns, or in which no band has enough measurements.
    """
    settings = replace(settings or RadioSettings(), tuning={})
    points, left_out = _usable(network, measured, settings)
    cells = RadioCells.of(network, settings)
    grid = _grid_of(points, settings)
    surroundings = None if terrain is None else terrain.prepared(grid, cells, settings)
    work = LevelWork(cells, grid, settings, surroundings)
    cell = points["cell"].to_numpy(int)
    level = np.empty(len(points))
    for number in np.unique(cell):
        mine = np.flatnonzero(cell == number)
        level[mine] = work.rsrp_dbm(mine, np.array([number]))[0]
    site = cells.site[cell]
    ground = np.hypot(grid.east_m - work.east[site], grid.north_m - work.north[site])
    decades = np.log10(np.hypot(np.maximum(ground, 10.0), cells.height_m[cell]) / 1000)
    excess = level - points["dbm"].to_numpy(float)  # of path loss: measured less computed
    reached = np.isfinite(excess)
    if not reached.all():
        left_out.append(
            f"{counted(int((~reached).sum()), 'measurements lie')} beyond the reach of their cell."
        )
    held = _held_out(grid)
    fits = []
    for band in sorted(set(cells.band[cell[reached]].astype(str))):
        mine = reached & (cells.band[cell].astype(str) == band)
        if mine.sum() < MIN_POINTS:
            left_out.append(
                f"{band}: {int(mine.sum())} measurements are too few; at least {MIN_POINTS} are needed."
            )
            continue
        fits.append(_fit(band, excess[mine], decades[mine], held[mine]))
    if not fits:
        raise InputError(
            f"No band can be tuned: {' '.join(left_out) or 'the table holds no measurement.'} Measure at least "
            f"{MIN_POINTS} places of a band."
        )
    return Tuning(tuple(fits), tuple(left_out))


def _usable(
    network: Network, measured: pd.DataFrame, settings: RadioSettings
) -> tuple[pd.DataFrame, list[str]]:
    """Rows with a place, a level and a known cell, whose `cell` is its row in the network; why others are left out."""
    lacking = [c for c in COLUMNS.split(", ") if c not in measured]
    if lacking:
        raise InputError(f"Measured levels need the columns {COLUMNS}; {', '.join(lacking)} is missing.")
    if len(measured) > MAX_MEASUREMENTS:
        raise InputError(
            f"{len(measured):,} measurements are more than {MAX_MEASUREMENTS:,}; give a sample of them."
        )
    row = pd.Series(np.arange(len(network.cells)), index=network.cells["cell"].astype(str))
    cell = measured["cell"].astype(str).str.strip().map(row)
    frame = pd.DataFrame({c: numbers_of(measured[c]) for c in ("lon", "lat", "dbm")})
    frame["cell"] = cell.to_numpy(float)
    left_out = []
    unknown = frame["cell"].isna()
    if unknown.any():
        first = str(measured["cell"].iloc[int(unknown.to_numpy().argmax())])[:60]
        left_out.append(
            f"{counted(int(unknown.sum()), 'measurements name')} no cell of the network (first: {first})."
        )
    place = (frame["lon"].abs() <= 180) & (frame["lat"].abs() <= 85)
    level = (frame["dbm"] >= -160) & (frame["dbm"] <= -20)
    for wrong, why in ((~place, "have no place in degrees"), (~level, "have no level of -160 to -20 dBm")):
        count = int((wrong & ~unknown).sum())
        if count:
            left_out.append(f"{counted(count, 'measurements')} {why}.")
    kept = frame[place & level & ~unknown].reset_index(drop=True)
    if not len(kept):
        raise InputError(f"No measurement can be used: {' '.join(left_out) or 'the table is empty.'}")
    return kept, left_out


def _grid_of(points: pd.DataFrame, settings: RadioSettings) -> PixelGrid:
    """The places as "pixels", in a local projection."""
    lon, lat = points["lon"].to_numpy(float), points["lat"].to_numpy(float)
    pad = 0.002
    box = PixelGrid.of_box(
        (max(-180.0, lon.min() - pad), min(180.0, lon.max() + pad)),
        (max(-85.0, lat.min() - pad), min(85.0, lat.max() + pad)),
        settings.pixel_m,
    )
    east, north = box.metres(lon, lat)
    count = len(lon)
    return replace(
        box, lon=lon, lat=lat, east_m=east, north_m=north, row=np.zeros(count, np.int32),
        column=np.zeros(count, np.int32), tile=np.full(count, -1, np.int32), weight=np.zeros(count),
    )  # fmt: skip


def _held_out(grid: PixelGrid) -> np.ndarray:
    """(places,) bool, by squares of BLOCK_M in a fixed pattern."""
    i, j = np.floor(grid.east_m / BLOCK_M).astype(int), np.floor(grid.north_m / BLOCK_M).astype(int)
    return (i + 2 * j) % HELD_OUT == 0


def _fit(band: str, excess: np.ndarray, decades: np.ndarray, held: np.ndarray) -> BandFit:
    """excess: measured path loss less the computed one, dB; decades: log10 of the distance in km."""
    used, note = ~held, ""
    if used.sum() < MIN_POINTS or held.sum() < 2:
        used, held = np.ones(len(excess), bool), np.zeros(len(excess), bool)
        note = "The measurements lie too close together to hold some out."
    low, high = np.quantile(decades[used], (0.1, 0.9))
    slope = 0.0
    if used.sum() >= MIN_POINTS_SLOPE and high - low >= np.log10(MIN_RANGE):
        slope, offset = np.polyfit(decades[used], excess[used], 1)
        if abs(slope) > MAX_SLOPE_DB:
            slope, note = 0.0, f"A slope beyond {MAX_SLOPE_DB:g} dB a decade makes no sense and was left out."
    else:
        note = (
            f"{note} The slope stays as it is: that takes {MIN_POINTS_SLOPE} measurements at distances that "
            f"differ by a factor of {MIN_RANGE:g}."
        ).strip()
    if slope == 0.0:
        offset = excess[used].mean()
    judged = held if held.any() else used
    before = excess[judged]
    after = before - offset - slope * decades[judged]
    return BandFit(
        band, int(used.sum()), int(held.sum()), BandTuning(float(offset), float(slope)), float(before.mean()),
        _rms(before), float(after.mean()), _rms(after), note,
    )  # fmt: skip


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))
