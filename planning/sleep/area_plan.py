"""What a worker does for an area of a large sleep problem: a plan of core and halo with its prices, and the core's
share of the bound.

Work is counted in steps, not in seconds, and done by one thread: the same area gives the same plan on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from planning.shared_work import Arrays
from planning.sleep.areas import Area
from planning.sleep.hourly_decomposition import plan_by_hour
from planning.sleep.incumbent import Clock, Incumbent, objective_of, serves_all
from planning.sleep.keeper import Keeper
from planning.sleep.lagrangian_bound import PriceSearch
from planning.sleep.optimise import round_prices
from planning.sleep.rules import always_on, greedy
from planning.sleep.settings import SleepSettings
from planning.sleep.sweep import Sweeper

STEPS = (40, 30, 40, 40, 60)  # of the prices, each followed by plans that follow from them
SECONDS = 3600.0  # beyond any that an area takes: only a solver that hangs is stopped


@dataclass(frozen=True)
class PlanTask:
    """An area to be planned. earlier: (parts, hours) of a plan to begin from, or None."""

    area: Area
    settings: SleepSettings
    earlier: np.ndarray | None = None


@dataclass(frozen=True)
class BoundTask:
    """An area and the prices of its arcs, (arcs, hours), and rows of coverage, (rows, hours), W."""

    area: Area
    settings: SleepSettings
    price: np.ndarray
    cover_price: np.ndarray


def plan_area(task: PlanTask) -> Arrays:
    """A plan of the area as `optimise` makes one, without a clock.

    Returns
    -------
    awake : (parts, hours) bool, of core and halo.
    price : (arcs, hours) W per Mbit/s. cover_price : (rows, hours) W.
    local_gap : () of the plan of core and halo to their own bound, which says nothing of the whole.
    by_hour : () bool, whether hours were solved as programs.
    """
    settings = replace(task.settings, time_limit=SECONDS, threads=1)
    problem = task.area.problem
    beyond = problem.serve(settings, problem.all_awake()).unserved
    if beyond.any():  # what would have left the halo
        problem = replace(problem, demand=np.maximum(problem.demand - beyond, 0.0))
    keeper = Keeper(problem, settings)
    sweeper = Sweeper(problem, settings, keeper)
    awake = greedy(problem, settings, sweeper)
    if not serves_all(problem, settings, awake):
        awake = always_on(problem, settings)
    best = Incumbent(awake, objective_of(problem, settings, awake))
    if task.earlier is not None:
        again = keeper.keep(task.earlier)
        if serves_all(problem, settings, again):
            best.take(again, objective_of(problem, settings, again))
    clock, search = Clock(SECONDS), PriceSearch(problem, settings)
    for steps in STEPS:
        search.run(steps, best.objective, clock.until(1.0))
        best.bound = max(best.bound, search.best.bound)
        if best.gap <= settings.gap:
            break
        round_prices(problem, settings, search, best, clock, sweeper)
        if best.gap <= settings.gap or search.ended:
            break
    by_hour = best.gap > settings.gap and len(problem.groups.free) > 0
    if by_hour:
        plan_by_hour(problem, settings, search.best, best, clock, keeper, sweeper, None)
    return {
        "awake": best.awake, "price": search.best.price, "cover_price": search.best.cover_price,
        "local_gap": np.array(best.gap), "by_hour": np.array(by_hour),
    }  # fmt: skip


def core_value(task: BoundTask) -> Arrays:
    """The least cost of the core's sectors at the given prices.

    Returns
    -------
    value : () Wh over the plan's hours.
    """
    area = task.area
    relaxed = PriceSearch.relaxation(area.problem, replace(task.settings, threads=1))
    relaxed.counted = area.core
    value = relaxed.evaluate(task.price, task.cover_price)[0]
    # what is no sector's: that is added up for the whole network
    value -= relaxed.constant + float(task.cover_price.sum())
    value += PriceSearch.worth_of_holes(area.problem.cover, task.cover_price)
    return {"value": np.array(value)}
