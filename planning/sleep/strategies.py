"""Base-station sleep: which cells are awake in which hour (eq. 14), by strategy, and strategies side by side.

Every strategy ends as awake cells by hour and is judged by one evaluation (`evaluation`). Strategies:
"always-on"; "night", capacity cells asleep in a fixed window, blindly; "threshold", utilisation with hysteresis;
"greedy"; "milp", the neighbour-ring model of `milp` as `ring_plan` solves it; "paper", eq. 14 as published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from planning.demand import Demand
from planning.errors import InputError, capacity_error
from planning.network import Network
from planning.progress import Progress, part_of
from planning.sleep.dispatch import dispatch
from planning.sleep.evaluation import evaluate
from planning.sleep.paper import paper_plan
from planning.sleep.plan import SleepPlan, replay
from planning.sleep.problem import UNSERVED_MBPS, SleepProblem, SleepSettings
from planning.sleep.ring_plan import ring_plan
from planning.sleep.rules import RULES
from planning.solver import SolveResult

STRATEGIES = (*RULES, "milp", "paper")
RISK_QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


def plan_sleep(
    problem: SleepProblem,
    strategy: str = "milp",
    settings: SleepSettings | None = None,
    progress: Progress | None = None,
    earlier: np.ndarray | None = None,
) -> SleepPlan:
    """Make a plan by one of STRATEGIES; earlier: awake cells (cells, hours) that "milp" may begin from.

    Raises CapacityError, naming sites, hours and missing Mbit/s, when the demand cannot be served even with every
    cell awake; with settings.allow_unserved the plan is made for what can be served and marked `relaxed`.
    """
    settings = settings or SleepSettings()
    settings.validate(problem.hours)
    if strategy not in STRATEGIES:
        raise InputError(f"Unknown sleep strategy {strategy!r}; choose one of {', '.join(STRATEGIES)}.")
    everything = problem.groups.capacity_of(problem.all_awake())
    missing = dispatch(problem.demand, everything, problem.ring).unserved
    relaxed = bool((missing > UNSERVED_MBPS).any())
    if relaxed and not settings.allow_unserved:
        raise capacity_error(
            problem.shortfalls(missing),
            "add cells or sites there, lower the quantile, or allow unserved traffic",
        )
    # what nobody can serve is taken out of the plan's demand, not out of its evaluation
    servable = replace(problem, demand=np.maximum(problem.demand - missing, 0.0)) if relaxed else problem
    solve: SolveResult | None = None
    notes: tuple[str, ...] = ()
    if progress:
        progress(0, 1, strategy)
    if strategy == "milp":
        awake, solve, notes = ring_plan(servable, settings, progress, earlier)
    elif strategy == "paper":
        awake, solve, notes = paper_plan(servable, settings)
    else:
        awake = RULES[strategy](servable, settings)
    if progress:
        progress(1, 1, strategy)
    return SleepPlan(strategy, awake, problem, settings, solve, relaxed, evaluate(problem, awake), notes)


def compare_strategies(
    problem: SleepProblem,
    strategies: Sequence[str] = STRATEGIES,
    settings: SleepSettings | None = None,
    held_out: Demand | np.ndarray | None = None,
    progress: Progress | None = None,
    earlier: np.ndarray | None = None,
) -> tuple[dict[str, SleepPlan], pd.DataFrame]:
    """Every strategy on the same demand, judged alike; with `held_out`, also replayed on it (columns replay_*).

    earlier: as in `plan_sleep`.
    """
    plans, rows = {}, []
    for number, strategy in enumerate(strategies):
        part = None if progress is None else part_of(progress, number, len(strategies))
        plan = plan_sleep(problem, strategy, settings, part, earlier)
        plans[strategy] = plan
        row = {"strategy": strategy, **plan.evaluation.record()}
        row["status"] = "rule" if plan.solve is None else plan.solve.status
        row["gap"] = None if plan.solve is None else plan.solve.gap
        row["relaxed"] = plan.relaxed
        if held_out is not None:
            other = replay(plan, held_out)
            row.update({f"replay_{k}": v for k, v in other.record().items()})
        rows.append(row)
    if progress:
        progress(len(strategies), len(strategies), "done")
    return plans, pd.DataFrame(rows)


def risk_curve(
    network: Network,
    demand: Demand,
    held_out: Demand,
    quantiles: Sequence[float],
    strategy: str = "greedy",
    settings: SleepSettings | None = None,
    progress: Progress | None = None,
    **around: Any,
) -> pd.DataFrame:
    """What saving costs in service: a plan for each reserve quantile of `demand`, replayed on `held_out`.

    around: further arguments of `SleepProblem.build`. Columns: quantile, saving (of the always-on energy on the
    held-out traffic, 0..1), unserved_share (0..1), overload_hours, worst_missing_mbps. Raises as `plan_sleep` does.
    """
    rows = []
    for done, quantile in enumerate(quantiles):
        if progress:
            progress(done, len(quantiles), f"reserve at {quantile:g}")
        problem = SleepProblem.build(network, demand, quantile=quantile, **around)
        other = replay(plan_sleep(problem, strategy, settings), held_out)
        names = ("saving", "unserved_share", "overload_hours", "worst_missing_mbps")
        rows.append({"quantile": quantile} | {name: other.record()[name] for name in names})
    if progress:
        progress(len(quantiles), len(quantiles), "done")
    return pd.DataFrame(rows)
