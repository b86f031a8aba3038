"""The prior: what open data says of a tile before any noise is removed.

The level is exactly Gaussian: traffic of a tile = effect of its city + weights x open data + a residual that
neighbours share in part. Weights are drawn once a sample, one possible world, so what the model is unsure of moves a
whole area; their covariance of a city that nobody measured is wider than that of the training cities. Open data that a
tile lacks is imputed (`imputation`), so one regression serves every pattern of known modalities. The daily and weekly
profile, the noise of the shape, and counts of places and people follow from the same tokens.

    level_i = b + w . (z_i - m) + r_i (s_i + e_i),  w ~ N(W, L L'),  s: a field in space,  e: of the tile alone

All terms are normal with known covariance, so measured tiles condition the ensemble in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from opendiff.conditions import INTENSITIES, TOKEN_WIDTHS, TOKENS_WIDTH
from opendiff.default.imputation import expectation, left_open
from opendiff.default.representation import LEVEL_WIDTH, SHAPE_WIDTH
from opendiff.default.texture import SIZES, STYLES

LOG_SPREAD_RANGE = (-1.9, 0.9)  # log standard deviation of a tile's own log level: 0.15 to 2.5
RELIABILITY_STEP = 0.02  # populations are trusted in steps, so that few matrices are needed
NEW_CITY = 0  # number of a city that was not measured


class Prior(nn.Module):
    """Regressions of the training cities, 1, 2, ..., and of a new city, 0. `prior_fit` fills the buffers.

    Outputs are the mean log level, the difference of the two level coordinates, profile coefficients (components), the
    style (STYLES) and log intensities (3).
    """

    feature_mean: Tensor
    feature_cov: Tensor
    bounds: Tensor
    weight: Tensor
    bias: Tensor
    centre: Tensor
    level_factor: Tensor
    residual: Tensor
    difference_spread: Tensor
    spatial_share: Tensor
    shared_shape: Tensor
    common: Tensor
    city_style: Tensor
    fitted_spreads: np.ndarray | None = None  # of the training, in each city's own unit

    def __init__(self, components: int, cities: int = 1):
        super().__init__()
        self.components = components
        self.outputs = LEVEL_WIDTH + components + STYLES + len(INTENSITIES)
        count = 1 + cities
        self.register_buffer("feature_mean", torch.zeros(count, TOKENS_WIDTH, dtype=torch.float64))
        self.register_buffer("feature_cov", torch.eye(TOKENS_WIDTH, dtype=torch.float64))
        # zoom-15 tiles x and y, first and last, of the box of each training city
        self.register_buffer("bounds", torch.full((count, 4), -1, dtype=torch.int64))
        self.register_buffer("weight", torch.zeros(count, TOKENS_WIDTH, self.outputs))
        self.register_buffer("bias", torch.zeros(count, self.outputs))
        self.register_buffer("centre", torch.zeros(count, TOKENS_WIDTH))
        self.register_buffer("level_factor", torch.zeros(count, TOKENS_WIDTH, TOKENS_WIDTH))
        # log standard deviation of the residual: at the level `residual[:, 2]`, its slope on the level, that level
        self.register_buffer("residual", torch.zeros(count, 3))
        self.register_buffer("difference_spread", torch.ones(()))
        # share of the residual's variance in the field of short and of long range
        self.register_buffer("spatial_share", torch.zeros(count, 2))
        # share of the variance of the shape's noise that all tiles of a sample have in common in a new city, and what
        # it was in the measured week of a training city
        self.register_buffer("shared_shape", torch.zeros(()))
        self.register_buffer("common", torch.zeros(count, SHAPE_WIDTH))
        # what the sizes of all weeks of a city (`texture.SIZES`) are beside the expected ones: mean, standard deviation
        self.register_buffer("city_style", torch.zeros(count, 2))

    def forward(
        self, tokens: Tensor, present: Tensor, reliability: Tensor, x: Tensor, y: Tensor
    ) -> PriorPrediction:
        """The prediction for tokens (rows, TOKENS_WIDTH), present (rows, modalities) bool, reliability (rows,) and tile
        numbers x, y (rows,)."""
        # The whole batch is evaluated for each kind of tile in it: matrix products of one fixed shape round a tile
        # alike wherever it stands in the batch.
        city = self.city_of(x, y)
        trust = torch.round(reliability.double() / RELIABILITY_STEP).long()
        kinds, kind = torch.unique(
            torch.cat([present.long(), trust[:, None], city[:, None]], dim=1), dim=0, return_inverse=True
        )
        shape = len(tokens), TOKENS_WIDTH
        outputs = tokens.new_zeros(len(tokens), self.outputs)
        loading, imputed = tokens.new_zeros(shape), tokens.new_zeros(len(tokens))
        spatial, residual = tokens.new_zeros(len(tokens), 2), tokens.new_zeros(len(tokens), 3)
        mask = token_mask(present)
        for number, key in enumerate(kinds.tolist()):
            *known, step, own = key
            gain, variance = self._imputation(tuple(map(bool, known)), step, own)
            mean = self.feature_mean[own].to(tokens)
            filled = ((tokens - mean) * mask) @ gain.to(tokens.device).T + mean - self.centre[own]
            inside = kind == number
            found = filled @ self.weight[own] + self.bias[own]
            outputs = torch.where(inside[:, None], found, outputs)
            loading = torch.where(inside[:, None], filled @ self.level_factor[own], loading)
            imputed = torch.where(inside, variance, imputed)
            spatial = torch.where(inside[:, None], self.spatial_share[own], spatial)
            residual = torch.where(inside[:, None], self.residual[own], residual)
        level = outputs[:, 0]
        low, high = LOG_SPREAD_RANGE
        log_spread = (residual[:, 0] + residual[:, 1] * (level - residual[:, 2])).clamp(low, high)
        own_spread = ((2 * log_spread).exp() + imputed).sqrt()
        return self.believe(outputs, loading, own_spread, spatial, city)

    def city_of(self, x: Tensor, y: Tensor) -> Tensor:
        """Number of the training city in whose box tiles lie, (rows,), NEW_CITY outside all."""
        box = self.bounds[None]
        inside = (x[:, None] >= box[..., 0]) & (x[:, None] <= box[..., 1])
        inside &= (y[:, None] >= box[..., 2]) & (y[:, None] <= box[..., 3])
        return inside.long().argmax(dim=1)  # the first, a new city, where there is none

    def believe(
        self, outputs: Tensor, loading: Tensor, own_spread: Tensor, spatial: Tensor, city: Tensor
    ) -> PriorPrediction:
        """The prediction that outputs (rows, outputs) and the parts of the level's spread stand for, of tiles of cities
        (rows,)."""
        widths = [LEVEL_WIDTH, self.components, STYLES, len(INTENSITIES)]
        level, profile, style, log_intensity = outputs.split(widths, dim=-1)
        style = style + self.city_style[city, :1] * SIZES.to(style)
        level_spread = (own_spread**2 + loading.square().sum(-1)).sqrt()
        difference = self.difference_spread.expand_as(level_spread)
        spread = torch.stack([level_spread, difference], dim=-1)
        return PriorPrediction(
            level, profile, style, log_intensity, spread, loading, own_spread, spatial, city
        )

    def _imputation(self, known: tuple[bool, ...], step: int, city: int) -> tuple[Tensor, Tensor]:
        """Matrix (tokens, tokens) that imputes, and the variance of the level that it leaves open, ()."""
        weight = self.weight[city, :, 0].double().cpu().numpy()
        covariance = self.feature_cov.double().cpu().numpy()
        gain, left = _imputed(covariance.tobytes(), known, step)
        return torch.from_numpy(gain).float(), torch.tensor(max(float(weight @ left @ weight), 0.0)).float()


@dataclass(frozen=True)
class PriorPrediction:
    """What the prior holds of tiles: expected level (rows, 2), profile (rows, components), style (rows, STYLES) and
    log1p intensity (rows, 3); spread (rows, 2), the standard deviations of the two level coordinates.

    The first level coordinate's variance is |loading|² + residual²: loading (rows, TOKENS_WIDTH) by the noise of the
    weights, which all tiles of a sample share, residual (rows,) of the tile, of which the shares spatial (rows, 2) are
    fields in space (`opendiff.default.world`). city: (rows,) number of the training city, or NEW_CITY.
    """

    level: Tensor
    profile: Tensor
    style: Tensor
    log_intensity: Tensor
    spread: Tensor
    loading: Tensor
    residual: Tensor
    spatial: Tensor
    city: Tensor

    def deviation(self) -> Tensor:
        """Standard deviation of the vectors, (rows, 338)."""
        return torch.cat([self.spread, self.spread.new_ones(len(self.spread), SHAPE_WIDTH)], dim=-1)

    def summary(self) -> Tensor:
        """What the denoiser is told of it, (rows, 4 + components + STYLES)."""
        return torch.cat([self.level, self.profile, self.spread.log(), self.style], dim=-1)

    def take(self, rows: Tensor) -> PriorPrediction:
        """The prediction of some rows (an index)."""
        return PriorPrediction(*(value[rows] for value in vars(self).values()))

    @staticmethod
    def join(predictions: Sequence[PriorPrediction]) -> PriorPrediction:
        """The rows of several predictions, one after the other."""
        return PriorPrediction(
            *(torch.cat(parts) for parts in zip(*(vars(one).values() for one in predictions), strict=True))
        )


def token_mask(present: Tensor) -> Tensor:
    """(rows, TOKENS_WIDTH) bool from present (rows, modalities)."""
    return present.repeat_interleave(torch.tensor(TOKEN_WIDTHS, device=present.device), dim=-1)


@lru_cache(maxsize=512)
def _imputed(covariance: bytes, known: tuple[bool, ...], step: int) -> tuple[np.ndarray, np.ndarray]:
    """`expectation` and `left_open` for a pattern of known modalities and a reliability in steps."""
    matrix = np.frombuffer(covariance).reshape(TOKENS_WIDTH, TOKENS_WIDTH)
    gain = expectation(matrix, np.repeat(known, TOKEN_WIDTHS), step * RELIABILITY_STEP)
    return gain, left_open(matrix, gain)
