"""Further layers of a pack from a user's file: GeoTIFF, or CSV of places with a value each.

Jobs and activity are counts, which are summed over a tile; night lights and node density are intensities, which are
averaged; a layer that is only shown (`SHOWN_LAYERS`) says which it is. The values go to `extra.parquet` of the pack,
beside what it holds already.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.warp import reproject

from opendiff.area import Tiles, tile_index
from opendiff.area.tile_grid import MAX_LATITUDE, TILES_ACROSS, tile_at
from opendiff.errors import SourceError
from opendiff.live.rasters import cut_blocks, opened_raster
from opendiff.open_data.layers import LAYER_COLUMNS, SHOWN_LAYERS
from opendiff.open_data.sources import EXTRA_TABLE, PackSource
from opendiff.storage.atomic import replacing
from plannerbase.delimited import read_csv
from plannerbase.numbers import numbers_of
from plannerbase.rasters import scaling_of

SUMMED = ("jobs", "activity")
MERCATOR_M = 20_037_508.342789244  # half the width of the Web-Mercator map
BLOCK_TILES = 64  # side of the square of tiles that is read at once
RASTERS, TABLES = (".tif", ".tiff"), (".csv", ".txt")
MAX_BYTES = 500_000_000  # of a table
LONGITUDE_NAMES, LATITUDE_NAMES = ("lon", "lng", "long", "longitude"), ("lat", "latitude")
VALUE_NAMES = ("value", "count", "jobs", "activity")


def add_layer(pack: PackSource, name: str, path: Path) -> int:
    """Write a layer of a pack from a file; returns how many of its tiles have a value. Raises SourceError."""
    columns = LAYER_COLUMNS | {shown: of.column for shown, of in SHOWN_LAYERS.items()}
    if name not in columns:
        raise SourceError(f"There is no layer {name!r}; choose one of {', '.join(columns)}.")
    summed = name in SUMMED or (name in SHOWN_LAYERS and SHOWN_LAYERS[name].summed)
    if not path.is_file():
        raise SourceError(f"There is no file {path}; name a GeoTIFF (.tif) or a CSV.")
    tiles = pack.all_tiles()
    if path.suffix.lower() in RASTERS:
        values = raster_values(path, tiles, summed=summed)
    elif path.suffix.lower() in TABLES:
        values = table_values(path, tiles, summed=summed)
    else:
        raise SourceError(f"{path.name} is neither GeoTIFF (.tif) nor CSV; export it as one of them.")
    known = np.isfinite(values)
    if not known.any():
        raise SourceError(f"{path.name} has no value in the tiles of {pack.name}; check its positions.")
    target = pack.root / EXTRA_TABLE
    table = tiles[["x", "y"]].copy()
    if target.is_file():
        table = table.merge(pd.read_parquet(target), on=["x", "y"], how="outer")
    column = columns[name]
    column = f"{column}own" if column.endswith("_") else column
    own = pd.Series(values, index=tile_index(tiles))
    table[column] = own.reindex(pd.MultiIndex.from_frame(table[["x", "y"]])).to_numpy()
    if column.endswith("_own"):  # in the place of other years
        start = columns[name]
        table = table.drop(columns=[other for other in table if other.startswith(start) and other != column])
    with replacing(target) as temporary:
        table.to_parquet(temporary, index=False)
    return int(known.sum())


def raster_values(path: Path, tiles: Tiles, summed: bool) -> np.ndarray:
    """Sum or mean of a raster over each tile, (tiles,), NaN where it has no value. Raises SourceError."""
    values = np.full(len(tiles), np.nan)
    x, y = (tiles[axis].to_numpy(np.int64) for axis in ("x", "y"))
    for block in cut_blocks(x, y, BLOCK_TILES):
        left, top = int(x[block].min()), int(y[block].min())
        shape = int(y[block].max()) - top + 1, int(x[block].max()) - left + 1
        cells = on_grid(path, left, top, *shape, 1, summed)
        values[block] = cells[y[block] - top, x[block] - left]
    return values


def on_grid(path: Path, left: int, top: int, rows: int, columns: int, cells: int, summed: bool) -> np.ndarray:
    """A raster on cells of zoom-15 tiles, `cells` to a side of a tile, (rows * cells, columns * cells) float64; sums or
    means, NaN where there is no value. left, top: the first tile. Raises SourceError."""
    size = 2 * MERCATOR_M / TILES_ACROSS
    transform = from_origin(left * size - MERCATOR_M, MERCATOR_M - top * size, size / cells, size / cells)
    found = np.full((rows * cells, columns * cells), np.nan)
    with opened_raster(path) as raster:
        reproject(
            rasterio.band(raster, 1), found, dst_transform=transform, dst_crs="EPSG:3857", dst_nodata=np.nan,
            resampling=Resampling.sum if summed else Resampling.average, init_dest_nodata=True,
        )  # fmt: skip
        factor, offset = scaling_of(raster)
        if summed and offset:
            raise SourceError(
                f"{path.name} stores its values with an offset, so they cannot be summed; write the values themselves "
                "(gdal_translate -unscale -ot Float32)."
            )
    found = found * factor + offset
    return np.where(found < 0, np.nan, found)


def table_values(path: Path, tiles: Tiles, summed: bool) -> np.ndarray:
    """Sum or mean of the values of a CSV's places in each tile, (tiles,). A tile between its places without any has 0
    where values are summed, else NaN. Raises SourceError."""
    if path.stat().st_size > MAX_BYTES:
        raise SourceError(
            f"{path.name} is larger than {MAX_BYTES // 10**6} MB; keep only the places of the area."
        )
    try:
        table = read_csv(path.read_bytes())
    except (ValueError, OSError) as error:
        raise SourceError(f"{path.name} cannot be read as CSV ({error}); export it again.") from None
    names = {str(name).strip().lower(): name for name in table.columns}
    found = [
        next((names[one] for one in known if one in names), None)
        for known in (LONGITUDE_NAMES, LATITUDE_NAMES, VALUE_NAMES)
    ]
    if found[0] is None or found[1] is None:
        raise SourceError(
            f"{path.name} has the columns {', '.join(map(str, table.columns))}; it needs lon and lat, and value."
        )
    lon, lat = (numbers_of(table[name]) for name in found[:2])
    values = np.ones(len(table)) if found[2] is None else numbers_of(table[found[2]])
    good = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lon) <= 180) & (np.abs(lat) <= MAX_LATITUDE)
    good &= np.isfinite(values) & (values >= 0)
    if not good.any():
        raise SourceError(f"{path.name} has no place with lon, lat and a value of at least 0; correct it.")
    place_x, place_y = tile_at(lon[good], lat[good])
    row = tile_index(tiles).get_indexer(pd.MultiIndex.from_arrays([place_x, place_y]))
    inside = row >= 0
    total = np.bincount(row[inside], values[good][inside], minlength=len(tiles))
    count = np.bincount(row[inside], minlength=len(tiles))
    if not summed:
        return np.divide(total, count, out=np.full(len(tiles), np.nan), where=count > 0)
    x, y = tiles["x"].to_numpy(), tiles["y"].to_numpy()
    between = (x >= place_x.min()) & (x <= place_x.max()) & (y >= place_y.min()) & (y <= place_y.max())
    return np.where(between, total, np.nan)
