"""What a sleep plan is made for and obeys, as controls."""

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

NOT_FIRST = ("paper",)  # strategies that are compared only when asked for
HOURS = {24: "A typical day", 48: "Weekdays and weekends", 168: "The whole week"}
BOUNDARIES = {"cyclic": "The plan repeats", "awake": "Every cell is on"}
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MOST_MEASURED_MB = 200


def sleep_settings(space: Workspace) -> SleepRequest:
    """The settings as chosen. Raises PlanningError for one outside its range."""
    from planning.sleep import STRATEGIES, SleepSettings

    strategies = st.multiselect(
        "Strategies",
        STRATEGIES,
        [name for name in STRATEGIES if name not in NOT_FIRST],
        format_func=strategy_name,
        **kept("sleep strategies"),
    )
    st.markdown("**Demand**")
    asked = _demand()
    st.markdown("**Rules of operation**")
    operation, settings = _operation(space)
    st.markdown("**Strategies and solver**")
    settings |= _strategies()
    st.markdown("**Validation and equipment**")
    held_out = st.toggle(
        "Validate on a held-out week", True, **kept("sleep held out"),
        help="The last sample is left out of planning; every plan is replayed on it.",
    )  # fmt: skip
    measured = upload(
        space, "sleep measured", "Validate plans against measured traffic", ["parquet", "csv"], MOST_MEASURED_MB,
        "A traffic table: columns x, y, hour, traffic. Every plan is replayed on it.",
    )  # fmt: skip
    equipment = equipment_editor(space)
    return SleepRequest(
        strategies,
        SleepSettings(**settings),
        operation=operation,
        held_out=held_out,
        measured=measured,
        equipment=equipment,
        **asked,
    )


def _told(name: str) -> dict[str, str]:
    """Label and help of a setting, as `planning.sleep.LABELS` has them."""
    from planning.sleep import LABELS

    label = LABELS[name]
    return {"label": label.title, "help": f"Default {label.reason}."}


def _demand() -> dict[str, Any]:
    """What is planned for: fields of `SleepRequest`."""
    from planning.sleep import QUANTILE

    one, two, three, four = st.columns(4)
    asked: dict[str, Any] = {
        "hours": one.selectbox("Plan for", list(HOURS), format_func=HOURS.__getitem__, **kept("sleep hours")),
        "quantile": two.slider(
            "Plan for demand up to (percentile)", 50, 100, round(100 * QUANTILE), 1, format="P%d",
            help="Of each sector's own traffic over samples and days.", **kept("sleep percentile"),
        ) / 100,
        "rate_floor": three.number_input(
            min_value=0.0, max_value=1000.0, value=0.25, step=0.05, **_told("rate_floor"), **kept("sleep rate floor")
        ),
        "max_neighbours": int(
            four.number_input(min_value=0, max_value=30, value=6, **_told("max_neighbours"), **kept("sleep neighbours"))
        ),
    }  # fmt: skip
    if asked["hours"] == 48:
        day = one.selectbox(
            "First day of the traffic",
            DAYS,
            help="Generated weeks begin on a Monday.",
            **kept("sleep first day"),
        )
        asked["first_day"] = DAYS.index(day)
    return asked


