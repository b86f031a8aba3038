"""`python -m opendiff fine` and `layer`: traffic finer than a tile, and further layers of a pack."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from opendiff.commands.parsers import Commands
from plannerbase.counting import counted

if TYPE_CHECKING:
    from opendiff.poi.places import Places

BUSY = "busy"


def add_command(commands: Commands) -> None:
    parser = commands.add_parser(
        "fine",
        help="traffic inside tiles, on cells of 100 to 300 m, as GeoTIFF",
        description="Spread each tile's traffic over cells by what is known inside it. A tile's cells sum to the tile.",
    )
    parser.add_argument("traffic", type=Path, metavar="TRAFFIC", help="traffic table")
    parser.add_argument(
        "--source", type=Path, metavar="PACK", default=None, help="pack with imagery, places, population"
    )
    parser.add_argument(
        "--population", type=Path, metavar="FILE.tif", default=None, help="people in each cell"
    )
    parser.add_argument(
        "--poi", type=Path, metavar="FILE", default=None, help="places: .osm.pbf, .gpkg or CSV"
    )
    parser.add_argument("--cells", type=int, default=4, help="cells to a tile's side: 2, 4 (default) or 8")
    parser.add_argument(
        "--hour",
        default="mean",
        metavar="0..167|mean|busy",
        help="hour, weekly mean (default) or the area's busy hour",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.tif")
    parser.set_defaults(run=run)
    layer = commands.add_parser(
        "layer",
        help="add a layer to a pack: jobs, night lights, node density, activity, or one that is only shown",
    )
    layer.add_argument("--data", type=Path, required=True, metavar="PACK")
    layer.add_argument(
        "--name",
        required=True,
        metavar="NAME",
        help="jobs, lights, osm_nodes or activity; or one that is only shown, such as building_height",
    )
    layer.add_argument(
        "--file", type=Path, required=True, metavar="FILE", help="GeoTIFF, or CSV with lon, lat, value"
    )
    layer.set_defaults(run=run_layer)


def run(options: argparse.Namespace) -> None:
    from opendiff.errors import TableError
    from opendiff.fine import known_inside, spread, write_geotiff
    from opendiff.open_data.sources import PackSource
    from opendiff.traffic_table import read_traffic

    ensemble = read_traffic(options.traffic)
    median = ensemble.median()
    if options.hour == "mean":
        values, what = median.mean(axis=1), "weekly mean traffic"
    elif options.hour == BUSY:
        hour = int(median.sum(axis=0).argmax())
        values, what = median[:, hour], f"traffic of the busy hour {hour}"
    elif options.hour.isdecimal() and int(options.hour) < median.shape[1]:
        values, what = median[:, int(options.hour)], f"traffic of hour {options.hour}"
    else:
        raise TableError(f"{options.hour!r} is no hour; give 0 to {median.shape[1] - 1}, mean or busy.")
    pack = None if options.source is None else PackSource(options.source)
    places = None if options.poi is None else read_places(options.poi)
    known = known_inside(ensemble.tiles, options.cells, pack, options.population, places)
    fine = spread(ensemble.tiles, values, known, options.cells)
    unit = str(ensemble.metadata.get("unit", "relative"))
    write_geotiff(fine, options.out, unit, what)
    weights = ", ".join(f"{name} {weight:g}" for name, weight in fine.weights.items())
    print(
        f"{counted(len(fine.tiles), 'tiles')} x {options.cells} x {options.cells} cells, {what}, "
        f"by {weights}: {options.out}"
    )


def read_places(path: Path) -> Places:
    """Places of a user's file. Raises SourceError."""
    from opendiff.poi.osm_files import read_osm_places
    from opendiff.poi.tables import CHUNKED, read_poi_table

    if path.suffix.lower() in (*CHUNKED, ".xlsx"):
        return read_poi_table(path).places
    return read_osm_places(path, (-180.0, -90.0, 180.0, 90.0))


def run_layer(options: argparse.Namespace) -> None:
    from opendiff.live.layers import add_layer
    from opendiff.open_data.sources import PackSource

    count = add_layer(PackSource(options.data), options.name, options.file)
    print(f"{counted(count, f'tiles of {options.data} have {options.name}')}")
