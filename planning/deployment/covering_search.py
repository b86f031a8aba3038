"""Covering without a solver: a greedy plan, better plans by swaps, and a bound by Lagrangian relaxation (NumPy)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix, identity

from planning.deployment.covering import CoveringProblem

# of the subgradient: first step, smoothing of the direction, steps without progress, smoothing of what opened
_LENGTH, _MEMORY, _PATIENCE, _LATELY = 0.3, 0.95, 15, 0.99
_EXCHANGED = (2, 7)  # sites that are exchanged at once, from and below
_WORSE = 3e-4  # by how much a plan may be worse that is gone on from
_TRIED = 12  # swaps whose true value is worked out a round, of those that look best


def greedy(problem: CoveringProblem) -> np.ndarray:
    """(candidates,) bool: forced ones, then one at a time what serves the most more (for its cost, under a budget)."""
    return fill(problem, problem.forced)


def fill(problem: CoveringProblem, chosen: np.ndarray, barred: np.ndarray | None = None) -> np.ndarray:
    """The plan with as many more candidates as serve anything and the limits allow, greedily."""
    chosen = chosen.copy()
    neighbours = problem.neighbours()
    blocked = neighbours @ chosen.astype(float)
    left = problem.need - np.bincount(problem.point, problem.serve(chosen)[1], len(problem.need))
    ends = np.searchsorted(problem.candidate, np.arange(problem.candidates + 1))
    while True:
        gain = direct_gain(problem, left)
        gain[~problem.affordable(chosen) | (blocked > 0)] = 0.0
        if barred is not None:
            gain[barred] = 0.0
        if not gain.max(initial=0.0) > 1e-9 * problem.need.sum():
            return chosen
        worth = gain if problem.budget is None else gain / np.maximum(problem.cost, 1e-12)
        best = int(worth.argmax())
        chosen[best] = True
        blocked += neighbours[best].toarray()[0]
        mine = problem.point[ends[best] : ends[best + 1]]
        mine = mine[np.argsort(-left[mine], kind="stable")]
        before = np.cumsum(left[mine]) - left[mine]
        left[mine] -= np.clip(problem.capacity[best] - before, 0, left[mine])


def rounded(problem: CoveringProblem, share: np.ndarray) -> np.ndarray:
    """(candidates,) bool: forced ones, then by share, largest first, as far as the limits allow."""
    chosen = problem.forced.copy()
    neighbours = problem.neighbours()
    blocked = neighbours @ chosen.astype(float)
    for j in np.argsort(-share, kind="stable"):
        if share[j] <= 0:
            break
        if blocked[j] <= 0 and problem.affordable(chosen)[j]:
            chosen[j] = True
            blocked += neighbours[j].toarray()[0]
    return chosen


def improve(
    problem: CoveringProblem,
    starts: list[np.ndarray],
    seconds: float,
    bound: float = np.inf,
    gap: float = 0.0,
    seed: int = 0,
    report: Callable[[float], None] | None = None,
) -> tuple[np.ndarray, float]:
    """(plan, Mbit/s served) by swaps, from the best of the starts.

    Every swap is judged first without rerouting (a lower bound of its true value, for all swaps at once), then the best
    looking by maximum flow. At a local optimum a few sites near each other are exchanged and it starts again; a plan
    that is a little worse may be gone on from, less so towards the end. Ends after `seconds` or once within the
    relative `gap` of the bound.
    """
    rng = np.random.default_rng(seed)
    begun = time.perf_counter()
    ends = begun + seconds
    near2 = two_steps(problem)
    best = max((_climb(problem, s, ends, bound, gap, near2) for s in starts), key=lambda plan: plan[1])
    present, movable = best, ~problem.forced
    while (now := time.perf_counter()) < ends and best[1] * (1 + gap) < bound * (1 - 1e-9):
        if report:
            report(best[1])
        open_ = np.flatnonzero(present[0] & movable)
        if not len(open_):
            break
        shaken = present[0].copy()
        near = near2[int(rng.choice(open_))].indices
        mine = near[shaken[near] & movable[near]]
        gone = mine[rng.permutation(len(mine))[: rng.integers(*_EXCHANGED)]]
        shaken[gone] = False
        barred = np.zeros(problem.candidates, bool)
        barred[gone[: max(1, len(gone) // 2)]] = True
        trial = _climb(problem, fill(problem, shaken, barred), ends, bound, gap, near2, near)
        worse = min(_WORSE * (ends - now) / max(seconds, 1e-9), 0.1 * (bound / max(best[1], 1e-12) - 1))
        if trial[1] > present[1] * (1 - worse):
            present = trial
        if trial[1] > best[1]:
            best = trial
        if present[1] < best[1] * (1 - 4 * worse):
            present = best
    return best


def _climb(
    problem: CoveringProblem,
    chosen: np.ndarray,
    ends: float,
    bound: float,
    gap: float,
    near: np.ndarray,
    around: np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    """Swaps, best first, to a local optimum. near: which candidates' flows a swap changes. around: only these move."""
    chosen = fill(problem, chosen)
    served, flow = problem.serve(chosen)
    neighbours = problem.neighbours()
    local = np.ones(problem.candidates, bool)
    if around is not None:
        local[:] = False
        local[around] = True
    while time.perf_counter() < ends and served * (1 + gap) < bound * (1 - 1e-9):
        pairs = _swaps(problem, chosen, flow, neighbours, local)
        moved = False
        for a, b in pairs:
            trial = chosen.copy()
            trial[a], trial[b] = False, True
            region = np.zeros(problem.candidates, bool)
            region[near[a].indices] = True
            region[near[b].indices] = True
            value, new_flow = problem.serve(trial, flow, region)
            if value > served + 1e-7 * problem.need.sum():
                chosen, served, flow, moved = trial, value, new_flow, True
                break
        if not moved:
            break
    return chosen, served


