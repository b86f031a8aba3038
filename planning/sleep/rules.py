"""The strategies that need no solver, and the bookkeeping of minimum up times on a cyclic schedule."""

from __future__ import annotations

import math

import numpy as np

from planning.energy import Groups
from planning.sleep.dispatch import Dispatch, dispatch
from planning.sleep.problem import UNSERVED_MBPS, SleepProblem, SleepSettings

# each rule: (SleepProblem, SleepSettings) -> (cells, hours) bool


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
    return hold(groups, to_cells(groups, counts), settings.min_up)


def greedy(problem: SleepProblem, settings: SleepSettings) -> np.ndarray:
    """Hour by hour: just enough cells for each site's own traffic, then put the emptiest to sleep while the ring has
    room for what they carried; then keep woken cells up for the minimum time and bridge gaps not worth a switch."""
    counts = np.stack([_greedy_hour(problem, hour) for hour in range(problem.hours)], axis=1)
    groups = problem.groups
    awake = bridge(groups, to_cells(groups, counts), settings.switch_wh)
    return hold(groups, awake, settings.min_up)


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


def to_cells(groups: Groups, counts: np.ndarray) -> np.ndarray:
    """(groups, hours) counts -> (cells, hours) bool, first cells first: the first to wake is the last to sleep."""
    total = sum(len(c) for c in groups.cells)
    awake = np.zeros((total, counts.shape[1]), bool)
    for g, cells in enumerate(groups.cells):
        awake[cells] = np.arange(len(cells))[:, None] < counts[g]
    return awake


def runs_up(row: np.ndarray) -> list[tuple[int, int]]:
    """Cyclic runs of awake hours as (start, length); none for always or never awake."""
    if row.all() or not row.any():
        return []
    hours = len(row)
    starts = np.flatnonzero(row & ~np.roll(row, 1))
    runs = []
    for start in starts:
        turned = np.roll(row, -start)
        runs.append((int(start), int(np.argmin(turned)) if not turned.all() else hours))
    return runs


def hold(groups: Groups, awake: np.ndarray, min_up: int) -> np.ndarray:
    """Keep every woken cell awake for at least min_up hours (cyclic); only ever adds awake hours."""
    if min_up <= 1:
        return awake
    hours = awake.shape[1]
    started = awake & ~np.roll(awake, 1, axis=1)
    out = awake.copy()
    for k in range(1, min(min_up, hours)):
        out |= np.roll(started, k, axis=1)
    return out


def bridge(groups: Groups, awake: np.ndarray, switch_wh: float) -> np.ndarray:
    """Stay awake through gaps whose saving is below the price of waking again."""
    out = awake.copy()
    for g, cells in enumerate(groups.cells):
        if not groups.wake_w[g] > 0:
            continue
        longest = math.ceil(switch_wh / groups.wake_w[g]) - 1  # hours of sleep that do not pay for a switch
        if longest < 1:
            continue
        for cell in cells:
            for start, length in runs_up(~out[cell]):
                if length <= longest:
                    out[cell, (start + np.arange(length)) % out.shape[1]] = True
    return out


def spread_counts(counts: np.ndarray, cells: int, min_up: int) -> np.ndarray | None:
    """(hours,) counts -> (cells, hours) bool where every cell's own runs last min_up hours, without extra switches.

    None where no such schedule is found: then the count is only feasible with cells that swap roles every day.
    """
    nested = np.arange(cells)[:, None] < counts
    if _holds(nested, min_up):
        return nested
    base = int(counts.min())
    hours = len(counts)
    cut = int(counts.argmin())
    extra = np.roll(counts, -cut) - base
    out = np.zeros((cells, hours), bool)
    out[:base] = True
    queue: list[int] = []  # awake cells, longest awake first
    free = list(range(base, cells))
    for hour in range(hours):
        while len(queue) > extra[hour]:
            free.append(queue.pop(0))
        while len(queue) < extra[hour]:
            queue.append(free.pop(0))
        out[queue, hour] = True
    out = np.roll(out, cut, axis=1)
    return out if _holds(out, min_up) else None


def _holds(awake: np.ndarray, min_up: int) -> bool:
    return all(length >= min_up for row in awake for _, length in runs_up(row))
