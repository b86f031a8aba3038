"""Samples of the ensemble given measured tiles: samples of the prior, corrected by what they miss (Matheron's rule)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import cho_solve, solve_triangular
from torch import Tensor

from opendiff.default.conditioning import Posterior
from opendiff.default.level_terms import LevelTerms
from opendiff.default.prior import PriorPrediction
from opendiff.default.representation import LEVEL_WIDTH
from opendiff.default.world import World
from opendiff.noise import tile_noise

NOISE_STREAM, OFFSET_STREAM = 16, 17  # of `tile_noise`: errors of measurement, the unit
ROWS = (
    256  # tiles at once, always so many: a matrix product of one shape rounds a tile alike wherever it stands
)
SAMPLES = 32  # likewise


def conditioned(
    posterior: Posterior, prediction: PriorPrediction, x: Tensor, y: Tensor, samples: range, seed: int
) -> Conditioned:
    """PriorPredictions and noise of tiles x, y (tiles,) in the samples of these numbers, given the measured tiles.

    Samples are made in blocks whose bounds do not depend on how many are asked for, tiles in calls of one size,
    so that numbers are the same to the last digit however the work is shared.
    """
    prior = posterior.scales.of(prediction)
    place = x.cpu(), y.cpu()
    measured = posterior.rows_of(place[0].numpy(), place[1].numpy())
    moments = _moments(posterior, prior, place, measured)
    blocks = range(samples.start // SAMPLES * SAMPLES, samples.stop, SAMPLES)
    parts = [_block(posterior, prior, place, measured, moments, first, seed) for first in blocks]
    asked = slice(samples.start - blocks.start, samples.stop - blocks.start)
    noise = np.concatenate([part for part, _ in parts], axis=1)[:, asked]
    units = np.concatenate([unit for _, unit in parts])[asked]
    spread = prior.spread.clone()
    spread[:, :LEVEL_WIDTH] = torch.from_numpy(moments.deviation).to(spread)
    profile = prior.profile
    if posterior.profiles is not None:
        loading = prediction.loading.double().cpu().numpy()
        shift = np.empty(tuple(profile.shape))
        for rows, kept, size in _calls(len(shift)):
            shift[kept] = posterior.profiles.shift(loading[rows])[:size]
        profile = profile + torch.from_numpy(shift).to(profile)
    told = replace(
        prior, profile=profile, level=torch.from_numpy(moments.mean).to(prior.level), spread=spread
    )
    return Conditioned(
        told, torch.from_numpy(noise).float().to(x.device), torch.from_numpy(units).float(), measured
    )


@dataclass(frozen=True)
class _Moments:
    """mean, deviation: (tiles, 2) of the level coordinates. cross: (tiles, measured) covariance of the level with the
    measured ones, the unit apart."""

    mean: np.ndarray
    deviation: np.ndarray
    cross: np.ndarray


def _moments(
    posterior: Posterior, prior: PriorPrediction, place: tuple[Tensor, Tensor], measured: np.ndarray
) -> _Moments:
    terms = LevelTerms.of(prior, place[0].numpy(), place[1].numpy())
    expected = cho_solve((posterior.root, True), posterior.missed())
    mean = np.column_stack([terms.mean, prior.level[:, 1].double().cpu().numpy()])
    deviation = np.full((len(mean), LEVEL_WIDTH), posterior.difference_std)
    cross = np.empty((len(mean), len(posterior.terms.x)))
    for rows, kept, size in _calls(len(mean)):
        part = terms.take(rows)
        own = part.covariance(posterior.terms)
        half = solve_triangular(posterior.root, own.T, lower=True)
        cross[kept] = own[:size]
        mean[kept, 0] += (own @ expected)[:size]
        deviation[kept, 0] = np.sqrt((part.variance() - np.square(half).sum(axis=0)).clip(1e-8))[:size]
    # traffic against users: told by the level where one of them was measured, by itself where both were
    rows = np.flatnonzero(measured >= 0)
    of = measured[rows]
    alone = posterior.observed.sign[of] != 0
    pull = posterior.difference_pull()[of]
    inverse = np.diag(cho_solve((posterior.root, True), np.eye(len(posterior.root))))[of]
    given, share, _ = posterior.differences()
    shift = np.where(alone, pull * expected[of], share[of] * (given[of] - mean[rows, 1]))
    mean[rows, 1] += np.where(alone, shift, np.nan_to_num(shift))
    left = np.where(alone, 1 - (pull / posterior.difference_std) ** 2 * inverse, 1 - share[of])
    deviation[rows, 1] *= np.sqrt(left.clip(1e-8))
    return _Moments(mean, deviation, cross)


def _block(
    posterior: Posterior, prior: PriorPrediction, place: tuple[Tensor, Tensor], measured: np.ndarray, moments: _Moments,
    first: int, seed: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Noise (tiles, SAMPLES, 2) of the level coordinates and units (SAMPLES, 2) of the samples from `first` on."""
    numbers = torch.arange(first, first + SAMPLES)
    mine = torch.from_numpy(posterior.terms.x), torch.from_numpy(posterior.terms.y)
    observed = posterior.observed
    # what the samples of the prior miss at the measured tiles
    own = _tile_noise(seed, *mine, numbers, LEVEL_WIDTH)
    level = _prior_levels(posterior.prediction, World.of(seed, *mine, numbers), own[..., 0])
    error = _tile_noise(seed, *mine, numbers, 2, NOISE_STREAM)
    nowhere = torch.zeros_like(numbers)
    unit = tile_noise(seed, nowhere, nowhere, numbers, 2, OFFSET_STREAM).double().numpy()
    ratio = posterior.log_ratio_std / 2 * posterior.difference_std
    beside = (observed.noise - (ratio * observed.sign) ** 2).clip(0)  # of the measurement alone
    made = level + observed.sign[:, None] * ratio * own[..., 1] + np.sqrt(beside)[:, None] * error[..., 0]
    missed = (posterior.missed() + posterior.terms.mean)[:, None] - made - observed.unit_std * unit[:, 0]
    weight = cho_solve((posterior.root, True), missed)  # (measured, samples)
    offset = observed.unit_std * unit[:, 0] + observed.unit_std**2 * weight.sum(axis=0)
    # the same correction at every tile
    own = _tile_noise(seed, *place, numbers, LEVEL_WIDTH)
    found = np.empty_like(own)
    found[..., 0] = _prior_levels(prior, World.of(seed, *place, numbers), own[..., 0])
    for rows, kept, size in _calls(len(found)):
        found[kept, :, 0] += (moments.cross[rows] @ weight)[:size]
    expected = prior.level[:, 1].double().cpu().numpy()
    found[..., 1] = expected[:, None] + posterior.difference_std * own[..., 1]
    between = _difference_offsets(posterior, unit[:, 1])
    rows = np.flatnonzero(measured >= 0)
    of = measured[rows]
    alone = observed.sign[of] != 0
    found[rows[alone], :, 1] += (posterior.difference_pull()[of[alone]])[:, None] * weight[of[alone]]
    given, share, variance = (values[of[~alone]][:, None] for values in posterior.differences())
    told = given - (between - observed.difference_offset) / posterior.log_ratio_std
    noisy = found[rows[~alone], :, 1] + np.sqrt(variance) * error[of[~alone], :, 1]
    found[rows[~alone], :, 1] += share * (told - noisy)
    noise = (found - moments.mean[:, None]) / moments.deviation[:, None]
    return noise, _units(posterior, offset, between)


