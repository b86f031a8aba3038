"""A network whose levels are put right on the rows that were held back from its updates.

Adversarial networks tell tiles apart better than they know how sure they are. Three numbers, the same for all tiles,
mend that: an offset and a slope of the log level, and its spread. What is left is the network's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opendiff.baselines.harness import NeuralBaseline, TileConditions

SAMPLES = 10
FLOOR = 1e-3  # of the mean level, below which a level counts as this
MAX_SLOPE = 2.0


@dataclass(frozen=True)
class LevelCalibration:
    """New log level = offset + slope * (mean over samples) + narrowing * (what the sample differs from it) + noise of
    this deviation."""

    offset: float
    slope: float
    narrowing: float
    noise: float
    floor: float

    @classmethod
    def of(cls, truth: np.ndarray, made: np.ndarray) -> LevelCalibration:
        """By least squares of real weeks (rows, hours) on generated ones (rows, samples, hours), at least two rows; the
        spread is such that its variance is that of what is left."""
        floor = FLOOR * max(float(truth.mean()), 1e-12)
        real = np.log(np.maximum(truth.mean(axis=-1), floor))
        level = np.log(np.maximum(made.mean(axis=-1), floor))
        mean = level.mean(axis=1)
        slope = float(np.clip(np.cov(mean, real)[0, 1] / max(mean.var(ddof=1), 1e-12), 0, MAX_SLOPE))
        offset = float(real.mean() - slope * mean.mean())
        left = float(np.square(real - offset - slope * mean).mean())
        within = float(level.var(axis=1).mean())
        narrowing = float(np.sqrt(min(1.0, left / max(within, 1e-12))))
        return cls(offset, slope, narrowing, float(np.sqrt(max(0.0, left - within))), floor)

    def applied(self, made: np.ndarray, seed: int) -> np.ndarray:
        """Generated weeks (rows, samples, hours) at their new levels, float32; the shape of each stays."""
        old = np.log(np.maximum(made.mean(axis=-1), self.floor))
        mean = old.mean(axis=1, keepdims=True)
        noise = np.random.default_rng(seed).normal(0, self.noise, old.shape)
        new = self.offset + self.slope * mean + self.narrowing * (old - mean) + noise
        return (made * np.exp(new - old)[..., None]).astype(np.float32)


class Recalibrated:
    """A fitted network with its levels put right, behind the interface of the baselines."""

    def __init__(self, model: NeuralBaseline):
        self.model = model
        conditions, traffic, seed = model.held
        self.calibration = LevelCalibration.of(traffic, model.sample(conditions, SAMPLES, seed))

    def sample(self, conditions: TileConditions, samples: int, seed: int) -> np.ndarray:
        """As `Baseline.sample`."""
        return self.calibration.applied(self.model.sample(conditions, samples, seed), seed)
