"""Spectrum: which PRBs serve which users in one hour."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.background import spectrum
from app.charts import spectrum as spectrum_charts
from app.map.region import Region
from app.map.view import Dots, map_view
from app.messages import plain
from app.server.limits import limits
from app.state.controls import kept
from app.state.results import Comparison
from app.state.workspace import Workspace, workspace
from app.strategies import strategy_name
from app.widgets import charted
from app.widgets.clock import hour_control, hour_label
from app.widgets.layout import (
    area_profile,
    choice,
    header,
    need_traffic,
    network_caption,
    note,
    outdated,
    region_of,
)
from app.widgets.scale import scale_caption

if TYPE_CHECKING:
    from planning.prb import PrbPlan

FAIRNESS = {"rate": "Mbit/s", "proportional": "logarithm (proportional fair)"}
MODES = {"default": "several PRBs a user", "paper": "one PRB a user (paper)"}


def page() -> None:
    space = workspace()
    made = space.spectrum
    header(
        "Spectrum",
        "Which resource blocks (PRBs) serve which users in one hour, compared with three rules.",
        ("Export", "Next: export") if made else None,
    )
    note(space, spectrum.JOB)
    if not need_traffic(space):
        return
    if made is None or outdated(space, made):
        _controls(space, primary=True)
    if made is None:
        return
    _comparison(made.value)
    _plan(space)
    _by_hour(space)
    if space.outdated(made) is None:
        with st.expander("Another hour or other settings", icon=":material/tune:"):
            _controls(space, primary=False)


def _controls(space: Workspace, primary: bool) -> None:
    advanced: DeltaGenerator
    with st.container(border=primary):
        hour = hour_control(space, area_profile(space))
        if primary:
            action, rest = st.columns([1, 3], vertical_alignment="center")
            network_caption(space, rest)
            advanced = st.expander("Advanced", icon=":material/tune:")
        else:
            action = advanced = st.container()
        with advanced:
            users, radio, settings = _advanced()
        if action.button(
            f"Allocate PRBs at {hour_label(hour)}",
            type="primary" if primary else "secondary",
            icon=":material/graphic_eq:",
            disabled=spectrum.JOB in space.jobs,
            width="stretch" if primary else "content",
        ):
            spectrum.start(space, hour, users, radio, settings, int(settings["seed"]))
            st.rerun()


def _advanced() -> tuple[int, dict[str, Any], dict[str, Any]]:
    """(users drawn, arguments of Radio, arguments of PrbSettings) as set."""
    st.markdown("**Users and objective**")
    one, two, three, four = st.columns(4)
    users = one.number_input(
        "Users drawn", 1, 500, 60, help="Active users drawn from the demand of the hour.", **kept("prb users")
    )
    settings: dict[str, Any] = {
        "mode": two.selectbox("Allocation", list(MODES), format_func=MODES.__getitem__, **kept("prb mode")),
        "tau_mbps": three.number_input(
            "Price of a PRB, τ (Mbit/s)", 0.0, 10.0, 0.05, 0.01, **kept("prb tau")
        ),
        "fairness": four.selectbox(
            "What counts", list(FAIRNESS), format_func=FAIRNESS.__getitem__, **kept("prb fairness")
        ),
    }
    settings["cap"] = (
        one.number_input(
            "Rate counts up to (× demand)", 0.0, 100.0, 1.0, 0.5, help="0: all of it.", **kept("prb cap")
        )
        or None
    )
    settings["min_mbps"] = (
        two.number_input(
            "Minimum rate (Mbit/s)", 0.0, 1000.0, 0.0, 0.1, help="0: the whole demand.", **kept("prb minimum")
        )
        or None
    )
    settings["time_limit"] = float(
        three.number_input(
            "Solver time limit (s)",
            1,
            limits().solver_seconds,
            min(15, limits().solver_seconds),
            **kept("prb time limit"),
        )
    )
    settings["seed"] = int(four.number_input("Seed", 0, 2**31 - 1, 0, **kept("prb seed")))
    st.markdown("**Radio** · TR 38.901")
    one, two, three, four = st.columns(4)
    radio: dict[str, Any] = {
        "link": one.selectbox("Link", ["uplink", "downlink"], **kept("prb link")),
        "carrier_ghz": two.number_input("Carrier (GHz)", 0.5, 100.0, 2.6, 0.1, **kept("prb carrier")),
        "bandwidth_mhz": three.selectbox(
            "Bandwidth (MHz)", [5, 10, 15, 20, 40, 50, 80, 100], 7, **kept("prb bandwidth")
        ),
        "environment": four.selectbox("Environment", ["UMa", "UMi"], **kept("prb environment")),
        "condition": one.selectbox("Propagation", ["NLOS", "LOS", "drawn"], **kept("prb condition")),
        "user_dbm": two.number_input("User power (dBm)", -40.0, 40.0, 23.0, 1.0, **kept("prb user power")),
        "station_dbm": three.number_input(
            "Station power (dBm)", 0.0, 80.0, 53.0, 1.0, **kept("prb station power")
        ),
        "station_gain_dbi": four.number_input("Antenna gain (dBi)", 0.0, 40.0, 12.0, 1.0, **kept("prb gain")),
        "shadowing": one.toggle("Shadowing", False, help="Lognormal, seeded.", **kept("prb shadowing")),
    }
    return int(users), radio, settings


def _comparison(comparison: Comparison) -> None:
    table = comparison.table
    frame = pd.DataFrame(
        {
            "Plan": table["strategy"].map(strategy_name),
            "Demands met": [
                f"{met} of {users}" for met, users in zip(table["met"], table["users"], strict=True)
            ],
            "Served (Mbit/s)": table["served_mbps"].round(1),
            "Missing (Mbit/s)": table["missing_mbps"].round(1),
            "Objective (Mbit/s)": table["objective_mbps"].round(1),
            "PRBs used": table["used_prbs"],
            "How": [plan.how for plan in comparison.plans.values()],
        }
    )
    st.dataframe(frame, hide_index=True, width="stretch")


def _plan(space: Workspace) -> None:
    made, region = space.spectrum, region_of(space)
    assert made is not None
    name = choice("spectrum choice", "Show", list(made.value.plans), space.spectrum_choice, strategy_name)
    space.spectrum_choice = name
    plan = made.value.plans[name]
    table = plan.assignment()
    one, two, three, four = st.columns(4)
    one.metric("Hour", hour_label(space.spectrum_hour))
    two.metric("Demands met", f"{int(plan.met.sum())} of {len(plan.met)}")
    three.metric("PRBs used", f"{plan.used_prbs:,}")
    served = plan.sinr_db[np.isfinite(plan.sinr_db)]
    four.metric("Median SINR", f"{np.median(served):.1f} dB" if len(served) else "–")
    if plan.bound_mbps is not None:
        st.caption(
            f"Objective {plan.objective_mbps:,.2f} Mbit/s; no plan exceeds {plan.bound_mbps:,.2f}, nor meets more than "
            f"{plan.met_bound} demands."
        )
    left, right = st.columns(2, gap="medium")
    with left:
        if region is not None:
            _map(space, region, plan, table)
    with right:
        st.markdown("**Rate against demand**")
        charted.chart(spectrum_charts.rate_demand(table), "Rate of each user against its demand", "prb rate")
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**PRBs by station** · colour: user")
        figure = spectrum_charts.prb_map(plan.prb_map(), list(plan.problem.site_names))
        charted.chart(figure, "PRBs of each station by user", "prb map", told=False)
    with right:
        st.markdown("**SINR of the users**")
        charted.chart(spectrum_charts.sinr(served), "SINR of the users", "prb sinr")
    for text in plan.unmet[:5]:
        st.caption(f":material/warning: {plain(text)}")
    if len(plan.unmet) > 5:
        st.caption(f"and {len(plan.unmet) - 5} more users whose demand is not met.")
    st.caption("  \n".join(map(plain, (plan.sentence, *plan.notes))))
    scale_caption(space)
    with st.expander("Assignment", icon=":material/table:"):
        st.dataframe(table.round(3), hide_index=True, width="stretch")


def _by_hour(space: Workspace) -> None:
    """Utilisation over the day of the plan, planned on demand."""
    made, hours = space.spectrum, space.spectrum_hours
    assert made is not None
    st.markdown("**Utilisation by hour**")
    if hours is None or hours.basis != made.basis | {"spectrum": made.identity}:
        if st.button(
            "Plan the 24 hours of this day",
            icon=":material/schedule:",
            disabled=spectrum.JOB in space.jobs or space.outdated(made) is not None,
        ):
            spectrum.start_hours(space)
            st.rerun()
        return
    table = hours.value.table()
    st.caption(hours.value.sentence)
    left, right = st.columns(2, gap="medium")
    charted.chart(spectrum_charts.prb_use(table, space.spectrum_hour), "PRBs in use by hour", "prb use", left)
    charted.chart(
        spectrum_charts.prb_served(table, space.spectrum_hour), "Demand served by hour", "prb served", right
    )
    with st.expander("Hours", icon=":material/table:"):
        st.dataframe(table.round(3), hide_index=True, width="stretch")


def _map(space: Workspace, region: Region, plan: "PrbPlan", table: pd.DataFrame) -> None:
    made = space.spectrum
    assert made is not None and made.value.network is not None
    deployed = made.value.network
    sites = deployed.plan.network.sites
    used = plan.utilisation
    stations = Dots(
        sites["lon"].to_numpy(),
        sites["lat"].to_numpy(),
        ["#22303a"] * len(sites),
        [f"{name}: {share:.0%} of PRBs used" for name, share in zip(sites["site"], used, strict=True)],
    )
    asked = zip(table["user"], table["rate_mbps"], table["demand_mbps"], strict=True)
    users = Dots(
        table["lon"].to_numpy(),
        table["lat"].to_numpy(),
        [spectrum_charts.MET if met else spectrum_charts.UNMET for met in table["met"]],
        [f"user {user}: {rate:.1f} of {demand:.1f} Mbit/s" for user, rate, demand in asked],
        4,
    )
    charted.site_map("PRBs in use by base station", hour_label(space.spectrum_hour), stations)
    charted.site_map("Users and their rates", hour_label(space.spectrum_hour), users)
    map_view(
        f"spectrum {made.identity}",
        region,
        outline=space.outline_of(deployed.demand.metadata),
        dots=[stations, users],
        height=360,
    )
    st.html(spectrum_charts.users_legend())
