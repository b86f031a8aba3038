"""A week of traffic and users as a vector on which noise and covariance are simple: level and whitened shape.

The level of a tile is its weekly mean, its shape the series divided by that mean. Levels are taken to the power 0.4 and
shapes to 1/2, which makes their spread nearly the same for quiet and busy tiles (and keeps zeros, which a logarithm
does not). The covariance of what open data cannot explain is whitened symmetrically (ZCA), so that a number of the
vector still belongs to its hour; it is taken as the same on every day, because nobody knows which weekday the series
begin on.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from opendiff.week import DAYS, HOURS, HOURS_A_DAY, SERIES

LEVEL_WIDTH = SERIES
SHAPE_WIDTH = SERIES * HOURS
WIDTH = LEVEL_WIDTH + SHAPE_WIDTH
LEVEL_POWER = 0.4  # chosen on inner folds among 0.25, 1/3, 0.4 and 0.5
LEAST_LEVEL = 2.7e-5  # generated, relative units
LEAST_SHAPE_MEAN = 1e-6  # of generated shapes, so that one of zeros is not divided by zero
LEVEL_RIDGE = 0.2  # penalty of the shape's dependence on the level, a share of the number of tiles
LEAST_VARIANCE = 1e-6  # of the whitened directions, a share of the largest


@dataclass(frozen=True)
class Representation:
    """Affine maps between series and vectors; all float32 tensors.

    root_mean, root_std: (2,) of the powers of the levels of traffic and users; difference_std: () of the difference of
    the two standardised levels; shape_mean: (336,); shape_by_level: (2, 336); whiten, colour: (336, 336), inverse to
    each other; profiles: (components, 336) daily profiles, the directions in which open data can move a shape.
    """

    root_mean: Tensor
    root_std: Tensor
    difference_std: Tensor
    shape_mean: Tensor
    shape_by_level: Tensor
    whiten: Tensor
    colour: Tensor
    profiles: Tensor

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> Representation:
        """The same maps on another device."""
        return Representation(*(getattr(self, field.name).to(device, dtype) for field in fields(self)))

    def level(self, series: Tensor) -> Tensor:
        """Level coordinates (rows, 2) of series (rows, 2, 168): common and difference, each of unit variance."""
        root = series.mean(-1).clamp_min(LEAST_LEVEL) ** LEVEL_POWER
        standard = (root - self.root_mean) / self.root_std
        common = standard.sum(-1) / 2
        return torch.stack([common, (standard[:, 0] - standard[:, 1]) / self.difference_std], dim=-1)

    def shape_residual(self, series: Tensor) -> Tensor:
        """Square-root shapes (rows, 336) less the mean shape of their level."""
        level = series.mean(-1, keepdim=True).clamp_min(LEAST_LEVEL)
        shape = (series / level).clamp_min(0).sqrt().flatten(1)
        return shape - self.shape_mean - self.level(series) @ self.shape_by_level

    def encode(self, series: Tensor) -> Tensor:
        """Vectors (rows, 338) of series (rows, 2, 168)."""
        return torch.cat([self.level(series), self.shape_residual(series) @ self.whiten], dim=-1)

    def decode(self, vectors: Tensor) -> Tensor:
        """Series (rows, 2, 168), at least 0, of vectors (rows, 338)."""
        level = vectors[:, :LEVEL_WIDTH]
        difference = level[:, 1] * self.difference_std / 2
        standard = torch.stack([level[:, 0] + difference, level[:, 0] - difference], dim=-1)
        root = (standard * self.root_std + self.root_mean).clamp_min(LEAST_LEVEL**LEVEL_POWER)
        shape = vectors[:, LEVEL_WIDTH:] @ self.colour + self.shape_mean + level @ self.shape_by_level
        shape = shape.clamp_min(0).square().unflatten(-1, (SERIES, HOURS))
        shape = shape / shape.mean(-1, keepdim=True).clamp_min(LEAST_SHAPE_MEAN)
        return root[:, :, None] ** (1 / LEVEL_POWER) * shape


def fit_representation(series: Tensor, components: int) -> Representation:
    """Everything but the whitening, which needs residuals of a fitted prior (`with_whitening`).

    series: (tiles, 2, 168); components: how many daily profiles.
    """
    series = series.double()
    root = series.mean(-1).clamp_min(LEAST_LEVEL) ** LEVEL_POWER
    root_mean, root_std = root.mean(0), root.std(0)
    standard = (root - root_mean) / root_std
    difference_std = (standard[:, 0] - standard[:, 1]).std()
    shape = (series / series.mean(-1, keepdim=True)).sqrt().flatten(1)
    level = torch.stack([standard.sum(-1) / 2, (standard[:, 0] - standard[:, 1]) / difference_std], dim=-1)
    shape_mean = shape.mean(0)
    centred = shape - shape_mean
    ridge = LEVEL_RIDGE * len(series)
    by_level = torch.linalg.solve(
        level.T @ level + ridge * torch.eye(2, dtype=torch.float64), level.T @ centred
    )
    by_level = daily(by_level)
    daily_residual = daily(centred - level @ by_level)
    _, _, directions = torch.linalg.svd(daily_residual, full_matrices=False)
    eye = torch.eye(SHAPE_WIDTH, dtype=torch.float64)
    parts = (root_mean, root_std, difference_std, shape_mean, by_level, eye, eye, directions[:components])
    return Representation(*(part.float() for part in parts))


def with_whitening(representation: Representation, residuals: np.ndarray) -> Representation:
    """The representation whose whitening makes residuals (rows, 336) white; shrunk by Ledoit and Wolf (2004)."""
    from sklearn.covariance import ledoit_wolf_shrinkage  # needed in training alone, and slow to import

    # every day of every tile is an observation of all the others, so the covariance is made the same under day shifts
    covariance = np.zeros((SHAPE_WIDTH, SHAPE_WIDTH))
    for shift in range(DAYS):
        rolled = roll_days(torch.from_numpy(residuals), shift).numpy()
        covariance += rolled.T @ rolled / len(rolled) / DAYS
    shrinkage = ledoit_wolf_shrinkage(residuals)
    covariance *= 1 - shrinkage
    covariance[np.diag_indices(SHAPE_WIDTH)] += (
        shrinkage * np.trace(covariance) / (1 - shrinkage) / SHAPE_WIDTH
    )
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, values.max() * LEAST_VARIANCE)
    whiten = (vectors / np.sqrt(values)) @ vectors.T
    colour = (vectors * np.sqrt(values)) @ vectors.T
    parts = {field.name: getattr(representation, field.name) for field in fields(representation)}
    parts |= {"whiten": torch.from_numpy(whiten).float(), "colour": torch.from_numpy(colour).float()}
    return Representation(**parts)


def daily(shapes: Tensor) -> Tensor:
    """Shapes (rows, 336) with each hour of the day replaced by its mean over the days."""
    days = shapes.unflatten(-1, (SERIES, DAYS, HOURS_A_DAY))
    return days.mean(-2, keepdim=True).expand_as(days).flatten(1)


def roll_days(shapes: Tensor, days: int) -> Tensor:
    """Shapes (rows, 336) that begin `days` later; nothing else changes, as the first weekday is unknown."""
    return shapes.unflatten(-1, (SERIES, HOURS)).roll(days * HOURS_A_DAY, -1).flatten(1)
