"""Who serves which traffic in an hour, for every strategy alike.

Rule: a site serves its own traffic first; what does not fit goes to ring neighbours with room, nearest first; if
some is left although room exists further on, it is passed along chains of neighbours (augmenting paths), so that
the unserved traffic is the least possible for the awake cells.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from planning.geometry import distances_m

_TINY = 1e-7  # Mbit/s; less is rounding
_AT_HOME, _UNSERVED = -1, -2
_BLOCK = 512  # sites whose distances to all others are held at once


@dataclass(frozen=True)
class Ring:
    """Which sites may take over whose traffic: arcs source -> target (site rows), nearest first."""

    source: np.ndarray
    target: np.ndarray
    metres: np.ndarray
    sites: int

    @classmethod
    def of(cls, points: np.ndarray, ring_m: float, max_neighbours: int) -> Ring:
        """Up to `max_neighbours` nearest sites within `ring_m` metres; points: (sites, 2) local metres."""
        sources, targets, lengths = [], [], []
        for begin in range(0, len(points), _BLOCK):
            block = distances_m(points[begin : begin + _BLOCK], points)
            block[np.arange(len(block)), begin + np.arange(len(block))] = np.inf
            near = np.argsort(block, axis=1, kind="stable")[:, :max_neighbours]
            row = np.repeat(np.arange(len(block)), near.shape[1])
            length = block[row, near.ravel()]
            kept = length <= ring_m
            sources.append(begin + row[kept])
            targets.append(near.ravel()[kept])
            lengths.append(length[kept])
        source, target, metres = (np.concatenate(a) for a in (sources, targets, lengths))
        order = np.argsort(metres, kind="stable")
        return cls(source[order], target[order], metres[order], len(points))


@dataclass(frozen=True)
class Dispatch:
    """load: (sites, hours) Mbit/s carried by each site. moved: (arcs, hours) along the ring. unserved: (sites,
    hours) of each site's own traffic that nobody carries."""

    load: np.ndarray
    moved: np.ndarray
    unserved: np.ndarray


def dispatch(demand: np.ndarray, capacity: np.ndarray, ring: Ring) -> Dispatch:
    """Serve demand (sites, hours) with awake capacity (sites, hours), both Mbit/s, by the rule above."""
    own = np.minimum(demand, capacity)
    left = demand - own
    room = capacity - own
    moved = np.zeros((len(ring.source), demand.shape[1]))
    for arc in np.flatnonzero((left > _TINY).any(axis=1)[ring.source]):
        source, target = ring.source[arc], ring.target[arc]
        step = np.minimum(left[source], room[target])
        moved[arc] = step
        left[source] -= step
        room[target] -= step
    stuck = np.flatnonzero((left > _TINY).any(axis=0) & (room > _TINY).any(axis=0))
    arcs = _Arcs(ring)
    for hour in stuck:
        _augment(own[:, hour], left[:, hour], room[:, hour], moved[:, hour], ring, arcs)
    left[left < _TINY] = 0.0
    return Dispatch(capacity - room, moved, left)


class _Arcs:
    """Numbers of the ring's arcs by site; worked out when first asked for, as few hours need them."""

    def __init__(self, ring: Ring):
        self.ring = ring

    @cached_property
    def out_of(self) -> list[list[int]]:
        return self._by(self.ring.source)

    @cached_property
    def into(self) -> list[list[int]]:
        return self._by(self.ring.target)

    def _by(self, end: np.ndarray) -> list[list[int]]:
        arcs: list[list[int]] = [[] for _ in range(self.ring.sites)]
        for arc, site in enumerate(end.tolist()):
            arcs[site].append(arc)
        return arcs


class _Link(NamedTuple):
    """`site` takes traffic of `owner`, which was so far carried as `origin` says: _UNSERVED, _AT_HOME or an arc."""

    site: int
    owner: int
    origin: int


def _augment(
    own: np.ndarray, left: np.ndarray, room: np.ndarray, moved: np.ndarray, ring: Ring, arcs: _Arcs
) -> None:
    """Pass traffic along chains until no unserved traffic can reach room (Edmonds-Karp).

    own, left, room: (sites,), moved: (arcs,) Mbit/s of one hour, changed in place.
    """
    while chain := _shortest_chain(own, left, room, moved, ring, arcs):
        amount = room[chain[0].site]
        for link in chain:
            held = left if link.origin == _UNSERVED else own
            amount = min(amount, held[link.owner] if link.origin < 0 else moved[link.origin])
        for site, owner, origin in chain:
            if site == owner:
                own[owner] += amount
            else:
                moved[next(a for a in arcs.out_of[owner] if ring.target[a] == site)] += amount
            if origin == _UNSERVED:
                left[owner] -= amount
            elif origin == _AT_HOME:
                own[owner] -= amount
            else:
                moved[origin] -= amount
        room[chain[0].site] -= amount


def _shortest_chain(
    own: np.ndarray, left: np.ndarray, room: np.ndarray, moved: np.ndarray, ring: Ring, arcs: _Arcs
) -> list[_Link]:
    """The links of a chain from a site with room back to unserved traffic; none where there is no such chain.

    Breadth first: a node is a site with the question "can it take more?", whose answer may be to pass on what it
    carries.
    """
    found: dict[
        int, tuple[int, _Link]
    ] = {}  # site -> (the site that would pass traffic on to it, which traffic)
    queue: deque[int] = deque()

    def with_room(previous: int, owner: int, origin: int) -> int:
        """The first new site with room that may carry this traffic, -1 for none; those before it join the queue."""
        for site in (owner, *(int(ring.target[a]) for a in arcs.out_of[owner])):
            if site in found:
                continue
            found[site] = (previous, _Link(site, owner, origin))
            queue.append(site)
            if room[site] > _TINY:
                return site
        return -1

    def chain_to(site: int) -> list[_Link]:
        chain = []
        while site >= 0:
            site, link = found[site]
            chain.append(link)
        return chain

    for owner in np.flatnonzero(left > _TINY).tolist():
        if (end := with_room(-1, owner, _UNSERVED)) >= 0:
            return chain_to(end)
    while queue:
        site = queue.popleft()
        carried = [(site, _AT_HOME)] if own[site] > _TINY else []
        carried += [(int(ring.source[a]), a) for a in arcs.into[site] if moved[a] > _TINY]
        for owner, origin in carried:
            if (end := with_room(site, owner, origin)) >= 0:
                return chain_to(end)
    return []
