"""How the ring model is solved: whole where it is small, hour by hour under prices where it is not.

A plan by `rules.greedy`, made better by `sweep`, is there from the beginning. A large plan first gets a bound and
prices (`prices`), then better plans hour by hour (`by_hour`). What is still open after that goes to the whole model
with the plan as its start, if it is small enough to be built.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planning.energy import Groups
from planning.errors import InfeasibleError
from planning.progress import Progress
from planning.sleep.by_hour import plan_by_hour
from planning.sleep.incumbent import Clock, Incumbent, objective_of, serves_all
from planning.sleep.milp import ring_model, ring_model_size
from planning.sleep.prices import price_bound
from planning.sleep.problem import SleepProblem, SleepSettings
from planning.sleep.rules import greedy
from planning.sleep.schedule import cells_of, group_counts, hold
from planning.solver import SolveResult, relative_gap

SMALL, LARGE = 4_000, 150_000  # variables: solved whole at once; not built whole at all
PRICING_SHARE = 0.2  # of the time limit


def ring_plan(
    problem: SleepProblem,
    settings: SleepSettings,
    progress: Progress | None = None,
    earlier: np.ndarray | None = None,
) -> tuple[np.ndarray, SolveResult, tuple[str, ...]]:
    """(cells, hours) bool, the outcome for exactly these cells, notes. All demand must be servable.

    earlier: a plan of the same cells and hours to begin from, where it serves this demand and is better than greedy.
    """
    clock = Clock(settings.time_limit)
    awake = greedy(problem, settings)
    best = Incumbent(awake, objective_of(problem, settings, awake), -np.inf)
    best.improve(problem, settings, awake, clock)
    if earlier is not None and earlier.shape == awake.shape:
        again = hold(earlier, settings.min_up)
        if serves_all(problem, again):
            best.take(again, objective_of(problem, settings, again))
    size = ring_model_size(problem)
    if size > SMALL:
        prices = price_bound(problem, settings, best.objective, PRICING_SHARE * settings.time_limit)
        if prices is not None:
            best.bound = prices.bound
            plan_by_hour(problem, settings, prices, best, clock, progress)
    notes: tuple[str, ...] = ()
    if best.gap > settings.gap and clock.left > 0 and (size <= LARGE or best.bound == -np.inf):
        notes = _whole(problem, settings, best, clock, progress)
    status = "optimal" if best.gap <= settings.gap else "feasible"
    bound = best.bound if np.isfinite(best.bound) else None
    gap = relative_gap(best.objective, bound)
    seconds = clock.spent - best.build_seconds
    result = SolveResult(status, best.objective, bound, gap, seconds, best.build_seconds, best.solver)
    return best.awake, result, notes


def _whole(
    problem: SleepProblem,
    settings: SleepSettings,
    best: Incumbent,
    clock: Clock,
    progress: Progress | None,
) -> tuple[str, ...]:
    """Better the incumbent by the whole model, in which counts of identical cells stand for them; returns notes."""
    groups = problem.groups
    if progress:
        progress(0, 1, "milp")
    result, counts = _solve(problem, settings, best, clock)
    if counts is None:
        return ()
    awake, unordered = cells_of(groups, counts, settings.min_up)
    best.take(awake, objective_of(problem, settings, awake) if unordered else result.reached)
    notes: tuple[str, ...] = ()
    if unordered:
        # counts of identical cells can hide a schedule that only works if cells swap roles from day to day:
        # model those few cells one by one, which is exact
        notes = (
            f"{len(unordered)} groups of cells were kept awake longer than the optimum to hold min-up times.",
        )
        if clock.left > 0 and best.gap > settings.gap:
            split = _split(groups, unordered)
            result, counts = _solve(replace(problem, groups=split), settings, best, clock)
            if counts is not None:
                awake, unordered = cells_of(split, counts, settings.min_up)
                objective = objective_of(problem, settings, awake) if unordered else result.reached
                if objective <= best.objective:
                    notes = notes if unordered else ()
                best.take(awake, objective)
    return notes


def _solve(
    problem: SleepProblem, settings: SleepSettings, best: Incumbent, clock: Clock
) -> tuple[SolveResult, np.ndarray | None]:
    """The solver's answer and (groups, hours) counts, None where it found none; raises the incumbent's bound."""
    groups = problem.groups
    model, n = ring_model(problem, settings, group_counts(groups, best.awake))
    result = model.solve(settings.solver, max(clock.left, 0.1), settings.gap, settings.threads)
    if result.status == "infeasible":
        raise InfeasibleError("No sleep schedule satisfies the constraints; lower the minimum up time.")
    best.build_seconds += result.build_seconds
    best.solver = result.solver
    if result.bound is not None:
        best.bound = max(best.bound, min(result.bound, best.objective))
    if not result.has_solution:
        return result, None
    counts = np.repeat(groups.lowest[:, None], problem.hours, axis=1)
    counts[groups.free] = np.round(result.of(n)).astype(int)
    return result, counts


def _split(groups: Groups, chosen: list[int]) -> Groups:
    """The same cells with the chosen groups taken apart into single cells."""
    owners: list[int] = []
    cells: list[np.ndarray] = []
    lowest: list[int] = []
    for g, members in enumerate(groups.cells):
        parts = [members[i : i + 1] for i in range(len(members))] if g in set(chosen) else [members]
        for i, part in enumerate(parts):
            owners.append(g)
            cells.append(part)
            lowest.append(groups.lowest[g] if len(parts) == 1 else int(i < groups.lowest[g]))
    owner = np.array(owners)
    return replace(
        groups,
        site=groups.site[owner],
        count=np.array([len(c) for c in cells]),
        coverage=np.array(lowest) if not groups.site_sleeps else np.zeros(len(owner), int),
        capacity=groups.capacity[owner],
        idle_w=groups.idle_w[owner],
        slope=groups.slope[owner],
        sleep_w=groups.sleep_w[owner],
        lowest=np.array(lowest),
        cells=tuple(cells),
    )
