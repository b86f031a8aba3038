"""Open data of tiles as plain numbers, one vector a modality: what the encoder's bottlenecks are fed with."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from opendiff.area import Tiles, tile_frame, tile_index
from opendiff.area.tile_grid import TILES_ACROSS
from opendiff.open_data.sources import POPULATION_STRIPS, OpenData
from opendiff.poi.categories import BUSINESS_POI, POI_CATEGORIES
from opendiff.poi.registration import REACH, PoiDatum, register_poi

WINDOW_REACH = 2  # tiles around a tile whose POI and population inform it
WINDOW_SCALES = (0.8, 1.6)  # standard deviations, in tiles, of the weights of the tiles around
HALO = WINDOW_REACH + REACH  # tiles around an area that are read
POPULATION_FLOOR = 1e-3  # relative units; below it strips differ by noise only
# what each of INTENSITIES (all POI, business POI, population) is divided by before its logarithm is taken
INTENSITY_UNITS = np.array([1.0, 1.0, POPULATION_FLOOR])
BUSINESS = [POI_CATEGORIES.index(name) for name in BUSINESS_POI]
POI_WIDTH = len(POI_CATEGORIES) + 1  # the categories and their sum
POPULATION_WIDTH = POPULATION_STRIPS + 2  # the strips, their sum and their spread


@dataclass(frozen=True)
class TileFeatures:
    """Numbers of `tiles` (rows agree); where a mask is False the values are 0.

    poi: (tiles, 15) square roots of the 14 registered counts and of their sum, which makes the spread of counts the
    same everywhere (Bartlett 1936); poi_around: (tiles, 30) their means over the tiles around, at two scales.
    osm_poi, osm_poi_around: the same of OpenStreetMap, which needs no registration. population: (tiles, 14) log of
    the 12 strips, of their sum, and the spread of their logs; population_around: (tiles, 2). poi_totals: (tiles, 2)
    all POI and business POI, registered, of the map service, else of OpenStreetMap; population_total: (tiles,).
    """

    tiles: Tiles
    poi: np.ndarray
    poi_around: np.ndarray
    has_poi: np.ndarray
    osm_poi: np.ndarray
    osm_poi_around: np.ndarray
    has_osm_poi: np.ndarray
    population: np.ndarray
    population_around: np.ndarray
    has_population: np.ndarray
    poi_totals: np.ndarray
    population_total: np.ndarray

    def intensities(self) -> np.ndarray:
        """(tiles, 3) all POI, business POI, population; NaN where unknown."""
        values = np.column_stack([self.poi_totals, self.population_total])
        counted = self.has_poi | self.has_osm_poi
        known = np.column_stack([counted, counted, self.has_population])
        return np.where(known, values, np.nan)

    def take(self, rows: np.ndarray) -> TileFeatures:
        """The features of some rows (an index or a mask)."""
        chosen = {
            field.name: getattr(self, field.name)[rows] for field in fields(self) if field.name != "tiles"
        }
        tiles = self.tiles.iloc[np.arange(len(self.tiles))[rows]].reset_index(drop=True)
        return replace(self, tiles=tiles, **chosen)


class PoiFeatures(NamedTuple):
    """Registered counts (tiles, 14), features (tiles, 15) and (tiles, 30) as in TileFeatures, the mask (tiles,)."""

    counts: np.ndarray
    roots: np.ndarray
    around: np.ndarray
    known: np.ndarray


def with_halo(tiles: Tiles, halo: int = HALO) -> Tiles:
    """The tiles and every tile at most `halo` away from one of them, sorted by (x, y)."""
    steps = np.arange(-halo, halo + 1)
    x = (tiles["x"].to_numpy()[:, None, None] + steps[:, None]) % TILES_ACROSS
    y = np.clip(tiles["y"].to_numpy()[:, None, None] + steps, 0, TILES_ACROSS - 1)
    keys = np.unique(x * TILES_ACROSS + y)
    return tile_frame(keys // TILES_ACROSS, keys % TILES_ACROSS)


def tile_features(tiles: Tiles, around: OpenData, datum: PoiDatum) -> TileFeatures:
    """Features of `tiles` from the open data of them and of their halo (`with_halo`)."""
    near = around.tiles
    own = tile_index(near).get_indexer(tile_index(tiles))
    row, squared_distance = _windows(tiles, near)

    def poi_features(counts: np.ndarray, counted: np.ndarray, datum: PoiDatum) -> PoiFeatures:
        near_x, near_y = near["x"].to_numpy(), near["y"].to_numpy()
        counts = counts[counted].astype(float)
        poi, known = register_poi(near_x, near_y, near_x[counted], near_y[counted], counts, datum)
        root = np.sqrt(np.column_stack([poi, poi.sum(axis=1)]))
        has, means = known[own], _window_means(row, squared_distance, root, known)
        return PoiFeatures(_where(has, poi[own]), _where(has, root[own]), _where(has, means), has)

    poi = poi_features(around.poi, around.has_poi, datum)
    osm_poi = poi_features(around.osm_poi, around.has_osm_poi, "WGS-84")
    counts = np.where(poi.known[:, None], poi.counts, osm_poi.counts)
    population, has_population = around.population.astype(float), around.has_population
    strips = np.log(population + POPULATION_FLOOR)
    log_total = np.log(population.sum(axis=1, keepdims=True) + POPULATION_FLOOR)
    population_features = np.column_stack([strips, log_total, strips.std(axis=1)])
    return TileFeatures(
        tiles,
        poi.roots,
        poi.around,
        poi.known,
        osm_poi.roots,
        osm_poi.around,
        osm_poi.known,
        _where(has_population[own], population_features[own]),
        _where(has_population[own], _window_means(row, squared_distance, log_total, has_population)),
        has_population[own],
        np.column_stack([counts.sum(axis=1), counts[:, BUSINESS].sum(axis=1)]),
        population.sum(axis=1)[own],
    )


def _where(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (tiles, any), 0 in the rows that are not known."""
    return np.where(known[:, None], values, 0)


def _windows(tiles: Tiles, near: Tiles) -> tuple[np.ndarray, np.ndarray]:
    """Rows in `near` (tiles, window) of the tiles at most WINDOW_REACH away, -1 where absent; squared distances
    (window,)."""
    steps = np.arange(-WINDOW_REACH, WINDOW_REACH + 1)
    dx, dy = (step.reshape(-1) for step in np.meshgrid(steps, steps, indexing="ij"))
    x = (tiles["x"].to_numpy()[:, None] + dx) % TILES_ACROSS
    y = tiles["y"].to_numpy()[:, None] + dy
    row = (
        tile_index(near)
        .get_indexer(pd.MultiIndex.from_arrays([x.reshape(-1), y.reshape(-1)]))
        .reshape(x.shape)
    )
    return row, (dx**2 + dy**2).astype(float)


def _window_means(
    row: np.ndarray, squared_distance: np.ndarray, values: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """Means of values (near, features) over the known tiles of each window, weighted by each of WINDOW_SCALES, (tiles,
    scales * features); 0 where the window knows nothing."""
    parts = []
    for scale in WINDOW_SCALES:
        weight = np.exp(-0.5 * squared_distance / scale**2) * (row >= 0) * known[row]
        total = np.maximum(weight.sum(axis=1), 1e-12)
        parts.append(np.einsum("tn,tnf->tf", weight, values[row]) / total[:, None])
    return np.concatenate(parts, axis=1)
