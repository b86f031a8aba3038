"""What a sleep plan is made for and obeys, as controls."""

from collections.abc import Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.background.sleep import SleepRequest
from app.state.controls import kept
from app.state.workspace import Workspace
from app.strategies import strategy_name
from app.widgets.equipment import equipment_editor
from app.widgets.layout import time_limit
from app.widgets.uploads import upload

STRATEGIES = ("always-on", "night", "threshold", "greedy", "milp", "paper")
CHOSEN_FIRST = STRATEGIES[:-1]
HOURS = {24: "a typical day", 168: "the whole week"}
RINGS = {"distance": "the nearest sites", "overlap": "those that reach its ground"}
MOST_MEASURED_MB = 200


def sleep_settings(space: Workspace) -> SleepRequest:
    """The settings as chosen."""
    from planning.sleep import SleepSettings

    strategies = st.multiselect(
        "Strategies", STRATEGIES, CHOSEN_FIRST, format_func=strategy_name, **kept("sleep strategies")
    )
    columns = st.columns(4)
    asked = _demand(columns)
    settings = _rules(columns) | _solver(columns)
    one, two, three, four = columns
    asked["rate_floor"] = three.number_input(
        "Rate floor (Mbit/s a user)", 0.0, 1000.0, 0.0, 0.1,
        help="Every active user gets at least this much, or what the traffic asks for where that is more.",
        **kept("sleep rate floor"),
    )  # fmt: skip
    asked["whole_site"] = four.toggle(
        "Whole sites may sleep", False, **kept("sleep whole site"),
        help="The optimised and greedy plans may put every cell of a site to sleep and turn its BBU off. Harder to "
        "solve: expect a gap of some percent.",
    )  # fmt: skip
    asked["held_out"] = one.toggle(
        "Check on unseen traffic", True, **kept("sleep held out"),
        help="The last sample is left out of planning; every plan is replayed on it.",
    )  # fmt: skip
    settings["allow_unserved"] = two.toggle(
        "Plan even if the network is too small", False, **kept("sleep unserved"),
        help="Plans for what can be served and shows the rest.",
    )  # fmt: skip
    measured = upload(
        space, "sleep measured", "Judge the plans on measured traffic", ["parquet", "csv"], MOST_MEASURED_MB,
        "A traffic table: columns x, y, hour, traffic. Every plan is replayed on it.",
    )  # fmt: skip
    equipment = equipment_editor(space)
    return SleepRequest(
        strategies, SleepSettings(**settings), measured=measured, equipment=equipment, **asked
    )


def _demand(columns: Sequence[DeltaGenerator]) -> dict[str, Any]:
    """What is planned for, and who takes over: fields of `SleepRequest`."""
    one, two, three, four = columns
    return {
        "hours": one.selectbox("Plan for", list(HOURS), format_func=HOURS.__getitem__, **kept("sleep hours")),
        "quantile": two.slider(
            "Reserve: quantile of demand", 0.5, 1.0, 0.99, 0.01, **kept("sleep quantile"),
            help="0.99: enough in 99 of 100 samples and days.",
        ),
        "ring_m": float(three.number_input(
            "Neighbours take over within (m)", 0, 20_000, 2000, 100, **kept("sleep ring"),
            help="Traffic of sleeping cells goes to these sites.",
        )),
        "ring": four.selectbox(
            "Neighbours are", list(RINGS), format_func=RINGS.__getitem__, **kept("sleep ring kind"),
            help="Overlap: at least half of the ground of a site lies within the distance of the other.",
        ),
    }  # fmt: skip


def _rules(columns: Sequence[DeltaGenerator]) -> dict[str, Any]:
    """What single strategies obey: fields of `SleepSettings`."""
    one, two, three, four = columns
    night = one.slider("Night window", 0, 24, (0, 6), format="%d:00", **kept("sleep night"))
    below, above = two.slider(
        "Threshold: sleep below, wake above (load)", 0.0, 1.0, (0.5, 0.7), 0.05, **kept("sleep threshold")
    )
    return {
        "night": night,
        "sleep_below": below,
        "wake_above": above,
        "min_up": int(three.number_input("Minimum up time (h)", 1, 24, 2, **kept("sleep min up"))),
        "switch_wh": four.number_input(
            "Price of a switch (Wh)", 0.0, 10_000.0, 50.0, 10.0, **kept("sleep switch")
        ),
    }


def _solver(columns: Sequence[DeltaGenerator]) -> dict[str, Any]:
    """How long and how well the optimised plan is sought: fields of `SleepSettings`."""
    seconds = time_limit(columns[0], "sleep time limit", 20)
    percent = columns[1].number_input("Solver gap (%)", 0.0, 50.0, 1.0, 0.1, **kept("sleep gap"))
    return {"time_limit": seconds, "gap": percent / 100}
