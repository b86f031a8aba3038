"""The part of the Area page where the source of open data is chosen."""

import re
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.background import open_data
from app.map import area_entry
from app.map.region import open_region
from app.messages import errors_shown, show_error
from app.server import limits
from app.server.folders import keep_upload, own_folder
from app.state.controls import kept
from app.state.inputs import Upload, is_bundled
from app.state.slots import Slot
from app.state.workspace import Workspace
from app.widgets.file_choices import column_controls, column_mapping, held_by, recall, remember
from app.widgets.file_report import file_report
from app.widgets.layout import note

if TYPE_CHECKING:
    from opendiff.live.population import PopulationUnit
    from opendiff.poi.tables import Datum

BUNDLED, PACK, FILES, LIVE = "Bundled region", "Offline data package", "My own files", "Live providers"
POI_LABELS = {"lon": "Longitude", "lat": "Latitude", "category": "Category"}
MAX_SHOWN_BYTES = 20_000_000  # of a table whose columns are offered
POI_HELD: Slot[Any] = Slot()
NO_AREA = "Choose the area first: draw it, search a place, upload it or type its corners."


def source_section(space: Workspace) -> None:
    """Choose where open data comes from; what is chosen becomes `space.source`."""
    note(space, open_data.JOB)
    if (report := space.reports.get(open_data.JOB)) is not None:
        file_report(report, "your files")
    needed = space.area is not None and space.tiles_with_data == 0
    with st.expander(
        "Open data", icon=":material/database:", expanded=not is_bundled(space.source) or needed
    ):
        kinds = [BUNDLED, PACK, FILES, LIVE]
        kind = st.radio("Source", kinds, int(not is_bundled(space.source)), label_visibility="collapsed")
        if kind == BUNDLED:
            _bundled(space)
        elif kind == PACK:
            _pack(space)
        elif kind == FILES:
            _own_files(space)
        elif kind == LIVE:
            _live(space)


def no_data(space: Workspace) -> None:
    """What to get, and where to put it, where the source knows no tile of the area."""
    from app.map.gazetteer import nearest

    assert space.area is not None
    west, south, east, north = space.area.geometry.bounds
    town, _ = nearest((west + east) / 2, (south + north) / 2)
    name = re.sub(r"[^a-z0-9]+", "-", town.name.lower()).strip("-") or "area"
    st.warning("No tile of this area has open data here.", icon=":material/report:")
    st.markdown(
        "**With a network:** choose *Live providers* under *Open data* below; it fetches what is missing.\n\n"
        "**Without one:** on a machine with a network run this, copy the folder (or a zip of it) to this machine and "
        "open it as an *Offline data package* below."
    )
    box = ",".join(f"{v:.4f}" for v in (west, south, east, north))
    st.code(
        f"python -m opendiff fetch {box} --out {name} --country {town.iso3} --accept-terms",
        language="bash", wrap_lines=True,
    )  # fmt: skip


def country_of(space: Workspace) -> str:
    """Code of the country (ISO 3166, three letters) that the area lies in, by the nearest town; "" without an area."""
    from app.map.gazetteer import nearest

    if space.area is None:
        return ""
    west, south, east, north = space.area.geometry.bounds
    return nearest((west + east) / 2, (south + north) / 2)[0].iso3


def _bundled(space: Workspace) -> None:
    from opendiff.demo import REGIONS, source_name

    names = [source_name(region) for region in REGIONS]
    labels = dict(zip(names, (region.label for region in REGIONS.values()), strict=True))
    place = names.index(space.source) if space.source in names else 0
    chosen = st.selectbox("City", names, place, format_func=labels.__getitem__)
    if chosen != space.source:
        _change_source(space, chosen)


def _pack(space: Workspace) -> None:
    if limits.shared():
        _pack_for_everybody(space)
    else:
        with st.form("pack", border=False):
            shown = "" if is_bundled(space.source) else space.source
            path = st.text_input(
                "Folder or zip file on the machine that runs the app", shown, placeholder="/data/my-city"
            )
            if st.form_submit_button("Open the package", width="stretch"):
                _change_source(space, path.strip())
    file = st.file_uploader("or a zipped package", type=["zip"], key="pack file")
    if file is not None and st.session_state.get("taken pack") != file.file_id:
        st.session_state["taken pack"] = file.file_id
        with errors_shown("opening the package"):
            kept = keep_upload(file, file.name, (".zip",), own_folder(space.work))
            _change_source(space, kept)


def _pack_for_everybody(space: Workspace) -> None:
    """On a shared server nobody names a path: packs are those of the folder that its keeper has named."""
    found = limits.packs()
    if not found:
        st.caption("This server has no offline data packages to choose from; upload one.")
        return
    with st.form("packs", border=False):
        name = st.selectbox("Offline data package", list(found))
        if st.form_submit_button("Open the package", width="stretch") and name in found:
            _change_source(space, str(found[name]))


