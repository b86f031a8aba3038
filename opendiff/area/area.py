"""The area that a user draws or names: a valid (multi)polygon in WGS-84 from a box, GeoJSON or a file.

Nothing is mended silently: an outline that crosses itself is an error that names the place; one that only touches
itself, or has more corners than are of use, is put right and the report says so.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from opendiff.area.files import Drawn, drawn_geojson, read_drawn, read_limited
from opendiff.area.tile_grid import MAX_LATITUDE, Bounds
from opendiff.errors import AreaError
from plannerbase.guard import guarded
from plannerbase.report import Report

MAX_VERTICES = 50_000
SIMPLIFIED_M = (2, 5, 10, 20)  # how far the sides of an outline with more corners may move
METRES_PER_DEGREE = 111_320.0  # of latitude; a degree of longitude is shorter
SAME_AREA = 1e-9  # relative: the ground of an outline that is put right
POLYGON = 3  # shapely's number of the type; types above it hold several geometries


@dataclass(frozen=True)
class Area:
    """A valid, not empty Polygon or MultiPolygon in WGS-84 (longitude, latitude in degrees), its name, and what was put
    right in or left out of its file.

    Raises AreaError when the geometry is no polygon, crosses itself, has no area or leaves the Web-Mercator map.
    """

    geometry: shapely.Polygon | shapely.MultiPolygon
    name: str = "area"
    report: Report = field(default_factory=Report, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_polygon(self.geometry)

    @classmethod
    def from_box(cls, west: float, south: float, east: float, north: float, name: str = "box") -> "Area":
        """The box between two meridians and two parallels, in degrees."""
        _check_degrees(np.array([[west, south], [east, north]], dtype=float))
        if west > east:
            raise AreaError(
                f"The box has its west edge ({west:g}) east of its east edge ({east:g}); give W,S,E,N in this order, "
                "and split a box that crosses the 180th meridian into one on either side."
            )
        if south > north:
            raise AreaError(
                f"The box has its south edge ({south:g}) north of its north edge ({north:g}); swap them."
            )
        if west == east or south == north:
            raise AreaError(
                "The box has no area because two opposite edges coincide; give W,S,E,N with W < E, S < N."
            )
        return cls(shapely.box(west, south, east, north), name)

    @classmethod
    def from_geojson(cls, document: dict[str, Any], name: str = "area") -> "Area":
        """A GeoJSON geometry, Feature or FeatureCollection (RFC 7946); several polygons are united.

        Points and lines beside polygons are ignored. The `crs` member of the 2008 draft is honoured.
        """
        return _unite(drawn_geojson(document), name)

    @classmethod
    def from_geodataframe(cls, frame: gpd.GeoDataFrame | gpd.GeoSeries, name: str = "area") -> "Area":
        """The union of the polygons of a GeoDataFrame or GeoSeries.

        Parameters
        ----------
        frame : GeoDataFrame or GeoSeries
            In any reference system; without one, degrees WGS-84 (longitude, latitude). Points and lines beside
            polygons are ignored.
        name : str, optional

        Raises
        ------
        AreaError
            As `Area` does, and for a frame without any polygon.
        """
        return _unite([Drawn(list(frame.geometry), frame.crs)], name)

    def to_geodataframe(self) -> gpd.GeoDataFrame:
        """One row: name and geometry, EPSG:4326."""
        return gpd.GeoDataFrame({"name": [self.name]}, geometry=[self.geometry], crs="EPSG:4326")

    def to_geojson(self) -> dict[str, Any]:
        """The geometry as a GeoJSON geometry object."""
        return json.loads(shapely.to_geojson(self.geometry))


def check_polygon(geometry: shapely.Geometry) -> None:
    """Raise AreaError unless `geometry` is a valid polygon with an area, in degrees on the Web-Mercator map."""
    if not isinstance(geometry, (shapely.Polygon, shapely.MultiPolygon)):
        raise AreaError(f"The area is a {type(geometry).__name__}, not a polygon; draw a closed outline.")
    if geometry.is_empty:
        raise AreaError("The area is empty; draw an outline with at least three corners.")
    _check_degrees(shapely.get_coordinates(geometry))
    _check_valid(geometry)
    if geometry.area == 0:
        raise AreaError("The drawn outline encloses no area; move its corners apart or draw it again.")


def read_area(text_or_path: str | Path, layer: str = "", crs: str = "") -> Area:
    """An area from a file of any vector format, or from the text of a box "W,S,E,N" in degrees.

    Coordinates in another reference system are brought to WGS-84. layer: the one that is meant, "" for all. crs: the
    reference system of a file that does not state its own. Raises AreaError.
    """
    path = Path(text_or_path)
    if isinstance(text_or_path, str) and (box := _box_numbers(text_or_path)) is not None:
        return Area.from_box(*box)
    if path.suffix.lower() == ".csv":
        raise AreaError(
            f"{path.name} is a table of tiles, not an outline; give a polygon file or a box W,S,E,N."
        )
    return read_area_bytes(read_limited(path), path.name, layer, crs)


def _to_plain(area: Area) -> dict[str, Any]:
    return {"wkb": shapely.to_wkb(area.geometry), "name": area.name, "report": area.report.record()}


def _from_plain(plain: dict[str, Any]) -> Area:
    """Raises AreaError, as `Area` does."""
    return Area(shapely.from_wkb(plain["wkb"]), str(plain["name"]), Report.from_record(plain["report"]))


@guarded(AreaError, pack=_to_plain, unpack=_from_plain)
def read_area_bytes(data: bytes, filename: str, layer: str = "", crs: str = "") -> Area:
    """As `read_area`, from the bytes of an uploaded file whose format its name tells. layer: the one that is meant, ""
    for all. crs: the reference system of a file that does not state its own.

    Sizes are limited before anything is parsed, archives are unpacked only under names of our own, and no document
    type or entity of an XML file is followed. Raises AreaError.
    """
    report = Report()
    return _unite(read_drawn(data, filename, report, layer, crs), Path(filename).stem or "area", report)


def _box_numbers(text: str) -> Bounds | None:
    """The four numbers of a box; None where the text is no list of numbers. Raises AreaError for another count."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        return None
    if len(numbers) != 4:
        raise AreaError(f"{text!r} has {len(numbers)} numbers; a box needs four, W,S,E,N in degrees.")
    west, south, east, north = numbers
    return west, south, east, north


