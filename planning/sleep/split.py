"""Groups of identical parts taken apart into single ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planning.sleep.problem import SleepProblem


def split_groups(problem: SleepProblem, chosen: np.ndarray) -> SleepProblem:
    """The same problem with the chosen groups, and the groups of their boosts, one part a group."""
    groups = problem.groups
    single = np.zeros(len(groups.site), bool)
    single[chosen] = True
    base = groups.boost_of
    has = base >= 0
    single[base[has & single]] = True
    single[has] |= single[base[has]]
    owner = np.concatenate([np.full(len(rows) if single[g] else 1, g) for g, rows in enumerate(groups.parts)])
    first = np.searchsorted(owner, np.arange(len(groups.site)))
    place = np.arange(len(owner)) - first[owner]
    parts = tuple(
        groups.parts[g][p : p + 1] if single[g] else groups.parts[g]
        for g, p in zip(owner, place, strict=True)
    )
    count = np.array([len(rows) for rows in parts])
    lowest = np.where(single[owner], place < groups.lowest[owner], groups.lowest[owner]).astype(int)
    coverage = np.where(single[owner], place < groups.coverage[owner], groups.coverage[owner]).astype(int)
    boost = np.where(
        base[owner] >= 0, first[np.maximum(base[owner], 0)] + np.where(single[owner], place, 0), -1
    )
    hub, hub_group = [], []
    for h, g in zip(groups.hub.tolist(), groups.hub_group.tolist(), strict=True):
        mine = np.flatnonzero(owner == g)
        hub.extend([h] * len(mine))
        hub_group.extend(mine.tolist())
    same = {
        name: getattr(groups, name)[owner]
        for name in ("sector", "site", "capacity", "idle_w", "slope", "off_w")
    }
    small = replace(
        groups, **same, count=count, lowest=lowest, coverage=coverage, parts=parts, boost_of=boost,
        hub=np.array(hub, int), hub_group=np.array(hub_group, int),
    )  # fmt: skip
    pairs = []
    for a, b in problem.pairs.tolist():
        for i in np.flatnonzero(owner == a):
            for j in np.flatnonzero(owner == b):
                if groups.boost_of[a] != b or boost[i] == j:
                    pairs.append((i, j))
    return replace(
        problem,
        groups=small,
        cover=replace(problem.cover, sets=problem.cover.sets.tocsc()[:, owner].tocsr()),
        may_sleep=None if problem.may_sleep is None else problem.may_sleep[owner],
        requires=np.array(pairs, int).reshape(-1, 2),
    )
