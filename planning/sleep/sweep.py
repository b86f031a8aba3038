"""Making a sleep plan better sector by sector.

One sector after the other is planned anew over all hours while the others stay as they are: each state of its cells has
its cost in each hour (own power, and carrying traffic in sectors that have room), and dynamic programming finds the
cheapest sequence of states. Served traffic stays served and covered ground stays covered. From everything awake, one
sweep without the price of switching is the greedy strategy.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from planning.energy import rows_of_each
from planning.sleep.families import Family, FamilyTraffic, families, number_of_states, traffic_of
from planning.sleep.keeper import Keeper
from planning.sleep.problem import SleepProblem
from planning.sleep.schedule import group_counts, woken
from planning.sleep.settings import SleepSettings
from planning.sleep.states import MAX_STATES, best_schedule

WORTHWHILE_WH = 1e-6  # less is rounding
MAX_SWEEPS = 4  # over all sectors
_ROUNDING = 1e-9


@dataclass(frozen=True)
class _ArcsOf:
    """Ways of a sector's traffic to other sectors.

    arc: (arcs,) numbers. ends: of each arc, the place of its class in the sector and that of its end in `targets`.
    targets: (sectors,) other sectors. rows: their places. to_target: (sectors, arcs) 0/1.
    """

    arc: np.ndarray
    ends: list[tuple[int, int]]
    targets: np.ndarray
    rows: np.ndarray
    to_target: np.ndarray


@dataclass(frozen=True)
class _ByGroup:
    """A 0/1 matrix (rows, groups), of which the part of a sector's groups is asked for again and again."""

    whole: sparse.csr_array
    columns: sparse.csc_array
    made: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def of(cls, matrix: sparse.csr_array) -> _ByGroup:
        whole = matrix.tocsr().astype(np.int32)
        return cls(whole, whole.tocsc())

    def part(self, sector: int, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n,) the rows with any of a sector's groups, `members`, and their part (n, groups); always the same."""
        made = self.made.get(sector)
        if made is None:
            first, entry = self.columns.indptr, self.columns.indices
            of_group = [entry[first[g] : first[g + 1]] for g in members.tolist()]
            rows = np.unique(np.concatenate(of_group))
            dense = np.zeros((len(rows), len(members)), np.int32)
            for place, mine in enumerate(of_group):
                dense[np.searchsorted(rows, mine), place] = 1
            made = self.made[sector] = (rows, dense)
        return made


@dataclass(frozen=True)
class _Others:
    """Other sectors without what they carry of one.

    price: (sectors, groups) W per Mbit/s. start, capacity: (sectors, groups, hours) Mbit/s before and of each group.
    load: (sectors, hours). tiers: room (sectors, hours) of the carriers with the fewest watts, of these and the next
    ones, and so on.
    """

    price: np.ndarray
    start: np.ndarray
    capacity: np.ndarray
    load: np.ndarray
    tiers: list[np.ndarray]

    def watts(self, more: np.ndarray) -> np.ndarray:
        """(hours, states) W of carrying `more` (sectors, hours, states) Mbit/s."""
        start, most = self.start[:, :, :, None], self.capacity[:, :, :, None]
        load = self.load[:, None, :, None]
        carried = np.minimum(np.maximum(load + more[:, None] - start, 0.0), most)
        carried -= np.minimum(np.maximum(load - start, 0.0), most)
        return np.tensordot(self.price, carried, 2)


