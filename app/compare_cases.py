"""What can be compared: the open work and the scenarios of the library, each with one of its sleep strategies."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from app import library, plans, saved_work
from app.state import Workspace

if TYPE_CHECKING:
    from planning.demand import Demand
    from planning.network import Network
    from planning.sleep import SleepPlan

OPEN = "open work"
HOURS_A_DAY = 24


@dataclass(frozen=True)
class Case:
    """One column of the comparison: a network, the demand it is for and, if there is one, a sleep plan."""

    label: str
    demand: "Demand"
    network: "Network"
    plan: "SleepPlan | None"
    row: dict | None  # of the table of strategies


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
    deployed = space.network.value
    sleep = space.sleep
    if sleep is None or sleep.basis["network"] != space.network.identity:
        return [Case(f"{name} · no sleep plan", deployed.demand, deployed.plan.network, None, None)]
    rows = {row["strategy"]: row for row in sleep.value.table.to_dict("records")}
    return [
        Case(
            f"{name} · {plans.strategy_name(strategy)}",
            deployed.demand,
            plan.network,
            plan,
            rows.get(strategy),
        )
        for strategy, plan in sleep.value.plans.items()
    ]


@dataclass(frozen=True)
class Kpi:
    """A figure of a case. better: "less" or "more", or "" where neither is. digits: behind the point."""

    label: str
    unit: str
    better: str = ""
    digits: int = 0


KPIS = {
    "sites": Kpi("Sites", ""),
    "cells": Kpi("Cells", ""),
    "busy_mbps": Kpi("Busy-hour demand, median", "Mbit/s"),
    "kwh_a_day": Kpi("Energy", "kWh a day", "less", 0),
    "saving": Kpi("Saving against always on", "%", "more", 1),
    "unserved": Kpi("Unserved traffic", "%", "less", 3),
    "unseen_unserved": Kpi("Unserved on unseen traffic", "%", "less", 3),
    "overload_hours": Kpi("Overload hours", "h", "less"),
    "switches": Kpi("Switches", "", "less"),
}


def figures(case: Case) -> dict[str, float]:
    """KPI name: value; what a case does not have is left out."""
    demand, network = case.demand, case.network
    found = {
        "sites": len(network.sites),
        "cells": len(network.cells),
        "busy_mbps": float(demand.profile(None, 0.5).sum(axis=0).max()),
    }
    if case.plan is not None:
        e = case.plan.evaluation
        found |= {
            "kwh_a_day": e.energy_kwh / e.hours * HOURS_A_DAY,
            "saving": 100 * e.saving,
            "unserved": 100 * e.unserved_share,
            "overload_hours": e.overload_hours,
            "switches": e.switches,
        }
        unseen = (case.row or {}).get("replay_unserved_share")
        if unseen is not None and pd.notna(unseen):
            found["unseen_unserved"] = 100 * float(unseen)
    return found


def table(chosen: list[Case], baseline: Case) -> pd.DataFrame:
    """One row a KPI: its name with unit, each case's value, and its difference from the baseline."""
    values = {case.label: figures(case) for case in chosen}
    rows = []
    for name, kpi in KPIS.items():
        row = {"KPI": f"{kpi.label} ({kpi.unit})" if kpi.unit else kpi.label}
        for case in chosen:
            row[case.label] = values[case.label].get(name)
            if case is not baseline and name in values[case.label] and name in values[baseline.label]:
                row[f"Δ {case.label}"] = values[case.label][name] - values[baseline.label][name]
        rows.append(row)
    return pd.DataFrame(rows)
