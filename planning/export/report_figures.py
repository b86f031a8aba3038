"""Figures of the report, each from the tables of a scenario; nothing where the scenario has no such table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from plannerbase import formats
from planning.deployment.judging import STEPS
from planning.export.svg import (
    ACCENT,
    GOOD,
    GREY,
    SERIES,
    WARM,
    Axis,
    Band,
    Line,
    Mark,
    Points,
    bars,
    chart,
    heat_map,
)
from planning.scenario import Scenario
from planning.sleep.ranges import LABELS, YEARLY

Tables = Mapping[str, pd.DataFrame]
MAX_BARS, MAX_ROWS = 20, 300
# from all awake to all asleep, as the maps of the app have it
SLEEP_SHADES = ("#f0a020", "#f6d08a", "#e9edf2", "#8fb0dc", "#274b93")


def traffic_week(tables: Tables) -> str:
    """The week of the area: median of the samples and their central 50 % and 90 %."""
    if "traffic_week" not in tables:
        return ""
    week = tables["traffic_week"]
    hour, median = week["hour"].to_numpy(float), week["median_mbps"].to_numpy(float)
    x, y = Axis.hours(len(week)), Axis.of("traffic of the area (Mbit/s)", week["high_90_mbps"], 0.0)
    marks: list[Mark] = [
        Band(hour, week["low_90_mbps"].to_numpy(), week["high_90_mbps"].to_numpy(), "90 % band", ACCENT, 0.16),
        Band(hour, week["low_50_mbps"].to_numpy(), week["high_50_mbps"].to_numpy(), "50 % band", ACCENT, 0.34),
        Line(hour, median, "median"),
    ]  # fmt: skip
    busy = int(median.argmax())
    when = f"day {busy // 24 + 1}, " * (len(week) > 24) + f"{busy % 24:02d}:00"
    caption = (
        f"Traffic of the whole area by hour (Mbit/s): median of the samples with their central 50 % and 90 %. Busy "
        f"hour: {when} with {formats.number(median[busy])} Mbit/s; mean {formats.number(median.mean())}, least "
        f"{formats.number(median.min())} Mbit/s."
    )
    return chart(marks, x, y, caption)


# --- deployment --------------------------------------------------------------------------------------------------


def deployment(tables: Tables) -> str:
    """Strategies side by side (figure 3(c) and table 5 of the paper), and served traffic by number of sites."""
    parts = []
    if "deployment_comparison" in tables:
        table = tables["deployment_comparison"]
        parts += [_match(table), _covered(table)]
    if "deployment_curve" in tables:
        parts.append(_curve(tables["deployment_curve"]))
    return "".join(parts)


def _match(table: pd.DataFrame) -> str:
    kind = "real" if "jsd_real" in table else "traffic"
    against = "real sites" if kind == "real" else "the traffic itself"
    series = {
        "Jensen-Shannon distance (less is better)": table[f"jsd_{kind}"].to_numpy(float),
        "cosine (more is better)": table[f"cosine_{kind}"].to_numpy(float),
    }
    axis = Axis(
        "0 to 1, without unit", 0.0, 1.0, tuple((v, formats.general(v)) for v in (0, 0.25, 0.5, 0.75, 1))
    )
    caption = f"How alike the sites of each strategy and {against} are, tile by tile."
    return bars([str(s) for s in table["strategy"]], series, axis, caption, (WARM, ACCENT))


def _covered(table: pd.DataFrame) -> str:
    values = 100 * table[[f"covered_{step}" for step in STEPS]].to_numpy(float)
    if np.isnan(values).any():
        return ""
    steps = np.array(STEPS, float)
    x = Axis(
        "moves of the users (steps of the gravity model)",
        0.0,
        steps[-1],
        tuple((s, formats.general(s)) for s in steps),
    )
    marks: list[Mark] = [
        Line(steps, of_strategy, str(strategy), SERIES[i % len(SERIES)])
        for i, (strategy, of_strategy) in enumerate(zip(table["strategy"], values, strict=True))
    ]
    best = table["strategy"].iloc[int(values[:, -1].argmax())]
    caption = (
        f"Share of users covered while they move (%), {formats.number(values.min(), 1)} to "
        f"{formats.percent(values.max() / 100, 1)}; after "
        f"{int(steps[-1])} moves most by {best}."
    )
    return chart(marks, x, Axis.of("users covered (%)", values), caption)


def _curve(curve: pd.DataFrame) -> str:
    served, sites = curve["served_mbps"].to_numpy(float), curve["sites"].to_numpy(float)
    last = int(curve["in_plan"].astype(bool).sum())
    begin = max(0, last - 1)
    marks = [Line(sites[:last], served[:last], "sites of the plan")]
    if last < len(curve):
        marks.append(Line(sites[begin:], served[begin:], "the next best ones", GREY, "5 4"))
    caption = (
        f"Served traffic by number of sites, best first: {last} sites serve "
        f"{formats.number(served[begin])} Mbit/s"
    )
    caption += (
        "."
        if last == len(curve)
        else f"; {len(curve) - last} more would serve {formats.number(served[-1])} Mbit/s."
    )
    return chart(marks, Axis.of("sites", sites, 0.0), Axis.of("served (Mbit/s)", served, 0.0), caption)


# --- sleep -------------------------------------------------------------------------------------------------------


def energy(tables: Tables) -> str:
    """Energy by hour of the plan against always on."""
    if "energy_by_hour" not in tables:
        return ""
    table = tables["energy_by_hour"]
    hour = np.arange(len(table), dtype=float)
    always, plan = (table[c].to_numpy(float) for c in ("always_on_kwh", "energy_kwh"))
    marks: list[Mark] = [
        Band(hour, plan, always, "saved", GOOD, 0.22),
        Line(hour, always, "always on", GREY, "5 4"),
        Line(hour, plan, "this plan"),
    ]
    saved = always.sum() - plan.sum()
    caption = (
        f"Energy by hour (kWh): {formats.number(plan.sum())} kWh in {formats.counted(len(table), 'hours')} against "
        f"{formats.number(always.sum())} kWh with "
        f"everything on, {formats.number(saved)} kWh ({formats.percent(saved / max(always.sum(), 1e-9), 1)}) "
        "less; most is saved in the "
        f"hour {int((always - plan).argmax())}."
    )
    return chart(marks, Axis.hours(len(table)), Axis.of("energy of the hour (kWh)", always, 0.0), caption)


def energies(compared: Mapping[str, pd.DataFrame]) -> str:
    """Energy by hour of several plans; compared: label to its table energy_by_hour."""
    if not compared:
        return ""
    hours = max(len(table) for table in compared.values())
    marks: list[Mark] = [
        Line(np.arange(len(t), dtype=float), t["energy_kwh"].to_numpy(float), label, SERIES[i % len(SERIES)])
        for i, (label, t) in enumerate(compared.items())
    ]
    top = max(float(t["energy_kwh"].max()) for t in compared.values())
    caption = "Energy by hour of the plans side by side (kWh): " + "; ".join(
        f"{label} {formats.number(t['energy_kwh'].sum() / len(t) * 24)} kWh a day"
        for label, t in compared.items()
    )
    y = Axis.of("energy of the hour (kWh)", [top], 0.0)
    return chart(marks, Axis.hours(hours), y, f"{caption}.")


def year_savings(scenario: Scenario) -> dict[str, str]:
    """What the sleep plan saves in a year over the ensemble, by label: "12,300 (11,000 to 14,000) kWh a year".

    Empty for a scenario that has no such figures; cost is missing where no price was given.
    """
    plan = scenario.provenance.get("sleep")
    if "sleep_ranges" not in scenario.tables or not isinstance(plan, dict):
        return {}
    ranges = scenario.tables["sleep_ranges"]
    mine = ranges[ranges["strategy"] == plan.get("strategy")].set_index("figure")
    found = {}
    for name in YEARLY:
        if name in mine.index:
            row = mine.loc[name]
            mean, low, high = (formats.number(float(row[column])) for column in ("mean", "p10", "p90"))
            found[LABELS[name]] = f"{mean} ({low} to {high}) {row['unit']}"
    return found


class _Shades:
    """Shares of cells asleep in five colours; white where a site has no cell that may sleep."""

    legend = tuple(
        (name, colour, 1.0)
        for name, colour in zip(
            ("all awake", "a quarter asleep", "half", "three quarters", "all asleep"),
            SLEEP_SHADES,
            strict=True,
        )
    )

    def __call__(self, values: np.ndarray) -> np.ndarray:
        step = np.clip(np.round(4 * np.nan_to_num(values)), 0, 4).astype(int)
        return np.where(np.isnan(values), "#ffffff", np.array(SLEEP_SHADES)[step])


def sleep_shades(share: np.ndarray) -> np.ndarray:
    """Colours of shares of cells asleep; white for NaN."""
    return _Shades()(share)


def asleep(scenario: Scenario) -> tuple[np.ndarray, np.ndarray] | None:
    """(sites, hours) cells asleep, and what share that is of the cells that may sleep, NaN where none may."""
    if "sleep_schedule" not in scenario.tables:
        return None
    table, cells = scenario.tables["sleep_schedule"], scenario.network.cells
    hours = len(table) // max(len(cells), 1)
    awake = table["awake"].to_numpy().astype(bool).reshape(len(cells), hours)
    may_sleep = ~cells["is_coverage"].to_numpy().astype(bool)
    site = scenario.network.site_of_cell
    number = len(scenario.network.sites)
    count = np.zeros((number, hours))
    np.add.at(count, site, ~awake)
    # of whole sites asleep, coverage cells sleep too
    cells_of = np.bincount(site, may_sleep | ~awake.all(axis=1), minlength=number)
    return count, count / np.where(cells_of > 0, cells_of, np.nan)[:, None]


def sleep_schedule(scenario: Scenario) -> str:
    """Sites by hours: the share of the cells that may sleep which are asleep."""
    found = asleep(scenario)
    if found is None:
        return ""
    count, share = found
    order = np.argsort(-np.nan_to_num(share).sum(axis=1), kind="stable")
    shown = order[:MAX_ROWS]
    most = int(count.sum(axis=0).argmax())
    rest = (
        ""
        if len(order) <= MAX_ROWS
        else f" The {MAX_ROWS} sites that sleep most of {formats.number(len(order))}."
    )
    caption = (
        f"Cells of a site that may sleep, by hour; each line is a site, those that sleep most first.{rest} Most cells "
        f"sleep in hour {most}: {formats.number(count[:, most].sum())} of "
        f"{formats.number(len(scenario.network.cells))}."
    )
    hours = Axis.hours(share.shape[1])
    return heat_map(
        share[shown], hours, formats.counted(len(shown), "sites"), "Sleep schedule.", caption, _Shades()
    )


# --- spectrum ----------------------------------------------------------------------------------------------------


def spectrum(tables: Tables) -> str:
    """PRBs in use by station and by hour, and each user's rate against its demand."""
    parts = []
    if "prb_assignment" in tables:
        parts.append(_rates(tables["prb_assignment"]))
    if "prb_stations" in tables:
        parts.append(_stations(tables["prb_stations"]))
    if "prb_hours" in tables:
        parts.append(_hours(tables["prb_hours"]))
    return "".join(parts)


