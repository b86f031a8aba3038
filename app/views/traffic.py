"""Traffic: a generated week of the area, as an ensemble."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from app.background import generation
from app.charts import traffic as traffic_charts
from app.colours import ramp, ramp_legend, ramp_top
from app.files.traffic import PARQUET, csv_bytes, parquet_bytes, traffic_extent
from app.map.region import Region, bounds_of_tile, tile_picture
from app.map.view import map_view
from app.messages import errors_shown, plain, told
from app.server.limits import limits
from app.state.controls import kept
from app.state.slots import Slot
from app.state.workspace import Workspace, workspace
from app.widgets import accessible
from app.widgets.clock import hour_control, hour_label
from app.widgets.file_button import file_button
from app.widgets.layout import header, need_area, note, opacity, opacity_control, outdated, region_of
from app.widgets.live import live
from app.widgets.measurements import measurements, worth
from app.widgets.scale import scale_caption, scale_setting
from app.widgets.traffic_details import details
from plannerbase import formats

if TYPE_CHECKING:
    from opendiff.traffic_table import TrafficEnsemble


TOTALS: Slot[np.ndarray] = Slot()
MEDIAN: Slot[np.ndarray] = Slot()
CLICKED, LEFT = "traffic clicked", "traffic click left"
AGAIN = "regenerate traffic"  # key of what holds its settings


def page() -> None:
    """Controls, the week of the area, one tile of it, and more about it."""
    space = workspace()
    header(
        "Traffic",
        "One week of hourly traffic, generated from open data: an ensemble of possible weeks.",
        ("Network", "Next: network") if space.traffic else None,
    )
    note(space, generation.JOB)
    if not need_area(space):
        return
    stale = outdated(space, space.traffic)
    if space.traffic is None or stale:
        _generate(space, primary=True)
    region = region_of(space)
    if region is None:
        return
    if space.traffic is None:
        assert space.area is not None
        map_view(f"preview {space.area_identity}", region, outline=space.area.geometry, height=440)
        return
    unit_at, scale_at = st.columns([4, 1], vertical_alignment="bottom")
    with scale_at:
        scale_setting(space)
    with unit_at:
        unit = _unit()
    live(space, partial(_result, space, region, unit, stale))


def _generate(space: Workspace, primary: bool) -> None:
    with st.container(border=primary):
        action, advanced = st.columns([1, 3], vertical_alignment="center")
        with advanced.expander("Advanced", icon=":material/tune:", expanded=not primary):
            one, two, three = st.columns(3)
            samples = one.number_input(
                "Samples",
                1,
                limits().samples,
                min(20, limits().samples),
                help="Possible weeks to draw. More give a smoother band and take longer.",
                **kept("samples"),
            )
            seed = two.number_input(
                "Seed", 0, 2**31 - 1, 0, help="The same seed gives the same traffic.", **kept("seed")
            )
            guidance = three.number_input(
                "Guidance scale",
                0.0,
                10.0,
                None,
                0.5,
                placeholder="model default",
                help="How strictly traffic follows the open data (μ of eq. 8). 0 is plain; more varies less.",
                **kept("guidance"),
            )
        with advanced.expander("Your own measurements", icon=":material/upload_file:"):
            read = measurements(space)
        if action.button(
            "Generate traffic",
            type="primary" if primary else "secondary",
            icon=":material/auto_awesome:",
            disabled=generation.JOB in space.jobs or space.tiles_with_data == 0,
            width="stretch",
        ):
            with errors_shown("starting"):
                generation.start(space, int(samples), int(seed), guidance, read.tiles if read else None)
                st.rerun()
        if space.tiles_with_data == 0:
            action.caption("No tile of the area has data.")


def _result(space: Workspace, region: Region, unit: str, stale: bool) -> None:
    assert space.traffic is not None
    ensemble, identity = space.traffic.value, space.traffic.identity
    factor = space.stated_scale().mbps_per_unit if unit == "Mbit/s" else 1.0
    weight = (ensemble.tiles["covered_share"].to_numpy() * factor).astype(np.float32)
    totals = space.cached(
        TOTALS, (identity, unit, space.scale), lambda: np.einsum("ish,i->sh", ensemble.traffic, weight)
    )
    median = space.cached(MEDIAN, identity, ensemble.median) * weight[:, None]
    profile = np.median(totals, axis=0)
    hour = hour_control(space, profile)
    _figures(profile, hour, unit, ensemble)
    left, right = st.columns([1, 1], gap="medium")
    with left:
        tile = _map(space, region, median, hour, unit)
    with right:
        if tile is None:
            series, title = totals, "Whole area"
        else:
            x, y = ensemble.tiles["x"].iloc[tile], ensemble.tiles["y"].iloc[tile]
            series, title = ensemble.traffic[tile] * weight[tile], f"Tile {x}, {y}"
        heading, back = st.columns([3, 2], vertical_alignment="center")
        heading.markdown(f"**{title}**")
        if tile is not None:
            back.button(
                "Back to whole area", icon=":material/zoom_out_map:", on_click=_whole_area, width="stretch"
            )
        week = traffic_charts.week_band(series, hour, unit)
        accessible.chart(week, f"Week of traffic: {title}", "week band")
        st.caption(
            "Line: median of the samples. Bands: where traffic lies with a probability of 50 % and 90 %. "
            "Click a tile on the map for its own week."
        )
        if unit == "Mbit/s":
            scale_caption(space)
        _origin(ensemble.metadata)
        limits_of_traffic(ensemble.metadata)
    with errors_shown("showing what the measurements are worth"):
        worth(space, region, hour)
    details(space, median, profile, hour, unit)
    _downloads(space)
    if not stale:
        again = st.expander(
            "Change settings and regenerate", icon=":material/refresh:", key=AGAIN, on_change="rerun"
        )
        if again.open:  # else its controls would be sent with every hour
            with again:
                _generate(space, primary=False)


def _unit() -> str:
    return st.segmented_control(
        "Unit",
        ["Mbit/s", "relative units"],
        default="Mbit/s",
        required=True,
        label_visibility="collapsed",
        **kept("traffic unit"),
    )


def _map(space: Workspace, region: Region, median: np.ndarray, hour: int, unit: str) -> int | None:
    """The map of an hour; the row of the tile that was clicked last. median: (tiles, 168) in `unit`."""
    assert space.traffic is not None
    ensemble = space.traffic.value
    values, top = median[:, hour], ramp_top(median)
    x, y = ensemble.tiles["x"].to_numpy(), ensemble.tiles["y"].to_numpy()
    accessible.tile_map("Traffic of each tile", hour_label(hour), x, y, values, unit)
    clicked = st.session_state.get(CLICKED)
    tile = _clicked_tile(clicked if clicked != st.session_state.get(LEFT) else None, x, y)
    events = map_view(
        f"traffic {space.traffic.identity}",
        region,
        outline=space.outline_of(ensemble.metadata),
        pictures=[tile_picture(x, y, ramp(values, top, opacity())[:, None, None, :])],
        marked=[] if tile is None else [bounds_of_tile(int(x[tile]), int(y[tile]))],
        clicks=True,
        height=440,
    )
    st.html(ramp_legend(f"Median traffic of a tile, {hour_label(hour)} ({unit})", top))
    opacity_control()
    if events.clicked != clicked:
        st.session_state[CLICKED] = events.clicked
        st.rerun()  # with the tile outlined
    return tile


def _whole_area() -> None:
    """The click that is shown counts no longer."""
    st.session_state[LEFT] = st.session_state.get(CLICKED)


def _origin(metadata: dict[str, Any]) -> None:
    """What could not be had when the traffic was made, and whom to credit."""
    for text in metadata.get("notes", []):
        st.warning(told(str(text)), icon=":material/report:")
    if credit := metadata.get("attribution"):
        st.caption(plain(f"Made from: {credit}"))


def limits_of_traffic(metadata: dict[str, Any]) -> None:
    """What the figures rest on, where they are shown: the model's own sentences on extrapolation, hours and scale."""
    sentences = [str(text) for text in metadata.get("assumptions", [])]
    if sentences:
        with st.expander(
            "What these figures rest on: extrapolation, night hours, scale", icon=":material/info:"
        ):
            st.markdown("\n".join(f"- {told(text)}" for text in sentences))


