"""The one hour of all maps and charts."""

import numpy as np
import streamlit as st

from app.state.workspace import WEEK, Workspace

SECONDS_AN_HOUR = 1.0
PLAYING, FRESH = "playing", "fresh hour"


def hour_label(hour: int) -> str:
    return f"day {hour // 24 + 1}, {hour % 24:02d}:00"


def hour_control(space: Workspace, profile: np.ndarray | None = None, hours: int = WEEK) -> int:
    """Slider over the week (or the typical day, hours = 24) and a button for the busiest hour of `profile`.

    profile: (hours,) total demand or traffic. Returns the hour, 0..hours - 1.
    """
    key = f"hour_{hours}"
    now = space.hour % hours
    if st.session_state.get(key) != now:
        st.session_state[key] = now

    def moved() -> None:
        chosen = st.session_state[key]
        space.hour = chosen if hours == WEEK else space.hour - space.hour % 24 + chosen

    def busiest() -> None:
        assert profile is not None  # the button is there only with one
        peak = int(np.argmax(profile))
        space.hour = peak if hours == WEEK else space.hour - space.hour % 24 + peak

    left, middle, right = st.columns([8, 1.4, 2], vertical_alignment="bottom")
    label = hour_label if hours == WEEK else (lambda hour: f"{hour:02d}:00")
    left.select_slider("Hour", options=range(hours), key=key, on_change=moved, format_func=label)
    with middle:
        _play(space, hours)
    if profile is not None:
        right.button("Busy hour", on_click=busiest, width="stretch", icon=":material/trending_up:")
    return space.hour % hours


def _play(space: Workspace, hours: int) -> None:
    """A button that lets the hours pass by themselves, and stops them again."""
    playing = st.session_state.get(PLAYING, False)
    label, icon = ("Stop", ":material/pause:") if playing else ("Play", ":material/play_arrow:")
    if st.button(label, icon=icon, key="play", help="Lets the hours pass by themselves.", width="stretch"):
        st.session_state[PLAYING] = not playing
        st.rerun()
    if playing:
        st.session_state[FRESH] = True
        _tick(space, hours)


@st.fragment(run_every=SECONDS_AN_HOUR)
def _tick(space: Workspace, hours: int) -> None:
    if st.session_state.pop(FRESH, False):  # the page has just run with the present hour
        return
    day = space.hour - space.hour % hours
    space.hour = (day + (space.hour + 1) % hours) % WEEK
    st.rerun()
