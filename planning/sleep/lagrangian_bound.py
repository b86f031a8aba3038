"""A bound on the energy of any sleep plan, and what a Mbit/s is worth in each sector and hour.

Offloading couples sectors, switching couples hours, coverage couples cells that reach the same ground. Pricing what a
sector carries for each class of another (price m_ah of arc a, W per Mbit/s, as a dispatcher prices a megawatt) and each
row of coverage (price c_rh, W) takes the network apart: each sector chooses its awake cells over the day alone,

    own traffic   carried at home as far as it fits, the rest sent, class by class, where that is cheapest,
    spare room    sold to the classes that pay most, to each as much as it could send,
    coverage      paid for at c_rh, for each row that the awake cells cover,
    switching     by dynamic programming over the hours,

and the sum of the sectors' least costs bounds the plan from below for every m, c >= 0 (Lagrangian relaxation, as in
unit commitment). Limits on switching (minimum times, wake-ups a day) are left out, and what a site or radio unit of
several sectors draws is split evenly among them: both only lower the bound. Subgradient steps raise it.
"""

from __future__ import annotations

import itertools
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from planning.energy import rows_of_each
from planning.sleep.cover import Cover
from planning.sleep.families import Family, FamilyTraffic, covers_of, families, number_of_states, traffic_of
from planning.sleep.problem import SleepProblem
from planning.sleep.schedule import group_counts
from planning.sleep.settings import SleepSettings
from planning.sleep.states import MAX_STATES, best_schedule

# W per Mbit/s that no other sector can carry: any finite price keeps the bound valid
NOWHERE_W = 1e4
MIN_SECTORS = 200  # of a thread
CHUNKS = 6  # of states by their number of arcs, so that few places are empty
PATIENCE = 2  # steps without gain after which they become shorter
# a step aims so much above its value, or at this share of the plan at hand
MIN_RISE, HOPED_FOR = 0.002, 0.993
SLOWED, SLOWEST, LONGER = 0.75, 1e-4, 1.1  # factors of the steps' length, and its end
MEMORY = 0.15  # weight of the newest subgradient in its average (volume algorithm)
COUNT_MEMORY = 0.08  # the same of the counts
MIN_SCALE = 0.03  # of an arc, of their mean: those that carry little move in longer steps


@dataclass
class Bound:
    """The best prices so far. bound: Wh over the plan's hours, in the objective of `milp.ring_model`. price: (arcs,
    hours) W per Mbit/s. cover_price: (binding rows, hours) W. counts: (groups, hours) awake parts, averaged
    over the last steps: whole where there is no doubt."""

    bound: float
    price: np.ndarray
    cover_price: np.ndarray
    counts: np.ndarray


