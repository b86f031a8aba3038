"""What a sleep plan is made for: cells by sector and carrier, who may carry whose traffic, demand and coverage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from plannerbase.progress import Progress
from planning.coverage import Coverage, RadioSettings
from planning.coverage.pixels import PixelGrid
from planning.demand import Demand
from planning.energy import CellGroups
from planning.errors import InputError, Shortfall
from planning.network import Network
from planning.sleep.building import QUANTILE, Ground, ground_and_traffic, ground_of
from planning.sleep.cover import Cover
from planning.sleep.dispatch import Dispatch, Part, Tiers, served_above
from planning.sleep.offload import MAX_NEIGHBOURS, ClassShares, OffloadGraph
from planning.sleep.operation import Operation
from planning.sleep.settings import SleepSettings

UNSERVED_MBPS = 1e-6  # less is rounding
_HOURS_AT_ONCE = 24  # of long traffic at least
_MAX_AT_ONCE = 200_000  # groups x hours beyond that: more would not fit the processor's cache


@dataclass(frozen=True)
class SleepProblem:
    """Cells, traffic and coverage of a sleep plan.

    Attributes
    ----------
    demand : (classes, hours) float
        Mbit/s at the planning quantile; hours repeat cyclically unless `before` is given.
    may_sleep : (groups, hours) bool or None
        Hours in which parts may sleep; None: all.
    requires : (pairs, 2) int
        Groups of which the first is awake only while the second is (as many parts of it at least).
    before, after : (parts,) bool or None
        State before the first hour and after the last; None: the plan is cyclic.
    shares : how tiles fall on classes, to lay other traffic on them; None for a problem made from classes.
    grid : pixels of `cover.pixel_row`; None without a radio model.
    x, y : (tiles,) that `shares` is for.
    week : (168,) hour of the plan for each hour of a week, where the plan is of a weekday and a weekend day.
    """

    network: Network
    groups: CellGroups
    graph: OffloadGraph
    demand: np.ndarray
    cover: Cover
    may_sleep: np.ndarray | None = None
    requires: np.ndarray | None = None
    before: np.ndarray | None = None
    after: np.ndarray | None = None
    shares: ClassShares | None = None
    quantile: float | None = None
    notes: tuple[str, ...] = ()
    grid: PixelGrid | None = None
    operation: Operation = field(default_factory=Operation)
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    week: np.ndarray | None = None
    _parts: dict[bytes, tuple[Part, CellGroups, np.ndarray]] = field(
        init=False, default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def build(
        cls,
        network: Network,
        demand: Demand,
        *,
        hours: int | str | None = 24,
        quantile: float = QUANTILE,
        first_day: int = 0,
        operation: Operation | None = None,
        coverage: Coverage | None = None,
        radio: RadioSettings | None = None,
        max_neighbours: int = MAX_NEIGHBOURS,
        load: float | None = None,
        progress: Progress | None = None,
        ground: Ground | None = None,
    ) -> SleepProblem:
        """Plan for a quantile of each sector's own traffic: a typical day (24 hours) or the table's hours (168).

        Parameters
        ----------
        hours : 24, or those of the table, or DAY_TYPES: a plan for weekdays and one for weekends, of a table of weeks.
        quantile : of the sum of a sector's traffic over samples (and days, for 24 hours of a longer table).
        first_day : day of the week of the table's first hour, 0 for Monday; for DAY_TYPES alone.
        operation : which cells may sleep when.
        coverage : of this network on the demand's tiles; None computes it with `radio`.
        max_neighbours : other sectors that may carry a sector's traffic.
        load : of the interfering cells, for the capacity; None takes the default load limit, which no awake cell
            exceeds.
        ground : what `ground_of` makes of the same network, traffic, coverage and rules, for problems that differ in
            their quantile alone.

        Raises
        ------
        InputError
            For an impossible quantile, number of hours or rule of operation.
        """
        operation = operation or Operation()
        operation.validate(network)
        if coverage is None:
            coverage = Coverage.of(network, demand.x, demand.y, radio, progress=progress)
        ground = ground or ground_of(network, demand, operation, coverage, max_neighbours, load)
        made = ground_and_traffic(demand, hours, quantile, first_day, coverage, max_neighbours, ground)
        problem = cls.of_classes(network, made.demand, made.graph, made.cover, operation, made.groups)
        return replace(
            problem, shares=made.shares, quantile=quantile, notes=made.notes, week=made.week, grid=coverage.grid,
            x=demand.x, y=demand.y,
        )  # fmt: skip

    @classmethod
    def of_classes(
        cls,
        network: Network,
        demand: np.ndarray,
        graph: OffloadGraph | None = None,
        cover: Cover | None = None,
        operation: Operation | None = None,
        groups: CellGroups | None = None,
    ) -> SleepProblem:
        """A problem from demand (classes, hours) that is already at hand; one class a sector without a graph."""
        operation = operation or Operation()
        operation.validate(network)
        groups = groups or operation.groups(network)
        graph = graph or OffloadGraph.alone(groups.sectors)
        demand = np.asarray(demand, float)
        if demand.ndim != 2 or len(demand) != graph.classes or graph.sectors != groups.sectors:
            raise InputError(
                f"The demand must be ({graph.classes} classes of {groups.sectors} sectors, hours), not {demand.shape}."
            )
        if not (np.isfinite(demand) & (demand >= 0)).all():
            raise InputError("The demand must be finite and at least 0.")
        ends = np.ones(groups.number_of_parts, bool) if operation.boundary == "awake" else None
        return cls(
            network, groups, graph, demand, cover or Cover.none(len(groups.site)),
            operation.may_sleep(groups, demand.shape[1]), operation.requires(network, groups), ends, ends,
            operation=operation,
        )  # fmt: skip

    def __repr__(self) -> str:
        groups = self.groups
        return (
            f"SleepProblem({len(self.network.sites):,} sites, {groups.cells:,} cells, {groups.sectors:,} sectors, "
            f"{self.hours} hours, {float(self.demand.sum()):,.0f} Mbit/s-hours)"
        )

    @property
    def hours(self) -> int:
        """Of the plan."""
        return self.demand.shape[1]

    @property
    def cyclic(self) -> bool:
        return self.before is None

    @property
    def sector_names(self) -> list[str]:
        """In the order of the sectors' numbers."""
        return self.network.sectors["sector"].astype(str).tolist()

    @property
    def pairs(self) -> np.ndarray:
        """`requires`, never None."""
        return np.zeros((0, 2), int) if self.requires is None else self.requires

    def least(self) -> np.ndarray:
        """(groups, hours) parts that must be awake."""
        lowest = np.repeat(self.groups.lowest[:, None], self.hours, axis=1)
        return (
            lowest if self.may_sleep is None else np.where(self.may_sleep, lowest, self.groups.count[:, None])
        )

    def all_awake(self, hours: int | None = None) -> np.ndarray:
        """(groups, hours) counts with every part awake."""
        return np.repeat(self.groups.count[:, None], hours or self.hours, axis=1)

    def wake_wh(self, settings: SleepSettings) -> np.ndarray:
        """(groups,) Wh of waking a part: its own, and idling from the wake-up until it carries traffic."""
        groups = self.groups
        early = settings.wake_delay_min / 60 * np.maximum(groups.full_saving_w, 0.0)
        return np.where(groups.boost_of >= 0, 0.0, settings.switch_wh + early)

    def serve(
        self,
        settings: SleepSettings,
        counts: np.ndarray,
        demand: np.ndarray | None = None,
        beyond: bool = False,
    ) -> Dispatch:
        """Who carries what with awake counts (groups, hours); beyond: what does not fit under the load limit may use
        the capacity above it. Counts of one hour hold for all."""
        demand = self.demand if demand is None else demand
        busy = np.asarray(demand.any(axis=1))
        hours = demand.shape[1]
        if 2 * busy.sum() > len(busy):
            return Room.of(settings, self.groups, counts, hours).served(self.graph, demand, beyond)
        part, groups, rows = self.part_of(busy)
        room = Room.of(settings, groups, counts[rows], hours, part)
        return part.whole(room.served(part.graph, demand[part.classes], beyond), self.graph)

    def part_of(self, busy: np.ndarray) -> tuple[Part, CellGroups, np.ndarray]:
        """The part of classes with traffic (classes,) bool, its groups, and their numbers; the last one is kept."""
        key = np.packbits(busy).tobytes()
        made = self._parts.get(key)  # threads may ask at once: each step holds by itself
        if made is None:
            part = Part.of(busy, self.graph)
            made = (part, *self.groups.only(part.sectors))
            self._parts.clear()
            self._parts[key] = made
        return made

    def served_by_day(
        self,
        settings: SleepSettings,
        counts: np.ndarray,
        demand: np.ndarray,
        known: dict[tuple[int, int], Room] | None = None,
    ) -> Iterator[tuple[slice, np.ndarray, Dispatch]]:
        """`serve` with all capacity, of `part_of` the classes with traffic alone, some hours at a time.

        Yields the hours, the counts (groups of the part, hours or 1) and who carries what in them. Counts of fewer
        hours than the demand are repeated. known: keeps what they can carry in the last of such hours, for the next.
        """
        part, groups, rows = self.part_of(np.asarray(demand.any(axis=1)))
        known = {} if known is None else known
        days = max(_MAX_AT_ONCE // (_HOURS_AT_ONCE * max(len(rows), 1)), 1)
        for begin in range(0, demand.shape[1], days * _HOURS_AT_ONCE):
            hours = slice(begin, min(begin + days * _HOURS_AT_ONCE, demand.shape[1]))
            of_plan = np.arange(hours.start, hours.stop) % counts.shape[1]
            key = (hours.stop - hours.start, int(of_plan[0]))
            room = known.get(key)
            if room is None or room.part is not part:
                mine = counts[rows] if counts.shape[1] == 1 else counts[np.ix_(rows, of_plan)]
                room = Room.of(settings, groups, mine, len(of_plan), part)
                known.clear()
                known[key] = room
            yield hours, room.counts, room.served(part.graph, demand[part.classes, hours], True)

    def by_sector(self, values: np.ndarray) -> np.ndarray:
        """(classes, hours) -> (sectors, hours)."""
        return self.graph.by_sector @ values

    def shortfalls(self, unserved: np.ndarray) -> list[Shortfall]:
        """Named sector-hours of a (classes, hours) array of missing Mbit/s."""
        by_sector = self.by_sector(unserved)
        names = self.sector_names
        sector, hour = np.nonzero(by_sector > UNSERVED_MBPS)
        missing = by_sector[sector, hour].tolist()
        return [
            Shortfall(names[s], h, lack)
            for s, h, lack in zip(sector.tolist(), hour.tolist(), missing, strict=True)
        ]

    def of_week(self) -> SleepProblem:
        """The whole week of a plan of day types."""
        if self.week is None:
            return self
        return replace(
            self, demand=self.demand[:, self.week], week=None,
            may_sleep=None if self.may_sleep is None else self.may_sleep[:, self.week],
        )  # fmt: skip

    def laid(self, demand: Demand, sample: int) -> np.ndarray:
        """(classes, hours) Mbit/s of a sample of a demand on the same tiles. Raises InputError for other tiles."""
        if self.shares is None or self.x is None or self.y is None:
            raise InputError(
                "This plan was made for traffic of sectors; replay it on such traffic, not on tiles."
            )
        rows = tile_rows(self.x, self.y, demand.x, demand.y)
        laid = np.zeros((len(self.x), demand.hours))
        known = rows >= 0
        if not known.any():
            raise InputError("The traffic has no tile in common with that which the plan was made for.")
        laid[rows[known]] = demand.mbps[known, sample]
        return self.shares.apply(laid)


@dataclass(frozen=True)
class Room:
    """What awake counts (groups, hours or 1) of a problem, or of a part of it, can carry.

    most, usual : (sectors, hours) Mbit/s at full load and up to the load limit.
    tiers : the latter of the carriers with the fewest watts, of these and the next ones, and so on, without all.
    """

    counts: np.ndarray
    most: np.ndarray
    usual: np.ndarray
    tiers: Tiers
    part: Part | None

    @classmethod
    def of(
        cls,
        settings: SleepSettings,
        groups: CellGroups,
        counts: np.ndarray,
        hours: int,
        part: Part | None = None,
    ) -> Room:
        """Counts (groups, 1) are those of every hour."""

        def by_hour(values: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(np.broadcast_to(values, (groups.sectors, hours)))

        def tiers() -> list[np.ndarray]:
            return [settings.max_load * by_hour(tier) for tier in groups.tiers(counts)[:-1]]

        most = by_hour(groups.capacity_of(counts))
        return cls(counts, most, settings.max_load * most, Tiers(tiers), part)

    def served(self, graph: OffloadGraph, demand: np.ndarray, beyond: bool) -> Dispatch:
        """As `SleepProblem.serve`."""
        return served_above(demand, self.usual, self.most if beyond else self.usual, graph, self.tiers)


def tile_rows(x: np.ndarray, y: np.ndarray, other_x: np.ndarray, other_y: np.ndarray) -> np.ndarray:
    """(others,) row of each other tile among tiles, -1 where it is none of them."""
    key, other = (
        np.asarray(a, np.int64) << 32 | np.asarray(b, np.int64) for a, b in ((x, y), (other_x, other_y))
    )
    order = np.argsort(key, kind="stable")
    place = np.minimum(np.searchsorted(key[order], other), len(order) - 1)
    return np.where(key[order][place] == other, order[place], -1)
