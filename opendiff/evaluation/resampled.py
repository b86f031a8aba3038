"""Weeks put together from real ones and what `default` says of a tile: what its own weeks have to beat.

The level is that of `default`; the shape is a real week of the training tiles, or the tile's expected shape with what a
real week had beside its own.
"""

from __future__ import annotations

import numpy as np
import torch

from opendiff.conditions import Conditions
from opendiff.default.cities import fill_gaps
from opendiff.default.model import TrafficModel
from opendiff.default.prior_fit import believed
from opendiff.default.representation import MIN_SHAPE_MEAN
from opendiff.week import HOURS

GENERATED, REAL_WEEKS, RESIDUALS = "generated", "real weeks", "residuals"


def resampled(
    kind: str, generated: np.ndarray, model: TrafficModel, asked: Conditions, known: Conditions, series: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Weeks (tiles, samples, 168) with the levels of those that were generated and shapes of the kind.

    asked: conditions of the tiles; known, series (training tiles, 2, 168): of the tiles that the model was trained on.
    """
    level = generated.mean(axis=2, keepdims=True)
    weeks = fill_gaps(series)[0]
    drawn = rng.integers(0, len(weeks), generated.shape[:2])
    if kind == REAL_WEEKS:
        shape = weeks[:, 0] / weeks[:, 0].mean(axis=1, keepdims=True)
        return np.asarray(level * shape[drawn], np.float32)
    left = model.representation.shape_residual(torch.from_numpy(weeks).float()).numpy() - expected(
        model, known
    )
    middle = model.representation.shape_mean.numpy() + expected(model, asked)
    root = middle[:, None, :HOURS] + left[:, :HOURS][drawn]
    shape = np.square(np.maximum(root, 0))
    shape /= np.maximum(shape.mean(axis=2, keepdims=True), MIN_SHAPE_MEAN)
    return np.asarray(level * shape, np.float32)


def expected(model: TrafficModel, conditions: Conditions) -> np.ndarray:
    """Root shapes (tiles, 336) that the prior expects beside the mean shape."""
    return np.asarray((believed(model.prior, conditions).profile @ model.representation.profiles).numpy())
