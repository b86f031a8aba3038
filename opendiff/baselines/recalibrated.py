"""A network whose spread is put right on the rows that were held back from its updates.

Adversarial networks tell tiles apart better than they know how sure they are: their samples of a tile are nearly alike.
One number, the same for all tiles, mends that. The median level of a tile and the shapes of its weeks stay as they are;
an offset or a slope of the level, fitted on the same few rows, makes weeks of other tiles worse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from opendiff import metrics
from opendiff.baselines.harness import NeuralBaseline, TileConditions

SAMPLES = 10
FACTORS = np.exp2(np.arange(-3, 8.25, 0.25))  # of the spread


@dataclass(frozen=True)
class SpreadCalibration:
    """factor: of what the root of a sample's level differs from the median over the samples of its tile."""

    factor: float

    @classmethod
    def of(cls, truth: np.ndarray, made: np.ndarray) -> SpreadCalibration:
        """The factor with the least CRPS of generated weeks (rows, samples, hours) against real ones (rows, hours)."""
        scores = [metrics.crps(truth, cls(factor).applied(made)).mean() for factor in FACTORS.tolist()]
        return cls(float(FACTORS[int(np.argmin(scores))]))

    def applied(self, made: np.ndarray) -> np.ndarray:
        """Generated weeks (rows, samples, hours) at their new levels, float32; the shape of each stays."""
        root = np.sqrt(made.mean(axis=-1))
        middle = np.median(root, axis=1, keepdims=True)
        new = np.maximum(middle + self.factor * (root - middle), 0.0)
        scale = np.square(np.divide(new, root, out=np.zeros_like(root), where=root > 0))
        return np.asarray(made * scale[..., None], np.float32)


class Recalibrated:
    """A fitted network with its spread put right, behind the interface of the baselines."""

    def __init__(self, model: NeuralBaseline):
        self.model = model
        conditions, traffic, seed = model.held
        self.calibration = SpreadCalibration.of(traffic, model.sample(conditions, SAMPLES, seed))

    def sample(self, conditions: TileConditions, samples: int, seed: int) -> np.ndarray:
        """As `Baseline.sample`."""
        return self.calibration.applied(self.model.sample(conditions, samples, seed))
