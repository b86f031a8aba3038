"""Area: where to plan."""

from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.colours import ramp_legend, swatch_legend
from app.map import area_entry
from app.map.drawing import editable
from app.map.known_tiles import (
    KNOWN,
    SOURCES,
    UNKNOWN,
    known_picture,
    known_tiles,
    label_of,
    layer_picture,
    shown_layers,
)
from app.map.region import Region
from app.map.view import map_view
from app.messages import errors_shown, plain
from app.saved import open_work
from app.state.controls import kept
from app.state.inputs import Upload, is_bundled
from app.state.slots import Slot
from app.state.workspace import Workspace, workspace
from app.widgets import accessible
from app.widgets.file_button import exported
from app.widgets.file_choices import file_choices
from app.widgets.file_report import file_report
from app.widgets.layout import city_of, land_cover_legend, note, region_of
from app.widgets.map_background import map_background
from app.widgets.navigation import next_step
from app.widgets.source import no_data, source_section
from app.widgets.work_menu import recent_work
from plannerbase import formats

SEED: Slot[Any] = Slot()
KNOWN_TILES: Slot[dict[str, np.ndarray]] = Slot()
SHOWN = "coverage shown"  # key of the control that paints a source's tiles
MAX_COUNTED = 20_000  # tiles whose sources are counted


def page() -> None:
    """What the product is, left the map to draw on, right what the area holds and other ways to give it."""
    space = workspace()
    region = region_of(space)
    top = st.container()  # a place of its own: what comes and goes in it would else mount the map below anew
    left, right = st.columns([7, 3], gap="medium")
    with left:
        if region is not None:
            _map(space, region)
    if space.area is None:  # as the map has left it
        with top:
            _welcome(space, region)
    with right:
        st.markdown("### Area")
        note(space, area_entry.PLACE)
        _summary(space)
        if space.area is None:
            _recent(space)
        _other_ways(space)
        source_section(space)
        map_background()


def _welcome(space: Workspace, region: Region | None) -> None:
    """What the product is, which city this is, and the quickest way to begin, above the map."""
    with st.container(key="welcome"):
        left, right = st.columns([3, 1], vertical_alignment="center")
        left.markdown(
            "**Plan a mobile network from open data:** traffic hour by hour, sites, coverage, sleeping cells, spectrum."
        )
        if region is not None:
            left.caption(
                f"The map shows {plain(city_of(region))}. Draw an outline on it with :material/pentagon: or "
                ":material/rectangle:, search a place, or start with an example."
            )
        if right.button("Use example area", type="primary", icon=":material/bolt:", width="stretch"):
            area_entry.example(space)
            st.rerun()
        if is_bundled(space.source):
            _other_regions(space, right)


def _other_regions(space: Workspace, where: DeltaGenerator) -> None:
    """A button for an example in each of the other bundled regions."""
    from opendiff.demo import REGIONS, source_name

    for name, place in REGIONS.items():
        source = source_name(name)
        if source != space.source and where.button(
            f"Example in {place.label}", key=f"to {source}", width="stretch"
        ):
            space.source = source
            area_entry.example(space)
            st.rerun()


def _recent(space: Workspace) -> None:
    """Work to go on with, where there is no area yet."""
    if open_work.recent(1):
        with (
            st.expander("Recent work", icon=":material/history:", expanded=True),
            errors_shown("opening the work"),
        ):
            recent_work(space, headed=False)


def _map(space: Workspace, region: Region) -> None:
    key = f"area {space.map_version} {space.source}"
    seed = space.cached(SEED, key, lambda: space.area.geometry if space.area else None)
    accessible.tell(
        "Map to draw the area on with the mouse. Without one: search a place, upload a file, or type corners."
    )
    pictures = _known_picture(space)
    events = map_view(key, region, outline=seed, draw=True, pictures=pictures, height=560)
    if events.drawings is not None and st.session_state.get("drawn") != (key, events.drawings):
        st.session_state["drawn"] = (key, events.drawings)
        kept = None if seed is None or editable(seed) else seed
        if kept is None or events.drawings:
            area_entry.from_drawings(space, events.drawings)
            if key != f"area {space.map_version} {space.source}":
                st.rerun()  # the map shows what was not taken
    if pictures:
        _legend(space, st.session_state[SHOWN])
    land_cover_legend(region)
    for text in region.notes:
        st.warning(plain(text), icon=":material/report:")


def _legend(space: Workspace, chosen: str) -> None:
    """Of the source or layer that is painted."""
    from opendiff.open_data.layers import SHOWN_LAYERS

    name = label_of(chosen)
    if chosen in SOURCES:
        entries = [(f"{name}: known", KNOWN), (f"{name}: not known", UNKNOWN)]
        st.html(swatch_legend(entries, "Data coverage of the tiles"))
        return
    values = _known(space)[chosen]
    unit = SHOWN_LAYERS[chosen].unit
    st.html(ramp_legend(f"{name} ({unit}); no model is told of it", layer_picture(space.tiles, values)[1]))


def _known(space: Workspace) -> dict[str, np.ndarray]:
    """Which tiles each source knows, by source, bool, and the values of layers that are only shown; nothing where it
    cannot be told."""
    if space.tiles is None or not space.tiles_with_data or len(space.tiles) > MAX_COUNTED:
        return {}
    found: dict[str, np.ndarray] = {}
    with errors_shown("counting the data coverage of the tiles"):
        found = space.cached(
            KNOWN_TILES,
            space.area_identity,
            lambda: known_tiles(space.source, space.tiles) | shown_layers(space.source, space.tiles),
        )
    return found


