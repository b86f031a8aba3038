"""Sites that the user uploads: the network to plan with, existing sites of a new plan, or real sites to judge by."""

import pandas as pd
import streamlit as st

from app.messages import plain, sentence
from app.state.controls import kept
from app.state.inputs import OwnSites, Upload
from app.state.workspace import Workspace
from app.widgets.layout import note
from app.widgets.uploads import upload

TYPES = ["csv", "txt", "xlsx", "geojson", "json", "kml", "kmz", "gpkg", "zip"]
MOST_MB = 100
PLACE = "own sites"  # where notes about the file are shown
COLUMNS = {"lon": "Longitude", "lat": "Latitude", "site": "Site name", "cell": "Cell name", "azimuth": "Azimuth",
           "technology": "Technology", "capacity_mbps": "Capacity (Mbit/s)", "band": "Band",
           "frequency_mhz": "Frequency (MHz)", "height_m": "Antenna height (m)", "tilt_deg": "Downtilt (°)",
           "power_dbm": "Power (dBm)"}  # fmt: skip
GUESSED = "(guess)"


def own_sites(space: Workspace) -> OwnSites | None:
    """The uploader with its column mapping and validation report; the sites of the last file that could be read."""
    file = upload(
        space,
        "own sites file",
        "Your sites",
        TYPES,
        MOST_MB,
        "Sites, or cells with their sites: CSV or XLSX with any column names, GeoJSON, KML, KMZ, GeoPackage, "
        "zipped Shapefile, an OpenCelliD CSV (cells are clustered), or an extract of OpenStreetMap (its masts).",
    )
    if file is None:
        space.own_sites = None
        return None
    columns, sample = space.cached("own columns", file.identity, lambda: _columns(file.data, file.name))
    mapping = _mapping(columns) if columns else {}
    if sample is not None:
        st.dataframe(sample, hide_index=True, width="stretch", height=120)
    identity = (file.identity, *sorted(mapping.items()))
    if space.own_sites is None or space.own_sites.identity != identity:
        _read(space, file, mapping, identity)
    note(space, PLACE)
    if space.own_sites is not None and space.own_sites.identity == identity:
        st.markdown("\n".join(f"- {plain(line)}" for line in space.own_sites.report))
    return space.own_sites


def _read(space: Workspace, file: Upload, mapping: dict[str, str], identity: tuple) -> None:
    from planning.network.files import import_network

    try:
        found = import_network(file.data, file.name, mapping)
    except Exception as error:
        space.notes[PLACE] = sentence(error, "reading the sites")
        return
    space.notes.pop(PLACE, None)
    space.own_sites = OwnSites(file.name, found.network, found.report, identity)


def _columns(data: bytes, name: str) -> tuple[list[str], pd.DataFrame | None]:
    """Column names of a plain table and its first rows; nothing for files of our own or that cannot be read."""
    from planning.errors import PlanningError
    from planning.network.files import preview

    try:
        columns, sample = preview(data, name)
    except PlanningError:
        return [], None  # told where the sites are read
    return columns, sample if columns else None


def _mapping(columns: list[str]) -> dict[str, str]:
    """Our column: the file's, where the user chose one."""
    from planning.network.files import guess_mapping

    guessed = guess_mapping(columns)
    missing = not {"lon", "lat"} <= set(guessed)
    chosen = {}
    with st.expander("Columns", icon=":material/table:", expanded=missing):
        for ours, column in zip(COLUMNS, [c for _ in range(3) for c in st.columns(4)], strict=False):
            options = [GUESSED, *columns]
            label = COLUMNS[ours] + (plain(f" ({guessed[ours]})") if ours in guessed else "")
            settings = kept(f"own column {ours}")
            if st.session_state.get(settings["key"]) not in options:  # chosen for another file
                st.session_state.pop(settings["key"], None)
            picked = column.selectbox(label, options, **settings)
            if picked != GUESSED:
                chosen[ours] = picked
    return chosen
