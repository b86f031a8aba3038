"""Compare: scenarios kept in the library, and any of them side by side."""

from typing import Literal

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.background import cases
from app.background.cases import Case
from app.charts import sleep as sleep_charts
from app.colours import ramp_top
from app.messages import errors_shown, plain, told
from app.saved import library
from app.server import audit
from app.state.figures import local_time
from app.state.workspace import Workspace, workspace
from app.strategies import strategy_name
from app.widgets import accessible
from app.widgets.case_choice import choose_cases
from app.widgets.clock import hour_control, hour_label
from app.widgets.file_button import table_button
from app.widgets.layout import header
from app.widgets.tables import show_table
from app.widgets.verdicts import of_cases, verdict_line
from app.widgets.work_menu import open_scenario
from plannerbase import formats

MAX_UPLOAD_MB = 500
SHOWN = ("kwh_a_day", "saving", "unserved", "unseen_unserved")  # of the KPIs; the others stand in the table
_DELTA_COLOURS: dict[str, Literal["normal", "inverse", "off"]] = {
    "more": "normal",
    "less": "inverse",
    "": "off",
}


def page() -> None:
    """Above the library of scenarios, below any of them side by side."""
    space = workspace()
    header(
        "Compare",
        "Keep scenarios in the library, open them again, and put any of them side by side.",
        ("Export", "Next: export") if space.network else None,
    )
    top = st.container()  # a place of its own: what is said there follows from the choice below
    left, right = st.columns([2, 3], gap="medium")
    with left, errors_shown("using the library"):
        _save(space)
    with right, errors_shown("using the library"):
        _library(space)
    with errors_shown("comparing scenarios"):
        _compare(space, top)


# --- library -----------------------------------------------------------------------------------------------------


def _save(space: Workspace) -> None:
    st.markdown("**Save the open work**")
    if space.area is None:
        st.caption("There is nothing to save yet: draw an area first.")
        return
    with st.form("save scenario", border=False, enter_to_submit=False):
        name = st.text_input("Name", space.area.name, max_chars=library.MAX_NAME)
        new, over = st.columns(2)
        as_new = new.form_submit_button(
            "Save as new", icon=":material/save:", type="primary", width="stretch"
        )
        present = {entry.identity for entry in library.entries()}
        replaced = over.form_submit_button(
            "Overwrite", icon=":material/save_as:", width="stretch", disabled=space.scenario not in present,
            help="Replaces the scenario that this work was opened from or last saved to.",
        )  # fmt: skip
    if as_new or replaced:
        space.scenario = library.save(space, name, space.scenario if replaced else None)
        st.toast(plain(f"Saved: {library.name_of(space.scenario)}"))
        st.rerun()
    st.caption(
        "One GeoPackage with area, traffic, deployments, sleep and spectrum plans, your files and all settings."
    )


def _library(space: Workspace) -> None:
    st.markdown("**Library**")
    found = library.entries()
    if not found:
        st.caption("Nothing saved yet.")
    else:
        names = {entry.identity: entry for entry in found}
        chosen = st.selectbox(
            "Scenario",
            list(names),
            format_func=lambda i: (
                f"{names[i].name} · {local_time(names[i].saved)} · {formats.number(names[i].size / 1e6, 1)} MB"
            ),
            label_visibility="collapsed",
        )
        _actions(space, names[chosen])
    with st.popover("Open a file", icon=":material/upload_file:"):
        file = st.file_uploader(
            "A scenario saved by this app (.gpkg)",
            type="gpkg",
            key="scenario file",
            max_upload_size=MAX_UPLOAD_MB,
        )
        if file is not None and st.button("Open it", type="primary"):
            open_scenario(space, library.upload(file.getvalue()), "")


def _actions(space: Workspace, entry: library.Entry) -> None:
    one, two, three, four, five = st.columns(5)
    if one.button("Open", icon=":material/folder_open:", width="stretch", key="open scenario"):
        open_scenario(space, library.parts_of(entry.identity), entry.identity)
    with two.popover("Rename", width="stretch"):
        name = st.text_input(
            "New name", entry.name, max_chars=library.MAX_NAME, key=f"rename {entry.identity}"
        )
        if st.button("Rename", key="do rename"):
            library.rename(entry.identity, name)
            st.rerun()
    if three.button("Duplicate", width="stretch", key="duplicate scenario"):
        library.duplicate(entry.identity)
        st.rerun()
    with four.popover("Delete", width="stretch"):
        st.markdown(f"Delete **{plain(entry.name)}** for good?")
        if st.button("Delete", type="primary", key="do delete"):
            library.delete(entry.identity)
            st.rerun()
    five.download_button(
        "Download",
        audit.logged(
            library.path_of(entry.identity).read_bytes, "exported", space.work, scenario=entry.identity
        ),
        "scenario.gpkg",
        "application/geopackage+sqlite3",
        on_click="ignore",
        width="stretch",
    )


