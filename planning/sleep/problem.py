"""What a sleep plan is made for: cells by sector and carrier, who may carry whose traffic, demand and coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import shapely

from planning.coverage.pixels import PixelGrid
from planning.energy import CellGroups
from planning.errors import InputError, Shortfall
from planning.network import Network
from planning.sleep.cover import Cover
from planning.sleep.dispatch import Dispatch, served_above
from planning.sleep.offload import ClassShares, OffloadGraph
from planning.sleep.settings import SleepSettings

if TYPE_CHECKING:
    from planning.demand import Demand

UNSERVED_MBPS = 1e-6  # less is rounding
BOUNDARIES = ("cyclic", "awake")


@dataclass(frozen=True)
class Operation:
    """Rules of operation that say which cells may sleep when.

    Attributes
    ----------
    whole_site : coverage cells may sleep too, and a site with every cell asleep turns its BBU off.
    muting : RF channels of cells may be muted.
    never : (cells,) bool, cells that are always fully on; None: none.
    window : (first hour, last hour) of the day in which cells may sleep, the last excluded; None: all.
    band_order : bands in the order in which they go to sleep in a sector; a cell is awake only while those of the later
        bands are.
    max_hole_share : share of the covered ground that may lose coverage in an hour, 0..1.
    boundary : "cyclic", or "awake": every cell is on before the first hour and after the last.
    """

    whole_site: bool = False
    muting: bool = False
    never: np.ndarray | None = None
    window: tuple[int, int] | None = None
    band_order: tuple[str, ...] = ()
    max_hole_share: float = 0.0
    boundary: str = "cyclic"

    def validate(self, network: Network) -> None:
        """Raises InputError."""
        if self.boundary not in BOUNDARIES:
            raise InputError(f"Unknown boundary {self.boundary!r}; choose one of {', '.join(BOUNDARIES)}.")
        if not 0 <= self.max_hole_share <= 1:
            raise InputError(
                f"The share of ground that may lose coverage must be 0 to 1, not {self.max_hole_share:g}."
            )
        if self.window is not None and not all(0 <= h <= 24 for h in self.window):
            raise InputError(f"The hours in which cells may sleep must be 0 to 24, not {self.window}.")
        if self.never is not None and np.shape(self.never) != (len(network.cells),):
            raise InputError("The list of cells that never sleep must have one value a cell.")
        known = set(network.cells["band"].astype(str)) if "band" in network.cells else set()
        for band in self.band_order:
            if band not in known:
                raise InputError(f"No cell has the band {band!r}; the network has {', '.join(sorted(known))}.")
        if len(set(self.band_order)) < len(self.band_order):
            raise InputError("The order of the bands names a band twice.")

    def groups(self, network: Network, capacity_mbps: np.ndarray | None = None) -> CellGroups:
        """The cells of a network under these rules."""
        apart = np.arange(len(network.cells)) if self.band_order else None
        return CellGroups.of(
            network, whole_site=self.whole_site, muting=self.muting, never=self.never, capacity_mbps=capacity_mbps,
            apart=apart,
        )  # fmt: skip

    def requires(self, network: Network, groups: CellGroups) -> np.ndarray:
        """(pairs, 2) groups of which the first is awake only while the second is."""
        boosts = np.flatnonzero(groups.boost_of >= 0)
        pairs = [np.stack([boosts, groups.boost_of[boosts]], axis=1)]
        if self.band_order:
            rank = {band: i for i, band in enumerate(self.band_order)}
            first = np.array([rows[0] for rows in groups.parts])[groups.boost_of < 0]
            of_group = pd.Series(network.cells["band"].astype(str).to_numpy()[first]).map(rank).to_numpy(float)
            for sector in range(groups.sectors):
                mine = np.flatnonzero((groups.sector == sector) & (groups.boost_of < 0))
                ranks = of_group[mine]
                levels = np.unique(ranks[np.isfinite(ranks)])
                for now, later in zip(levels[:-1], levels[1:], strict=True):
                    a, b = np.meshgrid(mine[ranks == now], mine[ranks == later])
                    pairs.append(np.stack([a.ravel(), b.ravel()], axis=1))
        return np.concatenate(pairs).astype(int)

    def may_sleep(self, groups: CellGroups, hours: int) -> np.ndarray | None:
        """(groups, hours) bool; None where any hour will do."""
        if self.window is None:
            return None
        first, last = self.window
        hour = np.arange(hours) % 24
        inside = (hour >= first) & (hour < last) if first < last else (hour >= first) | (hour < last)
        return np.broadcast_to(inside, (len(groups.site), hours))


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
    operation: Operation = Operation()
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    week: np.ndarray | None = None

    @classmethod
    def build(cls, network: Network, demand: Demand, **more: Any) -> SleepProblem:
        """The problem of a network and a demand on tiles: see `planning.sleep.building.build_problem`."""
        from planning.sleep.building import build_problem

        return build_problem(network, demand, **more)

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
        return lowest if self.may_sleep is None else np.where(self.may_sleep, lowest, self.groups.count[:, None])

    def all_awake(self, hours: int | None = None) -> np.ndarray:
        """(groups, hours) counts with every part awake."""
        return np.repeat(self.groups.count[:, None], hours or self.hours, axis=1)

    def wake_wh(self, settings: SleepSettings) -> np.ndarray:
        """(groups,) Wh of waking a part: its own, and idling from the wake-up until it carries traffic."""
        groups = self.groups
        early = settings.wake_delay_min / 60 * np.maximum(groups.full_saving_w, 0.0)
        return np.where(groups.boost_of >= 0, 0.0, settings.switch_wh + early)

    def serve(
        self, settings: SleepSettings, counts: np.ndarray, demand: np.ndarray | None = None, beyond: bool = False
    ) -> Dispatch:
        """Who carries what with awake counts (groups, hours); beyond: what does not fit under the load limit may use
        the capacity above it."""
        demand = self.demand if demand is None else demand
        most = self.groups.capacity_of(counts)
        usual = settings.max_load * most
        tiers = [settings.max_load * tier for tier in self.groups.tiers(counts)[:-1]]
        return served_above(demand, usual, most if beyond else usual, self.graph, tiers)

    def by_sector(self, values: np.ndarray) -> np.ndarray:
        """(classes, hours) -> (sectors, hours)."""
        return self.graph.by_sector @ values

    def shortfalls(self, unserved: np.ndarray) -> list[Shortfall]:
        """Named sector-hours of a (classes, hours) array of missing Mbit/s."""
        by_sector = self.by_sector(unserved)
        names = self.sector_names
        return [
            Shortfall(names[s], int(h), float(by_sector[s, h])) for s, h in np.argwhere(by_sector > UNSERVED_MBPS)
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
            raise InputError("This plan was made for traffic of sectors; replay it on such traffic, not on tiles.")
        rows = tile_rows(self.x, self.y, demand.x, demand.y)
        laid = np.zeros((len(self.x), demand.hours))
        known = rows >= 0
        if not known.any():
            raise InputError("The traffic has no tile in common with that which the plan was made for.")
        laid[rows[known]] = demand.mbps[known, sample]
        return self.shares.apply(laid)


def never_sleeping(network: Network, names: Sequence[str]) -> np.ndarray:
    """(cells,) bool: the cells of these names and of these sites. Raises InputError for a name that is neither."""
    cells = network.cells["cell"].astype(str)
    sites = network.cells["site"].astype(str)
    known = set(cells) | set(sites)
    for name in names:
        if name not in known:
            raise InputError(f"The list of those that never sleep names {name!r}, which is no cell and no site.")
    return (cells.isin(names) | sites.isin(names)).to_numpy(bool)


def never_in(network: Network, areas: Sequence[Any]) -> np.ndarray:
    """(cells,) bool: the cells of sites in these areas (shapely geometries in degrees)."""
    points = shapely.points(network.sites["lon"].to_numpy(float), network.sites["lat"].to_numpy(float))
    inside = np.zeros(len(points), bool)
    for area in areas:
        inside |= shapely.covers(area, points)
    return inside[network.site_of_cell]


def tile_rows(x: np.ndarray, y: np.ndarray, other_x: np.ndarray, other_y: np.ndarray) -> np.ndarray:
    """(others,) row of each other tile among tiles, -1 where it is none of them."""
    key, other = (np.asarray(a, np.int64) << 32 | np.asarray(b, np.int64) for a, b in ((x, y), (other_x, other_y)))
    order = np.argsort(key, kind="stable")
    place = np.minimum(np.searchsorted(key[order], other), len(order) - 1)
    return np.where(key[order][place] == other, order[place], -1)
