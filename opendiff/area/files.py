"""The geometries in an uploaded or named file, of any format of `plannerbase.layers` that has geometry."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from opendiff.errors import AreaError
from plannerbase.archive import bare_name
from plannerbase.layers import VECTORS, Contents, Layer, Limits, chosen, drawn_layer, read_layers
from plannerbase.report import Report
from plannerbase.text import Refused

MAX_BYTES = 20_000_000  # of an uploaded file
MAX_UNPACKED_BYTES = 100_000_000
MAX_MEMBERS = 100
MAX_FEATURES = 10_000
FORMATS = (
    "GeoJSON (.geojson, .json), KML, KMZ, GPX, FlatGeobuf (.fgb), GeoPackage (.gpkg), MapInfo (.mif) "
    "or a zipped Shapefile (.zip)"
)


@dataclass(frozen=True)
class Drawn:
    """Geometries as a file holds them, and their reference system (None: longitude and latitude in WGS-84)."""

    geometries: list[shapely.Geometry | None]
    crs: Any | None = None


def read_limited(path: Path) -> bytes:
    """The content of a file of at most MAX_BYTES. Raises AreaError."""
    try:
        if path.is_dir():
            raise AreaError(f"{path} is a folder; name one file ({FORMATS}) or a box W,S,E,N.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise AreaError(
            f"There is no file {path}; name an existing file ({FORMATS}) or a box W,S,E,N."
        ) from None
    except (OSError, ValueError) as error:
        raise AreaError(
            f"The file {path} cannot be read ({error}); check its name and permissions."
        ) from None
    return data


def read_drawn(
    data: bytes, filename: str, report: Report | None = None, layer: str = "", crs: str = ""
) -> list[Drawn]:
    """The geometries of a file, one `Drawn` a layer. layer: the one that is meant, "" for all. crs: the reference
    system of a file that does not state its own. Raises AreaError; `filename` tells the format."""
    name = Path(filename).name
    if not data:
        raise AreaError(f"{name} is empty; export the area again.")
    if len(data) > MAX_BYTES:
        raise AreaError(
            f"{name} is larger than {MAX_BYTES // 10**6} MB; simplify the outline or keep only its layer."
        )
    suffix = Path(bare_name(name)).suffix.lower()
    if suffix not in (*VECTORS, ".shp"):
        raise AreaError(f"{name} is of no known format; give {FORMATS}.")
    limits = Limits(MAX_UNPACKED_BYTES, MAX_MEMBERS, MAX_FEATURES)
    try:
        contents = chosen(read_layers(data, name, limits, attributes=False), layer)
        if crs:
            contents = _in_degrees(contents, crs, report)
    except Refused as error:
        raise AreaError(f"{name} {error}; export the area again as plain polygons.") from None
    return _drawn(contents, name, report)


def _in_degrees(contents: Contents, crs: str, report: Report | None) -> Contents:
    """Layers that do not state their reference system in degrees, by the one that the user names. Raises `Refused`."""
    layers = {
        name: layer
        if layer.shapes is None or layer.crs not in (None, "")
        else replace(layer, shapes=layer.in_degrees(crs, report), crs=None)
        for name, layer in contents.layers.items()
    }
    return replace(contents, layers=layers)


def drawn_geojson(document: Any, report: Report | None = None) -> list[Drawn]:
    """The geometries of a parsed GeoJSON geometry, Feature or FeatureCollection. Raises AreaError."""
    try:
        layer, told = drawn_layer(document, MAX_FEATURES)
    except Refused as error:
        raise AreaError(f"The GeoJSON {error}; export the area again as a polygon.") from None
    return _drawn(Contents({layer.name: layer}, {}, told), "The GeoJSON", report)


def _drawn(contents: Contents, name: str, report: Report | None) -> list[Drawn]:
    layers = [layer for layer in contents.layers.values() if layer.shapes is not None]
    if not layers:
        raise AreaError(f"{name} holds no layer with geometry; draw or upload a closed outline.")
    for layer in layers:
        if layer.crs == "" and len(layer):
            raise AreaError(
                f"{name} does not state its reference system; export it again with one (a Shapefile needs its "
                ".prj file), or say which (--crs EPSG:CODE)."
            )
    left_out = contents.report.of("left out")
    if left_out and not any(_has_polygon(layer) for layer in layers):
        raise AreaError(
            f"{name} holds no polygon that can be read: {left_out[0].line} Draw or upload a closed outline."
        )
    if report is not None:
        report.extend(contents.report)
    return [
        Drawn(list(layer.shapes) if layer.shapes is not None else [], layer.crs or None) for layer in layers
    ]


def _has_polygon(layer: Layer) -> bool:
    if layer.shapes is None:
        return False
    shapes = np.array([s for s in layer.shapes if s is not None], object)
    return bool((shapely.get_dimensions(shapes) == 2).any())
