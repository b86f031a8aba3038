"""The covering plan: NumPy search, Lagrangian bound, then PuLP with CBC and HiGHS on what is still open."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from planning.deployment.covering import CoveringProblem
from planning.deployment.covering_bound import Bound, lagrangian_bound
from planning.deployment.covering_search import greedy, improve, rounded
from planning.errors import SolverError
from planning.solver import Model, SolveResult, available_solvers, relative_gap

_BOUND_SHARE, _SEARCH_SHARE = 0.3, 0.3  # of the time that is left
_SEARCH_SECONDS_PER_ARC = 1.5e-4  # of local search before a solver is asked
_MIN_SECONDS = 0.05
_MAX_ARCS = 20_000  # beyond, no solver gets far within a minute; the search has the time then
_EQUAL = 2e-6  # solvers keep their rows to 1e-6, so a closer bound says no more
Tell = Callable[[str], None]


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
    progress: Tell | None = None,
) -> CoveringPlan:
    """Greedy, swaps and a Lagrangian bound; unless that proves the gap, CBC and then HiGHS (solver "auto") start from
    the plan at hand, without the candidates that the bound rules out, and swaps take the last third of the time.

    time_limit: seconds. gap: relative. The status is "optimal" only where plan and bound are within `gap` of each
    other. Seeded; a time limit that ends the search makes the plan depend on the machine's speed. Raises SolverError.
    """
    begun = time.perf_counter()
    tell = progress or (lambda text: None)
    small, kept = problem.reduced()
    tell("greedy plan")
    chosen = greedy(small)
    best = _Incumbent(small, chosen, small.serve(chosen)[0], gap, begun + time_limit)
    first = best.served
    tell("bound by relaxation")
    relaxed = lagrangian_bound(small, best.served, seconds=_BOUND_SHARE * max(best.left, 0.0))
    best.bound = relaxed.value
    large = len(small.point) > _MAX_ARCS
    few = _SEARCH_SECONDS_PER_ARC * len(small.point) + _MIN_SECONDS
    best.swap(
        [chosen, rounded(small, relaxed.share)],
        best.left if large else min(_SEARCH_SHARE * best.left, few),
        seed,
        tell,
    )
    best.steps.append(
        f"search: greedy {first:,.2f}, with swaps {best.served:,.2f}, relaxation {best.bound:,.2f} Mbit/s"
    )
    if not large:
        _ask_solvers(best, relaxed, solver, threads, seed, tell)
        if not best.closed:
            best.swap([best.chosen], best.left, seed + 1, tell)
            best.steps.append(f"search again: {best.served:,.2f} Mbit/s")
    return _answered(problem, kept, best, time.perf_counter() - begun)


@dataclass
class _Incumbent:
    """The best plan of the reduced problem so far. chosen: (candidates,) bool. served: Mbit/s. ends: of
    `time.perf_counter`. bound: Mbit/s that no plan exceeds."""

    problem: CoveringProblem
    chosen: np.ndarray
    served: float
    gap: float
    ends: float
    bound: float = np.inf
    steps: list[str] = field(default_factory=list)
    solvers: list[str] = field(default_factory=lambda: ["search"])

    @property
    def left(self) -> float:
        """Seconds."""
        return self.ends - time.perf_counter()

    @property
    def closed(self) -> bool:
        """Whether the bound proves the plan."""
        return self.bound - self.served <= max(self.gap * self.served, _EQUAL * self.bound)

    def swap(self, starts: list[np.ndarray], seconds: float, seed: int, tell: Tell) -> None:
        """The best plan that swaps find from the starts."""

        def report(value: float) -> None:
            below = 100 * max(0.0, self.bound / max(value, 1e-12) - 1)
            tell(f"swapping sites: {value:,.0f} Mbit/s, optimality gap {below:.2f} %")

        self.chosen, self.served = improve(
            self.problem, starts, max(seconds, 0.0), self.bound, self.gap, seed, report
        )


def _ask_solvers(best: _Incumbent, relaxed: Bound, solver: str, threads: int, seed: int, tell: Tell) -> None:
    """Each solver in turn, with an even part of the time that leaves as much for a search after them."""
    small = best.problem
    order = [s for s in ("cbc", "highs") if s in available_solvers()] if solver == "auto" else [solver]
    for turn, name in enumerate(order):
        if best.closed or best.left < _MIN_SECONDS:
            return
        tell(f"{name.upper()} on {small.candidates} candidates")
        model, y = _model(small, relaxed, best.served)
        if name == "cbc":  # HiGHS 1.16 has reported more than its solution is worth after such a start
            model.start(y, best.chosen.astype(float))
        seconds = best.left / (len(order) - turn + 1)
        result = model.solve(name, seconds, best.gap, threads=threads, seed=seed)
        if result.has_solution:
            found = result.of(y) > 0.5
            value = small.serve(found)[0]
            if value > best.served and small.allows(found):
                best.chosen, best.served = found, value
        elif result.status == "unbounded":
            raise SolverError("The covering model came out unbounded; give finite demand and capacities.")
        proven = best.served if result.status == "infeasible" else result.bound
        if (
            proven is not None
        ):  # of what the fixed candidates leave: nothing better than `served` was ruled out
            best.bound = min(best.bound, max(proven, best.served))
        best.solvers.append(result.solver)
        best.steps.append(result.sentence)


def _answered(problem: CoveringProblem, kept: np.ndarray, best: _Incumbent, seconds: float) -> CoveringPlan:
    """The plan of the reduced problem as one of the whole; kept: the candidate that each of its candidates is."""
    whole = np.zeros(problem.candidates, bool)
    whole[kept[best.chosen]] = True
    served, flow = problem.serve(whole)
    bound = max(best.bound, served)
    off = relative_gap(served, bound)
    if off is not None and off <= _EQUAL:
        bound, off = served, 0.0
    status = "optimal" if off is not None and off <= best.gap else "feasible"
    solvers = " + ".join(dict.fromkeys(best.solvers))
    answer = SolveResult(status, served, bound, off, seconds, 0.0, solvers)
    return CoveringPlan(whole, served, flow, answer, tuple(best.steps))


def _model(problem: CoveringProblem, relaxed: Bound, served: float) -> tuple[Model, np.ndarray]:
    """(model, y): the program of `covering` and its variables of the candidates.

    Candidates whose capacity exceeds all that they reach ("ample") need no flow of their own: together they serve a
    point i wholly or not at all, s_i Mbit/s of it,

        max  sum_a x_a + sum_i s_i
        s.t. sum_a(i) x_a + s_i <= d_i,   s_i <= d_i sum of ample y_j that reach i,   x and y as there

    Candidates that the bound fixes are fixed; pairs that exclude each other are joined to cliques.
    """
    fixed_open, fixed_closed = relaxed.fixed(served)
    model = Model("covering", maximise=True)
    count, points = problem.candidates, len(problem.need)
    ample = problem.capacity >= problem.reach * (1 - 1e-12)
    by_ample = ample[problem.candidate]  # (arcs,)
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
    model.rows(  # no point is served more than it needs
        np.concatenate([problem.point[arcs], wide]), np.concatenate([x, s]), 1.0, upper=problem.need, count=points
    )  # fmt: skip
    position = np.zeros(points, int)
    position[wide] = np.arange(len(wide))
    at, by = problem.point[by_ample], problem.candidate[by_ample]
    model.rows(  # s_i only where an ample candidate is open
        np.concatenate([np.arange(len(wide)), position[at]]), np.concatenate([s, y[by]]),
        np.concatenate([np.ones(len(wide)), -problem.need[at]]), upper=0.0, count=len(wide),
    )  # fmt: skip
    each = np.arange(len(arcs))
    model.rows(  # x_a <= min(d_i, C_j) y_j
        np.concatenate([each, each]), np.concatenate([x, y[problem.candidate[arcs]]]),
        np.concatenate([np.ones(len(arcs)), -most]), upper=0.0, count=len(arcs),
    )  # fmt: skip
    tight = np.flatnonzero(~ample)
    row = np.zeros(count, int)
    row[tight] = np.arange(len(tight))
    model.rows(  # capacity
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
