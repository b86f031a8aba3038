"""Capacitated maximal covering: which candidates to open so that they serve the most, within reach and capacity.

    max  sum_a x_a      over arcs a = (point i, candidate j) within reach
    s.t. sum_a(i) x_a <= d_i,   sum_a(j) x_a <= C_j y_j,   x_a <= min(d_i, C_j) y_j,   y binary, forced y_j = 1,
         sum_j y_j <= N,   sum_j c_j y_j <= B,   y_j + y_k <= 1 for candidates nearer than the minimum distance

What a set of open candidates serves is a maximum flow, so the set alone is the solution.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix

from planning.errors import InfeasibleError, InputError


@dataclass(frozen=True)
class CoveringProblem:
    """The program above as arrays."""

    need: np.ndarray  # d: (points,) Mbit/s
    point: np.ndarray  # (arcs,) who is within reach ...
    candidate: np.ndarray  # (arcs,) ... of whom; sorted by candidate
    capacity: np.ndarray  # C: (candidates,) Mbit/s
    cost: np.ndarray  # c: (candidates,), infinite for those that may not open
    forced: np.ndarray  # (candidates,) bool
    sites: int | None = None  # N, None where there is no such limit
    budget: float | None = None  # B, likewise
    conflicts: np.ndarray = field(
        default_factory=lambda: np.zeros((0, 2), int)
    )  # (pairs, 2): at most one opens

    @classmethod
    def build(
        cls,
        points: np.ndarray,
        need: np.ndarray,
        candidates: np.ndarray,
        radius_m: ArrayLike,
        capacity: ArrayLike,
        sites: int | None = None,
        cost: ArrayLike = 1.0,
        budget: float | None = None,
        forced: np.ndarray | None = None,
        forbidden: np.ndarray | None = None,
        min_distance_m: float = 0.0,
        near: list[np.ndarray] | None = None,
    ) -> CoveringProblem:
        """From places in local metres: points (points, 2), candidates (candidates, 2). radius_m, capacity, cost: one
        figure or one a candidate. near: the points that each candidate covers, instead of those within the radius,
        ascending. forbidden candidates serve nobody and may not open. Raises InputError for figures
        that make no sense, InfeasibleError where the forced ones break a limit."""
        count = len(candidates)
        need = np.asarray(need, float)
        radius, capacity, cost = (
            np.broadcast_to(np.asarray(v, float), (count,)) for v in (radius_m, capacity, cost)
        )
        if not count:
            raise InputError(
                "There is no candidate site; give a finer grid, more candidates or fewer forbidden ones."
            )
        if not ((radius >= 0).all() and (capacity > 0).all() and np.isfinite(radius).all()):
            raise InputError("The coverage radius must be at least 0 m and the site capacity above 0 Mbit/s.")
        if not (np.isfinite(cost) & (cost >= 0)).all():
            raise InputError("The cost of every site must be a number of at least 0.")
        if not (np.isfinite(need) & (need >= 0)).all():
            raise InputError("The demand of every place must be a number of at least 0 Mbit/s.")
        if sites is None and budget is None:
            raise InputError("Give a number of sites or a budget; without either every candidate would open.")
        if (sites is not None and sites < 1) or (budget is not None and not budget >= 0):
            raise InputError("The number of sites must be at least 1 and the budget at least 0.")
        from scipy.spatial import cKDTree

        forced = np.zeros(count, bool) if forced is None else np.asarray(forced, bool)
        closed = np.zeros(count, bool) if forbidden is None else np.asarray(forbidden, bool) & ~forced
        covered = cKDTree(points).query_ball_point(candidates, radius) if near is None else near
        covered = [
            [] if shut else sorted(found) for found, shut in zip(covered, closed.tolist(), strict=True)
        ]
        sizes = np.array([len(found) for found in covered])
        point = np.concatenate([np.asarray(found, int) for found in covered])
        conflicts = np.zeros((0, 2), int)
        if min_distance_m > 0:
            conflicts = cKDTree(candidates).query_pairs(min_distance_m * (1 - 1e-9), output_type="ndarray")
            conflicts = conflicts[~(forced[conflicts].all(axis=1) | closed[conflicts].any(axis=1))]
        problem = cls(
            need,
            point,
            candidate=np.repeat(np.arange(count), sizes),
            capacity=capacity,
            cost=np.where(closed, np.inf, cost),
            forced=forced,
            sites=sites,
            budget=budget,
            conflicts=conflicts.astype(int),
        )
        problem._check_forced()
        return problem

    def _check_forced(self) -> None:
        kept = int(self.forced.sum())
        if self.sites is not None and kept > self.sites:
            raise InfeasibleError(
                f"{kept} sites are kept or forced, more than the {self.sites} wanted; ask for more sites or keep fewer."
            )
        price = float(self.cost[self.forced].sum())
        if self.budget is not None and price > self.budget * (1 + 1e-9):
            raise InfeasibleError(
                f"The sites kept or forced cost {price:,.6g}, more than the budget of {self.budget:,.6g}; raise it or "
                "force fewer."
            )

    @property
    def candidates(self) -> int:
        """How many."""
        return len(self.capacity)

    @property
    def reach(self) -> np.ndarray:
        """(candidates,) demand within reach."""
        return np.bincount(self.candidate, self.need[self.point], self.candidates)

    def neighbours(self) -> csr_matrix:
        """(candidates, candidates) 1 where two may not both open."""
        a, b = self.conflicts.T
        shape = (self.candidates,) * 2
        return csr_matrix((np.ones(2 * len(a)), (np.r_[a, b], np.r_[b, a])), shape)

    def affordable(self, chosen: np.ndarray) -> np.ndarray:
        """(candidates,) bool: which could be opened beside the chosen (bool mask), conflicts apart."""
        free = ~chosen & np.isfinite(self.cost)
        if self.sites is not None and chosen.sum() >= self.sites:
            return np.zeros_like(free)
        if self.budget is not None:
            free &= self.cost <= self.budget * (1 + 1e-9) - self.cost[chosen].sum()
        return free

    def allows(self, chosen: np.ndarray) -> bool:
        """Whether a set of candidates (bool mask) keeps every limit."""
        price = float(self.cost[chosen].sum())
        return bool(
            chosen[self.forced].all()
            and np.isfinite(price)
            and (self.sites is None or chosen.sum() <= self.sites)
            and (self.budget is None or price <= self.budget * (1 + 1e-9))
            and not chosen[self.conflicts].all(axis=1).any()
        )

    def serve(
        self, chosen: np.ndarray, flow: np.ndarray | None = None, region: np.ndarray | None = None
    ) -> tuple[float, np.ndarray]:
        """(Mbit/s served, flow of each arc) of open candidates (bool mask), by maximum flow (to 1e-8 of all demand).

        With a flow and a region (bool mask of candidates) only flows of the region are worked out anew: a quick lower
        bound where only the region has changed.
        """
        arcs = chosen[self.candidate]
        if flow is None or region is None:
            kept, arcs = np.zeros(len(self.point)), np.flatnonzero(arcs)
        else:
            inside = region[self.candidate]
            kept, arcs = np.where(arcs & ~inside, flow, 0.0), np.flatnonzero(arcs & inside)
        if not len(arcs) or not self.need.any():
            return float(kept.sum()), kept
        left = self.need if region is None else self.need - np.bincount(self.point, kept, len(self.need))
        kept[arcs] = self._flow(arcs, left)
        return float(kept.sum()), kept

    def _flow(self, arcs: np.ndarray, left: np.ndarray) -> np.ndarray:
        """Mbit/s on these arcs (numbers, sorted by candidate) that serve the most of what is left (points,)."""
        points, tail = _numbered(self.point[arcs], len(self.need))
        sites, head = _numbered(self.candidate[arcs], self.candidates)
        unit = self.need.sum() / 1e9  # the flow is in whole numbers
        need, room = np.maximum(left[points], 0), np.minimum(self.capacity[sites], self.need.sum())
        # nodes: 0 the source, then the points, the sites and the sink; rows of the graph in this order
        first_site, sink = 1 + len(points), 1 + len(points) + len(sites)
        order = np.argsort(tail, kind="stable")  # the arcs by point, as the rows want them
        between = np.minimum(need[tail], room[head])[order]
        values = np.rint(np.concatenate([need, between, room]) / unit)
        columns = np.concatenate(
            [1 + np.arange(len(points)), first_site + head[order], np.full(len(sites), sink)]
        )
        in_row = np.concatenate(
            [[len(points)], np.bincount(tail, minlength=len(points)), np.ones(len(sites), int), [0]]
        )
        ends = np.concatenate([[0], np.cumsum(in_row)])
        graph = csr_matrix(
            (values.astype(np.int32), columns.astype(np.int32), ends.astype(np.int32)), (sink + 1,) * 2
        )
        from scipy.sparse.csgraph import maximum_flow

        flow = maximum_flow(graph, 0, sink).flow
        return np.asarray(flow[1 + tail, first_site + head]).ravel() * unit

    def reduced(self) -> tuple[CoveringProblem, np.ndarray]:
        """A smaller problem of equal optimum, and the candidate that each of its candidates is.

        Points that the same candidates reach are one point. A candidate goes that can never be used (forbidden, too
        dear or in conflict with a forced one) or that another dominates: reaching no more, with no more capacity, no
        less cost and no fewer conflicts. Dominated ones are only sought where the dominating one cannot itself be
        wanted beside it, which is when its capacity already exceeds all that it reaches.
        """
        usable = self.forced | self.affordable(self.forced)
        if len(self.conflicts):
            usable &= self.forced | (self.neighbours() @ self.forced.astype(float) == 0)
        usable &= self.forced | (self.reach > 0)
        arcs = usable[self.candidate]
        matrix = csr_matrix(
            (np.ones(int(arcs.sum())), (self.candidate[arcs], self.point[arcs])),
            shape=(self.candidates, len(self.need)),
        )
        if not len(self.conflicts):
            usable &= ~self._dominated(matrix, usable)
        kept = np.flatnonzero(usable)
        matrix = matrix[kept]
        by_point = matrix.tocsc()
        by_point.sort_indices()
        group = _codes([by_point.indices[a:b].tobytes() for a, b in pairwise(by_point.indptr)])
        need = np.bincount(group, self.need)
        coo = matrix.tocoo()
        pairs = np.unique(coo.row.astype(np.int64) * len(need) + group[coo.col])
        position = np.full(self.candidates, -1)
        position[kept] = np.arange(len(kept))
        conflicts = position[self.conflicts]
        return replace(
            self, need=need, point=pairs % len(need), candidate=pairs // len(need), capacity=self.capacity[kept],
            cost=self.cost[kept], forced=self.forced[kept], conflicts=conflicts[(conflicts >= 0).all(axis=1)],
        ), kept  # fmt: skip

    def _dominated(self, matrix: csr_matrix, usable: np.ndarray) -> np.ndarray:
        """(candidates,) bool; of two alike the earlier stays."""
        reach = matrix @ self.need
        common = (matrix @ matrix.T).tocoo()  # points that two candidates share
        size = np.diff(matrix.indptr)
        a, b = common.row, common.col  # does b dominate a?
        ample = self.capacity[b] >= reach[b] * (1 - 1e-12)
        better = (common.data == size[a]) & ample & (self.cost[b] <= self.cost[a]) & usable[a] & usable[b]
        same = (
            (size[a] == size[b])
            & (self.capacity[a] >= reach[a] * (1 - 1e-12))
            & (self.cost[a] == self.cost[b])
        )
        better &= (a != b) & ~self.forced[a] & (~same | (b < a) | self.forced[b])
        gone = np.zeros(self.candidates, bool)
        gone[a[better]] = True
        return gone


def _numbered(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """np.unique with the inverse, for whole numbers below count."""
    present = np.zeros(count, bool)
    present[values] = True
    return np.flatnonzero(present), (np.cumsum(present) - 1)[values]


def _codes(keys: list[bytes]) -> np.ndarray:
    """A number for each distinct key."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(key, len(seen)) for key in keys])
