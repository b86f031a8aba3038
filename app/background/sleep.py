"""Sleep plans in the background: the strategies side by side, each judged on traffic that it was not made on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    import numpy as np
    import pandas as pd

    from planning.coverage import Coverage
    from planning.demand import Demand
    from planning.network import Network
    from planning.sleep import SleepPlan, SleepSettings

JOB = "sleep"
BEFORE_PLANS, BEFORE_RANGES, BEFORE_RISK = (
    0.1,
    0.6,
    0.7,
)  # shares of the job that are over when coverage, plans and
# their ranges over the ensemble are there


@dataclass(frozen=True)
class SleepRequest:
    """What is asked of the planners of sleep.

    strategies: of `planning.sleep.STRATEGIES`. hours: 24, 168, or 48 for a weekday and a weekend day of a week that
    begins on `first_day` (0: Monday). quantile: of each sector's demand, that is planned for. rate_floor: Mbit/s that
    every active user gets. operation: fields of `planning.sleep.Operation`, with `never` names of cells and sites, and
    `never_file` a table of more of them. measured: a traffic table that plans are replayed on, or else, with held_out,
    the last sample of the ensemble is. equipment: rows of figures instead of the network's.
    """

    strategies: Sequence[str]
    settings: "SleepSettings"
    hours: int = 24
    first_day: int = 0
    quantile: float = 0.95
    rate_floor: float = 0.25
    max_neighbours: int = 6
    operation: Mapping[str, Any] = field(default_factory=dict)
    held_out: bool = True
    measured: Upload | None = None
    equipment: "pd.DataFrame | None" = None

    def around(self, network: "Network") -> dict[str, Any]:
        """Arguments of `SleepProblem.build` beside demand, quantile and coverage. Raises PlanningError."""
        from planning.sleep import DAY_TYPES, Operation

        fields = dict(self.operation)
        names, file = fields.pop("never", ()), fields.pop("never_file", None)
        if file is not None:
            names = (*names, *_listed(file))
        return {
            "hours": DAY_TYPES if self.hours == 48 else self.hours,
            "first_day": self.first_day,
            "max_neighbours": self.max_neighbours,
            "operation": Operation(**fields, never=_never(network, names) if names else None),
        }


def _listed(file: Upload) -> list[str]:
    """Names in the first column of a table, or in that called cell or site."""
    from planning.csv_table import read_table

    table = read_table(file.data, file.name, "cell or site")
    wanted = [c for c in table.columns if str(c).strip().lower() in ("cell", "site")] or list(
        table.columns[:1]
    )
    # a list of names without a heading begins with a name
    first = [] if str(wanted[0]).strip().lower() in ("cell", "site") else [str(wanted[0])]
    return first + [str(v).strip() for c in wanted for v in table[c].dropna() if str(v).strip()]


def _never(network: "Network", names: Sequence[str]) -> "np.ndarray":
    """(cells,) bool of the cells and sites that these names name. Raises InputError."""
    from planning.errors import InputError

    cells = network.cells
    unknown = sorted(set(names) - set(cells["cell"].astype(str)) - set(cells["site"].astype(str)))
    if unknown:
        raise InputError(
            f"{len(unknown)} names of cells and sites that never sleep are not in the network (first: {unknown[0]!r}); "
            "correct or remove them."
        )
    return (cells["cell"].astype(str).isin(names) | cells["site"].astype(str).isin(names)).to_numpy()


def start(space: Workspace, asked: SleepRequest) -> None:
    """Compare sleep strategies on the present network; without one that fits, the default is deployed first.

    Every plan is replayed on traffic that it was not made on, where there is any. Raises PlanningError for traffic or
    figures that cannot be planned with.
    """
    network = present_or_default(space)
    planned, held_out, judged_on = _demands(space, asked)
    basis = space.basis("traffic", "scale")
    last = space.sleep.value.plans.get("milp") if space.sleep else None
    coverage = space.coverage

    def work(job: jobs.Job) -> "tuple[Made[Deployed], Comparison[SleepPlan]]":
        made = network(job)
        job.report(0, 0, "preparing")
        fits = coverage is not None and coverage.basis.get("network") == made.identity
        cover = coverage.value.coverage if coverage is not None and fits else None
        return made, _compared(job, made.value, asked, planned, held_out, judged_on, last, cover)

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
    coverage: "Coverage | None",
) -> "Comparison[SleepPlan]":
    """The strategies side by side; the optimised one begins from the last plan where that was for the same cells."""
    from planning.coverage import Coverage
    from planning.sleep import RISK_QUANTILES, SleepProblem, compare_strategies, risk_curve
    from planning.sleep.ranges import ensemble_figures

    network = deployed.plan.network
    if asked.equipment is not None:
        mine = asked.equipment["equipment"].isin(network.cells["equipment"])
        network = network.with_equipment(asked.equipment[mine])
    around = asked.around(network)
    if coverage is None:
        coverage = Coverage.of(network, planned.x, planned.y, progress=job.part(0.0, BEFORE_PLANS))
    problem = SleepProblem.build(network, planned, quantile=asked.quantile, coverage=coverage, **around)
    same = last is not None and last.network.cells.equals(network.cells)
    plans, table = compare_strategies(
        problem,
        asked.strategies,
        settings=asked.settings,
        held_out=held_out,
        progress=job.part(BEFORE_PLANS, BEFORE_RANGES, say=strategy_name),
        earlier=last.parts if last is not None and same else None,
    )
    ranges = ensemble_figures(plans, planned, None, held_out, job.part(BEFORE_RANGES, BEFORE_RISK))
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
            coverage=coverage,
            **around,
        )
    return Comparison(plans, table, deployed, judged_on, risk, ranges)


def _measured(upload: Upload, demand: "Demand") -> "Demand":
    """An uploaded traffic table as Mbit/s: its own if it states them, else on the scale of the generated traffic."""
    from planning.demand import Demand
    from planning.traffic import TrafficTable

    table = TrafficTable.read(upload.data, upload.name, most_rows=168 * limits().tile_weeks)
    return Demand.build(table, None if table.metadata.get("unit") == "Mbit/s" else demand.scale)
