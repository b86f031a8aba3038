"""The strategies that need no solver. Each ends as awake parts (parts, hours) within the limits and with the coverage
that has to be kept."""

from __future__ import annotations

import time

import numpy as np

from planning.sleep.keeper import Keeper
from planning.sleep.problem import SleepProblem
from planning.sleep.repair import MIN_CAPACITY_MBPS, served
from planning.sleep.schedule import group_counts, to_parts
from planning.sleep.settings import SleepSettings
from planning.sleep.sweep import Sweeper


def always_on(problem: SleepProblem, settings: SleepSettings) -> np.ndarray:
    """Every cell awake in every hour."""
    return np.ones((problem.groups.number_of_parts, problem.hours), bool)


def night(problem: SleepProblem, settings: SleepSettings) -> np.ndarray:
    """All but the coverage cells asleep in a fixed window of every day, whatever the traffic: today's practice. Cells
    that alone cover some ground stay awake."""
    first, last = settings.night
    hour = np.arange(problem.hours) % 24
    asleep = (hour >= first) & (hour < last) if first <= last else (hour >= first) | (hour < last)
    groups = problem.groups
    counts = np.where(asleep, groups.coverage[:, None], groups.count[:, None])
    return allowed(problem, settings, counts)


def threshold(problem: SleepProblem, settings: SleepSettings) -> np.ndarray:
    """A sector sends a cell to sleep while the rest stays below `sleep_below` of its capacity, and wakes one while it
    is above `wake_above`; each looks at its own traffic only. The day is run twice, the second time is kept."""
    groups, hours = problem.groups, problem.hours
    load = problem.by_sector(problem.demand)
    least = np.maximum(problem.least(), groups.coverage[:, None])
    ladders = _ladders(problem, least.min(axis=1))
    now = groups.count.copy()
    counts = np.empty((len(groups.site), hours), int)
    steps = np.array([len(ladder) for ladder in ladders])
    longest = int(steps.max(initial=0))
    # total[s, r]: Mbit/s with the first r parts of the ladder asleep
    total = np.full((groups.sectors, longest + 1), np.nan)
    total[:, 0] = groups.capacity_of(groups.count[:, None])[:, 0]
    for s, ladder in enumerate(ladders):
        total[s, 1 : len(ladder) + 1] = total[s, 0] - np.cumsum(groups.capacity[ladder])
    asleep = np.zeros(groups.sectors, int)
    row = np.arange(groups.sectors)
    levels = np.empty((groups.sectors, hours), int)
    for turn in range(2 * hours):
        demand = load[:, turn % hours]
        while True:
            wake = (demand > settings.wake_above * total[row, asleep]) & (asleep > 0)
            if not wake.any():
                break
            asleep[wake] -= 1
        woke = demand > settings.wake_above * total[row, asleep]
        while True:
            further = total[row, np.minimum(asleep + 1, longest)]
            sleep = (asleep < steps) & ~woke & (demand < settings.sleep_below * np.nan_to_num(further))
            if not sleep.any():
                break
            asleep[sleep] += 1
        levels[:, turn % hours] = asleep
    counts[:] = now[:, None]
    for s, ladder in enumerate(ladders):
        for place, g in enumerate(ladder):
            counts[g] -= levels[s] > place
    return allowed(problem, settings, np.maximum(counts, least))


def _ladders(problem: SleepProblem, least: np.ndarray) -> list[list[int]]:
    """Of each sector: the groups whose parts go to sleep one after the other, the biggest saver per Mbit/s first, as
    far as what they require of each other allows."""
    groups = problem.groups
    worth = -groups.full_saving_w / np.maximum(groups.capacity, MIN_CAPACITY_MBPS)
    out: list[list[int]] = [[] for _ in range(groups.sectors)]
    needed_by: dict[int, list[int]] = {}
    for a, b in problem.pairs.tolist():
        needed_by.setdefault(b, []).append(a)
    now = groups.count.copy()
    waiting: list[list[int]] = [[] for _ in range(groups.sectors)]
    for g in np.argsort(worth, kind="stable").tolist():
        waiting[groups.sector[g]].extend([g] * int(groups.count[g] - least[g]))
    for s, mine in enumerate(waiting):
        while mine:
            ready = [g for g in mine if all(now[a] < now[g] for a in needed_by.get(g, ()))]
            if not ready:
                break
            g = ready[0]
            mine.remove(g)
            now[g] -= 1
            out[s].append(g)
    return out


def greedy(problem: SleepProblem, settings: SleepSettings, sweeper: Sweeper | None = None) -> np.ndarray:
    """Sector by sector, those with the most room first: in each hour the cheapest cells with which all traffic is
    served and all ground stays covered; then the same once more with the price of waking."""
    sweeper = sweeper or Sweeper(problem, settings)
    sweeper.load(always_on(problem, settings))
    for sector in np.argsort(-sweeper.room.sum(axis=1), kind="stable").tolist():
        sweeper.improve(sector, greedy=True)
    sweeper.load(sweeper.keeper.keep(sweeper.awake))
    sweeper.sweep(time.perf_counter() + settings.time_limit, sweeps=1)
    return served(problem, settings, sweeper.keeper, sweeper.awake)


def allowed(problem: SleepProblem, settings: SleepSettings, counts: np.ndarray) -> np.ndarray:
    """(parts, hours) of counts (groups, hours), with what the limits and the coverage add."""
    keeper = Keeper(problem, settings)
    counts = np.maximum(counts, problem.least())
    awake = keeper.keep(to_parts(problem.groups, counts))
    held = group_counts(problem.groups, awake)
    if problem.cover.kept(held).all():
        return awake
    return keeper.keep(awake | to_parts(problem.groups, problem.cover.repaired(problem.groups, held)))
