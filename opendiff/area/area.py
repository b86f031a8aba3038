"""From a drawn box or polygon to the zoom-15 tiles that cover it.

`Area` is a valid (multi)polygon in WGS-84. `tiles_covering` returns `Tiles`: a GeoDataFrame in EPSG:4326 with columns
x, y (int32), covered_share (0..1], geometry (the tile's outline), sorted by (x, y) with a RangeIndex. Nothing is mended
silently: an outline that crosses itself is an error that names the place.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import ArrayLike

from intake.delimited import read_csv
from opendiff.area.files import Drawn, drawn_geojson, read_drawn, read_limited
from opendiff.area.tile_grid import (
    MAX_LATITUDE,
    TILES_ACROSS,
    fractional_tile,
    tile_area_km2,
    tile_at,
    tile_bounds,
)
from opendiff.area.tile_shares import MAX_PIECES, crossings, unit_square_shares
from opendiff.errors import AreaError

MAX_TILES = 20_000
MAX_VERTICES = 50_000
# A tile is covered when at least this share of it is: some 10 cm2 of a tile of 1 km2, less than anybody draws and far
# more than the rounding of coordinates, so that a box drawn along tile edges gets no slivers of its neighbours.
MIN_SHARE = 1e-9

Tiles: TypeAlias = gpd.GeoDataFrame


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


def tile_frame(x: ArrayLike, y: ArrayLike, covered_share: ArrayLike = 1.0) -> Tiles:
    """The `Tiles` of tile numbers x, y (any order, no duplicates) and their covered shares."""
    x, y = np.asarray(x, dtype=np.int32), np.asarray(y, dtype=np.int32)
    share = np.broadcast_to(np.asarray(covered_share, dtype=float), x.shape)
    order = np.lexsort((y, x))
    x, y = x[order], y[order]
    outline = shapely.box(*tile_bounds(x, y))
    return gpd.GeoDataFrame(
        {"x": x, "y": y, "covered_share": share[order]}, geometry=outline, crs="EPSG:4326"
    )


def tiles_covering(area: Area, max_tiles: int = MAX_TILES) -> Tiles:
    """The tiles that `area` covers, with the share of each inside it.

    Shares are computed on the Web-Mercator map in units of tiles, where the sides of an outline are straight as they
    were drawn; the scale changes by less than 0.02 % inside a tile, so they are ground shares as well. A tile that is
    only touched along its edge does not count. Raises AreaError when more than `max_tiles` would be needed; what is
    far too large is refused by its extent, before anything is built.
    """
    outline = shapely.transform(
        area.geometry, lambda xy: np.column_stack(fractional_tile(xy[:, 0], xy[:, 1]))
    )
    if outline.area > max_tiles:
        raise _too_many(outline.area, max_tiles, area)
    if crossings(outline) > MAX_PIECES:
        raise AreaError(
            "The outline runs to and fro through too many tiles; simplify it (a tolerance of 100 m is plenty)."
        )
    found = unit_square_shares(outline, 4 * max_tiles)
    if isinstance(found, int):
        raise _too_many(found, max_tiles, area)
    x, y, share = found
    covered = share > MIN_SHARE
    if not covered.any():
        raise AreaError("The drawn area is smaller than a sheet of paper; draw a larger one.")
    if covered.sum() > max_tiles:
        raise _too_many(covered.sum(), max_tiles, area)
    share[share > 1 - MIN_SHARE] = 1
    return tile_frame(x[covered], y[covered], share[covered])


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


def read_area_bytes(data: bytes, filename: str) -> Area:
    """As `read_area`, from the bytes of an uploaded file whose format its name tells.

    Sizes are limited before anything is parsed, archives are unpacked only under names of our own, and no document
    type or entity of an XML file is followed. Raises AreaError.
    """
    return _unite(read_drawn(data, filename), Path(filename).stem or "area")


def read_tiles(text_or_path: str | Path, max_tiles: int = MAX_TILES) -> Tiles:
    """`tiles_covering` of `read_area`, or the tiles listed in a CSV with columns x, y and maybe covered_share."""
    path = Path(text_or_path)
    if path.suffix.lower() != ".csv":
        return tiles_covering(read_area(text_or_path), max_tiles)
    return tiles_in_csv(read_limited(path), path.name, max_tiles)


def tiles_in_csv(data: bytes, filename: str, max_tiles: int = MAX_TILES) -> Tiles:
    """The tiles listed in a CSV with columns x, y (zoom 15) and maybe covered_share. Raises AreaError."""
    try:
        table = read_csv(data, most_rows=max(max_tiles, MAX_TILES) + 1)
    except ValueError as error:
        raise AreaError(
            f"{filename} cannot be read as a table: it {error}; give a CSV with columns x and y."
        ) from None
    if not {"x", "y"} <= set(table.columns):
        raise AreaError(
            f"{filename} has no columns x and y; give the numbers of zoom-15 tiles, one tile a line."
        )
    if table.empty:
        raise AreaError(f"{filename} lists no tile; give at least one line x,y below the heading.")
    if len(table) > max_tiles:
        raise AreaError(f"{filename} lists {len(table):,} tiles and the limit is {max_tiles:,}; split it.")
    numbers = table[["x", "y"]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    bad = ~((numbers >= 0) & (numbers < TILES_ACROSS) & (numbers == np.floor(numbers))).all(axis=1)
    if bad.any():
        raise AreaError(
            f"Line {int(np.argmax(bad)) + 2} of {filename} is no zoom-15 tile; x and y must be whole numbers from 0 to "
            f"{TILES_ACROSS - 1}."
        )
    repeated = pd.DataFrame(numbers).duplicated().to_numpy()
    if repeated.any():
        x, y = numbers[np.argmax(repeated)].astype(int)
        raise AreaError(f"{filename} lists tile {x},{y} more than once; keep each tile once.")
    share = np.ones(len(table))
    if "covered_share" in table.columns:
        share = pd.to_numeric(table["covered_share"], errors="coerce").to_numpy(float)
        if not ((share > 0) & (share <= 1)).all():
            raise AreaError(f"{filename} has a covered_share that is not above 0 and at most 1; correct it.")
    return tile_frame(numbers[:, 0], numbers[:, 1], share)


def _box_numbers(text: str) -> tuple[float, float, float, float] | None:
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
        parts = shapely.get_parts(np.array([g for g in group.geometries if g is not None], dtype=object))
        while np.any(shapely.get_type_id(parts) > 3):  # collections and multi-geometries may nest
            parts = shapely.get_parts(parts)
        parts = parts[~shapely.is_empty(parts)]
        kinds |= {part.geom_type for part in parts}
        found = shapely.force_2d(parts[shapely.get_type_id(parts) == 3])
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


def _too_many(count: float, max_tiles: int, area: Area) -> AreaError:
    scale = 10 ** max(0, len(str(int(count))) - 2)
    centre = area.geometry.envelope.centroid
    side = float(np.sqrt(max_tiles * tile_area_km2(*tile_at(centre.x, centre.y))))
    shown = round(side, -1) if side > 100 else round(side)
    return AreaError(
        f"The area covers about {round(count / scale) * scale:,} tiles and the limit is {max_tiles:,} "
        f"(about {shown:.0f} x {shown:.0f} km here); draw a smaller area or split it."
    )


def _check_degrees(coordinates: np.ndarray) -> None:
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
    if shapely.is_valid(polygon):
        return
    reason = shapely.is_valid_reason(polygon)
    found = re.match(r"(.*?)\s*\[(\S+) (\S+)\]", reason)
    fault, place = (
        (found[1], f" near ({float(found[2]):.10g}, {float(found[3]):.10g})") if found else (reason, "")
    )
    if "elf-intersection" in fault:
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
