"""People of a raster in any reference system, turned or not, by tile: its cells are taken apart into points, which are
counted where they lie."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyproj
from affine import Affine
from numpy.typing import ArrayLike
from rasterio import DatasetReader

from opendiff.area.tile_grid import MAX_LATITUDE, fractional_tile, tile_bounds
from opendiff.open_data.sources import POPULATION_STRIPS

MAX_POINTS, MAX_PARTS = 4_000_000, 512  # at once; a side of a cell
EDGE_POINTS = 21  # along each side of a block that is looked for in another reference system


def pixels_of_block(raster: DatasetReader, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(column, row) in the raster of points all over the block of tiles x, y (tiles,); without those that have none."""
    column, row = _pixels(
        raster, *_points(x.min(), y.min(), x.max() + 1 - x.min(), y.max() + 1 - y.min(), EDGE_POINTS)
    )
    seen = np.isfinite(column) & np.isfinite(row)
    return column[seen], row[seen]


def inside(raster: DatasetReader, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(tiles,) bool: whether a tile lies on the raster whole, by points all over it."""
    column, row = _pixels(raster, *_points(x[:, None], y[:, None], 1, 1, 5))
    slack = 1e-6
    good = (
        (column >= -slack)
        & (column <= raster.width + slack)
        & (row >= -slack)
        & (row <= raster.height + slack)
    )
    return good.all(axis=1)


def counted(
    raster: DatasetReader,
    cells: np.ndarray,
    first_row: int,
    first_column: int,
    x: np.ndarray,
    y: np.ndarray,
    parts: int,
) -> np.ndarray:
    """People in each strip of tiles x, y, (tiles, strips). cells: (rows, columns) people of a window that begins at
    first_row, first_column of the raster; parts: points a side that a cell is taken apart into."""
    to_raster = pyproj.Transformer.from_crs("EPSG:4326", raster.crs, always_xy=True)
    step = (np.arange(parts) + 0.5) / parts
    tile = pd.MultiIndex.from_arrays([x, y])
    sums = np.zeros(len(x) * POPULATION_STRIPS)
    filled = np.argwhere(cells > 0)
    for some in np.array_split(filled, len(filled) * parts**2 // MAX_POINTS + 1):
        rows = (first_row + some[:, 0])[:, None, None] + step[:, None]
        columns = (first_column + some[:, 1])[:, None, None] + step
        rows, columns = (v.ravel() for v in np.broadcast_arrays(rows, columns))
        lon, lat = to_raster.transform(*applied(raster.transform, columns, rows), direction="INVERSE")
        good = (np.abs(lon) <= 180) & (np.abs(lat) <= MAX_LATITUDE)
        there_x, there_y = fractional_tile(lon[good], lat[good])
        numbers = [np.floor(v).astype(np.int64) for v in (there_x, there_y)]
        place = tile.get_indexer(pd.MultiIndex.from_arrays(numbers))
        strip = ((there_y % 1) * POPULATION_STRIPS).astype(int)
        weight = np.repeat(cells[some[:, 0], some[:, 1]] / parts**2, parts**2)[good]
        hit = place >= 0
        sums += np.bincount(place[hit] * POPULATION_STRIPS + strip[hit], weight[hit], len(sums))
    return sums.reshape(len(x), POPULATION_STRIPS)


def parts_of_cell(column: np.ndarray, row: np.ndarray, tiles: int) -> int:
    """Points a side that a cell is taken apart into: some four a strip. column, row: of pixels across so many tiles."""
    cells_a_tile = max(np.ptp(column), np.ptp(row)) / tiles
    return int(np.clip(np.ceil(4 * POPULATION_STRIPS / max(cells_a_tile, 1e-3)), 1, MAX_PARTS))


def _points(
    x: ArrayLike, y: ArrayLike, width: int, height: int, a_side: int
) -> tuple[np.ndarray, np.ndarray]:
    """(lon, lat) of a_side x a_side points of a block of tiles, its corners among them."""
    across, along = (v.ravel() for v in np.meshgrid(*[np.linspace(0, 1, a_side)] * 2))
    west, _, _, north = tile_bounds(np.asarray(x) + across * width, np.asarray(y) + along * height)
    return west, north


def _pixels(raster: DatasetReader, lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(column, row) of positions in degrees; infinite where the raster's reference system has none."""
    to_raster = pyproj.Transformer.from_crs("EPSG:4326", raster.crs, always_xy=True)
    east, north = to_raster.transform(lon, lat)
    return applied(~raster.transform, np.asarray(east), np.asarray(north))


def applied(transform: Affine, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and y after an affine transformation."""
    return transform.a * x + transform.b * y + transform.c, transform.d * x + transform.e * y + transform.f
