"""Users' GeoTIFF files of any reference system, resampled to the metric projection of a pixel grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plannerbase.guard import guarded
from plannerbase.rasters import name_of, opened_raster, scaling_of
from plannerbase.text import refused_as
from planning.coverage.pixels import PixelGrid
from planning.errors import InputError

MAX_BYTES = 4_000_000_000  # of a file
MAX_CELLS = 60_000_000  # of the resampled raster
READ_SECONDS = 120.0  # that a file may take in the reading process

RasterSource = str | Path | bytes


@dataclass(frozen=True)
class MetricRaster:
    """values (rows, columns) float32, NaN where the file has none, on squares of `step_m` metres in a grid's CRS."""

    values: np.ndarray
    west_m: float
    north_m: float
    step_m: float

    def nearest(self, east_m: np.ndarray, north_m: np.ndarray) -> np.ndarray:
        """(...) values of the squares that hold places; NaN outside."""
        column = np.floor((east_m - self.west_m) / self.step_m).astype(np.int64)
        row = np.floor((self.north_m - north_m) / self.step_m).astype(np.int64)
        rows, columns = self.values.shape
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        found = self.values[np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)]
        return np.where(inside, found, np.float32(np.nan))

    def bilinear(self, east_m: np.ndarray, north_m: np.ndarray) -> np.ndarray:
        """(...) float32 values between the middles of squares; those of the border outside."""
        return self._between((east_m - self.west_m) / self.step_m, (self.north_m - north_m) / self.step_m)

    def bilinear_from(
        self, east_m: float, north_m: float, right_m: np.ndarray, up_m: np.ndarray
    ) -> np.ndarray:
        """The same at distances from one place, in the precision of the distances."""
        kind = right_m.dtype.type
        x = right_m * kind(1 / self.step_m) + kind((east_m - self.west_m) / self.step_m)
        y = up_m * kind(-1 / self.step_m) + kind((self.north_m - north_m) / self.step_m)
        return self._between(x, y)

    def _between(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        rows, columns = self.values.shape
        x = np.clip(x - 0.5, 0, columns - 1).astype(np.float32, copy=False)
        y = np.clip(y - 0.5, 0, rows - 1).astype(np.float32, copy=False)
        column, row = np.minimum(x.astype(np.int32), columns - 2), np.minimum(y.astype(np.int32), rows - 2)
        x -= column
        y -= row
        flat, at = self.values.ravel(), row * columns + column
        upper, lower = flat[at], flat[at + columns]
        upper += x * (flat[at + 1] - upper)
        lower += x * (flat[at + columns + 1] - lower)
        lower -= upper
        lower *= y
        lower += upper
        return lower


def resampled(source: RasterSource, grid: PixelGrid, margin_m: float, classes: bool = False) -> MetricRaster:
    """The first band of a GeoTIFF around a grid's pixels.

    Parameters
    ----------
    source : path or content of the file.
    margin_m : how far beyond the pixels.
    classes : whether values are classes, of which the nearest counts; else they are averaged or interpolated.

    Raises
    ------
    InputError
        For a file that is no GeoTIFF, states no reference system or does not touch the area.
    """
    step = grid.pixel_m
    half = step / 2
    west, east = grid.east_m.min() - half - margin_m, grid.east_m.max() + half + margin_m
    south, north = grid.north_m.min() - half - margin_m, grid.north_m.max() + half + margin_m
    while (east - west) * (north - south) / step**2 > MAX_CELLS:
        step *= 2
    shape = (max(2, int(np.ceil((north - south) / step))), max(2, int(np.ceil((east - west) / step))))
    values = _warped(source, grid.crs, (float(west), float(north)), float(step), shape, classes)
    if values.shape != shape or values.dtype != np.float32:
        raise InputError("The raster could not be read; export it as GeoTIFF again.")
    if np.isnan(values).all():
        raise InputError(f"{name_of(_checked(source))} holds no value in the area; give one that covers it.")
    return MetricRaster(values, float(west), float(north), float(step))


@guarded(InputError, seconds=READ_SECONDS)
def _warped(
    source: RasterSource,
    crs: str,
    corner_m: tuple[float, float],
    step: float,
    shape: tuple[int, int],
    classes: bool,
) -> np.ndarray:
    """(rows, columns) float32 of a file on squares of `step` metres from a north-west corner in `crs`; NaN where it has
    no value."""
    import rasterio.warp  # only terrain and clutter need it
    from rasterio.enums import Resampling

    values = np.full(shape, np.nan, np.float32)
    west, north = corner_m
    east, south = west + step * shape[1], north - step * shape[0]
    file = _checked(source)
    name = name_of(file)
    with refused_as(InputError), opened_raster(file) as raster:
        bounds = rasterio.warp.transform_bounds(raster.crs, crs, *raster.bounds)
        own_step = (bounds[2] - bounds[0]) / raster.width
        if bounds[0] >= east or bounds[2] <= west or bounds[1] >= north or bounds[3] <= south:
            raise InputError(f"{name} does not touch the area; give one that covers it.")
        if classes:
            method = Resampling.nearest
        else:
            method = Resampling.average if own_step < step / 2 else Resampling.bilinear
        rasterio.warp.reproject(
            rasterio.band(raster, 1),
            values,
            dst_transform=rasterio.transform.from_origin(west, north, step, step),
            dst_crs=crs,
            dst_nodata=np.nan,
            resampling=method,
        )
        factor, offset = scaling_of(raster)
    return values if (factor, offset) == (1.0, 0.0) else (values * factor + offset).astype(np.float32)


def _checked(source: RasterSource) -> Path | bytes:
    """The file, if it is there and not too large. Raises InputError."""
    if isinstance(source, bytes):
        return source
    path = Path(source)
    if not path.is_file():
        raise InputError(f"There is no file {path}; give the path of a GeoTIFF.")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path.name} is larger than {MAX_BYTES // 10**9} GB; cut it to the area.")
    return path
