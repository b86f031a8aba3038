"""The area that a user draws or names: a valid (multi)polygon in WGS-84 from a box, GeoJSON or a file.

Nothing is mended silently: an outline that crosses itself is an error that names the place.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from intake.guard import guarded
from opendiff.area.files import Drawn, drawn_geojson, read_drawn, read_limited
from opendiff.area.tile_grid import MAX_LATITUDE, Bounds
from opendiff.errors import AreaError

MAX_VERTICES = 50_000
POLYGON = 3  # shapely's number of the type; types above it hold several geometries


@dataclass(frozen=True)
class Area:
    """A valid, not empty Polygon or MultiPolygon in WGS-84 (longitude, latitude in degrees) and its name.

    Raises AreaError when the geometry is no polygon, crosses itself, has no area or leaves the Web-Mercator map.
    """

    geometry: shapely.Polygon | shapely.MultiPolygon
    name: str = "area"

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


def read_area(text_or_path: str | Path) -> Area:
    """An area from a file (GeoJSON, KML, KMZ, GPKG, zipped Shapefile) or from the text of a box "W,S,E,N" in degrees.

    Coordinates in another reference system are brought to WGS-84. Raises AreaError.
    """
    path = Path(text_or_path)
    if isinstance(text_or_path, str) and (box := _box_numbers(text_or_path)) is not None:
        return Area.from_box(*box)
    if path.suffix.lower() == ".csv":
        raise AreaError(
            f"{path.name} is a table of tiles, not an outline; give a polygon file or a box W,S,E,N."
        )
    return read_area_bytes(read_limited(path), path.name)


def _to_plain(area: Area) -> dict[str, Any]:
    return {"wkb": shapely.to_wkb(area.geometry), "name": area.name}


def _from_plain(plain: dict[str, Any]) -> Area:
    """Raises AreaError, as `Area` does."""
    return Area(shapely.from_wkb(plain["wkb"]), str(plain["name"]))


@guarded(AreaError, pack=_to_plain, unpack=_from_plain)
def read_area_bytes(data: bytes, filename: str) -> Area:
    """As `read_area`, from the bytes of an uploaded file whose format its name tells.

    Sizes are limited before anything is parsed, archives are unpacked only under names of our own, and no document
    type or entity of an XML file is followed. Raises AreaError.
    """
    return _unite(read_drawn(data, filename), Path(filename).stem or "area")


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


def _unite(groups: list[Drawn], name: str) -> Area:
    """One Area of all polygons; each is checked as it was drawn, before reprojection or union could hide a fault."""
    polygons, kinds = [], set()
    for group in groups:
        parts = shapely.get_parts(
            np.array([one for one in group.geometries if one is not None], dtype=object)
        )
        while np.any(shapely.get_type_id(parts) > POLYGON):  # collections and multi-geometries may nest
            parts = shapely.get_parts(parts)
        parts = parts[~shapely.is_empty(parts)]
        kinds |= {part.geom_type for part in parts}
        found = shapely.force_2d(parts[shapely.get_type_id(parts) == POLYGON])
        if len(found) and group.crs is not None:
            for polygon in found:
                _check_valid(polygon)
            found = _to_wgs84(found, group.crs)
        polygons += list(found)
    if not polygons:
        what = f"only {', '.join(sorted(kinds))}" if kinds else "nothing"
        raise AreaError(f"The area holds {what} and no polygon; draw or upload a closed outline.")
    vertices = int(shapely.get_num_coordinates(polygons).sum())
    if vertices > MAX_VERTICES:
        raise AreaError(
            f"The outline has {vertices:,} corners and the limit is {MAX_VERTICES:,}; simplify it (a tolerance of 10 m "
            "is plenty) and try again."
        )
    for polygon in polygons:
        check_polygon(polygon)
    return Area(polygons[0] if len(polygons) == 1 else shapely.union_all(polygons), name)


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
            "export the area in WGS-84 (EPSG:4326), or in a format that states its system."
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


def _check_valid(polygon: shapely.Geometry) -> None:
    """Raise AreaError, which names the place, unless the outline is valid."""
    if shapely.is_valid(polygon):
        return
    reason = shapely.is_valid_reason(polygon)
    found = re.match(r"(.*?)\s*\[(\S+) (\S+)\]", reason)
    fault, place = (
        (found[1], f" near ({float(found[2]):.10g}, {float(found[3]):.10g})") if found else (reason, "")
    )
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
