"""Spectrum: which PRBs serve which users in one hour."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from app import charts, plans
from app.clock import hour_control, hour_label
from app.layout import (
    area_profile,
    choice,
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
from app.scale import scale_caption
from app.state import Comparison, Workspace, workspace

if TYPE_CHECKING:
    from planning.prb import PrbPlan

MODES = {"default": "several PRBs a user", "paper": "one PRB a user (paper)"}


def page() -> None:
    space = workspace()
    made = space.spectrum
    header(
        "Spectrum",
        "Which resource blocks (PRBs) serve which users in one hour, compared with round robin.",
        ("Export", "Next: export") if made else None,
    )
    note(space, plans.SPECTRUM)
    if not need_traffic(space):
        return
    if made is None or outdated(space, made):
        _controls(space, primary=True)
    if made is None:
        return
    _comparison(made.value)
    _plan(space)
    if space.outdated(made) is None:
        with st.expander("Another hour or other settings", icon=":material/tune:"):
            _controls(space, primary=False)


def _controls(space: Workspace, primary: bool) -> None:
    with st.container(border=primary):
        hour = hour_control(space, area_profile(space))
        if primary:
            action, rest = st.columns([1, 3], vertical_alignment="center")
            network_caption(space, rest)
            advanced = st.expander("Advanced", icon=":material/tune:")
        else:
            action = advanced = st.container()
        with advanced:
            one, two, three, four = st.columns(4)
            users = one.number_input(
                "Users drawn",
                1,
                500,
                60,
                help="Active users drawn from the demand of the hour.",
                **kept("prb users"),
            )
            link = two.selectbox("Link", ["uplink", "downlink"], **kept("prb link"))
            mode = three.selectbox("Allocation", list(MODES), format_func=MODES.get, **kept("prb mode"))
            carrier = four.number_input("Carrier (GHz)", 0.5, 100.0, 2.6, 0.1, **kept("prb carrier"))
            bandwidth = one.selectbox(
                "Bandwidth (MHz)", [5, 10, 15, 20, 40, 50, 80, 100], 7, **kept("prb bandwidth")
            )
            tau = two.number_input("Price of a PRB, τ (Mbit/s)", 0.0, 10.0, 0.05, 0.01, **kept("prb tau"))
            time_limit = three.number_input("Solver time limit (s)", 1, 3600, 30, **kept("prb time limit"))
            seed = four.number_input("Seed", 0, 2**31 - 1, 0, **kept("prb seed"))
        if action.button(
            f"Allocate PRBs at {hour_label(hour)}",
            type="primary" if primary else "secondary",
            icon=":material/graphic_eq:",
            disabled=plans.SPECTRUM in space.jobs,
            width="stretch" if primary else "content",
        ):
            radio = {"carrier_ghz": carrier, "bandwidth_mhz": bandwidth, "link": link}
            settings = {"mode": mode, "tau_mbps": tau, "time_limit": float(time_limit)}
            plans.start_spectrum(space, hour, int(users), radio, settings, int(seed))
            st.rerun()


def _comparison(comparison: Comparison) -> None:
    table = comparison.table
    frame = pd.DataFrame(
        {
            "Plan": table["strategy"].map(plans.strategy_name),
            "Demands met": [
                f"{met} of {users}" for met, users in zip(table["met"], table["users"], strict=True)
            ],
            "Rate (Mbit/s)": table["rate_mbps"].round(1),
            "Objective (Mbit/s)": table["objective_mbps"].round(1),
            "PRBs used": table["used_prbs"],
            "Solver": [plan.solve.sentence if plan.solve else "rule" for plan in comparison.plans.values()],
        }
    )
    st.dataframe(frame, hide_index=True, width="stretch")


def _plan(space: Workspace) -> None:
    made, region = space.spectrum, region_of(space)
    assert made is not None
    name = choice(
        "spectrum choice", "Show", list(made.value.plans), space.spectrum_choice, plans.strategy_name
    )
    space.spectrum_choice = name
    plan = made.value.plans[name]
    table = plan.assignment()
    one, two, three, four = st.columns(4)
    one.metric("Hour", hour_label(space.spectrum_hour))
    two.metric("Demands met", f"{int(plan.met.sum())} of {len(plan.met)}")
    three.metric("PRBs used", f"{plan.used_prbs:,}")
    served = plan.sinr_db[np.isfinite(plan.sinr_db)]
    four.metric("Median SINR", f"{np.median(served):.1f} dB" if len(served) else "–")
    left, right = st.columns(2, gap="medium")
    with left:
        if region is not None:
            _map(space, region, plan, table)
    with right:
        st.markdown("**Rate against demand**")
        st.plotly_chart(charts.rate_demand(table), width="stretch", key="prb rate")
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**PRBs by station** · colour: user")
        st.plotly_chart(
            charts.prb_map(plan.prb_map(), list(plan.problem.site_names)), width="stretch", key="prb map"
        )
    with right:
        st.markdown("**SINR of the users**")
        st.plotly_chart(charts.sinr(served), width="stretch", key="prb sinr")
    for text in plan.unmet[:5]:
        st.caption(f":material/warning: {text}")
    if len(plan.unmet) > 5:
        st.caption(f"and {len(plan.unmet) - 5} more users whose demand is not met.")
    st.caption("  \n".join((plan.sentence, *plan.notes)))
    scale_caption(space)
    with st.expander("Assignment", icon=":material/table:"):
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
        [charts.MET if met else charts.UNMET for met in table["met"]],
        [f"user {user}: {rate:.1f} of {demand:.1f} Mbit/s" for user, rate, demand in asked],
        4,
    )
    map_view(
        f"spectrum {made.identity}",
        region,
        outline=space.outline_of(deployed.demand.metadata),
        dots=[stations, users],
        height=360,
    )
    st.html(charts.users_legend())
