"""Who carries which traffic in an hour, for every strategy alike.

Rule: a sector carries its own traffic first, that which the fewest other sectors can carry before the rest, as much
as fits; what does not fit goes to the other sectors that reach it and have room, in the order of `OffloadGraph`,
first to room on the carriers that need the fewest watts per Mbit/s, then to that on the next ones; if some is left
although there is room, traffic that was sent already goes elsewhere (augmenting paths), so that as much as possible
of what does not fit at home is carried by others. No traffic that fits at home is sent away to make room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

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
    at_home : all is known to be carried at home, so that nothing is moved or unserved.
    """

    load: np.ndarray
    home: np.ndarray
    moved: np.ndarray
    unserved: np.ndarray
    at_home: bool = False


class Tiers:
    """Capacities (sectors, hours) that are made when traffic that does not fit at home asks for them, and then kept."""

    def __init__(self, make: Callable[[], list[np.ndarray]]):
        self._make = make
        self._made: list[np.ndarray] | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        made = self._make() if self._made is None else self._made
        self._made = made
        return iter(made)


def dispatch(
    demand: np.ndarray, capacity: np.ndarray, graph: OffloadGraph, tiers: Iterable[np.ndarray] = ()
) -> Dispatch:
    """Serve demand (classes, hours) with awake capacity (sectors, hours), both Mbit/s, by the rule above.

    tiers: capacity (sectors, hours) of the most efficient carriers, of these and the next ones, and so on; the last of
    them, all carriers, may be left out.
    """
    busy = np.asarray(demand.any(axis=1))
    if 2 * busy.sum() > len(busy):
        return _dispatch(demand, capacity, graph, tiers)
    part = Part.of(busy, graph)
    sectors = part.sectors
    of_part = _dispatch(
        demand[part.classes],
        capacity[sectors],
        part.graph,
        Tiers(lambda: [tier[sectors] for tier in tiers]),
    )
    return part.whole(of_part, graph)


@dataclass(frozen=True)
class Part:
    """Classes with traffic, the sectors that may carry it, the arcs between them, and the graph of these."""

    classes: np.ndarray
    sectors: np.ndarray
    arcs: np.ndarray
    graph: OffloadGraph

    @classmethod
    def of(cls, busy: np.ndarray, graph: OffloadGraph, keep_turns: bool = False) -> Part:
        """busy: (classes,) bool, those with traffic. keep_turns: those of the graph, which hold for fewer arcs too and
        take long to make."""
        classes, arcs = np.flatnonzero(busy), np.flatnonzero(busy[graph.arc_class])
        reached = np.zeros(graph.sectors, bool)
        reached[graph.class_sector[classes]] = reached[graph.arc_target[arcs]] = True
        class_number, sector_number = np.cumsum(busy) - 1, np.cumsum(reached) - 1
        smaller = OffloadGraph(
            sector_number[graph.class_sector[classes]], class_number[graph.arc_class[arcs]],
            sector_number[graph.arc_target[arcs]], int(reached.sum()),
        )  # fmt: skip
        if keep_turns:
            vars(smaller)["turn"] = graph.turn[arcs]
        return cls(classes, np.flatnonzero(reached), arcs, smaller)

    def whole(self, of_part: Dispatch, graph: OffloadGraph) -> Dispatch:
        """Of all of a graph, from that of its part."""
        hours = of_part.load.shape[1]
        load, home, moved, unserved = (
            np.zeros((n, hours)) for n in (graph.sectors, graph.classes, len(graph.arc_class), graph.classes)
        )
        load[self.sectors], home[self.classes] = of_part.load, of_part.home
        if not of_part.at_home:
            moved[self.arcs], unserved[self.classes] = of_part.moved, of_part.unserved
        return Dispatch(load, home, moved, unserved, of_part.at_home)


