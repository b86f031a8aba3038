"""Who carries which traffic in an hour, for every strategy alike.

Rule: a sector carries its own traffic first, that which the fewest other sectors can carry before the rest, as much as
fits; what does not fit goes to the other sectors that reach it and have room, in the order of `OffloadGraph`. No traffic
that fits at home is sent elsewhere to make room, and none that was sent is sent on: networks hand over once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planning.sleep.offload import OffloadGraph

TINY_MBPS = 1e-7  # less is rounding


@dataclass(frozen=True)
class Dispatch:
    """Mbit/s by hour.

    Attributes
    ----------
    load : (sectors, hours)
        Carried by each sector.
    home : (classes, hours)
        Carried by the home sector of the class.
    moved : (arcs, hours)
        Carried by other sectors.
    unserved : (classes, hours)
        Carried by nobody.
    """

    load: np.ndarray
    home: np.ndarray
    moved: np.ndarray
    unserved: np.ndarray


def dispatch(demand: np.ndarray, capacity: np.ndarray, graph: OffloadGraph) -> Dispatch:
    """Serve demand (classes, hours) with awake capacity (sectors, hours), both Mbit/s, by the rule above."""
    room = np.array(capacity, float)
    left = np.array(demand, float)
    home = np.zeros(left.shape)
    for rank in _ranks(graph):
        at = graph.class_sector[rank]
        home[rank] = np.minimum(left[rank], room[at])
        room[at] -= home[rank]
    left -= home
    moved = np.zeros((len(graph.arc_class), left.shape[1]))
    needy = left > TINY_MBPS
    for arc in np.flatnonzero(needy.any(axis=1)[graph.arc_class]):
        source, target = graph.arc_class[arc], graph.arc_target[arc]
        step = np.minimum(left[source], room[target])
        moved[arc] = step
        left[source] -= step
        room[target] -= step
    left[left < TINY_MBPS] = 0.0
    return Dispatch(capacity - room, home, moved, left)


def served_above(demand: np.ndarray, usual: np.ndarray, most: np.ndarray, graph: OffloadGraph) -> Dispatch:
    """As `dispatch` with capacity `usual`; what then is left, with the capacity up to `most`."""
    first = dispatch(demand, usual, graph)
    hours = np.flatnonzero(first.unserved.any(axis=0))
    if not len(hours) or not (most > usual + TINY_MBPS).any():
        return first
    more = dispatch(first.unserved[:, hours], most[:, hours] - first.load[:, hours], graph)
    first.load[:, hours] += more.load
    first.home[:, hours] += more.home
    first.moved[:, hours] += more.moved
    first.unserved[:, hours] = more.unserved
    return first


def _ranks(graph: OffloadGraph) -> list[np.ndarray]:
    """Classes by their place in their sector: at most one a sector in each array."""
    rank = np.arange(graph.classes) - np.searchsorted(graph.class_sector, graph.class_sector)
    return [np.flatnonzero(rank == r) for r in range(int(rank.max(initial=-1)) + 1)]
