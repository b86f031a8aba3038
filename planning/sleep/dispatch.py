"""Who serves which traffic in an hour, for every strategy alike.

Rule: a site serves its own traffic first; what does not fit goes to ring neighbours with room, nearest first; if
some is left although room exists further on, it is passed along chains of neighbours (augmenting paths), so that
the unserved traffic is the least possible for the awake cells.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from planning.geometry import distances_m

_TINY = 1e-7  # Mbit/s


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
        for begin in range(0, len(points), 512):
            block = distances_m(points[begin : begin + 512], points)
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
    for hour in np.flatnonzero((left > _TINY).any(axis=0) & (room > _TINY).any(axis=0)):
        _augment(own[:, hour], left[:, hour], room[:, hour], moved[:, hour], ring)
    left[left < _TINY] = 0.0
    return Dispatch(capacity - room, moved, left)


def _augment(own: np.ndarray, left: np.ndarray, room: np.ndarray, moved: np.ndarray, ring: Ring) -> None:
    """Pass traffic along chains until no unserved traffic can reach room (Edmonds-Karp); arrays change in place."""
    out_arcs: list[list[int]] = [[] for _ in range(ring.sites)]
    in_arcs: list[list[int]] = [[] for _ in range(ring.sites)]
    for arc, (source, target) in enumerate(zip(ring.source.tolist(), ring.target.tolist(), strict=True)):
        out_arcs[source].append(arc)
        in_arcs[target].append(arc)
    while True:
        # a node is a site with the question "can it take more?"; parent = (previous site, whose traffic, from arc)
        parent: dict[int, tuple[int, int, int]] = {}
        queue: deque[int] = deque()
        end = -1

        def reach(
            site: int,
            previous: int,
            owner: int,
            origin: int,
            parent: dict[int, tuple[int, int, int]] = parent,
            queue: deque[int] = queue,
        ) -> bool:
            if site in parent:
                return False
            parent[site] = (previous, owner, origin)
            queue.append(site)
            return bool(room[site] > _TINY)

        for owner in np.flatnonzero(left > _TINY).tolist():
            targets = [owner, *(int(ring.target[a]) for a in out_arcs[owner])]
            end = next((t for t in targets if reach(t, -1, owner, -2)), -1)
            if end >= 0:
                break
        while queue and end < 0:
            site = queue.popleft()
            # what the full site carries could move on: its own traffic (-1), and its neighbours' that came by an arc
            carried = [(site, -1)] if own[site] > _TINY else []
            carried += [(int(ring.source[a]), a) for a in in_arcs[site] if moved[a] > _TINY]
            for owner, origin in carried:
                targets = [owner, *(int(ring.target[a]) for a in out_arcs[owner])]
                end = next((t for t in targets if reach(t, site, owner, origin)), -1)
                if end >= 0:
                    break
        if end < 0:
            return
        path, site = [], end
        while True:
            previous, owner, origin = parent[site]
            path.append((site, owner, origin))
            if previous < 0:
                break
            site = previous
        amount = room[end]
        for _, owner, origin in path:
            amount = min(
                amount, left[owner] if origin == -2 else own[owner] if origin == -1 else moved[origin]
            )
        for site, owner, origin in path:
            if site == owner:
                own[owner] += amount
            else:
                moved[next(a for a in out_arcs[owner] if ring.target[a] == site)] += amount
            if origin == -2:
                left[owner] -= amount
            elif origin == -1:
                own[owner] -= amount
            else:
                moved[origin] -= amount
        room[end] -= amount
