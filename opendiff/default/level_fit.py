"""How the level's part of the prior is fitted: weights of all cities at once, spreads from tiles that were left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize, minimize_scalar, nnls

from opendiff.conditions import TOKENS_WIDTH
from opendiff.default.imputation import CityTokens, expectation, left_open
from opendiff.default.model import TrafficModel
from opendiff.default.prior import LOG_SPREAD_RANGE, Prior
from opendiff.default.regression import LEVEL_WIDTHS, Sample, Weights, regress
from opendiff.default.world import FIELD_CELLS, field_correlation
from opendiff.observed import City

GROUPS = 6  # of spatial blocks, each left out once
# log standard deviation of the log level at its mean, and its slope, before fitting
START_SPREAD = (-0.5, -0.2)
PASSES = 3  # of weights and spreads in turn


@dataclass(frozen=True)
class Imputed:
    """Expected tokens (tiles, TOKENS_WIDTH) of a city, and for the pattern of each tile (tiles,) what they leave open,
    (patterns, tokens, tokens)."""

    tokens: np.ndarray
    pattern: np.ndarray
    left_open: np.ndarray

    def variance(self, weight: np.ndarray) -> np.ndarray:
        """Of weight . tokens, (tiles,)."""
        return np.einsum("t,ptu,u->p", weight, self.left_open, weight).clip(0)[self.pattern]


def fit_levels(
    prior: Prior, cities: Sequence[City], imputed: Sequence[Imputed], model: TrafficModel, like: Prior | None
) -> None:
    """Weights of the log level, their covariance, and the spread of what they leave open."""
    mean_log = float(model.representation.log_mean.mean())
    levels = [city.log_level() - mean_log for city in cities]
    known = [np.flatnonzero(np.isfinite(level)) for level in levels]
    spreads = np.tile((*START_SPREAD, 0.0), (1 + len(cities), 1))
    if like is not None and like.fitted_spreads is not None:
        spreads = like.fitted_spreads
    for number in range(1 if like is not None else PASSES):
        weights = regress(level_samples(levels, known, imputed, spreads), LEVEL_WIDTHS)
        if like is None and number < PASSES - 1:
            spreads = left_out_spreads(prior, cities, levels, known, imputed, weights, spreads)
    prior.fitted_spreads = spreads
    anchor, anchor_value = _anchor(cities, weights, prior)
    for number in range(1 + len(cities)):
        own = number > 0 and np.isfinite(weights.value[number])
        source = number if own else 0
        centre = weights.centre[number] if own else prior.feature_mean[number].numpy()
        has_traffic = own and cities[number - 1].has_traffic.any()
        value = weights.value[number] if has_traffic else anchor_value + weights.mean[0] @ (centre - anchor)
        prior.weight[number, :, 0] = torch.from_numpy(weights.mean[source])
        prior.centre[number] = torch.from_numpy(centre)
        prior.bias[number, 0] = float(value)
        prior.level_factor[number] = torch.from_numpy(_root(weights.covariance[source]))
        shift = value - (weights.value[number] if own else 0)
        prior.residual[number] = torch.tensor(
            [*spreads[number][:2], (spreads[number][2] + shift) if own else spreads[0][2]]
        )
    if like is not None:
        prior.spatial_share.copy_(like.spatial_share)


def _anchor(cities: Sequence[City], weights: Weights, prior: Prior) -> tuple[np.ndarray, float]:
    """The point through which the plane of a new city runs: the mean of the cities with traffic, whose unit it
    takes."""
    measured = [city.has_traffic.any() for city in cities]
    with_traffic = [n + 1 for n, has in enumerate(measured) if has and np.isfinite(weights.value[n + 1])]
    if not with_traffic:
        return prior.feature_mean[0].numpy(), 0.0
    return weights.centre[with_traffic].mean(axis=0), float(weights.value[with_traffic].mean())


def level_samples(
    levels: Sequence[np.ndarray], known: Sequence[np.ndarray], imputed: Sequence[Imputed], spreads: np.ndarray
) -> list[Sample | None]:
    """What each city tells of the level; the noise of a tile follows from what a first pass expects of it."""
    plain = np.zeros(TOKENS_WIDTH)
    samples: list[Sample | None] = []
    for number, (level, rows, part) in enumerate(zip(levels, known, imputed, strict=True)):
        if len(rows) < 2:
            samples.append(None)
            continue
        tokens, values = part.tokens[rows], level[rows]
        # a rough expectation is enough: ridge on the totals would change the noise by a few per cent
        centred = tokens - tokens.mean(axis=0)
        slope = np.linalg.solve(
            centred.T @ centred + 30 * np.eye(TOKENS_WIDTH), centred.T @ (values - values.mean())
        )
        expected = values.mean() + centred @ slope
        at, gradient, place = spreads[1 + number]
        variance = np.exp(2 * (at + gradient * (expected - (place or values.mean()))).clip(*LOG_SPREAD_RANGE))
        samples.append(Sample(tokens, values, variance + part.variance(plain)[rows]))
    return samples


def left_out_spreads(
    prior: Prior, cities: Sequence[City], levels: Sequence[np.ndarray], known: Sequence[np.ndarray],
    imputed: Sequence[Imputed], weights: Weights, spreads: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Log standard deviation of a tile's own log level and its slope, (1 + cities, 3), from tiles whose block was left
    out; of a new city from whole cities left out. Fills the shares of the prior's fields in space as well."""
    found = np.zeros_like(spreads)
    pooled: list[LeftOut] = []
    anchor, value = _anchor(cities, weights, prior)
    for number, city in enumerate(cities):
        rows = known[number]
        if len(rows) < 2:
            continue
        error, expected, variance = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows))
        group = np.random.default_rng(0).permutation(city.blocks.max() + 1)[city.blocks[rows]] % GROUPS
        for left_out in range(GROUPS):
            test = group == left_out
            if not test.any() or test.all():
                continue
            kept = [rows[~test] if n == number else others for n, others in enumerate(known)]
            fit = regress(level_samples(levels, kept, imputed, spreads), LEVEL_WIDTHS)
            centred = imputed[number].tokens[rows[test]] - fit.centre[1 + number]
            expected[test] = fit.value[1 + number] + centred @ fit.mean[1 + number]
            error[test] = levels[number][rows[test]] - expected[test]
            variance[test] = _leverage(centred, fit.covariance[1 + number])
        variance += imputed[number].variance(weights.mean[1 + number])[rows]
        found[1 + number] = spread_line(error, expected, variance)
        prior.spatial_share[1 + number] = torch.from_numpy(
            spatial_shares(LeftOut(city, rows, error, expected, variance), found[1 + number])
        )
        alone = [others if n != number else others[:0] for n, others in enumerate(known)]
        if sum(len(others) > 1 for others in alone):
            fit = regress(level_samples(levels, alone, imputed, spreads), LEVEL_WIDTHS)
            tokens = imputed[number].tokens[rows]
            centred = tokens - tokens.mean(axis=0)
            expected = centred @ fit.mean[0]
            error = levels[number][rows] - levels[number][rows].mean() - expected
            variance = _leverage(centred, fit.covariance[0]) + imputed[number].variance(fit.mean[0])[rows]
            # on the plane of a new city, whose unit is that of the cities with traffic
            pooled.append(LeftOut(city, rows, error, value + (tokens - anchor) @ fit.mean[0], variance))
    if pooled:
        fitted = [1 + number for number, rows in enumerate(known) if len(rows) > 1]
        found[0] = pooled_line(pooled, float(found[fitted, 1].mean()))
        shares = [spatial_shares(one, found[0]) for one in pooled]
        prior.spatial_share[0] = torch.from_numpy(np.mean(shares, axis=0))
    else:
        found[0] = found[1:].mean(axis=0)
        prior.spatial_share[0] = prior.spatial_share[1:].mean(0)
    return found


