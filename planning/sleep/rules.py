"""The strategies that need no solver."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from planning.energy import Groups, rows_of_each
from planning.sleep.dispatch import Dispatch, dispatch
from planning.sleep.problem import UNSERVED_MBPS, SleepProblem, SleepSettings
from planning.sleep.schedule import bridge, hold, to_cells

_LEAST_MBPS = 1e-9  # capacity of a cell without any, for a finite price of its Mbit/s
_ROUNDING = 1e-9


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
    groups, hours = problem.groups, problem.hours
    counts = problem.all_awake()
    for site, mine in enumerate(rows_of_each(groups.site, groups.sites)):
        now = groups.count[mine].copy()
        for turn in range(2 * hours):
            _settle(groups, mine, now, problem.demand[site, turn % hours], settings)
            counts[mine, turn % hours] = now
    return hold(to_cells(groups, counts), settings.min_up)


def _settle(groups: Groups, mine: np.ndarray, now: np.ndarray, load: float, settings: SleepSettings) -> None:
    """Wake cells of a site or send them to sleep, one by one, until its load (Mbit/s) is between the thresholds.

    mine: its groups; now: (its groups,) awake counts, changed in place.
    """
    count, coverage, capacity = groups.count[mine], groups.coverage[mine], groups.capacity[mine]
    # the biggest saver per Mbit/s goes to sleep first and wakes last
    order = np.argsort(-groups.wake_w[mine] / np.maximum(capacity, _LEAST_MBPS), kind="stable")
    while True:
        total = float(now @ capacity)
        if load > settings.wake_above * total:
            asleep = [g for g in order[::-1] if now[g] < count[g]]
            if not asleep:
                return
            now[asleep[0]] += 1
        else:
            awake = [g for g in order if now[g] > coverage[g]]
            if not awake or load >= settings.sleep_below * (total - capacity[awake[0]]):
                return
            now[awake[0]] -= 1


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
    counts, room = _enough_at_home(groups, problem.demand[:, hour])
    targets = [ring.target[arcs].tolist() for arcs in rows_of_each(ring.source, groups.sites)]
    if (room < -_ROUNDING).any():  # some sites need others even with everything awake
        counts, served = _wake_until_served(problem, hour, counts, targets)
        if (served.unserved > UNSERVED_MBPS).any():  # nobody can help
            return groups.count.copy()
        room = groups.capacity_of(counts[:, None])[:, 0] - served.load[:, 0]
    _send_to_sleep(groups, targets, counts, room)
    # what was passed on twice may have left the ring that it came from
    return _wake_until_served(problem, hour, counts, targets)[0]


def _enough_at_home(groups: Groups, demand: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(groups,) counts with which each site carries its own demand (sites,), cheapest capacity first, and (sites,)
    Mbit/s of room, negative where all its cells do not suffice."""
    counts = groups.lowest.copy()
    room = np.bincount(groups.site, groups.capacity * counts, groups.sites) - demand
    for g in np.argsort(groups.wake_w / np.maximum(groups.capacity, _LEAST_MBPS), kind="stable"):
        need = -room[groups.site[g]]
        if need > 0 and groups.capacity[g] > 0:
            more = min(groups.count[g] - counts[g], math.ceil(need / groups.capacity[g] - _ROUNDING))
            counts[g] += more
            room[groups.site[g]] += more * groups.capacity[g]
    return counts, room


def _send_to_sleep(groups: Groups, targets: list[list[int]], counts: np.ndarray, room: np.ndarray) -> None:
    """One cell after the other while the ring has room for what it carried; counts, room: changed in place.

    What a cell's sleep pushes onto the ring is its share of the load beyond the rest of the site: those with the least
    to push come first.
    """
    candidates = np.flatnonzero(counts > groups.lowest).tolist()
    candidates.sort(key=lambda g: (groups.capacity[g] - room[groups.site[g]], g))
    for g in candidates:
        site = groups.site[g]
        while counts[g] > groups.lowest[g]:
            push = groups.capacity[g] - room[site]
            if push <= 0:
                room[site] -= groups.capacity[g]
            elif _pushed(push, targets[site], room):
                room[site] = 0.0
            else:
                break
            counts[g] -= 1


def _pushed(mbps: float, targets: list[int], room: np.ndarray) -> bool:
    """Whether neighbours, nearest first, have room for so much; if so, it is taken."""
    open_targets = [t for t in targets if room[t] > 0]
    if sum(room[t] for t in open_targets) < mbps:
        return False
    for target in open_targets:
        step = min(mbps, room[target])
        room[target] -= step
        mbps -= step
    return True


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
