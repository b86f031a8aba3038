"""The scale: set once, shown beside every absolute figure."""

from dataclasses import replace

import streamlit as st

from app.messages import errors_shown, told
from app.state.inputs import ScaleChoice
from app.state.workspace import Workspace

KINDS = {
    "subscribers": "Subscribers and their monthly use",
    "daily total": "Known daily total of the area",
    "busy hour": "Known busy-hour rate of the area",
}
# field of ScaleChoice: label, least, most, step
FIGURES = {
    "per_km2": ("Subscribers per km²", 1.0, 1e6, 500.0),
    "gb_per_month": ("GB a month and subscriber", 0.01, 1e4, 1.0),
    "gb_per_day": ("GB a day in the area", 1.0, 1e9, 1000.0),
    "busy_mbps": ("Mbit/s in the busy hour", 0.1, 1e9, 100.0),
}
ASKED = {
    "subscribers": ("per_km2", "gb_per_month"),
    "daily total": ("gb_per_day",),
    "busy hour": ("busy_mbps",),
}

# where a demand of the whole area stands that is not the one on the Traffic page
SUM_OF_MEDIANS = (
    "The demand of an hour is the sum of the medians of its tiles; it differs from the median of the whole area, which "
    "the Traffic page shows."
)


def scale_setting(space: Workspace) -> None:
    """A popover in which the scale is chosen."""
    if space.is_measured:
        with st.popover("Scale: measured", icon=":material/straighten:", width="stretch"):
            st.caption("The traffic is in Mbit/s, as measured; no assumption is needed.")
        return
    with st.popover("Scale", icon=":material/straighten:", width="stretch"):
        st.caption(
            "The model gives relative traffic. One assumption turns it into Mbit/s, on every page and export."
        )
        chosen = space.scale
        kind = st.radio("What is known", list(KINDS), list(KINDS).index(chosen.kind), format_func=KINDS.get)
        figures = {}
        for name in ASKED[kind]:
            label, least, most, step = FIGURES[name]
            figures[name] = st.number_input(label, least, most, getattr(chosen, name), step)
        chosen = replace(chosen, kind=kind, **figures)
        if chosen == space.scale and chosen != ScaleChoice() and st.button("Back to the default assumption"):
            chosen = ScaleChoice()
        if chosen != space.scale:
            space.scale = chosen
            st.rerun()


def scale_caption(space: Workspace) -> None:
    """The assumption in words, for beside the figures that rest on it."""
    if space.traffic is not None:
        with errors_shown("reading the scale"):
            st.caption(told(space.stated_scale().sentence))
