"""People in the twelve north-to-south strips of tiles, from a raster of people in each cell, or of people per km2.

Where raster cells are bounded by meridians and parallels, as tiles are, the share of a cell that lies in a strip is the
product of a share in height and a share in width, and the sums over all strips of a block of tiles are two matrix
products: height @ cells @ width.T. The cells of any other raster are taken apart into points
(`scattered_cells`). People
are taken as evenly spread inside a cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pyproj
import rasterio
from rasterio import DatasetReader
from rasterio.windows import Window

from opendiff.area import Tiles
from opendiff.area.tile_grid import tile_bounds
from opendiff.errors import SourceError
from opendiff.live import scattered_cells
from opendiff.live.download import download
from opendiff.live.http import Client, NotThere, check_cancelled
from opendiff.live.providers import Provider
from opendiff.live.rasters import cut_blocks, opened_raster
from opendiff.open_data.sources import POPULATION_STRIPS
from plannerbase.guard import guarded
from plannerbase.progress import Progress
from plannerbase.rasters import scaling_of

MAX_COUNTRY_BYTES = 20_000_000_000
MAX_BLOCK_CELLS = 40_000_000  # read at once, as float64: 320 MB
READ_SECONDS = 300.0  # that a block may take
BLOCK_TILES = 32  # side of the block of tiles that is summed at once
COVERED = 0.999  # of a tile inside the raster's extent; below it the tile's population counts as unknown
AXIS_M, E2 = (
    6_378_137.0,
    6.694_379_990_14e-3,
)  # of the WGS-84 ellipsoid: semi-major axis, eccentricity squared
PopulationUnit = Literal["people", "per-km2"]  # what a cell of a raster holds
# how rasters of density are named: WorldPop's "pd", "population_density", "people per sq km"
DENSITY = re.compile(
    r"(^|[_\W])(pd|popdens?(ity)?|(population[_\W]?)?density)([_\W]|$)"
    r"|(\bper|/)[\s_]*(sq(uare)?[\s._]*)?(km|kilomet)",
    re.IGNORECASE,
)
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


def unit_of(path: Path) -> PopulationUnit:
    """Whether a raster holds people in each cell or people per km2, by its name, its tags and its band's description.
    Raises SourceError."""
    name = path.stem
    return "per-km2" if DENSITY.search(name) or _says_density(path) else "people"


@guarded(SourceError)
def _says_density(path: Path) -> bool:
    with opened_raster(path) as raster:
        described = [*map(str, raster.descriptions or ()), *map(str, raster.units or ())]
        described += [str(v) for tags in (raster.tags(), raster.tags(1)) for v in tags.values()]
    return any(DENSITY.search(text[:500]) for text in described)


def strip_population(
    path: Path,
    tiles: Tiles,
    cancelled: Callable[[], bool] | None = None,
    unit: PopulationUnit = "people",
) -> tuple[np.ndarray, np.ndarray]:
    """People in each strip, (tiles, 12) float64, north to south, and the mask (tiles,) of tiles that the raster covers.

    unit: what the cells hold. Cells without a value, or with a negative one, count as uninhabited. Memory is
    bounded by blocks of tiles. Raises
    SourceError.
    """
    people = np.zeros((len(tiles), POPULATION_STRIPS))
    known = np.zeros(len(tiles), bool)
    x, y = (tiles[axis].to_numpy(np.int64) for axis in ("x", "y"))
    for block in cut_blocks(x, y, BLOCK_TILES):
        check_cancelled(cancelled)
        people[block], known[block] = _read_block(path, x[block], y[block], unit, cancelled=cancelled)
    if not (np.isfinite(people) & (people >= 0)).all():
        raise SourceError(f"{path.name} has numbers of people that are not finite; export it again.")
    people[~known] = 0
    return people, known


@guarded(SourceError, seconds=READ_SECONDS)
def _read_block(
    path: Path,
    x: np.ndarray,
    y: np.ndarray,
    unit: PopulationUnit,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    with opened_raster(path) as raster:
        count = _block_population if _axis_aligned(raster) else _block_of_points
        return count(raster, path, x, y, unit)


def _block_population(
    raster: DatasetReader, path: Path, x: np.ndarray, y: np.ndarray, unit: PopulationUnit
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
    cells = _people(raster, window, path, unit)
    width = _shares(from_column - window.col_off, to_column - window.col_off, cells.shape[1])
    height = _shares(from_row - window.row_off, to_row - window.row_off, cells.shape[0])
    sums = (height @ cells @ width.T).reshape(len(ys), POPULATION_STRIPS, len(xs))
    return sums[row, :, column], known


def _block_of_points(
    raster: DatasetReader, path: Path, x: np.ndarray, y: np.ndarray, unit: PopulationUnit
) -> tuple[np.ndarray, np.ndarray]:
    """As `_block_population`, for a raster in any other reference system, or turned."""
    known = scattered_cells.inside(raster, x, y)
    column, row = scattered_cells.pixels_of_block(raster, x, y)
    window = None
    if len(column):
        window = _window(column.min() - 1, column.max() + 1, row.min() - 1, row.max() + 1, raster)
    if window is None:
        return np.zeros((len(x), POPULATION_STRIPS)), known
    cells = _people(raster, window, path, unit)
    parts = scattered_cells.parts_of_cell(column, row, int(max(np.ptp(x), np.ptp(y))) + 1)
    return scattered_cells.counted(raster, cells, window.row_off, window.col_off, x, y, parts), known


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


def _people(raster: DatasetReader, window: Window, path: Path, unit: PopulationUnit) -> np.ndarray:
    """People in each cell of a window, float64, 0 where there is no value."""
    if window.width * window.height > MAX_BLOCK_CELLS:
        raise SourceError(
            f"{path.name} is finer than population can be known ({window.width:,.0f} cells across {BLOCK_TILES} "
            "tiles); sum it to cells of about 100 m."
        )
    factor, offset = scaling_of(raster)
    cells = (raster.read(1, window=window, out_dtype="float64", masked=True) * factor + offset).filled(0)
    cells = np.where(np.isfinite(cells) & (cells > 0), cells, 0)
    return cells if unit == "people" else cells * _cell_km2(raster, window)


def _cell_km2(raster: DatasetReader, window: Window) -> np.ndarray:
    """Ground area of the cells of a window, (rows, 1) or (rows, columns)."""
    turn = raster.transform
    size = abs(turn.a * turn.e - turn.b * turn.d)
    rows = window.row_off + np.arange(window.height) + 0.5
    if raster.crs.is_geographic:
        lat = np.radians(scattered_cells.applied(turn, window.col_off + window.width / 2, rows)[1])
        shrink = 1 - E2 * np.sin(lat) ** 2
        east, north = AXIS_M * np.cos(lat) / np.sqrt(shrink), AXIS_M * (1 - E2) / shrink**1.5
        return (size * np.radians(1) ** 2 * east * north / 1e6)[:, None]
    column, row = np.meshgrid(window.col_off + np.arange(window.width) + 0.5, rows)
    to_degrees = pyproj.Transformer.from_crs(raster.crs, "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(*scattered_cells.applied(turn, column.ravel(), row.ravel()))
    good = np.isfinite(lon) & np.isfinite(lat)
    factors = pyproj.Proj(raster.crs).get_factors(np.where(good, lon, 0), np.where(good, lat, 0))
    scale = np.where(good, np.asarray(factors.areal_scale), np.inf)
    metre = raster.crs.linear_units_factor[1]
    return (size * metre**2 / scale / 1e6).reshape(row.shape)


def _axis_aligned(raster: DatasetReader) -> bool:
    return (
        raster.crs.is_geographic and raster.transform.b == 0 == raster.transform.d and raster.transform.e < 0
    )


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
