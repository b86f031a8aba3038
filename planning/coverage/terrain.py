"""Ground that is not flat, and what stands on it: terrain and land cover from the user's GeoTIFF files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from planning.coverage.cells import RadioCells
from planning.coverage.diffraction import LEVEL_STEP_M, level_ground_db, obstruction, obstruction_db
from planning.coverage.pixels import PixelGrid
from planning.coverage.rasters import MetricRaster, RasterSource, resampled
from planning.coverage.settings import RadioSettings
from planning.errors import InputError
from planning.propagation import MIN_GROUND_M

_POINTS = (
    8,
    12,
    16,
    24,
    32,
    48,
    64,
    80,
    104,
    128,
    200,
)  # of a profile: the least that keeps the step, up to the last
# ESA WorldCover class -> dB of the clutter around the user beyond what the environment's model has; assumed: foliage,
# by ITU-R P.833 some 6 to 10 dB at 1-4 GHz; buildings are in UMa and UMi already
WORLDCOVER_DB = {10: 8.0, 95: 8.0}
MAX_CLASSES = 256


@dataclass(frozen=True)
class Terrain:
    """Elevation and land cover to compute coverage with; either may be None.

    Attributes
    ----------
    elevation : GeoTIFF of the ground above sea level in metres, in any reference system. Ground is meant (DTM): a
        surface model (DSM) counts roofs twice, which UMa and UMi contain.
    clutter : GeoTIFF of land-cover classes.
    clutter_db : class -> loss in dB that is added to every level of a pixel of that class; 0 for others.
    """

    elevation: RasterSource | None = None
    clutter: RasterSource | None = None
    clutter_db: Mapping[int, float] = field(default_factory=lambda: dict(WORLDCOVER_DB))

    def __post_init__(self) -> None:
        if len(self.clutter_db) > MAX_CLASSES or any(not -40 <= v <= 80 for v in self.clutter_db.values()):
            raise InputError(
                f"Land cover has at most {MAX_CLASSES} classes with losses of -40 to 80 dB each; check the table."
            )

    def prepared(self, grid: PixelGrid, cells: RadioCells, settings: RadioSettings) -> Surroundings:
        """What the levels of a grid need of it. Raises InputError for a file that cannot be used."""
        reach = max(settings.reach_of(str(e)) for e in set(cells.environment.tolist()))
        notes: list[str] = []
        elevation, clutter = None, None
        if self.elevation is not None:
            elevation = _filled(resampled(self.elevation, grid, reach), grid, notes)
        if self.clutter is not None:
            classes = resampled(self.clutter, grid, 0.0, classes=True)
            clutter = _clutter_db(classes.nearest(grid.east_m, grid.north_m), self.clutter_db, notes)
        east, north = grid.metres(cells.lon, cells.lat)
        return Surroundings.of(
            grid, np.column_stack([east, north]), elevation, clutter, settings, tuple(notes)
        )


@dataclass(frozen=True)
class Surroundings:
    """Terrain and clutter on a grid, as the computation of levels asks for them."""

    grid: PixelGrid
    sites: np.ndarray  # (sites, 2) metres
    elevation: MetricRaster | None
    site_m: np.ndarray  # (sites,) ground above sea level
    pixel_m: np.ndarray  # (pixels,)
    clutter_db: np.ndarray | None  # (pixels,)
    user_height_m: float
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        grid: PixelGrid,
        sites: np.ndarray,
        elevation: MetricRaster | None,
        clutter_db: np.ndarray | None,
        settings: RadioSettings,
        notes: tuple[str, ...] = (),
    ) -> Surroundings:
        if elevation is None:
            site, pixel = np.zeros(len(sites), np.float32), np.zeros(len(grid), np.float32)
        else:
            site = elevation.bilinear(sites[:, 0], sites[:, 1])
            pixel = elevation.bilinear(grid.east_m, grid.north_m)
        return cls(grid, sites, elevation, site, pixel, clutter_db, settings.user_height_m, notes)

    def rise_m(self, pixels: np.ndarray, sites: np.ndarray) -> np.ndarray:
        """(sites, pixels) float32 how much higher the ground is at the site."""
        return (self.site_m[sites][:, None] - self.pixel_m[pixels]).astype(np.float32)

    def loss_db(
        self,
        pixels: np.ndarray,
        sites: np.ndarray,
        loss_db: np.ndarray,
        blocked_db: np.ndarray,
        height_m: np.ndarray,
        frequency_ghz: np.ndarray,
    ) -> np.ndarray:
        """(links, pixels) path loss with terrain and clutter.

        A path whose direct ray the ground cuts has no line of sight: it takes the loss without it (`blocked_db`). The
        diffraction loss of its profile is added, less that of level ground between the same antennas, which the model
        of TR 38.901 contains; so flat ground changes nothing.
        """
        out = loss_db
        if self.elevation is not None:
            out = np.empty_like(loss_db)
            masts, of_link = np.unique(np.column_stack([sites, height_m]), axis=0, return_inverse=True)
            for mast, (site, height) in enumerate(masts.tolist()):
                distance, obstacle, in_sight = self._profiles(pixels, int(site), height)
                for i in np.flatnonzero(of_link.ravel() == mast).tolist():
                    frequency = float(frequency_ghz[i])
                    excess = obstruction_db(obstacle, distance, frequency)
                    if excess.any():
                        excess = excess - level_ground_db(distance, height, self.user_height_m, frequency)
                    loss = np.where(in_sight, loss_db[i], blocked_db[i])
                    out[i] = loss + np.maximum(excess, 0)
        if self.clutter_db is not None:
            out = out + self.clutter_db[pixels]
        return out

    def _profiles(
        self, pixels: np.ndarray, site: int, height_m: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(pixels,) distance in m, and `obstruction` of the way to a site."""
        assert self.elevation is not None
        x, y = self.sites[site]
        east = (self.grid.east_m[pixels] - x).astype(np.float32)
        north = (self.grid.north_m[pixels] - y).astype(np.float32)
        distance = np.maximum(np.hypot(east, north), np.float32(MIN_GROUND_M))
        obstacle, in_sight = np.empty(len(pixels), np.float32), np.empty(len(pixels), bool)
        wanted = np.minimum(np.searchsorted(_POINTS, distance / LEVEL_STEP_M), len(_POINTS) - 1)
        start = np.float32(self.site_m[site] + height_m)
        end = (self.pixel_m[pixels] + np.float32(self.user_height_m)).astype(np.float32)
        for size in np.unique(wanted).tolist():
            mine = np.flatnonzero(wanted == size)
            along = (np.arange(1, _POINTS[size] + 1) / (_POINTS[size] + 1)).astype(np.float32)
            ground = self.elevation.bilinear_from(x, y, along * east[mine, None], along * north[mine, None])
            obstacle[mine], in_sight[mine] = obstruction(
                along, ground, distance[mine], np.full(len(mine), start), end[mine]
            )
        return distance, obstacle, in_sight


def _filled(raster: MetricRaster, grid: PixelGrid, notes: list[str]) -> MetricRaster:
    """Elevation without gaps: the nearest value stands in."""
    missing = np.isnan(raster.values)
    if not missing.any():
        return raster
    bare = np.isnan(raster.nearest(grid.east_m, grid.north_m)).mean()
    if bare > 0.5:
        raise InputError(
            f"The elevation has no value on {bare:.0%} of the area's pixels; give a file that covers the area."
        )
    if bare > 0:
        notes.append(f"{bare:.1%} of the area has no elevation and takes the nearest value.")
    from scipy.ndimage import distance_transform_edt

    row, column = distance_transform_edt(missing, return_distances=False, return_indices=True)
    return MetricRaster(raster.values[row, column], raster.west_m, raster.north_m, raster.step_m)


def _clutter_db(classes: np.ndarray, table: Mapping[int, float], notes: list[str]) -> np.ndarray:
    """(pixels,) float32; classes: NaN where the file has none."""
    out = np.zeros(len(classes), np.float32)
    for number, loss in table.items():
        out[classes == number] = loss
    missing = np.isnan(classes).mean()
    if missing > 0:
        notes.append(f"{missing:.1%} of the area has no land cover and gets no clutter loss.")
    return out
