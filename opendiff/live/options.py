"""What is fetched from where, as options of a command line. Heavy imports wait until needed."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opendiff.live.choices import Choices

AREA_HELP = (
    "a file (GeoJSON, KML, KMZ, GPKG, zipped Shapefile), a box W,S,E,N in degrees, "
    "or a CSV of tiles with columns x,y"
)


def add_options(parser: Any) -> None:
    """The options that say what is fetched from where."""
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
        help="WorldPop (default; needs --country), or a GeoTIFF of people in each cell",
    )
    parser.add_argument(
        "--poi",
        default="osm",
        metavar="osm|FILE|none",
        help="OpenStreetMap by Overpass (default), an extract (.osm.pbf, .gpkg), or a CSV of places with lon, lat and "
        "category, or key and value of an OSM tag",
    )
    parser.add_argument(
        "--poi-datum", choices=("WGS-84", "GCJ-02"), default="WGS-84", help="of the positions in a CSV"
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
    from opendiff.errors import SourceError
    from opendiff.live.choices import Choices

    country = tuple(code.strip() for code in options.country.split(",") if code.strip())
    choices = Choices(options.imagery, options.population, options.poi, country, options.poi_datum)
    if choices.imagery_is_live and not options.accept_terms:
        provider = choices.imagery_provider()
        raise SourceError(
            f"Imagery of {provider.name} is for use under its terms ({provider.terms}) with the credit "
            f"'{provider.attribution}'; read them and add --accept-terms, or give --imagery FILE.tif or none."
        )
    return choices


def print_notes(notes: tuple[str, ...]) -> None:
    for text in notes:
        print(f"note: {text}", file=sys.stderr)
