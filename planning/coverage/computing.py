"""Received levels from cells and pixels, block by block, in float32."""

from __future__ import annotations

import os
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np

from plannerbase.progress import Progress, silent
from planning.coverage.antenna import OMNI_DEG, attenuation_db
from planning.coverage.cells import RadioCells
from planning.coverage.levels import Levels
from planning.coverage.pixels import PixelGrid
from planning.coverage.settings import BandTuning, RadioSettings
from planning.coverage.terrain import Surroundings
from planning.distinct import ascending, distinct
from planning.propagation import (
    MIN_GROUND_M,
    line_of_sight,
    link_losses_db,
    los_probability,
    site_key,
)

BLOCK_PIXELS = 1024
SAMPLE_M = 200.0  # a block is sampled at one pixel in squares of this side to see which cells matter there
SAMPLE_MARGIN_DB = (
    6.0  # by which a cell may miss the strongest at every sample and still be computed on every pixel
)
_ELEMENTS = 60_000  # of the arrays that one step works on: they stay in the processor's cache
_MW = np.float32(np.log(10) / 10)  # dBm to the exponent of mW
_NONE = np.float32(-np.inf)


@dataclass(frozen=True)
class _Links:
    """What cells have in common, so that it is computed once: masts, links and antennas.

    A mast is a (site, height), a link a (mast, frequency, tuning), an antenna a (mast, direction, beam widths).
    """

    site: np.ndarray  # (masts,)
    height_m: np.ndarray
    environment: np.ndarray
    link_mast: np.ndarray  # (links,)
    frequency_ghz: np.ndarray
    tuning: list[BandTuning]
    antenna_mast: np.ndarray  # (antennas,)
    antenna: np.ndarray  # (antennas, 4) azimuth, tilt, beam width, vertical beam width, degrees
    link: np.ndarray  # (cells,)
    of_antenna: np.ndarray  # (cells,)

    @classmethod
    def of(cls, cells: RadioCells, settings: RadioSettings) -> _Links:
        first_mast, mast = distinct(cells.site, cells.height_m)
        tuned = {band: i for i, band in enumerate(sorted(settings.tuning))}
        none = np.full(len(cells), -1)
        tuning = np.array([tuned.get(str(b), -1) for b in cells.band]) if tuned else none
        first_link, link = distinct(mast, cells.frequency_mhz, tuning)
        directions = (cells.azimuth_deg, cells.tilt_deg, cells.beamwidth_deg, cells.vertical_beamwidth_deg)
        first_antenna, of_antenna = distinct(mast, *directions)
        return cls(
            site=cells.site[first_mast],
            height_m=cells.height_m[first_mast].astype(np.float32),
            environment=cells.environment[first_mast],
            link_mast=mast[first_link],
            frequency_ghz=(cells.frequency_mhz[first_link] / 1000).astype(np.float32),
            tuning=[settings.tuning.get(str(b), BandTuning()) for b in cells.band[first_link]]
            if tuned
            else [],
            antenna_mast=mast[first_antenna],
            antenna=np.column_stack(directions)[first_antenna].astype(np.float32),
            link=link,
            of_antenna=of_antenna,
        )


def received_levels(
    cells: RadioCells,
    grid: PixelGrid,
    settings: RadioSettings,
    surroundings: Surroundings | None = None,
    progress: Progress | None = None,
) -> tuple[Levels, np.ndarray]:
    """RSRP of the strongest cells of each carrier on every pixel.

    Cells that are not among the strongest anywhere in a square of pixels are computed at a sample of its pixels only,
    and count as interference.

    Returns
    -------
    levels : the `settings.strongest` cells of each carrier and pixel that are above `settings.floor_dbm`.
    rest_mw : (pixels, carriers) float32 power per resource element of all other cells within reach, at full load.
    """
    progress = progress or silent
    work = LevelWork(cells, grid, settings, surroundings)
    blocks = work.blocks()
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
        futures: list[Future] = [pool.submit(work.levels, block) for block in blocks]
        try:
            waiting = set(futures)
            while waiting:
                _, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                progress(len(blocks) - len(waiting), len(blocks), "received levels")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return joined([future.result() for future in futures], blocks, len(grid), len(cells), cells.carriers)


