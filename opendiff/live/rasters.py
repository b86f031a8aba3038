"""GeoTIFF files, opened with the errors of this package, and tiles in the blocks in which they are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio

from opendiff.area.tile_grid import TILES_ACROSS
from opendiff.errors import SourceError
from plannerbase import rasters
from plannerbase.text import refused_as


@contextmanager
def opened_raster(path: Path) -> Iterator[rasterio.DatasetReader]:
    """A GeoTIFF that states where it lies. Raises SourceError, also for what goes wrong while it is read."""
    with refused_as(SourceError), rasters.opened_raster(path) as raster:
        yield raster


def cut_blocks(x: np.ndarray, y: np.ndarray, side: int) -> list[np.ndarray]:
    """Rows of tiles x, y (tiles,), one array for each occupied square of side x side tiles of the grid."""
    key = (x // side) * TILES_ACROSS + y // side
    order = np.argsort(key, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(key[order])) + 1) if len(order) else []
