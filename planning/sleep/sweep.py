"""Making a sleep plan better sector by sector.

One sector after the other is planned anew over all hours while the others stay as they are: each state of its cells has
its cost in each hour (own power, and carrying traffic in sectors that have room), and dynamic programming finds the
cheapest sequence of states. Served traffic stays served and covered ground stays covered. From everything awake, one
sweep without the price of switching is the greedy strategy.
"""

from __future__ import annotations

import time

import numpy as np

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
            self.traffic[family.rows[0]] = traffic_of(family, problem.demand)
            for i, s in enumerate(family.rows.tolist()):
                if family.grid:
                    self.place[s] = (family, i)
        self.classes_of = rows_of_each(graph.class_sector, graph.sectors)
        arcs = rows_of_each(graph.arc_class, graph.classes)
        self.arcs_of = [
            [(int(a), j, int(graph.arc_target[a])) for j, k in enumerate(mine) for a in arcs[k].tolist()]
            for mine in self.classes_of
        ]
        self.into = rows_of_each(graph.arc_target, graph.sectors)
        price = groups.factor * groups.slope
        self.merit = [
            mine[np.lexsort((mine, price[mine]))] for mine in rows_of_each(groups.sector, groups.sectors)
        ]
        self.price = [price[mine] for mine in self.merit]
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
        self.covering = self.sets @ (self.counts > 0).astype(np.int32)  # (rows, hours) awake groups
        self.on = self.hubs @ (self.counts > 0).astype(np.int32)

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
        arcs = self.arcs_of[sector]
        inflow = self.moved[self.into[sector]].sum(axis=0) if len(self.into[sector]) else np.zeros(hours)
        space = {t: self.room[t].copy() for _, _, t in arcs}
        for a, _, t in arcs:
            space[t] += self.moved[a]
        cost, away = self._costs(sector, family, i, inflow, space)
        lowest = groups.lowest
        present = state_in(family, i, self.counts[members], lowest)
        index = np.arange(hours)
        self._as_it_is(sector, family, i, present, inflow, space, cost, away)
        if greedy:
            chosen = cost.argmin(axis=1)
        else:
            ends: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
            if self.problem.before is not None and self.problem.after is not None:
                ends = tuple(
                    state_in(family, i, group_counts(groups, end[:, None])[members], lowest)
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
            chosen = state_in(family, i, counts, lowest)
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
        away: list[np.ndarray],
        chosen: np.ndarray,
        arcs: list[tuple[int, int, int]],
        inflow: np.ndarray,
    ) -> None:
        index = np.arange(len(chosen))
        groups = self.groups
        was, now = self.counts[members] > 0, counts > 0
        self.awake[parts] = held
        self.counts[members] = counts
        if self.sets.shape[0]:
            self.covering += self.sets[:, members] @ (now.astype(np.int32) - was)
        if self.hubs.shape[0]:
            self.on += self.hubs[:, members] @ (now.astype(np.int32) - was)
        for (a, _, t), flow in zip(arcs, away, strict=True):
            step = flow[index, chosen]
            self.room[t] += self.moved[a] - step
            self.moved[a] = step
        capacity = self.settings.max_load * (groups.capacity[members] @ counts)
        self.room[sector] = np.maximum(capacity - self.total[sector], 0.0) - inflow

    def _costs(
        self, sector: int, family: Family, i: int, inflow: np.ndarray, space: dict[int, np.ndarray]
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """(hours, states) W with inf where a state cannot serve or cover, and for each arc (hours, states) what it
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
        left = own.left[i].copy()
        away = [np.zeros(cost.shape) for _ in self.arcs_of[sector]]
        if left.any():
            used = {t: np.zeros(cost.shape) for t in space}
            tiers = {t: self._tiers(t, s) for t, s in space.items()}
            for rank in range(max(map(len, tiers.values()), default=0)):
                for place, (_, j, t) in enumerate(self.arcs_of[sector]):
                    free = tiers[t][min(rank, len(tiers[t]) - 1)][:, None] - used[t]
                    step = np.maximum(np.minimum(left[j], free), 0.0)
                    left[j] -= step
                    used[t] += step
                    away[place] += step
            for t, s in space.items():
                cost += self._elsewhere_w(t, s, s[:, None] - used[t])
                cost += self.settings.offload_w_per_mbps * used[t]
            bad |= left.sum(axis=0) > _ROUNDING * (1 + self.total[sector])[:, None]
        cost[bad] = np.inf
        return cost, away

    def _as_it_is(
        self,
        sector: int,
        family: Family,
        i: int,
        present: np.ndarray,
        inflow: np.ndarray,
        space: dict[int, np.ndarray],
        cost: np.ndarray,
        away: list[np.ndarray],
    ) -> None:
        """Give the present states the flows that they have where those cost less, or where none were found."""
        index = np.arange(len(present))
        own = self.traffic[family.rows[0]]
        watts = family.wake_w[i][present] + own.home_w[i][index, present]
        if self.shared_of[sector]:
            watts = watts + np.asarray(self._shared(sector, family, i))[index, present]
        before: np.ndarray | float = 0.0
        for m in range(family.members.shape[1]):
            filled = np.minimum(inflow, own.spare[i][index, present, m])
            watts = watts + family.slope[i, m] * (filled - before)
            before = filled
        for a, _, _ in self.arcs_of[sector]:
            watts = watts + self.settings.offload_w_per_mbps * self.moved[a]
        for t, s in space.items():
            watts = watts + self._elsewhere_w(t, s, self.room[t][:, None])[:, 0]
        better = watts < cost[index, present]
        hours, states = index[better], present[better]
        cost[hours, states] = watts[better]
        for (a, _, _), flow in zip(self.arcs_of[sector], away, strict=True):
            flow[hours, states] = self.moved[a][hours]

    def _tiers(self, sector: int, space: np.ndarray) -> list[np.ndarray]:
        """(hours,) room of another sector on its most efficient carriers, on these and the next ones, and so on."""
        mine, price = self.merit[sector], self.price[sector]
        capacity = self.settings.max_load * np.cumsum(
            self.groups.capacity[mine, None] * self.counts[mine], axis=0
        )  # (groups, hours)
        load = capacity[-1] - space
        last = [m for m in range(len(mine)) if m == len(mine) - 1 or price[m + 1] > price[m]]
        return [np.minimum(np.maximum(capacity[m] - load, 0.0), space) for m in last]

    def _elsewhere_w(self, sector: int, space: np.ndarray, free: np.ndarray) -> np.ndarray:
        """(hours, states) W that carrying more costs another sector, whose room shrinks from space (hours,) to free."""
        mine = self.merit[sector]
        capacity = self.settings.max_load * (
            self.groups.capacity[mine, None] * self.counts[mine]
        )  # (groups, hours)
        total = capacity.sum(axis=0)
        load, now = total[:, None] - free, (total - space)[:, None]
        out = np.zeros(free.shape)
        for price, room in zip(self.price[sector], capacity, strict=True):
            out += price * (np.minimum(load, room[:, None]) - np.minimum(now, room[:, None]))
            load, now = np.maximum(load - room[:, None], 0.0), np.maximum(now - room[:, None], 0.0)
        return out

    def _prepare_cover(self) -> None:
        cover, groups = self.problem.cover, self.groups
        self.sets = cover.bound_sets().tocsr().astype(np.int32)
        self.area = cover.area_km2[cover.binding]
        by_group = self.sets.tocsc()
        self.rows_of = []
        for mine in rows_of_each(groups.sector, groups.sectors):
            rows = [by_group.indices[by_group.indptr[g] : by_group.indptr[g + 1]] for g in mine]
            self.rows_of.append(np.unique(np.concatenate(rows)) if self.sets.shape[0] else np.zeros(0, int))
        self.dense: dict[int, np.ndarray] = {}
        self._wake_wh = self.problem.wake_wh(self.settings)[groups.group_of_part]

    def _prepare_hubs(self) -> None:
        groups = self.groups
        self.hubs = groups.hubs.astype(np.int32)
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
            part = self.hubs[[hub]][:, members].toarray()[0] > 0
            others = self.on[hub] - (self.counts[members[part]] > 0).sum(axis=0)
            on = (family.counts[i][:, part] > 0).any(axis=1)
            out = out + self.groups.hub_w[hub] * (others == 0)[:, None] * on[None, :]
        return out

    def _uncovers(self, sector: int, family: Family, i: int) -> np.ndarray:
        """(hours, states) bool: states that leave more ground uncovered than may be."""
        rows = self.rows_of[sector]
        hours, states = self.problem.hours, len(family.states)
        if not len(rows):
            return np.zeros((hours, states), bool)
        members = family.members[i]
        if sector not in self.dense:
            self.dense[sector] = self.sets[rows][:, members].toarray()
        mine = self.dense[sector]  # (rows, groups)
        others = self.covering[rows] - mine @ (self.counts[members] > 0)  # (rows, hours)
        covers = (mine @ (family.counts[i] > 0).T) > 0  # (rows, states)
        open_ = (others == 0).T.astype(float)
        if self.problem.cover.max_hole_share == 0:
            return (open_ @ ~covers) > 0
        area = self.area[rows]
        elsewhere = (self.area @ (self.covering == 0)) - area @ (self.covering[rows] == 0)
        holes = (open_ * area) @ ~covers + elsewhere[:, None]
        return holes > self.problem.cover.budget_km2 + _ROUNDING


def state_in(family: Family, i: int, counts: np.ndarray, lowest: np.ndarray) -> np.ndarray:
    """(hours,) state numbers of a sector of a family, from awake counts of its members (groups, hours)."""
    place = [int(np.flatnonzero(family.members[i] == g)[0]) for g in family.free[i]]
    beyond = np.maximum(counts[place] - lowest[family.free[i]][:, None], 0)
    return np.ravel_multi_index(tuple(beyond), family.grid, mode="clip")