def _unite(groups: list[Drawn], name: str, report: Report | None = None) -> Area:
    """One Area of all polygons; each is checked as it was drawn, before reprojection or union could hide a fault."""
    report = Report() if report is None else report
    polygons: list[shapely.Geometry] = []
    kinds: set[str] = set()
    for group in groups:
        parts = shapely.get_parts(
            np.array([one for one in group.geometries if one is not None], dtype=object)
        )
        while np.any(shapely.get_type_id(parts) > POLYGON):  # collections and multi-geometries may nest
            parts = shapely.get_parts(parts)
        parts = parts[~shapely.is_empty(parts)]
        kinds |= {part.geom_type for part in parts}
        found = shapely.force_2d(parts[shapely.get_type_id(parts) == POLYGON])
        if len(found):
            sound = found if group.crs is None else _sound(found, group.crs, report)
            polygons += list(sound if group.crs is None else _to_wgs84(sound, group.crs))
    if not polygons:
        polygons = _closed_lines(groups, report)
    if not polygons:
        what = f"only {', '.join(sorted(kinds))}" if kinds else "nothing"
        raise AreaError(f"The area holds {what} and no polygon; draw or upload a closed outline.")
    _check_degrees(shapely.get_coordinates(polygons))
    whole = _sound(np.array(polygons, object), None, report)
    report.taken("polygons of the outline", len(whole))
    geometry = whole[0] if len(whole) == 1 else shapely.union_all(whole)
    return Area(_simple(geometry, report), name, report)


def _closed_lines(groups: list[Drawn], report: Report) -> list[shapely.Geometry]:
    """Polygons of the lines that end where they begin, as an outline is drawn with a path."""
    found: list[shapely.Geometry] = []
    for group in groups:
        parts = shapely.get_parts(
            np.array([one for one in group.geometries if one is not None], dtype=object)
        )
        shut = [
            p
            for p in parts
            if p.geom_type in ("LineString", "LinearRing") and p.is_closed and len(p.coords) > 3
        ]
        if shut:
            made = shapely.polygons([shapely.force_2d(shapely.LinearRing(p.coords)) for p in shut])
            found += list(made if group.crs is None else _to_wgs84(made, group.crs))
    if found:
        report.assumed("closed lines count as the outline, as the file holds no polygon", len(found))
    return found


def _sound(polygons: np.ndarray, crs: Any, report: Report) -> np.ndarray:
    """Valid polygons of the same ground: rings that touch themselves and spikes are put right where that changes no
    area, polygons without area are left out beside others. crs: of the polygons, None for degrees. Raises AreaError
    for any other fault."""
    good = shapely.is_valid(polygons)
    area = shapely.area(polygons)
    empty = (area == 0) & (good | (area.max() > 0)) & ~_crosses(polygons)
    if empty.any() and not empty.all():
        report.left_out("polygons without an area", int(empty.sum()))
        polygons, good, area = polygons[~empty], good[~empty], area[~empty]
    if good.all():
        return polygons
    fixed = polygons.copy()
    for i in np.flatnonzero(~good):
        mended = [
            part
            for part in shapely.get_parts(shapely.make_valid(polygons[i]))
            if part.geom_type.endswith("Polygon")
        ]
        made = shapely.union_all(mended) if mended else shapely.Polygon()
        if area[i] == 0 or abs(made.area - area[i]) > SAME_AREA * area[i]:
            _check_valid(polygons[i], crs)
        fixed[i] = made
    report.fixed(
        "polygons touched themselves or had spikes without area; the ground is the same", int((~good).sum())
    )
    return fixed


