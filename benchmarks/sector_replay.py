"""A sleep plan on traffic, sector by sector and hour by hour: what it leaves unserved, by code of its own.

Nothing of the planner's dispatch or evaluation is used: capacities of awake cells are added up, each sector carries its
own traffic first, and a linear program says how much of the rest the other sectors can carry at most.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from planning.sleep.offload import OffloadGraph
from planning.sleep.plan import SleepPlan

_TINY_MBPS = 1e-9


def unserved_by_hour(plan: SleepPlan, traffic: np.ndarray, awake: np.ndarray | None = None) -> np.ndarray:
    """(hours,) Mbit/s of traffic (classes, hours) that nobody serves.

    awake: (cells, hours) bool in place of the plan's; a plan of a day is repeated.
    """
    problem = plan.problem
    graph, limit = problem.graph, plan.settings.max_load
    on = plan.awake if awake is None else awake
    capacity = problem.groups.cell_capacity_mbps
    sector_of_cell = problem.network.sector_of_cell
    out = np.zeros(traffic.shape[1])
    for hour in range(traffic.shape[1]):
        room = np.zeros(graph.sectors)
        for cell in np.flatnonzero(on[:, hour % on.shape[1]]):
            room[sector_of_cell[cell]] += capacity[cell]
        # cells are loaded up to the limit, and above it only with what does not fit anywhere otherwise
        left, above = traffic[:, hour].astype(float), (1 - limit) * room
        left, room = _own_then_others(left, limit * room, graph)
        left, _ = _own_then_others(left, room + above, graph)
        out[hour] = left.sum()
    return out


def _own_then_others(
    left: np.ndarray, room: np.ndarray, graph: OffloadGraph
) -> tuple[np.ndarray, np.ndarray]:
    """What is left of the traffic (classes,) and of the room (sectors,)."""
    left, room = left.copy(), room.copy()
    # the classes of a sector follow one another, those that the fewest others can carry first
    for k in range(graph.classes):
        carried = min(left[k], room[graph.class_sector[k]])
        left[k] -= carried
        room[graph.class_sector[k]] -= carried
    source, target = graph.arc_class, graph.arc_target
    arcs = np.flatnonzero((left[source] > _TINY_MBPS) & (room[target] > _TINY_MBPS))
    if len(arcs):
        source, target = source[arcs], target[arcs]
        rows, number = np.concatenate([source, len(left) + target]), np.tile(np.arange(len(arcs)), 2)
        limits = sparse.csr_array((np.ones(len(rows)), (rows, number)), (len(left) + len(room), len(arcs)))
        used = np.unique(rows)
        moved = linprog(-np.ones(len(arcs)), limits[used], np.concatenate([left, room])[used]).x
        np.subtract.at(left, source, moved)
        np.subtract.at(room, target, moved)
    return left, room


def lost_to_sleep(plan: SleepPlan, traffic: np.ndarray) -> np.ndarray:
    """(hours,) Mbit/s that the plan leaves unserved and every cell awake would not."""
    every = np.ones_like(plan.awake)
    return unserved_by_hour(plan, traffic) - unserved_by_hour(plan, traffic, every)