class PriceSearch:
    """Subgradient steps that can be taken a few at a time. For sectors of at most MAX_STATES states."""

    def __init__(self, problem: SleepProblem, settings: SleepSettings):
        self.relaxed = _Relaxed(problem, settings)
        self.gap = settings.gap
        groups = problem.groups
        price = np.full(
            (len(problem.graph.arc_class), problem.hours), float((groups.factor * groups.slope).mean())
        )
        cover = np.zeros((len(problem.cover.binding), problem.hours))
        # a row of coverage is worth about a cell, a Mbit/s about a watt
        self.weight = float(np.maximum(groups.wake_w, 1).mean() * max(groups.capacity.mean(), 1.0)) / 10
        most = self.relaxed.most[:-1]
        # (arcs, hours) the subgradient of an arc grows with what it may carry, the price that it needs does not
        self.scale = most / max(float(most.mean()) if most.size else 0.0, 1e-12) + MIN_SCALE
        value, slack, short, counts = self.relaxed.evaluate(price, cover)
        self.slack, self.short = slack, short
        self.best = Bound(value, price, cover, counts.astype(float))
        self.pace, self.stalled, self.steps = 1.0, 0, 0
        self.ended = False

    @staticmethod
    def possible(problem: SleepProblem) -> bool:
        return number_of_states(problem.groups).max(initial=1) <= MAX_STATES

    @staticmethod
    def relaxation(problem: SleepProblem, settings: SleepSettings) -> _Relaxed:
        """The relaxed problem alone, to be evaluated at given prices."""
        return _Relaxed(problem, settings)

    @staticmethod
    def worth_of_holes(cover: Cover, cover_price: np.ndarray) -> float:
        """W that the ground which may lose coverage is worth at most at the prices (binding rows, hours)."""
        if cover.max_hole_share <= 0 or not len(cover_price):
            return 0.0
        return float((_best_holes(cover, cover_price) * cover_price).sum())

    def chosen(self) -> np.ndarray:
        """(groups, hours) counts that are cheapest at the best prices."""
        return self.relaxed.evaluate(self.best.price, self.best.cover_price)[3]

    def run(self, steps: int, best_plan: float, deadline: float) -> None:
        """Take up to `steps` steps until `deadline` (perf_counter); best_plan: Wh of a plan at hand."""
        for _ in range(steps):
            price, cover = self.best.price, self.best.cover_price
            slack, short = self.slack, self.short
            away = slack / self.scale
            length = float((slack * away).sum() + self.weight * (short**2).sum())
            if length == 0 or self.pace < SLOWEST or self.best.bound >= best_plan * (1 - 1e-9):
                self.ended = True
                return
            if time.perf_counter() > deadline:
                return
            # the step of Polyak towards a value that the bound may well reach
            target = max(self.best.bound * (1 + MIN_RISE), HOPED_FOR * best_plan)
            stride = self.pace * (target - self.best.bound) / length
            price = np.maximum(0.0, price + stride * away)
            cover = np.maximum(0.0, cover + stride * self.weight * short)
            value, new_slack, new_short, counts = self.relaxed.evaluate(price, cover)
            self.steps += 1
            self.slack = slack + MEMORY * (new_slack - slack)
            self.short = short + MEMORY * (new_short - short)
            average = self.best.counts
            average += COUNT_MEMORY * (counts - average)
            if value > self.best.bound:
                # a step that could have been longer
                if float((away * new_slack).sum() + self.weight * (short * new_short).sum()) > 0:
                    self.pace = min(self.pace * LONGER, 2.0)
                self.best = Bound(value, price, cover, average)
                self.stalled = 0
            else:
                self.stalled += 1
                if self.stalled == PATIENCE:
                    self.pace, self.stalled = SLOWED * self.pace, 0


_NONE, _PARTLY = -1, -2  # kinds of room in a state: none for others, or for some of what they could send


@dataclass(frozen=True)
class _Table:
    """What a family's states cost and carry, whatever the prices.

    Attributes
    ----------
    fixed : (sectors, hours, states) W, inf where banned.
    send_at, send_class, send_hour, send_mbps : (n,)
        What does not fit at home: flat place in `fixed`, class, hour, Mbit/s.
    kind : (sectors, hours, states) int
        Number of the slope at which a state has room for all that others could send; _NONE or _PARTLY.
    slopes : (sectors, slopes) W per Mbit/s, rising.
    part : (parts, 3) int
        Sector, hour and state of each state that has room for some, those with the fewest arcs first. number: (sectors,
        hours, states) its row there.
    spare : (parts, slopes) Mbit/s of room in the groups up to each slope.
    arcs, limit : (parts, places) arcs that may carry something then, and how much.
    chunks : (first row, last row excluded, places) of parts with about as many arcs.
    """

    fixed: np.ndarray
    send_at: np.ndarray
    send_class: np.ndarray
    send_hour: np.ndarray
    send_mbps: np.ndarray
    kind: np.ndarray
    slopes: np.ndarray
    part: np.ndarray
    number: np.ndarray
    spare: np.ndarray
    arcs: np.ndarray
    limit: np.ndarray
    chunks: tuple[tuple[int, int, int], ...]


