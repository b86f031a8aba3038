"""Main roads, water, rail and place names of OpenStreetMap by the Overpass API, with their geometry, for base maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from opendiff.area.tile_grid import Bounds
from opendiff.live.http import Client
from opendiff.live.overpass import ANSWER_S, answer_of, query_head
from opendiff.live.providers import Provider
from opendiff.open_data.base_map import PLACES, BaseMap, features

ROADS = {
    "motorway": "motorway", "trunk": "motorway", "motorway_link": "motorway", "trunk_link": "motorway",
    "primary": "primary", "primary_link": "primary", "secondary": "secondary", "tertiary": "tertiary",
}  # fmt: skip
RAILS = ("rail", "subway", "light_rail", "tram")
RIVERS = ("river", "canal")
PLACE_KINDS = {kind: kind for kind in PLACES} | {"borough": "suburb", "quarter": "suburb"}
MIN_WATER_DEGREES2 = 5e-7  # some 5,000 m2: smaller ponds are no landmarks
TOLERANCE_DEGREES = 2e-5  # of a line that is made simpler, some 2 m


def base_map_query(bounds: Bounds, seconds: float = 180.0) -> str:
    """The query (Overpass QL) for what a base map shows inside W, S, E, N; seconds: it may take."""
    lines = (
        f'way["highway"~"^({"|".join(ROADS)})$"];',
        f'way["railway"~"^({"|".join(RAILS)})$"][!"service"];',
        f'way["waterway"~"^({"|".join(RIVERS)})$"];',
        'way["natural"~"^(water|coastline)$"];',
        'rel["natural"="water"];',
        f'node["place"~"^({"|".join(PLACE_KINDS)})$"]["name"];',
    )
    return f"{query_head(bounds, seconds)}({''.join(lines)});out geom qt;"


def fetch_streets(client: Client, provider: Provider, bounds: Bounds) -> BaseMap:
    """What a base map shows of W, S, E, N; ways that lead out of it are whole. Raises SourceError (TooMuch) and
    Cancelled."""
    query = base_map_query(bounds, client.patience.query - ANSWER_S)
    return streets_of(answer_of(client, provider, query))


def streets_of(elements: list[dict[str, Any]]) -> BaseMap:
    """The features of Overpass elements with geometry; what has none, or is of no kind, is left out."""
    rows = []
    for element in elements:
        tags = element.get("tags") if isinstance(element, dict) else None
        if not isinstance(tags, dict):
            continue
        name = tags.get("name")
        kind, shape = _shape(element, tags)
        if shape is not None:
            rows.append((kind, name if isinstance(name, str) else "", shape))
    return features(rows)


def _shape(element: dict[str, Any], tags: dict[str, Any]) -> tuple[str, Any]:
    """Kind and shape of an element; no shape where it has none that can be drawn."""
    kind = str(element.get("type"))
    if kind == "node":
        at = _line([element])
        return PLACE_KINDS.get(str(tags.get("place")), ""), shapely.Point(at[0]) if at is not None else None
    if kind == "relation":
        return "water", _rings(element.get("members"))
    line = _line(element.get("geometry"))
    if line is None or len(line) < 2:
        return "", None
    if tags.get("natural") == "water":
        closed = len(line) > 3 and (line[0] == line[-1]).all()
        return "water", _large(shapely.make_valid(shapely.Polygon(line))) if closed else None
    named = (
        ROADS.get(str(tags.get("highway"))),
        "rail" if tags.get("railway") in RAILS else None,
        "river" if tags.get("waterway") in RIVERS else None,
        "coast" if tags.get("natural") == "coastline" else None,
    )
    found = next((one for one in named if one), "")
    return found, shapely.simplify(shapely.LineString(line), TOLERANCE_DEGREES)


def _line(points: Any) -> np.ndarray | None:
    """(n, 2) degrees of positions {lon, lat}; None where one is no position."""
    try:
        line = np.array([[float(point["lon"]), float(point["lat"])] for point in points])
    except (TypeError, KeyError, ValueError, OverflowError):
        return None
    inside = len(line) > 0 and bool((np.abs(line) <= (180, 90)).all())  # False of NaN
    return line if inside else None


def _rings(members: Any) -> Any:
    """The ground inside the outer ways of a relation and outside its inner ones; None where they do not close."""
    ways: dict[str, list[Any]] = {"outer": [], "inner": []}
    for member in members if isinstance(members, list) else ():
        if isinstance(member, dict) and member.get("type") == "way":
            line = _line(member.get("geometry"))
            if line is not None and len(line) > 1:
                ways["inner" if member.get("role") == "inner" else "outer"].append(shapely.LineString(line))
    outer, inner = (shapely.union_all(_polygons(lines)) for lines in ways.values())
    return _large(shapely.difference(outer, inner))


def _polygons(lines: list[Any]) -> np.ndarray:
    return shapely.get_parts(shapely.polygonize(np.array([*lines, None], object)[:-1]))


def _large(shape: Any) -> Any:
    """A polygon made simpler; None for a small one."""
    return None if shapely.area(shape) < MIN_WATER_DEGREES2 else shapely.simplify(shape, TOLERANCE_DEGREES)
