"""Which places a candidate site covers: where the level of its coverage cells reaches a limit of the radio model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from planning.coverage import PixelGrid, RadioSettings
from planning.coverage.cells import RadioCells
from planning.coverage.computing import LevelWork
from planning.network import Network, SiteDesign

_CHUNK = 32  # candidates that are computed at once
_RAYS, _STEP_M = 36, 25.0  # around a site, to find the radius of a circle as large as its ground


@dataclass(frozen=True)
class Reach:
    """What candidates cover.

    radio : of the radio model.
    level_dbm : lowest RSRP outdoors; None takes the threshold of the band plus margin, indoors where most users are
        indoors.
    """

    radio: RadioSettings
    level_dbm: float | None = None

    def places_of(
        self,
        points: tuple[np.ndarray, np.ndarray],
        candidates: tuple[np.ndarray, np.ndarray],
        design: SiteDesign,
    ) -> list[np.ndarray]:
        """For each candidate, (lon, lat) in degrees, the numbers of the points (lon, lat) that it covers, ascending.

        design : height and coverage band, one or one a candidate. Raises InputError.
        """
        work = self._work(points, candidates, design)
        every = self._limits(work.cells)
        count = len(candidates[0])
        order = np.lexsort((work.north, np.floor(work.east / 2000.0)))
        found: list[np.ndarray] = [np.empty(0, int)] * count
        of_site = np.argsort(work.cells.site, kind="stable").reshape(count, -1)  # (sites, sectors) cells
        for begin in range(0, count, _CHUNK):
            sites = order[begin : begin + _CHUNK]
            reach = float(work.reach[sites].max())
            near = np.flatnonzero(
                (np.abs(work.grid.east_m - work.east[sites].mean()) <= reach + np.ptp(work.east[sites]))
                & (np.abs(work.grid.north_m - work.north[sites].mean()) <= reach + np.ptp(work.north[sites]))
            )
            cells = of_site[sites].ravel()
            level = work.rsrp_dbm(near, cells) - every[cells, None]
            holds = (level >= 0).reshape(len(sites), -1, len(near)).any(axis=1)
            for site, mine in zip(sites.tolist(), holds, strict=True):
                found[site] = near[mine]
        return found

    def radius_m(self, at: tuple[float, float], design: SiteDesign) -> float:
        """Radius of the circle that is as large as the ground that a site on flat ground covers. Raises InputError."""
        far = np.arange(_STEP_M / 2, self.radio.reach_of("UMa"), _STEP_M)
        angle = np.arange(_RAYS) * 2 * np.pi / _RAYS
        work = self._work(([at[0]], [at[1]]), ([at[0]], [at[1]]), design)
        east, north = (
            np.outer(f(angle), far).ravel() + centre
            for f, centre in ((np.sin, work.east[0]), (np.cos, work.north[0]))
        )
        work.grid = replace(work.grid, east_m=east, north_m=north)
        pixels = np.arange(len(east))
        cells = np.arange(len(work.cells))
        holds = (work.rsrp_dbm(pixels, cells) >= self._limits(work.cells)[:, None]).any(axis=0)
        ring = 2 * np.pi * far * _STEP_M * holds.reshape(_RAYS, -1).mean(axis=0)
        return float(np.sqrt(ring.sum() / np.pi))

    def _limits(self, cells: RadioCells) -> np.ndarray:
        """(cells,) dBm."""
        if self.level_dbm is not None:
            return np.full(len(cells), self.level_dbm)
        return cells.indoor_threshold_dbm if self.radio.indoor_share >= 0.5 else cells.threshold_dbm

    def _work(self, points, candidates, design: SiteDesign) -> LevelWork:  # type: ignore[no-untyped-def]
        network = Network.from_sites(candidates[0], candidates[1], capacity_layers=0, design=design)
        lon, lat = (np.asarray(v, float) for v in points)
        around = 0.01  # degrees: the grid only gives the projection
        box = PixelGrid.of_box(
            (float(lon.min()) - around, float(lon.max()) + around),
            (float(lat.min()) - around, float(lat.max()) + around),
            200.0,
        )
        east, north = box.metres(lon, lat)
        grid = replace(box, lon=lon, lat=lat, east_m=east, north_m=north)
        return LevelWork(RadioCells.of(network, self.radio), grid, self.radio)
