"""Planning on an operator's counters: demand, capacity and power of the cells that were measured.

Demand stays on tiles, as every planner takes it. The traffic inside tiles is laid on pixels so that each measured
sector (cells of a site that point the same way) carries its mean, and the hours of tiles are scaled until it carries
what its counters say in every hour, as far as tiles can; other sectors carry what was generated. The scaling is that of
Richardson and Lucy (Lucy 1974, Astronomical Journal 79, 745), which keeps traffic at least 0. Samples take the real
weeks in turn, so that a plan is made for how weeks differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from plannerbase.counters import Counters, read_counters
from plannerbase.counting import counted
from plannerbase.counting import counted as number_of
from plannerbase.report import Report
from plannerbase.served_area import CellPlaces
from plannerbase.text import Refused
from planning.coverage import Coverage
from planning.demand import Demand
from planning.errors import InputError
from planning.network import Network
from planning.network.cells import stated
from planning.power_fit import fit_power

ITERATIONS = 100
MIN_MBPS = 1e-9  # a tile of no traffic can get some
MIN_PRB_SHARE = 0.05  # hours of less use tell little of the capacity
MIN_PRB_HOURS = 24
MIN_POWER_HOURS = 48
WEEK = 168


@dataclass(frozen=True)
class Counted:
    """Counters of cells of a network. rows: (measured,) row of each measured cell among the network's cells."""

    counters: Counters
    rows: np.ndarray
    report: Report = field(default_factory=Report)


def read_counted(
    source: bytes | Path, name: str, network: Network, mapping: dict[str, str] | None = None, timezone: str = "",
    unit: str = "",
) -> Counted:  # fmt: skip
    """The counters of a file that belong to cells of the network; see `plannerbase.counters.read_counters`.

    Raises InputError, where no cell of the file is in the network as well.
    """
    try:
        counters = read_counters(source, name, mapping, timezone, unit)
    except OSError as error:
        raise InputError(
            f"{name} cannot be read ({error.strerror or error}); name a file with counters."
        ) from None
    except Refused as error:
        raise InputError(f"{name} {error}.") from None
    return counted_of(counters, network, name)


def counted_of(counters: Counters, network: Network, name: str) -> Counted:
    """The counters that belong to cells of the network. Raises InputError."""
    report = Report([*counters.report.entries])
    if counters.kind != "cell":
        raise InputError(
            f"{name} measures {counters.kind}s; plans take counters by cell, with the cells' names."
        )
    places = cell_places(network)
    rows, column = places.rows_of(counters.names)
    known = np.flatnonzero(rows >= 0)
    if not len(known):
        raise InputError(
            f"No cell of {name} ({counted(len(rows), 'cells')}, first: {', '.join(counters.names[:3])}) is in the "
            f"network (first: {', '.join(places.name[:3])}); map the column with the cells' names with "
            "--map cell=COLUMN."
        )
    report.taken(
        f"of {len(network.cells):,} cells of the network have counters, found by {column}", len(known)
    )
    if len(known) < len(rows):
        lost = [counters.names[i] for i in np.flatnonzero(rows < 0)[:3]]
        report.left_out("cells of the counters are not in the network", len(rows) - len(known), lost)
    return Counted(counters.take(known), rows[known], report)


def cell_places(network: Network) -> CellPlaces:
    """Where the cells of a network are, with all columns by which they may be named."""
    cells, site = network.cells, network.site_of_cell
    azimuth = np.where(
        cells["beamwidth_deg"].to_numpy(float) >= 360, np.nan, cells["azimuth"].to_numpy(float)
    )
    texts = {
        str(c): tuple(cells[c].astype(str))
        for c in cells
        if cells[c].dtype == object and c not in ("cell", "assumed")
    }
    return CellPlaces(
        tuple(cells["cell"].astype(str)), network.sites["lon"].to_numpy(float)[site],
        network.sites["lat"].to_numpy(float)[site], azimuth, texts,
    )  # fmt: skip