class _Relaxed:
    """The sum of the sectors' least costs at given prices, and its subgradient."""

    def __init__(self, problem: SleepProblem, settings: SleepSettings):
        self.problem, self.graph, self.demand = problem, problem.graph, problem.demand
        self.offload_w = settings.offload_w_per_mbps
        groups, graph = problem.groups, problem.graph
        self.counted = np.ones(groups.sectors, bool)  # sectors whose cost is in the value
        workers = max(1, min(settings.threads or os.cpu_count() or 1, groups.sectors // MIN_SECTORS))
        # side by side where there are workers for it: NumPy lets go of the interpreter
        self._map = map if workers == 1 else ThreadPoolExecutor(workers).map
        self.families = [part for one in families(problem, settings) for part in one.split(workers)]
        asleep = np.zeros((len(groups.site), 1))
        self.constant = float(groups.power_w(asleep, asleep).sum()) * problem.hours
        self.by_class = np.argsort(graph.arc_class, kind="stable")
        self.senders, self.first_arc = np.unique(graph.arc_class[self.by_class], return_index=True)
        self.from_class = graph.arcs_at(graph.arc_class, graph.classes)
        own = [traffic_of(family, self.demand) for family in self.families]
        most = np.zeros((graph.classes + 1, problem.hours))
        for family, mine in zip(self.families, own, strict=True):
            most[family.classes] = mine.left.max(axis=3)
        # most that each arc could carry; a last arc carries nothing
        self.most = np.concatenate([most[graph.arc_class], np.zeros((1, problem.hours))])
        into = rows_of_each(graph.arc_target, graph.sectors)
        self.into = np.full((graph.sectors, max(map(len, into))), len(graph.arc_class))
        for sector, mine_ in enumerate(into):
            self.into[sector, : len(mine_)] = mine_
        self.arcs_of = [self._arcs_into(family.rows) for family in self.families]
        sets = problem.cover.bound_sets()
        self.covers = [covers_of(f, sets) if sets.shape[0] else None for f in self.families]
        self.ends = [self._ends(f) for f in self.families]
        self.tables = [self._table(f, mine) for f, mine in zip(self.families, own, strict=True)]

    def _table(self, family: Family, own: FamilyTraffic) -> _Table:
        sends = np.bincount(self.graph.arc_class, minlength=self.graph.classes + 1) > 0
        nowhere = (own.left * ~sends[family.classes][:, :, None, None]).sum(axis=1)
        fixed = own.home_w + (family.wake_w + family.shared_w)[:, None, :] + NOWHERE_W * nowhere
        fixed = np.where(family.banned, np.inf, fixed)
        last = family.members.shape[1] - 1
        # a run of groups with the same slope is one
        differ = (family.slope[:, 1:] != family.slope[:, :-1]).any(axis=0)
        steps = [m for m in range(last + 1) if m == last or differ[m]]
        spare = own.spare[..., steps]  # (sectors, hours, states, slopes)
        offered = self.most[self.into[family.rows]].sum(axis=1)  # (sectors, hours)
        kind = np.full(fixed.shape, _NONE)
        has = spare[..., -1] > 0
        kind[has & (offered > 0)[:, :, None]] = _PARTLY
        first = (spare > 0).argmax(axis=3)  # the cheapest group with room
        in_first = np.take_along_axis(spare, first[..., None], 3)[..., 0]
        full = (kind == _PARTLY) & (in_first >= offered[:, :, None])
        kind[full] = first[full]
        part = np.argwhere(kind == _PARTLY)
        width = (self.most[self.into[family.rows[part[:, 0]]], part[:, 1, None]] > 0).sum(axis=1)
        by_width = np.argsort(width, kind="stable")
        part, width = part[by_width], width[by_width]
        number = np.full(fixed.shape, -1)
        number[tuple(part.T)] = np.arange(len(part))
        # arcs that carry something into the part's sector in its hour come first, as few as there are at most
        arcs = self.into[family.rows[part[:, 0]]]
        limit = self.most[arcs, part[:, 1, None]]
        order = np.argsort(limit == 0, axis=1, kind="stable")
        most = int(width.max(initial=0))
        arcs = np.take_along_axis(arcs, order, 1)[:, :most]
        limit = np.take_along_axis(limit, order, 1)[:, :most]
        cuts = np.unique(np.linspace(0, len(part), CHUNKS + 1).astype(int))
        chunks = tuple((int(a), int(b), int(width[b - 1])) for a, b in itertools.pairwise(cuts))
        sector, place, hour, state = np.nonzero(own.left * sends[family.classes][:, :, None, None])
        return _Table(
            fixed, np.ravel_multi_index((sector, hour, state), fixed.shape), family.classes[sector, place], hour,
            own.left[sector, place, hour, state], kind, family.slope[:, steps], part, number, spare[tuple(part.T)],
            arcs, limit, chunks,
        )  # fmt: skip

    def _arcs_into(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Arcs that end in some sectors, by their end, and the place of that among the sectors."""
        place = np.full(self.graph.sectors, -1)
        place[rows] = np.arange(len(rows))
        arcs = np.flatnonzero(place[self.graph.arc_target] >= 0)
        arcs = arcs[np.argsort(place[self.graph.arc_target[arcs]], kind="stable")]
        return arcs, place[self.graph.arc_target[arcs]]

    def _ends(self, family: Family) -> tuple[np.ndarray | None, np.ndarray | None]:
        """(sectors,) states before the first hour and after the last."""
        problem = self.problem
        if problem.before is None or problem.after is None:
            return None, None
        before, after = (
            family.state_of(group_counts(problem.groups, end[:, None]), problem.groups.lowest)[:, 0]
            for end in (problem.before, problem.after)
        )
        return before, after

    def evaluate(
        self, price: np.ndarray, cover_price: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """Bound in Wh, subgradients (arcs, hours) in Mbit/s and (rows, hours), awake counts (groups, hours)."""
        graph, demand = self.graph, self.demand
        away = np.full((graph.classes + 1, demand.shape[1]), NOWHERE_W)
        by_arc = self.offload_w + price
        if len(self.senders):
            away[self.senders] = np.minimum.reduceat(by_arc[self.by_class], self.first_arc, axis=0)
        counts = np.zeros((len(self.problem.groups.site), demand.shape[1]), int)
        sent = np.zeros_like(away)
        padded = np.concatenate([price, np.zeros((1, price.shape[1]))])
        sold = np.zeros_like(padded)
        covered = np.zeros_like(cover_price)
        value = self.constant + float(cover_price.sum())

        def of_family(number: int) -> tuple[float, np.ndarray | None]:
            return self._family(number, away, padded, cover_price, counts, sent, sold)

        for watts, more in self._map(of_family, range(len(self.families))):
            value += watts
            if more is not None:
                covered += more
        short = 1.0 - covered
        if self.problem.cover.max_hole_share > 0 and len(cover_price):
            holes = _best_holes(self.problem.cover, cover_price)
            value -= float((holes * cover_price).sum())
            short -= holes
        slack = -sold[:-1]
        if len(self.senders):
            cheapest = (by_arc <= away[graph.arc_class]).astype(float)
            each = sent[:-1] / np.maximum(self.from_class @ cheapest, 1)  # ties share
            slack = cheapest * each[graph.arc_class] + slack
        return value, slack, short, counts

    @staticmethod
    def _partly(table: _Table, price: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the states that have room for some of what others could send: W earned, and (parts, places) Mbit/s carried
        of `table.arcs`, those that pay most first."""
        gain, carried = np.zeros(len(table.part)), np.zeros(table.limit.shape)
        for first, last, width in table.chunks:
            sector, hour = table.part[first:last, 0], table.part[first:last, 1]
            limit = table.limit[first:last, :width]
            pays = price[table.arcs[first:last, :width], hour[:, None]]
            order = np.argsort(-pays, axis=1)
            order += width * np.arange(len(order))[:, None]  # flat
            pays, limit = pays.ravel()[order], limit.ravel()[order]
            start = np.cumsum(limit, axis=1)
            start -= limit
            used = np.zeros(pays.shape)
            before: np.ndarray | float = 0.0
            for c in range(table.slopes.shape[1]):
                filled = np.minimum(np.maximum(table.spare[first:last, c, None] - start, 0.0), limit)
                profit = np.maximum(pays - table.slopes[sector, c, None], 0.0)
                more = filled - before
                gain[first:last] += np.einsum("pa,pa->p", profit, more)
                used += more * (profit > 0)
                before = filled
            back = np.empty(used.size)
            back[order.ravel()] = used.ravel()
            carried[first:last, :width] = back.reshape(used.shape)
        return gain, carried

    def _family(
        self,
        number: int,
        away: np.ndarray,
        price: np.ndarray,
        cover_price: np.ndarray,
        counts: np.ndarray,
        sent: np.ndarray,
        sold: np.ndarray,
    ) -> tuple[float, np.ndarray | None]:
        """Least cost in Wh of the family's sectors; and (rows, hours) what it covers; sets counts, sent, sold."""
        family, table = self.families[number], self.tables[number]
        rows = family.rows
        to_send = away[table.send_class, table.send_hour] * table.send_mbps
        cost = table.fixed + np.bincount(table.send_at, to_send, table.fixed.size).reshape(table.fixed.shape)
        here = self.arcs_of[number]  # arcs into the family, and the places of their sectors in it
        into, place = here
        worth, most = price[into], self.most[into]
        ends, first = np.unique(place, return_index=True)
        for c in range(table.slopes.shape[1] if len(ends) else 0):
            gain = np.zeros(cost.shape[:2])
            each = np.maximum(worth - table.slopes[place, c, None], 0.0) * most
            gain[ends] = np.add.reduceat(each, first, axis=0)
            cost -= np.where(table.kind == c, gain[:, :, None], 0.0)
        partly, carried = self._partly(table, price)
        cost[tuple(table.part.T)] -= partly
        covers = self.covers[number]
        if covers is not None:
            reward = covers @ cover_price  # (sectors * states, hours)
            cost -= reward.reshape(len(rows), len(family.states), -1).transpose(0, 2, 1)
        value, chosen = best_schedule(cost, family.grid, family.states, family.wake_wh, *self.ends[number])
        # what the chosen states send and sell
        row, hour = np.arange(len(rows))[:, None], np.arange(chosen.shape[1])
        at = np.ravel_multi_index((row, hour, chosen), table.fixed.shape)
        taken = np.zeros(table.fixed.size, bool)
        taken[at] = True
        mine = taken[table.send_at]
        sent[table.send_class[mine], table.send_hour[mine]] = table.send_mbps[mine]
        kind = table.kind[row, hour, chosen]
        slope = np.where(kind >= 0, table.slopes[row, np.maximum(kind, 0)], np.inf)
        sold[into] = np.where(worth > slope[place], most, 0.0)
        some = table.number[row, hour, chosen]
        some = some[some >= 0]
        sold[table.arcs[some], table.part[some, 1, None]] += carried[some]
        counts[family.members] = family.counts[row, chosen].transpose(0, 2, 1)
        if covers is not None:
            on = np.zeros((len(rows), len(family.states), chosen.shape[1]))
            on[row, chosen, hour] = 1.0
            return float(value[self.counted[rows]].sum()), covers.T @ on.reshape(-1, chosen.shape[1])
        return float(value[self.counted[rows]].sum()), None


def _best_holes(cover: Cover, cover_price: np.ndarray) -> np.ndarray:
    """(rows, hours) 0..1: the rows worth most a km2, as many as the budget of holes allows."""
    area = cover.area_km2[cover.binding]
    order = np.argsort(-cover_price / np.maximum(area, 1e-12)[:, None], axis=0, kind="stable")
    sorted_area = area[order]
    left = cover.budget_km2 - (np.cumsum(sorted_area, axis=0) - sorted_area)
    share = np.clip(left / np.maximum(sorted_area, 1e-12), 0.0, 1.0)
    out = np.empty_like(share)
    np.put_along_axis(out, order, share, axis=0)
    return out
