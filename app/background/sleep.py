"""Sleep plans in the background: the strategies side by side, each judged on traffic that it was not made on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from app.background import session_jobs
from app.background.deployment import present_or_default
from app.server import jobs
from app.server.limits import limits
from app.state.inputs import Upload
from app.state.results import Comparison, Deployed, Made
from app.state.workspace import Workspace
from app.strategies import strategy_name

if TYPE_CHECKING:
    import pandas as pd

    from planning.demand import Demand
    from planning.sleep import SleepPlan, SleepSettings

JOB = "sleep"
BEFORE_RISK = 0.7  # share of the job that is over when the strategies are compared


@dataclass(frozen=True)
class SleepRequest:
    """What is asked of the planners of sleep.

    strategies: of `planning.sleep.STRATEGIES`. hours (24 or 168), ring_m (metres), ring ("distance" or "overlap"),
    whole_site: as in `SleepProblem.build`. quantile: of demand, that is reserved for. rate_floor: Mbit/s that every
    active user gets. measured: a traffic table that plans are replayed on, or else, with held_out, the last sample of
    the ensemble is. equipment: rows of figures instead of the network's.
    """

    strategies: Sequence[str]
    settings: "SleepSettings"
    hours: int = 24
    ring_m: float = 2000.0
    ring: str = "distance"
    whole_site: bool = False
    quantile: float = 0.99
    rate_floor: float = 0.0
    held_out: bool = True
    measured: Upload | None = None
    equipment: "pd.DataFrame | None" = None

    def around(self) -> dict[str, Any]:
        """What says which cells may take over traffic and for which hours: arguments of `SleepProblem.build`."""
        return {
            "hours": self.hours, "ring_m": self.ring_m, "ring": self.ring, "whole_site": self.whole_site
        }  # fmt: skip


def start(space: Workspace, asked: SleepRequest) -> None:
    """Compare sleep strategies on the present network; without one that fits, the default is deployed first.

    Every plan is replayed on traffic that it was not made on, where there is any. Raises PlanningError for traffic or
    figures that cannot be planned with.
    """
    network = present_or_default(space)
    planned, held_out, judged_on = _demands(space, asked)
    basis = space.basis("traffic", "scale")
    last = space.sleep.value.plans.get("milp") if space.sleep else None

    def work(job: jobs.Job) -> "tuple[Made[Deployed], Comparison[SleepPlan]]":
        made = network(job)
        job.report(0, 0, "preparing")
        return made, _compared(job, made.value, asked, planned, held_out, judged_on, last)

    def deliver(space: Workspace, result: "tuple[Made[Deployed], Comparison[SleepPlan]]") -> None:
        made, comparison = result
        space.sleep = Made(comparison, basis | {"network": made.identity})
        if space.sleep_choice not in comparison.plans:
            space.sleep_choice = list(comparison.plans)[-1]

    session_jobs.start(space, JOB, "Planning sleep", work, deliver)


def _demands(space: Workspace, asked: SleepRequest) -> "tuple[Demand, Demand | None, str]":
    """(demand to plan for, demand to replay the plans on or None, what the latter is)."""
    demand = space.demand().with_rate_floor(asked.rate_floor)
    if asked.measured is not None:
        return demand, _measured(asked.measured, demand), "the measured traffic"
    if asked.held_out and demand.samples > 1:
        rest = replace(demand, mbps=demand.mbps[:, :-1], users=demand.users[:, :-1])
        return rest, demand.sample(demand.samples - 1), "the last sample (one week)"
    return demand, None, ""


def _compared(
    job: jobs.Job,
    deployed: Deployed,
    asked: SleepRequest,
    planned: "Demand",
    held_out: "Demand | None",
    judged_on: str,
    last: "SleepPlan | None",
) -> "Comparison[SleepPlan]":
    """The strategies side by side; the optimised one begins from the last plan where that was for the same cells."""
    from planning.sleep import RISK_QUANTILES, SleepProblem, compare_strategies, risk_curve

    network = deployed.plan.network
    if asked.equipment is not None:
        mine = asked.equipment["equipment"].isin(network.cells["equipment"])
        network = network.with_equipment(asked.equipment[mine])
    problem = SleepProblem.build(network, planned, quantile=asked.quantile, **asked.around())
    plans, table = compare_strategies(
        problem,
        asked.strategies,
        settings=asked.settings,
        held_out=held_out,
        progress=job.part(0.0, 1.0 if held_out is None else BEFORE_RISK, say=strategy_name),
        earlier=last.awake if last is not None and last.network.cells.equals(network.cells) else None,
    )
    risk = None
    if held_out is not None:
        risk = risk_curve(
            network,
            planned,
            held_out,
            RISK_QUANTILES,
            "greedy",
            replace(asked.settings, allow_unserved=True),
            job.part(BEFORE_RISK, 1.0),
            **asked.around(),
        )
    return Comparison(plans, table, deployed, judged_on, risk)


def _measured(upload: Upload, demand: "Demand") -> "Demand":
    """An uploaded traffic table as Mbit/s: its own if it states them, else on the scale of the generated traffic."""
    from planning.demand import Demand
    from planning.traffic import TrafficTable

    table = TrafficTable.read(upload.data, upload.name, most_rows=168 * limits().tile_weeks)
    return Demand.build(table, None if table.metadata.get("unit") == "Mbit/s" else demand.scale)
