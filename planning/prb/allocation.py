"""PRB allocation (eq. 15): which station and how many PRBs each user gets, and which PRBs they are.

Up to a size the program with all co-channel interference is solved exactly (`exact`). Beyond, on a crowded downlink of
few stations, the plan begins with the linear program of its bound (`on_sets`) and is refined by exact programs of a few
stations (`station_programs`). Elsewhere stations and numbers of PRBs come from a program at fixed interference
(`fixed`), solved again with the interference that its plan caused until that settles. A local search (`improve`) on the
true objective follows each, and the best plan is kept. Every plan, baselines included, is scored with the true SINR
(`sinr`) and stands beside its bounds (`bounds`).
"""

from __future__ import annotations

import time
from dataclasses import replace
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from plannerbase.progress import Progress, silent
from planning.prb.baselines import BASELINES, dealt
from planning.prb.bounds import Bounds, fewest_prbs
from planning.prb.exact import solve_exact
from planning.prb.fixed import choose, found_interference, usual_interference
from planning.prb.improve import improve, improve_in_stages, insert, replace_users
from planning.prb.literal import solve_literal
from planning.prb.plan import PrbPlan
from planning.prb.problem import PrbProblem, PrbSettings
from planning.prb.sinr import Grid
from planning.prb.station_programs import refine, start_of
from planning.solver import SolveResult, relative_gap

_BOUND_SHARE = 0.2  # of the time limit: the bounds
_BRANCH_SHARE = 0.1  # branch and bound on the demands met
_PRBS_SHARE = 0.05  # the bound of PRBs
_SEEK_SHARE = 0.15  # the local search before the exact program
_ROUNDS_SHARE = 0.4  # all rounds together; the local search after them has what is left
_START_SHARE = 0.15  # of what is left: a start from the linear program
_REFINE_SHARE = 0.3  # of what is left: refining a start,
_MIN_REFINED = 0.08  # and never less than this of the whole
_FAR = 0.5  # of the best objective: a start that is so far behind is not refined
_CROWDED = 0.02  # of the demand, between the first plan and its bound: from there interference is what limits
_HOPELESS = 2.0  # times as far from the bound as the best plan: a round that is ends the rounds
_STARTS = 15  # of the search before the exact program
_PATIENCE = 40  # groups of users without gain that end such a start
_SWEPT = 100_000  # users x stations x PRBs up to which each round ends with a local search of its own
_score = attrgetter("score")


class _Outcome(NamedTuple):
    """bound: of what was solved, infinite where that says nothing about the whole. how: what was done, in words."""

    grid: Grid
    bound: float
    solve: SolveResult | None
    how: str


def solve_prb(
    problem: PrbProblem,
    settings: PrbSettings | None = None,
    progress: Progress | None = None,
    earlier: PrbPlan | None = None,
) -> PrbPlan:
    """The best plan found within the time limit; users whose demand is not met are named in plan.unmet.

    earlier: a plan of as many users, stations and PRBs, to begin from where it is worth more than a fresh start.
    """
    settings = settings or PrbSettings()
    settings.validate()
    if settings.mode == "literal":
        return solve_literal(problem, settings)
    started = time.perf_counter()
    deadline = started + (1 - _PRBS_SHARE) * settings.time_limit
    report = progress or silent
    steps = settings.rounds + 2
    report(0, steps, "bounds")
    first = _start(problem, settings)
    if earlier is not None and (again := _taken_up(problem, settings, earlier)) is not None:
        first = max(first, again, key=_score)
    bounds = Bounds.of(problem, settings, started + _BOUND_SHARE * settings.time_limit, first.owner)
    asked = _asked_gap(settings) * float(problem.demand_mbps.sum())
    enough = bounds.objective_mbps - asked
    if problem.size <= settings.exact_size:
        outcome = _exactly(problem, settings, deadline, enough, report, first)
    elif _crowded(bounds, first):
        branching = time.perf_counter() + _BRANCH_SHARE * settings.time_limit
        bounds = bounds.branched(settings, first.score + asked, branching)
        outcome = _from_on_sets(problem, settings, deadline, bounds, asked, report, first)
    else:
        outcome = _by_rounds(problem, settings, started, deadline, enough, report, first)
    grid, own_bound, solve, how = outcome
    bound = max(min(bounds.objective_mbps, own_bound), grid.score)
    if bound <= grid.score + asked:
        how += ", proven best" if problem.size <= settings.exact_size else ", as good as its bound"
    plan = PrbPlan.of("", grid, settings)
    least = fewest_prbs(
        problem, settings, plan.served_mbps, plan.used_prbs, bounds.on_sets, started + settings.time_limit
    )
    report(steps, steps, "allocated")
    return replace(
        plan,
        strategy="paper (one PRB a user)" if settings.mode == "paper" else "optimised",
        bound_mbps=bound,
        served_bound_mbps=max(bounds.served_mbps, plan.served_mbps),
        met_bound=bounds.met,
        prbs_bound=least,
        solve=solve,
        how=how,
    )


