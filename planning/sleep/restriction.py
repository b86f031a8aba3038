"""The open part of an hour's program: sectors whose cells are in doubt, those that need help, and their helpers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planning.sleep.cover import Cover
from planning.sleep.offload import OffloadGraph
from planning.sleep.problem import SleepProblem


def involved_sectors(problem: SleepProblem, low: np.ndarray, high: np.ndarray, max_load: float) -> np.ndarray:
    """(sectors,) bool for a problem of one hour and counts (groups,): sectors with open counts, those that cannot carry
    their own traffic at `low`, and all that these may send to."""
    groups, graph = problem.groups, problem.graph
    room = max_load * groups.capacity_of(low[:, None])[:, 0]
    needy = problem.by_sector(problem.demand)[:, 0] > room + 1e-9
    out = needy.copy()
    out[groups.sector[low < high]] = True
    out[graph.arc_target[needy[graph.arc_source]]] = True
    return out


def restricted(
    problem: SleepProblem, sectors: np.ndarray, low: np.ndarray
) -> tuple[SleepProblem, np.ndarray]:
    """The problem of some sectors (sectors,) bool, the others being awake as `low` (groups,) says and carrying their
    own traffic alone; and the groups that it has."""
    groups, graph, cover = problem.groups, problem.graph, problem.cover
    kept = np.flatnonzero(sectors[groups.sector])
    number = np.cumsum(sectors) - 1
    classes = np.flatnonzero(sectors[graph.class_sector])
    class_number = np.full(graph.classes, -1)
    class_number[classes] = np.arange(len(classes))
    arcs = np.flatnonzero(sectors[graph.arc_source] & sectors[graph.arc_target])
    small_graph = OffloadGraph(
        number[graph.class_sector[classes]], class_number[graph.arc_class[arcs]], number[graph.arc_target[arcs]],
        int(sectors.sum()),
    )  # fmt: skip
    group_number = np.full(len(groups.site), -1)
    group_number[kept] = np.arange(len(kept))
    outside = np.where(sectors[groups.sector], 0, low)
    # hubs that cells outside keep on cost the same whatever is decided
    open_hub = (groups.hubs @ outside) == 0
    pairs = np.flatnonzero(open_hub[groups.hub] & sectors[groups.sector[groups.hub_group]])
    boost = groups.boost_of[kept]
    small = replace(
        groups,
        **{
            name: getattr(groups, name)[kept]
            for name in ("site", "count", "capacity", "idle_w", "slope", "off_w", "coverage", "lowest")
        },
        sector=number[groups.sector[kept]],
        parts=tuple(groups.parts[g] for g in kept),
        boost_of=np.where(boost >= 0, group_number[np.maximum(boost, 0)], -1),
        hub=groups.hub[pairs],
        hub_group=group_number[groups.hub_group[pairs]],
        hub_w=np.where(open_hub, groups.hub_w, 0.0),
        site_of_sector=groups.site_of_sector[sectors],
    )
    if cover.rows:
        rows = cover.binding
        uncovered = cover.sets[rows] @ (outside > 0).astype(float) < 0.5
        mine = cover.sets[rows][uncovered]
        some = np.diff(mine.indptr) > 0
        here = mine[:, kept]
        touched = (np.diff(here.tocsr().indptr) > 0) & some
        # ground that only cells outside could cover is a hole already
        gone = float(cover.area_km2[rows][uncovered][~touched].sum())
        area = cover.area_km2[rows][uncovered][touched]
        budget = max(cover.budget_km2 - gone, 0.0)
        share = budget / cover.covered_km2 if cover.covered_km2 and cover.max_hole_share else 0.0
        small_cover = Cover(
            here.tocsr()[touched], area, np.zeros(len(area)), cover.covered_km2, np.arange(len(area)), share
        )
    else:
        small_cover = Cover.none(len(kept))
    require = group_number[problem.pairs] if len(problem.pairs) else problem.pairs
    return (
        replace(
            problem, groups=small, graph=small_graph, demand=problem.demand[classes], cover=small_cover,
            may_sleep=None if problem.may_sleep is None else problem.may_sleep[kept],
            requires=require[(require >= 0).all(axis=1)],
        ),
        kept,
    )  # fmt: skip