def _own_files(space: Workspace) -> None:
    st.caption("Nothing leaves this machine. A tile needs one of the three at least.")
    image = st.file_uploader(
        "Imagery (GeoTIFF, 8-bit colours)",
        type=["tif", "tiff"],
        key="own imagery",
        help="Cut to tiles of 256 pixels.",
    )
    from opendiff.live.choices import EXTRACTS

    places = st.file_uploader(
        "POI (CSV, XLSX, Parquet, GeoJSON, KML, GPX, FlatGeobuf, GeoPackage, .shp.zip or .osm.pbf)",
        type=["csv", "txt", "tsv", "xlsx", "xlsm", "parquet", "geojson", "json", "geojsonl", "ndjson", "kml", "kmz",
              "gpx", "fgb", "gpkg", "zip", "osm", "pbf", "gz", "bz2"],
        key="own poi",
        help="A table needs positions, and a category (Amap, Baidu, Overture, Foursquare too) or OpenStreetMap tags.",
    )  # fmt: skip
    data: list[Datum] = ["WGS-84", "GCJ-02", "BD-09"]
    datum = data[0]
    if places is not None and not places.name.lower().endswith(EXTRACTS):
        datum = st.radio(
            "Positions in", data, horizontal=True, help="GCJ-02: map services of China; BD-09: Baidu."
        )
    columns = _poi_columns(space, places)
    people = st.file_uploader("Population (GeoTIFF)", type=["tif", "tiff"], key="own people")
    units: dict[str, PopulationUnit | None] = {
        "as the file says": None, "people in each cell": "people", "people per km²": "per-km2",
    }  # fmt: skip
    unit = None
    if people is not None:
        unit = units[st.radio("Its values are", list(units), horizontal=True)]
    lacking = "" if image or places or people else "Choose at least one file."
    if not _may_start(space, "Make open data of my files", lacking):
        return
    with errors_shown("taking the files"):
        from opendiff.live.choices import NONE, PLACES, RASTERS, Choices

        imagery, population, poi = (
            NONE if file is None else keep_upload(file, file.name, suffixes, own_folder(space.work))
            for file, suffixes in ((image, RASTERS), (people, RASTERS), (places, PLACES))
        )
        open_data.start(
            space,
            Choices(
                imagery,
                population,
                poi,
                poi_datum=datum,
                population_unit=unit,
                poi_columns=tuple(columns.items()),
            ),
        )
        st.rerun()


def _poi_columns(space: Workspace, file: Any) -> dict[str, str]:
    """Columns of a table of places that the user chose: those of the last table of this shape at first."""
    from plannerbase.headings import place_columns
    from plannerbase.layers import TABLES

    if file is None or not file.name.lower().endswith(TABLES) or file.size > MAX_SHOWN_BYTES:
        return {}
    given = Upload(file.name, file.getvalue())
    held = space.cached(POI_HELD, file.file_id, lambda: held_by(given))
    if held is None or not held.columns:
        return {}
    shape = recall(given, held, "poi")
    guessed = {ours: theirs for ours, theirs in place_columns(held.columns).items() if ours in POI_LABELS}
    chosen = column_mapping(held.columns, POI_LABELS, guessed, "poi")
    remember(shape, column_controls("poi", POI_LABELS))
    return chosen


def _live(space: Workspace) -> None:
    from opendiff.live.choices import NONE, Choices
    from opendiff.live.providers import imagery_provider, osm_provider, worldpop_provider

    with errors_shown("reading who is asked for open data"):
        imagery, people, places = imagery_provider("esri"), worldpop_provider(), osm_provider()
        wants_poi = st.checkbox(f"POI: {places.name}", value=True, **kept("live poi"))
        wants_people = st.checkbox(f"Population: {people.name}", value=True, **kept("live population"))
        country = ""
        if wants_people:
            country = st.text_input(
                "Country (three letters of ISO 3166)",
                country_of(space),
                **kept(f"live country {space.area_identity}"),
                max_chars=3,
                placeholder="FRA",
                help="Its raster is downloaded whole, once: some 10 MB to 1 GB.",
            )
        wants_imagery = st.checkbox(f"Imagery: {imagery.name}", value=False, **kept("live imagery"))
        wants_map = st.checkbox(
            "Base map: main roads, water, rail and place names", value=True, **kept("live base map"),
            help="Of OpenStreetMap, drawn on every map below its layers, without a network from then on.",
        )  # fmt: skip
        accepted = True
        if wants_imagery:
            st.caption(
                f"{imagery.licence}. [Terms of use]({imagery.terms}). It is credited as: {imagery.attribution}."
            )
            accepted = st.checkbox("I have read these terms and accept them", key="live terms")
        st.caption(f"{people.attribution}. {places.attribution}.")
        lacking = ""
        if not (wants_poi or wants_people or wants_imagery):
            lacking = "Choose at least one of POI, population and imagery."
        elif not accepted:
            lacking = "Accept the terms of the imagery, or leave it out."
        elif wants_people and len(country) != 3:
            lacking = "Type the three letters of the country, or leave the population out."
        if _may_start(space, "Fetch open data", lacking):
            choices = Choices(
                "esri" if wants_imagery else NONE,
                "worldpop" if wants_people else NONE,
                "osm" if wants_poi else NONE,
                (country,) if wants_people else (),
                base_map="osm" if wants_map else NONE,
            )
            open_data.start(space, choices)
            st.rerun()


def _may_start(space: Workspace, label: str, lacking: str) -> bool:
    """The button that starts; True in the run in which it was pressed. lacking: why it cannot, "" where it can."""
    busy = open_data.JOB in space.jobs
    if space.area is None:
        lacking = NO_AREA
    elif busy:
        lacking = "Open data is being fetched; wait for it or cancel it above."
    if lacking:
        st.caption(f":material/info: {lacking}")
    return st.button(
        label,
        type="primary",
        icon=":material/download:",
        disabled=bool(lacking),
        width="stretch",
    )


def _change_source(space: Workspace, source: str) -> None:
    """Open another source; when it cannot be opened the present one stays."""
    from opendiff.errors import SourceError

    try:
        with st.spinner("Opening the open data"):
            if not source:
                raise SourceError(
                    "No folder is named; type the path of an offline data package, a folder that holds tiles.parquet."
                )
            open_region(source)
    except Exception as error:
        show_error(error, "opening the package")
        return
    space.source = source
    if space.area is not None:
        area_entry.count_again(space)
    st.rerun()