def _operation(space: Workspace) -> tuple[dict[str, Any], dict[str, Any]]:
    """(which cells may sleep when, limits that every strategy obeys): of `SleepRequest` and of `SleepSettings`."""
    from planning.sleep import SleepSettings

    default = SleepSettings()
    one, two, three, four = st.columns(4)
    settings: dict[str, Any] = {
        "max_load": one.slider(
            "Highest load of an awake cell (% of PRBs)", 30, 100, round(100 * default.max_load), 5,
            help=_told("max_load")["help"], **kept("sleep max load"),
        ) / 100,
        "min_up": _whole(two, "min_up", "sleep min up", 1, default.min_up),
        "min_off": _whole(three, "min_off", "sleep min off", 1, default.min_off),
        "max_wakes": _whole(four, "max_wakes", "sleep wakes", 0, default.max_wakes or 24),
        "switch_wh": one.number_input(
            min_value=0.0, max_value=10_000.0, value=default.switch_wh, step=10.0, **_told("switch_wh"),
            **kept("sleep switch"),
        ),
        "wake_delay_min": two.number_input(
            min_value=0.0, max_value=60.0, value=default.wake_delay_min, step=1.0, **_told("wake_delay_min"),
            **kept("sleep delay"),
        ),
    }  # fmt: skip
    holes = three.number_input(
        "Ground that may lose coverage (%)", 0.0, 100.0, 0.0, 0.5, help=_told("max_hole_share")["help"],
        **kept("sleep holes"),
    )  # fmt: skip
    boundary = four.selectbox(
        "Before the first hour and after the last", list(BOUNDARIES), format_func=BOUNDARIES.__getitem__,
        **kept("sleep boundary"),
    )  # fmt: skip
    window = one.slider(
        "Hours in which cells may sleep", 0, 24, (0, 24), format="%d:00", **kept("sleep window")
    )
    whole = two.toggle(
        "Whole sites may sleep", False, **kept("sleep whole site"),
        help="The coverage layer may sleep too where other sites cover its ground, and a site's baseband with it.",
    )  # fmt: skip
    muting = three.toggle(
        "RF channels may be muted", False, **kept("sleep muting"),
        help="A state between on and off: half of the channels. Needs the feature in the radio unit.",
    )  # fmt: skip
    settings["allow_unserved"] = four.toggle(
        "Plan even if the network is too small", True, **kept("sleep unserved"),
        help="Plans for what can be served and shows the rest.",
    )  # fmt: skip
    bands = _bands(space)
    order = one.multiselect(
        "Bands go to sleep in this order", bands, placeholder="Any order", **kept("sleep bands"),
        help="In a sector, a band sleeps before those chosen after it.",
    )  # fmt: skip
    never = two.text_area(
        "Cells and sites that never sleep", placeholder="Names, one a line", height=68, **kept("sleep never")
    )
    listed = upload(
        space, "sleep never file", "The same from a file (CSV: cell or site)", ["csv", "txt"], 10, where=three
    )
    operation = {
        "whole_site": whole, "muting": muting, "max_hole_share": holes / 100, "boundary": boundary,
        "window": None if window == (0, 24) else window,
        "band_order": tuple(name for name in order if name in bands),
        "never": tuple(name.strip() for name in never.splitlines() if name.strip()), "never_file": listed,
    }  # fmt: skip
    return operation, settings


def _whole(where: DeltaGenerator, name: str, key: str, least: int, preset: int) -> int:
    """A whole number of a setting, at most 24."""
    return int(where.number_input(min_value=least, max_value=24, value=preset, **_told(name), **kept(key)))


def _bands(space: Workspace) -> list[str]:
    if space.network is None:
        return []
    return sorted(set(space.network.value.plan.network.cells["band"].astype(str)) - {""})


def _strategies() -> dict[str, Any]:
    """What single strategies obey, and how long and well the optimised plan is sought: fields of `SleepSettings`."""
    one, two, three, four = st.columns(4)
    night = one.slider("Night window", 0, 24, (0, 6), format="%d:00", **kept("sleep night"))
    below, above = two.slider(
        "Load threshold: sleep below, wake above", 0.0, 1.0, (0.5, 0.7), 0.05, **kept("sleep threshold")
    )
    seconds = time_limit(three, "sleep time limit", 20)
    percent = four.number_input(
        "Optimality gap at which to stop (%)", 0.0, 50.0, 1.0, 0.1, **kept("sleep gap")
    )
    return {
        "night": night, "sleep_below": below, "wake_above": above, "time_limit": seconds, "gap": percent / 100
    }  # fmt: skip
