"""POI counts moved from the grid they were counted on to the grid of the imagery and the traffic.

Map services in mainland China publish positions in GCJ-02, which lies some 500 m from WGS-84, half a zoom-15
tile. Counts per tile made from such positions belong to shifted tiles; they are brought back by pycnophylactic
interpolation (Tobler, "Smooth pycnophylactic interpolation for geographical regions", JASA 1979): a density that
changes smoothly between tiles and keeps every tile's count, then added up over the ground of the wanted tile. Where
OpenStreetMap knows places, they tell where inside a tile its POI lie (dasymetric mapping): of a tile with n known
places, n / (n + SMOOTH_PLACES) of the count lies where they do, the rest as the density has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd

from opendiff.area.tile_grid import fractional_tile, tile_at, tile_centre
from opendiff.poi.places import Places
from plannerbase.systems import MAINLAND_CHINA, gcj02_offset

PoiDatum = Literal["WGS-84", "GCJ-02"]
MIN_KNOWN_SHARE = 0.3  # of a tile's area; below it the tile counts as without POI
SUBTILES = 4  # parts a side in which a tile's POI are placed
SMOOTH_PLACES = 5.0  # known places of a tile that count as much as its smooth density
REACH = 2  # tiles around a tile whose counts change its registered ones: one for the shift, one for the smoothness


def tile_shift(x: np.ndarray, y: np.ndarray, datum: PoiDatum) -> tuple[np.ndarray, np.ndarray]:
    """How far, in tiles (east, south), the ground of each tile lies from its place on the grid POI were counted on."""
    lon, lat = tile_centre(x, y)
    there_x, there_y = fractional_tile(*_published(lon, lat, datum))
    here_x, here_y = fractional_tile(lon, lat)
    return there_x - here_x, there_y - here_y


def _published(lon: np.ndarray, lat: np.ndarray, datum: PoiDatum) -> tuple[np.ndarray, np.ndarray]:
    """WGS-84 positions in `datum`, degrees."""
    west, south, east, north = MAINLAND_CHINA
    shifted = (datum == "GCJ-02") & (lon > west) & (lon < east) & (lat > south) & (lat < north)
    d_lon, d_lat = gcj02_offset(lon, lat)
    return np.where(shifted, lon + d_lon, lon), np.where(shifted, lat + d_lat, lat)


def register_poi(
    x: np.ndarray,
    y: np.ndarray,
    counted_x: np.ndarray,
    counted_y: np.ndarray,
    counts: np.ndarray,
    datum: PoiDatum,
    places: Places | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """POI counts of WGS-84 tiles from counts of tiles in `datum`.

    x, y: (tiles,) wanted tiles; counted_x, counted_y: (counted,) tiles with counts; counts: (counted,
    categories); places: known ones of any category, in WGS-84. Returns counts (tiles, categories), scaled up where only
    a part of the tile is known, 0 where too little is; and the mask (tiles,) of tiles of which at least
    MIN_KNOWN_SHARE is known. Counts and places farther away than REACH tiles change nothing.
    """
    shift_x, shift_y = tile_shift(x, y, datum)
    density = smooth_density(counted_x, counted_y, counts)
    row_of = _rows_of(counted_x, counted_y)
    total, known = np.zeros((len(x), counts.shape[1])), np.zeros(len(x))
    if places is not None and len(places):
        at_lon, at_lat = _published(places.lon, places.lat, datum)
        counted, wanted = row_of(*tile_at(at_lon, at_lat)), _rows_of(x, y)(*tile_at(places.lon, places.lat))
        placed = np.bincount(counted[counted >= 0], minlength=len(counts))
        a_place = counts / (placed + SMOOTH_PLACES)[:, None]
        both = (counted >= 0) & (wanted >= 0)
        np.add.at(total, wanted[both], a_place[counted[both]])
        density *= (SMOOTH_PLACES / (placed + SMOOTH_PLACES))[:, None, None, None]
    padded = np.concatenate([density, np.zeros((1, *density.shape[1:]))])
    left, top = x + np.floor(shift_x).astype(np.int64), y + np.floor(shift_y).astype(np.int64)
    part_x, part_y = shift_x - np.floor(shift_x), shift_y - np.floor(shift_y)
    for step_x in (0, 1):
        covered_x = _covered(part_x, step_x)
        for step_y in (0, 1):
            covered_y = _covered(part_y, step_y)
            row = row_of(left + step_x, top + step_y)
            total += np.einsum("ti,tj,tijc->tc", covered_x, covered_y, padded[row])
            known += covered_x.mean(axis=1) * covered_y.mean(axis=1) * (row >= 0)
    enough = known >= MIN_KNOWN_SHARE
    return np.where(enough[:, None], total / np.maximum(known, MIN_KNOWN_SHARE)[:, None], 0.0), enough


def smooth_density(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Counts of the SUBTILES x SUBTILES parts of each tile, (tiles, SUBTILES east, SUBTILES south, categories).

    A moving average about one tile wide, over the tiles that are known, made to keep every tile's count.
    """
    row_of = _rows_of(x, y)
    padded = np.vstack([counts, np.zeros((1, counts.shape[1]))])
    density = np.zeros((len(x), SUBTILES, SUBTILES, counts.shape[1]))
    known = np.zeros(density.shape[:3])
    for step_x in range(3):
        for step_y in range(3):
            row = row_of(x + step_x - 1, y + step_y - 1)
            weight = np.outer(MOVING_AVERAGE[:, step_x], MOVING_AVERAGE[:, step_y])
            density += weight[..., None] * padded[row][:, None, None]
            known += weight * (row >= 0)[:, None, None]
    density /= known[..., None]  # the tile itself is always known
    total = density.sum(axis=(1, 2))
    keep = np.divide(counts, total, out=np.zeros_like(total), where=total > 0)
    return density * keep[:, None, None]


def _moving_average() -> np.ndarray:
    """Share of the window around each part of a tile in the tile before, in it and in the one after, (SUBTILES, 3)."""
    reach = SUBTILES // 2
    share = np.zeros((SUBTILES, 3))
    for part in range(SUBTILES):
        for near in range(part - reach, part + reach + 1):
            share[part, near // SUBTILES + 1] += 1 / (2 * reach + 1)
    return share


def _covered(shift: np.ndarray, step: int) -> np.ndarray:
    """Share of each part of a tile that a tile moved by `shift` (tiles,), 0..1, covers: of the tile it starts in
    (step 0) or of the next (step 1), (tiles, SUBTILES)."""
    part = np.arange(SUBTILES)
    begin = SUBTILES * shift[:, None] - part
    return np.clip(1 - begin if step == 0 else begin, 0, 1)


def _rows_of(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function that finds the rows of tiles among (x, y), -1 where absent."""
    known = pd.MultiIndex.from_arrays([x, y])
    return lambda wanted_x, wanted_y: known.get_indexer(pd.MultiIndex.from_arrays([wanted_x, wanted_y]))


MOVING_AVERAGE = _moving_average()
