"""Making a sleep plan better site by site.

One site after the other is planned anew over all hours while the others stay as they are: each state of its cells has
its cost in each hour (own power, and offloading to the room that neighbours have), and dynamic programming finds the
cheapest sequence of states. Served traffic stays served. A sweep over the sites takes away what planning hour by hour
left behind: cells that minimum up times kept awake make room that lets a neighbour's cell sleep.
"""

from __future__ import annotations

import time

import numpy as np

from planning.energy import rows_of_each
from planning.sleep.dispatch import dispatch
from planning.sleep.problem import SleepProblem, SleepSettings
from planning.sleep.schedule import hold, woken
from planning.sleep.site_schedule import MOST_STATES, best_schedule, states_of

WORTHWHILE_WH = 1e-6  # less is rounding
MOST_SWEEPS = 4  # over all sites


def sweep(problem: SleepProblem, settings: SleepSettings, awake: np.ndarray, seconds: float) -> np.ndarray:
    """Awake cells (cells, hours) that serve what `awake` serves, at less cost, after at most `seconds` of sweeps."""
    deadline = time.perf_counter() + seconds
    state = _Service(problem, settings, awake)
    for _ in range(MOST_SWEEPS):
        changed = False
        for site in state.order():
            if time.perf_counter() > deadline:
                return state.awake
            changed |= state.improve(site)
        if not changed:
            break
    return state.awake


class _Service:
    """Who serves what, kept up to date while sites change. All arrays by hour, Mbit/s."""

    def __init__(self, problem: SleepProblem, settings: SleepSettings, awake: np.ndarray):
        self.settings, self.groups, self.ring = settings, problem.groups, problem.ring
        groups = problem.groups
        self.demand, self.awake = problem.demand, awake.copy()
        counts = np.stack([awake[cells].sum(axis=0) for cells in groups.cells])
        capacity = groups.capacity_of(counts)
        served = dispatch(problem.demand, capacity, problem.ring)
        self.moved = served.moved.copy()
        self.room = capacity - served.load
        ring = problem.ring
        self.out = rows_of_each(ring.source, groups.sites)  # nearest first, as the ring is
        self.into = rows_of_each(ring.target, groups.sites)
        self.members = rows_of_each(groups.site, groups.sites)
        self.cheapest = np.full(groups.sites, np.inf)
        np.minimum.at(self.cheapest, groups.site, groups.factor * groups.slope)

    def order(self) -> np.ndarray:
        """Sites whose awake cells have most room first: they can sleep most easily."""
        return np.argsort(-self.room.sum(axis=1), kind="stable")

    def improve(self, site: int) -> bool:
        """Plan the site's cells anew; True where that saves something."""
        groups, members = self.groups, self.members[site]
        free = members[groups.count[members] > groups.lowest[members]]
        if not len(free):
            return False
        grid = tuple((groups.count[free] - groups.lowest[free] + 1).tolist())
        if np.prod(grid) > MOST_STATES:
            return False
        states = states_of(grid)
        inflow = self.moved[self.into[site]].sum(axis=0)
        targets = self.ring.target[self.out[site]]
        # what the neighbours could take of this site's traffic
        space = self.room[targets] + self.moved[self.out[site]]
        cost, keep = self._costs(site, members, free, states, inflow, space, targets)
        cells = [groups.cells[g] for g in free]
        now = np.stack([self.awake[c].sum(axis=0) for c in cells], axis=1) - groups.lowest[free]
        present = np.ravel_multi_index(tuple(now.T), grid)
        hours = np.arange(len(inflow))
        _, found = best_schedule(cost[None], grid, states, self.settings.switch_wh)
        proposed = self._held(free, states[found[0]])
        counts = np.stack([rows.sum(axis=0) for rows in proposed], axis=1) - groups.lowest[free]
        chosen = np.ravel_multi_index(tuple(counts.T), grid)
        price = self.settings.switch_wh
        before = cost[hours, present].sum() + price * sum(woken(self.awake[c]).sum() for c in cells)
        after = cost[hours, chosen].sum() + price * sum(woken(rows).sum() for rows in proposed)
        if not after < before - WORTHWHILE_WH:
            return False
        for c, rows in zip(cells, proposed, strict=True):
            self.awake[c] = rows
        self._serve(site, keep[hours, chosen], inflow, space, targets)
        return True

    def _costs(
        self,
        site: int,
        members: np.ndarray,
        free: np.ndarray,
        states: np.ndarray,
        inflow: np.ndarray,
        space: np.ndarray,
        targets: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(hours, states) W with inf where a state cannot serve, and (hours, states) own traffic that stays.

        inflow: (hours,) traffic of neighbours that the site carries; space: (targets, hours) what they could take.
        """
        groups, demand = self.groups, self.demand[site]
        counts = np.repeat(groups.lowest[members][None, :], len(states), axis=0)
        counts[:, np.searchsorted(members, free)] += states
        rooms = groups.capacity[members] * counts  # (states, members)
        able = rooms.sum(axis=1) - inflow[:, None]
        keep = np.minimum(np.maximum(able, 0.0), demand[:, None])
        away = demand[:, None] - keep
        cost = np.repeat((groups.wake_w[members] * counts).sum(axis=1)[None, :], len(demand), axis=0)
        if groups.site_sleeps:
            cost += groups.site_w[site] * (counts.sum(axis=1) > 0)
        left = keep + inflow[:, None]
        slope = groups.factor[members] * groups.slope[members]
        for m in np.argsort(slope, kind="stable"):
            used = np.minimum(left, rooms[:, m])
            cost += slope[m] * used
            left = left - used
        elsewhere = self.cheapest[targets].mean() if len(targets) else 0.0
        cost += (self.settings.offload_w_per_mbps + elsewhere) * away
        cost[(able < -1e-9) | (away > space.sum(axis=0)[:, None] + 1e-9)] = np.inf
        return cost, keep

    def _held(self, free: np.ndarray, counts: np.ndarray) -> list[np.ndarray]:
        """Each free group's awake cells (cells, hours) by counts (hours, free groups), minimum up times kept."""
        groups = self.groups
        nested = [
            np.arange(len(groups.cells[g]))[:, None] < counts[:, column] + groups.lowest[g]
            for column, g in enumerate(free)
        ]
        return [hold(rows, self.settings.min_up) for rows in nested]

    def _serve(
        self, site: int, keep: np.ndarray, inflow: np.ndarray, space: np.ndarray, targets: np.ndarray
    ) -> None:
        """Send what does not stay to the neighbours, nearest first."""
        left = self.demand[site] - keep
        for row, arc in enumerate(self.out[site]):
            step = np.minimum(left, space[row])
            self.room[targets[row]] += self.moved[arc] - step
            self.moved[arc] = step
            left = left - step
        groups, members = self.groups, self.members[site]
        counts = np.stack([self.awake[groups.cells[g]].sum(axis=0) for g in members])
        self.room[site] = groups.capacity[members] @ counts - inflow - keep
