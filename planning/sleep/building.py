"""Parts of a sleep problem from a network, a demand on tiles and the radio model."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from plannerbase.counting import counted
from planning.coverage import Coverage
from planning.coverage.levels import Levels
from planning.coverage.pixels import PixelGrid
from planning.demand import Demand, quantile_profile
from planning.energy import CellGroups
from planning.errors import InputError
from planning.network import Network
from planning.network.cells import is_assumed
from planning.sleep.cover import Cover, cover_of
from planning.sleep.offload import ClassShares, OffloadGraph, offload_graph
from planning.sleep.operation import Operation
from planning.sleep.settings import LABELS, SleepSettings
from planning.sleep.states import MAX_STATES

DAY_TYPES = "weekday/weekend"
QUANTILE = 0.95  # of each sector's own demand


class Made(NamedTuple):
    """What a problem is made of; see `SleepProblem`."""

    groups: CellGroups
    graph: OffloadGraph
    shares: ClassShares
    cover: Cover
    demand: np.ndarray
    week: np.ndarray | None
    notes: tuple[str, ...]


class Ground(NamedTuple):
    """What of a problem does not depend on the quantile of traffic that is planned for; see `SleepProblem`.

    pixel_class: (pixels,) class of each, -1 for none. limited: groups that stay awake, of sectors with too many states.
    """

    groups: CellGroups
    graph: OffloadGraph
    shares: ClassShares
    cover: Cover
    pixel_class: np.ndarray
    limited: int


def ground_of(
    network: Network,
    demand: Demand,
    operation: Operation,
    coverage: Coverage,
    max_neighbours: int,
    load: float | None = None,
) -> Ground:
    """Groups, classes and coverage rows: arguments as those of `SleepProblem.build`."""
    mean = demand.mean_mbps()
    reach, spare_db = reach_of(coverage)
    capacity = radio_capacity(coverage, mean, SleepSettings().max_load if load is None else load)
    groups = operation.groups(network, capacity)
    graph, shares, pixel_class = offload_graph(
        reach,
        coverage.levels.best_server(),
        covered_grid(coverage),
        network.sector_of_cell,
        mean,
        max_neighbours=max_neighbours,
    )
    cover, groups = cover_of(reach, spare_db, coverage.grid, groups, mean, operation.max_hole_share)
    groups, limited = groups.with_few_states(MAX_STATES)
    return Ground(groups, graph, shares, cover, pixel_class, limited)


def ground_and_traffic(
    demand: Demand,
    hours: int | str | None,
    quantile: float,
    first_day: int,
    coverage: Coverage,
    max_neighbours: int,
    ground: Ground,
) -> Made:
    """The ground with the planned demand: arguments as those of `SleepProblem.build`."""
    groups, graph, shares, cover, pixel_class, limited = ground
    week = None
    if hours == DAY_TYPES:
        week = week_of_day_types(demand, first_day)
        kinds = [planned_demand(graph, shares, _days(demand, week, kind), 24, quantile) for kind in range(2)]
        planned = np.concatenate(kinds, axis=1)
    else:
        planned = planned_demand(graph, shares, demand, None if hours is None else int(hours), quantile)
    notes = _notes(demand, coverage, cover, pixel_class, planned.shape[1], quantile, max_neighbours, limited)
    return Made(groups, graph, shares, cover, planned, week, notes)


def reach_of(coverage: Coverage) -> tuple[Levels, np.ndarray]:
    """Entries of the cells that give a pixel the service that it has with everything on, indoors where any cell reaches
    indoors, else outdoors; and (entries,) dB beyond what that needs."""
    levels, cells = coverage.levels, coverage.cells
    outdoors = levels.rsrp_dbm - cells.threshold_dbm[levels.cell].astype(np.float32)
    indoors = levels.rsrp_dbm - cells.indoor_threshold_dbm[levels.cell].astype(np.float32)
    inside = np.zeros(levels.pixels, bool)
    inside[levels.pixel[indoors >= 0]] = True
    spare = np.where(inside[levels.pixel], indoors, outdoors)
    kept = spare >= 0
    return levels.subset(kept), spare[kept]


def covered_grid(coverage: Coverage) -> PixelGrid:
    """The pixels with the part of their tile's traffic that is covered with everything on, of users outdoors and
    indoors: what no cell covers is no traffic of the plan, as nobody serves it."""
    return replace(coverage.grid, weight=coverage.grid.weight * coverage.covered_users())


def radio_capacity(coverage: Coverage, tile_mbps: np.ndarray, load: float) -> np.ndarray:
    """(cells,) Mbit/s at full load: the network's where a file states it, else the radio model's."""
    cells = coverage.network.cells
    computed = coverage.capacity_mbps(np.full(len(cells), load), tile_values=tile_mbps)
    return np.where(is_assumed(cells, "capacity_mbps"), computed, cells["capacity_mbps"].to_numpy(float))


def planned_demand(
    graph: OffloadGraph, shares: ClassShares, demand: Demand, hours: int | None, quantile: float
) -> np.ndarray:
    """(classes, hours) Mbit/s: the quantile of each sector's own traffic, on its classes by their mean parts of it."""
    # classes and sectors without any ground have no traffic
    classes = np.flatnonzero(np.diff(shares.share.indptr))
    share = shares.share[classes]
    sectors, of_class = np.unique(graph.class_sector[classes], return_inverse=True)
    by_sector = graph.by_sector[sectors][:, classes]
    own = np.empty((len(sectors), demand.samples, demand.hours))
    total = np.zeros((len(classes), demand.hours))
    for sample in range(demand.samples):
        laid = share @ demand.mbps[:, sample].astype(float)
        own[:, sample] = by_sector @ laid
        total += laid
    profile = quantile_profile(own, hours, quantile)
    length = profile.shape[1]
    mean = total.reshape(len(classes), -1, length).sum(axis=1) if length < demand.hours else total
    of_sector = by_sector @ mean
    out = np.zeros((graph.classes, length))
    out[classes] = mean / np.maximum(of_sector, 1e-300)[of_class] * profile[of_class]
    return out


