"""Sleep: which cells sleep when, by several strategies side by side."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from app.background import sleep
from app.charts import sleep as sleep_charts
from app.colours import ramp_legend
from app.map.dots import Dots
from app.map.region import Region
from app.messages import errors_shown, plain
from app.state.controls import kept
from app.state.results import Comparison
from app.state.workspace import Workspace, workspace
from app.strategies import strategy_name
from app.widgets import accessible
from app.widgets.clock import hour_control, hour_label
from app.widgets.file_button import table_button
from app.widgets.layout import (
    choice,
    demand_picture,
    header,
    region_of,
)
from app.widgets.plan_page import map_of_places, places_of_controls, plan_page, start_button
from app.widgets.sleep_settings import sleep_settings

if TYPE_CHECKING:
    from planning.prices import Prices
    from planning.sleep import SleepPlan


EVERY_SITE = "All sites"
WINDOWS = {
    "cell": "Cell", "site": "Site", "sector": "Sector", "technology": "Technology", "band": "Band", "state": "State",
    "day": "Day", "from": "From", "to": "To", "hours": "Hours", "wake_at": "Wake at",
}  # fmt: skip
BEST = {
    "cell": "Cell", "site": "Site", "hours_asleep": "Hours asleep", "hours_muted": "Hours muted",
    "saved_kwh": "Saved (kWh in the plan's hours)",
}  # fmt: skip


def page() -> None:
    """Controls, strategies side by side, and one plan hour by hour."""
    space = workspace()
    made = space.sleep
    header(
        "Sleep",
        "Which cells sleep in which hour. Strategies are compared with keeping everything on.",
        ("Spectrum", "Next: spectrum") if made else None,
    )
    plan_page(
        space,
        made,
        sleep.JOB,
        "Plan again with other settings",
        lambda primary: _controls(space, primary),
        lambda: _result(space),
    )


def _controls(space: Workspace, primary: bool) -> None:
    with st.container(border=primary):
        button, advanced = places_of_controls(space, primary)
        asked = None
        with advanced, errors_shown("reading the settings"):
            asked = sleep_settings(space)
        busy = sleep.JOB in space.jobs or asked is None
        if start_button(button, "Compare sleep strategies", ":material/bedtime:", primary, busy, primary):
            assert asked is not None
            _start(space, asked)


def _start(space: Workspace, asked: sleep.SleepRequest) -> None:
    if not asked.strategies:
        st.error("No strategy is chosen; choose at least one.", icon=":material/error:")
        return
    with errors_shown("starting"):  # the uploaded traffic or a figure may make no sense
        sleep.start(space, asked)
        st.rerun()


def _result(space: Workspace) -> None:
    assert space.sleep is not None
    _verdict(space.sleep.value)
    _comparison(space.sleep.value)
    _plan(space)


def _verdict(comparison: Comparison) -> None:
    """The recommended strategy in one line."""
    from planning.sleep.ranges import verdict

    if comparison.ranges is not None:
        found = verdict(comparison.ranges, {name: strategy_name(name) for name in comparison.plans})
        st.success(plain(found.sentence), icon=":material/recommend:")


def _range_of(comparison: Comparison, strategy: str, figure: str) -> tuple[float, float, float] | None:
    """(mean, P10, P90) of a figure over the ensemble, where it is known."""
    ranges = comparison.ranges
    if ranges is None:
        return None
    row = ranges[(ranges["strategy"] == strategy) & (ranges["figure"] == figure)]
    if row.empty:
        return None
    mean, low, high = row[["mean", "p10", "p90"]].iloc[0]
    return float(mean), float(low), float(high)


def _comparison(comparison: Comparison) -> None:
    table = comparison.table
    days = next(iter(comparison.plans.values())).hours / 24
    percent, share = (st.column_config.NumberColumn(format=f) for f in ("%.1f %%", "%.3f %%"))
    shown: dict[str, Any] = {
        "Strategy": table["strategy"].map(strategy_name),
        "Energy (kWh a day)": (table["energy_kwh"] / days).round(1),
        "Saving": 100 * table["saving"],
    }
    columns = {"Energy (kWh a day)": st.column_config.NumberColumn(format="localized"), "Saving": percent}
    found = [_range_of(comparison, name, "saving") for name in table["strategy"]]
    if any(found):
        shown["Saving, mean (P10–P90)"] = [
            "–" if r is None else f"{r[0]:.1%} ({r[1]:.1%} – {r[2]:.1%})" for r in found
        ]
    if "replay_saving" in table:
        shown |= {
            "Saving, held-out": 100 * table["replay_saving"],
            "Unserved, held-out": 100 * table["replay_unserved_share"],
            "Overload hours, held-out": table["replay_overload_hours"],
        }
        columns |= {"Saving, held-out": percent, "Unserved, held-out": share}
    shown |= {
        "Unserved": 100 * table["unserved_share"],
        "Highest load": 100 * table["max_load"],
        "Ground uncovered": 100 * table["worst_hole_share"],
        "Wake-ups": table["switches"],
        "kWh a GB": table["kwh_per_gb"].round(3),
        "Worst": [_worst(row) for row in table.to_dict("records")],
        "How it was found": [comparison.plans[name].how for name in table["strategy"]],
    }
    columns |= {"Unserved": share, "Highest load": percent, "Ground uncovered": share}
    st.dataframe(pd.DataFrame(shown), hide_index=True, column_config=columns, width="stretch")
    if "replay_saving" in table:
        st.caption(f"Held-out: the same plan on {plain(comparison.judged_on)}, which no plan was made on.")
    if comparison.risk is not None:
        with st.expander("Saving against risk", icon=":material/ssid_chart:"):
            accessible.chart(
                sleep_charts.risk(comparison.risk), "Saving against risk by planned percentile", "sleep risk"
            )
            st.caption(
                "A plan by the greedy rule for each percentile of demand, from the median to the maximum, on "
                f"{plain(comparison.judged_on)}. A higher percentile leaves less traffic unserved and saves less."
            )


def _worst(row: dict[str, Any]) -> str:
    """Where and when the plan leaves most traffic unserved."""
    if not row["worst_missing_mbps"] > 0:
        return "–"
    return f"{row['worst_sector']}, {hour_label(int(row['worst_hour']))}: {row['worst_missing_mbps']:,.0f} Mbit/s short"


def _plan(space: Workspace) -> None:
    made = space.sleep
    region = region_of(space)
    assert made is not None
    comparison = made.value
    strategy = choice(
        "sleep choice", "Show the plan of", list(comparison.plans), space.sleep_choice, strategy_name
    )
    space.sleep_choice = strategy
    plan = comparison.plans[strategy]
    result = plan.evaluation
    if plan.relaxed:
        st.warning(
            f"The network cannot carry all traffic: {result.unserved_share:.1%} stays unserved, worst at "
            f"sector {result.worst_sector}, {hour_label(result.worst_hour or 0)}. Deploy more sites or plan for a "
            "lower percentile of demand."
        )
    hour = hour_control(space, result.demand, plan.hours)
    by_hour = plan.energy_by_hour().iloc[hour]
    one, two, three, four = st.columns(4)
    one.metric("Saved", f"{result.saving:.1%}", help="Of the energy with everything always on.")
    two.metric("Asleep this hour", f"{int(by_hour.asleep_cells)} of {len(plan.network.cells)} cells")
    three.metric(
        "Power this hour",
        f"{by_hour.energy_kwh:,.1f} kW",
        f"{by_hour.energy_kwh - by_hour.always_on_kwh:,.1f} kW",
        delta_color="inverse",
    )
    four.metric("Carried by other sectors", f"{by_hour.offloaded_mbps / max(by_hour.demand_mbps, 1e-9):.1%}")
    left, right = st.columns(2, gap="medium")
    with left:
        if region is not None:
            _map(space, region, plan, hour)
    with right:
        st.markdown("**Energy by hour**")
        accessible.chart(sleep_charts.energy(plan.energy_by_hour(), hour), "Energy by hour", "sleep energy")
    _schedule(plan, hour)
    _year(plan, comparison)
    with st.expander("Cells by what their sleep saves", icon=":material/leaderboard:"):
        best = plan.best_cells()
        best = best[best["saved_kwh"] > 0].rename(columns=BEST)
        st.dataframe(best.round(2), hide_index=True, width="stretch")
    st.caption("  \n".join(map(plain, (*plan.problem.notes, *plan.notes))))


def _schedule(plan: "SleepPlan", hour: int) -> None:
    """Every cell that sleeps by hours, of all sites or of one, and its windows as a file."""
    from planning.sleep.windows import schedule_json, windows

    sleeps = ~(plan.awake & ~plan.muted).all(axis=1)
    cells = plan.network.cells
    st.markdown("**Schedule** · load of each cell that sleeps; blue is asleep")
    sites = sorted(set(cells["site"].to_numpy()[sleeps].astype(str)))
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    chosen = left.selectbox(
        "Site", [EVERY_SITE, *sites], key="sleep site", help="All cells of a site with their 24 hours."
    )
    kept_rows = sleeps if chosen == EVERY_SITE else (cells["site"].astype(str) == chosen).to_numpy()
    if not kept_rows.any():
        st.caption("No cell sleeps in this plan.")
        return
    capacity = plan.capacities().max(axis=1)
    figure = sleep_charts.schedule(
        plan.awake[kept_rows],
        plan.loads()[kept_rows],
        cells["cell"].to_numpy()[kept_rows],
        capacity[kept_rows],
        hour,
    )
    accessible.chart(figure, "Load of each cell by hour, none where it sleeps", "sleep schedule")
    found = windows(plan)
    with right.container(horizontal=True):
        table_button("On/off windows (CSV)", found, "sleep-windows.csv")
        st.download_button(
            "Schedule (JSON, TS 28.310)", lambda: schedule_json(plan), "sleep-schedule.json", "application/json",
            on_click="ignore",
        )  # fmt: skip
    with st.expander("On/off windows of cells", icon=":material/schedule:"):
        shown = found if chosen == EVERY_SITE else found[found["site"].astype(str) == chosen]
        st.dataframe(shown.rename(columns=WINDOWS), hide_index=True, width="stretch")


def _year(plan: "SleepPlan", comparison: Comparison) -> None:
    """What a year comes to, by the mean over the ensemble; prices need no new plan, so they stand beside the result."""
    from planning.prices import CO2_KG_PER_KWH, Prices

    with st.expander("Energy, cost and CO₂ of a year", icon=":material/payments:"):
        one, two, three, *shown = st.columns(6, vertical_alignment="bottom")
        currency = one.text_input("Currency", "EUR", max_chars=5, **kept("currency"))
        tariff = two.number_input(
            "Electricity price (per kWh)",
            0.0,
            1000.0,
            None,
            0.05,
            placeholder="not given",
            help="Without it no cost is shown, as no default would be right.",
            **kept("tariff"),
        )
        kg_per_kwh = three.number_input(
            "CO₂ (kg per kWh)",
            0.0,
            5.0,
            CO2_KG_PER_KWH,
            0.01,
            format="%.4f",
            help="Of your grid. The default is China's grid mean of 2023.",
            **kept("co2"),
        )
        listed = st.text_input(
            "Electricity prices by hour of the day (24 numbers, optional)", "", help="In place of the one price.",
            **kept("tariff by hour"),
        )  # fmt: skip
        with errors_shown("reading the prices"):
            prices = Prices(_numbers(listed) or tariff, kg_per_kwh, currency.strip())
            _of_a_year(plan, comparison, prices, shown)


def _numbers(text: str) -> tuple[float, ...]:
    """Numbers between spaces or semicolons. Raises InputError."""
    from planning.errors import InputError

    try:
        return tuple(float(part.replace(",", ".")) for part in text.replace(";", " ").split())
    except ValueError:
        raise InputError("The prices by hour must be 24 numbers with spaces between them.") from None


def _of_a_year(plan: "SleepPlan", comparison: Comparison, prices: "Prices", shown: list[Any]) -> None:
    from planning.prices import CO2_KG_PER_KWH, HOURS_A_YEAR

    saved = plan.evaluation.always_on - plan.evaluation.energy
    found = _range_of(comparison, plan.strategy, "saved_kwh_per_year")
    basis = "Mean and P10 to P90 over the ensemble"
    if found is None:
        year = float(saved.sum()) / plan.hours * HOURS_A_YEAR
        found = year, year, year
        basis = "On the demand that was planned for, which is higher than the mean"
    cost, total = prices.cost(saved), float(saved.sum())
    price = (
        None if cost is None or not total else cost / total
    )  # of a saved kWh, by the hours in which it is saved
    money = f"Cost saved ({prices.currency} a year)" if prices.currency else "Cost saved (a year)"
    rows = (
        ("Energy saved (MWh a year)", 1 / 1000),
        ("CO₂ saved (t a year)", prices.kg_per_kwh / 1000),
        (money, price),
    )
    for where, (label, factor) in zip(shown, rows, strict=True):
        if factor is None:
            where.metric(plain(label), "–")
            continue
        mean, low, high = (value * factor for value in found)
        where.metric(plain(label), f"{mean:,.0f}")
        if low != high:
            where.caption(f"{low:,.0f} to {high:,.0f}")
    source = "assumed: China's grid mean of 2023" if prices.kg_per_kwh == CO2_KG_PER_KWH else "given"
    st.caption(plain(f"{basis}. CO₂ at {prices.kg_per_kwh:g} kg per kWh ({source})."))


def _map(space: Workspace, region: Region, plan: "SleepPlan", hour: int) -> None:
    made = space.sleep
    assert made is not None and made.value.network is not None
    demand = made.value.network.demand
    sites = plan.network.sites
    cells = np.bincount(plan.network.site_of_cell, minlength=len(sites))
    asleep, share = sleep_charts.asleep_by_site(plan, hour)
    says = zip(sites["site"], asleep, cells, strict=True)
    dots = Dots(
        sites["lon"].to_numpy(),
        sites["lat"].to_numpy(),
        sleep_charts.sleep_colours(share),
        [f"{name}: {int(some)} of {every} cells asleep" for name, some, every in says],
    )
    picture, top = demand_picture(space, demand, space.hour)
    map_of_places(
        space,
        f"sleep {made.identity}",
        region,
        demand,
        {"Cells asleep by site": dots},
        hour_label(space.hour),
        [picture],
    )
    st.html(
        sleep_charts.sleep_legend()
        + ramp_legend(f"Median demand of a tile, {hour_label(space.hour)} (Mbit/s)", top)
    )
