"""What a traffic table and a demand have in common: tiles, and one array of them by sample and hour."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from planning.geometry import tile_centre, tile_position


class TileSeries(ABC):
    """x, y: (tiles,) int, zoom-15 tile numbers. `series`: (tiles, samples, hours)."""

    x: np.ndarray
    y: np.ndarray

    @property
    @abstractmethod
    def series(self) -> np.ndarray:
        """(tiles, samples, hours)."""

    @property
    def tiles(self) -> int:
        """How many; likewise samples and hours."""
        return len(self.x)

    @property
    def samples(self) -> int:
        return self.series.shape[1]

    @property
    def hours(self) -> int:
        return self.series.shape[2]

    @cached_property
    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """(lon, lat) of the tile centres, degrees."""
        return tile_centre(self.x, self.y)

    @property
    def lon(self) -> np.ndarray:
        """(tiles,) degrees, of the centres; likewise lat."""
        return self.centres[0]

    @property
    def lat(self) -> np.ndarray:
        return self.centres[1]

    def count_in_tiles(self, lon: ArrayLike, lat: ArrayLike) -> np.ndarray:
        """(tiles,) how many places (degrees) lie in each tile; places elsewhere are left out."""
        tx, ty = (np.floor(v).astype(int).tolist() for v in tile_position(lon, lat))
        row = {place: i for i, place in enumerate(zip(self.x.tolist(), self.y.tolist(), strict=True))}
        counts = np.zeros(self.tiles, int)
        for place in zip(tx, ty, strict=True):
            if place in row:
                counts[row[place]] += 1
        return counts
