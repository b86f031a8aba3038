"""What each site of a covering plan is worth, and where further ones stand."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from planning.deployment.covering import CoveringProblem
from planning.deployment.covering_search import direct_gain, fill, two_steps

_EXACT = 300  # sites up to which every gain is worked out over the whole network
_LOOKED_AT = 200  # candidates that serve the most at once, among which further sites are sought
_MIN_GAIN = 1e-7  # of all demand; less is rounding


def rollout(problem: CoveringProblem, chosen: np.ndarray, beyond: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(order, served): candidates in the order in which each serves the most more, and what the first k serve.

    The forced come first, then the rest of the chosen, then up to `beyond` more that still serve something (with no
    limit on N or budget), sought among the _LOOKED_AT that serve the most at once. Lazy greedy: a gain can only shrink
    as more sites open. Beyond _EXACT sites, flows far from a new site stay as they are, a close lower bound.
    """
    order, served = [], []
    open_, flow, present = np.zeros(problem.candidates, bool), np.zeros(len(problem.point)), 0.0
    neighbours = problem.neighbours()
    near = two_steps(problem) if chosen.sum() > _EXACT else None
    for group in (problem.forced & chosen, chosen & ~problem.forced, None):
        if group is None:
            left = problem.need - np.bincount(problem.point, flow, len(problem.need))
            at_once = np.where(np.isfinite(problem.cost) & ~chosen, direct_gain(problem, left), -1.0)
            waiting = np.argsort(-at_once, kind="stable")[:_LOOKED_AT]
            waiting = waiting[at_once[waiting] >= 0]
        else:
            waiting = np.flatnonzero(group)
        limit = beyond if group is None else len(waiting)
        upper = np.minimum(problem.capacity, problem.reach)[waiting]
        while limit and len(waiting):
            fresh: dict[int, np.ndarray] = {}
            while int(top := upper.argmax()) not in fresh:
                value, fresh[int(top)] = _changed(problem, open_, flow, waiting[top], near)
                upper[top] = value - present
            best, gain = waiting[top], max(float(upper[top]), 0.0)
            waiting, upper = np.delete(waiting, top), np.delete(upper, top)
            if group is None:
                if gain <= _MIN_GAIN * problem.need.sum():
                    break
                if (neighbours[best] @ open_.astype(float))[0] > 0:
                    continue
            open_[best], flow = True, fresh[int(top)]
            present += gain
            order.append(best)
            served.append(present)
            limit -= 1
    return np.array(order, int), np.array(served)


def losses(problem: CoveringProblem, chosen: np.ndarray) -> np.ndarray:
    """(candidates,) how much less is served where that one chosen site alone is left out; 0 for the others.

    Beyond _EXACT sites, flows far from the site stay as they are, a close upper bound.
    """
    whole, flow = problem.serve(chosen)
    near = two_steps(problem) if chosen.sum() > _EXACT else None
    lost = np.zeros(problem.candidates)
    for j in np.flatnonzero(chosen).tolist():
        lost[j] = max(0.0, whole - _changed(problem, chosen, flow, j, near)[0])
    return lost


def _changed(
    problem: CoveringProblem, chosen: np.ndarray, flow: np.ndarray, j: int, near: csr_matrix | None
) -> tuple[float, np.ndarray]:
    """What is served, and how, with candidate j the other way."""
    trial = chosen.copy()
    trial[j] = not trial[j]
    if near is None:
        return problem.serve(trial)
    region = np.zeros(problem.candidates, bool)
    region[near[j].indices] = True
    return problem.serve(trial, flow, region)


def add_idle(problem: CoveringProblem, chosen: np.ndarray) -> np.ndarray:
    """The plan with sites up to N: those that serve no more stand where the most demand a site is, for headroom."""
    chosen = fill(problem, chosen)
    if problem.sites is None:
        return chosen
    neighbours = problem.neighbours()
    while (free := problem.affordable(chosen) & (neighbours @ chosen.astype(float) == 0)).any():
        near = np.bincount(problem.point, chosen[problem.candidate], len(problem.need))
        worth = np.bincount(problem.candidate, (problem.need / (1 + near))[problem.point], problem.candidates)
        chosen[np.where(free, worth, -1.0).argmax()] = True
    return chosen