def _figures(profile: np.ndarray, hour: int, unit: str, ensemble: "TrafficEnsemble") -> None:
    peak = int(profile.argmax())
    columns = st.columns(4)
    columns[0].metric(f"Now, {hour_label(hour)}", f"{formats.significant(profile[hour])} {_short(unit)}")
    columns[1].metric(
        f"Busy hour, {hour_label(peak)}", f"{formats.significant(profile[peak])} {_short(unit)}"
    )
    columns[2].metric("Weekly mean", f"{formats.significant(profile.mean())} {_short(unit)}")
    columns[3].metric("Tiles × samples", f"{len(ensemble.tiles)} × {ensemble.samples}")


def _short(unit: str) -> str:
    return unit if unit == "Mbit/s" else ""


def _clicked_tile(clicked: tuple[float, float] | None, x: np.ndarray, y: np.ndarray) -> int | None:
    if clicked is None:
        return None
    from opendiff.area.tile_grid import tile_at

    column, row = tile_at(*clicked)
    found = np.flatnonzero((x == column) & (y == row))
    return int(found[0]) if len(found) else None


def _downloads(space: Workspace) -> None:
    assert space.traffic is not None
    ensemble = space.traffic.value
    extent = traffic_extent(ensemble)
    one, two, _ = st.columns([1, 1, 2])
    make = partial(parquet_bytes, ensemble)
    file_button(one, "Traffic table (Parquet)", make, "traffic.parquet", PARQUET, extent)
    file_button(two, "Traffic table (CSV)", partial(csv_bytes, ensemble), "traffic.csv", "text/csv", extent)