def counted_demand(
    demand: Demand, counted: Counted, coverage: Coverage, first_week: int = 0
) -> tuple[Demand, Coverage]:
    """The demand in which every measured sector carries what its counters say, and other sectors what was generated;
    and the coverage in which the traffic lies inside the tiles where it was measured.

    Parameters
    ----------
    demand : of tiles, in Mbit/s.
    coverage : of the network on the demand's tiles; it says which sector serves which part of a tile.

    first_week : of the measured ones that the first sample takes; others follow in turn.

    A sector counts as measured where any cell of it was; its carriers that were not measured are taken to carry as much
    as the mean of the others. Raises InputError where the counters have no traffic in Mbit/s.
    """
    weeks = _sector_weeks(counted, coverage.network, demand.hours)
    coverage, mean = _laid(weeks, demand, coverage)
    shares = coverage.sector_shares()
    laid_on = csr_array((shares.share, (shares.server, shares.tile)), (shares.servers, demand.tiles))
    covered = np.asarray(laid_on.sum(axis=0)).reshape(-1)
    scaled, users = demand.mbps.astype(float), demand.users.astype(float)
    known = np.isfinite(weeks).all(axis=(1, 2)) & (laid_on @ mean > MIN_MBPS)
    worst = total = 0.0
    for sample in range(demand.samples):
        before = np.maximum(scaled[:, sample], MIN_MBPS)
        # of the mean that was measured, in the course of the generated week
        laid = before * (mean / np.maximum(before.mean(axis=1), MIN_MBPS))[:, None]
        target = np.where(known[:, None], weeks[:, (first_week + sample) % weeks.shape[1]], laid_on @ laid)
        for _ in range(ITERATIONS):
            ratio = target / np.maximum(laid_on @ laid, MIN_MBPS)
            laid = laid * (laid_on.T @ ratio + (1 - covered).clip(0)[:, None])
        worst += float(np.abs(laid_on @ laid - target)[known].sum())
        total += float(target[known].sum())
        scaled[:, sample] = laid
        users[:, sample] *= laid / before
    told = {
        "counted_cells": len(counted.rows), "counted_sectors": int(known.sum()), "sectors": len(known),
        "counted_error": worst / total if total else 0.0,
    }  # fmt: skip
    metadata = demand.metadata | {"counters": told}
    made = replace(demand, mbps=scaled.astype(np.float32), users=users.astype(np.float32), metadata=metadata)
    return made, coverage


def counters_sentence(demand: Demand) -> str:
    """How much of a demand that `counted_demand` made was measured."""
    told = demand.metadata["counters"]
    return (
        f"{told['counted_sectors']:,} of {told['sectors']:,} sectors carry what {told['counted_cells']:,} measured "
        f"cells carried (to {told['counted_error']:.1%}), the others what was generated."
    )


def _laid(weeks: np.ndarray, demand: Demand, coverage: Coverage) -> tuple[Coverage, np.ndarray]:
    """The coverage whose pixels carry what their sector was measured to carry on the mean, and (tiles,) Mbit/s of the
    tiles; weeks: (sectors, weeks, hours), NaN where not measured."""
    grid, tiles = coverage.grid, demand.tiles
    server, covered = coverage.best_server(), coverage.covered()
    inside = grid.tile >= 0
    sector = np.where(covered & (server >= 0) & inside, coverage.network.sector_of_cell[server], -1)
    carried = np.where(inside, grid.weight * demand.mean_mbps()[grid.tile], 0.0)
    on = sector >= 0
    total = np.bincount(sector[on], carried[on], len(weeks))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = weeks.mean(axis=(1, 2)) / total
    ratio = np.where(np.isfinite(ratio), ratio, 1.0)
    carried[on] *= ratio[sector[on]]
    mean = np.bincount(grid.tile[inside], carried[inside], tiles)
    return coverage.with_weights(carried), mean


