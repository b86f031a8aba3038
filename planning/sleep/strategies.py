"""Base-station sleep: which cells are awake in which hour (eq. 14), by strategy, and what a plan does on any traffic.

Every strategy ends as awake cells by hour and is judged by one evaluation (`evaluation`). Strategies:
"always-on"; "night", capacity cells asleep in a fixed window, blindly; "threshold", utilisation with hysteresis;
"greedy"; "milp", the neighbour-ring model of `milp` as `solve` solves it; "paper", eq. 14 as published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from planning.demand import Demand
from planning.errors import InputError, capacity_error
from planning.network import Network
from planning.network.serving import tile_shares
from planning.progress import Progress
from planning.sleep.dispatch import dispatch
from planning.sleep.evaluation import SleepEvaluation, evaluate, group_counts
from planning.sleep.paper import paper_plan
from planning.sleep.problem import UNSERVED_MBPS, SleepProblem, SleepSettings
from planning.sleep.rules import always_on, greedy, night, threshold
from planning.sleep.solve import ring_plan
from planning.solver import SolveResult

STRATEGIES = ("always-on", "night", "threshold", "greedy", "milp", "paper")
RISK_QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class SleepPlan:
    """awake: (cells, hours) bool in the order of network.cells. relaxed: made for the traffic that can be served,
    because all of it cannot. evaluation: on the demand it was planned for."""

    strategy: str
    awake: np.ndarray
    problem: SleepProblem
    settings: SleepSettings
    solve: SolveResult | None
    relaxed: bool
    evaluation: SleepEvaluation
    notes: tuple[str, ...] = ()

    @property
    def network(self) -> Network:
        return self.problem.network

    @property
    def hours(self) -> int:
        return self.awake.shape[1]

    def loads(self) -> np.ndarray:
        """(cells, hours) Mbit/s that each cell carries on the planning demand."""
        groups = self.problem.groups
        counts = group_counts(groups, self.awake)
        served = dispatch(self.problem.demand, groups.capacity_of(counts), self.problem.ring)
        by_group = groups.spread(counts, served.load)
        out = np.zeros(self.awake.shape)
        for g, cells in enumerate(groups.cells):
            out[cells] = self.awake[cells] * (by_group[g] / np.maximum(counts[g], 1))
        return out

    def schedule(self) -> pd.DataFrame:
        """One row a cell and hour: cell, site, hour, awake, load_mbps."""
        cells = self.network.cells
        row, hour = np.indices(self.awake.shape).reshape(2, -1)
        return pd.DataFrame(
            {
                "cell": cells["cell"].to_numpy(object)[row],
                "site": cells["site"].to_numpy(object)[row],
                "hour": hour,
                "awake": self.awake.ravel(),
                "load_mbps": self.loads().ravel(),
            }
        )

    def energy_by_hour(self) -> pd.DataFrame:
        """One row an hour of the planning demand."""
        e = self.evaluation
        return pd.DataFrame(
            {
                "hour": np.arange(e.hours),
                "energy_kwh": e.energy,
                "always_on_kwh": e.always_on,
                "demand_mbps": e.demand,
                "served_mbps": e.served,
                "offloaded_mbps": e.offloaded,
                "unserved_mbps": e.unserved,
                "overloaded_sites": e.overloaded_sites,
                "asleep_cells": e.asleep_cells,
            }
        )

    def best_cells(self) -> pd.DataFrame:
        """Cells by what their sleep saves: standing power only, cooling included, most first."""
        cells = self.network.cells
        groups = self.problem.groups
        per_hour = np.zeros(len(cells))
        for g, rows in enumerate(groups.cells):
            per_hour[rows] = groups.wake_w[g] / 1000
        asleep = (~self.awake).sum(axis=1)
        table = pd.DataFrame(
            {
                "cell": cells["cell"],
                "site": cells["site"],
                "hours_asleep": asleep,
                "saved_kwh": asleep * per_hour,
            }
        )
        return table.sort_values(["saved_kwh", "cell"], ascending=[False, True], ignore_index=True)


def replay(plan: SleepPlan, traffic: Demand | np.ndarray) -> SleepEvaluation:
    """The plan on traffic it was not made on: a Demand on the same tiles or elsewhere, or (sites, hours) Mbit/s.

    A plan of 24 hours repeats every day. The samples of an ensemble follow one another, each a full period.
    """
    problem = plan.problem
    if isinstance(traffic, Demand):
        shares = tile_shares(problem.network, traffic.x, traffic.y)
        load = np.concatenate(
            [shares.apply(traffic.mbps[:, s].astype(float)) for s in range(traffic.samples)], axis=1
        )
    else:
        load = np.asarray(traffic, float)
        if load.ndim != 2 or load.shape[0] != len(problem.network.sites):
            raise InputError(
                f"The traffic must be ({len(problem.network.sites)} sites, hours), not {load.shape}."
            )
    if load.shape[1] % plan.hours:
        raise InputError(
            f"A plan of {plan.hours} hours can only be replayed on whole periods of it, not on {load.shape[1]} hours."
        )
    awake = np.tile(plan.awake, load.shape[1] // plan.hours)
    return evaluate(problem, awake, load)


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
        rule = {
            "always-on": always_on,
            "night": night,
            "threshold": threshold,
            "greedy": greedy,
        }[strategy]
        awake = rule(servable, settings)
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
        plan = plan_sleep(problem, strategy, settings, _part(progress, number, len(strategies)), earlier)
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


def _part(progress: Progress | None, number: int, parts: int, fine: int = 100) -> Progress | None:
    """The progress of one of several equal parts, told as part of the whole."""
    if progress is None:
        return None
    return lambda done, total, what: progress(
        fine * number + fine * done // max(total, 1), fine * parts, what
    )


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
