"""How the ring model is solved: whole where it is small, hour by hour under prices where it is not.

A large plan first gets a bound and prices (`prices`). Then each hour is a small MILP between the hours before
and after it, in which only the cells that the prices leave in doubt are free: even hours first, then odd ones, side by
side, then the sites by `sweep`, and again with a tighter gap until the plan is close enough to the bound. What
is still open after that goes to
the whole model with the plan as its start, if it is small enough to be built.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from planning.energy import Groups
from planning.errors import InfeasibleError
from planning.progress import Progress
from planning.sleep.dispatch import dispatch
from planning.sleep.evaluation import group_counts
from planning.sleep.milp import hour_model, hourly_cost, ring_model, ring_model_size
from planning.sleep.prices import PriceBound, price_bound
from planning.sleep.problem import UNSERVED_MBPS, SleepProblem, SleepSettings
from planning.sleep.rules import greedy, hold, spread_counts, to_cells
from planning.sleep.sweep import sweep
from planning.solver import SolveResult, relative_gap
from planning.solver.interruption import stop_asked, stops_when

SMALL, LARGE = 4_000, 150_000  # variables: solved whole at once; not built whole at all
PRICING_SHARE = 0.2  # of the time limit
SWEEPING_SHARE = 0.1  # of the time that is left
ROUNDS = 4  # the first one solves each hour to the asked gap, each later one to half of the one before
SHORTEST_SECONDS = 0.2  # for an hour
IN_DOUBT = 0.25  # how far from a whole number the averaged count of a cell in doubt is


class _Clock:
    def __init__(self, limit: float):
        self.begun, self.limit = time.perf_counter(), limit

    @property
    def spent(self) -> float:
        return time.perf_counter() - self.begun

    @property
    def left(self) -> float:
        return self.limit - self.spent


@dataclass
class _Best:
    """The best plan so far. awake: (cells, hours). objective, bound: Wh."""

    awake: np.ndarray
    objective: float
    bound: float
    build_seconds: float = 0.0
    solver: str = ""

    @property
    def gap(self) -> float:
        found = relative_gap(self.objective, self.bound)
        return float("inf") if found is None else found

    def take(self, awake: np.ndarray, objective: float) -> None:
        if objective < self.objective:
            self.awake, self.objective = awake, objective

    def improve(
        self, problem: SleepProblem, settings: SleepSettings, awake: np.ndarray, clock: _Clock
    ) -> None:
        """Take a plan or what sweeps over the sites make of it."""
        self.take(awake, _objective(problem, settings, awake))
        swept = sweep(problem, settings, awake, SWEEPING_SHARE * max(clock.left, 0.0))
        self.take(swept, _objective(problem, settings, swept))


def ring_plan(
    problem: SleepProblem,
    settings: SleepSettings,
    progress: Progress | None = None,
    earlier: np.ndarray | None = None,
) -> tuple[np.ndarray, SolveResult, tuple[str, ...]]:
    """(cells, hours) bool, the outcome for exactly these cells, notes. All demand must be servable.

    earlier: a plan of the same cells and hours to begin from, where it serves this demand and is better than greedy.
    """
    clock = _Clock(settings.time_limit)
    groups: Groups = problem.groups
    awake = greedy(problem, settings)
    best = _Best(awake, _objective(problem, settings, awake), -np.inf)
    best.improve(problem, settings, awake, clock)
    if earlier is not None and earlier.shape == awake.shape:
        again = hold(groups, earlier, settings.min_up)
        if _serves_all(problem, again):
            best.take(again, _objective(problem, settings, again))
    size = ring_model_size(problem, groups)
    if size > SMALL:
        prices = price_bound(problem, settings, best.objective, PRICING_SHARE * settings.time_limit)
        if prices is not None:
            best.bound = prices.bound
            _by_hour(problem, settings, prices, best, clock, progress)
    notes: tuple[str, ...] = ()
    if best.gap > settings.gap and clock.left > 0 and (size <= LARGE or best.bound == -np.inf):
        notes = _whole(problem, groups, settings, best, clock, progress)
    status = "optimal" if best.gap <= settings.gap else "feasible"
    bound = best.bound if np.isfinite(best.bound) else None
    gap = relative_gap(best.objective, bound)
    seconds = clock.spent - best.build_seconds
    result = SolveResult(status, best.objective, bound, gap, seconds, best.build_seconds, best.solver)
    return best.awake, result, notes


def _objective(problem: SleepProblem, settings: SleepSettings, awake: np.ndarray) -> float:
    """Wh of awake cells by the common dispatch rule."""
    counts = group_counts(problem.groups, awake)
    woken = (awake & ~np.roll(awake, 1, axis=1)).sum()
    return hourly_cost(problem, problem.groups, settings, counts) + settings.switch_wh * float(woken)


def _serves_all(problem: SleepProblem, awake: np.ndarray) -> bool:
    groups: Groups = problem.groups
    counts = group_counts(groups, awake)
    capacity = groups.capacity_of(counts)
    enough = (counts >= groups.lowest[:, None]).all()
    return bool(enough and (dispatch(problem.demand, capacity, problem.ring).unserved <= UNSERVED_MBPS).all())


# --- hour by hour ----------------------------------------------------------------------------------------------


class _Hours:
    """The hours of a plan, each solved between its neighbours. counts: (groups, hours) that serve all demand;
    planned: the same, but what the prices say where no hour has been solved yet."""

    def __init__(
        self, problem: SleepProblem, settings: SleepSettings, prices: PriceBound, best: _Best, clock: _Clock
    ):
        self.problem, self.settings, self.best, self.clock = problem, settings, best, clock
        groups: Groups = problem.groups
        self.free = np.flatnonzero(groups.count > groups.lowest)
        self.counts = group_counts(groups, best.awake)
        rounded = np.round(prices.counts).astype(int)
        self.planned = np.clip(rounded, groups.lowest[:, None], groups.count[:, None])
        self.likely = prices.counts[self.free]
        self.solved = np.zeros(problem.hours, bool)
        self.workers = min(settings.threads or os.cpu_count() or 1, problem.hours)

    def round(self, gap: float, doubt: float, progress: Progress | None) -> None:
        """Solve every hour to `gap`; cells whose likely count is further than `doubt` from a whole one are free."""
        groups, hours, asked = self.problem.groups, self.problem.hours, stop_asked()
        finished = 0

        def solve(hour: int) -> tuple[int, np.ndarray | None]:
            if progress:
                progress(finished, hours, "milp")
            if self.clock.left <= 0:
                return hour, None
            fair = 2 * self.workers * self.clock.left / (hours - finished)
            with stops_when(asked):  # a thread of the pool knows nothing of who asks here
                return hour, self._solve(hour, doubt, gap, max(fair, SHORTEST_SECONDS))

        with ThreadPoolExecutor(self.workers) as pool:
            for turn in (range(0, hours, 2), range(1, hours, 2)):
                for hour, found in pool.map(solve, turn):
                    finished += 1
                    if found is not None:
                        self.counts[self.free, hour] = self.planned[self.free, hour] = found
                        self.solved[hour] = True
                awake, _ = cells_of(groups, self.counts, self.settings.min_up)
                self.best.improve(self.problem, self.settings, awake, self.clock)
                if self.best.gap <= self.settings.gap:
                    return

    def _solve(self, hour: int, doubt: float, gap: float, seconds: float) -> np.ndarray | None:
        """(free groups,) counts near what the prices say, or None."""
        known = self.counts[:, hour] if self.solved[hour] else None  # a later round begins from what it has
        for nearness in (doubt, doubt / 5, None):  # the likely cells may not serve all
            low, high = self._limits(hour, nearness)
            start = self.counts[:, hour] if nearness is None else known
            model, n = hour_model(
                self.problem,
                self.settings,
                hour,
                low,
                high,
                self.planned[self.free],
                start,
                nearness is not None,
            )
            result = model.solve(self.settings.solver, seconds, gap, 1)
            self.best.build_seconds += result.build_seconds / self.workers
            self.best.solver = f"{result.solver} by hour"
            if result.has_solution:
                return np.round(result.of(n)).astype(int)
        return None

    def _limits(self, hour: int, doubt: float | None) -> tuple[np.ndarray, np.ndarray]:
        """(free groups,) least and most cells: the likely counts, both ways where they are further than `doubt` from a
        whole one, and what is known to serve; all that there are for None."""
        groups, free = self.problem.groups, self.free
        if doubt is None:
            return groups.lowest[free], groups.count[free]
        likely = self.likely[:, hour]
        nearest = np.round(likely)
        whole = np.abs(likely - nearest) <= doubt
        low, high = np.where(whole, nearest, np.floor(likely)), np.where(whole, nearest, np.ceil(likely))
        if self.solved[hour]:
            known = self.counts[free, hour]
            low, high = np.minimum(low, known), np.maximum(high, known)
        return low, high


def _by_hour(
    problem: SleepProblem,
    settings: SleepSettings,
    prices: PriceBound,
    best: _Best,
    clock: _Clock,
    progress: Progress | None,
) -> None:
    hours = _Hours(problem, settings, prices, best, clock)
    for halved in range(ROUNDS):
        if best.gap <= settings.gap or clock.left <= 0:
            return
        hours.round(settings.gap / 2**halved, IN_DOUBT / max(1, 2 ** (halved - 1)), progress)


# --- the whole model -------------------------------------------------------------------------------------------


def _whole(
    problem: SleepProblem,
    groups: Groups,
    settings: SleepSettings,
    best: _Best,
    clock: _Clock,
    progress: Progress | None,
) -> tuple[str, ...]:
    if progress:
        progress(0, 1, "milp")
    result, counts = _solve(problem, groups, settings, best, clock)
    if counts is None:
        return ()
    awake, unordered = cells_of(groups, counts, settings.min_up)
    best.take(awake, _objective(problem, settings, awake) if unordered else result.reached)
    notes: tuple[str, ...] = ()
    if unordered:
        # counts of identical cells can hide a schedule that only works if cells swap roles from day to day:
        # model those few cells one by one, which is exact
        notes = (
            f"{len(unordered)} groups of cells were kept awake longer than the optimum to hold min-up times.",
        )
        if clock.left > 0 and best.gap > settings.gap:
            split = _split(groups, unordered)
            apart = replace(problem, groups=split)
            result, counts = _solve(apart, split, settings, best, clock)
            if counts is not None:
                awake, unordered = cells_of(split, counts, settings.min_up)
                objective = _objective(problem, settings, awake) if unordered else result.reached
                if objective <= best.objective:
                    notes = notes if unordered else ()
                best.take(awake, objective)
    return notes


def _solve(
    problem: SleepProblem, groups: Groups, settings: SleepSettings, best: _Best, clock: _Clock
) -> tuple[SolveResult, np.ndarray | None]:
    model, n = ring_model(problem, groups, settings, group_counts(groups, best.awake))
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
    free = np.flatnonzero(groups.count > groups.lowest)
    counts[free] = np.round(result.of(n)).astype(int)
    return result, counts


def cells_of(groups: Groups, counts: np.ndarray, min_up: int) -> tuple[np.ndarray, list[int]]:
    """Awake cells from counts, and the groups without a strict daily schedule for theirs, which stay awake longer."""
    awake = to_cells(groups, counts)
    unsolved = []
    for g in np.flatnonzero(groups.count > groups.lowest):
        rows = spread_counts(counts[g], int(groups.count[g]), min_up)
        if rows is None:
            unsolved.append(int(g))
        else:
            awake[groups.cells[g]] = rows
    return (hold(groups, awake, min_up) if unsolved else awake), unsolved


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
