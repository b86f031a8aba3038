"""What a sleep plan is made for and obeys, as controls."""

import streamlit as st

from app.server.limits import limits
from app.state.controls import kept
from app.state.workspace import Workspace
from app.strategies import strategy_name
from app.widgets.equipment import equipment_editor
from app.widgets.uploads import upload

ALL = ("always-on", "night", "threshold", "greedy", "milp", "paper")
SHOWN_FIRST = ("always-on", "night", "threshold", "greedy", "milp")
MOST_MEASURED_MB = 200


def sleep_settings(space: Workspace) -> dict:
    """The settings as chosen; the names are those of `SleepSettings`, and of the problem."""
    strategies = st.multiselect(
        "Strategies", ALL, SHOWN_FIRST, format_func=strategy_name, **kept("sleep strategies")
    )
    one, two, three, four = st.columns(4)
    hours = one.selectbox(
        "Plan for",
        [24, 168],
        format_func={24: "a typical day", 168: "the whole week"}.__getitem__,
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
    ring = four.selectbox(
        "Neighbours are",
        ["distance", "overlap"],
        format_func={"distance": "the nearest sites", "overlap": "those that reach its ground"}.__getitem__,
        help="Overlap: at least half of the ground of a site lies within the distance of the other.",
        **kept("sleep ring kind"),
    )
    night = one.slider("Night window", 0, 24, (0, 6), format="%d:00", **kept("sleep night"))
    below, above = two.slider(
        "Threshold: sleep below, wake above (load)", 0.0, 1.0, (0.5, 0.7), 0.05, **kept("sleep threshold")
    )
    min_up = three.number_input("Minimum up time (h)", 1, 24, 2, **kept("sleep min up"))
    switch_wh = four.number_input("Price of a switch (Wh)", 0.0, 10_000.0, 50.0, 10.0, **kept("sleep switch"))
    time_limit = one.number_input(
        "Solver time limit (s)",
        1,
        limits().solver_seconds,
        min(20, limits().solver_seconds),
        **kept("sleep time limit"),
    )
    gap = two.number_input("Solver gap (%)", 0.0, 50.0, 1.0, 0.1, **kept("sleep gap"))
    rate_floor = three.number_input(
        "Rate floor (Mbit/s a user)",
        0.0,
        1000.0,
        0.0,
        0.1,
        help="Every active user gets at least this much, or what the traffic asks for where that is more.",
        **kept("sleep rate floor"),
    )
    whole_site = four.toggle(
        "Whole sites may sleep",
        False,
        help="The optimised and greedy plans may put every cell of a site to sleep and turn its BBU off. Harder to "
        "solve: expect a gap of some percent.",
        **kept("sleep whole site"),
    )
    held_out = one.toggle(
        "Check on unseen traffic",
        True,
        help="The last sample is left out of planning; every plan is replayed on it.",
        **kept("sleep held out"),
    )
    allow_unserved = two.toggle(
        "Plan even if the network is too small",
        False,
        help="Plans for what can be served and shows the rest.",
        **kept("sleep unserved"),
    )
    measured = upload(
        space,
        "sleep measured",
        "Judge the plans on measured traffic",
        ["parquet", "csv"],
        MOST_MEASURED_MB,
        "A traffic table: columns x, y, hour, traffic. Every plan is replayed on it.",
    )
    equipment = equipment_editor(space)
    return {
        "strategies": strategies,
        "around": {"hours": hours, "ring_m": float(ring_m), "ring": ring, "whole_site": whole_site},
        "quantile": quantile,
        "rate_floor": rate_floor,
        "held_out": held_out,
        "measured": measured,
        "equipment": equipment,
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
