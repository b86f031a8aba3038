"""Base-station sleep: which cells are awake in which hour (eq. 14), by strategy, and strategies side by side.

Every strategy of `catalogue` ends as awake parts by hour and is judged by one evaluation (`evaluation`): "always-on";
"night", capacity cells asleep in a fixed window, blindly; "threshold", utilisation with hysteresis; "greedy"; "milp",
the program of `milp` as `optimise` solves it; "paper", eq. 14 as published. All keep coverage and rules of operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from plannerbase.progress import Progress, part_of
from planning.demand import Demand
from planning.errors import InputError, capacity_error
from planning.network import Network
from planning.shared_work import SharedWork
from planning.sleep.areas import SITES_PER_AREA
from planning.sleep.building import ground_of
from planning.sleep.catalogue import STRATEGIES
from planning.sleep.evaluation import all_awake, evaluate
from planning.sleep.in_areas import optimise_in_areas
from planning.sleep.keeper import Keeper
from planning.sleep.offload import MAX_NEIGHBOURS
from planning.sleep.operation import Operation
from planning.sleep.plan import SleepPlan, replay
from planning.sleep.problem import UNSERVED_MBPS, SleepProblem
from planning.sleep.settings import LABELS, SleepSettings
from planning.solver import SolveResult

TOLERATED = 0.01  # share of the demand that may be beyond the network before a plan is refused
RISK_QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


def plan_sleep(
    problem: SleepProblem,
    strategy: str = "milp",
    settings: SleepSettings | None = None,
    progress: Progress | None = None,
    earlier: np.ndarray | None = None,
    work: SharedWork | None = None,
    sites_per_area: int = SITES_PER_AREA,
) -> SleepPlan:
    """Make a plan by one of STRATEGIES.

    Parameters
    ----------
    earlier : awake parts (parts, hours) that "milp" may begin from.
    work : plans "milp" area by area, by several processes (`in_areas`); other strategies are planned here.
    sites_per_area : most sites of an area then.

    Raises
    ------
    CapacityError
        Naming sectors, hours and missing Mbit/s, when more than 1 % of the demand cannot be served even with every cell
        awake. With less, or with settings.allow_unserved, the plan is made for what can be served and marked `relaxed`.

    Traffic that fits only above the load limit, with every cell awake, is no error: the cells that carry it stay awake
    and a note says so.
    """
    settings = settings or SleepSettings()
    settings.validate(problem.hours)
    if strategy not in STRATEGIES:
        raise InputError(f"Unknown sleep strategy {strategy!r}; choose one of {', '.join(STRATEGIES)}.")
    every = problem.groups.count[:, None]
    carried = all_awake(problem, settings)
    relaxed = bool((carried.unserved > UNSERVED_MBPS).any())
    if carried.unserved.sum() > TOLERATED * problem.demand.sum() and not settings.allow_unserved:
        missing = problem.serve(settings, every, beyond=True).unserved
        raise capacity_error(problem.shortfalls(missing), _remedy(problem))
    beyond = problem.serve(settings, every).unserved
    # what does not fit under the limit is taken out of the plan's demand, not out of its evaluation
    servable = replace(problem, demand=np.maximum(problem.demand - beyond, 0.0)) if beyond.any() else problem
    if progress:
        progress(0, 1, strategy)
    solve: SolveResult | None
    if work is not None and strategy == "milp":
        awake, solve, notes = optimise_in_areas(servable, settings, work, progress, earlier, sites_per_area)
    else:
        awake, solve, notes = STRATEGIES[strategy].make(servable, settings, progress, earlier)
    if beyond.any():
        hot = problem.by_sector(beyond) > UNSERVED_MBPS
        notes += (
            f"{int(hot.any(axis=1).sum())} sectors have more traffic than fits under {LABELS['max_load'].label!r} "
            f"({settings.max_load:.0%}) even with every cell awake, in "
            f"{int(hot.sum())} sector-hours: there cells run above it.",
        )
    if problem.week is not None:
        whole = problem.of_week()
        awake = Keeper(whole, settings).keep(awake[:, problem.week])
        notes += ("Weekdays have one plan and weekends another; the program was that of a day of each.",)
        problem = whole
    if progress:
        progress(1, 1, strategy)
    # a plan of day types is judged on its whole week
    reference = carried if awake.shape[1] == carried.unserved.shape[1] else None
    found = evaluate(problem, settings, awake, reference=reference)
    return SleepPlan(strategy, awake, problem, settings, solve, relaxed, found, notes)


def _remedy(problem: SleepProblem) -> str:
    """What can be done about a demand that does not fit, by the labels of the settings."""
    floor = next((n for n in problem.notes if n.startswith(LABELS["rate_floor"].label)), "")
    cause = f"{floor[:-1]}; lower that, " if floor else ""
    return (
        f"{cause}add cells or sites there, lower {LABELS['quantile'].label!r}, or choose "
        f"{LABELS['allow_unserved'].label!r}"
    )


def compare_strategies(
    problem: SleepProblem,
    strategies: Sequence[str] | None = None,
    settings: SleepSettings | None = None,
    held_out: Demand | np.ndarray | None = None,
    progress: Progress | None = None,
    earlier: np.ndarray | None = None,
    work: SharedWork | None = None,
) -> tuple[dict[str, SleepPlan], pd.DataFrame]:
    """Every strategy on the same demand, judged alike; with `held_out`, also replayed on it (columns replay_*).

    strategies: None for all of STRATEGIES. earlier, work: as in `plan_sleep`.
    """
    strategies = tuple(STRATEGIES) if strategies is None else strategies
    plans, rows = {}, []
    for number, strategy in enumerate(strategies):
        part = None if progress is None else part_of(progress, number, len(strategies))
        plan = plan_sleep(problem, strategy, settings, part, earlier, work)
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
    made: Mapping[float, SleepPlan] | None = None,
    **around: Any,
) -> pd.DataFrame:
    """What saving costs in service: a plan for each quantile of `demand`, replayed on `held_out`.

    made: plans that are there already, by quantile: of the same strategy, settings (but for `allow_unserved`) and
    arguments. around: further arguments of `SleepProblem.build`. Columns: quantile, saving (of the always-on energy on
    the held-out traffic, 0..1), unserved_share (0..1), overload_hours, worst_missing_mbps. Raises as `plan_sleep` does.
    """
    from planning.coverage import Coverage

    if around.get("coverage") is None:
        around["coverage"] = Coverage.of(network, demand.x, demand.y, around.pop("radio", None))
    if around.get("ground") is None:
        rules = around.get("operation") or Operation()
        reach = around.get("max_neighbours", MAX_NEIGHBOURS)
        around["ground"] = ground_of(network, demand, rules, around["coverage"], reach, around.get("load"))
    rows = []
    for done, quantile in enumerate(quantiles):
        if progress:
            progress(done, len(quantiles), f"demand up to P{100 * quantile:g}")
        plan = (made or {}).get(quantile)
        if plan is None:
            problem = SleepProblem.build(network, demand, quantile=quantile, **around)
            plan = plan_sleep(problem, strategy, settings)
        other = replay(plan, held_out)
        names = ("saving", "unserved_share", "overload_hours", "worst_missing_mbps")
        rows.append({"quantile": quantile} | {name: other.record()[name] for name in names})
    if progress:
        progress(len(quantiles), len(quantiles), "done")
    return pd.DataFrame(rows)
