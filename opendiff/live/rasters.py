"""GeoTIFF files, opened with the limits that a file from a stranger needs, and read in blocks of tiles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from pyproj.exceptions import ProjError

from opendiff.area.tile_grid import TILES_ACROSS
from opendiff.errors import SourceError

MAX_BLOCK_BYTES = 512_000_000  # GDAL reads whole blocks, so one that is larger than this is refused
GDAL_LIMITS = {
    "GDAL_CACHEMAX": 256_000_000,
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no file beside the one that was given is looked at
    "GDAL_NUM_THREADS": 1,
}


@contextmanager
def opened_raster(path: Path) -> Iterator[rasterio.DatasetReader]:
    """A GeoTIFF that states where it lies. Raises SourceError, also for what goes wrong while it is read."""
    try:
        with rasterio.Env(**GDAL_LIMITS), rasterio.open(path, driver="GTiff") as raster:
            if raster.crs is None or raster.transform.is_identity:
                raise SourceError(
                    f"{path.name} does not state where on earth it lies; export it as GeoTIFF with a reference system."
                )
            height, width = raster.block_shapes[0]
            if height * width * raster.count * np.dtype(raster.dtypes[0]).itemsize > MAX_BLOCK_BYTES:
                raise SourceError(
                    f"{path.name} is stored in blocks of {width:,} x {height:,} pixels, too large to read in parts; "
                    "export it tiled (gdal_translate -co TILED=YES)."
                )
            yield raster
    except Exception as error:
        # errors of GDAL itself, which rasterio passes through from its reprojection
        of_gdal = type(error).__module__ == "rasterio._err"
        if not (of_gdal or isinstance(error, (rasterio.errors.RasterioError, ProjError, UnicodeDecodeError))):
            raise
        reason = str(error).replace(str(path), path.name)
        raise SourceError(f"{path.name} cannot be read as GeoTIFF ({reason}); export it again.") from None


def cut_blocks(x: np.ndarray, y: np.ndarray, side: int) -> list[np.ndarray]:
    """Rows of tiles x, y (tiles,), one array for each occupied square of side x side tiles of the grid."""
    key = (x // side) * TILES_ACROSS + y // side
    order = np.argsort(key, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(key[order])) + 1) if len(order) else []
