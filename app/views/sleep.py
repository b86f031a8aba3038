"""Sleep: which cells sleep when, by several strategies side by side."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from app import charts, plans
from app.clock import hour_control, hour_label
from app.colours import ramp_legend
from app.layout import (
    choice,
    demand_picture,
    header,
    kept,
    need_traffic,
    network_caption,
    note,
    outdated,
    region_of,
)
from app.map_view import Dots, map_view
from app.region import Region
from app.state import Comparison, Workspace, workspace

if TYPE_CHECKING:
    from planning.sleep import SleepPlan

ALL = ("always-on", "night", "threshold", "greedy", "milp", "paper")
SHOWN_FIRST = ("always-on", "night", "threshold", "greedy", "milp")


def page() -> None:
    space = workspace()
    made = space.sleep
    header(
        "Sleep",
        "Which cells sleep in which hour. Strategies are compared with keeping everything on.",
        ("Spectrum", "Next: spectrum") if made else None,
    )
    note(space, plans.SLEEP)
    if not need_traffic(space):
        return
    if made is None or outdated(space, made):
        _controls(space, primary=True)
    if made is None:
        return
    _comparison(made.value)
    _plan(space)
    if space.outdated(made) is None:
        with st.expander("Plan again with other settings", icon=":material/tune:"):
            _controls(space, primary=False)


def _controls(space: Workspace, primary: bool) -> None:
    with st.container(border=primary):
        if primary:
            action, rest = st.columns([1, 3], vertical_alignment="center")
            network_caption(space, rest)
            advanced = st.expander("Advanced", icon=":material/tune:")
        else:
            action = advanced = st.container()
        with advanced:
            settings = _settings()
        if action.button(
            "Compare sleep strategies",
            type="primary" if primary else "secondary",
            icon=":material/bedtime:",
            disabled=plans.SLEEP in space.jobs,
            width="stretch" if primary else "content",
        ):
            _start(space, settings)


def _settings() -> dict:
    """The settings as chosen; the names are those of `SleepSettings`, and of the problem."""
    strategies = st.multiselect(
        "Strategies", ALL, SHOWN_FIRST, format_func=plans.strategy_name, **kept("sleep strategies")
    )
    one, two, three, four = st.columns(4)
    hours = one.selectbox(
        "Plan for",
        [24, 168],
        format_func={24: "a typical day", 168: "the whole week"}.get,
        **kept("sleep hours"),
    )
    quantile = two.slider(
        "Reserve: quantile of demand",
        0.5,
        1.0,
        0.99,
        0.01,
        help="0.99: enough in 99 of 100 samples and days.",
        **kept("sleep quantile"),
    )
    ring_m = three.number_input(
        "Neighbours take over within (m)",
        0,
        20_000,
        2000,
        100,
        help="Traffic of sleeping cells goes to these sites.",
        **kept("sleep ring"),
    )
    held_out = four.toggle(
        "Check on unseen traffic",
        True,
        help="The last sample is left out of planning; every plan is replayed on it.",
        **kept("sleep held out"),
    )
    night = one.slider("Night window", 0, 24, (0, 6), format="%d:00", **kept("sleep night"))
    below, above = two.slider(
        "Threshold: sleep below, wake above (load)", 0.0, 1.0, (0.5, 0.7), 0.05, **kept("sleep threshold")
    )
    min_up = three.number_input("Minimum up time (h)", 1, 24, 2, **kept("sleep min up"))
    switch_wh = four.number_input("Price of a switch (Wh)", 0.0, 10_000.0, 50.0, 10.0, **kept("sleep switch"))
    time_limit = one.number_input("Solver time limit (s)", 1, 3600, 20, **kept("sleep time limit"))
    gap = two.number_input("Solver gap (%)", 0.0, 50.0, 1.0, 0.1, **kept("sleep gap"))
    allow_unserved = three.toggle(
        "Plan even if the network is too small",
        False,
        help="Plans for what can be served and shows the rest.",
        **kept("sleep unserved"),
    )
    return {
        "strategies": strategies,
        "hours": hours,
        "quantile": quantile,
        "ring_m": float(ring_m),
        "held_out": held_out,
        "settings": {
            "night": night,
            "sleep_below": below,
            "wake_above": above,
            "min_up": int(min_up),
            "switch_wh": switch_wh,
            "time_limit": float(time_limit),
            "gap": gap / 100,
            "allow_unserved": allow_unserved,
        },
    }


def _start(space: Workspace, chosen: dict) -> None:
    from planning.sleep import SleepSettings

    if not chosen["strategies"]:
        st.error("No strategy is chosen; choose at least one.", icon=":material/error:")
        return
    held_out = chosen["held_out"] and space.traffic is not None and space.traffic.value.samples > 1
    plans.start_sleep(
        space,
        chosen["strategies"],
        SleepSettings(**chosen["settings"]),
        chosen["hours"],
        chosen["quantile"],
        chosen["ring_m"],
        held_out,
    )
    st.rerun()


def _comparison(comparison: Comparison) -> None:
    table = comparison.table
    days = next(iter(comparison.plans.values())).hours / 24
    shown = {
        "Strategy": table["strategy"].map(plans.strategy_name),
        "Energy (kWh a day)": table["energy_kwh"] / days,
        "Saving": 100 * table["saving"],
        "Unserved": 100 * table["unserved_share"],
        "Overload hours": table["overload_hours"],
        "Switches": table["switches"],
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
        st.caption("Unseen: the same plan on the last sample (one week), which was left out of planning.")


def _solver_words(plan: "SleepPlan") -> str:
    return "rule" if plan.solve is None else plan.solve.sentence


def _plan(space: Workspace) -> None:
    made = space.sleep
    region = region_of(space)
    assert made is not None
    comparison = made.value
    strategy = choice(
        "sleep choice", "Show the plan of", list(comparison.plans), space.sleep_choice, plans.strategy_name
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
        st.plotly_chart(charts.energy(plan.energy_by_hour(), hour), width="stretch", key="sleep energy")
    st.markdown("**Schedule** · load of each cell that may sleep; blue is asleep")
    st.plotly_chart(
        charts.schedule(plan.awake, plan.loads(), plan.network.cells, hour),
        width="stretch",
        key="sleep schedule",
    )
    _year(plan)
    with st.expander("Cells by what their sleep saves", icon=":material/leaderboard:"):
        best = plan.best_cells()
        st.dataframe(best[best["hours_asleep"] > 0].round(2), hide_index=True, width="stretch")
    st.caption("  \n".join((*plan.problem.notes, *plan.notes)))


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
    member = plan.network.site_of_cell
    total = np.bincount(member, minlength=len(sites))
    may_sleep = np.bincount(member, ~plan.network.cells["is_coverage"].to_numpy(bool), minlength=len(sites))
    asleep = np.bincount(member, ~plan.awake[:, hour], minlength=len(sites))
    dots = Dots(
        sites["lon"].to_numpy(),
        sites["lat"].to_numpy(),
        charts.sleep_colours(asleep / np.maximum(may_sleep, 1)),
        [
            f"{name}: {int(a)} of {n} cells asleep"
            for name, a, n in zip(sites["site"], asleep, total, strict=True)
        ],
    )
    picture, top = demand_picture(space, demand, space.hour)
    map_view(
        f"sleep {made.identity}",
        region,
        outline=space.outline_of(demand.metadata),
        pictures=[picture],
        dots=[dots],
        height=400,
    )
    st.html(
        charts.sleep_legend()
        + ramp_legend(f"Median demand of a tile, {hour_label(space.hour)} (Mbit/s)", top)
    )
