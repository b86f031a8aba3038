"""Open data of tiles as plain numbers, one vector a modality: what the encoder's bottlenecks are fed with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from opendiff.area import Tiles, tile_frame
from opendiff.registration import PoiDatum, register_poi
from opendiff.sources import BUSINESS_POI, POI_CATEGORIES, OpenData
from opendiff.tile_grid import TILES_ACROSS

HALO = 3  # tiles around the area whose POI and population inform it
NEIGHBOURHOOD_SCALES = (0.8, 1.6)  # standard deviations, in tiles, of the weights of neighbours
POPULATION_FLOOR = 1e-3  # relative units; below it strips differ by noise only
INTENSITY_UNITS = np.array(
    [1.0, 1.0, POPULATION_FLOOR]
)  # of all POI, business POI, population, before the logarithm
BUSINESS = [POI_CATEGORIES.index(name) for name in BUSINESS_POI]
POI_WIDTH = len(POI_CATEGORIES) + 1
POPULATION_WIDTH = 14
NEIGHBOURHOOD_WIDTH = (len(POI_CATEGORIES) + 1) * len(NEIGHBOURHOOD_SCALES)


@dataclass(frozen=True)
class TileFeatures:
    """Numbers of `tiles` (rows agree); where a mask is False the values are 0.

    poi: (tiles, 15) log1p of the 14 registered counts and of their sum; population: (tiles, 14) log of the 12
    strips, of their sum, and the spread of their logs; neighbourhood: (tiles, 30) means of log counts and log
    population of the tiles around, at two scales. poi_totals: (tiles, 2) all POI and business POI,
    registered, counts.
    """

    tiles: Tiles
    poi: np.ndarray
    has_poi: np.ndarray
    population: np.ndarray
    has_population: np.ndarray
    neighbourhood: np.ndarray
    has_neighbourhood: np.ndarray
    poi_totals: np.ndarray
    population_total: np.ndarray

    def intensities(self) -> np.ndarray:
        """(tiles, 3) all POI, business POI, population; NaN where unknown."""
        values = np.column_stack([self.poi_totals, self.population_total])
        known = np.column_stack([self.has_poi, self.has_poi, self.has_population])
        return np.where(known, values, np.nan)


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
    near_x, near_y = near["x"].to_numpy(), near["y"].to_numpy()
    counted = around.has_poi
    poi, has_poi = register_poi(
        near_x, near_y, near_x[counted], near_y[counted], around.poi[counted].astype(float), datum
    )
    population, has_population = around.population.astype(float), around.has_population
    log_poi = np.log1p(poi)
    log_total = np.log(population.sum(axis=1) + POPULATION_FLOOR)
    own = pd.MultiIndex.from_frame(near[["x", "y"]]).get_indexer(pd.MultiIndex.from_frame(tiles[["x", "y"]]))
    row, squared_distance = _neighbours(tiles, near)
    parts, known = [], np.ones(len(tiles), bool)
    for scale in NEIGHBOURHOOD_SCALES:
        weight = np.exp(-0.5 * squared_distance / scale**2) * (row >= 0)
        poi_weight, population_weight = weight * has_poi[row], weight * has_population[row]
        known &= (poi_weight.sum(axis=1) > 0) & (population_weight.sum(axis=1) > 0)
        parts.append(_weighted_mean(poi_weight, log_poi[row]))
        parts.append(_weighted_mean(population_weight, log_total[row][:, :, None]))
    strips = np.log(population + POPULATION_FLOOR)
    population_features = np.column_stack([strips, log_total, strips.std(axis=1)])
    poi_features = np.column_stack([log_poi, np.log1p(poi.sum(axis=1))])
    totals = np.column_stack([poi.sum(axis=1), poi[:, BUSINESS].sum(axis=1)])
    return TileFeatures(
        tiles,
        np.where(has_poi[:, None], poi_features, 0)[own],
        has_poi[own],
        np.where(has_population[:, None], population_features, 0)[own],
        has_population[own],
        np.where(known[:, None], np.concatenate(parts, axis=1), 0),
        known,
        totals[own],
        population.sum(axis=1)[own],
    )


def _neighbours(tiles: Tiles, near: Tiles) -> tuple[np.ndarray, np.ndarray]:
    """Rows in `near` (tiles, neighbours) of the tiles around each one, -1 where absent, and squared
    distances."""
    steps = np.arange(-HALO, HALO + 1)
    dx, dy = (step.reshape(-1) for step in np.meshgrid(steps, steps, indexing="ij"))
    around = (dx != 0) | (dy != 0)
    dx, dy = dx[around], dy[around]
    x = (tiles["x"].to_numpy()[:, None] + dx) % TILES_ACROSS
    y = tiles["y"].to_numpy()[:, None] + dy
    known = pd.MultiIndex.from_frame(near[["x", "y"]])
    row = known.get_indexer(pd.MultiIndex.from_arrays([x.reshape(-1), y.reshape(-1)])).reshape(x.shape)
    return row, (dx**2 + dy**2).astype(float)


def _weighted_mean(weight: np.ndarray, values: np.ndarray) -> np.ndarray:
    """weight: (tiles, neighbours); values: (tiles, neighbours, features); 0 where no neighbour has weight."""
    total = np.maximum(weight.sum(axis=1), 1e-12)
    return np.einsum("tn,tnf->tf", weight, values) / total[:, None]
