"""What plans come to on every sample of an ensemble: mean, P10 and P90, and the verdict that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from plannerbase import formats
from plannerbase.bands import band
from plannerbase.progress import Progress
from planning.demand import Demand
from planning.errors import InputError
from planning.prices import HOURS_PER_YEAR, Prices
from planning.sleep.catalogue import STRATEGIES, strategy_label
from planning.sleep.evaluation import Judged, SleepEvaluation
from planning.sleep.plan import SleepPlan

SERVED_ENOUGH = (
    0.001  # share of traffic that a recommended plan may leave unserved on traffic it was not made for
)
FIGURES = {
    "kwh_per_day": "kWh a day",
    "saved_kwh_per_day": "kWh a day",
    "saving": "share",
    "unserved_share": "share",
    "unserved_by_sleep": "share",
    "kwh_per_gb": "kWh/GB",
    "mbit_per_j": "Mbit/J",
    "cost_per_day": "a day",
    "saved_cost_per_day": "a day",
    "saved_kwh_per_year": "kWh a year",
    "saved_co2_kg_per_year": "kg a year",
    "saved_cost_per_year": "a year",
}


LABELS = {
    "kwh_per_day": "Energy",
    "saved_kwh_per_day": "Energy saved",
    "saving": "Saving",
    "unserved_share": "Unserved traffic",
    "unserved_by_sleep": "Unserved because cells sleep",
    "kwh_per_gb": "Energy of the traffic served",
    "mbit_per_j": "Energy efficiency (ETSI ES 203 228)",
    "cost_per_day": "Energy cost",
    "saved_cost_per_day": "Energy cost saved",
    "saved_kwh_per_year": "Energy saved",
    "saved_co2_kg_per_year": "CO2 saved",
    "saved_cost_per_year": "Energy cost saved",
}
MONEY = ("cost_per_day", "saved_cost_per_day", "saved_cost_per_year")
YEARLY = ("saved_kwh_per_year", "saved_co2_kg_per_year", "saved_cost_per_year")


def figures_of(found: SleepEvaluation, prices: Prices | None = None) -> dict[str, float]:
    """FIGURES of one evaluation; costs only with a tariff."""
    prices = prices or Prices()
    days = found.hours / 24
    saved = found.always_on_kwh - found.energy_kwh
    out = {
        "kwh_per_day": found.energy_kwh / days,
        "saved_kwh_per_day": saved / days,
        "saving": found.saving,
        "unserved_share": found.unserved_share,
        "unserved_by_sleep": found.unserved_by_sleep,
        "kwh_per_gb": found.kwh_per_gb,
        "mbit_per_j": found.mbit_per_j,
        "saved_kwh_per_year": saved / found.hours * HOURS_PER_YEAR,
        "saved_co2_kg_per_year": saved / found.hours * HOURS_PER_YEAR * prices.kg_per_kwh,
    }
    cost, without = prices.cost(found.energy), prices.cost(found.always_on)
    if cost is not None and without is not None:
        out |= {
            "cost_per_day": cost / days,
            "saved_cost_per_day": (without - cost) / days,
            "saved_cost_per_year": (without - cost) / found.hours * HOURS_PER_YEAR,
        }
    return out


def ensemble_figures(
    plans: Mapping[str, SleepPlan],
    demand: Demand,
    prices: Prices | None = None,
    held_out: Demand | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Each plan on each sample of a demand.

    Returns a row a strategy and figure of FIGURES: strategy, figure, unit (with the currency, of money), mean, p10, p90
    (over the samples), and held_out where there is traffic that no plan was made on. Raises InputError for a demand
    that the plans cannot be replayed on.
    """
    prices = prices or Prices()
    if not plans:
        raise InputError("There is no plan; choose at least one strategy.")
    first = next(iter(plans.values()))
    if demand.hours % first.hours:
        raise InputError(f"A plan of {first.hours} hours cannot be replayed on {demand.hours} hours.")
    values: dict[str, list[dict[str, float]]] = {name: [] for name in plans}
    judged = {name: Judged(plan.problem, plan.settings, plan.parts) for name, plan in plans.items()}
    every = judged[next(iter(plans))].every
    for sample in range(demand.samples):
        if progress:
            progress(sample, demand.samples, "the ensemble")
        laid, reference = first.problem.laid(demand, sample), None
        for name, plan in plans.items():
            if not (plan.problem is first.problem and plan.settings == first.settings):
                reference = None
            elif reference is None:
                reference = every.on(laid)
            values[name].append(figures_of(judged[name].on(laid, reference), prices))
    rows = []
    for name, plan in plans.items():
        other: dict[str, float] = {}
        if held_out is not None:
            laid = np.concatenate([plan.problem.laid(held_out, s) for s in range(held_out.samples)], axis=1)
            other = figures_of(judged[name].on(laid), prices)
        for figure in values[name][0]:
            of_samples = np.array([v[figure] for v in values[name]])
            low, high = band(of_samples, 0.8)
            row: dict[str, Any] = {
                "strategy": name, "figure": figure, "unit": _unit(figure, prices), "mean": of_samples.mean(),
                "p10": low, "p90": high,
            }  # fmt: skip
            rows.append(row | ({"held_out": other[figure]} if other else {}))
    return pd.DataFrame(rows)


