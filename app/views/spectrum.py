"""Spectrum: utilisation of the network by hour, and which PRBs serve which users in one hour."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from app.background import spectrum
from app.charts import spectrum as spectrum_charts
from app.map.dots import Dots
from app.map.region import Region
from app.messages import told
from app.state.controls import kept
from app.state.results import Comparison
from app.state.workspace import Workspace, workspace
from app.strategies import strategy_name
from app.widgets import accessible
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
from app.widgets.network_use import network_use
from app.widgets.plan_page import map_of_places, places_of_controls, plan_page, start_button
from app.widgets.scale import SUM_OF_MEDIANS, scale_caption
from app.widgets.spectrum_settings import spectrum_settings
from app.widgets.tables import show_table
from app.widgets.verdicts import of_network_use, of_spectrum, verdict_line
from plannerbase import formats

if TYPE_CHECKING:
    from planning.prb import PrbPlan


SECTIONS = {"network": "Whole network", "plan": "PRB plan of users"}
SECTION, NEXT_SECTION = "spectrum section", "spectrum section next"
CLUSTER_USERS = 60


def page() -> None:
    """Utilisation of the whole network first; one click further, PRB plans of users."""
    space = workspace()
    header(
        "Spectrum",
        "How full the PRBs of every cell are hour by hour, what goes unserved and what relieves it; and which PRBs "
        "serve which users of one hour.",
        ("Compare", "Next: compare") if space.utilisation or space.spectrum else None,
    )
    if (wanted := st.session_state.pop(NEXT_SECTION, None)) is not None:
        st.session_state[SECTION] = wanted  # before the control is there, which then holds it
    begin = "plan" if space.spectrum and not space.utilisation else "network"
    section = choice(SECTION, "View", list(SECTIONS), begin, SECTIONS.__getitem__)
    if section == "network":
        _network(space)
        return
    plan_page(
        space,
        space.spectrum,
        spectrum.JOB,
        "Change hour or settings and plan again",
        lambda primary: _controls(space, primary),
        lambda: _result(space),
    )


def _network(space: Workspace) -> None:
    """Utilisation of a day, and the way from a place on its map to a plan of the sites there."""
    made = space.utilisation
    note(space, spectrum.UTILISATION_JOB)
    if not need_traffic(space):
        return
    if made is not None:
        use = made.value
        found = of_network_use(use.found.by_hour(), use.hot_spots, use.relief)
        verdict_line(found, ":material/graphic_eq:")
    old = made is None or outdated(space, made)
    with st.container(border=old):
        hour = hour_control(space, area_profile(space))
        day = hour // 24
        other = made is not None and hour not in made.value.found.hours
        if old or other:
            button, caption = st.columns([1, 3], vertical_alignment="center")
            network_caption(space, caption)
            label, busy = (
                f"Compute utilisation of {formats.weekday(day)}",
                spectrum.UTILISATION_JOB in space.jobs,
            )
            if start_button(button, label, ":material/cell_tower:", True, busy):
                spectrum.start_utilisation(space, day)
                st.rerun()
    if made is None:
        return
    clicked = network_use(space, made, hour)
    st.markdown("**Plan a cluster PRB by PRB**")
    if clicked is None:
        st.caption(
            "Click a place on the map to plan the sites around it user by user, with the interference among them "
            "and a bound."
        )
        return
    left, right = st.columns([1, 3], vertical_alignment="bottom")
    sites = left.number_input(
        "Sites", 1, min(10, len(made.value.found.network.sites)), 5, **kept("prb cluster")
    )
    if right.button(
        f"Plan the {formats.counted(sites, 'sites')} around lon {formats.coordinate(clicked[0], 4)}, lat "
        f"{formats.coordinate(clicked[1], 4)} at {hour_label(hour)}",
        icon=":material/graphic_eq:",
        disabled=spectrum.JOB in space.jobs,
    ):
        space.spectrum_cluster = (*clicked, int(sites))
        st.session_state[NEXT_SECTION] = "plan"
        spectrum.start(
            space, hour, CLUSTER_USERS, {"link": "downlink"}, {}, "cqi-256qam", space.spectrum_cluster
        )
        st.rerun()


def _controls(space: Workspace, primary: bool) -> None:
    with st.container(border=primary):
        hour = hour_control(space, area_profile(space))
        button, advanced = places_of_controls(space, primary)
        with advanced:
            users, radio, settings, rates = spectrum_settings()
        cluster = space.spectrum_cluster
        if cluster is not None and not st.toggle(
            f"Only the {formats.counted(cluster[2], 'sites')} around lon {formats.coordinate(cluster[0], 4)}, lat "
            f"{formats.coordinate(cluster[1], 4)}",
            True,
        ):
            cluster = None
        label, busy = f"Allocate PRBs at {hour_label(hour)}", spectrum.JOB in space.jobs
        if start_button(button, label, ":material/graphic_eq:", primary, busy, primary):
            spectrum.start(space, hour, users, radio, settings, rates, cluster)
            st.rerun()


def _result(space: Workspace) -> None:
    assert space.spectrum is not None
    verdict_line(of_spectrum(space.spectrum.value.table, space.spectrum_hour), ":material/graphic_eq:")
    _comparison(space.spectrum.value)
    _plan(space)
    _by_hour(space)


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
            "PRBs used": table["used_prbs"],
            "How": [plan.how for plan in comparison.plans.values()],
        }
    )
    show_table(frame, {"Served (Mbit/s)": 1, "Missing (Mbit/s)": 1, "PRBs used": 0})


def _plan(space: Workspace) -> None:
    made, region = space.spectrum, region_of(space)
    assert made is not None
    name = choice(
        "spectrum choice", "Show the plan of", list(made.value.plans), space.spectrum_choice, strategy_name
    )
    space.spectrum_choice = name
    plan = made.value.plans[name]
    table = plan.assignment()
    one, two, three, four = st.columns(4)
    one.metric("Hour", hour_label(space.spectrum_hour))
    two.metric("Demands met", f"{int(plan.met.sum())} of {len(plan.met)}")
    three.metric("PRBs used", formats.number(plan.used_prbs))
    served = plan.sinr_db[np.isfinite(plan.sinr_db)]
    four.metric("Median SINR", f"{formats.number(np.median(served), 1)} dB" if len(served) else "–")
    if plan.bounds_sentence:
        st.caption(told(plan.bounds_sentence))
    left, right = st.columns(2, gap="medium")
    with left:
        if region is not None:
            _map(space, region, plan, table)
    with right:
        st.markdown("**Rate against demand**")
        accessible.chart(
            spectrum_charts.rate_demand(table), "Rate of each user against its demand", "prb rate"
        )
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**PRBs by station** · colour: user")
        figure = spectrum_charts.prb_map(plan.prb_map(), list(plan.problem.site_names))
        accessible.chart(figure, "PRBs of each station by user", "prb map", told=False)
    with right:
        st.markdown("**SINR of the users**")
        accessible.chart(spectrum_charts.sinr(served), "SINR of the users", "prb sinr")
    for text in plan.unmet[:5]:
        st.caption(f":material/warning: {told(text)}")
    if len(plan.unmet) > 5:
        st.caption(f"and {len(plan.unmet) - 5} more users whose demand is not met.")
    st.caption("  \n".join(map(told, (plan.sentence, *plan.notes, *made.value.notes))))
    st.caption(SUM_OF_MEDIANS)
    scale_caption(space)
    with st.expander("Assignment", icon=":material/table:"):
        show_table(table.round(3))


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
    st.caption(told(hours.value.sentence))
    left, right = st.columns(2, gap="medium")
    accessible.chart(
        spectrum_charts.prb_use(table, space.spectrum_hour), "PRBs in use by hour", "prb use", left
    )
    accessible.chart(
        spectrum_charts.prb_served(table, space.spectrum_hour), "Demand served by hour", "prb served", right
    )
    with st.expander("Hours", icon=":material/table:"):
        show_table(table.round(3))


def _map(space: Workspace, region: Region, plan: "PrbPlan", table: pd.DataFrame) -> None:
    made = space.spectrum
    assert made is not None and made.value.network is not None
    deployed = made.value.network
    sites, cells = deployed.plan.network.sites, deployed.plan.network.cells
    site_of_cell = dict(zip(cells["cell"], cells["site"], strict=True))
    names = [site_of_cell.get(name, name) for name in plan.problem.site_names]  # stations are cells or sites
    by_site = pd.Series(plan.utilisation).groupby(names).mean()
    sites = sites[sites["site"].isin(by_site.index)]
    used = by_site.loc[sites["site"]].tolist()
    stations = Dots(
        sites["lon"].to_numpy(),
        sites["lat"].to_numpy(),
        ["#22303a"] * len(sites),
        [
            f"{name}: {formats.percent(share)} of PRBs used"
            for name, share in zip(sites["site"], used, strict=True)
        ],
    )
    asked = zip(table["user"], table["rate_mbps"], table["demand_mbps"], strict=True)
    users = Dots(
        table["lon"].to_numpy(),
        table["lat"].to_numpy(),
        [spectrum_charts.MET if met else spectrum_charts.UNMET for met in table["met"]],
        [
            f"user {user}: {formats.number(rate, 1)} of {formats.number(demand, 1)} Mbit/s"
            for user, rate, demand in asked
        ],
        4,
    )
    map_of_places(
        space,
        f"spectrum {made.identity}",
        region,
        deployed.demand,
        {"PRBs in use by base station": stations, "Users and their rates": users},
        hour_label(space.spectrum_hour),
        height=360,
    )
    st.html(spectrum_charts.users_legend())
