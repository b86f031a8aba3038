"""A bound on the energy of any sleep plan, and what a Mbit/s is worth in each sector and hour.

Offloading couples sectors, switching couples hours, coverage couples cells that reach the same ground. Pricing the room
that a sector gives to others (price m_sh, W per Mbit/s, as a dispatcher prices a megawatt) and each row of coverage
(price c_rh, W) takes the network apart: each sector chooses its awake cells over the day alone,

    own traffic   carried at home as far as it fits, the rest sent, class by class, where offloading plus room is cheapest,
    spare room    sold to others at m_sh, up to what they could send,
    coverage      paid for at c_rh, for each row that the awake cells cover,
    switching     by dynamic programming over the hours,

and the sum of the sectors' least costs bounds the plan from below for every m, c >= 0 (Lagrangian relaxation, as in
unit commitment). Limits on switching (minimum times, wake-ups a day) are left out, and what a site or radio unit of
several sectors draws is split evenly among them: both only lower the bound. Subgradient steps raise it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from planning.sleep.families import Family, FamilyTraffic, covers_of, families, number_of_states, traffic_of
from planning.sleep.problem import SleepProblem
from planning.sleep.settings import SleepSettings
from planning.sleep.states import MAX_STATES, best_schedule

# W per Mbit/s that no other sector can carry: any finite price keeps the bound valid
NOWHERE_W = 1e4
PATIENCE = 12  # steps without gain after which they become shorter
CHECKED_EVERY, WORTH_ON = 20, 0.02  # go on while so many steps gain this share of the asked gap
# a step aims so much above its value, or at this share of the plan at hand
MIN_RISE, HOPED_FOR = 0.002, 0.995
SLOWED, SLOWEST = 0.6, 1e-3  # factor of the steps' length where they stall, and its end
MEMORY = 0.04  # weight of the newest counts in the average


@dataclass
class Bound:
    """The best prices so far. bound: Wh over the plan's hours, in the objective of `milp.ring_model`. price: (sectors,
    hours) W per Mbit/s of room. cover_price: (binding rows, hours) W. counts: (groups, hours) awake parts, averaged
    over the last steps: whole where there is no doubt."""

    bound: float
    price: np.ndarray
    cover_price: np.ndarray
    counts: np.ndarray


class PriceSearch:
    """Subgradient steps that can be taken a few at a time. None of it where a sector has more than MAX_STATES states."""

    def __init__(self, problem: SleepProblem, settings: SleepSettings):
        self.relaxed = _Relaxed(problem, settings)
        self.gap = settings.gap
        groups = problem.groups
        price = np.full((groups.sectors, problem.hours), float((groups.factor * groups.slope).mean()))
        cover = np.zeros((len(problem.cover.binding), problem.hours))
        # a row of coverage is worth about a cell, a Mbit/s about a watt
        self.weight = float(np.maximum(groups.wake_w, 1).mean() * max(groups.capacity.mean(), 1.0)) / 10
        value, slack, short, counts = self.relaxed.evaluate(price, cover)
        self.at = (price, cover, slack, short)
        self.now, self.value = self.at, value
        self.best = Bound(value, price, cover, counts.astype(float))
        self.pace, self.stalled, self.steps = 1.0, 0, 0
        self.ended = False

    @staticmethod
    def possible(problem: SleepProblem) -> bool:
        return number_of_states(problem.groups).max(initial=1) <= MAX_STATES

    def run(self, steps: int, best_plan: float, deadline: float) -> None:
        """Take up to `steps` steps until `deadline` (perf_counter); best_plan: Wh of a plan at hand."""
        for _ in range(steps):
            price, cover, slack, short = self.now
            length = float((slack**2).sum() + self.weight * (short**2).sum())
            if length == 0 or self.pace < SLOWEST or self.value >= best_plan * (1 - 1e-9):
                self.ended = True
                return
            if time.perf_counter() > deadline:
                return
            # the step of Polyak towards a value that the bound may well reach
            target = max(self.value + MIN_RISE * abs(self.value), HOPED_FOR * best_plan)
            stride = self.pace * (target - self.value) / length
            price = np.maximum(0.0, price + stride * slack)
            cover = np.maximum(0.0, cover + stride * self.weight * short)
            self.value, slack, short, counts = self.relaxed.evaluate(price, cover)
            self.now = (price, cover, slack, short)
            self.steps += 1
            average = self.best.counts
            average += max(MEMORY, 1 / (self.steps + 1)) * (counts - average)
            if self.value > self.best.bound + 1e-6 * abs(self.best.bound):
                self.best = Bound(self.value, price, cover, average)
                self.at, self.stalled = self.now, 0
            else:
                self.stalled += 1
                if self.stalled == PATIENCE:
                    self.now, self.value, self.stalled = self.at, self.best.bound, 0
                    self.pace *= SLOWED


@dataclass(frozen=True)
class _Table:
    """What a family's states cost and carry, whatever the prices. fixed: (sectors, hours, states) W, inf where banned.
    places: of the classes that others can carry; left: of each, (sectors, hours, states) Mbit/s that do not fit at home.
    parts: (sectors, hours, states) Mbit/s of room for others by slopes (sectors,)."""

    fixed: np.ndarray
    places: list[int]
    left: list[np.ndarray]
    parts: list[np.ndarray]
    slopes: list[np.ndarray]


class _Relaxed:
    """The sum of the sectors' least costs at given prices, and its subgradient."""

    def __init__(self, problem: SleepProblem, settings: SleepSettings):
        self.problem, self.graph, self.demand = problem, problem.graph, problem.demand
        self.offload_w = settings.offload_w_per_mbps
        groups, graph = problem.groups, problem.graph
        self.families = families(problem, settings)
        asleep = np.zeros((len(groups.site), 1))
        self.constant = float(groups.power_w(asleep, asleep).sum()) * problem.hours
        self.by_class = np.argsort(graph.arc_class, kind="stable")
        self.senders, self.first_arc = np.unique(graph.arc_class[self.by_class], return_index=True)
        self.to_target = graph.arcs_at(graph.arc_target, graph.sectors)
        self.from_class = graph.arcs_at(graph.arc_class, graph.classes)
        own = [traffic_of(family, self.demand) for family in self.families]
        most = np.zeros((graph.classes + 1, problem.hours))
        for family, mine in zip(self.families, own, strict=True):
            most[family.classes] = mine.left.max(axis=3)
        self.offered = self.to_target @ most[graph.arc_class]  # most that others could send
        sets = problem.cover.bound_sets()
        self.covers = [covers_of(f, sets) if sets.shape[0] else None for f in self.families]
        self.ends = [self._ends(f) for f in self.families]
        self.tables = [self._table(f, mine) for f, mine in zip(self.families, own, strict=True)]

    def _table(self, family: Family, own: FamilyTraffic) -> _Table:
        sends = np.bincount(self.graph.arc_class, minlength=self.graph.classes + 1) > 0
        nowhere = (own.left * ~sends[family.classes][:, :, None, None]).sum(axis=1)
        fixed = own.home_w + (family.wake_w + family.shared_w)[:, None, :] + NOWHERE_W * nowhere
        fixed = np.where(family.banned, np.inf, fixed)
        sold = np.minimum(own.spare, self.offered[family.rows][:, :, None, None])
        last = family.members.shape[1] - 1
        # a run of groups with the same slope is one
        differ = (family.slope[:, 1:] != family.slope[:, :-1]).any(axis=0)
        steps = [m for m in range(last + 1) if m == last or differ[m]]
        parts = np.diff(sold[:, :, :, steps], axis=3, prepend=0.0)
        places = [j for j in range(family.classes.shape[1]) if sends[family.classes[:, j]].any()]
        left = [np.where(sends[family.classes[:, j]][:, None, None], own.left[:, j], 0.0) for j in places]
        used = [j for j, part in enumerate(left) if part.any()]
        return _Table(
            fixed, [places[j] for j in used], [left[j] for j in used], [parts[..., i] for i in range(len(steps))],
            [family.slope[:, m] for m in steps],
        )  # fmt: skip

    def _ends(self, family: Family) -> tuple[np.ndarray | None, np.ndarray | None]:
        problem = self.problem
        if problem.before is None or problem.after is None:
            return None, None
        from planning.sleep.schedule import group_counts

        return tuple(
            family.state_of(group_counts(problem.groups, end[:, None]), problem.groups.lowest)[:, 0]
            for end in (problem.before, problem.after)
        )

    def evaluate(
        self, price: np.ndarray, cover_price: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """Bound in Wh, subgradients (sectors, hours) in Mbit/s and (rows, hours), awake counts (groups, hours)."""
        graph, demand = self.graph, self.demand
        away = np.full((graph.classes + 1, demand.shape[1]), NOWHERE_W)
        by_arc = self.offload_w + price[graph.arc_target]
        if len(self.senders):
            away[self.senders] = np.minimum.reduceat(by_arc[self.by_class], self.first_arc, axis=0)
        counts = np.zeros((len(self.problem.groups.site), demand.shape[1]), int)
        sent, sold = np.zeros_like(away), np.zeros_like(price)
        covered = np.zeros_like(cover_price)
        value = self.constant + float(cover_price.sum())
        for number in range(len(self.families)):
            value += self._family(number, away, price, cover_price, counts, sent, sold, covered)
        short = 1.0 - covered
        if self.problem.cover.max_hole_share > 0 and len(cover_price):
            holes = self._best_holes(cover_price)
            value -= float((holes * cover_price).sum())
            short -= holes
        slack = -sold
        if len(self.senders):
            cheapest = (by_arc <= away[graph.arc_class]).astype(float)
            each = sent[:-1] / np.maximum(self.from_class @ cheapest, 1)  # ties share
            slack = self.to_target @ (cheapest * each[graph.arc_class]) - sold
        return value, slack, short, counts

    def _best_holes(self, cover_price: np.ndarray) -> np.ndarray:
        """(rows, hours) 0..1: the rows worth most a km2, as many as the budget of holes allows."""
        area = self.problem.cover.area_km2[self.problem.cover.binding]
        order = np.argsort(-cover_price / np.maximum(area, 1e-12)[:, None], axis=0, kind="stable")
        sorted_area = area[order]
        left = self.problem.cover.budget_km2 - (np.cumsum(sorted_area, axis=0) - sorted_area)
        share = np.clip(left / np.maximum(sorted_area, 1e-12), 0.0, 1.0)
        out = np.empty_like(share)
        np.put_along_axis(out, order, share, axis=0)
        return out

    def _family(
        self,
        number: int,
        away: np.ndarray,
        price: np.ndarray,
        cover_price: np.ndarray,
        counts: np.ndarray,
        sent: np.ndarray,
        sold: np.ndarray,
        covered: np.ndarray,
    ) -> float:
        """Least cost in Wh of the family's sectors; adds to counts, sent (by class), sold and covered what it chooses."""
        family, table = self.families[number], self.tables[number]
        rows = family.rows
        cost = table.fixed.copy()
        for place, left in zip(table.places, table.left, strict=True):
            cost += away[family.classes[:, place]][:, :, None] * left
        worth = [np.maximum(price[rows] - slope[:, None], 0.0) for slope in table.slopes]
        for gain, part in zip(worth, table.parts, strict=True):
            cost -= gain[:, :, None] * part
        covers = self.covers[number]
        if covers is not None:
            reward = covers @ cover_price  # (sectors * states, hours)
            cost -= reward.reshape(len(rows), len(family.states), -1).transpose(0, 2, 1)
        value, chosen = best_schedule(cost, family.grid, family.states, family.wake_wh, *self.ends[number])
        # what the chosen states send and sell
        row, hour = np.arange(len(rows))[:, None], np.arange(chosen.shape[1])
        for place, left in zip(table.places, table.left, strict=True):
            sent[family.classes[:, place]] = left[row, hour, chosen]
        for gain, part in zip(worth, table.parts, strict=True):
            sold[rows] += np.where(gain > 0, part[row, hour, chosen], 0.0)
        counts[family.members] = family.counts[row, chosen].transpose(0, 2, 1)
        if covers is not None:
            on = np.zeros((len(rows), len(family.states), chosen.shape[1]))
            on[row, chosen, hour] = 1.0
            covered += covers.T @ on.reshape(-1, chosen.shape[1])
        return float(value.sum())