def _calls(count: int) -> Iterator[tuple[np.ndarray, slice, int]]:
    """(ROWS,) rows of each call, which of them count, and how many these are."""
    for start in range(0, count, ROWS):
        kept = slice(start, min(start + ROWS, count))
        yield np.minimum(np.arange(start, start + ROWS), count - 1), kept, kept.stop - start


def _difference_offsets(posterior: Posterior, unit: np.ndarray) -> np.ndarray:
    """(samples,) log of the unit of traffic against that of users."""
    both = int((posterior.observed.sign == 0).sum())
    if not both or posterior.observed.unit_std == 0:
        return np.full(len(unit), posterior.observed.difference_offset)
    return (
        posterior.observed.difference_offset
        + posterior.log_ratio_std * posterior.difference_std * unit / np.sqrt(both)
    )


def _units(posterior: Posterior, offset: np.ndarray, difference_offset: np.ndarray) -> np.ndarray:
    """(samples, 2) factors of traffic and users; a quantity that was never measured stays in the model's unit."""
    sign = posterior.observed.sign
    both = posterior.observed.offset + offset
    log = np.stack([both + difference_offset / 2, both - difference_offset / 2], axis=1)
    if (sign > 0).all():
        log[:, 1] = offset
    if (sign < 0).all():
        log[:, 0] = offset
    return np.exp(log)


@dataclass(frozen=True)
class Conditioned:
    """Tiles given the measured ones: prediction; level_noise (tiles, samples, 2) of the level coordinates, standard
    normal; units (samples, 2) by which traffic and users of the model are multiplied; measured (tiles,) row among the
    measured tiles, -1 for others."""

    prediction: PriorPrediction
    level_noise: Tensor
    units: Tensor
    measured: np.ndarray


def _tile_noise(seed: int, x: Tensor, y: Tensor, samples: Tensor, width: int, stream: int = 0) -> np.ndarray:
    """(tiles, samples, width) float64."""
    count = len(samples)
    noise = tile_noise(
        seed,
        x.long().repeat_interleave(count),
        y.long().repeat_interleave(count),
        samples.repeat(len(x)),
        width,
        stream,
    )
    return noise.reshape(len(x), count, width).double().numpy()


def _prior_levels(prediction: PriorPrediction, world: World, own: np.ndarray) -> np.ndarray:
    """Log levels (tiles, samples) of the prior, float64, as `World.mix` makes them; own: (tiles, samples) noise."""
    parts = (prediction.level[:, 0], prediction.loading, prediction.residual, prediction.spatial)
    mean, loading, residual, share = (part.detach().double().cpu().numpy() for part in parts)
    fields, weights = world.fields.double().numpy(), world.weights.double().numpy()
    own_share = np.sqrt((1 - share.sum(1)).clip(0))
    noise = own_share[:, None] * own + (np.sqrt(share)[:, None, :] * fields).sum(-1)
    found = np.empty_like(own)
    for rows, kept, size in _calls(len(own)):
        found[kept] = (loading[rows] @ weights.T)[:size]
    return mean[:, None] + found + residual[:, None] * noise
