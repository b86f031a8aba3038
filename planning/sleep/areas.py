"""A large sleep problem cut into areas of sites, each with a halo of the sites around it.

Radio units, basebands and sectors belong to one site, so sites are never cut. An area is a core of sites that lie
together and a halo: every site that shares an arc of the offload graph or a row of coverage with the core, `RINGS`
times over. The cut depends on the problem alone, never on who works on it.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from planning.geometry import cut_in_halves
from planning.network import Network
from planning.sleep.cover import Cover
from planning.sleep.offload import OffloadGraph
from planning.sleep.problem import SleepProblem

SITES_PER_AREA = 500
RINGS = 1  # of neighbours in a halo; one holds all that the bound of the core depends on


@dataclass(frozen=True)
class Area:
    """A part of a sleep problem. Arrays of numbers lead from the part to the whole.

    Attributes
    ----------
    number : int
    problem : the sleep problem of core and halo, without tables of sites and cells. Arcs that leave them are left out;
        of a row of coverage that reaches into the core, the groups inside stay.
    sites, sectors, groups, parts, classes, arcs : rows in the whole problem, ascending.
    rows : (rows,) of the whole problem's binding rows of coverage.
    core : (sectors,) bool, sectors of the core.
    """

    number: int
    problem: SleepProblem
    sites: np.ndarray
    sectors: np.ndarray
    groups: np.ndarray
    parts: np.ndarray
    classes: np.ndarray
    arcs: np.ndarray
    rows: np.ndarray
    core: np.ndarray

    @cached_property
    def _packed(self) -> bytes:
        return pickle.dumps([getattr(self, one.name) for one in fields(self)], protocol=5)

    def __reduce__(self) -> tuple[Any, ...]:
        # sent to two stages of work, and made into bytes once
        return _unpacked, (self._packed,)

    @property
    def core_groups(self) -> np.ndarray:
        """(groups,) bool."""
        return self.core[self.problem.groups.sector]

    @property
    def core_parts(self) -> np.ndarray:
        """(parts,) bool."""
        return self.core_groups[self.problem.groups.group_of_part]


def _unpacked(packed: bytes) -> Area:
    return Area(*pickle.loads(packed))


def neighbours(problem: SleepProblem) -> sparse.csr_array:
    """(sites, sites) bool: sites that share an arc or a binding row of coverage; a site is its own neighbour."""
    groups, graph = problem.groups, problem.graph
    site = groups.site_of_sector
    arcs = _incidence(
        np.tile(np.arange(len(graph.arc_class)), 2),
        np.concatenate([site[graph.arc_source], site[graph.arc_target]]),
        (len(graph.arc_class), groups.sites),
    )
    sets = problem.cover.bound_sets().tocoo()
    rows = _incidence(sets.row, groups.site[sets.col], (sets.shape[0], groups.sites))
    both = sparse.vstack([arcs, rows, sparse.eye_array(groups.sites, format="csr")]).tocsr()
    return (both.T @ both).astype(bool).tocsr()


class Cut(Sequence["Area"]):
    """The areas of a problem, whose cores hold every sector once; each is made when it is first asked for."""

    def __init__(self, problem: SleepProblem, sites_per_area: int = SITES_PER_AREA, rings: int = RINGS):
        self.problem, self.rings = problem, rings
        self.area_of_site = cut_in_halves(problem.network.metres(), sites_per_area)
        self._near = neighbours(problem).astype(np.int32)
        self._made: dict[int, Area] = {}

    def __len__(self) -> int:
        return int(self.area_of_site.max()) + 1

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < len(self):
            raise IndexError(number)
        if number not in self._made:
            core = self.area_of_site == number
            sites = core
            for _ in range(self.rings):
                sites = (self._near @ sites.astype(np.int32)) > 0
            self._made[number] = _area(self.problem, number, core, sites)
        return self._made[number]

    @cached_property
    def owner_of_rows(self) -> np.ndarray:
        """(binding rows,) number of the area that owns each: that of its first group."""
        sets = self.problem.cover.bound_sets().tocsr()
        area_of = self.area_of_site[self.problem.groups.site]
        return area_of[sets.indices[sets.indptr[:-1]]] if sets.shape[0] else np.zeros(0, int)


def _area(problem: SleepProblem, number: int, core: np.ndarray, inside: np.ndarray) -> Area:
    """core, inside: (sites,) bool."""
    groups, graph = problem.groups, problem.graph
    sites = np.flatnonzero(inside)
    of_sector = inside[groups.site_of_sector]
    sectors, kept = np.flatnonzero(of_sector), np.flatnonzero(inside[groups.site])
    parts = np.flatnonzero(inside[groups.site][groups.group_of_part])
    classes = np.flatnonzero(of_sector[graph.class_sector])
    arcs = np.flatnonzero(of_sector[graph.arc_source] & of_sector[graph.arc_target])
    site_number, sector_number, group_number, part_number, class_number = (
        _numbers(rows, size)
        for rows, size in (
            (sites, groups.sites), (sectors, groups.sectors), (kept, len(groups.site)),
            (parts, groups.number_of_parts), (classes, graph.classes),
        )
    )  # fmt: skip
    hubs = np.flatnonzero(inside[groups.hub_site])
    hub_number = _numbers(hubs, len(groups.hub_w))
    pairs = np.flatnonzero(inside[groups.hub_site[groups.hub]])
    boost = groups.boost_of[kept]
    own = {
        name: getattr(groups, name)[kept]
        for name in ("count", "capacity", "idle_w", "slope", "off_w", "coverage", "lowest")
    }
    small = replace(
        groups, **own, sector=sector_number[groups.sector[kept]], site=site_number[groups.site[kept]],
        parts=tuple(part_number[groups.parts[g]] for g in kept),
        boost_of=np.where(boost >= 0, group_number[np.maximum(boost, 0)], -1),
        hub=hub_number[groups.hub[pairs]], hub_group=group_number[groups.hub_group[pairs]],
        hub_w=groups.hub_w[hubs], hub_site=site_number[groups.hub_site[hubs]],
        site_of_sector=site_number[groups.site_of_sector[sectors]], standing_w=groups.standing_w[sites],
        ac_slope=groups.ac_slope[sites], cells=int((parts < groups.cells).sum()),
    )  # fmt: skip
    small_graph = OffloadGraph(
        sector_number[graph.class_sector[classes]], class_number[graph.arc_class[arcs]],
        sector_number[graph.arc_target[arcs]], len(sectors),
    )  # fmt: skip
    rows, cover = _cover(problem, core, inside, kept)
    tables = problem.network
    nameless = Network(tables.sites.iloc[:0], tables.cells.iloc[:0])
    requires = group_number[problem.pairs] if len(problem.pairs) else problem.pairs
    never = problem.operation.never
    cells = parts[parts < groups.cells]
    part = replace(
        problem, network=nameless, groups=small, graph=small_graph,
        demand=problem.demand[classes], cover=cover,
        may_sleep=None if problem.may_sleep is None else problem.may_sleep[kept],
        requires=requires[(requires >= 0).all(axis=1)],
        before=None if problem.before is None else problem.before[parts],
        after=None if problem.after is None else problem.after[parts],
        shares=None, grid=None, x=None, y=None, week=None, notes=(),
        operation=replace(problem.operation, never=None if never is None else never[cells]),
    )  # fmt: skip
    return Area(
        number, part, sites, sectors, kept, parts, classes, arcs, rows, core[groups.site_of_sector[sectors]]
    )


def _cover(
    problem: SleepProblem, core: np.ndarray, inside: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, Cover]:
    """The binding rows that reach into the core, or lie inside altogether, by the groups inside; and the core's share
    of the ground that may lose coverage."""
    cover, groups = problem.cover, problem.groups
    sets = cover.bound_sets().tocsr()
    if not sets.shape[0]:
        return np.zeros(0, int), Cover.none(len(kept))
    touches = sets @ core[groups.site].astype(float) > 0
    whole = sets @ (~inside[groups.site]).astype(float) == 0
    rows = np.flatnonzero(touches | whole)
    area = cover.area_km2[cover.binding][rows]
    share = float(core.sum() / len(core))
    return rows, Cover(
        sets[rows][:, kept].tocsr(), area, cover.traffic[cover.binding][rows], share * cover.covered_km2,
        np.arange(len(rows)), cover.max_hole_share,
    )  # fmt: skip


def _numbers(rows: np.ndarray, size: int) -> np.ndarray:
    """(size,) place of each number among `rows`, -1 where it is none of them."""
    out = np.full(size, -1)
    out[rows] = np.arange(len(rows))
    return out


def _incidence(row: np.ndarray, column: np.ndarray, shape: tuple[int, int]) -> sparse.csr_array:
    made = sparse.coo_array((np.ones(len(row), np.int32), (row, column)), shape).tocsr()
    made.data[:] = 1
    return made