def week_of_day_types(demand: Demand, first_day: int) -> np.ndarray:
    """(168,) hour of a plan of 48 hours, a weekday and a weekend day, for each hour of a week. Raises InputError."""
    if demand.hours % 168:
        raise InputError(
            f"Plans for weekdays and weekends need traffic of whole weeks, not of {demand.hours} hours."
        )
    if not 0 <= first_day <= 6:
        raise InputError(f"The first day must be 0 (Monday) to 6 (Sunday), not {first_day}.")
    hour = np.arange(168)
    weekend = (hour // 24 + first_day) % 7 >= 5
    return hour % 24 + 24 * weekend


def _days(demand: Demand, week: np.ndarray, kind: int) -> Demand:
    """The weekdays (0) or weekend days (1) of a demand of weeks, one after the other."""
    chosen = np.tile(week // 24 == kind, demand.hours // 168)
    return replace(demand, mbps=demand.mbps[:, :, chosen], users=demand.users[:, :, chosen])


def samples_needed(quantile: float) -> int:
    """Values that a quantile needs to differ from the largest."""
    return 1 if quantile >= 1 else math.ceil(1 / (1 - quantile) - 1e-9)


def _notes(
    demand: Demand,
    coverage: Coverage,
    cover: Cover,
    pixel_class: np.ndarray,
    hours: int,
    quantile: float,
    max_neighbours: int,
    limited: int,
) -> tuple[str, ...]:
    days = demand.hours // 24 if hours == 24 and demand.hours > 24 else 1
    if hours == 48 and demand.hours > 48:
        days = 2 * (demand.hours // 168)  # of the weekend, of which there are fewer
    values = demand.samples * days
    over = "samples and days" if days > 1 else "samples"
    notes = [
        f"Planned for P{100 * quantile:g} of each sector's own traffic over {over}, {hours} hours.",
        "Traffic goes to the sector of the strongest cell and moves freely between its carriers; where its cells are "
        f"full, up to {max_neighbours} other sectors carry it where all of their cells reach it.",
        "Capacity is PRBs x spectral efficiency of the traffic served, with interference of cells at the load limit, "
        "unless a file states it.",
        "Ground that has service with everything on keeps it, indoors where it reaches indoors"
        + (f", but for at most {cover.max_hole_share:.2%} in an hour." if cover.max_hole_share else "."),
        demand.scale.sentence,
    ]
    if added := demand.metadata.get("rate_floor_added_share"):
        notes.append(
            f"{LABELS['rate_floor'].label} {demand.metadata['rate_floor_mbps']:g} Mbit/s raises the demand by "
            f"{added:.1%}."
        )
    if values < samples_needed(quantile):
        notes.insert(
            0,
            f"Warning: {values} {over} cannot give P{100 * quantile:g}; it is close to their largest value. Generate "
            f"at least {math.ceil(samples_needed(quantile) / days)} samples or plan for P{100 * (1 - 1 / values):.0f}.",
        )
    bare = float(coverage.grid.weight[pixel_class < 0].sum() / max(coverage.grid.weight.sum(), 1e-300))
    if bare > 0:
        notes.append(
            f"{bare:.2%} of the ground of the tiles is in reach of no cell; its traffic is left out."
        )
    if limited:
        notes.append(
            f"{counted(limited, 'groups of cells of sectors with many carriers stay awake')}: those that save least."
        )
    return tuple(notes)
