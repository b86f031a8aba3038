"""Counts of awake parts that come from prices, completed until they serve all traffic and cover all ground."""

from __future__ import annotations

import numpy as np

from planning.energy import rows_of_each
from planning.sleep.dispatch import TINY_MBPS
from planning.sleep.keeper import Keeper
from planning.sleep.problem import UNSERVED_MBPS, SleepProblem
from planning.sleep.schedule import group_counts, to_parts
from planning.sleep.settings import SleepSettings

MIN_CAPACITY_MBPS = 1e-9  # of a cell without any, for a finite price of its Mbit/s
MAX_ROUNDS = 40


def repaired(
    problem: SleepProblem, settings: SleepSettings, counts: np.ndarray, unserved: np.ndarray | None = None
) -> np.ndarray:
    """(groups, hours) counts with parts added where traffic is not served, the cheapest Mbit/s first, then where
    ground is not covered; everything awake around a sector whose need goes on. unserved: (classes, hours) Mbit/s with
    these counts, where it is at hand."""
    groups, graph = problem.groups, problem.graph
    out = np.clip(counts, problem.least(), groups.count[:, None])
    for a, b in _ordered(problem.pairs):
        out[b] = np.maximum(out[b], np.minimum(out[a], groups.count[b]))
    w_per_mbps = groups.full_saving_w / np.maximum(groups.capacity, MIN_CAPACITY_MBPS)
    cheapest = np.lexsort((np.arange(len(w_per_mbps)), w_per_mbps, groups.sector))
    order = [cheapest[rows].tolist() for rows in rows_of_each(groups.sector[cheapest], groups.sectors)]
    capacity = groups.capacity.tolist()
    needs: dict[int, list[int]] = {}
    for a, b in problem.pairs.tolist():
        needs.setdefault(a, []).append(b)
    targets: list[set[int]] = [set() for _ in range(groups.sectors)]
    for s, t in zip(graph.arc_source.tolist(), graph.arc_target.tolist(), strict=True):
        targets[s].add(t)

    def wake(g: int, hour: int) -> float:
        """Mbit/s of one more part of a group and of those that it needs."""
        out[g, hour] += 1
        added = capacity[g]
        for b in needs.get(g, ()):
            if out[b, hour] < min(out[g, hour], groups.count[b]):
                added += wake(b, hour)
        return added

    hours = np.arange(problem.hours)
    for turn in range(MAX_ROUNDS):
        left = unserved if turn == 0 and (out == counts).all() else None
        if left is None:
            left = problem.serve(settings, out[:, hours], problem.demand[:, hours]).unserved
        missing = problem.by_sector(left)
        needy = np.argwhere(missing > TINY_MBPS)
        if not len(needy):
            break
        for s, h in needy.tolist():
            hour, lack = int(hours[h]), missing[s, h]
            for sector in (s, *sorted(targets[s])) if turn else (s,):
                for g in order[sector]:
                    while lack > TINY_MBPS and out[g, hour] < groups.count[g]:
                        lack -= settings.max_load * wake(g, hour)
                if lack <= TINY_MBPS:
                    break
        hours = hours[np.unique(needy[:, 1])]
    else:
        out[:, hours] = groups.count[:, None]
    return problem.cover.repaired(groups, out)


def served(problem: SleepProblem, settings: SleepSettings, keeper: Keeper, awake: np.ndarray) -> np.ndarray:
    """Awake parts (parts, hours) with more awake where the rule of `dispatch` does not serve all, limits kept."""
    counts = group_counts(problem.groups, awake)
    left = problem.serve(settings, counts).unserved
    if (left <= UNSERVED_MBPS).all():
        return awake
    awake = keeper.keep(awake | to_parts(problem.groups, repaired(problem, settings, counts, left)))
    counts = group_counts(problem.groups, awake)
    left = problem.serve(settings, counts).unserved
    if (left <= UNSERVED_MBPS).all():
        return awake
    # a cell that is awake longer may take room from traffic that was on its way elsewhere: once more, then all of them
    awake = keeper.keep(awake | to_parts(problem.groups, repaired(problem, settings, counts, left)))
    left = problem.serve(settings, group_counts(problem.groups, awake)).unserved
    short = left.max(axis=0, initial=0.0) > UNSERVED_MBPS
    return keeper.keep(awake | short[None, :])


def _ordered(pairs: np.ndarray) -> list[tuple[int, int]]:
    """Pairs so often that what is required of what is required is met too."""
    listed = [(a, b) for a, b in pairs.tolist()]
    return listed * min(len({a for a, _ in listed}), 4) if listed else []
