"""The geometries in an uploaded or named file: GeoJSON, KML, KMZ, GeoPackage or a zipped Shapefile.

Files come from strangers. Sizes are limited before parsing; the content must be what the name says, because GDAL
chooses its driver by content and some drivers follow references to other files; archives are unpacked only under names
of our own; XML with a document type or entities is refused.
"""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyogrio
import shapely

from intake.archive import members
from intake.markup import check_plain
from intake.text import Refused, read_json
from intake.vector import SHAPEFILE_PARTS, handed_to_gdal, shapefiles
from opendiff.errors import AreaError

MAX_BYTES = 20_000_000  # of an uploaded file
MAX_UNPACKED_BYTES = 100_000_000
MAX_MEMBERS = 100
MAX_FEATURES = 10_000
MAX_DEPTH = 8  # of GeoJSON collections inside each other
FORMATS = "GeoJSON (.geojson, .json), KML, KMZ, GeoPackage (.gpkg) or a zipped Shapefile (.zip)"


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


def read_drawn(data: bytes, filename: str) -> list[Drawn]:
    """The geometries of a file, one `Drawn` a layer. Raises AreaError; `filename` tells the format."""
    name = Path(filename).name
    if not data:
        raise AreaError(f"{name} is empty; export the area again.")
    if len(data) > MAX_BYTES:
        raise AreaError(
            f"{name} is larger than {MAX_BYTES // 10**6} MB; simplify the outline or keep only its layer."
        )
    readers = {
        ".geojson": _read_geojson,
        ".json": _read_geojson,
        ".kml": _read_kml,
        ".kmz": _read_kmz,
        ".gpkg": _read_gpkg,
        ".zip": _read_shapefile,
    }
    suffix = Path(name).suffix.lower()
    if suffix == ".shp":
        raise AreaError(
            f"{name} is only a part of a Shapefile; zip it together with its .shx, .dbf and .prj files."
        )
    if suffix not in readers:
        raise AreaError(f"{name} is of no known format; give {FORMATS}.")
    return readers[suffix](data, name)


def drawn_geojson(document: Any) -> list[Drawn]:
    """The geometries of a parsed GeoJSON geometry, Feature or FeatureCollection. Raises AreaError."""
    if not isinstance(document, dict):
        raise AreaError("The GeoJSON is not an object with a `type`; export it again as a polygon.")
    return [Drawn([_shape(part) for part in _geojson_geometries(document)], _geojson_crs(document))]


def _read_geojson(data: bytes, name: str) -> list[Drawn]:
    try:
        document = read_json(data.decode("utf-8-sig"))
    except ValueError as error:
        raise AreaError(f"{name} is not readable GeoJSON ({error}); export the area again.") from None
    return drawn_geojson(document)


def _read_kml(data: bytes, name: str) -> list[Drawn]:
    try:
        check_plain(data)
    except Refused as error:
        raise AreaError(f"{name} {error}; export it as plain KML in UTF-8.") from None
    try:
        _, root = next(ElementTree.iterparse(io.BytesIO(data), events=["start"]))
    except (ElementTree.ParseError, StopIteration, ValueError) as error:
        raise AreaError(f"{name} is not readable KML ({error}); export the area again.") from None
    if root.tag.rpartition("}")[2].lower() != "kml":
        raise AreaError(f"{name} holds <{root.tag}> instead of <kml>; export the area as KML.")
    # KML is WGS-84 by definition
    return [Drawn(layer.geometries) for layer in _read_vector({".kml": data}, ".kml", name)]


def _read_kmz(data: bytes, name: str) -> list[Drawn]:
    found = _unzip(data, name, (".kml",))
    if not found:
        raise AreaError(f"{name} holds no .kml file; export the area again as KMZ or KML.")
    main = next((member for member in found if member.lower() == "doc.kml"), sorted(found)[0])
    return _read_kml(found[main], f"{main} in {name}")


def _read_gpkg(data: bytes, name: str) -> list[Drawn]:
    if not data.startswith(b"SQLite format 3\x00") or data[68:70] != b"GP":
        raise AreaError(f"{name} is not a GeoPackage though its name says so; export the area again.")
    return _require_crs(_read_vector({".gpkg": data}, ".gpkg", name), name)


