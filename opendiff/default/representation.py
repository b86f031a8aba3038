"""A week of traffic and users as a vector on which noise and covariance are simple: level and whitened shape.

The level of a tile is its weekly mean, its shape the series divided by that mean. Levels are told by their logarithm,
in which what holds in one city holds in another up to a constant, shapes by their square root, which makes their
spread nearly the same for all hours (and keeps zeros, which a logarithm does not). What open data cannot explain of a
shape is noise and a style (`texture`). The covariance of the noise is whitened symmetrically (ZCA), so that a number of
the vector still belongs to its hour; it is taken as the same on every day, because nobody knows which weekday the
series begin on.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from opendiff.default.texture import STYLES, Texture
from opendiff.observed import MIN_LEVEL
from opendiff.week import DAYS, HOURS, HOURS_PER_DAY, SERIES

LEVEL_WIDTH = SERIES
SHAPE_WIDTH = SERIES * HOURS
WIDTH = LEVEL_WIDTH + SHAPE_WIDTH
NOISE_WIDTH = WIDTH + STYLES  # numbers that make a week: level, shape, and style
MAX_LOG_LEVEL = 4.0  # of what is generated, above the mean of the training tiles: 55 times as much
MIN_SHAPE_MEAN = 1e-6  # of generated shapes, so that one of zeros is not divided by zero
MIN_VARIANCE = 1e-6  # of the whitened directions, a share of the largest


@dataclass(frozen=True)
class Representation:
    """Affine maps between series and vectors; all float32 tensors.

    log_mean: (2,) of the log levels of traffic and users; difference_std: () of the difference of the two centred log
    levels, of which the first coordinate is the mean; shape_mean: (336,); whiten, colour: (336, 336), inverse to each
    other; profiles: (components, 336) daily profiles, the directions in which open data can move a shape; texture: of
    what they leave open.
    """

    log_mean: Tensor
    difference_std: Tensor
    shape_mean: Tensor
    whiten: Tensor
    colour: Tensor
    profiles: Tensor
    texture: Texture

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> Representation:
        """The same maps on another device."""
        return Representation(*(getattr(self, field.name).to(device, dtype) for field in fields(self)))

    def level(self, series: Tensor) -> Tensor:
        """Level coordinates (rows, 2) of series (rows, 2, 168): the mean log level, and the difference of unit
        variance."""
        centred = series.mean(-1).clamp_min(MIN_LEVEL).log() - self.log_mean
        return torch.stack([centred.mean(-1), (centred[:, 0] - centred[:, 1]) / self.difference_std], dim=-1)

    def shape_residual(self, series: Tensor) -> Tensor:
        """Square-root shapes (rows, 336) less the mean shape."""
        level = series.mean(-1, keepdim=True).clamp_min(MIN_LEVEL)
        shape = (series / level).clamp_min(0).sqrt().flatten(1)
        return shape - self.shape_mean

    def expected(self, profile: Tensor) -> Tensor:
        """Root shapes (rows, 336) that profile coefficients (rows, components) stand for."""
        return self.shape_mean + profile @ self.profiles

    def decode(self, vectors: Tensor, expected: Tensor, style: Tensor) -> Tensor:
        """Series (rows, 2, 168), at least 0, of vectors (rows, 338), expected root shapes (rows, 336) and styles (rows,
        STYLES)."""
        own = self.texture.apply(vectors[:, LEVEL_WIDTH:] @ self.colour, style)
        return self.series(vectors[:, :LEVEL_WIDTH], expected + own)

    def series(self, level: Tensor, root: Tensor) -> Tensor:
        """Series (rows, 2, 168), at least 0, of level coordinates (rows, 2) and root shapes (rows, 336)."""
        difference = level[:, 1] * self.difference_std / 2
        centred = torch.stack([level[:, 0] + difference, level[:, 0] - difference], dim=-1)
        mean = (centred.clamp_max(MAX_LOG_LEVEL) + self.log_mean).exp().clamp_min(MIN_LEVEL)
        shape = root.clamp_min(0).square().unflatten(-1, (SERIES, HOURS))
        shape = shape / shape.mean(-1, keepdim=True).clamp_min(MIN_SHAPE_MEAN)
        return mean[:, :, None] * shape


def fit_representation(series: Tensor, profiles: Tensor) -> Representation:
    """Everything but the whitening, which needs what a fitted prior leaves open (`with_whitening`).

    series: (tiles, 2, 168); profiles: (components, 336).
    """
    series = series.double()
    logs = series.mean(-1).clamp_min(MIN_LEVEL).log()
    centred = logs - logs.mean(0)
    difference_std = (centred[:, 0] - centred[:, 1]).std().clamp_min(1e-3)
    shape = (series / series.mean(-1, keepdim=True).clamp_min(MIN_LEVEL)).sqrt().flatten(1)
    shape_mean = daily(shape.mean(0, keepdim=True))[0]
    eye = torch.eye(SHAPE_WIDTH, dtype=torch.float64)
    parts = (logs.mean(0), difference_std, shape_mean, eye, eye, profiles)
    log_mean, spread, mean, whiten, colour, directions = (part.float() for part in parts)
    return Representation(log_mean, spread, mean, whiten, colour, directions, Texture.blank())


def with_whitening(representation: Representation, noise: np.ndarray) -> Representation:
    """The representation whose whitening makes noise (rows, 336) white; shrunk by Ledoit and Wolf (2004)."""
    from sklearn.covariance import ledoit_wolf_shrinkage  # needed in training alone, and slow to import

    # every day of every tile is an observation of all the others, so the covariance is made the same under day shifts
    covariance = np.zeros((SHAPE_WIDTH, SHAPE_WIDTH))
    for shift in range(DAYS):
        rolled = roll_days(torch.from_numpy(noise), shift).numpy()
        covariance += rolled.T @ rolled / len(rolled) / DAYS
    # of all the rows that it was made from
    rolled = np.concatenate([roll_days(torch.from_numpy(noise), shift).numpy() for shift in range(DAYS)])
    shrinkage = ledoit_wolf_shrinkage(rolled)
    covariance *= 1 - shrinkage
    covariance[np.diag_indices(SHAPE_WIDTH)] += (
        shrinkage * np.trace(covariance) / (1 - shrinkage) / SHAPE_WIDTH
    )
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, values.max() * MIN_VARIANCE)
    whiten = (vectors / np.sqrt(values)) @ vectors.T
    colour = (vectors * np.sqrt(values)) @ vectors.T
    return replace(
        representation, whiten=torch.from_numpy(whiten).float(), colour=torch.from_numpy(colour).float()
    )


def daily(shapes: Tensor) -> Tensor:
    """Shapes (rows, 336) with each hour of the day replaced by its mean over the days."""
    days = shapes.unflatten(-1, (SERIES, DAYS, HOURS_PER_DAY))
    return days.mean(-2, keepdim=True).expand_as(days).flatten(1)


def roll_days(shapes: Tensor, days: int) -> Tensor:
    """Shapes (rows, 336) that begin `days` later; nothing else changes, as the first weekday is unknown."""
    return shapes.unflatten(-1, (SERIES, HOURS)).roll(days * HOURS_PER_DAY, -1).flatten(1)
