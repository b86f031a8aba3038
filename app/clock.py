"""The one hour of all maps and charts."""

import numpy as np
import streamlit as st

from app.state import WEEK, Workspace


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
        peak = int(np.argmax(profile))
        space.hour = peak if hours == WEEK else space.hour - space.hour % 24 + peak

    left, right = st.columns([5, 1], vertical_alignment="bottom")
    label = hour_label if hours == WEEK else (lambda hour: f"{hour:02d}:00")
    left.select_slider("Hour", options=range(hours), key=key, on_change=moved, format_func=label)
    if profile is not None:
        right.button("Busy hour", on_click=busiest, width="stretch", icon=":material/trending_up:")
    return space.hour % hours
