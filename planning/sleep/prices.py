"""A bound on the energy of any sleep plan, and what a Mbit/s is worth at each site and hour.

The ring couples sites, switching couples hours. Pricing the room that a site gives to its neighbours (price m_sh, W per
Mbit/s, as a dispatcher prices a megawatt) takes the ring apart: each site chooses its awake cells over the day alone,

    own traffic   carried at home, or sent to the neighbour where offloading plus room is cheapest,
    spare room    sold to neighbours at m_sh, up to what they could send,
    switching     by dynamic programming over the hours,

and the sum of the sites' least costs bounds the plan from below for every m >= 0 (Lagrangian relaxation, as in unit
commitment; minimum up times are left out, which only lowers the bound). Subgradient steps raise it: m rises where
neighbours send more than the site sells. The counts of the last steps, averaged, say which cells are in doubt.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from planning.energy import Groups, rows_of_each
from planning.sleep.problem import SleepProblem, SleepSettings
from planning.sleep.site_schedule import MOST_STATES, best_schedule, states_of

# W per Mbit/s that a site without neighbours cannot carry: any finite price keeps the bound valid
NOWHERE_W = 1e4
FEWEST_STEPS, MOST_STEPS = 200, 600
PATIENCE = 15  # steps without gain after which they become shorter
CHECKED_EVERY, WORTH_ON = 25, 0.01  # go on while so many steps gain this share of the asked gap
# a step aims so much above its value, or at this share of the plan at hand
LEAST_RISE, HOPED_FOR = 0.002, 0.99
SLOWED, SLOWEST = 0.6, 1e-3  # factor of the steps' length where they stall, and its end
MEMORY = 0.03  # weight of the newest counts in the average


@dataclass(frozen=True)
class PriceBound:
    """What the best prices say."""

    bound: float  # Wh over the plan's hours, in the objective of `milp.ring_model`
    price: np.ndarray  # (sites, hours) W per Mbit/s of room
    counts: (
        np.ndarray
    )  # (groups, hours) awake cells, averaged over the last steps: whole where there is no doubt


def price_bound(
    problem: SleepProblem, settings: SleepSettings, best: float, seconds: float
) -> PriceBound | None:
    """The bound after at most `seconds` of steps; best: Wh of a plan at hand. None where a site has more than
    MOST_STATES states of awake cells."""
    groups = problem.groups
    if _number_of_states(groups).max(initial=1) > MOST_STATES:
        return None
    deadline = time.perf_counter() + seconds
    relaxed = _Relaxed(problem, settings)
    price = np.full(problem.demand.shape, float((groups.factor * groups.slope).mean()))
    value, slack, counts = relaxed.evaluate(price)
    found, at, average = value, (price, slack), counts.astype(float)
    pace, stalled, earlier = 1.0, 0, -np.inf
    for step in range(MOST_STEPS):
        if step % CHECKED_EVERY == 0:
            if step >= FEWEST_STEPS and found - earlier < WORTH_ON * settings.gap * abs(found):
                break
            earlier = found
        length = float((slack**2).sum())
        if length == 0 or pace < SLOWEST or value >= best or time.perf_counter() > deadline:
            break
        # the step of Polyak towards a value that the bound may well reach
        target = max(value + LEAST_RISE * abs(value), HOPED_FOR * best)
        price = np.maximum(0.0, price + pace * (target - value) / length * slack)
        value, slack, counts = relaxed.evaluate(price)
        average += max(MEMORY, 1 / (step + 1)) * (counts - average)
        if value > found + 1e-6 * abs(found):
            found, at, stalled = value, (price, slack), 0
        elif (stalled := stalled + 1) == PATIENCE:
            (price, slack), value, pace, stalled = at, found, SLOWED * pace, 0
    return PriceBound(found, at[0], average)


def _number_of_states(groups: Groups) -> np.ndarray:
    """(sites,) number of different awake counts."""
    states = np.ones(groups.sites)
    np.multiply.at(states, groups.site, groups.count - groups.lowest + 1)
    return states


@dataclass(frozen=True)
class _Family:
    """Sites whose free groups have the same counts, so that their states are the same: looked at at once."""

    rows: np.ndarray  # (sites of the family,) row of each
    free: np.ndarray  # (sites, free groups)
    grid: tuple[int, ...]  # of each free group: how many counts it may have
    states: np.ndarray  # (states, free groups) counts beyond the lowest
    wake_w: np.ndarray  # (sites, states)
    room: tuple[
        np.ndarray, ...
    ]  # of each group by merit, fewest W per Mbit/s first: (sites, states) Mbit/s ...
    slope: tuple[np.ndarray, ...]  # ... and (sites,) W per Mbit/s


class _Relaxed:
    """The sum of the sites' least costs at given prices, and its subgradient."""

    def __init__(self, problem: SleepProblem, settings: SleepSettings):
        self.ring, self.demand = problem.ring, problem.demand
        self.offload_w, self.switch_wh = settings.offload_w_per_mbps, settings.switch_wh
        groups = problem.groups
        self.lowest = groups.lowest
        hours = problem.hours
        lowest = np.repeat(groups.lowest[:, None].astype(float), hours, axis=1)
        self.constant = float(groups.power_w(lowest, np.zeros_like(lowest)).sum())
        ring, sites = problem.ring, groups.sites
        arcs = len(ring.source)
        ones, arc = np.ones(arcs), np.arange(arcs)
        # (sites, arcs): sums over the arcs that leave a site, and over those that reach it
        self.from_source = sparse.csr_array((ones, (ring.source, arc)), (sites, arcs))
        self.to_target = sparse.csr_array((ones, (ring.target, arc)), (sites, arcs))
        self.by_source = np.argsort(ring.source, kind="stable")
        self.senders, self.first_arc = np.unique(ring.source[self.by_source], return_index=True)
        self.offered = self.to_target @ self.demand[ring.source]  # most that neighbours could send
        self.families = _families(groups)

    def evaluate(self, price: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Bound in Wh, subgradient (sites, hours) in Mbit/s, awake counts (groups, hours)."""
        ring, demand = self.ring, self.demand
        by_arc = self.offload_w + price[ring.target]
        away = np.full(demand.shape, NOWHERE_W)
        if len(self.senders):
            away[self.senders] = np.minimum.reduceat(by_arc[self.by_source], self.first_arc, axis=0)
        counts = np.repeat(self.lowest[:, None], demand.shape[1], axis=1)
        sent, sold = np.zeros_like(demand), np.zeros_like(demand)
        value = self.constant
        for family in self.families:
            rows = family.rows
            value += self._family(family, away[rows], price[rows], counts, sent, sold)
        cheapest = (by_arc <= away[ring.source]).astype(float)
        each = sent / np.maximum(self.from_source @ cheapest, 1)  # ties share
        return value, self.to_target @ (cheapest * each[ring.source]) - sold, counts

    def _family(
        self,
        family: _Family,
        away: np.ndarray,
        price: np.ndarray,
        counts: np.ndarray,
        sent: np.ndarray,
        sold: np.ndarray,
    ) -> float:
        """Least cost in Wh of the family's sites; adds to counts, sent and sold (by site) what it chooses."""
        rows = family.rows
        demand, offered = self.demand[rows], self.offered[rows]
        own_first = away >= price  # whose traffic is worth more room
        dear, cheap = np.maximum(away, price), np.minimum(away, price)
        left_dear = np.repeat(np.where(own_first, demand, offered)[:, :, None], len(family.states), axis=2)
        left_cheap = np.repeat(np.where(own_first, offered, demand)[:, :, None], len(family.states), axis=2)
        gain = np.zeros_like(left_dear)
        for room_of, slope in zip(family.room, family.slope, strict=True):
            room = np.repeat(room_of[:, None, :], demand.shape[1], axis=1)
            for left, worth in ((left_dear, dear), (left_cheap, cheap)):
                profit = np.maximum(worth - slope[:, None], 0.0)[:, :, None]
                used = np.where(profit > 0, np.minimum(left, room), 0.0)
                gain += used * profit
                left -= used
                room -= used
        cost = (away * demand)[:, :, None] + family.wake_w[:, None, :] - gain
        value, chosen = best_schedule(cost, family.grid, family.states, self.switch_wh)
        pick = (np.arange(len(rows))[:, None], np.arange(demand.shape[1])[None, :], chosen)
        left_own = np.where(own_first, left_dear[pick], left_cheap[pick])
        left_offered = np.where(own_first, left_cheap[pick], left_dear[pick])
        sent[rows], sold[rows] = left_own, offered - left_offered
        for g in range(family.free.shape[1]):
            counts[family.free[:, g]] += family.states[chosen, g]
        return float(value.sum())


def _families(groups: Groups) -> list[_Family]:
    members: dict[tuple[int, ...], list[int]] = {}
    of_site = rows_of_each(groups.site, groups.sites)
    free_of = [mine[groups.count[mine] > groups.lowest[mine]] for mine in of_site]
    for site, free in enumerate(free_of):
        key = (len(of_site[site]), *(groups.count[free] - groups.lowest[free]).tolist())
        members.setdefault(key, []).append(site)
    return [_family(groups, key[1:], rows, of_site, free_of) for key, rows in members.items()]


def _family(
    groups: Groups,
    most: tuple[int, ...],
    rows: list[int],
    of_site: list[np.ndarray],
    free_of: list[np.ndarray],
) -> _Family:
    grid = tuple(m + 1 for m in most)
    states = states_of(grid)
    free = np.array([free_of[s] for s in rows], int).reshape(len(rows), len(grid))
    wake = groups.wake_w[free] @ states.T if free.size else np.zeros((len(rows), 1))
    if groups.site_sleeps:
        wake = wake + groups.site_w[rows][:, None] * (states.sum(axis=1) > 0)
    cost = groups.factor * groups.slope
    ranked = np.array([sorted(of_site[s], key=lambda g: (cost[g], g)) for s in rows], int)
    room, slope = [], []
    for group in ranked.T:
        awake = np.repeat(groups.lowest[group][:, None], len(states), axis=1)
        for g in range(free.shape[1]):
            awake = awake + np.where((free[:, g] == group)[:, None], states[:, g], 0)
        room.append(groups.capacity[group][:, None] * awake)
        slope.append(cost[group])
    return _Family(np.array(rows), free, grid, states, wake, tuple(room), tuple(slope))