# --- side by side ------------------------------------------------------------------------------------------------


def _compare(space: Workspace, top: DeltaGenerator) -> None:
    """top: where the verdict stands."""
    st.divider()
    st.markdown("### Side by side")
    offers = cases.offers(space)
    if len(offers) < 2:
        st.info(
            "There is one plan or none. Plan sleep with several strategies, or save scenarios to the library, and they "
            "can be compared here."
        )
        return
    chosen = choose_cases(
        space, offers, "compared plans", "Plans", _first_choice(list(offers)),
        "The first one is the baseline that the others are compared with.",
    )  # fmt: skip
    if chosen is None:
        return
    if len(chosen) < 2:
        st.info("Choose at least two plans.")
        return
    with top:
        verdict_line(of_cases({case.label: cases.figures(case) for case in chosen}), ":material/balance:")
    _kpis(chosen)
    profile = chosen[0].demand.profile(None, 0.5).sum(axis=0)
    hour = hour_control(space, profile)
    pair = sleep_charts.map_pair([_picture(c, hour) for c in chosen[:2]])
    title = f"Maps of {chosen[0].label} and {chosen[1].label}: demand of each tile, sleep of each site"
    accessible.chart(pair, title, "map pair", told=False)
    st.caption(
        f"Median demand of a tile, {hour_label(hour)} (Mbit/s, same colours on both), and sites by their share of "
        "cells asleep. The maps move together."
    )
    st.html(sleep_charts.sleep_legend())
    planned = {case.label: case.plan.energy_by_hour() for case in chosen if case.plan is not None}
    if planned:
        st.markdown("**Energy by hour**")
        accessible.chart(sleep_charts.energies(planned, hour), "Energy by hour", "compared energy")


def _first_choice(labels: list[str]) -> list[str]:
    """The always-on plan of the first scenario and its best, or the first two."""
    first = labels[0].split(" · ")[0]
    wanted = [f"{first} · {strategy_name(s)}" for s in ("always-on", "greedy", "milp")]
    return [label for label in wanted if label in labels] if wanted[0] in labels else labels[:2]


def _kpis(chosen: list[Case]) -> None:
    from planning.kpis import KPIS

    baseline = chosen[0]
    reference = cases.figures(baseline)
    for column, case in zip(st.columns(len(chosen)), chosen, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(
                f"**{plain(case.label)}**"
                + ("  \nbaseline" if case is baseline else "  \nagainst the baseline")
            )
            found = cases.figures(case)
            if not any(name in found for name in SHOWN):
                st.caption(
                    "No figures of energy: this network has no sleep plan that fits. Make one under Sleep."
                )
            places = st.columns(2)
            for number, name in enumerate(name for name in SHOWN if name in found):
                kpi, delta = KPIS[name], None
                if case is not baseline and name in reference:
                    change = round(found[name] - reference[name], kpi.digits)
                    delta = formats.number(change, kpi.digits, sign=True) if change else "no change"
                places[number % 2].metric(
                    kpi.title,
                    formats.number(found[name], kpi.digits if found[name] else 0),
                    delta,
                    delta_color="off" if delta == "no change" else _DELTA_COLOURS[kpi.better],
                    delta_arrow="off" if delta == "no change" else "auto",
                )
    money = cases.yearly(chosen)
    if len(money):
        st.markdown("**Energy, CO₂ and cost saved** · mean (P10 to P90 of the ensemble)")
        show_table(money.fillna(formats.MISSING))
        if sentences := cases.price_sentences(chosen):
            st.caption(told(" ".join(sentences)))
    table = cases.table(chosen)
    with st.expander("All figures", icon=":material/table:"):
        show_table(table.round(3))
        table_button("Table (CSV)", table, "comparison.csv")


def _picture(case: Case, hour: int) -> dict:
    from planning.geometry import tile_position

    network, demand = case.network, case.demand
    x, y = tile_position(network.sites["lon"], network.sites["lat"])
    asleep = np.zeros(len(network.sites))
    if case.plan is not None:
        _, asleep = sleep_charts.asleep_by_site(case.plan, hour % case.plan.hours)
    median = demand.quantile(0.5)
    return {"title": case.label, "x": demand.x, "y": demand.y, "mbps": median[:, hour % demand.hours],
            "top": ramp_top(median), "site_x": x, "site_y": y, "asleep": asleep,
            "names": network.sites["site"].tolist()}  # fmt: skip