class Sweeper:
    """Sectors and who serves what, kept up to date while sectors change. Arrays by hour, Mbit/s."""

    def __init__(self, problem: SleepProblem, settings: SleepSettings, keeper: Keeper | None = None):
        self.problem, self.settings = problem, settings
        self.keeper = keeper or Keeper(problem, settings)
        groups, graph = problem.groups, problem.graph
        self.groups, self.graph = groups, graph
        self.place: list[tuple[Family, int] | None] = [None] * groups.sectors
        few = number_of_states(groups) <= MAX_STATES
        self.traffic: dict[int, FamilyTraffic] = {}
        self.total = problem.by_sector(problem.demand)
        for family in families(problem, settings) if few.all() else []:
            if not family.grid:  # nothing of them may sleep
                continue
            self.traffic[family.rows[0]] = traffic_of(family, problem.demand)
            for i, s in enumerate(family.rows.tolist()):
                self.place[s] = (family, i)
        self.into = rows_of_each(graph.arc_target, graph.sectors)
        self._prepare_arcs()
        self._prepare_merit()
        self._prepare_cover()
        self._prepare_hubs()

    def load(self, awake: np.ndarray) -> None:
        """Begin from awake parts (parts, hours) that serve all that can be served."""
        problem, groups = self.problem, self.groups
        self.awake = awake.copy()
        self.counts = group_counts(groups, awake)
        served = problem.serve(self.settings, self.counts)
        self.moved = served.moved
        self.room = self.settings.max_load * groups.capacity_of(self.counts) - served.load
        self.covering = self.sets.whole @ (self.counts > 0).astype(np.int32)  # (rows, hours) awake groups
        self.on = self.hubs.whole @ (self.counts > 0).astype(np.int32)

    def sweep(self, deadline: float, sweeps: int = MAX_SWEEPS) -> None:
        """Plan sector by sector until nothing gets better, or the deadline (perf_counter)."""
        for _ in range(sweeps):
            changed = False
            for sector in np.argsort(-self.room.sum(axis=1), kind="stable").tolist():
                if time.perf_counter() > deadline:
                    return
                changed |= self.improve(sector)
            if not changed:
                return

    def improve(self, sector: int, greedy: bool = False) -> bool:
        """Plan the sector's cells anew; True where that saves something. greedy: each hour alone, switching for
        nothing."""
        if self.place[sector] is None:
            return False
        family, i = self.place[sector]  # type: ignore[misc]
        groups = self.groups
        members = family.members[i]
        hours = self.problem.hours
        arcs = self._arcs_of(sector)
        inflow = self.moved[self.into[sector]].sum(axis=0) if len(self.into[sector]) else np.zeros(hours)
        present = self._state_in(sector, family, i, self.counts[members])
        index = np.arange(hours)
        cost, away = self._costs(sector, family, i, present, inflow)
        if greedy:
            chosen = cost.argmin(axis=1)
        else:
            ends: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
            if self.problem.before is not None and self.problem.after is not None:
                ends = tuple(
                    self._state_in(sector, family, i, group_counts(groups, end[:, None])[members])
                    for end in (self.problem.before, self.problem.after)
                )  # type: ignore[assignment]
            chosen = best_schedule(cost[None], family.grid, family.states, family.wake_wh[[i]], *ends)[1][0]
        if (chosen == present).all():
            return False
        parts = self.keeper.parts_of[sector]
        counts = family.counts[i][chosen].T  # (groups, hours)
        wanted = np.zeros((len(parts), hours), bool)
        for row, g in enumerate(members.tolist()):
            at = np.searchsorted(parts, groups.parts[g])
            wanted[at] = np.arange(len(at))[:, None] < counts[row]
        held = wanted if greedy else self.keeper.keep_sector(wanted, sector)
        if not (held == wanted).all():
            counts = np.stack([held[np.searchsorted(parts, groups.parts[g])].sum(axis=0) for g in members])
            chosen = self._state_in(sector, family, i, counts)
        if not greedy:
            before = cost[index, present].sum() + self._wake_cost(parts, self.awake[parts])
            after = cost[index, chosen].sum() + self._wake_cost(parts, held)
            if not after < before - WORTHWHILE_WH:
                return False
        elif not np.isfinite(cost[index, chosen]).all():
            return False
        self._take(sector, members, parts, held, counts, away, chosen, arcs, inflow)
        return True

    def _wake_cost(self, parts: np.ndarray, awake: np.ndarray) -> float:
        problem = self.problem
        before = None if problem.before is None else problem.before[parts]
        after = None if problem.after is None else problem.after[parts]
        return float(self._wake_wh[parts] @ woken(awake, before, after).sum(axis=1))

    def _take(
        self,
        sector: int,
        members: np.ndarray,
        parts: np.ndarray,
        held: np.ndarray,
        counts: np.ndarray,
        away: np.ndarray,
        chosen: np.ndarray,
        arcs: _ArcsOf,
        inflow: np.ndarray,
    ) -> None:
        index = np.arange(len(chosen))
        groups = self.groups
        was, now = self.counts[members] > 0, counts > 0
        self.awake[parts] = held
        self.counts[members] = counts
        change = now.astype(np.int32) - was
        for matrix, kept in ((self.sets, self.covering), (self.hubs, self.on)):
            rows, dense = matrix.part(sector, members)
            if len(rows):
                kept[rows] += dense @ change
        if len(arcs.arc):
            now_moved = away[:, index, chosen]
            self.room[arcs.targets] += arcs.to_target @ (self.moved[arcs.arc] - now_moved)
            self.moved[arcs.arc] = now_moved
        capacity = self.settings.max_load * (groups.capacity[members] @ counts)
        self.room[sector] = np.maximum(capacity - self.total[sector], 0.0) - inflow

    def _costs(
        self, sector: int, family: Family, i: int, present: np.ndarray, inflow: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(hours, states) W with inf where a state cannot serve or cover, and (arcs, hours, states) what each arc
        carries."""
        own = self.traffic[family.rows[0]]
        cost = own.home_w[i] + family.wake_w[i]
        cost += self._shared(sector, family, i)
        spare = own.spare[i]  # (hours, states, groups)
        bad = inflow[:, None] > spare[:, :, -1] + _ROUNDING * (1 + inflow[:, None])
        before: np.ndarray | float = 0.0
        for m in range(family.members.shape[1]):
            filled = np.minimum(inflow[:, None], spare[:, :, m])
            cost += family.slope[i, m] * (filled - before)
            before = filled
        bad |= family.banned[i]
        bad |= self._uncovers(sector, family, i)
        arcs, index = self._arcs_of(sector), np.arange(len(present))
        as_it_is = cost[index, present].copy()
        away = np.zeros((len(arcs.arc), *cost.shape))
        if len(arcs.arc):
            moved = self.moved[arcs.arc]
            others = self._others(arcs, moved)
            left = own.left[i].copy()
            used = np.zeros((len(arcs.targets), *cost.shape))
            needed = left.any(axis=(1, 2)).tolist()
            for tier in others.tiers:
                for place, (j, t) in enumerate(arcs.ends):
                    if needed[j]:
                        step = np.maximum(np.minimum(left[j], tier[t][:, None] - used[t]), 0.0)
                        left[j] -= step
                        used[t] += step
                        away[place] += step
            present_used = arcs.to_target @ moved
            watts = others.watts(np.concatenate([used, present_used[:, :, None]], axis=2))
            cost += watts[:, :-1] + self.settings.offload_w_per_mbps * used.sum(axis=0)
            as_it_is += watts[:, -1] + self.settings.offload_w_per_mbps * present_used.sum(axis=0)
            bad |= left.sum(axis=0) > _ROUNDING * (1 + self.total[sector])[:, None]
        cost[bad] = np.inf
        # the present states with the flows that they have where those cost less, or where none were found
        better = as_it_is < cost[index, present]
        if better.any():
            hours, states = index[better], present[better]
            cost[hours, states] = as_it_is[better]
            if len(arcs.arc):
                away[:, hours, states] = moved[:, better]
        return cost, away

    def _others(self, arcs: _ArcsOf, moved: np.ndarray) -> _Others:
        """The sectors that may carry a sector's traffic, without what they carry of it: moved (arcs, hours)."""
        merit = self.merit[arcs.targets]
        capacity = self.merit_capacity[arcs.targets][:, :, None] * self.counts[merit]
        capacity *= self.settings.max_load
        end = np.cumsum(capacity, axis=1)
        space = self.room[arcs.targets] + arcs.to_target @ moved
        load = end[:, -1] - space
        tiers = [
            np.minimum(np.maximum(end[arcs.rows, last] - load, 0.0), space)
            for last in self.tier[arcs.targets].T
        ]
        return _Others(self.merit_price[arcs.targets], end - capacity, capacity, load, tiers)

    def _state_in(self, sector: int, family: Family, i: int, counts: np.ndarray) -> np.ndarray:
        """(hours,) state numbers of a sector, from awake counts of its members (groups, hours)."""
        place, lowest = self.free_places[sector]
        return np.ravel_multi_index(tuple(np.maximum(counts[place] - lowest, 0)), family.grid, mode="clip")

    def _prepare_arcs(self) -> None:
        graph = self.graph
        self.class_rows = rows_of_each(graph.class_sector, graph.sectors)
        self.arc_rows = rows_of_each(graph.arc_class, graph.classes)
        self.arcs_made: dict[int, _ArcsOf] = {}

    def _arcs_of(self, sector: int) -> _ArcsOf:
        """Made when the sector is first planned, as many never are."""
        made = self.arcs_made.get(sector)
        if made is not None:
            return made
        arcs = [self.arc_rows[k] for k in self.class_rows[sector].tolist()]
        arc = np.concatenate(arcs) if arcs else np.zeros(0, int)
        targets, number = np.unique(self.graph.arc_target[arc], return_inverse=True)
        to_target = np.zeros((len(targets), len(arc)))
        to_target[number, np.arange(len(arc))] = 1.0
        place = [j for j, mine in enumerate(arcs) for _ in range(len(mine))]
        made = _ArcsOf(
            arc, list(zip(place, number.tolist(), strict=True)), targets.astype(int), np.arange(len(targets)), to_target
        )  # fmt: skip
        self.arcs_made[sector] = made
        return made

    def _prepare_merit(self) -> None:
        """Groups of each sector, fewest watts per Mbit/s first, padded with groups without capacity."""
        groups = self.groups
        price = groups.factor * groups.slope
        number = np.arange(len(price))
        order = np.lexsort((number, price, groups.sector))
        sector = groups.sector[order]
        place = number - np.searchsorted(sector, sector)
        size = np.bincount(groups.sector, minlength=groups.sectors)
        shape = (groups.sectors, int(size.max()))
        self.merit, self.merit_capacity = np.zeros(shape, int), np.zeros(shape)
        self.merit_price = np.zeros(shape)
        self.merit[sector, place] = order
        self.merit_capacity[sector, place] = groups.capacity[order]
        self.merit_price[sector, place] = price[order]
        last = np.ones(len(order), bool)  # the last group of those with the same price
        last[:-1] = (sector[1:] != sector[:-1]) | (price[order][1:] > price[order][:-1])
        rank = np.cumsum(last) - last
        rank -= rank[np.searchsorted(sector, sector)]
        self.tier = np.repeat(np.maximum(size - 1, 0)[:, None], int(rank.max()) + 1, axis=1)
        self.tier[sector[last], rank[last]] = place[last]
        self.free_places = {
            s: (
                np.array([np.flatnonzero(family.members[i] == g)[0] for g in family.free[i]]),
                groups.lowest[family.free[i]][:, None],
            )
            for s, (family, i) in ((s, p) for s, p in enumerate(self.place) if p is not None)
        }

    def _prepare_cover(self) -> None:
        cover, groups = self.problem.cover, self.groups
        self.sets = _ByGroup.of(cover.bound_sets())
        self.area = cover.area_km2[cover.binding]
        self._wake_wh = self.problem.wake_wh(self.settings)[groups.group_of_part]

    def _prepare_hubs(self) -> None:
        groups = self.groups
        self.hubs = _ByGroup.of(groups.hubs)
        spans = np.zeros(len(groups.hub_w), bool)
        for hub, members in enumerate(rows_of_each(groups.hub, len(groups.hub_w))):
            spans[hub] = len(np.unique(groups.sector[groups.hub_group[members]])) > 1
        self.shared_of: list[list[int]] = [[] for _ in range(groups.sectors)]
        for hub, group in zip(groups.hub.tolist(), groups.hub_group.tolist(), strict=True):
            sector = int(groups.sector[group])
            if spans[hub] and hub not in self.shared_of[sector]:
                self.shared_of[sector].append(hub)

    def _shared(self, sector: int, family: Family, i: int) -> np.ndarray | float:
        """(hours, states) W of hubs that other sectors share and that no other sector keeps on."""
        out: np.ndarray | float = 0.0
        members = family.members[i]
        for hub in self.shared_of[sector]:
            rows, dense = self.hubs.part(sector, members)
            part = dense[np.searchsorted(rows, hub)] > 0
            others = self.on[hub] - (self.counts[members[part]] > 0).sum(axis=0)
            on = (family.counts[i][:, part] > 0).any(axis=1)
            out = out + self.groups.hub_w[hub] * (others == 0)[:, None] * on[None, :]
        return out

    def _uncovers(self, sector: int, family: Family, i: int) -> np.ndarray:
        """(hours, states) bool: states that leave more ground uncovered than may be."""
        members = family.members[i]
        rows, mine = self.sets.part(sector, members)
        hours, states = self.problem.hours, len(family.states)
        if not len(rows):
            return np.zeros((hours, states), bool)
        others = self.covering[rows] - mine @ (self.counts[members] > 0)  # (rows, hours)
        covers = (mine @ (family.counts[i] > 0).T) > 0  # (rows, states)
        open_ = (others == 0).T.astype(float)
        if self.problem.cover.max_hole_share == 0:
            return (open_ @ ~covers) > 0
        area = self.area[rows]
        elsewhere = (self.area @ (self.covering == 0)) - area @ (self.covering[rows] == 0)
        holes = (open_ * area) @ ~covers + elsewhere[:, None]
        return holes > self.problem.cover.budget_km2 + _ROUNDING
