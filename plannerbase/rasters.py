"""GeoTIFF files, opened with the limits that a file from a stranger needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pyproj.exceptions import ProjError

from plannerbase.text import Refused

if TYPE_CHECKING:
    import rasterio

MAX_BLOCK_BYTES = 512_000_000  # GDAL reads whole blocks, so one that is larger than this is refused
GDAL_LIMITS = {
    "GDAL_CACHEMAX": 256_000_000,
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no file beside the one that was given is looked at
    "GDAL_NUM_THREADS": 1,
}


def name_of(source: Path | bytes) -> str:
    """What messages call a raster."""
    return "the uploaded GeoTIFF" if isinstance(source, bytes) else source.name


def scaling_of(raster: rasterio.DatasetReader) -> tuple[float, float]:
    """(factor, offset) by which the numbers that a raster's first band stores become its values."""
    factor, offset = float(raster.scales[0]), float(raster.offsets[0])
    good = np.isfinite(factor) and np.isfinite(offset) and factor != 0
    return (factor, offset) if good else (1.0, 0.0)


@contextmanager
def opened_raster(source: Path | bytes) -> Iterator[rasterio.DatasetReader]:
    """A GeoTIFF that states where it lies. Raises `Refused`, a whole sentence, also for what goes wrong while it is
    read."""
    import rasterio  # only rasters need it

    name = name_of(source)
    try:
        with ExitStack() as stack:
            stack.enter_context(rasterio.Env(**GDAL_LIMITS))
            if isinstance(source, bytes):
                memory = stack.enter_context(rasterio.MemoryFile(source))
                raster = stack.enter_context(memory.open(driver="GTiff"))
            else:
                raster = stack.enter_context(rasterio.open(source, driver="GTiff"))
            if raster.crs is None or raster.transform.is_identity:
                raise Refused(
                    f"{name} does not state where on earth it lies; export it as GeoTIFF with a reference system."
                )
            height, width = raster.block_shapes[0]
            if height * width * raster.count * np.dtype(raster.dtypes[0]).itemsize > MAX_BLOCK_BYTES:
                raise Refused(
                    f"{name} is stored in blocks of {width:,} x {height:,} pixels, too large to read in parts; export "
                    "it tiled (gdal_translate -co TILED=YES)."
                )
            yield raster
    except Exception as error:
        # errors of GDAL itself, which rasterio passes through from its reprojection
        of_gdal = type(error).__module__ == "rasterio._err"
        if not (of_gdal or isinstance(error, (rasterio.errors.RasterioError, ProjError, UnicodeDecodeError))):
            raise
        reason = "damaged" if isinstance(source, bytes) else str(error).replace(str(source), name)
        raise Refused(f"{name} cannot be read as GeoTIFF ({reason}); export it again.") from None