def _dispatch(
    demand: np.ndarray, capacity: np.ndarray, graph: OffloadGraph, tiers: Iterable[np.ndarray]
) -> Dispatch:
    """`dispatch` on all of a graph."""
    room = np.array(capacity, float)
    left = np.array(demand, float)
    home = np.zeros(left.shape)
    for rank in _ranks(graph, np.flatnonzero(left.any(axis=1))):
        at = graph.class_sector[rank]
        there = room[at]
        home[rank] = step = np.minimum(left[rank], there)
        there -= step
        room[at] = there
    left -= home
    moved = np.zeros((len(graph.arc_class), left.shape[1]))
    if left.max(initial=0.0) < TINY_MBPS:
        return Dispatch(capacity - room, home, moved, np.zeros(left.shape), at_home=True)
    short = left > TINY_MBPS
    needy, hours = np.asarray(short.any(axis=1)), np.flatnonzero(short.any(axis=0))
    if len(hours):
        part = Part.of(needy, graph, keep_turns=True)
        rows = (part.classes, part.sectors, part.arcs)
        at = [(mine,) if len(hours) == left.shape[1] else np.ix_(mine, hours) for mine in rows]
        asked = Tiers(lambda: [tier[at[1]] for tier in tiers])
        over, free = left[at[0]], room[at[1]]
        moved[at[2]] = _sent_away(over, free, capacity[at[1]], part.graph, asked)
        left[at[0]], room[at[1]] = over, free
    left[left < TINY_MBPS] = 0.0
    return Dispatch(capacity - room, home, moved, left)


def _sent_away(
    left: np.ndarray,
    room: np.ndarray,
    capacity: np.ndarray,
    graph: OffloadGraph,
    tiers: Iterable[np.ndarray],
) -> np.ndarray:
    """(arcs, hours) Mbit/s of what does not fit at home, left (classes, hours), carried by others; left and their room
    (sectors, hours) are brought up to date in place."""
    turn = graph.turn
    moved = np.zeros((len(graph.arc_class), left.shape[1]))
    carried = np.zeros(room.shape)
    in_turn = np.argsort(turn, kind="stable")
    for tier in (*tiers, capacity):
        short = left > TINY_MBPS
        needy, hours = np.asarray(short.any(axis=1)), np.flatnonzero(short.any(axis=0))
        if not len(hours):
            break
        # only what has room and what may send there, in the hours with a need
        with_room = np.asarray((room > 0).any(axis=1))
        arcs = in_turn[needy[graph.arc_class[in_turn]] & with_room[graph.arc_target[in_turn]]]
        classes, source = np.unique(graph.arc_class[arcs], return_inverse=True)
        sectors, target = np.unique(graph.arc_target[arcs], return_inverse=True)
        ways, senders, takers = (
            (rows,) if len(hours) == left.shape[1] else np.ix_(rows, hours)
            for rows in (arcs, classes, sectors)
        )
        free = room[takers]
        space = free.copy()
        if tier is not capacity:
            gone = carried[takers]
            own = capacity[takers] - free - gone
            space = np.minimum(np.maximum(tier[takers] - own, 0.0) - gone, free)
        space = np.maximum(space, 0.0)
        before, over = space.copy(), left[senders]
        sent = np.empty((len(arcs), len(hours)))
        # arcs of one turn follow one another
        begins = np.flatnonzero(np.diff(turn[arcs], prepend=-1)).tolist()
        for now in map(slice, begins, [*begins[1:], len(arcs)]):
            ends = source[now], target[now]
            waiting, open_room = over[ends[0]], space[ends[1]]
            step = np.minimum(waiting, open_room, out=sent[now])
            waiting -= step
            open_room -= step
            over[ends[0]], space[ends[1]] = waiting, open_room
        moved[ways] += sent
        left[senders] = over
        before -= space
        room[takers] -= before
        carried[takers] += before
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
    return moved


def served_above(
    demand: np.ndarray,
    usual: np.ndarray,
    most: np.ndarray,
    graph: OffloadGraph,
    tiers: Iterable[np.ndarray] = (),
) -> Dispatch:
    """As `dispatch` with capacity `usual`; what then is left, with the capacity up to `most`."""
    first = dispatch(demand, usual, graph, tiers)
    if first.at_home:
        return first
    hours = np.flatnonzero(first.unserved.any(axis=0))
    if not len(hours) or not (most > usual + TINY_MBPS).any():
        return first
    part = Part.of(np.asarray(first.unserved.any(axis=1)), graph, keep_turns=True)
    everywhere = len(hours) == demand.shape[1]
    classes, sectors, arcs = (
        (rows,) if everywhere else np.ix_(rows, hours) for rows in (part.classes, part.sectors, part.arcs)
    )
    more = _dispatch(first.unserved[classes], most[sectors] - first.load[sectors], part.graph, ())
    first.load[sectors] += more.load
    first.home[classes] += more.home
    first.moved[arcs] += more.moved
    first.unserved[classes] = more.unserved
    return first


def _ranks(graph: OffloadGraph, classes: np.ndarray) -> list[np.ndarray]:
    """Some classes by their place in their sector: at most one a sector in each array."""
    sector = graph.class_sector[classes]
    rank = np.arange(len(classes)) - np.searchsorted(sector, sector)
    return [classes[rows] for rows in rows_of_each(rank, int(rank.max(initial=-1)) + 1)]