def _read_shapefile(data: bytes, name: str) -> list[Drawn]:
    try:
        found = shapefiles(_unzip(data, name, SHAPEFILE_PARTS))
    except Refused as error:
        raise AreaError(f"{name} {error}; export the area again.") from None
    if not found:
        raise AreaError(
            f"{name} holds no .shp file; zip the .shp, .shx, .dbf and .prj files of one Shapefile."
        )
    groups = []
    for shape, parts in sorted(found.items()):
        if ".shx" not in parts:
            raise AreaError(
                f"{name} lacks the .shx part of {shape}; zip all files of the Shapefile together."
            )
        groups += _require_crs(_read_vector(parts, ".shp", f"{shape} in {name}"), name)
    return groups


def _read_vector(parts: dict[str, bytes], suffix: str, shown: str) -> list[Drawn]:
    """All layers of a file that GDAL reads; parts: content by suffix."""
    try:
        with handed_to_gdal(parts, suffix) as path:
            layers = [name for name, kind in pyogrio.list_layers(path) if kind is not None]
            groups = [_read_layer(path, layer, shown) for layer in layers]
    except Refused as error:
        raise AreaError(f"{shown} {error}; export the area again.") from None
    if not groups:
        raise AreaError(f"{shown} holds no layer with geometry; draw or upload a closed outline.")
    return groups


def _read_layer(path: Path, layer: str, shown: str) -> Drawn:
    meta, _, wkb, _ = pyogrio.raw.read(path, layer=layer, columns=[], max_features=MAX_FEATURES + 1)
    if len(wkb) > MAX_FEATURES:
        raise AreaError(
            f"{shown} holds more than {MAX_FEATURES:,} features; keep only the outline of the area."
        )
    return Drawn(list(shapely.from_wkb(np.asarray(wkb, dtype=object))), meta["crs"])


def _require_crs(groups: list[Drawn], name: str) -> list[Drawn]:
    if any(group.crs is None or "Undefined" in str(group.crs) for group in groups if group.geometries):
        raise AreaError(
            f"{name} does not state its reference system; export it again with one (a Shapefile needs its .prj file)."
        )
    return groups


def _unzip(data: bytes, name: str, suffixes: tuple[str, ...]) -> dict[str, bytes]:
    """The members of an archive with these suffixes, in memory; everything suspicious is refused."""
    try:
        return members(data, suffixes, MAX_MEMBERS, MAX_UNPACKED_BYTES)
    except Refused as error:
        raise AreaError(f"{name} {error}; zip only the plain files of the area's outline.") from None


def _shape(geometry: dict[str, Any]) -> shapely.Geometry:
    try:
        return shapely.geometry.shape(geometry)
    # whatever a malformed geometry makes shapely stumble over
    except (
        ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, shapely.errors.ShapelyError
    ) as error:  # fmt: skip
        kind = geometry.get("type")
        raise AreaError(
            f"The GeoJSON geometry of type {kind!r} cannot be read ({error}); a polygon needs closed rings of at "
            "least four [longitude, latitude] pairs."
        ) from None


def _geojson_geometries(document: dict[str, Any], depth: int = 0) -> list[dict[str, Any]]:
    """The geometry objects in a GeoJSON object, collections taken apart. Raises AreaError."""
    kind = document.get("type")
    if depth > MAX_DEPTH:
        raise AreaError("The GeoJSON nests its geometries too deeply; export it again as plain polygons.")
    lists = {"FeatureCollection": "features", "GeometryCollection": "geometries"}
    if kind == "Feature":
        children: Any = [document.get("geometry")]
    elif isinstance(kind, str) and kind in lists:
        children = document.get(lists[kind])
        if not isinstance(children, list):
            raise AreaError(f"The GeoJSON {kind} has no list of {lists[kind]}; export it again.")
    elif isinstance(kind, str) and "coordinates" in document:
        return [document]
    else:
        raise AreaError(
            "The file is JSON but not GeoJSON (it has no known `type`); export the area as GeoJSON."
        )
    parts = []
    for child in children:
        if isinstance(child, dict):
            parts += _geojson_geometries(child, depth + 1)
        elif child is not None:
            raise AreaError(f"The GeoJSON {kind} holds something that is not an object; export it again.")
    return parts


def _geojson_crs(document: dict[str, Any]) -> str | None:
    """The reference system of a `crs` member (the 2008 draft; RFC 7946 knows WGS-84 alone). Raises AreaError."""
    crs = document.get("crs")
    if crs is None:
        return None
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    found = re.fullmatch(r"(?:urn:ogc:def:crs:)?(EPSG|OGC)(?::[\w.]*)?:(\w+)", str(name))
    if not found:
        raise AreaError("The GeoJSON states a reference system that is not understood; export it in WGS-84.")
    return "EPSG:4326" if found[2] in ("CRS84", "4326") else f"{found[1]}:{found[2]}"
