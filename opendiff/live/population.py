"""People in the twelve north-to-south strips of tiles, from a raster of people in each cell.

Raster cells and tiles are both bounded by meridians and parallels, so the share of a cell that lies in a strip is the
product of a share in height and a share in width, and the sums over all strips of a block of tiles are two matrix
products: height @ cells @ width.T. People are taken as evenly spread inside a cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import rasterio
from rasterio import DatasetReader
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from intake.guard import Stopped, guarded
from opendiff.area import Tiles
from opendiff.area.tile_grid import tile_bounds
from opendiff.errors import Cancelled, SourceError
from opendiff.live.download import download
from opendiff.live.http import Client, NotThere, check_cancelled
from opendiff.live.providers import Provider
from opendiff.live.rasters import cut_blocks, opened_raster
from opendiff.open_data.sources import POPULATION_STRIPS
from opendiff.progress import Progress

MAX_COUNTRY_BYTES = 20_000_000_000
MAX_BLOCK_CELLS = 40_000_000  # read at once, as float64: 320 MB
READ_SECONDS = 300.0  # that a block may take
BLOCK_TILES = 32  # side of the block of tiles that is summed at once
NO_DATA = -99999.0  # of a warped raster that names no such value; negative, so uninhabited
COVERED = 0.999  # of a tile inside the raster's extent; below it the tile's population counts as unknown
WARPED_DEGREES = 1 / 1200  # cell of a raster that is brought from another reference system: 3 arc seconds
TIFF_KINDS = ("image/tiff", "image/geotiff", "application/octet-stream", "application/x-geotiff", "binary/")


def check_country(code: str) -> str:
    """An ISO 3166 code of three letters, upper case. Raises SourceError."""
    if not re.fullmatch(r"[A-Za-z]{3}", code):
        raise SourceError(
            f"{code!r} is no country code; give the three letters of ISO 3166 (alpha-3), such as CHN or FRA."
        )
    return code.upper()


def fetch_country(
    client: Client, provider: Provider, country: str, folder: Path, progress: Progress | None = None
) -> Path:
    """The raster of a country, downloaded into `folder` where it is not yet there. Raises SourceError, Cancelled."""
    country = check_country(country)
    url = provider.url.replace("{ISO}", country).replace("{iso}", country.lower())
    path = folder / re.sub(r"[^\w.-]", "_", url.rpartition("/")[2] or f"{country}.tif")
    if path.is_file() and not _is_raster(path):
        path.unlink(missing_ok=True)
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            download(client, url, path, TIFF_KINDS, MAX_COUNTRY_BYTES, progress, _check_raster)
        except NotThere:
            raise SourceError(
                f"{provider.name} has no raster for the country {country}; check the code (ISO 3166 alpha-3), or give "
                "a raster of your own."
            ) from None
    return path


def strip_population(
    path: Path, tiles: Tiles, cancelled: Callable[[], bool] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """People in each strip, (tiles, 12) float64, north to south, and the mask (tiles,) of tiles that the raster covers.

    Cells without a value, or with a negative one, count as uninhabited. Memory is bounded by blocks of tiles. Raises
    SourceError.
    """
    people = np.zeros((len(tiles), POPULATION_STRIPS))
    known = np.zeros(len(tiles), bool)
    x, y = (tiles[axis].to_numpy(np.int64) for axis in ("x", "y"))
    for block in cut_blocks(x, y, BLOCK_TILES):
        check_cancelled(cancelled)
        try:
            people[block], known[block] = _read_block(path, x[block], y[block], cancelled=cancelled)
        except Stopped:
            raise Cancelled from None
    if not (np.isfinite(people) & (people >= 0)).all():
        raise SourceError(f"{path.name} has numbers of people that are not finite; export it again.")
    people[~known] = 0
    return people, known


@guarded(SourceError, seconds=READ_SECONDS)
def _read_block(
    path: Path, x: np.ndarray, y: np.ndarray, cancelled: Callable[[], bool] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    with opened_raster(path) as opened, ExitStack() as stack:
        raster = opened if _axis_aligned(opened) else stack.enter_context(_warped(opened))
        return _block_population(raster, path, x, y)


def _block_population(
    raster: DatasetReader, path: Path, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """As `strip_population`, for tiles x, y (tiles,) that lie together."""
    across, down = raster.transform.a, -raster.transform.e  # size of a cell, degrees
    left, top = raster.transform.c, raster.transform.f
    xs, column = np.unique(x, return_inverse=True)
    ys, row = np.unique(y, return_inverse=True)
    strips = (ys[:, None] + np.arange(POPULATION_STRIPS) / POPULATION_STRIPS).ravel()
    west, _, east, _ = tile_bounds(xs, 0)
    north, south = tile_bounds(0, strips)[3], tile_bounds(0, strips + 1 / POPULATION_STRIPS - 1)[1]
    from_column, to_column = (west - left) / across, (east - left) / across
    from_row, to_row = (top - north) / down, (top - south) / down
    inside_rows = _covered(from_row, to_row, raster.height)
    inside_rows = np.minimum.reduceat(inside_rows, np.arange(len(ys)) * POPULATION_STRIPS)
    known = _covered(from_column, to_column, raster.width)[column] * inside_rows[row] >= COVERED
    window = _window(from_column.min(), to_column.max(), from_row.min(), to_row.max(), raster)
    if window is None:
        return np.zeros((len(x), POPULATION_STRIPS)), known
    cells = _people(raster, window, path)
    width = _shares(from_column - window.col_off, to_column - window.col_off, cells.shape[1])
    height = _shares(from_row - window.row_off, to_row - window.row_off, cells.shape[0])
    sums = (height @ cells @ width.T).reshape(len(ys), POPULATION_STRIPS, len(xs))
    return sums[row, :, column], known


def _shares(start: np.ndarray, end: np.ndarray, cells: int) -> np.ndarray:
    """How much of each cell lies between start and end, (intervals, cells); positions in units of cells."""
    edge = np.arange(cells)
    return np.clip(np.minimum(end[:, None], edge + 1) - np.maximum(start[:, None], edge), 0, 1)


def _covered(start: np.ndarray, end: np.ndarray, size: int) -> np.ndarray:
    """The share of each interval that lies on the raster."""
    return np.clip(np.minimum(end, size) - np.maximum(start, 0), 0, None) / (end - start)


def _window(left: float, right: float, top: float, bottom: float, raster: DatasetReader) -> Window | None:
    """The cells between four edges, in units of cells, that lie on the raster; None where none does."""
    first_column, last_column = max(0, int(np.floor(left))), min(raster.width, int(np.ceil(right)))
    first_row, last_row = max(0, int(np.floor(top))), min(raster.height, int(np.ceil(bottom)))
    if first_column >= last_column or first_row >= last_row:
        return None
    return Window(first_column, first_row, last_column - first_column, last_row - first_row)


def _people(raster: DatasetReader, window: Window, path: Path) -> np.ndarray:
    """People in each cell of a window, float64, 0 where there is no value."""
    if window.width * window.height > MAX_BLOCK_CELLS:
        raise SourceError(
            f"{path.name} is finer than population can be known ({window.width:,.0f} cells across {BLOCK_TILES} "
            "tiles); sum it to cells of about 100 m."
        )
    cells = raster.read(1, window=window, out_dtype="float64", masked=True).filled(0)
    return np.where(np.isfinite(cells) & (cells > 0), cells, 0)


def _axis_aligned(raster: DatasetReader) -> bool:
    return (
        raster.crs.is_geographic and raster.transform.b == 0 == raster.transform.d and raster.transform.e < 0
    )


def _warped(raster: DatasetReader) -> WarpedVRT:
    """The raster in longitude and latitude; sums of people are kept."""
    west, south, east, north = transform_bounds(raster.crs, "EPSG:4326", *raster.bounds)
    width, height = (max(1, int(np.ceil(size / WARPED_DEGREES))) for size in (east - west, north - south))
    transform = from_origin(west, north, WARPED_DEGREES, WARPED_DEGREES)
    nodata = raster.nodata if raster.nodata is not None else NO_DATA
    return WarpedVRT(
        raster, crs="EPSG:4326", transform=transform, width=width, height=height, resampling=Resampling.sum,
        dtype="float64", nodata=nodata,
    )  # fmt: skip


def _is_raster(path: Path) -> bool:
    """Whether a raster is whole; one that was damaged since is downloaded again."""
    try:
        _check_raster(path)
    except ValueError:
        return False
    return True


def _check_raster(path: Path) -> None:
    """Raises ValueError when a downloaded file cannot be opened or its last rows cannot be read."""
    try:
        with rasterio.open(path, driver="GTiff") as raster:
            raster.read(1, window=Window(0, raster.height - 1, min(raster.width, 64), 1))
    except rasterio.errors.RasterioError as error:
        raise ValueError(str(error)) from None
