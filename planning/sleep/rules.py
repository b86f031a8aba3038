"""The strategies that need no solver."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from planning.sleep.dispatch import Dispatch, dispatch
from planning.sleep.problem import UNSERVED_MBPS, SleepProblem, SleepSettings
from planning.sleep.schedule import bridge, hold, to_cells


def always_on(problem: SleepProblem, settings: SleepSettings) -> np.ndarray:
    """Every cell awake in every hour."""
    return np.ones((len(problem.network.cells), problem.hours), bool)


def night(problem: SleepProblem, settings: SleepSettings) -> np.ndarray:
    """All but the coverage cells asleep in a fixed window of every day, whatever the traffic: today's practice."""
    first, last = settings.night
    hour = np.arange(problem.hours) % 24
    asleep = (hour >= first) & (hour < last) if first <= last else (hour >= first) | (hour < last)
    groups = problem.groups
    counts = np.where(asleep, groups.coverage[:, None], groups.count[:, None])
    return to_cells(groups, counts)


def threshold(problem: SleepProblem, settings: SleepSettings) -> np.ndarray:
    """A site sends a cell to sleep while the rest stays below `sleep_below` of its capacity, and wakes one while it
    is above `wake_above`; each site looks at its own traffic only. The day is run twice, the second time is kept."""
    groups, demand = problem.groups, problem.demand
    counts = problem.all_awake()
    for site in range(groups.sites):
        mine = np.flatnonzero(groups.site == site)
        # the biggest saver per Mbit/s goes to sleep first and wakes last
        order = mine[
            np.argsort(-groups.wake_w[mine] / np.maximum(groups.capacity[mine], 1e-9), kind="stable")
        ]
        now = groups.count[mine].copy()
        place = {g: i for i, g in enumerate(mine)}
        for turn in range(2 * problem.hours):
            load = demand[site, turn % problem.hours]
            while True:
                capacity = float(now @ groups.capacity[mine])
                if load > settings.wake_above * capacity:
                    g = next((g for g in order[::-1] if now[place[g]] < groups.count[g]), None)
                    step = 1
                else:
                    g = next((g for g in order if now[place[g]] > groups.coverage[g]), None)
                    step = -1
                    if g is not None and load >= settings.sleep_below * (capacity - groups.capacity[g]):
                        g = None
                if g is None:
                    break
                now[place[g]] += step
            counts[mine, turn % problem.hours] = now
    return hold(to_cells(groups, counts), settings.min_up)


def greedy(problem: SleepProblem, settings: SleepSettings) -> np.ndarray:
    """Hour by hour: just enough cells for each site's own traffic, then put the emptiest to sleep while the ring has
    room for what they carried; then keep woken cells up for the minimum time and bridge gaps not worth a switch."""
    counts = np.stack([_greedy_hour(problem, hour) for hour in range(problem.hours)], axis=1)
    groups = problem.groups
    awake = bridge(groups, to_cells(groups, counts), settings.switch_wh)
    return hold(awake, settings.min_up)


def _greedy_hour(problem: SleepProblem, hour: int) -> np.ndarray:
    """(groups,) awake counts that serve the hour's demand."""
    groups, ring = problem.groups, problem.ring
    demand = problem.demand[:, hour]
    counts = groups.lowest.copy()
    room = np.bincount(groups.site, groups.capacity * counts, groups.sites) - demand
    order = np.argsort(groups.wake_w / np.maximum(groups.capacity, 1e-9), kind="stable")
    for g in order:  # cheapest capacity first until the site carries its own traffic
        need = -room[groups.site[g]]
        if need > 0 and groups.capacity[g] > 0:
            more = min(groups.count[g] - counts[g], math.ceil(need / groups.capacity[g] - 1e-9))
            counts[g] += more
            room[groups.site[g]] += more * groups.capacity[g]
    targets: list[list[int]] = [[] for _ in range(groups.sites)]
    for s, t in zip(ring.source.tolist(), ring.target.tolist(), strict=True):
        targets[s].append(t)
    if (room < -1e-9).any():  # some sites need others even with everything awake
        counts, served = _wake_until_served(problem, hour, counts, targets)
        if (served.unserved > UNSERVED_MBPS).any():  # nobody can help
            return groups.count.copy()
        room = groups.capacity_of(counts[:, None])[:, 0] - served.load[:, 0]
    # what a cell's sleep pushes onto the ring is its share of the load beyond the rest of the site
    candidates = [g for g in np.flatnonzero(counts > groups.lowest)]
    candidates.sort(key=lambda g: (groups.capacity[g] - room[groups.site[g]], g))
    for g in candidates:
        site = groups.site[g]
        while counts[g] > groups.lowest[g]:
            push = groups.capacity[g] - room[site]
            if push > 0:
                open_targets = [t for t in targets[site] if room[t] > 0]
                if sum(room[t] for t in open_targets) < push:
                    break
                for t in open_targets:
                    step = min(push, room[t])
                    room[t] -= step
                    push -= step
                room[site] = 0.0
            else:
                room[site] -= groups.capacity[g]
            counts[g] -= 1
    # what was passed on twice may have left the ring that it came from
    return _wake_until_served(problem, hour, counts, targets)[0]


def _wake_until_served(
    problem: SleepProblem, hour: int, counts: np.ndarray, targets: list[list[int]]
) -> tuple[np.ndarray, Dispatch]:
    """Counts with all cells awake at and around the sites in need, ring by ring, and the Dispatch they give."""
    groups, ring = problem.groups, problem.ring
    demand = problem.demand[:, [hour]]
    helping = np.zeros(0, int)
    while True:
        served = dispatch(demand, groups.capacity_of(counts[:, None]), ring)
        needy = np.flatnonzero(served.unserved[:, 0] > UNSERVED_MBPS)
        if not needy.size:
            return counts, served
        inner = np.union1d(helping, needy)
        wider = np.unique(np.concatenate([inner, *(np.array(targets[s], int) for s in inner)]))
        if wider.size == helping.size:
            return counts, served
        helping = wider
        counts = np.where(np.isin(groups.site, helping), groups.count, counts)


# each: (SleepProblem, SleepSettings) -> (cells, hours) bool
RULES: dict[str, Callable[[SleepProblem, SleepSettings], np.ndarray]] = {
    "always-on": always_on,
    "night": night,
    "threshold": threshold,
    "greedy": greedy,
}
