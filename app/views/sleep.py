"""Sleep: which cells sleep when, by several strategies side by side."""

from typing import TYPE_CHECKING

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
from app.widgets.layout import (
    choice,
    demand_picture,
    header,
    region_of,
)
from app.widgets.plan_page import map_of_places, places_of_controls, plan_page, start_button
from app.widgets.sleep_settings import sleep_settings

if TYPE_CHECKING:
    from planning.sleep import SleepPlan


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
        with advanced:
            asked = sleep_settings(space)
        busy = sleep.JOB in space.jobs
        if start_button(button, "Compare sleep strategies", ":material/bedtime:", primary, busy, primary):
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
    _comparison(space.sleep.value)
    _plan(space)


def _comparison(comparison: Comparison) -> None:
    table = comparison.table
    days = next(iter(comparison.plans.values())).hours / 24
    shown = {
        "Strategy": table["strategy"].map(strategy_name),
        "Energy (kWh a day)": table["energy_kwh"] / days,
        "Saving": 100 * table["saving"],
        "Unserved": 100 * table["unserved_share"],
        "Overload hours": table["overload_hours"],
        "Switches": table["switches"],
        "Worst": [_worst(row) for row in table.to_dict("records")],
    }
    percent = st.column_config.NumberColumn(format="%.1f %%")
    columns = {
        "Energy (kWh a day)": st.column_config.NumberColumn(format="localized"),
        "Saving": percent,
        "Unserved": percent,
    }
    if "replay_saving" in table:
        shown |= {
            "Saving, unseen": 100 * table["replay_saving"],
            "Unserved, unseen": 100 * table["replay_unserved_share"],
            "Overload hours, unseen": table["replay_overload_hours"],
        }
        columns |= {"Saving, unseen": percent, "Unserved, unseen": percent}
    shown["Solver"] = [_solver_words(comparison.plans[name]) for name in table["strategy"]]
    frame = pd.DataFrame(shown)
    frame["Energy (kWh a day)"] = frame["Energy (kWh a day)"].round(1)
    st.dataframe(frame, hide_index=True, column_config=columns, width="stretch")
    if "replay_saving" in table:
        st.caption(f"Unseen: the same plan on {plain(comparison.judged_on)}, which no plan was made on.")
    if comparison.risk is not None:
        with st.expander("Saving against risk", icon=":material/ssid_chart:"):
            accessible.chart(
                sleep_charts.risk(comparison.risk), "Saving against risk by reserve", "sleep risk"
            )
            st.caption(
                "A plan by the greedy rule for each reserve, from the median to the maximum of the ensemble, on "
                f"{plain(comparison.judged_on)}. A higher reserve leaves less traffic unserved and saves less."
            )


def _worst(row: dict) -> str:
    """Where and when the plan leaves most traffic unserved."""
    if not row["worst_missing_mbps"] > 0:
        return "–"
    return (
        f"{row['worst_site']}, hour {int(row['worst_hour'])}: {row['worst_missing_mbps']:,.0f} Mbit/s short"
    )


def _solver_words(plan: "SleepPlan") -> str:
    return "rule" if plan.solve is None else plan.solve.sentence


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
            f"{result.worst_site}, hour {result.worst_hour}. Deploy more sites or lower the reserve."
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
    four.metric("Moved to neighbours", f"{by_hour.offloaded_mbps / max(by_hour.demand_mbps, 1e-9):.1%}")
    left, right = st.columns(2, gap="medium")
    with left:
        if region is not None:
            _map(space, region, plan, hour)
    with right:
        st.markdown("**Energy by hour**")
        accessible.chart(sleep_charts.energy(plan.energy_by_hour(), hour), "Energy by hour", "sleep energy")
    st.markdown("**Schedule** · load of each cell that may sleep; blue is asleep")
    figure = sleep_charts.schedule(plan.awake, plan.loads(), plan.network.cells, hour)
    accessible.chart(figure, "Load of each cell by hour, none where it sleeps", "sleep schedule")
    _year(plan)
    with st.expander("Cells by what their sleep saves", icon=":material/leaderboard:"):
        best = plan.best_cells()
        st.dataframe(best[best["hours_asleep"] > 0].round(2), hide_index=True, width="stretch")
    st.caption("  \n".join(map(plain, (*plan.problem.notes, *plan.notes))))


def _year(plan: "SleepPlan") -> None:
    """What a year of such days comes to; the prices need no new plan, so they stand beside the result."""
    from planning.energy import CO2_KG_PER_KWH, HOURS_A_YEAR, Prices

    with st.expander("Energy, cost and CO₂ of a year", icon=":material/payments:"):
        one, two, *shown = st.columns(5, vertical_alignment="bottom")
        tariff = one.number_input(
            "Tariff (money a kWh)",
            0.0,
            1000.0,
            None,
            0.05,
            placeholder="not given",
            help="In your currency. Without it no cost is shown, as no default would be right.",
            **kept("tariff"),
        )
        kg_per_kwh = two.number_input(
            "CO₂ (kg a kWh)",
            0.0,
            5.0,
            CO2_KG_PER_KWH,
            0.01,
            format="%.4f",
            help="Of your grid. The default is China's grid mean of 2023.",
            **kept("co2"),
        )
        prices = Prices(tariff, kg_per_kwh)
        saved = plan.evaluation.always_on_kwh - plan.evaluation.energy_kwh
        year = prices.of(saved / plan.hours * HOURS_A_YEAR)
        shown[0].metric("Energy saved (MWh a year)", f"{year['kwh'] / 1000:,.0f}")
        shown[1].metric("CO₂ saved (t a year)", f"{year['co2_kg'] / 1000:,.0f}")
        shown[2].metric("Money saved (a year)", f"{year['cost']:,.0f}" if "cost" in year else "–")
        st.caption(prices.sentence(saved, plan.hours))


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
