"""Open data of tiles as plain numbers, one vector a modality: what the encoder's bottlenecks are fed with."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from opendiff.area import Tiles, tile_frame, tile_index
from opendiff.area.tile_grid import TILES_ACROSS, tile_area_km2
from opendiff.conditions import USUAL_RELIABILITY
from opendiff.open_data.layers import LAYERS
from opendiff.open_data.sources import PEOPLE_PER_RELATIVE_UNIT, POPULATION_STRIPS, OpenData
from opendiff.poi.categories import BUSINESS_POI, POI_CATEGORIES
from opendiff.poi.registration import REACH, PoiDatum, register_poi

WINDOW_REACH = 2  # tiles around a tile whose POI and population inform it
WINDOW_SCALES = (0.8, 1.6)  # standard deviations, in tiles, of the weights of the tiles around
OSM_NODES_SCALE = 10.0  # of osm_nodes, so that it varies as much as the logarithms of counts
HALO = WINDOW_REACH + REACH  # tiles around an area that are read
POPULATION_FLOOR = 1e-3  # relative units; below it strips differ by noise only
# what each of INTENSITIES (all POI, business POI, population) is divided by before its logarithm is taken
INTENSITY_UNITS = np.array([1.0, 1.0, POPULATION_FLOOR])
BUSINESS = [POI_CATEGORIES.index(name) for name in BUSINESS_POI]
POI_WIDTH = len(POI_CATEGORIES) + 1  # the categories and their sum
MIX_WIDTH = len(POI_CATEGORIES)
# What is counted of a tile, in this order, and the density (per km2; lights and osm_nodes: the value) from which on a
# logarithm is taken. Below it tiles differ by noise; 10 residents a km2 made one slope of the level fit Seoul and the
# Helsinki region alike.
TOTALS: tuple[str, ...] = ("poi", "osm_poi", "population", *LAYERS)
TOTAL_UNITS = {"poi": 3.0, "osm_poi": 1.0, "population": 10.0, "lights": 1.0, "jobs": 10.0, "activity": 1.0}
TOTAL_WINDOWS = (0, 1, 2)  # reach of the windows whose mean densities are told: the tile, 3 x 3 and 5 x 5
MIX_UNIT = 0.3  # places a km2
POPULATION_WIDTH = POPULATION_STRIPS + 2  # the strips, their sum and their spread


@dataclass(frozen=True)
class TileFeatures:
    """Numbers of `tiles` (rows agree); where a mask is False the values are 0.

    poi: (tiles, 15) square roots of the 14 registered counts and of their sum, which makes the spread of counts the
    same everywhere (Bartlett 1936); poi_around: (tiles, 30) their means over the tiles around, at two scales.
    osm_poi, osm_poi_around: the same of OpenStreetMap, which needs no registration. population: (tiles, 14) log of
    the 12 strips, of their sum, and the spread of their logs; population_around: (tiles, 2). poi_totals: (tiles, 2)
    all POI and business POI, registered, of the map service, else of OpenStreetMap; population_total: (tiles,).
    totals: (tiles, len(TOTALS), 3) log1p densities of the tile, its 3 x 3 and its 5 x 5 window, NaN where unknown;
    poi_mix, osm_mix: (tiles, 28) log densities of the 14 categories less their mean, of the tile and of its 3 x 3
    window; reliability: (tiles,) of the population (`opendiff.open_data.sources.reliability`).
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
    totals: np.ndarray = field(default_factory=lambda: np.empty((0, 0, 0)))
    poi_mix: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    osm_mix: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    reliability: np.ndarray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        count = len(self.tiles)
        unknown = {
            "totals": np.full((count, len(TOTALS), len(TOTAL_WINDOWS)), np.nan),
            "poi_mix": np.zeros((count, 2 * MIX_WIDTH)), "osm_mix": np.zeros((count, 2 * MIX_WIDTH)),
            "reliability": np.full(count, USUAL_RELIABILITY),
        }  # fmt: skip
        for name, values in unknown.items():
            if len(getattr(self, name)) != count:
                object.__setattr__(self, name, values)

    def intensities(self) -> np.ndarray:
        """(tiles, 3) all POI, business POI, population; NaN where unknown."""
        values = np.column_stack([self.poi_totals, self.population_total])
        counted = self.has_poi | self.has_osm_poi
        known = np.column_stack([counted, counted, self.has_population])
        return np.where(known, values, np.nan)

    def take(self, rows: np.ndarray) -> TileFeatures:
        """The features of some rows (an index or a mask)."""
        chosen = {one.name: getattr(self, one.name)[rows] for one in fields(self) if one.name != "tiles"}
        tiles = self.tiles.iloc[np.arange(len(self.tiles))[rows]].reset_index(drop=True)
        return replace(self, tiles=tiles, **chosen)