def _sector_weeks(counted: Counted, network: Network, hours: int) -> np.ndarray:
    """(sectors, weeks, hours) Mbit/s of the measured sectors in real weeks without gaps, NaN for others."""
    counters = counted.counters
    if "traffic" not in counters.values or counters.unit != "Mbit/s":
        raise InputError(
            "The counters have no traffic in Mbit/s or bytes; name its unit with --unit, or its column with "
            "--map traffic=COLUMN."
        )
    if hours not in (24, WEEK):
        raise InputError(f"Counters make a day or a week; the traffic has {hours} hours.")
    typical, _ = counters.typical("traffic")
    if typical.shape[1] == 1:
        raise InputError("The counters have no hours, only days; give hourly ones.")
    if typical.shape[1] != WEEK:
        typical = np.tile(typical, (1, WEEK // typical.shape[1]))
    weeks = counters.weeks("traffic")
    whole = np.isfinite(weeks).any(axis=0).mean(axis=1) > 0.9
    weeks = weeks[:, whole] if whole.any() else typical[:, None]
    weeks = np.where(np.isfinite(weeks), weeks, typical[:, None])  # gaps from the typical week
    if hours == 24:
        weeks = weeks.reshape(len(weeks), -1, 24)
    sector = network.sector_of_cell
    sectors = int(sector.max()) + 1
    good = np.isfinite(weeks).all(axis=(1, 2))
    total = np.zeros((sectors, *weeks.shape[1:]))
    np.add.at(total, sector[counted.rows[good]], weeks[good])
    measured = np.bincount(sector[counted.rows[good]], minlength=sectors)
    cells = np.bincount(sector, minlength=sectors)
    scale = np.where(measured > 0, cells / np.maximum(measured, 1), np.nan)
    return total * scale[:, None, None]


def counted_network(network: Network, counted: Counted) -> tuple[Network, tuple[str, ...]]:
    """The network with capacities from the measured relation of traffic and PRB use, and power of radio units (eq. 13)
    from energy counters by type; and sentences on what was found.

    The capacity of a cell is the traffic of full PRB use, by least squares through the origin over hours with more than
    MIN_PRB_SHARE of it in use. Idle power and slope are fitted for each equipment of the network (or type of radio unit
    that the counters name); the sleep power keeps its share of idle.
    """
    values, cells, notes = counted.counters.values, network.cells.copy(), []
    if "prb" in values and "traffic" in values and counted.counters.unit == "Mbit/s":
        capacity = prb_capacity(values["traffic"], values["prb"])
        found = np.isfinite(capacity)
        if found.any():
            at = counted.rows[found]
            cells.iloc[at, cells.columns.get_loc("capacity_mbps")] = capacity[found]
            cells.iloc[at] = stated(cells.iloc[at], "capacity_mbps")
            low, middle, high = np.quantile(capacity[found], (0.1, 0.5, 0.9))
            notes.append(
                f"Capacity of {number_of(int(found.sum()), 'cells')} from their traffic and PRB use: "
                f"{middle:,.0f} Mbit/s "
                f"(P10 {low:,.0f}, P90 {high:,.0f})."
            )
    if "energy" in values and "traffic" in values and counted.counters.unit == "Mbit/s":
        types = np.array(
            [r or e for r, e in zip(
                counted.counters.radio_units, cells["equipment"].astype(str).to_numpy()[counted.rows], strict=True)]
        )  # fmt: skip
        for name in np.unique(types):
            mine = types == name
            load, power = values["traffic"][mine].ravel(), values["energy"][mine].ravel()
            good = np.isfinite(load) & np.isfinite(power)
            if good.sum() < MIN_POWER_HOURS or np.ptp(load[good]) == 0:
                continue
            fit = fit_power(pd.DataFrame({"load_mbps": load[good], "power_w": power[good]}))
            if fit.doubts:
                notes.append(f"Power of {name} was not taken: {fit.doubts[0]}")
                continue
            at = counted.rows[mine]
            share = cells["sleep_w"].to_numpy(float)[at] / np.maximum(
                cells["idle_w"].to_numpy(float)[at], 1e-9
            )
            for column, value in (
                ("idle_w", np.full(len(at), fit.idle_w)),
                ("slope_w_per_mbps", np.full(len(at), fit.slope_w_per_mbps)),
                ("sleep_w", fit.idle_w * np.clip(share, 0, 1)),
            ):
                cells.iloc[at, cells.columns.get_loc(column)] = value
                cells.iloc[at] = stated(cells.iloc[at], column)
            notes.append(f"Power of {number_of(len(at), 'cells')} with {name}: {fit.sentence}")
    made = Network(network.sites, cells)
    made.validate()
    return made, tuple(notes)


def prb_capacity(traffic: np.ndarray, prb: np.ndarray) -> np.ndarray:
    """(cells,) Mbit/s at full PRB use from traffic and PRB use 0..1, (cells, hours), NaN where they tell too little."""
    good = np.isfinite(traffic) & np.isfinite(prb) & (prb > MIN_PRB_SHARE)
    use = np.where(good, prb, 0.0).astype(float)
    carried = np.where(good, traffic, 0.0).astype(float)
    enough = good.sum(axis=1) >= MIN_PRB_HOURS
    with np.errstate(invalid="ignore", divide="ignore"):
        capacity = (use * carried).sum(axis=1) / np.square(use).sum(axis=1)
    return np.where(enough & (capacity > 0), capacity, np.nan)