def _swaps(
    problem: CoveringProblem, chosen: np.ndarray, flow: np.ndarray, neighbours: np.ndarray, local: np.ndarray
) -> list[tuple[int, int]]:
    """(out, in) of the most promising allowed swaps, best first."""
    left = problem.need - np.bincount(problem.point, flow, len(problem.need))
    starts = np.searchsorted(problem.candidate, np.arange(problem.candidates + 1))
    blocked = neighbours @ chosen.astype(float)
    pairs = []
    for a in np.flatnonzero(chosen & ~problem.forced & local):
        mine = slice(starts[a], starts[a + 1])
        freed = left.copy()
        freed[problem.point[mine]] += flow[mine]
        rest = chosen.copy()
        rest[a] = False
        free = problem.affordable(rest) & local
        free[a] = False
        if len(problem.conflicts):
            free &= blocked - neighbours[a].toarray()[0] <= 0
        into = np.flatnonzero(free)
        if not len(into):
            continue
        score = direct_gain(problem, freed)[into] - flow[mine].sum()
        top = np.argsort(-score, kind="stable")[:3]
        pairs += [(float(score[t]), int(a), int(into[t])) for t in top]
    pairs.sort(key=lambda p: -p[0])
    return [(a, b) for _, a, b in pairs[:_TRIED]]


def direct_gain(problem: CoveringProblem, left: np.ndarray) -> np.ndarray:
    """(candidates,) what each would serve of demand that is left, nothing else moving."""
    reach = np.bincount(problem.candidate, left[problem.point], problem.candidates)
    return np.minimum(reach, problem.capacity)


def two_steps(problem: CoveringProblem) -> csr_matrix:
    """(candidates, candidates) bool: those that share a point, or a candidate that does, and each with itself."""
    shape = (problem.candidates, len(problem.need))
    reach = csr_matrix((np.ones(len(problem.point), np.float32), (problem.candidate, problem.point)), shape)
    touching = (
        (reach @ reach.T + identity(problem.candidates, np.float32, "csr")).astype(bool).astype(np.float32)
    )
    return (touching @ touching).astype(bool).tocsr()


# --- bound -------------------------------------------------------------------------------------------------------


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
            length, stalled, price = 0.7 * length, 0, best_price
            if length < 1e-4 * _LENGTH:
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
