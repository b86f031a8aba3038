"""`python -m opendiff fetch`: open data of an area into a pack; its options serve `generate --source live` as well."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from opendiff.commands.parsers import Commands, assignment
from plannerbase.progress import StageBars

if TYPE_CHECKING:
    from opendiff.live.choices import Choices

AREA_HELP = (
    "a file (GeoJSON, KML, KMZ, GPX, FlatGeobuf, GPKG, zipped Shapefile), a box W,S,E,N in degrees, "
    "or a CSV of tiles with columns x,y"
)
DESCRIPTION = (
    "Fetch imagery, population and POI of an area into a pack, which works without a network from then on. Run it "
    "again to go on after an interruption: only what is missing is fetched. Addresses, credits and the cache folder "
    "are set by environment variables; see opendiff/live/providers.py."
)


def add_command(commands: Commands) -> None:
    parser = commands.add_parser("fetch", help="open data of an area into a pack", description=DESCRIPTION)
    parser.add_argument("area", metavar="AREA", help=AREA_HELP)
    add_layer_option(parser)
    parser.add_argument(
        "--crs",
        default="",
        metavar="CODE",
        help="reference system of AREA where it does not state its own, such as EPSG:27700 or GCJ-02",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="PACK", help="folder of the pack")
    add_source_options(parser)
    parser.add_argument(
        "--base-map",
        choices=("osm", "none"),
        help="main roads, water, rail and place names for the app's maps, of OpenStreetMap by Overpass (default: with "
        "--poi osm)",
    )
    parser.set_defaults(run=run, kept="what is fetched is kept")


def add_layer_option(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--layer", default="", metavar="NAME", help="sheet or layer of AREA (default: all with polygons)"
    )


def add_source_options(parser: argparse._ActionsContainer) -> None:
    """The options that say what is fetched from where; parser: a parser, or a group of one."""
    parser.add_argument(
        "--imagery",
        default="esri",
        metavar="esri|TEMPLATE|FILE.tif|none",
        help="Esri World Imagery (default), a tile address with {z}, {x} and {y}, or a GeoTIFF of yours",
    )
    parser.add_argument(
        "--population",
        default="worldpop",
        metavar="worldpop|FILE.tif|none",
        help="WorldPop (default; needs --country), or a GeoTIFF of people in each cell or per km2",
    )
    parser.add_argument(
        "--population-unit",
        choices=("people", "per-km2"),
        help="of a GeoTIFF: people in each cell or per km2 (default: as its name and tags say, else people)",
    )
    parser.add_argument(
        "--poi",
        default="osm",
        metavar="osm|FILE|none",
        help="OpenStreetMap by Overpass (default), an extract (.osm.pbf, .osm, .osm.gz, .gpkg, Geofabrik's .shp.zip), "
        "or a table of places (CSV, XLSX, Parquet, GeoJSON, KML, GPX, FlatGeobuf) with positions and a "
        "category, type or OSM tag",
    )
    parser.add_argument(
        "--poi-datum",
        choices=("WGS-84", "GCJ-02", "BD-09"),
        default="WGS-84",
        help="of the positions in a table",
    )
    parser.add_argument(
        "--poi-column",
        action="append",
        default=[],
        type=assignment,
        metavar="OURS=THEIRS",
        help="column of a table of places: lon, lat or category and the heading it has there (default: by usual names)",
    )
    parser.add_argument(
        "--country", default="", metavar="ISO3", help="country of the area, such as CHN; several with commas"
    )
    parser.add_argument(
        "--accept-terms",
        action="store_true",
        help="you have read the imagery provider's terms and accept them",
    )


def choices_of(options: argparse.Namespace) -> Choices:
    """The choices of the options. Raises SourceError, also where terms have to be accepted first."""
    from opendiff.api import accepted_choices

    return accepted_choices(
        country=options.country, accept_terms=options.accept_terms,
        how="add --accept-terms, or give --imagery FILE.tif or none",
        imagery=options.imagery, population=options.population, poi=options.poi, poi_datum=options.poi_datum,
        poi_columns=tuple(options.poi_column), population_unit=options.population_unit,
        base_map=getattr(options, "base_map", "none"),
    )  # fmt: skip


def run(options: argparse.Namespace) -> None:
    from opendiff.area import read_tiles
    from opendiff.live.fetching import Fetcher
    from opendiff.open_data.base_map import read_base_map
    from plannerbase.counting import counted
    from plannerbase.report import Report

    choices = choices_of(options)
    report = Report()
    tiles = read_tiles(options.area, report=report, layer=options.layer, crs=options.crs)
    print_notes(tuple(report))
    fetcher = Fetcher(options.out, choices, progress=StageBars())
    notes = fetcher.area(tiles)
    print_notes((*fetcher.told, *notes))
    store = fetcher.store
    people, places = (int((~store.missing(name, tiles)).sum()) for name in ("population", "poi"))
    print(
        f"{counted(len(tiles), 'tiles')}, of which {int(store.imaged(tiles).sum())} with imagery, {people} "
        f"with population, {places} with POI: {options.out}"
    )
    print(store.pack().attribution)
    if (shown := read_base_map(store.root)) is not None:
        print(f"{shown.attribution}: {len(shown):,} roads, waters, railways and names")


def print_notes(notes: tuple[str, ...]) -> None:
    for text in notes:
        print(f"note: {text}", file=sys.stderr)
