"""How the sleep program is solved: whole where it is small, hour by hour under prices where it is not.

A plan by `rules.greedy` is there from the beginning. A large plan first gets a bound and prices (`lagrangian_bound`),
then better plans hour by hour (`hourly_decomposition`), in turns until the gap is closed or the time is over. What is
still open after that goes to the whole model with the plan as its start, if it is small enough to be built.
"""

from __future__ import annotations

import numpy as np

from plannerbase.progress import Progress
from planning.errors import InfeasibleError
from planning.sleep.hourly_decomposition import plan_by_hour
from planning.sleep.incumbent import Clock, Incumbent, objective_of, serves_all
from planning.sleep.keeper import Keeper
from planning.sleep.lagrangian_bound import PriceSearch
from planning.sleep.milp import ring_model, ring_model_size
from planning.sleep.problem import SleepProblem
from planning.sleep.repair import repaired, served
from planning.sleep.rules import always_on, greedy
from planning.sleep.schedule import group_counts, to_parts
from planning.sleep.settings import SleepSettings
from planning.sleep.split import split_groups
from planning.sleep.sweep import Sweeper
from planning.solver import SolveResult, relative_gap

SMALL, LARGE = 4_000, 150_000  # variables: solved whole at once; not built whole at all
STEPS = (70, 40, 40, 60, 80)  # of the prices, each followed by plans that follow from them
PRICING_SHARE, SWEEPING_SHARE = 0.6, 0.3  # of the time that is left


def optimise(
    problem: SleepProblem,
    settings: SleepSettings,
    progress: Progress | None = None,
    earlier: np.ndarray | None = None,
) -> tuple[np.ndarray, SolveResult, tuple[str, ...]]:
    """(parts, hours) bool, the outcome for exactly these parts, notes. All demand must be servable.

    earlier: a plan of the same parts and hours to begin from, where it serves this demand and is better than greedy.
    The objective is that of the plan as it runs by the common dispatch rule.
    """
    clock = Clock(settings.time_limit)
    keeper = Keeper(problem, settings)
    sweeper = Sweeper(problem, settings, keeper)
    awake = greedy(problem, settings, sweeper)
    best = Incumbent(awake, objective_of(problem, settings, awake))
    if not serves_all(problem, settings, awake):
        awake = always_on(problem, settings)
        best = Incumbent(awake, objective_of(problem, settings, awake))
    if earlier is not None and earlier.shape == awake.shape:
        again = keeper.keep(earlier)
        if serves_all(problem, settings, again):
            best.take(again, objective_of(problem, settings, again))
    if not len(problem.groups.free):
        best.bound, best.solver = best.objective, "no program"
        return (
            best.awake,
            _result(best, clock, settings),
            ("No cell may sleep, so no program had to be solved.",),
        )
    size = ring_model_size(problem)
    if size > SMALL and PriceSearch.possible(problem):
        search = PriceSearch(problem, settings)
        for steps in STEPS:
            search.run(steps, best.objective, clock.until(PRICING_SHARE))
            best.bound = max(best.bound, search.best.bound)
            round_prices(problem, settings, search, best, clock, sweeper)
            if best.gap <= settings.gap or clock.left <= 0 or search.ended:
                break
        if best.gap > settings.gap and clock.left > 0:
            plan_by_hour(problem, settings, search.best, best, clock, keeper, sweeper, progress)
    notes: tuple[str, ...] = ()
    if best.gap > settings.gap and clock.left > 0 and (size <= LARGE or best.bound == -np.inf):
        notes = _whole(problem, settings, best, clock, keeper, progress)
    return best.awake, _result(best, clock, settings), notes


def round_prices(
    problem: SleepProblem,
    settings: SleepSettings,
    search: PriceSearch,
    best: Incumbent,
    clock: Clock,
    sweeper: Sweeper,
) -> None:
    """Better the incumbent by what the prices choose: the averaged counts and those at the best prices, completed and
    swept."""
    for counts in (np.round(search.best.counts).astype(int), search.chosen()):
        if best.gap <= settings.gap or clock.left <= 0:
            return
        awake = sweeper.keeper.keep(to_parts(problem.groups, repaired(problem, settings, counts)))
        awake = served(problem, settings, sweeper.keeper, awake)
        sweeper.load(awake)
        sweeper.sweep(clock.until(SWEEPING_SHARE), sweeps=2)
        better = served(problem, settings, sweeper.keeper, sweeper.awake)
        best.take(better, objective_of(problem, settings, better))


def _result(best: Incumbent, clock: Clock, settings: SleepSettings) -> SolveResult:
    status = "optimal" if best.gap <= settings.gap else "feasible"
    bound = best.bound if np.isfinite(best.bound) else None
    gap = relative_gap(best.objective, bound)
    seconds = clock.spent - best.build_seconds
    solver = best.solver or "prices"
    return SolveResult(status, best.objective, bound, gap, seconds, best.build_seconds, solver)


def _whole(
    problem: SleepProblem,
    settings: SleepSettings,
    best: Incumbent,
    clock: Clock,
    keeper: Keeper,
    progress: Progress | None,
) -> tuple[str, ...]:
    """Better the incumbent by the whole model, in which counts of identical parts stand for them; returns notes."""
    if progress:
        progress(0, 1, "milp")
    counts = _solve(problem, settings, best, clock)
    if counts is None:
        return ()
    nested = to_parts(problem.groups, counts)
    awake = served(problem, settings, keeper, keeper.keep(nested))
    best.take(awake, objective_of(problem, settings, awake))
    if (awake == nested).all():
        return ()
    # counts of identical parts can hide a schedule that only works if they swap roles: model them one by one
    if clock.left > 0 and best.gap > settings.gap:
        split = split_groups(problem, np.unique(problem.groups.group_of_part[(awake != nested).any(axis=1)]))
        counts = _solve(split, settings, best, clock)
        if counts is not None:
            again = Keeper(split, settings).keep(to_parts(split.groups, counts))
            best.take(again, objective_of(problem, settings, again))
            return ()
    return (
        "Some cells were kept awake longer than the optimum of the counts to hold the limits on switching.",
    )


def _solve(
    problem: SleepProblem, settings: SleepSettings, best: Incumbent, clock: Clock
) -> np.ndarray | None:
    """(groups, hours) counts, None where the solver found none; raises the incumbent's bound."""
    groups = problem.groups
    model, n = ring_model(problem, settings, group_counts(groups, best.awake))
    result = model.solve(settings.solver, max(clock.left, 0.1), settings.gap, settings.threads)
    if result.status == "infeasible":
        raise InfeasibleError(
            "No sleep schedule satisfies the constraints; lower the minimum on-time or the minimum off-time, or raise "
            "the most wake-ups of a cell a day."
        )
    best.build_seconds += result.build_seconds
    best.solver = result.solver
    if result.bound is not None:
        best.bound = max(best.bound, min(result.bound, best.objective))
    if not result.has_solution:
        return None
    counts = np.repeat(groups.lowest[:, None], problem.hours, axis=1)
    counts[groups.free] = np.round(result.of(n)).astype(int)
    return counts
