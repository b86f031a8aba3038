"""Who carries which traffic in an hour, for every strategy alike.

Rule: a sector carries its own traffic first, that which the fewest other sectors can carry before the rest, as much
as fits; what does not fit goes to the other sectors that reach it and have room, in the order of `OffloadGraph`,
first to room on the carriers that need the fewest watts per Mbit/s, then to that on the next ones; if some is left
although there is room, traffic that was sent already goes elsewhere (augmenting paths), so that as much as possible
of what does not fit at home is carried by others. No traffic that fits at home is sent away to make room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from planning.sleep.offload import ArcEnds, OffloadGraph

TINY_MBPS = 1e-7  # less is rounding
_UNSERVED = -1


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


def dispatch(
    demand: np.ndarray, capacity: np.ndarray, graph: OffloadGraph, tiers: Sequence[np.ndarray] = ()
) -> Dispatch:
    """Serve demand (classes, hours) with awake capacity (sectors, hours), both Mbit/s, by the rule above.

    tiers: capacity (sectors, hours) of the most efficient carriers, of these and the next ones, and so on; the last of
    them, all carriers, may be left out.
    """
    room = np.array(capacity, float)
    left = np.array(demand, float)
    home = np.zeros(left.shape)
    for rank in _ranks(graph):
        at = graph.class_sector[rank]
        home[rank] = np.minimum(left[rank], room[at])
        room[at] -= home[rank]
    left -= home
    moved = np.zeros((len(graph.arc_class), left.shape[1]))
    carried = np.zeros(room.shape)
    for tier in (*tiers, capacity):
        needy = np.any(left > TINY_MBPS, axis=1)
        if not needy.any():
            break
        own = capacity - room - carried
        space = room if tier is capacity else np.maximum(tier - own, 0.0) - carried
        space = np.maximum(np.minimum(space, room), 0.0)
        for turn in graph.turns:
            arcs = turn[needy[graph.arc_class[turn]]]
            source, target = graph.arc_class[arcs], graph.arc_target[arcs]
            step = np.minimum(left[source], space[target])
            moved[arcs] += step
            left[source] -= step
            space[target] -= step
            room[target] -= step
            carried[target] += step
    stuck = np.flatnonzero((left > TINY_MBPS).any(axis=0) & (room > TINY_MBPS).any(axis=0))
    if len(stuck):
        for hour in stuck:
            _augment(left, room, moved, int(hour), graph.ends)
    left[left < TINY_MBPS] = 0.0
    return Dispatch(capacity - room, home, moved, left)


def served_above(
    demand: np.ndarray,
    usual: np.ndarray,
    most: np.ndarray,
    graph: OffloadGraph,
    tiers: Sequence[np.ndarray] = (),
) -> Dispatch:
    """As `dispatch` with capacity `usual`; what then is left, with the capacity up to `most`."""
    first = dispatch(demand, usual, graph, tiers)
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


class _Link(NamedTuple):
    """Traffic goes by `way`, an arc, that went by `origin` so far: an arc of the same class, or _UNSERVED."""

    way: int
    origin: int


def _augment(left: np.ndarray, room: np.ndarray, moved: np.ndarray, hour: int, arcs: ArcEnds) -> None:
    """Send traffic of an hour elsewhere until no unserved traffic can reach room (Edmonds-Karp); in place."""
    rest, free, sent = left[:, hour], room[:, hour], moved[:, hour]
    while chain := _shortest_chain(rest, free, sent, arcs):
        end = arcs.target[chain[0].way]
        owner = arcs.source[chain[-1].way]
        amount = min(
            free[end], rest[owner], *(sent[link.origin] for link in chain if link.origin != _UNSERVED)
        )
        for way, origin in chain:
            sent[way] += amount
            if origin != _UNSERVED:
                sent[origin] -= amount
        rest[owner] -= amount
        free[end] -= amount


def _shortest_chain(rest: np.ndarray, free: np.ndarray, sent: np.ndarray, arcs: ArcEnds) -> list[_Link]:
    """The links of a chain from a sector with room back to unserved traffic; none where there is no such chain.

    Breadth first: a node is a sector with the question "can it take more?", whose answer may be to send what it carries
    for a class elsewhere.
    """
    found: dict[int, tuple[int, _Link]] = {}  # sector -> (the sector that it relieves, how)
    queue: deque[int] = deque()

    def with_room(previous: int, owner: int, origin: int) -> int:
        """The first new sector with room that may carry the class, -1 for none; the others join the queue."""
        for way in arcs.out_of[owner]:
            sector = arcs.target[way]
            if sector in found or way == origin:
                continue
            found[sector] = (previous, _Link(way, origin))
            queue.append(sector)
            if free[sector] > TINY_MBPS:
                return sector
        return -1

    def chain_to(sector: int) -> list[_Link]:
        chain = []
        while sector >= 0:
            sector, link = found[sector]
            chain.append(link)
        return chain

    for owner in np.flatnonzero(rest > TINY_MBPS).tolist():
        if (end := with_room(-1, owner, _UNSERVED)) >= 0:
            return chain_to(end)
    while queue:
        sector = queue.popleft()
        for arc in arcs.into[sector]:
            if sent[arc] > TINY_MBPS and (end := with_room(sector, arcs.source[arc], arc)) >= 0:
                return chain_to(end)
    return []