def _crowded(bounds: Bounds, grid: Grid) -> bool:
    """Whether the plan may begin with the linear program: on a downlink whose stations it sees together, and where a
    simple plan is far from what can be."""
    if bounds.on_sets is None or len(bounds.on_sets.clusters) > 1:
        return False
    return bounds.objective_mbps - grid.score > _CROWDED * grid.problem.demand_mbps.sum()


def _from_on_sets(
    problem: PrbProblem,
    settings: PrbSettings,
    deadline: float,
    bounds: Bounds,
    asked: float,
    report: Progress,
    first: Grid,
) -> _Outcome:
    """Starts from the linear program, each refined, and the best of what that gives."""
    assert bounds.on_sets is not None and bounds.prices is not None
    enough = bounds.objective_mbps - asked
    best = max(first, _by_rule(problem, settings), key=_score)
    rng, starts = np.random.default_rng(settings.seed), 0
    while best.score < enough and (left := deadline - time.perf_counter()) > 0:
        report(1, settings.rounds + 2, "start from the linear program")
        until = time.perf_counter() + _START_SHARE * left
        again = start_of(bounds.on_sets, bounds.prices, settings, until, rng if starts else None)
        report(2, settings.rounds + 2, "programs of stations and local search")
        if starts == 0 or best.score - again.score < _FAR * abs(best.score):
            until = min(
                deadline,
                time.perf_counter() + max(_REFINE_SHARE * left, _MIN_REFINED * settings.time_limit),
            )
            again = refine(again, settings, until, rng, enough)
        best, starts = max(best, again, key=_score), starts + 1
    return _Outcome(
        best, np.inf, None, "linear program of sending stations, programs of stations, local search"
    )


def _asked_gap(settings: PrbSettings) -> float:
    """Solvers keep to about 1e-6, so that a smaller gap cannot be told from none."""
    return max(settings.gap, 1e-6)


def _start(problem: PrbProblem, settings: PrbSettings, order: np.ndarray | None = None) -> Grid:
    """Users come one by one, each to where it is worth most; by default those with the weakest link first."""
    order = np.argsort(problem.gain.max(axis=1)) if order is None else order
    grid = Grid(problem, settings.objective)
    return replace_users(grid, order, settings.candidates, settings.most(problem))


def _taken_up(problem: PrbProblem, settings: PrbSettings, plan: PrbPlan) -> Grid | None:
    """The allocation of a plan in this problem; None where it does not fit."""
    shape = (len(plan.station), plan.problem.stations, plan.problem.prbs)
    if shape != (*problem.gain.shape, problem.prbs) or max(map(len, plan.prbs)) > settings.most(problem):
        return None
    grid = Grid(problem, settings.objective)
    for user, (station, prbs) in enumerate(zip(plan.station, plan.prbs, strict=True)):
        if len(prbs):
            grid.place(user, int(station), prbs)
    return grid


