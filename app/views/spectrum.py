"""Spectrum: which PRBs serve which users in one hour."""

import numpy as np
import streamlit as st

from app import charts, plans
from app.clock import hour_control
from app.layout import choice, header, kept, need_traffic, network_caption, note, outdated, region_of
from app.map_view import Dots, map_view
from app.scale import scale_caption
from app.state import Workspace, workspace

MODES = {"default": "several PRBs a user", "paper": "one PRB a user (paper)"}


def page() -> None:
    space = workspace()
    made = space.spectrum
    header(
        "Spectrum",
        "Which resource blocks (PRBs) serve which users in one hour, compared with round robin.",
        ("Export", "Next: export the plan") if made else None,
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
        hour = hour_control(space, space.demand().profile(24, 0.5).sum(axis=0), 24)
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
            link = two.selectbox("Link", ["downlink", "uplink"], **kept("prb link"))
            mode = three.selectbox("Allocation", list(MODES), format_func=MODES.get, **kept("prb mode"))
            carrier = four.number_input("Carrier (GHz)", 0.5, 100.0, 2.6, 0.1, **kept("prb carrier"))
            bandwidth = one.selectbox(
                "Bandwidth (MHz)", [5, 10, 15, 20, 40, 50, 80, 100], 3, **kept("prb bandwidth")
            )
            tau = two.number_input("Price of a PRB, τ (Mbit/s)", 0.0, 10.0, 0.05, 0.01, **kept("prb tau"))
            time_limit = three.number_input("Solver time limit (s)", 1, 3600, 30, **kept("prb time limit"))
            seed = four.number_input("Seed", 0, 2**31 - 1, 0, **kept("prb seed"))
        if action.button(
            f"Allocate PRBs at {hour:02d}:00",
            type="primary" if primary else "secondary",
            icon=":material/graphic_eq:",
            disabled=plans.SPECTRUM in space.jobs,
            width="stretch" if primary else "content",
        ):
            radio = {"carrier_ghz": carrier, "bandwidth_mhz": bandwidth, "link": link}
            settings = {"mode": mode, "tau_mbps": tau, "time_limit": float(time_limit)}
            plans.start_spectrum(space, hour, int(users), radio, settings, int(seed))
            st.rerun()


def _comparison(comparison) -> None:
    import pandas as pd

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
    one.metric("Hour", f"{space.spectrum_hour:02d}:00")
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
        st.plotly_chart(charts.prb_map(plan.prb_map(), _station_names(space)), width="stretch", key="prb map")
    with right:
        st.markdown("**SINR of the users**")
        st.plotly_chart(charts.sinr(served), width="stretch", key="prb sinr")
    for text in plan.unmet[:5]:
        st.caption(f":material/warning: {text}")
    if len(plan.unmet) > 5:
        st.caption(f"and {len(plan.unmet) - 5} more users whose demand is not met.")
    st.caption(plan.sentence)
    scale_caption(space)
    with st.expander("Assignment", icon=":material/table:"):
        st.dataframe(table.assign(prbs=table["prbs"].astype(str)).round(3), hide_index=True, width="stretch")


def _station_names(space: Workspace) -> list[str]:
    assert space.network is not None
    return space.network.value.network.sites["site"].tolist()


def _map(space: Workspace, region, plan, table) -> None:
    assert space.network is not None and space.traffic is not None
    sites = space.network.value.network.sites
    stations = Dots(
        sites["lon"].to_numpy(),
        sites["lat"].to_numpy(),
        ["#22303a"] * len(sites),
        [
            f"{name}: {share:.0%} of PRBs used"
            for name, share in zip(sites["site"], plan.utilisation, strict=True)
        ],
        7,
    )
    users = Dots(
        table["lon"].to_numpy(),
        table["lat"].to_numpy(),
        [charts.MET if met else charts.UNMET for met in table["met"]],
        [
            f"user {u}: {r:.1f} of {d:.1f} Mbit/s"
            for u, r, d in zip(table["user"], table["rate_mbps"], table["demand_mbps"], strict=True)
        ],
        4,
    )
    map_view(
        f"spectrum {space.traffic.identity}",
        region,
        outline=space.outline_of(space.traffic),
        dots=[stations, users],
        height=360,
    )
    st.html(charts.users_legend())
