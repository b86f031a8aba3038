"""What can be compared: the open work and the scenarios of the library, each with one of its sleep strategies.

The states of the scenarios tell what there is to choose; only those chosen are opened, in the background.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from app.background import session_jobs
from app.saved import library, packing
from app.server import jobs
from app.server.limits import limits
from app.state.results import Deployed
from app.state.slots import Slot
from app.state.workspace import Workspace
from app.strategies import strategy_name
from plannerbase import formats

if TYPE_CHECKING:
    from pathlib import Path

    from planning.demand import Demand
    from planning.network import Network
    from planning.prb import PrbPlan
    from planning.prices import Prices
    from planning.scenario import Scenario
    from planning.sleep import SleepPlan

OPEN = "open work"
STRATEGIES: Slot[Any] = Slot()
JOB = "opening scenarios"
NO_PLAN = "no sleep plan"


@dataclass(frozen=True)
class Offer:
    """A plan that can be chosen: of which scenario ("" for the open work), and which sleep strategy ("" for none)."""

    label: str
    scenario: str
    strategy: str


@dataclass(frozen=True)
class Case:
    """One column of the comparison: a network with the demand it is for and, where there are, plans for it."""

    label: str
    deployed: Deployed
    plan: "SleepPlan | None"
    row: dict | None  # of the table of strategies
    prb: "PrbPlan | None"
    ranges: pd.DataFrame | None = None  # energy, CO2 and cost of the plan over the ensemble
    prices: "Prices | None" = None  # what cost and CO2 rest on

    @property
    def demand(self) -> "Demand":
        return self.deployed.demand

    @property
    def network(self) -> "Network":
        return self.deployed.plan.network if self.plan is None else self.plan.network


def offers(space: Workspace) -> dict[str, Offer]:
    """By label, the open work first. Scenarios of the same name get a number."""
    found: dict[str, Offer] = {}
    scenarios = {} if space.network is None else {OPEN: ("", packing.strategies(space))}
    for entry in library.entries():
        strategies = space.cached(
            STRATEGIES.part(entry.identity),
            (entry.saved, entry.size),
            partial(library.strategies_of, entry.identity),
        )
        if strategies is not None:
            name, number = entry.name, 2
            while name in scenarios:
                name, number = f"{entry.name} ({number})", number + 1
            scenarios[name] = (entry.identity, strategies)
    for name, (identity, strategies) in scenarios.items():
        for strategy in strategies or [""]:
            label = f"{name} · {strategy_name(strategy) if strategy else NO_PLAN}"
            found[label] = Offer(label, identity, strategy)
    return found


def opened(space: Workspace, chosen: list[Offer]) -> list[Case] | None:
    """The cases of what was chosen; None while their scenarios are being opened in the background."""
    saved = {entry.identity: entry.saved for entry in library.entries()}
    wanted = {offer.scenario: saved[offer.scenario] for offer in chosen if offer.scenario}
    space.opened_scenarios = {
        i: kept for i, kept in space.opened_scenarios.items() if kept[0] == wanted.get(i)
    }
    missing = {
        identity: library.path_of(identity) for identity in wanted if identity not in space.opened_scenarios
    }
    if missing:
        if JOB not in space.jobs and not missing.keys() <= space.asked_scenarios:
            space.asked_scenarios |= missing.keys()
            _start(space, missing, wanted)
        return None
    spaces = {identity: other for identity, (_, other) in space.opened_scenarios.items()} | {"": space}
    return [_case(offer, spaces[offer.scenario]) for offer in chosen]


def _start(space: Workspace, missing: "dict[str, Path]", saved: dict[str, float]) -> None:
    tile_weeks = limits().tile_weeks  # of this session, which the thread of a job does not know

    def work(job: jobs.Job) -> dict[str, Workspace]:
        found = {}
        for done, (identity, path) in enumerate(missing.items()):
            job.report(done, len(missing), f"{done + 1} of {len(missing)}")
            found[identity] = Workspace()
            packing.unpack(library.read_parts(path), found[identity], controls=False, tile_weeks=tile_weeks)
        return found

    def deliver(space: Workspace, found: dict[str, Workspace]) -> None:
        space.opened_scenarios |= {identity: (saved[identity], other) for identity, other in found.items()}

    session_jobs.start(space, JOB, "Opening scenarios", work, deliver)


def _case(offer: Offer, space: Workspace) -> Case:
    assert space.network is not None
    deployed, identity = space.network.value, space.network.identity
    sleep, spectrum, prb = space.sleep, space.spectrum, None
    if spectrum is not None and spectrum.basis["network"] == identity:
        prb = spectrum.value.plans[space.spectrum_choice]
    if not offer.strategy or sleep is None:
        return Case(offer.label, deployed, None, None, prb)
    rows = {row["strategy"]: row for row in sleep.value.table.to_dict("records")}
    plan = sleep.value.plans[offer.strategy]
    ranges = sleep.value.ranges
    mine = None if ranges is None else ranges[ranges["strategy"] == offer.strategy]
    return Case(offer.label, deployed, plan, rows.get(offer.strategy), prb, mine, sleep.value.prices)


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
        kpis.HOURS_PER_DAY if plan is None else plan.hours,
        (case.row or {}).get("replay_unserved_share"),
        None if case.prb is None else case.prb.figures(),
    )


YEARLY = {
    "saved_kwh_per_year": "Energy saved (MWh per year)",
    "saved_co2_kg_per_year": "CO₂ saved (t per year)",
    "saved_cost_per_year": "Energy cost saved (thousand per year)",
}


def yearly(chosen: list[Case]) -> pd.DataFrame:
    """Energy, CO2 and cost that each sleep plan saves in a year, a row a figure: mean and P10 to P90 of the ensemble.

    Empty where no case has them. Cost needs an electricity price.
    """
    rows = []
    for figure, label in YEARLY.items():
        row = {"Figure": label}
        for case in chosen:
            if case.ranges is not None and len(found := case.ranges[case.ranges["figure"] == figure]):
                mean, low, high = (float(found[name].iloc[0]) / 1000 for name in ("mean", "p10", "p90"))
                unit = str(found["unit"].iloc[0]).removesuffix("a year").strip() if "cost" in figure else ""
                row[case.label] = (
                    f"{formats.number(mean, 1)} ({formats.number(low, 1)} to {formats.number(high, 1)}) {unit}".strip()
                )
        if len(row) > 1:
            rows.append(row)
    return pd.DataFrame(rows)


def price_sentences(chosen: list[Case]) -> list[str]:
    """What cost and CO2 of the cases rest on, each sentence once."""
    return list(dict.fromkeys(s for case in chosen if case.prices is not None for s in case.prices.sentences))


def table(chosen: list[Case]) -> pd.DataFrame:
    """One row a KPI, the first case being the baseline of the differences."""
    from planning import kpis

    return kpis.table({case.label: figures(case) for case in chosen})


def scenario_of(case: Case) -> "Scenario":
    """The case as a scenario of its own, for the report."""
    from planning.scenario import Scenario

    scenario = Scenario.from_deployment(case.deployed.plan, case.demand)
    if case.plan is not None:
        row = pd.DataFrame([case.row]) if case.row else None
        scenario = scenario.with_sleep(case.plan, row, case.ranges, case.prices)
    return scenario if case.prb is None else scenario.with_prb(case.prb)