class PoiFeatures(NamedTuple):
    """Registered counts (tiles, 14), features (tiles, 15) and (tiles, 30) as in TileFeatures, the mask (tiles,); counts
    and mask of the halo as well, (near, 14) and (near,)."""

    counts: np.ndarray
    roots: np.ndarray
    around: np.ndarray
    known: np.ndarray
    near_counts: np.ndarray
    near_known: np.ndarray


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
        poi, known = register_poi(
            near_x, near_y, near_x[counted], near_y[counted], counts, datum, around.osm_places
        )
        root = np.sqrt(np.column_stack([poi, poi.sum(axis=1)]))
        has, means = known[own], _window_means(row, squared_distance, root, known)
        return PoiFeatures(
            counts=_where(has, poi[own]), roots=_where(has, root[own]), around=_where(has, means), known=has,
            near_counts=poi, near_known=known,
        )  # fmt: skip

    poi = poi_features(around.poi, around.has_poi, datum)
    osm_poi = poi_features(around.osm_poi, around.has_osm_poi, "WGS-84")
    counts = np.where(poi.known[:, None], poi.counts, osm_poi.counts)
    population, has_population = around.population.astype(float), around.has_population
    counted = {
        "poi": np.where(poi.near_known, poi.near_counts.sum(axis=1), np.nan),
        "osm_poi": np.where(osm_poi.near_known, osm_poi.near_counts.sum(axis=1), np.nan),
        "population": np.where(has_population, population.sum(axis=1) * PEOPLE_PER_RELATIVE_UNIT, np.nan),
        **{name: np.asarray(values, float) for name, values in around.layers.items()},
    }
    area_km2 = tile_area_km2(near["x"].to_numpy(), near["y"].to_numpy())
    totals = [
        _totals(
            name, counted.get(name), row=row, squared_distance=squared_distance, area_km2=area_km2, tiles=len(tiles)
        )
        for name in TOTALS
    ]  # fmt: skip
    mixes = [
        _mix(
            part.near_counts / area_km2[:, None], part.near_known, own=own, row=row,
            squared_distance=squared_distance,
        )
        for part in (poi, osm_poi)
    ]  # fmt: skip
    strips = np.log(population + POPULATION_FLOOR)
    log_total = np.log(population.sum(axis=1, keepdims=True) + POPULATION_FLOOR)
    population_features = np.column_stack([strips, log_total, strips.std(axis=1)])
    log_totals_around = _window_means(row, squared_distance, log_total, has_population)
    return TileFeatures(
        tiles=tiles,
        poi=poi.roots,
        poi_around=poi.around,
        has_poi=poi.known,
        osm_poi=osm_poi.roots,
        osm_poi_around=osm_poi.around,
        has_osm_poi=osm_poi.known,
        population=_where(has_population[own], population_features[own]),
        population_around=_where(has_population[own], log_totals_around),
        has_population=has_population[own],
        poi_totals=np.column_stack([counts.sum(axis=1), counts[:, BUSINESS].sum(axis=1)]),
        population_total=population.sum(axis=1)[own],
        totals=np.stack(totals, axis=1),
        poi_mix=_where(poi.known, mixes[0]),
        osm_mix=_where(osm_poi.known, mixes[1]),
        reliability=np.full(len(tiles), around.population_reliability),
    )


def _totals(
    name: str, values: np.ndarray | None, *, row: np.ndarray, squared_distance: np.ndarray, area_km2: np.ndarray,
    tiles: int,
) -> np.ndarray:  # fmt: skip
    """Log1p densities (tiles, windows) of counts `values` (near,), NaN where the tile's own is unknown; the windows are
    means over their known tiles."""
    if values is None:
        return np.full((tiles, len(TOTAL_WINDOWS)), np.nan)
    density = values * OSM_NODES_SCALE if name == "osm_nodes" else values / TOTAL_UNITS[name]
    if name not in ("lights", "osm_nodes"):
        density = density / area_km2
    known = np.isfinite(density)
    filled = np.where(known, density, 0.0)
    parts = []
    for reach in TOTAL_WINDOWS:
        weight = (squared_distance <= 2 * reach**2) * (row >= 0) * known[row]
        parts.append((weight * filled[row]).sum(axis=1) / np.maximum(weight.sum(axis=1), 1))
    means = np.column_stack(parts)
    logs = means if name == "osm_nodes" else np.log1p(means)  # node density is a logarithm already
    centre = row[:, np.argmin(squared_distance)]
    return np.where((known[centre] & (centre >= 0))[:, None], logs, np.nan)


def _mix(
    density: np.ndarray, known: np.ndarray, *, own: np.ndarray, row: np.ndarray, squared_distance: np.ndarray
) -> np.ndarray:
    """Log densities of the categories less their mean over the categories, of the tile and of its 3 x 3 window, (tiles,
    28), from density (near, 14) places a km2."""
    weight = (squared_distance <= 2) * (row >= 0) * known[row]
    window = np.einsum("tn,tnf->tf", weight, density[row]) / np.maximum(weight.sum(axis=1), 1)[:, None]
    logs = [np.log1p(part / MIX_UNIT) for part in (density[own], window)]
    return np.concatenate([part - part.mean(axis=1, keepdims=True) for part in logs], axis=1)


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