class LevelWork:
    """What every block of pixels needs, prepared once."""

    def __init__(
        self,
        cells: RadioCells,
        grid: PixelGrid,
        settings: RadioSettings,
        surroundings: Surroundings | None = None,
    ):
        self.cells, self.grid, self.settings = cells, grid, settings
        self.surroundings = surroundings
        self.links = _Links.of(cells, settings)
        self.east, self.north = grid.metres(cells.lon, cells.lat)
        self.key = site_key(cells.lon, cells.lat)
        reach_of = {e: settings.reach_of(str(e)) for e in set(cells.environment.tolist())}
        reach = np.array([reach_of[e] for e in cells.environment.tolist()])
        self.reach = np.zeros(len(cells.lon))
        np.maximum.at(self.reach, cells.site, reach)

    def blocks(self) -> list[np.ndarray]:
        """Pixels in squares of about BLOCK_PIXELS, which share their sites within reach."""
        side = int(np.sqrt(BLOCK_PIXELS))
        return _squares(self.grid.row, self.grid.column, side)

    def levels(self, pixels: np.ndarray) -> tuple[np.ndarray, ...]:
        """(entries a pixel, cells, dBm, rest mW) of a block."""
        grid, carrier = self.grid, self.cells.carrier
        cells = self.cells_near(pixels)
        rest = np.zeros((len(pixels), self.cells.carriers), np.float32)
        side = int(SAMPLE_M / grid.pixel_m)
        if side > 1 and len(cells) > 2 * self.settings.strongest * self.cells.carriers:
            squares = _squares(grid.row[pixels], grid.column[pixels], side)
            sample = np.array([square[len(square) // 2] for square in squares])
            level = self.rsrp_dbm(pixels[sample], cells)
            strong = self._may_be_strong(level, carrier[cells])
            for number in range(self.cells.carriers):
                weak = ~strong & (carrier[cells] == number)
                power = np.exp(level[weak] * _MW).sum(axis=0)
                for square, value in zip(squares, power, strict=True):
                    rest[square, number] = value
            cells = cells[strong]
        return self._strongest(self.rsrp_dbm(pixels, cells), cells, rest)

    def cells_near(self, pixels: np.ndarray) -> np.ndarray:
        """Rows of the cells within reach of the box around some pixels."""
        near = self._sites_near(self.grid.east_m[pixels], self.grid.north_m[pixels])
        return np.flatnonzero(near[self.cells.site])

    def _may_be_strong(self, level: np.ndarray, carrier: np.ndarray) -> np.ndarray:
        """(cells,) bool, from levels at samples (cells, samples)."""
        strong = np.ones(len(level), bool)
        for number in range(self.cells.carriers):
            mine = np.flatnonzero(carrier == number)
            beyond = len(mine) - self.settings.strongest
            if beyond > 0:
                limit = np.partition(level[mine], beyond, axis=0)[beyond] - np.float32(SAMPLE_MARGIN_DB)
                strong[mine] = ((level[mine] >= limit) & (level[mine] > _NONE)).any(axis=1)
        return strong

    def _sites_near(self, east: np.ndarray, north: np.ndarray) -> np.ndarray:
        gap_east = np.maximum(np.maximum(east.min() - self.east, self.east - east.max()), 0)
        gap_north = np.maximum(np.maximum(north.min() - self.north, self.north - north.max()), 0)
        return np.hypot(gap_east, gap_north) <= self.reach

    def rsrp_dbm(self, pixels: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """(cells, pixels) float32 RSRP outdoors, -inf beyond the reach."""
        out = np.empty((len(cells), len(pixels)), np.float32)
        step = max(1, _ELEMENTS // max(len(pixels), 1))
        for begin in range(0, len(cells), step):
            out[begin : begin + step] = self._rsrp_dbm(pixels, cells[begin : begin + step])
        return out

    def _rsrp_dbm(self, pixels: np.ndarray, cells: np.ndarray) -> np.ndarray:
        links = self.links
        link, link_of = ascending(links.link[cells])
        antenna, antenna_of = ascending(links.of_antenna[cells])
        mast, _ = ascending(links.link_mast[link])  # that of their antennas, too
        site = links.site[mast]
        x = (self.grid.east_m[pixels] - self.east[site][:, None]).astype(np.float32)
        y = (self.grid.north_m[pixels] - self.north[site][:, None]).astype(np.float32)
        ground = np.sqrt(x * x + y * y)
        loss = self._path_loss(pixels, link, np.searchsorted(mast, links.link_mast[link]), x, y, ground)
        pattern = self._pattern(pixels, antenna, mast, x, y, ground)
        out = self.cells.eirp_dbm[cells].astype(np.float32)[:, None] - _taken(loss, link_of)
        out -= _taken(pattern, antenna_of)
        return out

    def _pattern(
        self,
        pixels: np.ndarray,
        antenna: np.ndarray,
        mast: np.ndarray,
        x: np.ndarray,
        y: np.ndarray,
        ground: np.ndarray,
    ) -> np.ndarray:
        """(antennas, pixels) loss in dB against the peak gain; x, y, ground: (masts, pixels) m from `mast`.

        Bearings are computed for antennas with a direction alone.
        """
        row = np.searchsorted(mast, self.links.antenna_mast[antenna])
        depression = np.degrees(np.arctan2(self._drop_m(pixels, mast), np.maximum(ground, MIN_GROUND_M)))
        figures = self.links.antenna[antenna]
        turned = figures[:, 2] < OMNI_DEG
        out = np.empty((len(antenna), len(pixels)), np.float32)
        for mine in (np.flatnonzero(turned), np.flatnonzero(~turned)):
            if not len(mine):
                continue
            azimuth, tilt, wide, high = figures[mine].T[..., None]
            bearing = np.zeros((1, 1), np.float32)
            if turned[mine[0]]:
                masts, place = ascending(row[mine])
                bearing = (np.degrees(np.arctan2(x[masts], y[masts])) % np.float32(360))[place]
            out[mine] = attenuation_db(
                bearing,
                _taken(depression, row[mine]),
                azimuth_deg=azimuth,
                tilt_deg=tilt,
                beamwidth_deg=wide,
                vertical_beamwidth_deg=high,
            )
        return out

    def _drop_m(self, pixels: np.ndarray, mast: np.ndarray) -> np.ndarray:
        """(masts, pixels) height of the antennas above the users."""
        drop = (self.links.height_m[mast] - np.float32(self.settings.user_height_m))[:, None]
        return (
            drop
            if self.surroundings is None
            else drop + self.surroundings.rise_m(pixels, self.links.site[mast])
        )

    def _path_loss(
        self,
        pixels: np.ndarray,
        link: np.ndarray,
        row: np.ndarray,
        x: np.ndarray,
        y: np.ndarray,
        ground: np.ndarray,
    ) -> np.ndarray:
        """(links, pixels) path loss in dB with line of sight, tuning, terrain and clutter; inf beyond the reach.

        row: of the links' masts in x, y and ground.
        """
        links, settings = self.links, self.settings
        mast = links.link_mast[link]
        out = np.empty((len(link), len(pixels)), np.float32)
        for environment in sorted(set(links.environment[mast].tolist())):
            mine = np.flatnonzero(links.environment[mast] == environment)
            at, height = row[mine], links.height_m[mast[mine]]
            frequency = links.frequency_ghz[link[mine]]
            los, blocked = link_losses_db(
                ground,
                at,
                environment=environment,
                frequency_ghz=frequency[:, None],
                station_m=height[:, None],
                user_m=settings.user_height_m,
            )
            if settings.los in ("LOS", "NLOS"):
                out[mine] = los if settings.los == "LOS" else blocked
            else:
                seen = _taken(los_probability(ground, environment), at)
                if settings.los == "drawn":
                    key = self.key[links.site[mast[mine]]][:, None]
                    seen = line_of_sight(x[at], y[at], seen, key, settings.seed).astype(np.float32)
                out[mine] = blocked + seen * (los - blocked)
            if self.surroundings is not None:
                out[mine] = self.surroundings.loss_db(
                    pixels, links.site[mast[mine]], out[mine], blocked, height, frequency
                )
        for i, j in enumerate(link.tolist()) if settings.tuning else ():
            tuning = links.tuning[j]
            if tuning != BandTuning():
                far = np.hypot(np.maximum(ground[row[i]], MIN_GROUND_M), links.height_m[mast[i]])
                out[i] += tuning.offset_db + tuning.slope_db * np.log10(far / 1000)
        beyond = ground > self.reach[links.site[ascending(mast)[0]]].astype(np.float32)[:, None]
        out[_taken(beyond, row)] = np.inf
        return out

    def _strongest(self, level: np.ndarray, cells: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, ...]:
        """The strongest cells of each carrier; the power of the others is added to `rest` (pixels, carriers)."""
        settings, carrier, pixels = self.settings, self.cells.carrier[cells], len(rest)
        found_level, found_cell = [np.empty((pixels, 0), np.float32)], [np.empty((pixels, 0), np.int64)]
        for number in range(self.cells.carriers):
            mine = np.flatnonzero(carrier == number)
            if not len(mine):
                continue
            own = level[mine].T.copy()  # (pixels, cells)
            keep = min(settings.strongest, len(mine))
            best = np.broadcast_to(np.arange(keep), (pixels, keep))
            top = own
            if len(mine) > keep:
                best = np.argpartition(own, len(mine) - keep, axis=1)[:, len(mine) - keep :]
                top = np.take_along_axis(own, best, axis=1)
                np.put_along_axis(own, best, _NONE, axis=1)
                rest[:, number] += np.exp(own * _MW).sum(axis=1)
            weak = top < settings.floor_dbm
            rest[:, number] += np.exp(np.where(weak, top, _NONE) * _MW).sum(axis=1)
            found_level.append(np.where(weak, _NONE, top))
            found_cell.append(cells[mine][best])
        top, cell = np.concatenate(found_level, axis=1), np.concatenate(found_cell, axis=1)
        # equal levels: the lower row of the network first, whatever the order of blocks
        order = np.lexsort((cell, -top), axis=1)
        top, cell = np.take_along_axis(top, order, 1), np.take_along_axis(cell, order, 1)
        present = top > _NONE
        return present.sum(axis=1), cell[present].astype(np.int32), top[present], rest


def _taken(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """values[rows], and no copy where these are all rows in their order: most masts have one link and antenna."""
    if len(rows) == len(values) and (rows == np.arange(len(rows))).all():
        return values
    return values[rows]


def _squares(row: np.ndarray, column: np.ndarray, side: int) -> list[np.ndarray]:
    """Places of pixels in `row` and `column`, together by squares of `side` pixels."""
    key = (row // side).astype(np.int64) * 1_000_000 + column // side
    order = np.argsort(key, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(key[order])) + 1)


def joined(
    parts: list[tuple[np.ndarray, ...]],
    blocks: list[np.ndarray],
    pixels: int,
    cells: int,
    carriers: int,
) -> tuple[Levels, np.ndarray]:
    """Blocks put into the order of the pixels."""
    count = np.zeros(pixels, np.int64)
    rest = np.empty((pixels, carriers), np.float32)
    for block, part in zip(blocks, parts, strict=True):
        count[block], rest[block] = part[0], part[3]
    indptr = np.concatenate([[0], np.cumsum(count)])
    cell = np.empty(indptr[-1], np.int32)
    rsrp = np.empty(indptr[-1], np.float32)
    for block, (number, mine, level, _) in zip(blocks, parts, strict=True):
        start = np.repeat(indptr[block] - np.concatenate([[0], np.cumsum(number)[:-1]]), number)
        place = start + np.arange(len(mine))
        cell[place], rsrp[place] = mine, level
    return Levels(indptr, cell, rsrp, cells), rest
