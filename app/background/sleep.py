"""Sleep plans in the background: the strategies side by side, each judged on traffic that it was not made on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.background import session_jobs
from app.background.counted import OnCells, laid
from app.background.coverage import computed as computed_coverage
from app.background.coverage import saved_request
from app.background.deployment import present_or_default
from app.files.measurements import cell_counters
from app.server import jobs
from app.server.limits import limits
from app.state.inputs import Upload
from app.state.results import Comparison, Deployed, Made
from app.state.workspace import Workspace
from app.strategies import strategy_name

if TYPE_CHECKING:
    import pandas as pd
    import shapely

    from plannerbase.counters import Counters
    from planning.coverage import Coverage
    from planning.demand import Demand
    from planning.network import Network
    from planning.prices import Prices
    from planning.sleep import SleepPlan, SleepSettings

JOB = "sleep"
CHOICE = "sleep choice"  # key of the control that chooses the plan that is shown
SOLVED = ("milp", "paper")  # strategies that solve a program: what there is before them is shown meanwhile
BEFORE_RANGES, BEFORE_RISK = 0.65, 0.75  # shares of the job that are over by then


@dataclass(frozen=True)
class SleepRequest:
    """What is asked of the planners of sleep.

    strategies: of `planning.sleep.STRATEGIES`. hours (24, 168 or DAY_TYPES), first_day, max_neighbours: as in
    `SleepProblem.build`. rules: fields of `Operation` but for `never`. never: names of cells and sites that never
    sleep; never_areas: areas (degrees) whose sites never do. quantile: of demand that is planned for. rate_floor:
    Mbit/s that every active user gets. measured: a traffic table that plans are replayed on, or else, with held_out,
    the last sample of the ensemble is. equipment: rows of figures instead of the network's. counters: of cells,
    which carry what these say. prices: tariff, currency and CO2.
    """

    strategies: Sequence[str]
    settings: "SleepSettings"
    hours: int | str = 24
    first_day: int = 0
    max_neighbours: int = 6
    rules: dict[str, Any] = field(default_factory=dict)
    never: tuple[str, ...] = ()
    never_areas: tuple["shapely.Geometry", ...] = ()
    quantile: float = 0.95
    rate_floor: float = 0.25
    held_out: bool = True
    measured: Upload | None = None
    equipment: "pd.DataFrame | None" = None
    counters: "Counters | None" = None
    prices: "Prices | None" = None

    def around(self, network: "Network") -> dict[str, Any]:
        """Arguments of `SleepProblem.build` beside network, demand and quantile."""
        from planning.sleep import Operation
        from planning.sleep.operation import never

        return {
            "hours": self.hours, "first_day": self.first_day, "max_neighbours": self.max_neighbours,
            "operation": Operation(**self.rules, never=never(network, self.never, self.never_areas)),
        }  # fmt: skip


def start(space: Workspace, asked: SleepRequest) -> None:
    """Compare sleep strategies on the present network; without one that fits, the default is deployed first.

    Every plan is replayed on traffic that it was not made on, where there is any. Raises PlanningError for traffic or
    figures that cannot be planned with.
    """
    network = present_or_default(space)
    asked = replace(asked, counters=cell_counters(space))
    planned, held_out, judged_on = _demands(space, asked)
    basis = space.basis("traffic", "scale")
    last = space.sleep.value.plans.get("milp") if space.sleep else None
    wanted = _Wanted(space.sleep_choice)
    computed, saved = space.coverage, saved_request(space) if space.coverage is None else None

    def work(job: jobs.Job) -> "tuple[Made[Deployed], Comparison[SleepPlan]]":
        made = network(job)
        job.report(0, 0, "preparing")
        known = computed is not None and computed.basis.get("network") == made.identity
        coverage = computed.value.radio if computed is not None and known else None
        if saved is not None:
            coverage = computed_coverage(job, made.value, saved).radio

        def finished(some: "Comparison[SleepPlan]", shown: bool) -> None:
            job.partial = lambda: (made, some)
            if shown:
                job.publish((made, some))

        return made, _compared(job, made.value, asked, planned, held_out, judged_on, last, coverage, finished)

    def deliver(space: Workspace, result: "tuple[Made[Deployed], Comparison[SleepPlan]]") -> None:
        made, comparison = result
        space.sleep = Made(comparison, basis | {"network": made.identity})
        choose(space, wanted, list(comparison.plans))

    session_jobs.start(space, JOB, "Planning sleep", work, deliver)


@dataclass
class _Wanted:
    """The strategy to show once it is there, and the one that was shown last without being asked for."""

    strategy: str
    shown: str = ""


def choose(space: Workspace, wanted: _Wanted, there: Sequence[str]) -> None:
    """Show the wanted strategy of those that are there or, as long as it is not, the last of them.

    A user who has chosen another one meanwhile keeps it.
    """
    left_alone = not wanted.shown or space.sleep_choice == wanted.shown
    if space.sleep_choice in there and not left_alone:
        return
    space.sleep_choice = wanted.shown = wanted.strategy if wanted.strategy in there else there[-1]
    st.session_state.pop(CHOICE, None)


def _demands(space: Workspace, asked: SleepRequest) -> "tuple[Demand, Demand | None, str]":
    """(demand to plan for, demand to replay the plans on or None, what the latter is)."""
    demand = space.demand()
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
    finished: "Callable[[Comparison[SleepPlan], bool], None]",
) -> "Comparison[SleepPlan]":
    """The strategies side by side; the optimised one begins from the last plan where that was for the same cells.

    finished: told after each strategy what there is to compare by then, and whether to show it: before a strategy that
    takes long, and when all of them are there.
    """
    import pandas as pd

    from planning.coverage import Coverage
    from planning.sleep import RISK_QUANTILES, SleepProblem, compare_strategies, risk_curve
    from planning.sleep.building import ground_of
    from planning.sleep.ranges import ensemble_figures

    network = deployed.plan.network
    if asked.equipment is not None:
        mine = asked.equipment["equipment"].isin(network.cells["equipment"])
        network = network.with_equipment(asked.equipment[mine])
    if coverage is None:  # else the radio settings are those of the Coverage page
        job.report(0, 0, "received levels")
        coverage = Coverage.of(network, planned.x, planned.y)
    on_cells = laid(job, asked.counters, OnCells(network, coverage, planned, held_out))
    network, coverage, planned, held_out = (
        on_cells.network, on_cells.coverage, on_cells.demand, on_cells.held_out
    )  # fmt: skip
    around = asked.around(network) | {"coverage": coverage}
    floored = planned.with_rate_floor(asked.rate_floor)
    around["ground"] = ground_of(network, floored, around["operation"], coverage, asked.max_neighbours)
    problem = SleepProblem.build(network, floored, quantile=asked.quantile, **around)
    plans: dict[str, SleepPlan] = {}
    rows = []
    for number, strategy in enumerate(asked.strategies):
        begun, ended = (BEFORE_RANGES * n / len(asked.strategies) for n in (number, number + 1))
        some, row = compare_strategies(
            problem,
            [strategy],
            settings=asked.settings,
            held_out=held_out,
            progress=job.part(begun, ended, say=lambda what: strategy_name(what) if what != "done" else what),
            earlier=last.parts if last is not None and last.network.cells.equals(network.cells) else None,
        )
        plans |= some
        rows.append(row)
        table = pd.concat(rows, ignore_index=True)
        following = asked.strategies[number + 1 :]
        shown = not following or following[0] in SOLVED
        some_of = Comparison(dict(plans), table, deployed, judged_on, prices=asked.prices)
        finished(replace(some_of, notes=on_cells.sentences), shown)
    ranges = ensemble_figures(plans, planned, asked.prices, held_out, job.part(BEFORE_RANGES, BEFORE_RISK))
    risk = None
    if held_out is not None:
        risk = risk_curve(
            network,
            floored,
            held_out,
            RISK_QUANTILES,
            "greedy",
            replace(asked.settings, allow_unserved=True),
            job.part(BEFORE_RISK, 1.0),
            {asked.quantile: plans["greedy"]} if "greedy" in plans else None,
            **around,
        )
    return Comparison(plans, table, deployed, judged_on, risk, ranges, asked.prices, on_cells.sentences)


def _measured(upload: Upload, demand: "Demand") -> "Demand":
    """An uploaded traffic table as Mbit/s: its own if it states them, else on the scale of the generated traffic."""
    from planning.demand import Demand
    from planning.traffic import TrafficTable

    table = TrafficTable.read(upload.data, upload.name, most_rows=168 * limits().tile_weeks)
    return Demand.on_scale_of(demand, table)
