"""What can be compared: the open work and the scenarios of the library, each with one of its sleep strategies."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from app import library, plans, saved_work
from app.state import Deployed, Workspace

if TYPE_CHECKING:
    from planning.demand import Demand
    from planning.network import Network
    from planning.prb import PrbPlan
    from planning.scenario import Scenario
    from planning.sleep import SleepPlan

OPEN = "open work"


@dataclass(frozen=True)
class Case:
    """One column of the comparison: a network with the demand it is for and, where there are, plans for it."""

    label: str
    deployed: Deployed
    plan: "SleepPlan | None"
    row: dict | None  # of the table of strategies
    prb: "PrbPlan | None"

    @property
    def demand(self) -> "Demand":
        return self.deployed.demand

    @property
    def network(self) -> "Network":
        return self.deployed.plan.network if self.plan is None else self.plan.network


def scenarios(space: Workspace) -> dict[str, Workspace]:
    """name: workspace, the open work first. Names that occur twice get a number."""
    found: dict[str, Workspace] = {}
    if space.network is not None:
        found[OPEN] = space
    for entry in library.entries():
        opened = space.cached(
            f"scenario {entry.identity}",
            (entry.saved, entry.size),
            lambda entry=entry: _opened(entry.identity),
        )
        if opened is not None and opened.network is not None:
            name, number = entry.name, 2
            while name in found:
                name, number = f"{entry.name} ({number})", number + 1
            found[name] = opened
    return found


def _opened(identity: str) -> Workspace | None:
    space = Workspace()
    try:
        saved_work.unpack(library.parts_of(identity), space, controls=False)
    except saved_work.SavedWorkError:
        return None
    return space


def cases(name: str, space: Workspace) -> list[Case]:
    """One case a sleep strategy, or one without where there is no sleep plan."""
    assert space.network is not None
    deployed, identity = space.network.value, space.network.identity
    sleep, spectrum = space.sleep, space.spectrum
    prb = None
    if spectrum is not None and spectrum.basis["network"] == identity:
        prb = spectrum.value.plans[space.spectrum_choice]
    if sleep is None or sleep.basis["network"] != identity:
        return [Case(f"{name} · no sleep plan", deployed, None, None, prb)]
    rows = {row["strategy"]: row for row in sleep.value.table.to_dict("records")}
    return [
        Case(f"{name} · {plans.strategy_name(strategy)}", deployed, plan, rows.get(strategy), prb)
        for strategy, plan in sleep.value.plans.items()
    ]


def figures(case: Case) -> dict[str, float]:
    """The KPIs of a case, see `planning.kpis`."""
    from planning import kpis

    plan = case.plan
    return kpis.figures(
        len(case.network.sites),
        len(case.network.cells),
        float(np.median(case.demand.mbps.sum(axis=0, dtype=float), axis=0).max()),
        case.deployed.plan.served_mbps,
        None if plan is None else plan.evaluation.record(),
        kpis.HOURS_A_DAY if plan is None else plan.hours,
        (case.row or {}).get("replay_unserved_share"),
        None if case.prb is None else case.prb.figures(),
    )


def table(chosen: list[Case]) -> pd.DataFrame:
    """One row a KPI, the first case being the baseline of the differences."""
    from planning import kpis

    return kpis.table({case.label: figures(case) for case in chosen})


def scenario_of(case: Case) -> "Scenario":
    """The case as a scenario of its own, for the report."""
    from planning.scenario import Scenario

    scenario = Scenario.from_deployment(case.deployed.plan, case.demand)
    if case.plan is not None:
        scenario = scenario.with_sleep(case.plan, pd.DataFrame([case.row]) if case.row else None)
    return scenario if case.prb is None else scenario.with_prb(case.prb)