def _ways_out(room: np.ndarray, moved: np.ndarray, graph: OffloadGraph) -> tuple[np.ndarray, np.ndarray]:
    """Where a chain to room can begin, and where none leads.

    Returns (classes, hours) bool, classes from which a chain leads to room (sectors, hours); and (sectors, hours) bool,
    sectors without room that can send nothing of what they carry, moved (arcs, hours), elsewhere.
    """
    hours = room.shape[1]
    sends, opened = _as_bits(moved > TINY_MBPS), _as_bits(room > TINY_MBPS)
    of_class, into = _Any.of(graph.arc_class, graph.classes), _Any.of(graph.arc_target, graph.sectors)
    while True:
        way_out = of_class(opened[graph.arc_target])
        more = opened | into(sends & way_out[graph.arc_class])
        if (more == opened).all():
            return _from_bits(way_out, hours), ~_from_bits(opened, hours)
        opened = more


@dataclass(frozen=True)
class _Any:
    """Whether any arc at an end is set: from (arcs, words) bits to (ends, words)."""

    order: np.ndarray
    starts: np.ndarray
    present: np.ndarray
    ends: int

    @classmethod
    def of(cls, end: np.ndarray, ends: int) -> _Any:
        order = np.argsort(end, kind="stable")
        present, starts = np.unique(end[order], return_index=True)
        return cls(order, starts, present, ends)

    def __call__(self, bits: np.ndarray) -> np.ndarray:
        out = np.zeros((self.ends, bits.shape[1]), np.uint64)
        if len(self.present):
            out[self.present] = np.bitwise_or.reduceat(bits[self.order], self.starts, axis=0)
        return out


def _as_bits(flags: np.ndarray) -> np.ndarray:
    """(rows, hours) bool -> (rows, words) uint64, an hour a bit."""
    whole = np.zeros((len(flags), -(-flags.shape[1] // 64) * 64), bool)
    whole[:, : flags.shape[1]] = flags
    return np.packbits(whole).view(np.uint64).reshape(len(flags), whole.shape[1] // 64)


def _from_bits(bits: np.ndarray, hours: int) -> np.ndarray:
    return np.unpackbits(bits.view(np.uint8), axis=1, count=hours).astype(bool)


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
            end = chain[0][0]
            amount = min(free[end], rest[owner])
            for _, _, _, origin in chain:
                if origin != _UNSERVED and sent[origin] < amount:
                    amount = sent[origin]
            for _, _, way, origin in chain:
                sent[way] += amount
                if origin != _UNSERVED:
                    sent[origin] -= amount
            rest[owner] -= amount
            free[end] -= amount


def _shortest_chain(
    owner: int, free: memoryview, sent: memoryview, ends: ArcEnds, closed: memoryview
) -> list[tuple[int, int, int, int]]:
    """The links of a chain from a sector with room back to unserved traffic of a class.

    A link is (sector, place of the link that it relieves or -1, way, origin): traffic goes into the sector by `way`, an
    arc, that went by `origin` so far: an arc of the same class, or _UNSERVED. No links where there is no such chain;
    all sectors found on the way are then marked in `closed`, (sectors,) bool. Breadth first: a node is a sector with
    the question "can it take more?", whose answer may be to send what it carries for a class elsewhere.
    """
    out_of, into, source, target = ends.out_of, ends.into, ends.source, ends.target
    seen = bytearray(closed)
    queue: list[tuple[int, int, int, int]] = []
    for way in out_of[owner]:
        sector = target[way]
        if not seen[sector]:
            seen[sector] = 1
            link = (sector, -1, way, _UNSERVED)
            if free[sector] > TINY_MBPS:
                return [link]
            queue.append(link)
    if not queue:
        return []
    asked = {owner}  # classes: all that may carry one are found when it is met first
    # the queue grows while it is gone through
    for place, (previous, _, _, _) in enumerate(queue):
        for arc in into[previous]:
            if sent[arc] > TINY_MBPS and (carried := source[arc]) not in asked:
                asked.add(carried)
                for way in out_of[carried]:
                    sector = target[way]
                    if not seen[sector]:
                        seen[sector] = 1
                        link = (sector, place, way, arc)
                        if free[sector] > TINY_MBPS:
                            chain = [link]
                            while place >= 0:
                                chain.append(queue[place])
                                place = queue[place][1]
                            return chain
                        queue.append(link)
    for sector, _, _, _ in queue:
        closed[sector] = True
    return []
