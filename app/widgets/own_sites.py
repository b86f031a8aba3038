"""Sites that the user uploads: the network to plan with, existing sites of a new plan, or real sites to judge by."""

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.messages import sentence
from app.state.inputs import OwnSites, Upload
from app.state.slots import Slot
from app.state.workspace import Workspace
from app.widgets.file_choices import (
    ALL_LAYERS,
    column_controls,
    column_mapping,
    held_by,
    one_of,
    recall,
    reference_system,
    remember,
)
from app.widgets.file_report import file_report
from app.widgets.layout import note
from app.widgets.uploads import upload

if TYPE_CHECKING:
    from planning.network.files import Preview

TYPES = [
    "csv",
    "txt",
    "tsv",
    "xlsx",
    "xlsm",
    "geojson",
    "json",
    "geojsonl",
    "ndjson",
    "kml",
    "kmz",
    "gpx",
    "fgb",
    "gpkg",
    "parquet",
    "mif",
    "zip",
]
MAX_MB = 100
COLUMNS_HELD: Slot[Any] = Slot()
PLACE = "own sites"  # where notes about the file are shown
COLUMNS = {"lon": "Longitude", "lat": "Latitude", "site": "Site name", "cell": "Cell name", "azimuth": "Azimuth",
           "technology": "Technology", "capacity_mbps": "Capacity (Mbit/s)", "band": "Band",
           "frequency_mhz": "Frequency (MHz)", "height_m": "Antenna height (m)", "tilt_deg": "Downtilt (°)",
           "power_dbm": "Power (dBm)"}  # fmt: skip
ALL_NETWORKS = "(all)"


def own_sites(space: Workspace) -> OwnSites | None:
    """The uploader with its choices and validation report; the sites of the last file that could be read."""
    file = upload(
        space,
        "own sites file",
        "Your sites",
        TYPES,
        MAX_MB,
        "Sites, or cells with their sites: CSV, XLSX or Parquet with any column names, GeoJSON, KML, KMZ, GPX, "
        "FlatGeobuf, GeoPackage, MIF, zipped Shapefile, an OpenCelliD CSV (cells are clustered), or an extract of "
        "OpenStreetMap (its masts).",
    )
    if file is None:
        space.own_sites = None
        return None
    layer = str(st.session_state.get("own layer") or "")
    held = space.cached(COLUMNS_HELD, (file.identity, layer), lambda: held_by(file, layer))
    chosen = _choices(file, held) if held is not None and held.columns else {}
    if held is not None and held.columns:
        st.dataframe(held.sample, hide_index=True, width="stretch", height=120)
    identity = (file.identity, *sorted(chosen.items()))
    if space.own_sites is None or space.own_sites.identity != identity:
        _read(space, file, chosen, identity)
    note(space, PLACE)
    if space.own_sites is not None and space.own_sites.identity == identity:
        file_report(space.own_sites.report, file.name)
    return space.own_sites


def _read(space: Workspace, file: Upload, chosen: dict[str, str], identity: tuple) -> None:
    from planning.network.files import Choice, import_network

    mapping = {ours: theirs for ours, theirs in chosen.items() if ours in COLUMNS}
    choice = Choice(mapping, chosen.get("layer", ""), chosen.get("network", ""), chosen.get("crs", ""))
    try:
        found = import_network(file.data, file.name, choice=choice)
    except Exception as error:
        space.notes[PLACE] = sentence(error, "reading the sites")
        return
    space.notes.pop(PLACE, None)
    space.own_sites = OwnSites(file.name, found.network, found.report, identity)


def _choices(file: Upload, held: "Preview") -> dict[str, str]:
    """The sheet or layer, operator, reference system and columns that the user chose: those of the last file of this
    shape at first."""
    from planning.network.files import guess_mapping

    shape = recall(file, held, "own")
    one, two, three = st.columns(3)
    chosen = {}
    if len(held.layers) > 1:
        chosen["layer"] = one_of(one, "Sheet or layer", "own layer", ALL_LAYERS, held.layers)
    if len(held.networks) > 1:
        chosen["network"] = one_of(two, "Operator", "own network", ALL_NETWORKS, held.networks)
    chosen["crs"] = reference_system(three, "own crs")
    chosen |= column_mapping(held.columns, COLUMNS, guess_mapping(held.columns), "own", ("lon", "lat"))
    remember(shape, ("own layer", "own network", "own crs", *column_controls("own", COLUMNS)))
    return {name: value for name, value in chosen.items() if value}