def _known_picture(space: Workspace) -> list:
    chosen = st.session_state.get(SHOWN)
    known = _known(space) if chosen else {}
    if chosen not in known:
        return []
    if chosen in SOURCES:
        return [known_picture(space.tiles, known[chosen])]
    return [layer_picture(space.tiles, known[chosen])[0]]


def _known_choice(space: Workspace) -> None:
    """How many tiles each source knows; the one chosen is painted on the map."""
    known = _known(space)
    if known:
        count = {
            name: int((values if name in SOURCES else np.isfinite(values)).sum())
            for name, values in known.items()
        }
        st.pills(
            "Data coverage (click to show)",
            list(known),
            format_func=lambda name: (
                f"{label_of(name)} {formats.number(count[name])} of {formats.number(len(known[name]))}"
            ),
            wrap=True,
            **kept(SHOWN),
        )


def _summary(space: Workspace) -> None:
    if space.area is None or space.tiles is None:
        st.caption("No area yet.")
        return
    from opendiff.area.tile_grid import tile_area_km2

    tiles = space.tiles
    km2 = float((tile_area_km2(tiles["x"], tiles["y"]) * tiles["covered_share"]).sum())
    name = st.text_input(
        "Name", space.area.name, max_chars=80, key=f"name {space.area_identity} {space.map_version}"
    )
    if name.strip() and name != space.area.name:
        space.rename_area(name.strip())
    one, two, three = st.columns(3)
    one.metric("Area (km²)", formats.significant(km2))
    two.metric("Tiles", formats.number(len(tiles)))
    three.metric("With data", formats.number(space.tiles_with_data))
    if space.tiles_with_data == 0:
        no_data(space)
    elif space.tiles_with_data < len(tiles):
        missing = len(tiles) - space.tiles_with_data
        st.caption(f"{formats.counted(missing, 'tiles have no open data and are left out of the traffic')}.")
    if space.tiles_with_data:
        next_step("Traffic", "Next: generate traffic")
    _known_choice(space)


def _other_ways(space: Workspace) -> None:
    with st.expander("Search a place", icon=":material/search:"):
        _search(space)
    with st.expander("Upload a file", icon=":material/upload_file:"):
        file = st.file_uploader(
            "GeoJSON, KML, KMZ, GeoPackage, FlatGeobuf, GPX, MIF or zipped Shapefile",
            type=["geojson", "json", "geojsonl", "kml", "kmz", "gpx", "fgb", "gpkg", "mif", "zip"],
            key="area file",
            max_upload_size=20,  # MB, the limit of the reader
        )
        if file is not None:
            data = file.getvalue()
            choice = file_choices(space, Upload(file.name, data), "area")
            taken = (file.file_id, choice.layer, choice.crs)
            if st.session_state.get("taken file") != taken:
                st.session_state["taken file"] = taken
                area_entry.from_upload(space, data, file.name, choice.layer, choice.crs)
                st.rerun()
        if file is not None and space.area is not None:
            file_report(space.area.report, file.name)
    with st.expander("Type corners", icon=":material/select_all:"):
        with st.form("box", border=False):
            text = st.text_input(
                "West, south, east, north (degrees)", placeholder="115.84, 28.66, 115.92, 28.72"
            )
            if st.form_submit_button("Take this box", width="stretch"):
                area_entry.from_box(space, text)
                st.rerun()
        with st.form("corners", border=False):
            corners = st.text_area(
                "Corners of an outline: longitude, latitude, one corner a line",
                placeholder="115.84, 28.66\n115.92, 28.66\n115.90, 28.72",
            )
            if st.form_submit_button("Take this outline", width="stretch"):
                area_entry.from_corners(space, corners)
                st.rerun()
    if space.area is not None:
        with st.expander("Download or replace", icon=":material/download:"):
            import json

            feature = {
                "type": "Feature",
                "properties": {"name": space.area.name},
                "geometry": space.area.to_geojson(),
            }
            st.download_button(
                "Download the outline (GeoJSON)",
                exported(json.dumps(feature).encode, "area.geojson"),
                "area.geojson",
                "application/geo+json",
                on_click="ignore",
                width="stretch",
            )
            if st.button("Use example area", width="stretch"):
                area_entry.example(space)
                st.rerun()


def _search(space: Workspace) -> None:
    """A place by name or coordinates, found without a network; it becomes a box of 6 km around it."""
    from app.map.gazetteer import ATTRIBUTION, search

    text = st.text_input(
        "Place name, or latitude, longitude", placeholder="Paris", key="place searched", max_chars=80
    )
    if not text:
        st.caption(ATTRIBUTION)
        return
    found = search(text)
    if not found:
        st.caption("No place of more than 15,000 people has this name. Try coordinates, as 48.85, 2.35.")
    for row, place in enumerate(found):
        people = f" · {formats.number(place.population)} people" if place.population else ""
        if st.button(plain(f"{place.label}{people}"), key=f"place {row}", width="stretch"):
            area_entry.around(space, place.name, place.lon, place.lat)
            st.rerun()
