"""The covering plan: NumPy search, Lagrangian bound, then PuLP with CBC and HiGHS on what is still open."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from planning.deployment.covering import CoveringProblem
from planning.deployment.covering_search import (
    Bound,
    direct_gain,
    fill,
    greedy,
    improve,
    lagrangian_bound,
    rounded,
    two_steps,
)
from planning.errors import SolverError
from planning.solver import Model, SolveResult, available_solvers, relative_gap

_SEARCH_SECONDS_PER_ARC = 1.5e-4  # of local search before a solver is asked
_EXACT = 300  # sites up to which every gain is worked out over the whole network
_LOOKED_AT = 200
_MOST_ARCS = 20_000  # beyond, no solver gets far within a minute; the search has the time then
_EQUAL = 2e-6  # solvers keep their rows to 1e-6, so a closer bound says no more
Progress = Callable[[str], None]


@dataclass(frozen=True)
class CoveringPlan:
    """chosen: (candidates,) bool. served_mbps and flow (arcs,): what the chosen serve. solve: status, bound and gap of
    the whole; its objective is served_mbps. steps: one sentence for the search and each solver that ran."""

    chosen: np.ndarray
    served_mbps: float
    flow: np.ndarray
    solve: SolveResult
    steps: tuple[str, ...]


def solve_covering(
    problem: CoveringProblem,
    solver: str = "auto",
    time_limit: float = 60.0,
    gap: float = 1e-4,
    threads: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> CoveringPlan:
    """Greedy, swaps and a Lagrangian bound; unless that proves the gap, CBC and then HiGHS (solver "auto") start from
    the plan at hand, without the candidates that the bound rules out, and swaps take the last third of the time.

    The status is "optimal" only where plan and bound are within `gap` of each other. Seeded; a time limit that ends the
    search makes the plan depend on the machine's speed.
    """
    begun = time.perf_counter()
    left = lambda: time_limit - (time.perf_counter() - begun)  # noqa: E731
    tell = progress or (lambda text: None)
    small, kept = problem.reduced()
    tell("greedy plan")
    chosen = greedy(small)
    served, _ = small.serve(chosen)
    first = served
    tell("bound by relaxation")
    relaxed = lagrangian_bound(small, served, seconds=0.3 * max(left(), 0.0))
    bound, steps, solver_names = relaxed.value, [], ["search"]
    searching = lambda value: tell(  # noqa: E731
        f"swapping sites: {value:,.0f} Mbit/s, {100 * max(0.0, bound / max(value, 1e-12) - 1):.2f} % below the bound"
    )
    large = len(small.point) > _MOST_ARCS
    seconds = left() if large else min(0.3 * left(), _SEARCH_SECONDS_PER_ARC * len(small.point) + 0.05)
    starts = [chosen, rounded(small, relaxed.share)]
    chosen, served = improve(small, starts, max(seconds, 0.0), bound, gap, seed, searching)
    steps.append(f"search: greedy {first:,.2f}, with swaps {served:,.2f}, relaxation {bound:,.2f} Mbit/s")
    order = [s for s in ("cbc", "highs") if s in available_solvers()] if solver == "auto" else [solver]
    for turn, name in enumerate([] if large else order):
        if _closed(served, bound, gap) or left() < 0.05:
            break
        tell(f"{name.upper()} on {small.candidates} candidates")
        model, y = _model(small, relaxed, served)
        if name == "cbc":  # HiGHS 1.16 has reported more than its solution is worth after such a start
            model.start(y, chosen.astype(float))
        share = left() / (len(order) - turn + 1)
        result = model.solve(name, share, gap, threads=threads, seed=seed)
        if result.has_solution:
            found = result.of(y) > 0.5
            value = small.serve(found)[0]
            if value > served and small.allows(found):
                chosen, served = found, value
        elif result.status == "unbounded":
            raise SolverError("The covering model came out unbounded; give finite demand and capacities.")
        proven = served if result.status == "infeasible" else result.bound
        if (
            proven is not None
        ):  # of what the fixed candidates leave: nothing better than `served` was ruled out
            bound = min(bound, max(proven, served))
        solver_names.append(result.solver)
        steps.append(result.sentence)
    if not large and not _closed(served, bound, gap):
        chosen, served = improve(small, [chosen], max(left(), 0.0), bound, gap, seed + 1, searching)
        steps.append(f"search again: {served:,.2f} Mbit/s")
    whole = np.zeros(problem.candidates, bool)
    whole[kept[chosen]] = True
    served, flow = problem.serve(whole)
    bound = max(bound, served)
    off = relative_gap(served, bound)
    if off is not None and off <= _EQUAL:
        bound, off = served, 0.0
    status = "optimal" if off is not None and off <= gap else "feasible"
    seconds = time.perf_counter() - begun
    answer = SolveResult(status, served, bound, off, seconds, 0.0, " + ".join(dict.fromkeys(solver_names)))
    return CoveringPlan(whole, served, flow, answer, tuple(steps))


def _closed(served: float, bound: float, gap: float) -> bool:
    return bound - served <= max(gap * served, _EQUAL * bound)


def _model(problem: CoveringProblem, relaxed: Bound, served: float) -> tuple[Model, np.ndarray]:
    """(model, y): the integer model and its variables of the candidates.

    Candidates whose capacity exceeds all that they reach need no flow of their own: together they serve a point wholly
    or not at all.
    """
    fixed_open, fixed_closed = relaxed.fixed(served)
    model = Model("covering", maximise=True)
    count, points = problem.candidates, len(problem.need)
    ample = problem.capacity >= problem.reach * (1 - 1e-12)
    by_ample = ample[problem.candidate]
    lower = (problem.forced | fixed_open).astype(float)
    y = model.variables("y", count, lower=lower, upper=np.where(fixed_closed, lower, 1.0), integer=True)
    arcs = np.flatnonzero(~by_ample)
    need = problem.need[problem.point[arcs]]
    most = np.minimum(need, problem.capacity[problem.candidate[arcs]])
    x = model.variables("x", len(arcs), upper=most)
    model.cost(x, 1.0)
    wide = np.unique(problem.point[by_ample])
    s = model.variables("s", len(wide), upper=problem.need[wide])
    model.cost(s, 1.0)
    model.rows(
        np.concatenate([problem.point[arcs], wide]), np.concatenate([x, s]), 1.0, upper=problem.need, count=points
    )  # fmt: skip
    position = np.zeros(points, int)
    position[wide] = np.arange(len(wide))
    at, by = problem.point[by_ample], problem.candidate[by_ample]
    model.rows(
        np.concatenate([np.arange(len(wide)), position[at]]), np.concatenate([s, y[by]]),
        np.concatenate([np.ones(len(wide)), -problem.need[at]]), upper=0.0, count=len(wide),
    )  # fmt: skip
    each = np.arange(len(arcs))
    model.rows(
        np.concatenate([each, each]), np.concatenate([x, y[problem.candidate[arcs]]]),
        np.concatenate([np.ones(len(arcs)), -most]), upper=0.0, count=len(arcs),
    )  # fmt: skip
    tight = np.flatnonzero(~ample)
    row = np.zeros(count, int)
    row[tight] = np.arange(len(tight))
    model.rows(
        np.concatenate([row[problem.candidate[arcs]], np.arange(len(tight))]), np.concatenate([x, y[tight]]),
        np.concatenate([np.ones(len(arcs)), -problem.capacity[tight]]), upper=0.0, count=len(tight),
    )  # fmt: skip
    if problem.sites is not None:
        model.rows(0, y, 1.0, upper=problem.sites, count=1)
    if problem.budget is not None:
        model.rows(0, y, problem.cost, upper=problem.budget, count=1)
    groups = cliques(problem.conflicts, count)
    if groups:
        row = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
        model.rows(row, y[np.concatenate(groups)], 1.0, upper=1.0, count=len(groups))
    return model, y


def cliques(conflicts: np.ndarray, count: int) -> list[np.ndarray]:
    """Sets of candidates of which at most one may open, together holding every pair: stronger than the pairs alone."""
    beside: list[set[int]] = [set() for _ in range(count)]
    for a, b in conflicts.tolist():
        beside[a].add(b)
        beside[b].add(a)
    open_pairs = {(min(a, b), max(a, b)) for a, b in conflicts.tolist()}
    groups = []
    for a, b in sorted(open_pairs):
        if (a, b) not in open_pairs:
            continue
        group, common = [a, b], beside[a] & beside[b]
        while common:
            nxt = min(common)
            group.append(nxt)
            common = common & beside[nxt]
        open_pairs -= {(u, v) for u in group for v in group if u < v}
        groups.append(np.array(group))
    return groups


# --- what a plan is made of ----------------------------------------------------------------------------------------


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
                if gain <= 1e-7 * problem.need.sum():
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