def _rates(table: pd.DataFrame) -> str:
    met = table["met"].to_numpy().astype(bool)
    demand, rate = (table[c].to_numpy(float) for c in ("demand_mbps", "rate_mbps"))
    top = float(demand.max()) if len(demand) else 1.0
    marks: list[Mark] = [
        Line(np.array([0, top]), np.array([0, top]), "rate = demand", GREY, "5 4"),
        Points(demand[met], rate[met], "demand met", GOOD),
        Points(demand[~met], rate[~met], "not met", WARM),
    ]
    caption = (
        f"Rate of each user against its demand (Mbit/s): {int(met.sum())} of {len(met)} demands are met, "
        f"{formats.number(np.minimum(rate, demand).sum(), 1)} of {formats.number(demand.sum(), 1)} Mbit/s served."
    )
    return chart(
        marks, Axis.of("demand of a user (Mbit/s)", demand, 0.0), Axis.of("rate (Mbit/s)", rate, 0.0), caption
    )


def _stations(table: pd.DataFrame) -> str:
    busy = table[table["utilisation"] > 0]
    most = busy.sort_values("utilisation", ascending=False, kind="stable").head(MAX_BARS)
    used = 100 * table["utilisation"].to_numpy(float)
    first = (
        f"The {len(most)} busiest of {formats.number(len(table))} stations. "
        if len(table) > len(most)
        else ""
    )
    caption = (
        f"PRBs in use by station (%). {first}Mean {formats.percent(used.mean() / 100, 1)}, most "
        f"{formats.percent(used.max() / 100, 1)} at "
        f"{table['site'].iloc[int(used.argmax())]}."
    )
    axis = Axis("PRBs in use (%)", 0.0, 100.0, tuple((float(v), f"{v}") for v in range(0, 101, 20)))
    series = {"PRBs in use (%)": 100 * most["utilisation"].to_numpy(float)}
    return bars([str(s) for s in most["site"]], series, axis, caption, (ACCENT,))


def _hours(table: pd.DataFrame) -> str:
    hour = np.arange(len(table), dtype=float)
    mean, busiest = (100 * table[c].to_numpy(float) for c in ("utilisation", "busiest_station"))
    marks = [Line(hour, busiest, "busiest station", GREY, "5 4"), Line(hour, mean, "mean of the stations")]
    caption = (
        f"PRBs in use by hour (%): mean of the stations {formats.percent(mean.mean() / 100, 1)}, at most "
        f"{formats.percent(mean.max() / 100, 1)} in hour "
        f"{int(table['hour'].iloc[int(mean.argmax())])}; {formats.number(int(table['met'].sum()))} of "
        f"{formats.number(int(table['users'].sum()))} "
        "demands met over these hours."
    )
    return chart(marks, Axis.hours(len(table)), Axis.of("PRBs in use (%)", busiest, 0.0), caption)
