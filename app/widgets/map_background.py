"""The setting for what lies below the layers of all maps: what this machine has, or tiles of a server elsewhere."""

from urllib.parse import urlsplit

import streamlit as st

from app.messages import errors_shown, plain
from app.server import limits, tile_servers
from app.server.tile_servers import OSM, TileServer

OFFLINE, STREETS, OWN = "Offline: what this machine has", "OpenStreetMap's tile server", "Another tile server"
TOLD = (
    "Every map then asks this server for pictures of what it shows, so it learns where you look and from which network "
    "address. It gets no plans and no traffic. The choice is never saved with your work."
)


def map_background() -> None:
    """Choose it; without a choice nothing is asked for elsewhere."""
    present = tile_servers.chosen()
    with st.expander("Map background", icon=":material/layers:"), errors_shown("choosing the background"):
        if limits.shared():
            _offered(present)
        else:
            _any(present)


def _any(present: TileServer | None) -> None:
    kinds = [OFFLINE, STREETS, OWN]
    place = 0 if present is None else 1 if present == OSM else 2
    kind = st.radio("Background of all maps", kinds, place, key=f"map background {place}")
    wanted: TileServer | None = None
    lacking = False
    if kind == OWN:
        own = present if place == 2 else tile_servers.offered()
        address = st.text_input(
            "Address of tiles (XYZ or WMTS)", own.template if own else "", max_chars=tile_servers.MAX_LETTERS,
            placeholder="https://tiles.example.com/{z}/{x}/{y}.png", key="tile address",
            help="By https, or http of this machine, in Web Mercator. Of WMTS with {TileMatrix}, {TileCol}, {TileRow}.",
        )  # fmt: skip
        credit = st.text_input(
            "Whom to credit", own.attribution if own else "", max_chars=200, key="tile credit"
        )
        lacking = not address.strip()
        wanted = None if lacking else tile_servers.tile_server(address, credit)
    elif kind == STREETS:
        wanted = OSM
    if wanted == present:
        if present is not None:
            st.caption(plain(f"All maps show tiles of {urlsplit(present.template).netloc}."))
        return
    if kind != OFFLINE:
        st.caption(TOLD)
    label = "Show this background" if kind != OFFLINE else "Go back to the offline background"
    if st.button(label, disabled=lacking, width="stretch", key="choose background"):
        tile_servers.choose(wanted)
        st.rerun()


def _offered(present: TileServer | None) -> None:
    """On a shared server: what its keeper offers."""
    server = tile_servers.offered()
    if server is None:
        st.caption("Maps show what this server has. Its keeper offers no tile server (OPENDIFF_TILES).")
        return
    host = urlsplit(server.template).netloc
    wanted = st.toggle(plain(f"Show tiles of {host}"), present is not None, key="offered tiles")
    st.caption(TOLD)
    if wanted != (present is not None):
        tile_servers.choose(server if wanted else None)
        st.rerun()
