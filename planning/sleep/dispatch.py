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

from planning.energy import rows_of_each
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
    part = _with_traffic(demand, graph)
    if part is None:
        return _dispatch(demand, capacity, graph, tiers)
    classes, sectors, arcs, smaller = part
    of_part = _dispatch(demand[classes], capacity[sectors], smaller, [tier[sectors] for tier in tiers])
    out = Dispatch(*(np.zeros((n, demand.shape[1])) for n in (
        graph.sectors, graph.classes, len(graph.arc_class), graph.classes
    )))  # fmt: skip
    out.load[sectors], out.home[classes] = of_part.load, of_part.home
    out.moved[arcs], out.unserved[classes] = of_part.moved, of_part.unserved
    return out


def _with_traffic(
    demand: np.ndarray, graph: OffloadGraph
) -> tuple[np.ndarray, np.ndarray, np.ndarray, OffloadGraph] | None:
    """Classes with traffic, the sectors that may carry it, the arcs between them, and the graph of these; None where
    that is most of the graph."""
    busy = np.asarray(demand.any(axis=1))
    if 2 * busy.sum() > len(busy):
        return None
    classes, arcs = np.flatnonzero(busy), np.flatnonzero(busy[graph.arc_class])
    reached = np.zeros(graph.sectors, bool)
    reached[graph.class_sector[classes]] = reached[graph.arc_target[arcs]] = True
    class_number, sector_number = np.cumsum(busy) - 1, np.cumsum(reached) - 1
    smaller = OffloadGraph(
        sector_number[graph.class_sector[classes]], class_number[graph.arc_class[arcs]],
        sector_number[graph.arc_target[arcs]], int(reached.sum()),
    )  # fmt: skip
    return classes, np.flatnonzero(reached), arcs, smaller


def _dispatch(
    demand: np.ndarray, capacity: np.ndarray, graph: OffloadGraph, tiers: Sequence[np.ndarray]
) -> Dispatch:
    """`dispatch` on all of a graph."""
    room = np.array(capacity, float)
    left = np.array(demand, float)
    home = np.zeros(left.shape)
    for rank in _ranks(graph, np.flatnonzero(left.any(axis=1))):
        at = graph.class_sector[rank]
        home[rank] = np.minimum(left[rank], room[at])
        room[at] -= home[rank]
    left -= home
    moved = np.zeros((len(graph.arc_class), left.shape[1]))
    carried = np.zeros(room.shape)
    for tier in (*tiers, capacity):
        short = left > TINY_MBPS
        needy, hours = np.asarray(short.any(axis=1)), np.flatnonzero(short.any(axis=0))
        if not len(hours):
            break
        own = capacity[:, hours] - room[:, hours] - carried[:, hours]
        space = (
            room[:, hours] if tier is capacity else np.maximum(tier[:, hours] - own, 0.0) - carried[:, hours]
        )
        space = np.maximum(np.minimum(space, room[:, hours]), 0.0)
        before, over = space.copy(), left[:, hours]
        arcs = np.flatnonzero(needy[graph.arc_class])
        sent = np.empty((len(arcs), len(hours)))
        for turn in rows_of_each(graph.turn[arcs], graph.turns):
            source, target = graph.arc_class[arcs[turn]], graph.arc_target[arcs[turn]]
            sent[turn] = step = np.minimum(over[source], space[target])
            over[source] -= step
            space[target] -= step
        moved[np.ix_(arcs, hours)] += sent
        left[:, hours] = over
        room[:, hours] -= before - space
        carried[:, hours] += before - space
    stuck = np.flatnonzero((left > TINY_MBPS).any(axis=0) & (room > TINY_MBPS).any(axis=0))
    if len(stuck):
        way_out, closed = _ways_out(room[:, stuck], moved[:, stuck], graph)
        waits = (left[:, stuck] > TINY_MBPS) & way_out
        some = np.flatnonzero(waits.any(axis=0))
        hours = stuck[some]
        # an hour a row, as single numbers are asked for
        rest, free, sent, shut, wait = (
            np.ascontiguousarray(array.T)
            for array in (left[:, hours], room[:, hours], moved[:, hours], closed[:, some], waits[:, some])
        )
        for row in range(len(some)):
            _augment(rest[row], free[row], sent[row], shut[row], np.flatnonzero(wait[row]), graph.ends)
        left[:, hours], room[:, hours], moved[:, hours] = rest.T, free.T, sent.T
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


