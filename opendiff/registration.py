"""POI counts moved from the grid they were counted on to the grid of the imagery and the traffic.

Map services in mainland China publish positions in GCJ-02, which lies some 500 m from WGS-84, half a zoom-15
tile. Counts per tile made from such positions belong to shifted tiles; they are brought back by areal
interpolation, which takes POI as evenly spread inside each counted tile.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from opendiff.tile_grid import fractional_tile, tile_centre

PoiDatum = Literal["WGS-84", "GCJ-02"]
MAINLAND_CHINA = (73.66, 17.9, 135.05, 53.56)  # W, S, E, N: where the GCJ-02 formula is applied
SEMI_MAJOR_M = 6378245.0  # Krasovsky 1940, which the GCJ-02 formula uses
ECCENTRICITY_SQUARED = 0.00669342162296594323
LEAST_KNOWN_SHARE = 0.3  # of a tile's area; below it the tile counts as without POI


def gcj02_offset(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What GCJ-02 adds to WGS-84 longitude and latitude, degrees; the formula in public use, exact to about 1
    m."""
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    x, y = lon - 105.0, lat - 35.0
    ripple = (20 * np.sin(6 * np.pi * x) + 20 * np.sin(2 * np.pi * x)) * 2 / 3
    root = np.sqrt(np.abs(x))
    north = -100 + 2 * x + 3 * y + 0.2 * y**2 + 0.1 * x * y + 0.2 * root + ripple
    north += (20 * np.sin(np.pi * y) + 40 * np.sin(np.pi / 3 * y)) * 2 / 3
    north += (160 * np.sin(np.pi / 12 * y) + 320 * np.sin(np.pi / 30 * y)) * 2 / 3
    east = 300 + x + 2 * y + 0.1 * x**2 + 0.1 * x * y + 0.1 * root + ripple
    east += (20 * np.sin(np.pi * x) + 40 * np.sin(np.pi / 3 * x)) * 2 / 3
    east += (150 * np.sin(np.pi / 12 * x) + 300 * np.sin(np.pi / 30 * x)) * 2 / 3
    radians = np.radians(lat)
    shrink = 1 - ECCENTRICITY_SQUARED * np.sin(radians) ** 2
    meridian_m = SEMI_MAJOR_M * (1 - ECCENTRICITY_SQUARED) / shrink**1.5
    parallel_m = SEMI_MAJOR_M / np.sqrt(shrink) * np.cos(radians)
    return np.degrees(east / parallel_m), np.degrees(north / meridian_m)


def tile_shift(x: np.ndarray, y: np.ndarray, datum: PoiDatum) -> tuple[np.ndarray, np.ndarray]:
    """How far, in tiles (east, south), the ground of each tile lies from its place on the grid POI were
    counted on."""
    lon, lat = tile_centre(x, y)
    west, south, east, north = MAINLAND_CHINA
    shifted = (datum == "GCJ-02") & (lon > west) & (lon < east) & (lat > south) & (lat < north)
    d_lon, d_lat = gcj02_offset(lon, lat)
    there_x, there_y = fractional_tile(
        np.where(shifted, lon + d_lon, lon), np.where(shifted, lat + d_lat, lat)
    )
    here_x, here_y = fractional_tile(lon, lat)
    return there_x - here_x, there_y - here_y


def register_poi(
    x: np.ndarray,
    y: np.ndarray,
    counted_x: np.ndarray,
    counted_y: np.ndarray,
    counts: np.ndarray,
    datum: PoiDatum,
) -> tuple[np.ndarray, np.ndarray]:
    """POI counts of WGS-84 tiles from counts of tiles in `datum`.

    x, y: (tiles,) wanted tiles; counted_x, counted_y: (counted,) tiles with counts; counts: (counted,
    categories). Returns counts (tiles, categories), scaled up where only a part of the tile is known, 0 where
    too little is; and the mask (tiles,) of tiles of which at least LEAST_KNOWN_SHARE is known.
    """
    shift_x, shift_y = tile_shift(x, y, datum)
    row_of = {tile: row for row, tile in enumerate(zip(counted_x.tolist(), counted_y.tolist(), strict=True))}
    left, top = x + np.floor(shift_x).astype(np.int64), y + np.floor(shift_y).astype(np.int64)
    part_x, part_y = shift_x - np.floor(shift_x), shift_y - np.floor(shift_y)
    padded = np.vstack([counts, np.zeros((1, counts.shape[1]))])
    total, known = np.zeros((len(x), counts.shape[1])), np.zeros(len(x))
    for step_x, weight_x in ((0, 1 - part_x), (1, part_x)):
        for step_y, weight_y in ((0, 1 - part_y), (1, part_y)):
            corner = zip((left + step_x).tolist(), (top + step_y).tolist(), strict=True)
            row = np.array([row_of.get(tile, -1) for tile in corner], np.int64)
            weight = weight_x * weight_y
            total += weight[:, None] * padded[row]
            known += weight * (row >= 0)
    enough = known >= LEAST_KNOWN_SHARE
    return np.where(enough[:, None], total / np.maximum(known, LEAST_KNOWN_SHARE)[:, None], 0.0), enough
