"""Satellite imagery of tiles: from a tile server, or cut from the user's own GeoTIFF, written into a pack."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image, UnidentifiedImageError
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from opendiff.area.tile_grid import TILES_ACROSS, ZOOM
from opendiff.errors import SourceError
from opendiff.live.http import Client, NotThere, Unreachable, check_cancelled
from opendiff.live.providers import Provider
from opendiff.live.rasters import cut_blocks, opened_raster
from opendiff.open_data.sources import IMAGE_FORMATS, IMAGE_SIZE, image_path
from opendiff.storage.atomic import replacing
from plannerbase.guard import guarded
from plannerbase.progress import Progress

MAX_TILE_BYTES = 4_000_000
IMAGE_KINDS = ("image/png", "image/jpeg", "image/jpg")
THREADS = 4  # requests under way at once: what a browser window asks of a tile server
FAILURES_IN_A_ROW = 8  # tiles; then the server is taken to be out of order
VALID = 0.99  # of a tile's pixels that a GeoTIFF must cover
MERCATOR_HALF_M = 20037508.342789244  # half the side of the Web-Mercator map (EPSG:3857)
PIXEL_M = 2 * MERCATOR_HALF_M / TILES_ACROSS / IMAGE_SIZE  # 4.78 m on the map
READ_SECONDS = 300.0  # that a block may take
BLOCK_TILES = 8  # side of the block of tiles that is warped at once
WARP_MEGABYTES = 64
FINER = 0.75  # of a tile's pixel; pixels of a raster below it are averaged


@dataclass(frozen=True)
class TilesFetched:
    """Rows of the tiles asked for that the server has no imagery of; how many could not be had now, and why."""

    absent: np.ndarray
    failed: int
    reason: SourceError | None = None


def fetch_tiles(
    client: Client,
    provider: Provider,
    x: np.ndarray,
    y: np.ndarray,
    root: Path,
    progress: Progress | None = None,
) -> TilesFetched:
    """Fetch the imagery of tiles x, y into the pack at `root`, each file whole or not at all.

    A tile that fails again and again is left for the next run; when several in a row do, or the server cannot be
    reached, the rest is left as well. Raises Cancelled.
    """
    tally = _Tally()
    with closing(_attempts(client, provider, x, y, root, lambda: tally.hopeless)) as attempts:
        for row, attempt in attempts:
            tally.note(row, attempt)
            if progress:
                progress(tally.done, len(x), "imagery")
            client.check_cancelled()
    failed = tally.failed + len(x) - tally.done
    return TilesFetched(np.array(sorted(tally.absent), np.int64), failed, tally.reason)


@dataclass
class _Tally:
    """What has come of the tiles so far. hopeless: whether no other is worth a try now."""

    absent: list[int] = field(default_factory=list)
    done: int = 0
    failed: int = 0
    reason: SourceError | None = None
    hopeless: bool = False
    _in_a_row: int = 0

    def note(self, row: int, attempt: Future[bool]) -> None:
        """Count an attempt that has ended. Raises what is no fault of the server."""
        self.done += 1
        try:
            if not attempt.result():
                self.absent.append(row)
            self._in_a_row = 0
        except SourceError as error:
            self.failed, self._in_a_row, self.reason = self.failed + 1, self._in_a_row + 1, error
            if isinstance(error, Unreachable) or self._in_a_row >= FAILURES_IN_A_ROW:
                self.hopeless = True


def _attempts(
    client: Client, provider: Provider, x: np.ndarray, y: np.ndarray, root: Path, ended: Callable[[], bool]
) -> Generator[tuple[int, Future[bool]], None, None]:
    """Rows of tiles and what came of them, as they end; no other is begun once `ended` says so."""
    stop = threading.Event()  # for threads that are in the middle of a pause when the caller leaves
    working = replace(
        client, cancelled=lambda: stop.is_set() or bool(client.cancelled and client.cancelled())
    )
    rows = iter(range(len(x)))
    under_way: dict[Future[bool], int] = {}
    with ThreadPoolExecutor(THREADS, "imagery") as pool:
        try:
            while True:
                while len(under_way) < 2 * THREADS and not ended() and (row := next(rows, None)) is not None:
                    under_way[pool.submit(_fetch_tile, working, provider, x[row], y[row], root)] = row
                if not under_way:
                    return
                for attempt in wait(under_way, return_when=FIRST_COMPLETED).done:
                    yield under_way.pop(attempt), attempt
        finally:
            stop.set()
            for attempt in under_way:
                attempt.cancel()


def _fetch_tile(client: Client, provider: Provider, x: int, y: int, root: Path) -> bool:
    """Fetch one tile into the pack; False when the server has none. Raises SourceError and Cancelled."""
    url = provider.url.format(z=ZOOM, x=int(x), y=int(y))
    try:
        body = client.get(url, IMAGE_KINDS, MAX_TILE_BYTES, check=check_tile_image)
    except NotThere:
        return False
    path = image_path(root, x, y)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(body)
    return True


def check_tile_image(body: bytes) -> None:
    """Raise ValueError when an image is damaged, SourceError when it is not of the size of a tile."""
    try:
        with Image.open(io.BytesIO(body), formats=IMAGE_FORMATS) as image:
            if image.size != (IMAGE_SIZE, IMAGE_SIZE):
                raise SourceError(
                    f"The server sends tiles of {image.width} x {image.height} pixels; use a template for "
                    f"{IMAGE_SIZE} x {IMAGE_SIZE}."
                )
            image.load()
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError) as error:
        raise ValueError(str(error)) from None


def cut_geotiff(
    path: Path,
    x: np.ndarray,
    y: np.ndarray,
    root: Path,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> np.ndarray:
    """Cut tiles x, y out of a GeoTIFF into the pack at `root`; returns the rows of tiles that it does not cover.

    The image is brought to Web Mercator window by window. A tile with less than VALID of its pixels is left out, so
    that nothing is encoded as if it were ground. Raises SourceError and Cancelled.
    """
    absent: list[int] = []
    done = 0
    for block in cut_blocks(x, y, BLOCK_TILES):
        check_cancelled(cancelled)
        images, covered = _cut_block(path, x[block], y[block], cancelled=cancelled)
        for row, image, is_covered in zip(block, images, covered, strict=True):
            if is_covered:
                _save_image(image_path(root, x[row], y[row]), image)
            else:
                absent.append(int(row))
        done += len(block)
        if progress:
            progress(done, len(x), "imagery")
    return np.array(sorted(absent), np.int64)


def _as_images(plain: tuple) -> tuple[np.ndarray, np.ndarray]:
    images, covered = (np.asarray(part) for part in plain)
    if images.dtype != np.uint8 or images.shape[1:] != (IMAGE_SIZE, IMAGE_SIZE, 3) or covered.dtype != bool:
        raise TypeError("no images")
    return images, covered


@guarded(SourceError, unpack=_as_images, seconds=READ_SECONDS)
def _cut_block(
    path: Path, x: np.ndarray, y: np.ndarray, cancelled: Callable[[], bool] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Images (tiles, 256, 256, 3) of tiles x, y (tiles,) that lie together, and the mask (tiles,) of those covered."""
    images = np.zeros((len(x), IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    covered = np.zeros(len(x), bool)
    left, top = int(x.min()), int(y.min())
    with opened_raster(path) as raster:
        bands = _colour_bands(raster, path)
        with _on_tile_grid(raster, left, top, int(x.max()) + 1, int(y.max()) + 1) as warped:
            for row in range(len(x)):
                check_cancelled(cancelled)
                pixels = _tile_pixels(warped, bands, int(x[row]) - left, int(y[row]) - top)
                if pixels is not None:
                    images[row], covered[row] = pixels, True
    return images, covered


def _save_image(path: Path, pixels: np.ndarray) -> None:
    """Write (256, 256, 3) uint8 as PNG, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, compress_level=1)  # quick rather than small


def _colour_bands(raster: rasterio.DatasetReader, path: Path) -> list[int]:
    """The numbers of the red, green and blue band, one band three times for a grey image. Raises SourceError."""
    if raster.colorinterp[0] == ColorInterp.palette:
        raise SourceError(f"{path.name} has a palette; expand it first (gdal_translate -expand rgb).")
    numbers = list(zip(raster.indexes, raster.colorinterp, strict=True))
    colours = [number for number, kind in numbers if kind != ColorInterp.alpha]
    named = {kind: number for number, kind in numbers}
    wanted = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(kind in named for kind in wanted):
        bands = [named[kind] for kind in wanted]
    elif len(colours) in (1, 2):
        bands = [colours[0]] * 3
    else:
        bands = colours[:3]
    if any(raster.dtypes[band - 1] != "uint8" for band in bands):
        raise SourceError(
            f"{path.name} has {raster.dtypes[bands[0] - 1]} values; imagery needs 8-bit colours from 0 to 255 "
            "(gdal_translate -ot Byte -scale)."
        )
    return bands


@contextmanager
def _on_tile_grid(
    raster: rasterio.DatasetReader, left: int, top: int, right: int, bottom: int
) -> Iterator[WarpedVRT]:
    """The raster seen on the pixels of tiles left..right-1, top..bottom-1."""
    side = IMAGE_SIZE * PIXEL_M
    transform = from_origin(left * side - MERCATOR_HALF_M, MERCATOR_HALF_M - top * side, PIXEL_M, PIXEL_M)
    has_mask = raster.nodata is not None or ColorInterp.alpha in raster.colorinterp
    with WarpedVRT(
        raster,
        crs="EPSG:3857",
        transform=transform,
        width=(right - left) * IMAGE_SIZE,
        height=(bottom - top) * IMAGE_SIZE,
        resampling=Resampling.average if _finer(raster) else Resampling.bilinear,
        add_alpha=not has_mask,
        warp_mem_limit=WARP_MEGABYTES,
    ) as warped:
        yield warped


def _finer(raster: rasterio.DatasetReader) -> bool:
    """Whether several pixels of the raster fall into one of a tile, so that they must be averaged."""
    west, south, east, north = transform_bounds(raster.crs, "EPSG:3857", *raster.bounds)
    return min((east - west) / raster.width, (north - south) / raster.height) < FINER * PIXEL_M


def _tile_pixels(warped: WarpedVRT, bands: list[int], column: int, row: int) -> np.ndarray | None:
    """(256, 256, 3) uint8, or None where too little is covered."""
    window = Window(column * IMAGE_SIZE, row * IMAGE_SIZE, IMAGE_SIZE, IMAGE_SIZE)
    if (warped.dataset_mask(window=window) > 0).mean() < VALID:
        return None
    return np.ascontiguousarray(warped.read(bands, window=window).transpose(1, 2, 0))
