"""What plans do over the ensemble and on the held-out week, and which of them is recommended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from planning.demand import Demand
from planning.progress import Progress
from planning.sleep.plan import SleepPlan, replay

LOW, HIGH = 0.1, 0.9  # quantiles over the samples that a range is given by
MAX_UNSERVED_SHARE = 0.001  # of the traffic that a recommended plan may leave unserved on the held-out week
BY_HOUR = "saved_kwh_0", "saved_kwh_1", "saved_kwh_2"  # beginnings of the columns of hours of the day


def over_ensemble(plan: SleepPlan, demand: Demand) -> pd.DataFrame:
    """What the plan does in each sample of an ensemble, a row a sample.

    Columns: sample, saved_kwh_00 .. saved_kwh_23 (kWh saved in each hour of a mean day), energy_kwh_day,
    always_on_kwh_day, saved_kwh_day, saving (0..1), unserved_share (0..1),
    kwh_per_gb. Raises InputError as `replay` does.
    """
    rows = []
    for sample in range(demand.samples):
        found = replay(plan, demand.sample(sample))
        days = found.hours / 24
        by_hour = (found.always_on - found.energy).reshape(-1, 24).mean(axis=0)
        rows.append(
            {
                "sample": sample,
                **{f"saved_kwh_{hour:02d}": kwh for hour, kwh in enumerate(by_hour)},
                "energy_kwh_day": found.energy_kwh / days,
                "always_on_kwh_day": found.always_on_kwh / days,
                "saved_kwh_day": (found.always_on_kwh - found.energy_kwh) / days,
                "saving": found.saving,
                "unserved_share": found.unserved_share,
                "kwh_per_gb": found.kwh_per_gb,
            }
        )
    return pd.DataFrame(rows)


def ranges(plans: Mapping[str, SleepPlan], demand: Demand, progress: Progress | None = None) -> pd.DataFrame:
    """Mean and P10-P90 over the samples, a row a plan: strategy, then of each column of `over_ensemble` but the first
    the columns mean_*, p10_* and p90_*; of the hours of the day the mean alone."""
    rows = []
    for done, (name, plan) in enumerate(plans.items()):
        if progress:
            progress(done, len(plans), name)
        found = over_ensemble(plan, demand).drop(columns="sample")
        row: dict[str, object] = {"strategy": name}
        for column in found:
            values = found[column].to_numpy(float)
            row[f"mean_{column}"] = values.mean()
            if not column.startswith(BY_HOUR):
                row[f"p10_{column}"], row[f"p90_{column}"] = np.quantile(values, [LOW, HIGH])
        rows.append(row)
    if progress:
        progress(len(plans), len(plans), "done")
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Verdict:
    """strategy: the one recommended. sentence: what it saves, with its range, and at what risk."""

    strategy: str
    sentence: str


def verdict(table: pd.DataFrame, judged_on: str = "") -> Verdict:
    """The strategy that saves most among those that serve all but MAX_UNSERVED_SHARE of the traffic, on the held-out
    week where there is one (`replay_` columns), else on the planned demand.

    Parameters
    ----------
    table : of `compare_strategies`, with the columns of `ranges` where they are known.
    judged_on : what the held-out traffic is called.
    """
    rows = table[table["strategy"] != "paper"]  # has no coverage and no load limit: it is shown to compare
    rows = table if rows.empty else rows
    before = "replay_" if "replay_saving" in rows else ""
    safe = rows[rows[f"{before}unserved_share"] <= MAX_UNSERVED_SHARE]
    if safe.empty:
        best = rows.loc[rows[f"{before}unserved_share"].idxmin()]
    else:
        best = safe.loc[safe[f"{before}saving"].idxmax()]
    where = f"on {judged_on}" if before and judged_on else "on the demand planned for"
    sentence = f"saves {best[f'{before}saving']:.1%} of the energy {where}"
    if "mean_saving" in best and np.isfinite(best["mean_saving"]):
        sentence += (
            f" and {best['mean_saved_kwh_day']:,.0f} kWh a day over the ensemble (P10 to P90: "
            f"{best['p10_saved_kwh_day']:,.0f} to {best['p90_saved_kwh_day']:,.0f})"
        )
    sentence += f"; it leaves {best[f'{before}unserved_share']:.3%} of the traffic unserved"
    hours = int(best[f"{before}overload_hours"])
    sentence += f" in {hours} hours of it" if hours else ""
    holes = float(best.get("worst_hole_share", 0.0))
    sentence += f" and uncovers {holes:.2%} of the ground." if holes > 0 else " and uncovers no ground."
    if safe.empty:
        sentence += f" Every strategy leaves more than {MAX_UNSERVED_SHARE:.1%} unserved: capacity is short."
    return Verdict(str(best["strategy"]), sentence)
