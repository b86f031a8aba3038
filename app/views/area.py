"""Area: where to plan."""

import numpy as np
import streamlit as st

from app.colours import number
from app.map import area_entry
from app.map.drawing import editable
from app.map.known_tiles import SOURCES, known_picture, known_tiles
from app.map.region import Region
from app.map.view import map_view
from app.messages import errors_shown, plain
from app.state.controls import kept
from app.state.workspace import Workspace, workspace
from app.widgets import accessible
from app.widgets.file_button import exported
from app.widgets.layout import land_cover_legend, note, region_of
from app.widgets.navigation import next_step
from app.widgets.source import source_section

SHOWN = "coverage shown"  # key of the control that paints a source's tiles
MOST_COUNTED = 20_000  # tiles whose sources are counted


def page() -> None:
    """Left the map to draw on, right what the area holds and other ways to give it."""
    space = workspace()
    region = region_of(space)
    left, right = st.columns([7, 3], gap="medium")
    with left:
        if region is not None:
            _map(space, region)
    with right:
        st.markdown("### Area")
        note(space, area_entry.PLACE)
        _summary(space)
        _other_ways(space)
        source_section(space)


def _map(space: Workspace, region: Region) -> None:
    key = f"area {space.map_version} {space.source}"
    seed = space.cached("seed", key, lambda: space.area.geometry if space.area else None)
    accessible.tell(
        "Map to draw the area on with the mouse. Without one: upload a file, or give corners in degrees."
    )
    events = map_view(key, region, outline=seed, draw=True, pictures=_known_picture(space), height=560)
    if events.drawings is not None and st.session_state.get("drawn") != (key, events.drawings):
        st.session_state["drawn"] = (key, events.drawings)
        kept = None if seed is None or editable(seed) else seed
        if kept is None or events.drawings:
            area_entry.from_drawings(space, events.drawings)
    land_cover_legend(region)
    for text in region.notes:
        st.warning(plain(text), icon=":material/report:")


def _known(space: Workspace) -> dict[str, np.ndarray]:
    """Which tiles each source knows, by source; nothing where it cannot be told."""
    if space.tiles is None or not space.tiles_with_data or len(space.tiles) > MOST_COUNTED:
        return {}
    found: dict[str, np.ndarray] = {}
    with errors_shown("counting what is known of the tiles"):
        found = space.cached(
            "known tiles", space.area_identity, lambda: known_tiles(space.source, space.tiles)
        )
    return found


def _known_picture(space: Workspace) -> list:
    chosen = st.session_state.get(SHOWN)
    known = _known(space) if chosen else {}
    return [known_picture(space.tiles, known[chosen])] if chosen in known else []


def _known_choice(space: Workspace) -> None:
    """How many tiles each source knows; the one chosen is painted on the map."""
    known = _known(space)
    if known:
        st.segmented_control(
            "Known of the tiles (choose one to see it on the map)",
            list(known),
            format_func=lambda name: f"{SOURCES[name]} {int(known[name].sum()):,} of {len(known[name]):,}",
            **kept(SHOWN),
        )


def _summary(space: Workspace) -> None:
    if space.area is None or space.tiles is None:
        st.markdown(
            "Draw the outline on the map with :material/pentagon: or :material/rectangle:, or start at once:"
        )
        if st.button("Use example area", type="primary", icon=":material/bolt:", width="stretch"):
            area_entry.example(space)
            st.rerun()
        return
    from opendiff.area.tile_grid import tile_area_km2

    tiles = space.tiles
    km2 = float((tile_area_km2(tiles["x"], tiles["y"]) * tiles["covered_share"]).sum())
    name = st.text_input("Name", space.area.name, max_chars=80, key=f"name {space.area_identity}")
    if name.strip() and name != space.area.name:
        space.rename_area(name.strip())
    one, two, three = st.columns(3)
    one.metric("km²", number(km2))
    two.metric("Tiles", f"{len(tiles):,}")
    three.metric("With data", f"{space.tiles_with_data:,}")
    if space.tiles_with_data == 0:
        st.warning(
            "No tile of this area has open data; draw inside the dashed line, or choose another source below."
        )
    elif space.tiles_with_data < len(tiles):
        missing = len(tiles) - space.tiles_with_data
        st.caption(f"{missing:,} tiles have no open data and are left out of the traffic.")
    if space.tiles_with_data:
        next_step("Traffic", "Next: generate traffic")
    _known_choice(space)


def _other_ways(space: Workspace) -> None:
    with st.expander("Upload a file", icon=":material/upload_file:"):
        file = st.file_uploader(
            "GeoJSON, KML, KMZ, GeoPackage or zipped Shapefile",
            type=["geojson", "json", "kml", "kmz", "gpkg", "zip"],
            key="area file",
            max_upload_size=20,  # MB, the limit of the reader
        )
        if file is not None and st.session_state.get("taken file") != file.file_id:
            st.session_state["taken file"] = file.file_id
            area_entry.from_upload(space, file.getvalue(), file.name)
            st.rerun()
    with st.expander("Type a box", icon=":material/select_all:"), st.form("box", border=False):
        text = st.text_input("West, south, east, north (degrees)", placeholder="115.84, 28.66, 115.92, 28.72")
        if st.form_submit_button("Take this box", width="stretch"):
            area_entry.from_box(space, text)
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
