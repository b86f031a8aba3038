"""What the pages of the planners have in common: from controls to a plan, and to other settings for the next one."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.map.dots import Dots
from app.map.region import Picture, Region
from app.map.view import map_view
from app.state.results import Made
from app.state.workspace import Workspace
from app.widgets import accessible
from app.widgets.layout import need_traffic, network_caption, note, outdated

if TYPE_CHECKING:
    import pandas as pd

    from planning.demand import Demand


def plan_page(
    space: Workspace,
    made: Made | None,
    job: str,
    again: str,
    controls: Callable[[bool], None],
    result: Callable[[], None],
    fits: bool = True,
) -> None:
    """Controls above all where a plan is still to be made, else the plan, with the controls folded below it.

    made: the plan; job: the name of the work that makes it. again: what the folded controls are called. controls: shows
    them, told whether they come first; result: shows the plan. fits: False for a plan that is to be made again.
    """
    note(space, job)
    if not need_traffic(space):
        return
    first = made is None or outdated(space, made) or not fits
    if first:
        controls(True)
    if made is None:
        return
    result()
    if not first:
        with st.expander(again, icon=":material/tune:"):
            controls(False)


def places_of_controls(space: Workspace, primary: bool) -> tuple[DeltaGenerator, DeltaGenerator]:
    """(where the button stands, where the settings do); where they come first, with the network they are for."""
    if not primary:
        whole = st.container()
        return whole, whole
    button, rest = st.columns([1, 3], vertical_alignment="center")
    network_caption(space, rest)
    return button, st.expander("Advanced", icon=":material/tune:")


def start_button(
    where: DeltaGenerator, label: str, icon: str, primary: bool, disabled: bool, wide: bool = True
) -> bool:
    """The button that starts the work; True in the run in which it was pressed."""
    return where.button(
        label,
        type="primary" if primary else "secondary",
        icon=icon,
        disabled=disabled,
        width="stretch" if wide else "content",
    )


CLICK_M = 300.0  # as far from a site as a click still means it


def site_at(clicked: tuple[float, float] | None, sites: "pd.DataFrame") -> str | None:
    """The site that a click (lon, lat) means: the nearest one, if it is near."""
    from planning.geometry import local_metres

    if clicked is None or not len(sites):
        return None
    lon, lat = sites["lon"].to_numpy(float), sites["lat"].to_numpy(float)
    apart = np.hypot(*local_metres(lon, lat, clicked).T)
    return str(sites["site"].iloc[int(apart.argmin())]) if apart.min() <= CLICK_M else None


def map_of_places(
    space: Workspace,
    key: str,
    region: Region,
    demand: "Demand",
    places: Mapping[str, Dots],
    when: str,
    pictures: Sequence[Picture] = (),
    height: int = 400,
    clicks: bool = False,
) -> tuple[float, float] | None:
    """A map of sites and users in the area that `demand` is for, told to screen readers; the last click (lon, lat).

    places: by what they are, those on top last. when: the hour, or another word for what is shown. height: in pixels.
    clicks: whether a click runs the page.
    """
    for title, dots in places.items():
        accessible.site_map(title, when, dots)
    outline = space.outline_of(demand.metadata)
    events = map_view(
        key,
        region,
        outline=outline,
        pictures=pictures,
        dots=list(places.values()),
        clicks=clicks,
        height=height,
    )
    return events.clicked
