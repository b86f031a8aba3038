"""PRB plans of several hours in a row, and what it costs to have planned them on generated traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from plannerbase.counting import counted
from plannerbase.progress import Progress
from planning.coverage.rates import RateMapping
from planning.demand import Demand
from planning.errors import InputError
from planning.network import Network
from planning.prb.allocation import solve_prb
from planning.prb.baselines import baseline
from planning.prb.in_clusters import LARGE, solve_in_clusters
from planning.prb.plan import PrbPlan
from planning.prb.problem import PrbProblem, PrbSettings
from planning.prb.users import Inside, draw_users
from planning.radio import Radio
from planning.shared_work import SharedWork


@dataclass(frozen=True)
class PrbHours:
    """plans: hour to plan, in order."""

    plans: dict[int, PrbPlan]

    @property
    def busiest(self) -> PrbPlan:
        """The plan of the hour with the most PRBs in use."""
        return max(self.plans.values(), key=lambda plan: plan.used_prbs)

    @property
    def sentence(self) -> str:
        """All hours in words."""
        table = self.table()
        worst = table.loc[table["utilisation"].idxmax()]
        return (
            f"{counted(len(table), 'hours')}: {table['met'].sum()} of {table['users'].sum()} demands met, "
            f"{table['utilisation'].mean():.0%} of PRBs used on average, {worst['utilisation']:.0%} at hour "
            f"{int(worst['hour'])}."
        )

    def table(self) -> pd.DataFrame:
        """One row an hour: `PrbPlan.figures`, and the share of PRBs that the busiest station uses."""
        rows = [
            {"hour": hour, **plan.figures(), "busiest_station": float(plan.utilisation.max())}
            for hour, plan in self.plans.items()
        ]
        return pd.DataFrame(rows)

    def stations(self) -> pd.DataFrame:
        """One row a station and hour, as `PrbPlan.stations`."""
        return pd.concat(
            [plan.stations().assign(hour=hour) for hour, plan in self.plans.items()], ignore_index=True
        )


def solve_hours(
    network: Network,
    demand: Demand,
    hours: Sequence[int],
    radio: Radio | None = None,
    settings: PrbSettings | None = None,
    max_users: int = 60,
    quantile: float = 0.5,
    rule: str | None = None,
    progress: Progress | None = None,
    inside: Inside | None = None,
    mapping: RateMapping | None = None,
    work: SharedWork | None = None,
) -> PrbHours:
    """Plans of these hours of the demand, each with its own users; the time limit is shared by all hours.

    settings.seed draws the users' places. rule: one of BASELINES instead of optimising. inside: as for `draw_users`.
    mapping: as for `PrbProblem`. work: plans hours by several processes, and of networks of more than
    `in_clusters.LARGE` sites clusters. Raises InputError for no hours and for an hour
    in which nobody uses the network, ClusterError where the workers cannot do it.
    """
    if not len(hours):
        raise InputError("Give at least one hour to plan.")
    settings = settings or PrbSettings()
    settings = replace(settings, time_limit=max(0.3, settings.time_limit / len(hours)))

    def of_hour(hour: int) -> HourTask:
        users = draw_users(demand, hour, max_users, settings.seed, quantile, inside)
        return HourTask(PrbProblem.build(network, users, radio, mapping), settings, rule)

    if work is not None and len(network.sites) > LARGE and rule is None and settings.mode != "literal":
        return PrbHours(
            {
                hour: solve_in_clusters(of_hour(hour).problem, network, settings, work, progress)
                for hour in hours
            }
        )
    if work is not None:
        tasks = [of_hour(hour) for hour in hours]
        return PrbHours(dict(zip(hours, work.done(plan_hour, tasks, "hours", progress), strict=True)))
    plans = {}
    for done, hour in enumerate(hours):
        if progress:
            progress(done, len(hours), f"hour {hour}")
        plans[hour] = plan_hour(of_hour(hour))
    return PrbHours(plans)


@dataclass(frozen=True)
class HourTask:
    """An hour to be planned; rule: one of BASELINES instead of optimising."""

    problem: PrbProblem
    settings: PrbSettings
    rule: str | None


def plan_hour(task: HourTask) -> PrbPlan:
    """The plan of an hour."""
    if task.rule:
        return baseline(task.problem, task.rule, task.settings)
    return solve_prb(task.problem, task.settings)


def reserve_cost(planned: PrbHours, measured: PrbHours) -> pd.DataFrame:
    """What it costs to reserve at each station the PRBs of plans made on generated traffic, where measurements need
    others. One row an hour: planned_prbs, needed_prbs, short_prbs (needed at stations beyond what is planned there),
    idle_prbs (planned beyond what is needed), planned_mbps and measured_mbps served."""
    rows = []
    for hour in planned.plans.keys() & measured.plans.keys():
        ours, theirs = planned.plans[hour], measured.plans[hour]
        if ours.problem.site_names != theirs.problem.site_names:
            raise InputError("Both plans must be for the same network.")
        more = theirs.stations()["used_prbs"].to_numpy() - ours.stations()["used_prbs"].to_numpy()
        rows.append(
            {
                "hour": hour,
                "planned_prbs": ours.used_prbs,
                "needed_prbs": theirs.used_prbs,
                "short_prbs": int(np.maximum(more, 0).sum()),
                "idle_prbs": int(np.maximum(-more, 0).sum()),
                "planned_mbps": ours.served_mbps,
                "measured_mbps": theirs.served_mbps,
            }
        )
    return pd.DataFrame(rows).sort_values("hour", ignore_index=True)
