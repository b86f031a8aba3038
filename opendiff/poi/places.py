"""Places on the map, each with its POI category, and their counts by tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from opendiff.area import Tiles, tile_index
from opendiff.area.tile_grid import MAX_LATITUDE, tile_at
from opendiff.poi.categories import POI_CATEGORIES


@dataclass(frozen=True)
class Places:
    """lon, lat: (places,) degrees; category: (places,) index into POI_CATEGORIES."""

    lon: np.ndarray
    lat: np.ndarray
    category: np.ndarray

    def __len__(self) -> int:
        return len(self.lon)

    @classmethod
    def kept(cls, lon: np.ndarray, lat: np.ndarray, category: np.ndarray) -> Places:
        """The places that have a category and a position on the tile map."""
        good = (category >= 0) & (np.abs(lon) <= 180) & (np.abs(lat) <= MAX_LATITUDE)
        return cls(lon[good], lat[good], category[good])

    @classmethod
    def join(cls, parts: list[Places]) -> Places:
        """All places of several, in their order."""
        if not parts:
            return cls(np.empty(0), np.empty(0), np.empty(0, np.int64))
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("lon", "lat", "category"))
        )


def count_places(places: Places, tiles: Tiles) -> np.ndarray:
    """Places of each tile by category, (tiles, 14) float32 in the order of POI_CATEGORIES."""
    x, y = tile_at(places.lon, places.lat)
    row = tile_index(tiles).get_indexer(pd.MultiIndex.from_arrays([x, y]))
    inside = row >= 0
    width = len(POI_CATEGORIES)
    counts = np.bincount(row[inside] * width + places.category[inside], minlength=len(tiles) * width)
    return counts.reshape(len(tiles), width).astype(np.float32)
