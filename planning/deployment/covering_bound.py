"""What no covering plan exceeds, by Lagrangian relaxation (NumPy), and which candidates that settles."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from planning.deployment.covering import CoveringProblem

# of the subgradient: first step, smoothing of the direction, steps without progress, smoothing of what opened
_LENGTH, _MEMORY, _PATIENCE, _LATELY = 0.3, 0.95, 15, 0.99
# factor of the step where it stalls, and the share of the first one that ends it
_SHORTER, _SHORTEST = 0.7, 1e-4


@dataclass(frozen=True)
class Bound:
    """value: Mbit/s that no plan exceeds. excess: (candidates,) how much a candidate's worth exceeds the price of a
    place in the plan; `value - |excess|` bounds every plan that treats the candidate the other way. share:
    (candidates,) how often the relaxation opened it lately, 0..1: good places to begin from."""

    value: float
    excess: np.ndarray
    share: np.ndarray

    def fixed(self, served: float) -> tuple[np.ndarray, np.ndarray]:
        """(open, closed) bool: candidates that any plan better than `served` has, and that none has."""
        sure = self.value - np.abs(self.excess) < served * (1 - 1e-9)
        return sure & (self.excess > 0), sure & (self.excess < 0)


def lagrangian_bound(
    problem: CoveringProblem, served: float, iterations: int = 600, seconds: float = np.inf
) -> Bound:
    """Subgradient on prices of the points' demand; without conflicts its limit is the linear relaxation's value.

    For given prices each candidate serves its best paying points up to capacity (a fractional knapsack), and the best
    candidates within N, or within the budget as a fractional knapsack, open; conflicts are left out, which keeps it a
    bound. served: of a known plan, for the step length (Polyak's, shortened where it stalls). Directions are smoothed
    over the steps and measured in shares of the points' demand, in which the prices are alike.
    """
    until = time.perf_counter() + seconds
    need, point, candidate = problem.need, problem.point, problem.candidate
    count = problem.candidates
    arc_need, weight = need[point], np.maximum(need, 1e-12)
    starts = np.searchsorted(candidate, np.arange(count))
    room = _open(problem, np.minimum(problem.capacity, problem.reach))
    best = Bound(need.sum(), np.zeros(count), room[0])
    if room[1] < best.value:
        best = Bound(room[1], room[2], room[0])
    price = best_price = np.full(len(need), 0.5)
    lowest, length, stalled = np.inf, _LENGTH, 0
    direction, share = np.zeros(len(need)), room[0]
    for _ in range(iterations):
        if time.perf_counter() > until or best.value <= served * (1 + 1e-9):
            break
        pay = 1.0 - price[point]
        order = np.lexsort((-pay, candidate))
        total = np.cumsum(arc_need[order])
        before = total - arc_need[order] - np.r_[0.0, total][starts][candidate]
        flow = np.empty(len(point))
        flow[order] = np.clip(problem.capacity[candidate] - before, 0, arc_need[order])
        opened, value, excess = _open(problem, np.bincount(candidate, pay * flow, count))
        value += float(price @ need)
        missing = (need - np.bincount(point, flow * opened[candidate], len(need))) / weight
        direction = _MEMORY * direction + (1 - _MEMORY) * missing
        share = _LATELY * share + (1 - _LATELY) * opened
        stalled = 0 if value < lowest * (1 - 1e-5) else stalled + 1
        if value < lowest:
            lowest, best_price = value, price
            if value < best.value:
                best = Bound(value, excess, share)
        if stalled >= _PATIENCE:
            length, stalled, price = _SHORTER * length, 0, best_price
            if length < _SHORTEST * _LENGTH:
                break
            continue
        step = np.where((price <= 0) & (direction > 0) | (price >= 1) & (direction < 0), 0.0, direction)
        norm = float((step * weight) @ step)
        if norm < 1e-15 * need.sum():
            break
        price = np.clip(price - length * (value - served) / norm * step, 0.0, 1.0)
    return replace(best, share=share)


def _open(problem: CoveringProblem, worth: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """(share opened, value, excess) of the best candidates by worth within N or within the budget, whichever binds."""
    forced = problem.forced
    free = np.flatnonzero(~forced & np.isfinite(problem.cost))
    answers = []
    for limit, weight in ((problem.sites, np.ones(problem.candidates)), (problem.budget, problem.cost)):
        if limit is None:
            continue
        room = limit - weight[forced].sum()
        unit = np.maximum(weight, 1e-12)
        order = free[np.argsort(-worth[free] / unit[free], kind="stable")]
        used = np.cumsum(weight[order])
        opened = forced.astype(float)
        opened[order] = np.clip((room - used + weight[order]) / unit[order], 0, 1)
        over = np.flatnonzero(used > room * (1 + 1e-12) + 1e-12)
        threshold = worth[order[over[0]]] / unit[order[over[0]]] if len(over) else 0.0
        value = float(worth @ opened)
        excess = np.where(
            forced | ~np.isfinite(problem.cost),
            0.0,
            worth - threshold * np.where(np.isfinite(weight), weight, 0),
        )
        answers.append((opened, value, excess))
    return min(answers, key=lambda a: a[1])
