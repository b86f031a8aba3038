"""A city with what was observed of it: traffic, or people present, of its tiles."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from opendiff.conditions import Conditions

MIN_LEVEL = 2.7e-5  # of a weekly mean, relative units, before its logarithm is taken


@dataclass(frozen=True)
class City:
    """Tiles of one city with what was observed of them.

    series: (tiles, 2, 168) traffic and users, NaN where not measured; presence: (tiles, 168) people present, NaN where
    not known, hour 0 is Monday 0 h; log_intensities: (tiles, 3) log1p of all POI, business POI and population; blocks:
    (tiles,) spatial block of each tile, which leaves as one.
    """

    name: str
    conditions: Conditions
    series: np.ndarray
    presence: np.ndarray
    log_intensities: np.ndarray
    blocks: np.ndarray

    @property
    def has_traffic(self) -> np.ndarray:
        return np.asarray(np.isfinite(self.series).all(axis=(1, 2)))

    @property
    def has_presence(self) -> np.ndarray:
        return np.asarray(
            np.isfinite(self.presence).all(axis=1) & (np.nan_to_num(self.presence).sum(axis=1) > 0)
        )

    def hiding(self, rows: np.ndarray) -> City:
        """The same city with what was observed of `rows` (an index or mask) forgotten; its open data stays."""
        series, presence = self.series.copy(), self.presence.copy()
        series[rows], presence[rows] = np.nan, np.nan
        return replace(self, series=series, presence=presence)

    def log_level(self) -> np.ndarray:
        """Mean log level of traffic and users, else the log of people present, (tiles,), NaN where nothing is known."""
        found = np.full(len(self.series), np.nan)
        rows = self.has_presence
        found[rows] = np.log(self.presence[rows].mean(axis=1, dtype=float))
        rows = self.has_traffic
        found[rows] = np.log(np.maximum(self.series[rows].mean(axis=2, dtype=float), MIN_LEVEL)).mean(axis=1)
        return found
