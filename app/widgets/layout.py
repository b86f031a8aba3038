"""Pieces that several pages share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import colours
from app.background import deployment
from app.map import area_entry
from app.map.region import Picture, Region, open_region, tile_picture
from app.messages import errors_shown, plain
from app.server import tile_servers
from app.server.limits import limits
from app.state.controls import kept
from app.state.results import Made
from app.state.slots import Slot
from app.state.workspace import Workspace
from app.strategies import strategy_name
from app.widgets import accessible, navigation
from app.widgets.clock import hour_label
from plannerbase import formats

if TYPE_CHECKING:
    from planning.demand import Demand


OPACITY = "layer opacity"
AREA_TOTALS: Slot[np.ndarray] = Slot()
MEDIAN_DEMAND: "Slot[tuple[Demand, np.ndarray]]" = Slot()  # the demand, and its median by tile and hour


def header(title: str, purpose: str, step: tuple[str, str] | None) -> None:
    """The page's title, what it is for, and the button to the next page (its title and the label)."""
    left, right = st.columns([4, 1], vertical_alignment="center")
    left.markdown(f"### {title}")
    left.caption(purpose)
    if step:
        with right:
            navigation.next_step(*step)


def choice(key: str, label: str, options: list[str], chosen: str, name: Callable[[str], str]) -> str:
    """One of a few options, side by side; `chosen` is what the workspace holds."""
    if st.session_state.get(key) not in options:
        st.session_state[key] = chosen if chosen in options else options[0]
    return st.segmented_control(label, options, required=True, format_func=name, key=key) or options[0]


def time_limit(where: DeltaGenerator, key: str, preset: int) -> float:
    """Seconds that one call of the solver may take, `preset` at first; never more than the server allows."""
    most = limits().solver_seconds
    return float(where.number_input("Solver time limit (s)", 1, most, min(preset, most), **kept(key)))


def note(space: Workspace, place: str) -> None:
    """The error that is noted for this place, if there is one.

    In a place of its own: what comes and goes above a map would else make the browser mount it anew.
    """
    with st.container():
        if text := space.notes.get(place):
            st.error(plain(text), icon=":material/error:")


def outdated(space: Workspace, made: Made | None) -> bool:
    """Say so when `made` no longer fits what it was made from."""
    reason = space.outdated(made) if made else None
    with st.container():
        if reason:
            st.warning(reason, icon=":material/history:")
    return reason is not None


def region_of(space: Workspace) -> Region | None:
    """The region of the chosen source; when it cannot be opened, the page says why."""
    region = None
    with errors_shown("opening the open data"):
        region = open_region(space.source)
    return region


def city_of(region: Region) -> str:
    """Which city a region of open data shows: by its name, or the town nearest to its middle."""
    from app.map.gazetteer import nearest
    from opendiff.demo import REGIONS, source_name

    for name, place in REGIONS.items():
        if region.source == source_name(name):
            return place.label
    west, south, east, north = region.bounds
    town, _ = nearest((west + east) / 2, (south + north) / 2)
    return f"{town.label} (pack {region.name})"


def need_area(space: Workspace) -> bool:
    """True when there is an area; otherwise show how to get one."""
    if space.area is not None:
        return True
    with st.container(border=True):
        st.markdown("**No area yet.** Draw one on the map, or take the example.")
        left, right, _ = st.columns([1, 1, 3])
        with left:
            navigation.next_step("Area", "Draw an area")
        if right.button("Use example area", width="stretch"):
            area_entry.example(space)
            st.rerun()
    return False


def need_traffic(space: Workspace) -> bool:
    """True when there is traffic to plan on; otherwise show how to get it."""
    if space.traffic is not None:
        return True
    if need_area(space):
        with st.container(border=True):
            st.markdown("**No traffic yet.** Plans are made on generated traffic.")
            navigation.next_step("Traffic", "Generate traffic")
    return False


def network_caption(space: Workspace, where: Any) -> None:
    """Which network the plan is for."""
    from planning.deployment import UPLOADED

    made = space.network
    if made is not None and space.outdated(made) is None:
        plan = made.value.plan
        name = strategy_name(plan.strategy)
        whose = "On your sites" if plan.strategy == UPLOADED else f"On the network of the strategy “{name}”"
        where.caption(
            f"{whose}: {formats.counted(len(plan.network.sites), 'sites')}, "
            f"{formats.counted(len(plan.network.cells), 'cells')}."
        )
    else:
        sites = deployment.default_sites(space)
        begun = "No network yet" if made is None else "The network is out of date"
        where.caption(
            f"{begun}: {sites} base stations are deployed first, in proportion to traffic "
            "(change this under Network)."
        )


def area_profile(space: Workspace) -> np.ndarray:
    """Demand of the whole area by hour of the week, median of the samples, (168,) Mbit/s."""
    assert space.traffic is not None
    totals = space.cached(
        AREA_TOTALS,
        (space.traffic.identity, space.scale),
        lambda: space.demand().mbps.sum(axis=0, dtype=float),
    )
    return np.median(totals, axis=0)


def demand_picture(space: Workspace, demand: "Demand", hour: int | None) -> tuple[Picture, float]:
    """Demand of each tile, median of the samples, and the top of its colour scale, in Mbit/s; told to screen readers.

    hour: of the week (0..167); None for the mean over the week.
    """
    median = space.cached(MEDIAN_DEMAND, id(demand), lambda: (demand, demand.quantile(0.5)))[1]
    values = median.mean(axis=1) if hour is None else median[:, hour]
    top = colours.ramp_top(values[:, None] if hour is None else median)
    when = "mean of the week" if hour is None else hour_label(hour)
    accessible.tile_map("Demand of each tile", when, demand.x, demand.y, values, "Mbit/s")
    rgba = colours.ramp(values, top, opacity())
    return tile_picture(demand.x, demand.y, rgba[:, None, None, :]), top


def opacity() -> float:
    """Of the layer of traffic or demand over the map, 0 to 1, as chosen on any page."""
    return float(st.session_state.get(OPACITY, 70)) / 100


def opacity_control() -> None:
    """The slider of it."""
    st.slider("Layer opacity (%)", 10, 100, 70, 10, **kept(OPACITY))


def _has_imagery(region: Region) -> bool:
    """Whether the picture of a pack shows anything beside its plain ground."""
    rgba = region.picture.rgba
    return bool(((rgba[..., :3] != colours.rgb(colours.NO_CLASS)).any(axis=-1) & (rgba[..., 3] > 0)).any())


def land_cover_legend(region: Region) -> None:
    """What the colours of the background mean, and of the streets on it."""
    entries = (
        [(name, colour) for name, colour in colours.LAND_COVER.values()] if region.has_land_cover else []
    )
    if region.has_land_cover:
        entries.append(("no class", colours.NO_CLASS))
    elif _has_imagery(region):
        entries.append(("imagery of the package", "#9aa39a"))
    else:
        entries.append(("no imagery", colours.NO_CLASS))
    if tile_servers.chosen() is None:  # else the tiles are the background
        entries += region.streets.shown
    legend = colours.swatch_legend(entries, "Background, dashed line: where there is open data")
    st.html(f'<div class="ground">{legend}</div>')  # which the dark theme darkens as the map's background
