"""An area in any of the forms that Python users hold it in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import geopandas as gpd
import shapely

from opendiff.area.area import Area, read_area
from opendiff.area.tiles import MAX_TILES, Tiles, read_tiles, tile_frame, tiles_covering
from opendiff.errors import AreaError
from plannerbase.layers import TABLES
from plannerbase.report import Report

Outline: TypeAlias = Area | gpd.GeoDataFrame | gpd.GeoSeries | shapely.Polygon | shapely.MultiPolygon
AnyArea: TypeAlias = Outline | Sequence[float] | str | Path


def tiles_and_area(area: AnyArea, max_tiles: int = MAX_TILES) -> tuple[Tiles, Area | None]:
    """The tiles of an area, and its outline.

    Parameters
    ----------
    area : Area, GeoDataFrame, GeoSeries, shapely polygon, (W, S, E, N), str or path
        A GeoDataFrame with columns x and y is one of tiles (covered_share: 1 where it has none); any other and a
        GeoSeries hold polygons. Text is a box "W,S,E,N" or a file, see `read_tiles`. Degrees WGS-84 unless a reference
        system is stated.
    max_tiles : int
        More are refused.

    Returns
    -------
    (Tiles, Area or None)
        None where tiles are listed instead of an outline.

    Raises
    ------
    AreaError
    """
    if isinstance(area, gpd.GeoDataFrame) and {"x", "y"} <= set(area.columns):
        share = area["covered_share"] if "covered_share" in area else 1.0
        return tile_frame(area["x"], area["y"], share), None
    if isinstance(area, str | Path):
        if Path(area).suffix.lower() in TABLES:
            return read_tiles(area, max_tiles, Report()), None
        outline = read_area(area)
    elif isinstance(area, Area):
        outline = area
    elif isinstance(area, gpd.GeoDataFrame | gpd.GeoSeries):
        outline = Area.from_geodataframe(area)
    elif isinstance(area, shapely.Geometry):
        outline = Area(area)
    elif isinstance(area, Sequence) and len(area) == 4:
        outline = Area.from_box(*area)
    else:
        raise AreaError(
            f"An area is an outline, a box of four numbers, tiles or a file, not a {type(area).__name__}."
        )
    return tiles_covering(outline, max_tiles), outline
