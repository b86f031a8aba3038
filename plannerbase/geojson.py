"""GeoJSON from strangers, as RFC 7946 and RFC 8142 have it, and as tools write it: a collection, one feature, a bare
geometry, or a feature a line; with the `crs` member of the 2008 draft; in any encoding."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely

from plannerbase.text import Refused, decoded, read_json

MAX_DEPTH = 8  # of collections inside each other
TOPOJSON = (
    "is TopoJSON, not GeoJSON; save it as GeoJSON (mapshaper in.topojson -o format=geojson out.geojson)"
)
GEOMETRIES = (
    "Point",
    "MultiPoint",
    "LineString",
    "MultiLineString",
    "Polygon",
    "MultiPolygon",
    "GeometryCollection",
)
WRONG = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, shapely.errors.ShapelyError
)  # fmt: skip


@dataclass(frozen=True)
class Features:
    """rows: properties of each feature. shapes: its geometry as written, None where it has none that can be read.
    crs: of the positions, None for WGS-84. faults: place in `rows` -> what is wrong with the geometry. document: the
    members of the collection beside its features."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    shapes: np.ndarray = field(default_factory=lambda: np.array([], object))
    crs: str | None = None
    faults: dict[int, str] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)


def read_geojson(data: bytes, most_rows: int) -> Features:
    """The features of a file. Raises `Refused`."""
    text = decoded(data).removeprefix("\ufeff")
    try:
        document = read_json(text)
    except ValueError as error:
        document = _lines(text, most_rows)
        if document is None:
            raise Refused(f"is not readable GeoJSON ({error})") from None
    return features_of(document, most_rows)


def features_of(document: Any, most_rows: int) -> Features:
    """The features of a parsed document. Raises `Refused`."""
    if not isinstance(document, dict):
        raise Refused("is JSON but no GeoJSON: it is not an object with a `type`")
    if "type" not in document and isinstance(document.get("elements"), list):
        document = _of_overpass(document["elements"])
    features = list(_features(document, 0, most_rows))
    if len(features) > most_rows:
        raise Refused(f"holds more than {most_rows:,} features")
    rows, faults = [], {}
    shapes = np.full(len(features), None, object)
    points: list[int] = []
    places: list[list[float]] = []
    for i, feature in enumerate(features):
        properties = feature.get("properties")
        rows.append(dict(properties) if isinstance(properties, dict) else {})
        geometry = feature.get("geometry")
        if geometry is None:
            continue
        try:
            if geometry["type"] == "Point" and len(geometry["coordinates"]) >= 2:
                places.append([float(v) for v in geometry["coordinates"][:2]])
                points.append(i)
            else:
                shapes[i] = shapely.force_2d(shapely.geometry.shape(geometry))
        except WRONG as error:
            kind = geometry.get("type") if isinstance(geometry, dict) else None
            faults[i] = f"the geometry of type {kind!r} cannot be read ({error})"
    if points:
        shapes[points] = shapely.points(places)
    beside = {k: v for k, v in document.items() if k not in ("features", "geometry", "properties")}
    return Features(rows, shapes, _crs(document), faults, beside)


def _of_overpass(elements: list[Any]) -> dict[str, Any]:
    """What the Overpass API answers (out:json) as a collection: elements with tags, ways and relations at their
    centre."""
    features = []
    for element in elements:
        tags = element.get("tags") if isinstance(element, dict) else None
        if not isinstance(tags, dict) or not tags:
            continue  # a corner of a way, or nothing that says what it is
        at = element.get("center") or element.get("centre") or element
        place = at if isinstance(at, dict) and {"lon", "lat"} <= set(at) else None
        point = {"type": "Point", "coordinates": [place["lon"], place["lat"]]} if place else None
        kind, number = element.get("type"), element.get("id")
        features.append(
            {"type": "Feature", "properties": tags | {"osm_id": f"{kind}/{number}"}, "geometry": point}
        )
    return {"type": "FeatureCollection", "features": features}


def _features(document: dict[str, Any], depth: int, most: int) -> list[dict[str, Any]]:
    kind = document.get("type")
    if kind is None and isinstance(document.get("features"), list):
        kind = "FeatureCollection"
    if depth > MAX_DEPTH:
        raise Refused("nests its geometries too deeply")
    if kind == "FeatureCollection":
        children = document.get("features")
        if not isinstance(children, list):
            raise Refused(f"is a {kind} and has no list of features")
        found: list[dict[str, Any]] = []
        for child in children:
            if isinstance(child, dict):
                inner = child.get("type") == "FeatureCollection"
                found += _features(child, depth + 1, most) if inner else [_feature(child)]
            elif child is not None:
                raise Refused(f"is a {kind} that holds something which is not an object")
            if len(found) > most:
                break
        return found
    return [_feature(document)]


def _feature(document: dict[str, Any]) -> dict[str, Any]:
    kind = document.get("type")
    if kind == "Feature" or (kind is None and "geometry" in document):
        return document
    if isinstance(kind, str) and (kind in GEOMETRIES or "coordinates" in document):
        _check_depth(document, 0)
        return {"geometry": document}
    if kind == "Topology":
        raise Refused(TOPOJSON)
    raise Refused("is JSON but not GeoJSON (it has no known `type`)")


def _check_depth(geometry: dict[str, Any], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Refused("nests its geometries too deeply")
    parts = geometry.get("geometries")
    if parts is not None and not isinstance(parts, list):
        raise Refused("is a GeometryCollection and has no list of geometries")
    for part in parts or []:
        if isinstance(part, dict):
            _check_depth(part, depth + 1)


def _lines(text: str, most_rows: int) -> dict[str, Any] | None:
    """The features of a file that holds one a line (RFC 8142, or newline-delimited); None where it is no such file."""
    features: list[dict[str, Any]] = []
    for line in text.replace("\x1e", "\n").splitlines():
        if not line.strip():
            continue
        if len(features) > most_rows:
            break
        try:
            feature = read_json(line)
        except ValueError:
            return None
        if not isinstance(feature, dict):
            return None
        features.append(feature)
    return {"type": "FeatureCollection", "features": features} if features else None


def _crs(document: dict[str, Any]) -> str | None:
    """The reference system of a `crs` member; None for WGS-84. Raises `Refused`."""
    crs = document.get("crs")
    if crs is None:
        return None
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if isinstance(crs, dict) and crs.get("type") == "EPSG" and isinstance(properties, dict):
        name = f"EPSG:{properties.get('code')}"
    found = re.fullmatch(
        r"(?:urn:(?:x-)?ogc:def:crs:)?(EPSG|OGC)(?::[\w.]*)?:(\w+)", str(name), re.IGNORECASE
    )
    if not found:
        raise Refused("states a reference system that is not understood")
    return None if found[2].upper() in ("CRS84", "4326") else f"{found[1].upper()}:{found[2]}"
