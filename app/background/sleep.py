"""Sleep plans in the background: the strategies side by side, each judged on traffic that it was not made on."""

from dataclasses import replace
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
    from planning.demand import Demand
    from planning.sleep import SleepPlan

JOB = "sleep"
BEFORE_RISK = 0.7  # share of the job that is over when the strategies are compared


def start(space: Workspace, chosen: dict[str, Any]) -> None:
    """Compare sleep strategies on the present network; without one that fits, the default is deployed first.

    chosen: as `app.sleep_settings` gives it, with its settings as SleepSettings. Every plan is replayed on measured
    traffic, or else on the last sample of the ensemble, which is then left out of planning. Raises PlanningError for
    traffic or figures that cannot be planned with.
    """
    demand, network = space.demand().with_rate_floor(chosen["rate_floor"]), present_or_default(space)
    planned, held_out, judged_on = demand, None, ""
    if chosen["measured"] is not None:
        held_out, judged_on = _measured(chosen["measured"], demand), "the measured traffic"
    elif chosen["held_out"] and demand.samples > 1:
        held_out, judged_on = demand.sample(demand.samples - 1), "the last sample (one week)"
        planned = _without_last_sample(demand)
    basis = space.basis("traffic", "scale")
    last = space.sleep.value.plans.get("milp") if space.sleep else None

    def work(job: jobs.Job) -> "tuple[Made[Deployed], Comparison[SleepPlan]]":
        from planning.sleep import RISK_QUANTILES, SleepProblem, compare_strategies, risk_curve

        made = network(job)
        job.report(0, 0, "preparing")
        cells = made.value.plan.network
        if chosen["equipment"] is not None:
            mine = chosen["equipment"]["equipment"].isin(cells.cells["equipment"])
            cells = cells.with_equipment(chosen["equipment"][mine])
        problem = SleepProblem.build(cells, planned, quantile=chosen["quantile"], **chosen["around"])
        plans, table = compare_strategies(
            problem,
            chosen["strategies"],
            settings=chosen["settings"],
            held_out=held_out,
            progress=job.part(0.0, 1.0 if held_out is None else BEFORE_RISK, say=strategy_name),
            earlier=last.awake if last is not None and last.network.cells.equals(cells.cells) else None,
        )
        risk = None
        if held_out is not None:
            risk = risk_curve(
                cells,
                planned,
                held_out,
                RISK_QUANTILES,
                "greedy",
                replace(chosen["settings"], allow_unserved=True),
                job.part(BEFORE_RISK, 1.0),
                **chosen["around"],
            )
        return made, Comparison(plans, table, made.value, judged_on, risk)

    def deliver(space: Workspace, result: "tuple[Made[Deployed], Comparison[SleepPlan]]") -> None:
        made, comparison = result
        space.sleep = Made(comparison, basis | {"network": made.identity})
        if space.sleep_choice not in comparison.plans:
            space.sleep_choice = list(comparison.plans)[-1]

    session_jobs.start(space, JOB, "Planning sleep", work, deliver)


def _measured(upload: Upload, demand: "Demand") -> "Demand":
    """An uploaded traffic table as Mbit/s: its own if it states them, else on the scale of the generated traffic."""
    from planning.demand import Demand
    from planning.traffic import TrafficTable

    table = TrafficTable.read(upload.data, upload.name, most_rows=168 * limits().tile_weeks)
    return Demand.build(table, None if table.metadata.get("unit") == "Mbit/s" else demand.scale)


def _without_last_sample(demand: "Demand") -> "Demand":
    return replace(demand, mbps=demand.mbps[:, :-1], users=demand.users[:, :-1])
