"""A large sleep plan hour by hour: each hour a small MILP between the hours before and after it.

Only the cells that the prices of `prices` leave in doubt are free. Even hours first, then odd ones, side by side, then
the sites by `sweep`, and again with a tighter gap until the plan is close enough to its bound.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from planning.progress import Progress
from planning.sleep.incumbent import Clock, Incumbent
from planning.sleep.milp import hour_model
from planning.sleep.prices import PriceBound
from planning.sleep.problem import SleepProblem, SleepSettings
from planning.sleep.schedule import cells_of, group_counts
from planning.solver.interruption import stop_asked, stops_when

ROUNDS = 4  # the first one solves each hour to the asked gap, each later one to half of the one before
SHORTEST_SECONDS = 0.2  # for an hour
IN_DOUBT = 0.25  # how far from a whole number the averaged count of a cell in doubt is


def plan_by_hour(
    problem: SleepProblem,
    settings: SleepSettings,
    prices: PriceBound,
    best: Incumbent,
    clock: Clock,
    progress: Progress | None,
) -> None:
    """Better the incumbent until it is within the asked gap of its bound, or ROUNDS and the time are over."""
    hours = _Hours(problem, settings, prices, best, clock)
    for halved in range(ROUNDS):
        if best.gap <= settings.gap or clock.left <= 0:
            return
        hours.round(settings.gap / 2**halved, IN_DOUBT / max(1, 2 ** (halved - 1)), progress)


class _Hours:
    """The hours of a plan, each solved between its neighbours. counts: (groups, hours) that serve all demand;
    planned: the same, but what the prices say where no hour has been solved yet."""

    def __init__(
        self,
        problem: SleepProblem,
        settings: SleepSettings,
        prices: PriceBound,
        best: Incumbent,
        clock: Clock,
    ):
        self.problem, self.settings, self.best, self.clock = problem, settings, best, clock
        groups = problem.groups
        self.free = groups.free
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
