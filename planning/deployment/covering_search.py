"""Covering without a solver: a greedy plan, and better plans by swaps (NumPy)."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_matrix, identity

from planning.deployment.covering import CoveringProblem

_EXCHANGED = (2, 7)  # sites that are exchanged at once, from and below
_WORSE = 3e-4  # by how much a plan may be worse that is gone on from
_INTO = 3  # candidates that a site is exchanged for, of those that look best
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
    steps: int | None = None,
) -> tuple[np.ndarray, float]:
    """(plan, Mbit/s served) by swaps, from the best of the starts.

    Every swap is judged first without rerouting (a lower bound of its true value, for all swaps at once), then the best
    looking by maximum flow. At a local optimum a few sites near each other are exchanged and it starts again; a plan
    that is a little worse may be gone on from, less so towards the end. Ends after `seconds`, after `steps` exchanges,
    which make the plan the same on every machine, or once within the relative `gap` of the bound.
    """
    rng = np.random.default_rng(seed)
    begun = time.perf_counter()
    ends = begun + seconds
    touched = two_steps(problem)
    best = max((_climb(problem, s, ends, bound, gap, touched) for s in starts), key=lambda plan: plan[1])
    present, movable = best, ~problem.forced
    done = 0
    while (now := time.perf_counter()) < ends and best[1] * (1 + gap) < bound * (1 - 1e-9):
        if done == steps:
            break
        left = (ends - now) / max(seconds, 1e-9) if steps is None else 1 - done / steps
        done += 1
        if report:
            report(best[1])
        open_ = np.flatnonzero(present[0] & movable)
        if not len(open_):
            break
        shaken = present[0].copy()
        near = touched[int(rng.choice(open_))].indices
        mine = near[shaken[near] & movable[near]]
        gone = mine[rng.permutation(len(mine))[: rng.integers(*_EXCHANGED)]]
        shaken[gone] = False
        barred = np.zeros(problem.candidates, bool)
        barred[gone[: max(1, len(gone) // 2)]] = True
        trial = _climb(problem, fill(problem, shaken, barred), ends, bound, gap, touched, near)
        worse = min(_WORSE * left, 0.1 * (bound / max(best[1], 1e-12) - 1))
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
    touched: csr_matrix,
    around: np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    """Swaps, best first, to a local optimum. touched: by candidate, whose flows its swap changes. around: only these
    move."""
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
            region[touched[a].indices] = True
            region[touched[b].indices] = True
            value, new_flow = problem.serve(trial, flow, region)
            if value > served + 1e-7 * problem.need.sum():
                chosen, served, flow, moved = trial, value, new_flow, True
                break
        if not moved:
            break
    return chosen, served


def _swaps(
    problem: CoveringProblem, chosen: np.ndarray, flow: np.ndarray, neighbours: csr_matrix, local: np.ndarray
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
        top = np.argsort(-score, kind="stable")[:_INTO]
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
