"""The covariance of the log level of tiles, as the prior and `opendiff.default.world` make it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from opendiff.default.prior import PriorPrediction
from opendiff.default.world import FIELD_CELLS, FIELD_REACH, FIELD_SCALE


@dataclass(frozen=True)
class LevelTerms:
    """The parts of the level's covariance of some tiles, float64: loading (tiles, tokens), residual (tiles,), the
    shares of the fields (tiles, 2), and tile numbers x, y (tiles,)."""

    mean: np.ndarray
    loading: np.ndarray
    residual: np.ndarray
    spatial: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @staticmethod
    def of(prediction: PriorPrediction, x: np.ndarray, y: np.ndarray) -> LevelTerms:
        parts = (prediction.level[:, 0], prediction.loading, prediction.residual, prediction.spatial)
        mean, loading, residual, spatial = (part.detach().double().cpu().numpy() for part in parts)
        return LevelTerms(mean, loading, residual, spatial, np.asarray(x, np.int64), np.asarray(y, np.int64))

    def covariance(self, other: LevelTerms) -> np.ndarray:
        """(tiles, other tiles) of the log level, the unit apart."""
        fields = [field_weights(self.x, self.y, scale, other.x, other.y) for scale in range(len(FIELD_CELLS))]
        found = self.loading @ other.loading.T
        own = np.sqrt((1 - self.spatial.sum(1)).clip(0)[:, None] * (1 - other.spatial.sum(1)).clip(0))
        residual = own * same_tile(self, other)
        for scale, correlation in enumerate(fields):
            share = np.sqrt(self.spatial[:, scale][:, None] * other.spatial[:, scale])
            residual += share * correlation
        return found + self.residual[:, None] * other.residual * residual

    def variance(self) -> np.ndarray:
        """(tiles,) of the log level."""
        total = (1 - self.spatial.sum(1)).clip(0) + self.spatial.sum(1)
        return np.square(self.loading).sum(axis=1) + self.residual**2 * total

    def take(self, rows: np.ndarray) -> LevelTerms:
        """The terms of some tiles (an index)."""
        return LevelTerms(*(value[rows] for value in vars(self).values()))


def same_tile(one: LevelTerms, other: LevelTerms) -> np.ndarray:
    """(tiles, other tiles) 1 where it is the same tile, else 0."""
    return ((one.x[:, None] == other.x) & (one.y[:, None] == other.y)).astype(float)


def field_weights(
    x: np.ndarray, y: np.ndarray, scale: int, other_x: np.ndarray, other_y: np.ndarray
) -> np.ndarray:
    """Correlation (tiles, other tiles) of the field of a range at tiles, as `world.spatial_field` makes it."""
    cells_x, cells_y, weights = cells_of(x, y, scale)
    others_x, others_y, others_weights = cells_of(other_x, other_y, scale)
    every = np.concatenate([cells_x.ravel(), others_x.ravel()]) * 2**32
    every += np.concatenate([cells_y.ravel(), others_y.ravel()])
    number = np.unique(every, return_inverse=True)[1].reshape(-1)
    split = cells_x.size
    width = int(number.max()) + 1
    one = _sparse(number[:split], weights, width)
    two = _sparse(number[split:], others_weights, width)
    return np.asarray((one @ two.T).toarray())


def _sparse(cell: np.ndarray, weights: np.ndarray, width: int) -> csr_matrix:
    rows = np.repeat(np.arange(len(weights)), weights.shape[1])
    return csr_matrix((weights.ravel(), (rows, cell)), shape=(len(weights), width))


def cells_of(x: np.ndarray, y: np.ndarray, scale: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns and rows of the cells that a tile's field is made of, and their weights, (tiles, cells) each."""
    side = FIELD_CELLS[scale]
    reach = np.arange(-FIELD_REACH, FIELD_REACH + 1)
    dx, dy = (steps.ravel() for steps in np.meshgrid(reach, reach, indexing="ij"))
    x, y = np.asarray(x, np.int64), np.asarray(y, np.int64)
    across, down = ((place % side + 0.5) / side - 0.5 for place in (x, y))
    weight = np.exp(-0.5 * ((dx - across[:, None]) ** 2 + (dy - down[:, None]) ** 2) / FIELD_SCALE**2)
    weight /= np.sqrt((weight**2).sum(axis=1, keepdims=True))
    return x[:, None] // side + dx, y[:, None] // side + dy, weight