def _crosses(polygons: np.ndarray) -> np.ndarray:
    """(polygons,) bool: whether an outline encloses ground though its area comes out as 0, as that of an 8 does."""
    shut = shapely.get_exterior_ring(polygons)
    return shapely.area(shapely.make_valid(shapely.polygons(shut))) > 0


def _simple(geometry: shapely.Geometry, report: Report) -> shapely.Geometry:
    """The outline with at most MAX_VERTICES corners, moved by a few metres where it has more. Raises AreaError."""
    corners = int(shapely.get_num_coordinates(geometry))
    if corners <= MAX_VERTICES:
        return geometry
    for tolerance_m in SIMPLIFIED_M:
        simple = shapely.simplify(geometry, tolerance_m / METRES_PER_DEGREE)
        left = int(shapely.get_num_coordinates(simple))
        if left <= MAX_VERTICES and shapely.is_valid(simple) and simple.area > 0:
            report.fixed(
                f"corners of the outline became {left:,}; it moved by at most {tolerance_m} m (tiles are about "
                "1 km wide)",
                corners,
            )
            return simple
    raise AreaError(
        f"The outline has {corners:,} corners and the limit is {MAX_VERTICES:,}, also after it was simplified to "
        f"{SIMPLIFIED_M[-1]} m; simplify it further and try again."
    )


def _check_degrees(coordinates: np.ndarray) -> None:
    """Raise AreaError, which says what seems to be wrong, unless coordinates (points, 2) are lon, lat on the map."""
    if not np.isfinite(coordinates).all():
        raise AreaError("The area has a coordinate that is not a finite number; export or draw it again.")
    lon, lat = np.abs(coordinates).max(axis=0)
    if lon <= 180 and lat <= MAX_LATITUDE:
        return
    x, y = coordinates[np.argmax(np.maximum(np.abs(coordinates[:, 0]) / 180, np.abs(coordinates[:, 1]) / 90))]
    if lon > 360 or lat > 360:
        raise AreaError(
            f"The coordinates, such as ({x:.0f}, {y:.0f}), look like projected metres without their reference system; "
            "say which one (--crs EPSG:CODE), or export the area in WGS-84 (EPSG:4326)."
        )
    if lat > 90 and lat <= 180 and lon <= MAX_LATITUDE:
        raise AreaError(
            f"The latitude {y:g} is impossible, so latitude and longitude seem to be swapped; give longitude first "
            "(a box is W,S,E,N)."
        )
    if lon > 180:
        raise AreaError(
            f"The longitude {x:g} is beyond the 180th meridian; move the area between -180 and 180, or split it there."
        )
    raise AreaError(
        f"The latitude {y:g} is beyond {MAX_LATITUDE:.2f}, where the tile map ends; draw the area nearer."
    )


def _check_valid(polygon: shapely.Geometry, crs: Any = None) -> None:
    """Raise AreaError, which names the place in degrees, unless the outline is valid. crs: of it, None for degrees."""
    if shapely.is_valid(polygon):
        return
    reason = shapely.is_valid_reason(polygon)
    found = re.match(r"(.*?)\s*\[(\S+) (\S+)\]", reason)
    fault, place = (found[1], "") if found else (reason, "")
    if found:
        at = shapely.Point(float(found[2]), float(found[3]))
        if crs is not None:
            at = _to_wgs84(np.array([at], object), crs)[0]
        place = f" near ({at.x:.10g}, {at.y:.10g})"
    if "elf-intersection" in fault:  # "Self-intersection" or "Ring Self-intersection" of GEOS
        raise AreaError(
            f"The drawn outline crosses itself{place}; move the crossing corner or draw the outline again."
        )
    raise AreaError(
        f"The outline is not a valid polygon{place} ({fault.lower()}); correct it or draw it again."
    )


def _to_wgs84(polygons: np.ndarray, crs: Any) -> np.ndarray:
    try:
        return gpd.GeoSeries(polygons, crs=crs).to_crs("EPSG:4326").to_numpy()
    except Exception as error:  # pyproj raises several unrelated types for an unknown or unusable system
        raise AreaError(
            f"The area cannot be brought from its reference system to WGS-84 ({error}); export it in EPSG:4326."
        ) from None
