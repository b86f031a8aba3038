"""The pixels of a coverage map: a square lattice in a local metric projection, and the traffic tile of each pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyproj
from numpy.typing import ArrayLike

from plannerbase.counting import counted
from planning.errors import InputError
from planning.geometry import ZOOM, centre_of, metres_per_degree, tile_corner, tile_position

MIN_PIXEL_M, MAX_PIXEL_M, DEFAULT_PIXEL_M = 20.0, 200.0, 50.0
MAX_PIXELS = 4_000_000  # 10,000 km2 at 50 m
MAX_RASTER = 25_000_000  # pixels of the rectangle around them
AREA_MARGIN_M = 1000.0  # around sites whose area nobody states
MAX_BOX_KM = 500.0  # beyond, the projection stretches distances by more than 0.1 %


@dataclass(frozen=True)
class PixelGrid:
    """Pixels in row order from north to south, west to east within a row; only those that lie in the area.

    Attributes
    ----------
    lon, lat : (pixels,) float64
        Centres, degrees WGS-84.
    east_m, north_m : (pixels,) float64
        Centres in `crs`, metres.
    row, column : (pixels,) int32
        Place in the raster of `shape`, whose north-west corner is `corner_m`.
    tile : (pixels,) int32
        Row of the traffic tile that holds the centre, -1 where none does.
    weight : (pixels,) float64
        Share of its tile's traffic; sums to 1 over the pixels of a tile, 0 outside tiles.
    pixel_m : float
        Side of a pixel in metres.
    shape : (rows, columns) of the raster.
    corner_m : (east, north) of the raster's north-west corner in metres.
    tiles : number of traffic tiles.
    crs : PROJ string of the transverse Mercator projection centred on the area; its distances are true to 0.1 %
        within 280 km of the centre.
    """

    lon: np.ndarray
    lat: np.ndarray
    east_m: np.ndarray
    north_m: np.ndarray
    row: np.ndarray
    column: np.ndarray
    tile: np.ndarray
    weight: np.ndarray
    pixel_m: float
    shape: tuple[int, int]
    corner_m: tuple[float, float]
    tiles: int
    crs: str

    @classmethod
    def of_tiles(
        cls, x: ArrayLike, y: ArrayLike, pixel_m: float = DEFAULT_PIXEL_M, weights: ArrayLike | None = None
    ) -> PixelGrid:
        """The pixels whose centres lie in zoom-15 tiles.

        Parameters
        ----------
        x, y : (tiles,) int
        pixel_m : side in metres, 20 to 200.
        weights : (pixels,) relative traffic of each pixel, as for `with_weights`; None spreads a tile's traffic evenly.

        Raises
        ------
        InputError
            For a pixel size out of range, too many pixels, or a tile so small that no pixel's centre lies in it.
        """
        x, y = np.atleast_1d(np.asarray(x, np.int64)), np.atleast_1d(np.asarray(y, np.int64))
        if not len(x):
            raise InputError("There is no tile to lay pixels on; give an area or a traffic table with tiles.")
        west, north = tile_corner(x, y)
        east, south = tile_corner(x + 1, y + 1)
        box = _lattice(np.r_[west, east], np.r_[south, north], pixel_m)
        lon, lat = box.lon, box.lat
        column, row = (np.floor(v).astype(np.int64) for v in tile_position(lon, lat))
        key, known = row * 2**ZOOM + column, y * 2**ZOOM + x
        order = np.argsort(known, kind="stable")
        place = np.minimum(np.searchsorted(known[order], key), len(order) - 1)
        tile = np.where(known[order][place] == key, order[place], -1).astype(np.int32)
        grid = box.kept(tile >= 0, tile, len(x))
        bare = np.bincount(grid.tile, minlength=len(x)) == 0
        if bare.any():
            raise InputError(
                f"{counted(int(bare.sum()), 'tiles are')} too small for pixels of {pixel_m:g} m; choose smaller pixels."
            )
        return grid.with_weights(np.ones(len(grid.lon)) if weights is None else weights)

    @classmethod
    def around(cls, lon: np.ndarray, lat: np.ndarray, pixel_m: float = DEFAULT_PIXEL_M) -> PixelGrid:
        """The pixels of the box around places (n,) in degrees and AREA_MARGIN_M beyond. Raises InputError."""
        east, north = (AREA_MARGIN_M / float(m) for m in metres_per_degree(lat.mean()))
        return cls.of_box(
            (max(-180.0, lon.min() - east), min(180.0, lon.max() + east)),
            (max(-85.0, lat.min() - north), min(85.0, lat.max() + north)),
            pixel_m,
        )

    @classmethod
    def of_box(
        cls, lon: tuple[float, float], lat: tuple[float, float], pixel_m: float = DEFAULT_PIXEL_M
    ) -> PixelGrid:
        """The pixels of a box (west, east), (south, north) in degrees, without traffic tiles. Raises InputError."""
        if not (lon[0] < lon[1] and lat[0] < lat[1] and max(np.abs(lon)) <= 180 and max(np.abs(lat)) <= 85):
            raise InputError("The box must have west < east and south < north, in degrees WGS-84.")
        box = _lattice(np.array(lon), np.array(lat), pixel_m)
        inside = (box.lon >= lon[0]) & (box.lon <= lon[1]) & (box.lat >= lat[0]) & (box.lat <= lat[1])
        if not inside.any():
            raise InputError(f"The box is smaller than a pixel of {pixel_m:g} m; draw a larger one.")
        return box.kept(inside, np.full(len(box.lon), -1, np.int32), 0)

    def __len__(self) -> int:
        return len(self.lon)

    @property
    def area_km2(self) -> float:
        """Ground of all pixels."""
        return len(self) * self.pixel_m**2 / 1e6

    @cached_property
    def _projection(self) -> pyproj.Transformer:
        return _to_metres(self.crs)

    def metres(self, lon: ArrayLike, lat: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """(east, north) in `crs` of places in degrees."""
        east, north = self._projection.transform(np.asarray(lon, float), np.asarray(lat, float))
        return np.asarray(east), np.asarray(north)

    def with_weights(self, weights: ArrayLike) -> PixelGrid:
        """The grid with a tile's traffic spread over its pixels in proportion to `weights` (pixels,) >= 0, such as
        people; evenly in a tile where they are all 0. Raises InputError."""
        values = np.asarray(weights, float)
        if values.shape != self.lon.shape or not (np.isfinite(values) & (values >= 0)).all():
            raise InputError("Weights must be one number of at least 0 for every pixel.")
        if not self.tiles:
            return replace(self, weight=np.zeros(len(self)))
        inside = self.tile >= 0
        tile = np.where(inside, self.tile, 0)
        total = np.bincount(tile, values * inside, self.tiles)
        values = np.where(total[tile] > 0, values, 1.0) * inside
        total = np.bincount(tile, values, self.tiles)
        return replace(self, weight=values / np.where(total > 0, total, 1.0)[tile])

    def kept(self, keep: np.ndarray, tile: np.ndarray, tiles: int) -> PixelGrid:
        """Some pixels, (pixels,) bool, with their tiles; the raster stays. Weights become 0."""
        names = ("lon", "lat", "east_m", "north_m", "row", "column")
        part = {name: getattr(self, name)[keep] for name in names}
        return replace(self, **part, tile=tile[keep], tiles=tiles, weight=np.zeros(int(keep.sum())))

    def raster(self, values: np.ndarray, fill: float = np.nan) -> np.ndarray:
        """(rows, columns) of `values` (pixels,), `fill` outside the area."""
        kind = np.result_type(values, np.float32) if np.isnan(fill) else np.asarray(values).dtype
        out = np.full(self.shape, fill, kind)
        out[self.row, self.column] = values
        return out

    def pixel_at(self, lon: ArrayLike, lat: ArrayLike) -> np.ndarray:
        """Pixel that holds each place in degrees, -1 outside the area."""
        east, north = self.metres(np.atleast_1d(lon), np.atleast_1d(lat))
        column = np.floor((east - self.corner_m[0]) / self.pixel_m)
        row = np.floor((self.corner_m[1] - north) / self.pixel_m)
        inside = (row >= 0) & (row < self.shape[0]) & (column >= 0) & (column < self.shape[1])
        key = np.where(inside, row * self.shape[1] + column, -1)
        own = self.row.astype(np.int64) * self.shape[1] + self.column
        place = np.minimum(np.searchsorted(own, key), len(own) - 1)
        return np.where(own[place] == key, place, -1)


def _to_metres(crs: str) -> pyproj.Transformer:
    """From degrees WGS-84 to a projection of WGS-84 by its PROJ string. The steps are spelled out: to find them, PROJ
    opens its database, in each thread anew, which takes longer than many a use of them."""
    return pyproj.Transformer.from_pipeline(
        f"+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step {crs}"
    )


def _lattice(lon: np.ndarray, lat: np.ndarray, pixel_m: float) -> PixelGrid:
    """Every pixel of the rectangle around places in degrees."""
    if not MIN_PIXEL_M <= pixel_m <= MAX_PIXEL_M:
        raise InputError(f"A pixel has a side of {MIN_PIXEL_M:g} to {MAX_PIXEL_M:g} m, not {pixel_m:g} m.")
    origin = centre_of(lon, lat)
    crs = f"+proj=tmerc +lat_0={origin[1]!r} +lon_0={origin[0]!r} +k=1 +x_0=0 +y_0=0 +datum=WGS84 +units=m +no_defs"
    to_metres = _to_metres(crs)
    # meridians and parallels are curved in the projection: take the middles of the sides too
    around_lon = np.array([lon.min(), lon.max(), origin[0]])
    around_lat = np.array([lat.min(), lat.max(), origin[1]])
    east, north = (v.ravel() for v in to_metres.transform(*np.meshgrid(around_lon, around_lat)))
    if not np.isfinite([*east, *north]).all() or max(np.ptp(east), np.ptp(north)) > 1000 * MAX_BOX_KM:
        raise InputError(f"The area is wider than {MAX_BOX_KM:g} km; choose a smaller one.")
    west, top = np.floor(east.min() / pixel_m) * pixel_m, np.ceil(north.max() / pixel_m) * pixel_m
    columns = int(np.ceil((east.max() - west) / pixel_m))
    rows = int(np.ceil((top - north.min()) / pixel_m))
    if rows * columns > MAX_RASTER:
        raise InputError(
            f"The area has {rows * columns:,} pixels of {pixel_m:g} m around it; at most {MAX_RASTER:,} fit: choose "
            "larger pixels or a smaller area."
        )
    row, column = (v.ravel() for v in np.indices((rows, columns), np.int32))
    east = west + (column + 0.5) * pixel_m
    north = top - (row + 0.5) * pixel_m
    lon, lat = to_metres.transform(east, north, direction="INVERSE")
    none = np.full(rows * columns, -1, np.int32)
    return PixelGrid(
        lon, lat, east, north, row, column, none, np.zeros(len(none)), float(pixel_m), (rows, columns),
        (float(west), float(top)), 0, crs,
    )  # fmt: skip
