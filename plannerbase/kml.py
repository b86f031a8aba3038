"""KML from strangers: placemarks with their data and geometries, read by a parser that follows nothing."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import shapely

from plannerbase.markup import check_plain, in_utf8
from plannerbase.text import Refused

MAX_DEPTH = 200  # of elements inside each other
_PAIR = re.compile(r"([^:=]{1,60}?)\s*[:=]\s*(.*)")
MAX_BALLOON, MAX_NAME = 20_000, 60  # letters of a description that is read as a table, and of a name in it
SHAPES = ("Point", "LineString", "LinearRing", "Polygon", "MultiGeometry", "Track", "MultiTrack")


@dataclass(frozen=True)
class Placemarks:
    """rows: name, folder and data of each placemark. shapes: its geometry in degrees, None where it has none that can
    be read. about: the description of the document. links: other KML files that it names. faults: of placemarks, those
    with a geometry that could not be read, by their place in `rows`."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    shapes: list[shapely.Geometry | None] = field(default_factory=list)
    about: str = ""
    links: tuple[str, ...] = ()
    faults: tuple[int, ...] = ()


def read_kml(data: bytes, most_rows: int) -> Placemarks:
    """The placemarks of a KML in any encoding. Raises `Refused`."""
    root = _root(data, "kml")
    rows: list[dict[str, Any]] = []
    shapes: list[shapely.Geometry | None] = []
    faults: list[int] = []
    for folder, mark in _placemarks(root):
        if len(rows) == most_rows:
            raise Refused(f"holds more than {most_rows:,} placemarks")
        row: dict[str, Any] = {"name": mark.findtext("name"), "folder": folder}
        row |= {d.get("name") or "": d.findtext("value") or "" for d in mark.iter("Data") if d.get("name")}
        row |= {d.get("name") or "": d.text for d in mark.iter("SimpleData") if d.get("name")}
        if mark.find("ExtendedData") is None:
            row |= {k: v for k, v in _described(mark.findtext("description") or "").items() if k not in row}
        shape, whole = _shape_of(mark)
        if not whole:
            faults.append(len(rows))
        rows.append(row)
        shapes.append(shape)
    links = [e.text.strip() for link in root.iter("NetworkLink") for e in link.iter("href") if e.text]
    head = root.find("Document/description")
    about = "" if head is None else head.text or ""
    return Placemarks(rows, shapes, about, tuple(links), tuple(faults))


def read_gpx(data: bytes, most_rows: int) -> Placemarks:
    """The waypoints, routes and tracks of a GPX file, with their name, description and type. Raises `Refused`."""
    root = _root(data, "gpx")
    rows: list[dict[str, Any]] = []
    shapes: list[shapely.Geometry | None] = []
    faults: list[int] = []
    for mark in (m for kind in ("wpt", "rte", "trk") for m in root.iter(kind)):
        if len(rows) == most_rows:
            raise Refused(f"holds more than {most_rows:,} waypoints")
        points = [mark] if mark.tag == "wpt" else [*mark.iter("rtept"), *mark.iter("trkpt")]
        try:
            places = [(float(p.get("lon", "")), float(p.get("lat", ""))) for p in points]
            shape = shapely.Point(places[0]) if mark.tag == "wpt" else shapely.LineString(places)
        except (IndexError, ValueError, shapely.errors.ShapelyError):
            shape = None
            faults.append(len(rows))
        rows.append({k: mark.findtext(k) for k in ("name", "desc", "type") if mark.find(k) is not None})
        shapes.append(shape)
    return Placemarks(rows, shapes, faults=tuple(faults))


