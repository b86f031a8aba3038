"""Finer than a tile: a tile's traffic spread over cells of 100 to 300 m by what is known inside it.

Each cell gets a share of its tile by a weighted mean of what is known there: residents, places, built-up ground, and an
even part. The cells of a tile sum to the tile exactly, so nothing that was generated changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from opendiff.area import Tiles
from opendiff.area.tile_grid import TILES_ACROSS, fractional_tile
from opendiff.errors import SourceError
from opendiff.live.layers import MERCATOR_M, on_grid
from opendiff.open_data.land_cover import built_blocks
from opendiff.open_data.sources import PackSource
from opendiff.poi.places import Places
from opendiff.storage.atomic import replacing

CELLS = (2, 4, 8)  # to a side of a tile
# What a cell's share is made of, of what is known; stated in the file that is written. Chosen by judgement: traffic
# follows who lives and who works there; the even part is for roads and for places that nobody has listed.
WEIGHTS: dict[str, float] = {"population": 0.45, "places": 0.35, "built": 0.1, "even": 0.1}


@dataclass(frozen=True)
class FineTraffic:
    """values: (tiles, cells, cells) float64, rows from north to south, which sum to each tile's traffic; weights: of
    what the shares were made where a tile knows all of it."""

    tiles: Tiles
    values: np.ndarray
    weights: dict[str, float]


def spread(tiles: Tiles, traffic: np.ndarray, known: Mapping[str, np.ndarray], cells: int) -> FineTraffic:
    """Traffic (tiles,) over cells x cells of each tile.

    known: arrays (tiles, cells, cells) of at least 0 under names of WEIGHTS, NaN where unknown; a layer that is unknown
    in any cell of a tile, or 0 in all, does not count there. Raises SourceError.
    """
    if cells not in CELLS:
        raise SourceError(
            f"{cells} cells to a tile's side are not offered; choose {', '.join(map(str, CELLS))}."
        )
    if unknown := [name for name in known if name not in WEIGHTS]:
        raise SourceError(f"Nothing is spread by {unknown[0]!r}; choose of {', '.join(WEIGHTS)}.")
    count = len(tiles)
    total, share = np.zeros(count), np.zeros((count, cells, cells))
    layers = {"even": np.ones((count, cells, cells)), **known}
    for name, values in layers.items():
        sums = values.sum(axis=(1, 2))
        usable = np.isfinite(sums) & (sums > 0)
        part = np.divide(values, sums[:, None, None], out=np.zeros_like(share), where=usable[:, None, None])
        share += WEIGHTS[name] * part
        total += WEIGHTS[name] * usable
    share /= total[:, None, None]
    values = share * np.asarray(traffic, float)[:, None, None]
    values *= _correction(values, np.asarray(traffic, float))[:, None, None]  # what rounding left
    return FineTraffic(tiles, values, {name: WEIGHTS[name] for name in layers})


def known_inside(
    tiles: Tiles, cells: int, pack: PackSource | None = None, population: Path | None = None,
    places: Places | None = None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """What is known inside tiles, for `spread`: residents of a raster of people in each cell, places (given, or those
    of the pack's OpenStreetMap extract), built-up ground in the pack's images. Raises SourceError."""
    known: dict[str, np.ndarray] = {}
    if population is not None:
        known["population"] = raster_cells(population, tiles, cells)
    if places is None and pack is not None:
        places = pack.osm_places()
    if places is not None:
        known["places"] = place_cells(places, tiles, cells)
    if pack is not None:
        data = pack.open_data(tiles)
        built = np.full((len(tiles), cells, cells), np.nan)
        if data.has_imagery.any():
            built[data.has_imagery] = built_blocks(data.imagery[data.has_imagery], cells)
        known["built"] = built
        if (
            "population" not in known and cells == 4
        ):  # twelve strips from north to south, even from west to east
            rows = data.population.reshape(len(tiles), cells, -1).sum(axis=2)
            strips = np.repeat(rows[:, :, None], cells, axis=2).astype(float)
            known["population"] = np.where(data.has_population[:, None, None], strips, np.nan)
    return known


def raster_cells(path: Path, tiles: Tiles, cells: int) -> np.ndarray:
    """People of a raster in cells of tiles, (tiles, cells, cells), NaN where it has no value."""
    x, y = tiles["x"].to_numpy(), tiles["y"].to_numpy()
    left, top = int(x.min()), int(y.min())
    grid = on_grid(path, left, top, int(y.max()) - top + 1, int(x.max()) - left + 1, cells, summed=True)
    blocks = grid.reshape(-1, cells, grid.shape[1] // cells, cells).swapaxes(1, 2)
    found = blocks[y - top, x - left]
    known = np.isfinite(found).any(axis=(1, 2))
    return np.where(known[:, None, None], np.nan_to_num(found), np.nan)


def place_cells(places: Places, tiles: Tiles, cells: int) -> np.ndarray:
    """Places in cells of tiles, (tiles, cells, cells)."""
    x, y = fractional_tile(places.lon, places.lat)
    column, row = np.floor(x * cells).astype(np.int64), np.floor(y * cells).astype(np.int64)
    keys = row * TILES_ACROSS * cells + column
    unique, counts = np.unique(keys, return_counts=True)
    inside = np.arange(cells)
    wanted = (tiles["y"].to_numpy()[:, None] * cells + inside)[:, :, None] * TILES_ACROSS * cells
    wanted = wanted + (tiles["x"].to_numpy()[:, None] * cells + inside)[:, None, :]
    if not len(unique):
        return np.zeros(wanted.shape)
    place = np.minimum(np.searchsorted(unique, wanted), len(unique) - 1)
    return np.where(unique[place] == wanted, counts[place], 0).astype(float)


def write_geotiff(fine: FineTraffic, path: Path, unit: str, what: str) -> None:
    """Write as GeoTIFF in Web Mercator (EPSG:3857), float64, no value (NaN) outside the tiles; tags state the unit,
    what it is, and the weights. Written whole or not at all."""
    x, y = fine.tiles["x"].to_numpy(), fine.tiles["y"].to_numpy()
    cells = fine.values.shape[1]
    left, top = int(x.min()), int(y.min())
    rows, columns = int(y.max()) - top + 1, int(x.max()) - left + 1
    if rows * columns * cells**2 > 100_000_000:
        raise SourceError("The tiles lie too far apart for one raster; export parts of the area.")
    grid = np.full((rows, columns, cells, cells), np.nan)
    grid[y - top, x - left] = fine.values
    image = grid.swapaxes(1, 2).reshape(rows * cells, columns * cells)
    size = 2 * MERCATOR_M / TILES_ACROSS
    transform = from_origin(left * size - MERCATOR_M, MERCATOR_M - top * size, size / cells, size / cells)
    weights = ", ".join(f"{name} {weight:g}" for name, weight in fine.weights.items())
    with (
        replacing(path) as temporary,
        rasterio.open(
            temporary, "w", driver="GTiff", width=image.shape[1], height=image.shape[0], count=1, dtype="float64",
            crs="EPSG:3857", transform=transform, nodata=np.nan, compress="deflate", tiled=False,
        ) as raster,
    ):  # fmt: skip
        raster.write(image, 1)
        raster.set_band_description(1, f"{what} ({unit})")
        raster.update_tags(unit=unit, quantity=what, spread_by=weights)


def _correction(values: np.ndarray, traffic: np.ndarray) -> np.ndarray:
    sums = values.sum(axis=(1, 2))
    return np.divide(traffic, sums, out=np.ones_like(sums), where=sums > 0)
