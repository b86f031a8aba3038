"""The one hour of all maps and charts."""

import re

import numpy as np
import streamlit as st

from app.state.workspace import WEEK, Workspace
from plannerbase import formats

SPEEDS = {"slow": 2.0, "normal": 1.0, "fast": 0.5}  # seconds an hour while they pass by themselves
SPEED = "playing speed"
PLAYING, FRESH, MOVED = "playing", "fresh hour", "hour moved"


def hour_label(hour: int) -> str:
    """An hour of the week as "Tue 06:00"; weeks begin on Monday, as those of the model do."""
    return f"{formats.weekday(hour // 24)} {hour % 24:02d}:00"


def hour_of(text: str, present: int) -> int | None:
    """The hour of the week (0..167) that was typed: a weekday and an hour, or an hour of the day of `present`.

    The weekday may be English or in the style of the session. None for what is neither.
    """
    found = re.fullmatch(r"\s*([^\W\d_]*)[.\s,]*(\d{1,2})(?::\d\d)?\s*", text)
    if found is None or int(found[2]) > 23:
        return None
    day = present // 24
    if found[1]:
        named = _day_of(found[1].lower())
        if named is None:
            return None
        day = named
    return 24 * day + int(found[2])


def _day_of(typed: str) -> int | None:
    """The weekday of a name or its beginning, 0 for Monday; a name in the style of the session comes first."""
    for style in (formats.current(), formats.STYLES[formats.DEFAULT]):
        for day, (short, whole) in enumerate(zip(style.days, style.long_days, strict=True)):
            if typed == short.lower().rstrip(".") or (len(typed) >= 3 and whole.lower().startswith(typed)):
                return day
    return None


def hour_control(space: Workspace, profile: np.ndarray | None = None, hours: int = WEEK) -> int:
    """Slider over the week (or the typical day, hours = 24) and a button for the busiest hour of `profile`.

    profile: (hours,) total demand or traffic. Returns the hour, 0..hours - 1.
    """
    key = f"hour_{hours}"
    now = space.hour % hours
    # in every run but that of the slider itself: a run that another one follows at once may never reach the browser,
    # whose slider would stand at the first hour
    if not st.session_state.pop(MOVED, False) or st.session_state.get(key) != now:
        st.session_state[key] = now

    def moved() -> None:
        st.session_state[MOVED] = True
        chosen = st.session_state[key]
        space.hour = chosen if hours == WEEK else space.hour - space.hour % 24 + chosen

    def go() -> None:
        found = hour_of(st.session_state[f"typed_{hours}"], space.hour)
        st.session_state[f"typed_{hours}"] = ""
        if found is not None:
            space.hour = found

    def busiest() -> None:
        assert profile is not None  # the button is there only with one
        peak = int(np.argmax(profile))
        space.hour = peak if hours == WEEK else space.hour - space.hour % 24 + peak

    left, typed, middle, right = st.columns([7, 1.6, 1.4, 2], vertical_alignment="bottom")
    label = hour_label if hours == WEEK else (lambda hour: f"{hour:02d}:00")
    left.select_slider("Hour", options=range(hours), key=key, on_change=moved, format_func=label)
    example = f"{formats.weekday(1)} 18"
    typed.text_input(
        "Go to hour", key=f"typed_{hours}", placeholder=example if hours == WEEK else "18", on_change=go,
        help=f"Day and hour, as {example}, or an hour of the present day, as 18.", label_visibility="visible",
    )  # fmt: skip
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
        speed = st.selectbox("Speed", list(SPEEDS), 1, key=SPEED, label_visibility="collapsed")
        st.fragment(_tick, run_every=SPEEDS[speed])(space, hours)


def _tick(space: Workspace, hours: int) -> None:
    if st.session_state.pop(FRESH, False):  # the page has just run with the present hour
        return
    day = space.hour - space.hour % hours
    space.hour = (day + (space.hour + 1) % hours) % WEEK
    st.rerun()
