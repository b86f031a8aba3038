"""The figures that plans are compared by, each with its unit and which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

HOURS_PER_DAY = 24


@dataclass(frozen=True)
class Kpi:
    """A figure of a plan. better: "less" or "more", or "" where neither is. digits: behind the point."""

    label: str
    unit: str = ""
    better: str = ""
    digits: int = 0

    @property
    def title(self) -> str:
        """Label and unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


KPIS = {
    "sites": Kpi("Sites"),
    "cells": Kpi("Cells"),
    "busy_mbps": Kpi("Busy-hour demand, median", "Mbit/s"),
    "served_mbps": Kpi("Served by the deployment, planning quantile", "Mbit/s", "more"),
    "kwh_a_day": Kpi("Energy", "kWh a day", "less"),
    "saving": Kpi("Saving against always on", "%", "more", 1),
    "unserved": Kpi("Unserved traffic", "%", "less", 3),
    "unseen_unserved": Kpi("Unserved, held-out traffic", "%", "less", 3),
    "overload_hours": Kpi("Overload hours", "h", "less"),
    "switches": Kpi("Switches", "", "less"),
    "prb_met": Kpi("Spectrum: demands met", "%", "more", 1),
    "prb_used": Kpi("Spectrum: PRBs used", "", "less"),
    "prb_utilisation": Kpi("Spectrum: PRBs in use, mean of the stations", "%", "", 1),
}


def figures(
    sites: int,
    cells: int,
    busy_mbps: float | None = None,
    served_mbps: float | None = None,
    sleep: dict[str, Any] | None = None,
    hours: int = HOURS_PER_DAY,
    unseen_unserved_share: float | None = None,
    prb: dict[str, Any] | None = None,
) -> dict[str, float]:
    """Name of KPIS -> value, what is not known left out. sleep: `SleepEvaluation.record` over `hours`; prb:
    `PrbPlan.figures`; shares of 0..1 become per cent."""
    found = {"sites": sites, "cells": cells, "busy_mbps": busy_mbps, "served_mbps": served_mbps}
    if sleep is not None:
        found |= {
            "kwh_a_day": sleep["energy_kwh"] / hours * HOURS_PER_DAY,
            "saving": 100 * sleep["saving"],
            "unserved": 100 * sleep["unserved_share"],
            "overload_hours": sleep["overload_hours"],
            "switches": sleep["switches"],
        }
        if unseen_unserved_share is not None:
            found["unseen_unserved"] = 100 * unseen_unserved_share
    if prb is not None:
        found |= {
            "prb_met": 100 * prb["met"] / max(prb["users"], 1),
            "prb_used": prb["used_prbs"],
            "prb_utilisation": 100 * prb["utilisation"],
        }
    return {name: float(value) for name, value in found.items() if value is not None and pd.notna(value)}


def table(values: dict[str, dict[str, float]]) -> pd.DataFrame:
    """One row a KPI that any of the labelled plans has: its name with unit, each plan's value, and behind it, but for
    the first plan, the difference from the first."""
    baseline = next(iter(values.values()))
    rows = []
    for name, kpi in KPIS.items():
        if not any(name in of_plan for of_plan in values.values()):
            continue
        row: dict[str, object] = {"KPI": kpi.title}
        for label, of_plan in values.items():
            row[label] = of_plan.get(name)
            if of_plan is not baseline:
                both = name in of_plan and name in baseline
                row[f"Δ {label}"] = of_plan[name] - baseline[name] if both else None
        rows.append(row)
    return pd.DataFrame(rows)
