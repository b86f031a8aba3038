"""What measured tiles are worth: errors before and after, each tile left out, and where to measure next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from opendiff.conditioned import ConditionedGenerator
from opendiff.conditions import Conditions
from opendiff.default.model import condition_tensors
from opendiff.default.prior import PriorPrediction
from opendiff.measurements import DEFAULT_NOISE

MAX_TILES = 3_000  # of the area: the exact ranking holds a matrix of their pairs
BAND = 1.6449  # standard deviations of the central 90 %


@dataclass(frozen=True)
class LeftOut:
    """Errors at the measured tiles, of the log level, each told from all the others.

    before, after : (tiles,) measured less expected without any measurement (after one scale for all), and without its
        own. r2_before, r2_after : of the log level. covered_90 : share of measured levels inside the 90 % band.
    """

    before: np.ndarray
    after: np.ndarray
    r2_before: float
    r2_after: float
    covered_90: float

    @property
    def sentence(self) -> str:
        """The gain in words."""
        before, after = (float(np.exp(np.abs(e).mean()) - 1) for e in (self.before, self.after))
        return (
            f"A measured tile's level, told from the {len(self.after) - 1} others: mean error {after:.0%} (from "
            f"open data alone, after one scale: {before:.0%}); R² of the log level {self.r2_after:.2f} (from "
            f"{self.r2_before:.2f}); the 90 % band holds {self.covered_90:.0%}."
        )


def left_out(generator: ConditionedGenerator) -> LeftOut:
    """Each measured tile left out in turn, in closed form."""
    posterior = generator.posterior
    level = posterior.observed.level
    mean, deviation = posterior.left_out()
    before = level - posterior.terms.mean
    before = before - before.mean()
    after = level - mean
    spread = float(np.square(level - level.mean()).mean()) or 1.0
    return LeftOut(
        before, after, 1 - float(np.square(before).mean()) / spread, 1 - float(np.square(after).mean()) / spread,
        float((np.abs(after) <= BAND * deviation).mean()),
    )  # fmt: skip


def measure_next(
    generator: ConditionedGenerator, conditions: Conditions, count: int = 10, noise: float = DEFAULT_NOISE
) -> pd.DataFrame:
    """The tiles whose measurement would shrink the area's uncertainty most, in their order, each after those before it.

    The uncertainty is the sum over tiles of the squared expected traffic times the variance of its logarithm. What a
    measurement of tile j takes from the variance of tile i is the square of their posterior covariance by the variance
    of j and its noise, whatever will be measured there.

    Parameters
    ----------
    conditions : of the area.
    count : how many tiles.
    noise : standard deviation of a measured log level.

    Returns
    -------
    A table with rank, x, y, band_90 (the factor between the ends of the tile's 90 % band), and left: the share of
    the area's uncertainty that is left once it and all above it are measured.
    """
    tiles = np.arange(len(conditions.tiles))
    if len(tiles) > MAX_TILES:
        tiles = np.unique(np.linspace(0, len(tiles) - 1, MAX_TILES).astype(int))
    part = conditions.take(tiles)
    prediction = believed_by(generator, part)
    x, y = (part.tiles[axis].to_numpy(np.int64) for axis in ("x", "y"))
    mean, deviation = generator.posterior.log_level(prediction, x, y)
    covariance = generator.posterior.covariance(prediction, x, y)
    traffic = np.exp(mean - mean.max()) * part.tiles["covered_share"].to_numpy()
    weight = traffic**2
    total = float(weight @ np.diag(covariance))
    open_tiles = generator.posterior.rows_of(x, y) < 0
    rows = []
    for rank in range(1, min(count, int(open_tiles.sum())) + 1):
        variance = np.diag(covariance).clip(1e-12)
        gain = (weight @ np.square(covariance)) / (variance + noise**2)
        best = int(np.where(open_tiles, gain, -1).argmax())
        column = covariance[:, best] / np.sqrt(variance[best] + noise**2)
        covariance = covariance - column[:, None] * column
        open_tiles[best] = False
        left = float(weight @ np.diag(covariance).clip(0)) / total if total > 0 else 0.0
        rows.append((rank, int(x[best]), int(y[best]), float(np.exp(2 * BAND * deviation[best])), left))
    return pd.DataFrame(rows, columns=["rank", "x", "y", "band_90", "left"])


def believed_by(generator: ConditionedGenerator, conditions: Conditions) -> PriorPrediction:
    """What open data says of tiles before anything was measured."""
    with torch.inference_mode():
        return generator._precompute_kv(*condition_tensors(conditions, generator.device))[1]
