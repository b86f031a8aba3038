"""A large sleep plan hour by hour: each hour a small MILP between the hours before and after it.

Only the cells that the prices of `lagrangian_bound` leave in doubt are free. Even hours first, then odd ones, side by
side, then sector by sector (`sweep`), and again with a tighter gap until the plan is close enough to its bound.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from plannerbase.progress import Progress
from planning.sleep.incumbent import Clock, Incumbent, objective_of
from planning.sleep.keeper import Keeper
from planning.sleep.lagrangian_bound import Bound
from planning.sleep.milp import hour_model
from planning.sleep.problem import UNSERVED_MBPS, SleepProblem
from planning.sleep.repair import served
from planning.sleep.restriction import involved_sectors, restricted
from planning.sleep.schedule import group_counts, to_parts
from planning.sleep.settings import SleepSettings
from planning.sleep.sweep import Sweeper
from planning.solver.interruption import stop_asked, stops_when

ROUNDS = (
    4  # the first one solves each hour to half of the asked gap, each later one to half of the one before
)
MIN_SECONDS = 0.2  # for an hour
IN_DOUBT = 0.25  # how far from a whole number the averaged count of a group in doubt is
SWEEPING_SHARE = 0.15  # of the time that is left


def plan_by_hour(
    problem: SleepProblem,
    settings: SleepSettings,
    prices: Bound,
    best: Incumbent,
    clock: Clock,
    keeper: Keeper,
    sweeper: Sweeper,
    progress: Progress | None,
) -> None:
    """Better the incumbent until it is within the asked gap of its bound, or ROUNDS and the time are over."""
    hours = _Hours(problem, settings, prices, best, clock, keeper, sweeper)
    for halved in range(ROUNDS):
        if best.gap <= settings.gap or clock.left <= 0:
            return
        hours.round(settings.gap / 2 ** (halved + 1), IN_DOUBT / max(1, 2 ** (halved - 1)), progress)


class _Hours:
    """The hours of a plan, each solved between its neighbours. counts: (groups, hours) that serve all demand;
    planned: the same, but what the prices say where no hour has been solved yet."""

    def __init__(
        self,
        problem: SleepProblem,
        settings: SleepSettings,
        prices: Bound,
        best: Incumbent,
        clock: Clock,
        keeper: Keeper,
        sweeper: Sweeper,
    ):
        self.problem, self.settings, self.best, self.clock = problem, settings, best, clock
        self.keeper, self.sweeper = keeper, sweeper
        groups = problem.groups
        self.free, self.least = groups.free, problem.least()
        self.counts = group_counts(groups, best.awake)
        rounded = np.round(prices.counts).astype(int)
        self.planned = np.clip(rounded, self.least, groups.count[:, None])
        self.likely = np.clip(prices.counts, self.least, groups.count[:, None])
        self.solved = np.zeros(problem.hours, bool)
        self.workers = min(settings.threads or os.cpu_count() or 1, problem.hours)

    def round(self, gap: float, doubt: float, progress: Progress | None) -> None:
        """Solve every hour to `gap`; groups whose likely count is further than `doubt` from a whole one are free."""
        hours, asked = self.problem.hours, stop_asked()
        finished = 0

        def solve(hour: int) -> tuple[int, np.ndarray | None]:
            if progress:
                progress(finished, hours, "milp")
            if self.clock.left <= 0:
                return hour, None
            fair = 2 * self.workers * self.clock.left / (hours - finished)
            with stops_when(asked):  # a thread of the pool knows nothing of who asks here
                return hour, self._solve(hour, doubt, gap, max(fair, MIN_SECONDS))

        with ThreadPoolExecutor(self.workers) as pool:
            for turn in (range(0, hours, 2), range(1, hours, 2)):
                for hour, found in pool.map(solve, turn):
                    finished += 1
                    if found is not None:
                        self.counts[:, hour] = self.planned[:, hour] = found
                        self.solved[hour] = True
        self._improve()

    def _improve(self) -> None:
        problem, settings, best = self.problem, self.settings, self.best
        awake = served(
            problem, settings, self.keeper, self.keeper.keep(to_parts(problem.groups, self.counts))
        )
        best.take(awake, objective_of(problem, settings, awake))
        if best.gap <= settings.gap or self.clock.left <= 0:
            return
        self.sweeper.load(awake)
        self.sweeper.sweep(self.clock.until(SWEEPING_SHARE))
        awake = served(problem, settings, self.keeper, self.sweeper.awake)
        best.take(awake, objective_of(problem, settings, awake))

    def _solve(self, hour: int, doubt: float, gap: float, seconds: float) -> np.ndarray | None:
        """(groups,) counts near what the prices say that serve and cover all, or None."""
        problem, settings = self.problem, self.settings
        known = self.counts[:, hour] if self.solved[hour] else None  # a later round begins from what it has
        alone = replace(
            problem, demand=problem.demand[:, [hour]],
            may_sleep=None if problem.may_sleep is None else problem.may_sleep[:, [hour]],
        )  # fmt: skip
        for nearness in (doubt, doubt / 5, None):  # the likely cells may not serve all
            low, high = self._limits(hour, nearness)
            involved = involved_sectors(alone, low, high, settings.max_load)
            if nearness is None:
                involved[:] = True
            part, kept = restricted(alone, involved, low)
            out = low.copy()
            if len(part.groups.free):
                free = kept[part.groups.free]
                start = self.counts[:, hour] if nearness is None else known
                model, n = hour_model(
                    part, settings, hour, low[kept], high[kept], self.planned[free],
                    None if start is None else start[kept],
                )  # fmt: skip
                result = model.solve(settings.solver, seconds, gap, 1)
                self.best.build_seconds += result.build_seconds / self.workers
                self.best.solver = f"{result.solver} by hour"
                if not result.has_solution:
                    continue
                out[free] = np.round(result.of(n)).astype(int)
            elif (out < self.least[:, hour]).any():
                continue
            if self._fits(out, hour):
                return out
        return None

    def _fits(self, counts: np.ndarray, hour: int) -> bool:
        problem = self.problem
        left = problem.serve(self.settings, counts[:, None], problem.demand[:, [hour]]).unserved
        return bool((left <= UNSERVED_MBPS).all() and problem.cover.kept(counts[:, None]).all())

    def _limits(self, hour: int, doubt: float | None) -> tuple[np.ndarray, np.ndarray]:
        """(groups,) least and most parts: the likely counts, both ways where they are further than `doubt` from a whole
        one, and what is known to serve; all that there are for None."""
        groups, free = self.problem.groups, self.free
        low, high = groups.count.copy(), groups.count.copy()
        if doubt is None:
            low[free] = self.least[free, hour]
            return low, high
        likely = self.likely[free, hour]
        nearest = np.round(likely)
        whole = np.abs(likely - nearest) <= doubt
        least, most = np.where(whole, nearest, np.floor(likely)), np.where(whole, nearest, np.ceil(likely))
        if self.solved[hour]:
            known = self.counts[free, hour]
            least, most = np.minimum(least, known), np.maximum(most, known)
        low[free], high[free] = least, most
        for a, b in self.problem.pairs.tolist():  # what is required of a group follows it
            low[b], high[b] = (
                max(low[b], min(low[a], groups.count[b])),
                max(high[b], min(high[a], groups.count[b])),
            )
        return low, high