def _by_rule(problem: PrbProblem, settings: PrbSettings) -> Grid:
    """The best of the rules, which no plan may fall behind."""
    return max((dealt(problem, name, settings) for name in BASELINES), key=_score)


def _exactly(
    problem: PrbProblem, settings: PrbSettings, deadline: float, enough: float, report: Progress, first: Grid
) -> _Outcome:
    """Local search from many starts, then the exact program, begun from the best of them."""
    report(1, 2, "exact program")
    begun = time.perf_counter()
    until = min(deadline, begun + _SEEK_SHARE * settings.time_limit)
    rng = np.random.default_rng(settings.seed)
    grid = max(first, _by_rule(problem, settings), key=_score)
    grid = improve(grid, settings, until, settings.seed, _PATIENCE, enough)
    for turn in range(_STARTS):
        if grid.score >= enough or time.perf_counter() > until:
            break
        again = _start(problem, settings, rng.permutation(len(problem.gain)))
        again = improve(again, settings, until, settings.seed + turn, _PATIENCE, enough)
        grid = max(grid, again, key=_score)
    bound, nodes = grid.score, 0
    if grid.score < enough:
        found = solve_exact(problem, settings, grid, deadline)
        grid, bound, nodes = found.grid, found.bound, found.nodes
    gap = relative_gap(grid.score, bound)
    status = "optimal" if gap is not None and gap <= _asked_gap(settings) else "feasible"
    seconds = time.perf_counter() - begun
    solve = SolveResult(status, grid.score, bound, gap, seconds, 0.0, "exact program")
    own_bound = np.inf if grid.score >= enough else bound
    return _Outcome(grid, own_bound, solve, f"exact co-channel program, {nodes} nodes")


def _by_rounds(
    problem: PrbProblem,
    settings: PrbSettings,
    started: float,
    deadline: float,
    enough: float,
    report: Progress,
    first: Grid,
) -> _Outcome:
    """Most of the time is for the local search from the best of what the rounds and `first` (or a rule) gave."""
    interference = usual_interference(problem)
    rule, best, last, solve, how = _by_rule(problem, settings), first, None, None, ""
    if problem.sent(problem.prbs) == problem.sent(1):
        # elsewhere PRBs spread a user's power: rules take many of them, which the search is slow to take back
        best = max(best, rule, key=_score)
    for turn in range(1, settings.rounds + 1):
        if best.score >= enough or (turn > 1 and time.perf_counter() > deadline):
            break
        report(turn, settings.rounds + 2, f"allocating, round {turn}")
        until = started + settings.time_limit * (_BOUND_SHARE + _ROUNDS_SHARE * turn / settings.rounds)
        station, count, result = choose(
            problem, settings, interference, max(1.0, until - time.perf_counter())
        )
        key = station.tobytes() + count.tobytes()
        if key == last:
            how = f"settled after {turn} rounds"
            break
        last, how = key, f"{turn} round{'s' * (turn > 1)}"
        grid = insert(problem, settings, station, count)
        swept = problem.size < _SWEPT
        hopeless = not swept and enough - grid.score > _HOPELESS * (enough - best.score)
        if swept:
            grid = improve(grid, settings, until, settings.seed, 0, enough)
        if solve is None or grid.score > best.score:
            best, solve = max(best, grid, key=_score), result
        if hopeless:
            how += " (stopped: its interference was worse than that of a simple rule)"
            break
        interference = found_interference(grid, interference)
    report(settings.rounds + 1, settings.rounds + 2, "local search")
    patience = max(1000, 10 * len(problem.gain))
    best = improve_in_stages(best, settings, deadline, settings.seed, patience, enough)
    best = max(best, rule, key=_score)
    return _Outcome(best, np.inf, solve, f"fixed interference, {how or 'no round needed'}, local search")