def _described(text: str) -> dict[str, str]:
    """Names and values of a table in the HTML of a balloon, or of lines "Azimuth: 120", as other tools write the
    columns of their tables."""
    if len(text) > MAX_BALLOON:
        return {}
    if "<td" not in text.lower():
        lines = [line for line in re.split(r"<br\s*/?>|\n", text, flags=re.IGNORECASE) if line.strip()]
        pairs = [_PAIR.fullmatch(html.unescape(re.sub(r"<[^>]*>", "", line)).strip()) for line in lines]
        return (
            {pair[1].strip(): pair[2].strip() for pair in pairs if pair}
            if len(pairs) > 1 and all(pairs)
            else {}
        )
    found: dict[str, str] = {}
    for row in re.split(r"<tr\b", text, flags=re.IGNORECASE)[1:]:
        cells = re.findall(r"<t[dh]\b[^>]*>(.*?)</t[dh]>", row, re.IGNORECASE | re.DOTALL)
        words = [html.unescape(re.sub(r"<[^>]*>", " ", cell)).strip(" \t\r\n:") for cell in cells]
        if len(words) == 2 and 0 < len(words[0]) <= MAX_NAME:
            found.setdefault(words[0], words[1])
    return found


def _root(data: bytes, tag: str) -> Element:
    """The outermost element of a document in any encoding, which has to be this one."""
    data = in_utf8(data)
    check_plain(data)
    root = _parsed(data)
    if root.tag != tag:
        raise Refused(f"holds <{root.tag[:40]}> instead of <{tag}>")
    return root


def _parsed(data: bytes) -> Element:
    """The elements by their local names: many writers use prefixes that they never declare."""
    builder, depth = TreeBuilder(), 0
    parser = expat.ParserCreate()

    def local(name: str) -> str:
        return name.rpartition(":")[2]

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise Refused("is nested too deeply")
        builder.start(local(name), {local(k): v for k, v in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(local(name))

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
        return builder.close()
    except (expat.ExpatError, AssertionError, ValueError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"is not readable KML ({error})") from None


def _placemarks(root: Element) -> list[tuple[str, Element]]:
    """(name of the innermost folder or document, placemark) in document order."""
    found: list[tuple[str, Element]] = []
    waiting: list[tuple[str, Element]] = [("", root)]
    while waiting:
        folder, element = waiting.pop()
        if element.tag == "Placemark":
            found.append((folder, element))
            continue
        if element.tag in ("Folder", "Document"):
            folder = (element.findtext("name") or folder).strip()
        waiting += [(folder, child) for child in reversed(element)]
    return found


def _shape_of(mark: Element) -> tuple[shapely.Geometry | None, bool]:
    """(geometry of a placemark, whether all of it could be read)."""
    parts, whole = [], True
    for child in mark:
        if child.tag in SHAPES:
            found, good = _shape(child, 0)
            parts += found
            whole &= good
    if not parts:
        return None, whole
    return (parts[0] if len(parts) == 1 else shapely.GeometryCollection(parts)), whole


def _shape(element: Element, depth: int) -> tuple[list[shapely.Geometry], bool]:
    if element.tag in ("MultiGeometry", "MultiTrack"):
        if depth > 20:
            return [], False
        parts, whole = [], True
        for child in element:
            if child.tag in SHAPES:
                found, good = _shape(child, depth + 1)
                parts += found
                whole &= good
        return parts, whole
    try:
        if element.tag == "Point":
            made: shapely.Geometry = shapely.Point(_coordinates(element)[0])
        elif element.tag == "Polygon":
            shells, holes = (
                [_ring(boundary) for boundary in element.findall(name)]
                for name in ("outerBoundaryIs", "innerBoundaryIs")
            )
            made = shapely.Polygon(shells[0], holes)
        elif element.tag == "Track":
            places = [tuple(map(float, (e.text or "").split()[:2])) for e in element.iter("coord")]
            made = shapely.LineString(places)
        else:
            made = shapely.LineString(_coordinates(element))
    except (IndexError, ValueError, TypeError, shapely.errors.ShapelyError):
        return [], False
    return [made], not made.is_empty


def _ring(boundary: Element) -> list[tuple[float, float]]:
    ring = boundary.find("LinearRing")
    if ring is None:
        raise ValueError("a boundary without a ring")
    places = _coordinates(ring)
    return places if places[0] == places[-1] else [*places, places[0]]


def _coordinates(element: Element) -> list[tuple[float, float]]:
    """Longitude and latitude of each tuple; heights are dropped."""
    text = re.sub(r"\s*,\s*", ",", element.findtext("coordinates") or "")
    places = []
    for part in text.split():
        lon, lat, *_ = part.split(",")
        places.append((float(lon), float(lat)))
    return places