def _unit(figure: str, prices: Prices) -> str:
    return f"{prices.currency} {FIGURES[figure]}".strip() if figure in MONEY else FIGURES[figure]


def figures_table(ranges: pd.DataFrame) -> pd.DataFrame:
    """`ensemble_figures` for people: a row a figure with its unit, a column a strategy: "mean (P10 to P90)".

    Shares are in per cent. Where there is traffic that no plan was made on, a second column a strategy tells its
    figure there.
    """
    rows = []
    for figure in dict.fromkeys(ranges["figure"]):
        mine = ranges[ranges["figure"] == figure].set_index("strategy")
        share = mine["unit"].iloc[0] == "share"
        row = {"figure": LABELS.get(figure, figure), "unit": "%" if share else mine["unit"].iloc[0]}
        for strategy, values in mine.iterrows():
            mean, low, high = (
                _short(100 * values[c] if share else values[c]) for c in ("mean", "p10", "p90")
            )
            label = strategy_label(str(strategy))
            row[label] = f"{mean} ({low} to {high})"
            if "held_out" in values and pd.notna(values["held_out"]):
                row[f"{label}, held-out"] = _short(100 * values["held_out"] if share else values["held_out"])
        rows.append(row)
    return pd.DataFrame(rows)


def _short(value: float) -> str:
    """A figure with four significant digits and no exponent."""
    return formats.significant(value, 4, 6)


@dataclass(frozen=True)
class Verdict:
    """The strategy to switch on, and the sentence that says so."""

    strategy: str
    sentence: str


def verdict(ranges: pd.DataFrame, enough: float = SERVED_ENOUGH) -> Verdict:
    """Of the strategies by whose sleep at most `enough` of the traffic stays unserved - on held-out traffic if any,
    else at P90 of the ensemble - the one that saves most; always on where there is none.

    ranges: as `ensemble_figures` makes them.
    """
    table = ranges.set_index(["strategy", "figure"])
    judged = "held_out" if "held_out" in ranges else "p90"
    risk = table[judged].xs("unserved_by_sleep", level="figure")
    saving = table["mean"].xs("saving", level="figure")
    good = [s for s in saving.index if risk[s] <= enough and STRATEGIES[s].advised]
    on = "held-out traffic" if judged == "held_out" else "9 of 10 samples"
    if not good or saving[good].max() <= 0:
        return Verdict(
            "always-on",
            f"Keep everything on: every strategy leaves over {enough:.1%} of the traffic unserved for it on {on}.",
        )
    best = max(good, key=lambda s: saving[s])
    of = table.loc[best]
    share, kwh = of.loc["saving"], of.loc["saved_kwh_per_day"]
    return Verdict(
        best,
        f"Recommended: {strategy_label(best)}. It saves {share['mean']:.1%} ({share['p10']:.1%} to {share['p90']:.1%} "
        f"in 8 of 10 samples): {kwh['mean']:,.0f} kWh a day; {risk[best]:.3%} of traffic is unserved for it on {on}.",
    )