def _ranks(graph: OffloadGraph, classes: np.ndarray) -> list[np.ndarray]:
    """Some classes by their place in their sector: at most one a sector in each array."""
    sector = graph.class_sector[classes]
    rank = np.arange(len(classes)) - np.searchsorted(sector, sector)
    return [classes[rows] for rows in rows_of_each(rank, int(rank.max(initial=-1)) + 1)]


class _Link(NamedTuple):
    """Traffic goes by `way`, an arc, that went by `origin` so far: an arc of the same class, or _UNSERVED."""

    way: int
    origin: int


def _ways_out(room: np.ndarray, moved: np.ndarray, graph: OffloadGraph) -> tuple[np.ndarray, np.ndarray]:
    """Where a chain to room can begin, and where none leads.

    Returns (classes, hours) bool, classes from which a chain leads to room (sectors, hours); and (sectors, hours) bool,
    sectors without room that can send nothing of what they carry, moved (arcs, hours), elsewhere.
    """
    of_class = graph.arcs_at(graph.arc_class, graph.classes).astype(np.int32)
    into = graph.arcs_at(graph.arc_target, graph.sectors).astype(np.int32)
    sends = moved > TINY_MBPS
    opened = room > TINY_MBPS
    while True:
        way_out = of_class @ opened[graph.arc_target].astype(np.int32) > 0
        more = opened | (into @ (sends & way_out[graph.arc_class]).astype(np.int32) > 0)
        if (more == opened).all():
            return way_out, ~opened
        opened = more


def _augment(
    left: np.ndarray,
    room: np.ndarray,
    moved: np.ndarray,
    shut: np.ndarray,
    owners: np.ndarray,
    ends: ArcEnds,
) -> None:
    """Send traffic of an hour, (classes,), (sectors,) and (arcs,), elsewhere until no unserved traffic can reach room;
    in place. shut: (sectors,) bool that can reach no room; owners: classes that may.

    One class after the other, each by shortest chains until none is left. The sectors that a search without success
    came through can reach no room, and no later chain enters them, so they are never searched again.
    """
    # quick to ask for single numbers
    rest, free, sent, closed = left.data, room.data, moved.data, shut.data
    for owner in owners.tolist():
        while rest[owner] > TINY_MBPS and (chain := _shortest_chain(owner, free, sent, ends, closed)):
            end = ends.target[chain[0].way]
            amount = min(
                free[end], rest[owner], *(sent[link.origin] for link in chain if link.origin != _UNSERVED)
            )
            for way, origin in chain:
                sent[way] += amount
                if origin != _UNSERVED:
                    sent[origin] -= amount
            rest[owner] -= amount
            free[end] -= amount


def _shortest_chain(
    owner: int, free: memoryview, sent: memoryview, ends: ArcEnds, closed: memoryview
) -> list[_Link]:
    """The links of a chain from a sector with room back to unserved traffic of a class.

    None where there is no such chain; all sectors found on the way are then marked in `closed`, (sectors,) bool.
    Breadth first: a node is a sector with the question "can it take more?", whose answer may be to send what it
    carries for a class elsewhere.
    """
    found: dict[int, tuple[int, _Link]] = {}  # sector -> (the sector that it relieves, how)
    queue: deque[int] = deque()
    out_of, into, source, target = ends.out_of, ends.into, ends.source, ends.target

    def with_room(previous: int, carried_for: int, origin: int) -> int:
        """The first new sector with room that may carry the class, -1 for none; the others join the queue."""
        for way in out_of[carried_for]:
            sector = target[way]
            if sector in found or closed[sector] or way == origin:
                continue
            found[sector] = (previous, _Link(way, origin))
            queue.append(sector)
            if free[sector] > TINY_MBPS:
                return sector
        return -1

    end = with_room(-1, owner, _UNSERVED)
    while end < 0 and queue:
        sector = queue.popleft()
        for arc in into[sector]:
            if sent[arc] > TINY_MBPS and (end := with_room(sector, source[arc], arc)) >= 0:
                break
    if end < 0:
        for sector in found:
            closed[sector] = True
        return []
    chain = []
    while end >= 0:
        end, link = found[end]
        chain.append(link)
    return chain