@dataclass(frozen=True)
class LeftOut:
    """A city that a fit has not seen: rows of its observed tiles, the error (tiles,) of their log levels after one
    scale, what was expected of them, and the variance (tiles,) that weights and imputed tokens explain."""

    city: City
    rows: np.ndarray
    error: np.ndarray
    expected: np.ndarray
    variance: np.ndarray


def pooled_line(cities: Sequence[LeftOut], slope: float) -> np.ndarray:
    """`spread_line` of a new city from cities that were left out, which count alike, (3,).

    Busy tiles stray less than quiet ones, in one unit for all cities; how much less, cities tell by their own tiles
    (slope), because between two cities much else differs.
    """
    weight = np.concatenate([np.full(len(one.error), 1 / (len(one.error) * len(cities))) for one in cities])
    parts = [(one.error, one.expected, one.variance) for one in cities]
    error, expected, variance = (np.concatenate(part) for part in zip(*parts, strict=True))
    place = float(weight @ expected)

    def loss(log_spread: float) -> float:
        return spread_loss(error, variance, log_spread + slope * (expected - place), weight)

    found = minimize_scalar(loss, bounds=LOG_SPREAD_RANGE, method="bounded")
    return np.array([found.x, slope, place])


def spread_line(error: np.ndarray, expected: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """(log standard deviation at the mean level, its slope, that level), (3,), by maximum likelihood, beside a variance
    (tiles,) that is known already."""
    place = float(expected.mean())
    weight = np.full(len(error), 1 / len(error))

    def loss(line: np.ndarray) -> float:
        log_spread = line[0] + line[1] * (expected - place)
        return spread_loss(error, variance, log_spread, weight) + 0.5 * 0.01 * line[1] ** 2

    return np.array([*minimize(loss, START_SPREAD, method="Nelder-Mead").x, place])


def spread_loss(error: np.ndarray, variance: np.ndarray, log_spread: np.ndarray, weight: np.ndarray) -> float:
    """Negative log-likelihood of errors (tiles,) of a variance that is known and of a residual of this log standard
    deviation (tiles,); weight (tiles,), of sum 1: of each tile."""
    total = variance + np.exp(2 * log_spread.clip(*LOG_SPREAD_RANGE))
    return float(weight @ (np.log(total) + error**2 / total) / 2)


def spatial_shares(left: LeftOut, line: np.ndarray) -> np.ndarray:
    """Shares (2,) of the residual's variance in the fields of short and of long range, by least squares on the products
    of the residuals of tiles up to 8 apart."""
    city, rows, error, expected, variance = left.city, left.rows, left.error, left.expected, left.variance
    own = np.exp(2 * (line[0] + line[1] * (expected - line[2])).clip(*LOG_SPREAD_RANGE))
    scaled = (error - error.mean()) / np.sqrt(own + variance)
    x, y = (city.conditions.tiles[axis].to_numpy()[rows] for axis in ("x", "y"))
    dx, dy = np.abs(x[:, None] - x), np.abs(y[:, None] - y)
    near = (np.maximum(dx, dy) <= 2 * FIELD_CELLS[-1]) & (np.arange(len(x))[:, None] < np.arange(len(x)))
    a, b = np.nonzero(near)
    if len(a) < 10:
        return np.zeros(2)
    product = scaled[a] * scaled[b]
    steps = np.arange(2 * FIELD_CELLS[-1] + 1)
    tables = [field_correlation(scale, steps[:, None], steps[None]) for scale in range(len(FIELD_CELLS))]
    shares = nnls(np.column_stack([table[dx[a, b], dy[a, b]] for table in tables]), product)[0]
    return shares / max(1.0, shares.sum() / 0.95)


def impute_city(city: CityTokens, mean: np.ndarray, covariance: np.ndarray) -> Imputed:
    """The tokens of a city with what they lack filled in."""
    known = np.isfinite(city.tokens)
    patterns, of_tile = np.unique(known, axis=0, return_inverse=True)
    of_tile = of_tile.reshape(-1)
    filled, left = np.empty_like(city.tokens), []
    for number, pattern in enumerate(patterns):
        rows = np.flatnonzero(of_tile == number)
        gain = expectation(covariance, pattern, city.reliability)
        filled[rows] = mean + np.where(pattern, city.tokens[rows] - mean, 0) @ gain.T
        left.append(left_open(covariance, gain))
    return Imputed(filled, of_tile, np.stack(left))


def _leverage(centred: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    return np.einsum("ti,ij,tj->t", centred, covariance, centred)


def _root(covariance: np.ndarray) -> np.ndarray:
    """A matrix whose product with its transpose is the covariance."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return vectors * np.sqrt(np.maximum(values, 0))
