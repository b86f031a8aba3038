"""Where in its tile the traffic stands: by people or by land cover."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from planning.coverage.pixels import PixelGrid
from planning.coverage.rasters import RasterSource, resampled
from planning.errors import InputError

# ESA WorldCover class -> relative traffic of a pixel (assumed): built-up ground carries nearly all of it
WORLDCOVER_TRAFFIC = {50: 1.0, 10: 0.02, 20: 0.02, 30: 0.05, 40: 0.03, 60: 0.05}


def people_weights(grid: PixelGrid, people: RasterSource) -> np.ndarray:
    """(pixels,) relative number of people, from a GeoTIFF of people by cell or density, as WorldPop and GHSL give them.

    0 where the file has no value or a negative one. Raises InputError for a file that cannot be used, or that has
    nobody in the area.
    """
    raster = resampled(people, grid, 0.0)
    weights = np.nan_to_num(raster.nearest(grid.east_m, grid.north_m), nan=0.0).clip(min=0).astype(float)
    if not weights.sum() > 0:
        raise InputError("The raster of people has nobody in the area; give one that covers it.")
    return weights


def land_cover_weights(
    grid: PixelGrid, classes: RasterSource, traffic: Mapping[int, float] = WORLDCOVER_TRAFFIC
) -> np.ndarray:
    """(pixels,) relative traffic by land-cover class; 0 for classes that `traffic` lacks. Raises InputError."""
    if not traffic or any(not value >= 0 for value in traffic.values()):
        raise InputError("The traffic of land-cover classes must be numbers of at least 0.")
    raster = resampled(classes, grid, 0.0, classes=True)
    found = raster.nearest(grid.east_m, grid.north_m)
    weights = np.zeros(len(grid))
    for number, value in traffic.items():
        weights[found == number] = value
    return weights
