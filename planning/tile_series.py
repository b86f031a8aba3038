"""What a traffic table and a demand have in common: tiles, and one array of them by sample and hour."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np

from planning.geometry import tile_centre


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
        return self.centres[0]

    @property
    def lat(self) -> np.ndarray:
        return self.centres[1]
