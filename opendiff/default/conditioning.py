"""The ensemble given measured tiles, exactly: Gaussian conditioning of the level, of the shape's common noise.

The log level of tiles is normal (`opendiff.default.prior`):

    l_i = m_i + a v_i . u + c r_i (w_0 e_i + w_1 f_1(i) + w_2 f_2(i)) + b

with u the weights' noise, f fields in space, e the tile's own and b the unit of the measurements, of which nothing is
known. Measured tiles are l with noise. A sample of the posterior is a sample of the prior corrected by kriging of what
it misses at the measured tiles (Matheron's rule; Wilson et al., "Pathwise conditioning of Gaussian processes", JMLR
2021):

    l* = l + K(*, M) (K(M, M) + N)^-1 (y - l(M) - n)

So a tile's sample depends on that tile and on all measured ones, never on the tiles that are generated beside it. a, c
and the shares w are found by maximum likelihood of the measured levels with a prior of how left-out cities came out
(empirical Bayes), because a city can be nearer to the others, or farther, than the usual one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from torch import Tensor

from opendiff.default.model import TrafficModel
from opendiff.default.prior import NEW_CITY, Belief
from opendiff.default.representation import LEVEL_WIDTH, Representation
from opendiff.default.shape_conditioning import ShapePosterior, shape_posterior
from opendiff.default.world import FIELD_CELLS, FIELD_REACH, FIELD_SCALE, World
from opendiff.measurements import MAX_TILES, RELATIVE, Measurements
from opendiff.noise import tile_noise

NOISE_STREAM, OFFSET_STREAM = 16, 17  # of `tile_noise`: errors of measurement, the unit
UNIT_STD = 3.0  # of the log of the unit, around what the measured tiles say by themselves
# Standard deviations over tiles of the log level that the weights and the residual leave open in a city that was left
# out of training, and how much cities differ in their logarithms (Nanchang, Seoul and Helsinki, each left out).
NEW_CITY_PRIOR = ((0.05, 0.9), (0.42, 0.7))
KNOWN_CITY_SPREAD = 0.25  # the same of a training city, around what training found
NEW_CITY_SHARES = (0.8, 0.1, 0.1)  # of the residual: of the tile alone, of the field of short and of long range
SHARE_SPREAD = 0.7  # of the log ratios of the shares
MIN_SHARE = 0.02
FIT_TILES = 300  # measured tiles that the scales are found from
FIT_RUNS = 250
ROWS = 256  # tiles at once, always so many: a matrix product of one shape rounds a tile alike wherever it stands


@dataclass(frozen=True)
class Scales:
    """What the measured tiles say of the model's own errors: factors of the weights' noise and of the residual, and the
    shares (2,) of the residual's variance in the fields."""

    weights: float
    residual: float
    spatial: tuple[float, float]

    def of(self, belief: Belief) -> Belief:
        """The belief with these scales."""
        residual, loading = belief.residual * self.residual, belief.loading * self.weights
        spread = belief.spread.clone()
        spread[:, 0] = (residual**2 + loading.square().sum(-1)).sqrt()
        spatial = torch.tensor(self.spatial).to(belief.spatial).expand_as(belief.spatial)
        return replace(belief, residual=residual, loading=loading, spread=spread, spatial=spatial)


@dataclass(frozen=True)
class LevelTerms:
    """The parts of the level's covariance of some tiles, float64: loading (tiles, tokens), residual (tiles,), fields: of
    each range (tiles, cells) sparse, and what tells tiles apart, key (tiles,)."""

    mean: np.ndarray
    loading: np.ndarray
    residual: np.ndarray
    spatial: np.ndarray
    x: np.ndarray
    y: np.ndarray

    @staticmethod
    def of(belief: Belief, x: np.ndarray, y: np.ndarray) -> LevelTerms:
        parts = (belief.level[:, 0], belief.loading, belief.residual, belief.spatial)
        mean, loading, residual, spatial = (part.detach().double().cpu().numpy() for part in parts)
        return LevelTerms(mean, loading, residual, spatial, np.asarray(x, np.int64), np.asarray(y, np.int64))

    def covariance(self, other: LevelTerms) -> np.ndarray:
        """(tiles, other tiles) of the log level, the unit apart."""
        fields = [
            field_weights(self.x, self.y, scale, other.x, other.y) for scale in range(len(FIELD_CELLS))
        ]
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


@dataclass(frozen=True)
class Observed:
    """Measured tiles as observations of the level.

    Attributes
    ----------
    level : (tiles,) log level, in the model's unit as far as `offset` knows it.
    noise : (tiles,) variance of it beside the level's: of the measurement, and of the difference of traffic and users
        where only one of them was measured.
    sign : (tiles,) +1 where traffic alone, -1 where users alone, 0 where both were measured.
    difference : (tiles,) log traffic less log users, NaN where one is missing.
    offset, difference_offset : log of the unit, of both and of traffic against users.
    unit_std : of the log of the unit.
    """

    level: np.ndarray
    noise: np.ndarray
    sign: np.ndarray
    difference: np.ndarray
    offset: float
    difference_offset: float
    unit_std: float


@dataclass(frozen=True)
class Posterior:
    """The level, the difference of traffic and users, and the shape of any tile, given the measured ones.

    Attributes
    ----------
    scales : of the model's errors.
    terms : of the measured tiles, with the scales.
    observed : the measured levels.
    root : (tiles, tiles) lower Cholesky factor of the covariance of the measured levels.
    difference_mean, difference_std : (tiles,) and number, of the measured tiles' difference coordinate before.
    shape : what is known of the shape.
    new_city : whether the measured tiles lie outside all training cities.
    """

    measurements: Measurements
    scales: Scales
    terms: LevelTerms
    observed: Observed
    root: np.ndarray
    belief: Belief
    difference_std: float
    log_ratio_std: float
    log_mean: tuple[float, float]
    shape: ShapePosterior
    new_city: bool

    # ---- exact moments ------------------------------------------------------------------------------------------

    def gain(self, terms: LevelTerms) -> np.ndarray:
        """(tiles, measured) covariance of log levels, the unit included, with the measured ones."""
        return terms.covariance(self.terms) + self.observed.unit_std**2

    def log_level(self, belief: Belief, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (tiles,) of the log level of the traffic of tiles (of the users, where traffic was
        never measured), in the measurements' unit, as it will be measured in a week of no error.

        Of a measured tile the difference of traffic and users is taken as if it was not measured.
        """
        terms = LevelTerms.of(self.scales.of(belief), x, y)
        cross = self.gain(terms)
        half = solve_triangular(self.root, cross.T, lower=True)
        missed = solve_triangular(self.root, self.missed(), lower=True)
        variance = terms.variance() + self.observed.unit_std**2 - np.square(half).sum(axis=0)
        sign = -1.0 if (self.observed.sign < 0).all() else 1.0
        ratio = sign * self.log_ratio_std / 2
        beside = ratio * belief.level[:, 1].double().cpu().numpy() + sign * self.observed.difference_offset / 2
        mean = terms.mean + self.observed.offset + half.T @ missed + beside + self.log_mean[0 if sign > 0 else 1]
        return mean, np.sqrt(variance.clip(1e-12) + (ratio * self.difference_std) ** 2)

    def covariance(self, belief: Belief, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(tiles, tiles) posterior covariance of the log level."""
        terms = LevelTerms.of(self.scales.of(belief), x, y)
        half = solve_triangular(self.root, self.gain(terms).T, lower=True)
        found: np.ndarray = terms.covariance(terms) + self.observed.unit_std**2 - half.T @ half
        return found

    def missed(self) -> np.ndarray:
        """(measured,) measured log levels less what is expected without them."""
        return self.observed.level - self.terms.mean - self.observed.offset

    def left_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (measured,) of the log level of each measured tile given all others but itself.

        In closed form from the inverse of the covariance (Rasmussen and Williams 2006, eq. 5.12).
        """
        inverse = cho_solve((self.root, True), np.eye(len(self.root)))
        own = np.diag(inverse)
        return self.observed.level - (inverse @ self.missed()) / own, np.sqrt(1 / own)

    # ---- samples ------------------------------------------------------------------------------------------------

    def conditioned(self, belief: Belief, x: Tensor, y: Tensor, samples: Tensor, seed: int) -> Conditioned:
        """Beliefs and noise of tiles x, y (tiles,) in the samples of these numbers, given the measured tiles."""
        prior = self.scales.of(belief)
        place = x.cpu().numpy(), y.cpu().numpy()
        row_of = {key: row for row, key in enumerate(zip(self.terms.x, self.terms.y, strict=True))}
        measured = np.array([row_of.get(key, -1) for key in zip(*place, strict=True)], np.int64)
        device = x.device
        numbers = samples.cpu()
        mine = torch.from_numpy(self.terms.x), torch.from_numpy(self.terms.y)
        count, drawn = len(self.terms.x), len(numbers)
        # what the samples of the prior miss at the measured tiles
        own = _tile_noise(seed, *mine, numbers, LEVEL_WIDTH)
        level = _prior_levels(self.belief, World.of(seed, *mine, numbers), own[..., 0])
        error = _tile_noise(seed, *mine, numbers, 2, NOISE_STREAM)
        nowhere = torch.zeros_like(numbers)
        unit = tile_noise(seed, nowhere, nowhere, numbers, 2, OFFSET_STREAM).double().numpy()
        half = self.log_ratio_std / 2
        sign = self.observed.sign[:, None]
        beside = (self.observed.noise - (half * self.difference_std * sign[:, 0]) ** 2).clip(0)
        made = level + sign * half * self.difference_std * own[..., 1] + np.sqrt(beside)[:, None] * error[..., 0]
        missed = self.missed()[:, None] - (made - self.terms.mean[:, None]) - self.observed.unit_std * unit[:, 0]
        weight = cho_solve((self.root, True), missed)  # (measured, samples)
        offset = self.observed.unit_std * unit[:, 0] + self.observed.unit_std**2 * weight.sum(axis=0)
        # mean and spread of the level of every tile, and its samples
        at = _prior_levels(prior, World.of(seed, x.cpu(), y.cpu(), numbers), _tile_noise(
            seed, x.cpu(), y.cpu(), numbers, LEVEL_WIDTH)[..., 0])  # fmt: skip
        terms = LevelTerms.of(prior, *place)
        mean, deviation, sampled = np.empty(len(at)), np.empty(len(at)), np.empty((len(at), drawn))
        expected = cho_solve((self.root, True), self.missed())
        for start in range(0, len(at), ROWS):
            rows = np.minimum(np.arange(start, start + ROWS), len(at) - 1)
            kept = slice(start, min(start + ROWS, len(at)))
            size = kept.stop - start
            part = terms.take(rows)
            cross = part.covariance(self.terms)
            mean[kept] = (part.mean + cross @ expected)[:size]
            sampled[kept] = at[kept] + (cross @ weight)[:size]
            half_cross = solve_triangular(self.root, cross.T, lower=True)
            deviation[kept] = np.sqrt((part.variance() - np.square(half_cross).sum(0)).clip(1e-8))[:size]
        # traffic against users
        d_noise = _tile_noise(seed, x.cpu(), y.cpu(), numbers, LEVEL_WIDTH)[..., 1]
        d_mean = prior.level[:, 1].double().cpu().numpy()
        d_prior = d_mean[:, None] + self.difference_std * d_noise
        d_sampled, d_deviation = d_prior.copy(), np.full(len(at), self.difference_std)
        rows = np.flatnonzero(measured >= 0)
        at_measured = measured[rows]
        difference_offset = self._difference_offsets(unit[:, 1])
        if len(rows):
            signs = self.observed.sign[at_measured]
            one = signs != 0
            pull = half * signs[one] * self.difference_std**2
            d_sampled[rows[one]] += pull[:, None] * weight[at_measured[one]]
            inverse = np.diag(cho_solve((self.root, True), np.eye(count)))[at_measured[one]]
            d_mean[rows[one]] += pull * expected[at_measured[one]]
            d_deviation[rows[one]] = np.sqrt(
                (self.difference_std**2 - pull**2 * inverse).clip(1e-8)
            )
            both = rows[~one]
            given = (self.observed.difference[at_measured[~one]] - self.observed.difference_offset) / (2 * half)
            variance = 2 * self.measurements.noise[at_measured[~one]] ** 2 / (2 * half) ** 2
            share = self.difference_std**2 / (self.difference_std**2 + variance)
            told = given[:, None] - (difference_offset - self.observed.difference_offset) / (2 * half)
            noisy = d_prior[both] + np.sqrt(variance)[:, None] * error[at_measured[~one], :, 1]
            d_sampled[both] = d_prior[both] + share[:, None] * (told - noisy)
            d_mean[both] += share * (given - d_mean[both])
            d_deviation[both] = self.difference_std * np.sqrt((1 - share).clip(1e-8))
        spread = prior.spread.clone()
        spread[:, 0] = torch.from_numpy(deviation).to(spread)
        spread[:, 1] = torch.from_numpy(d_deviation).to(spread)
        levels = torch.from_numpy(np.column_stack([mean, d_mean])).to(prior.level)
        noise = np.stack(
            [(sampled - mean[:, None]) / deviation[:, None], (d_sampled - d_mean[:, None]) / d_deviation[:, None]],
            axis=-1,
        )
        posterior = replace(prior, level=levels, spread=spread)
        return Conditioned(
            posterior, torch.from_numpy(noise).float().to(device),
            torch.from_numpy(self._units(offset, difference_offset)).float(), measured,
        )  # fmt: skip

    def _difference_offsets(self, unit: np.ndarray) -> np.ndarray:
        """(samples,) log of the unit of traffic against that of users."""
        both = int((self.observed.sign == 0).sum())
        if not both or self.observed.unit_std == 0:
            return np.full(len(unit), self.observed.difference_offset)
        return self.observed.difference_offset + self.log_ratio_std * self.difference_std * unit / np.sqrt(both)

    def _units(self, offset: np.ndarray, difference_offset: np.ndarray) -> np.ndarray:
        """(samples, 2) factors of traffic and users; a quantity that was never measured stays in the model's unit."""
        sign = self.observed.sign
        both = self.observed.offset + offset
        log = np.stack([both + difference_offset / 2, both - difference_offset / 2], axis=1)
        if (sign > 0).all():
            log[:, 1] = offset
        if (sign < 0).all():
            log[:, 0] = offset
        return np.exp(log)


@dataclass(frozen=True)
class Conditioned:
    """Tiles given the measured ones: belief; level_noise (tiles, samples, 2) of the level coordinates, standard normal;
    units (samples, 2) by which traffic and users of the model are multiplied; measured (tiles,) row among the measured
    tiles, -1 for others."""

    belief: Belief
    level_noise: Tensor
    units: Tensor
    measured: np.ndarray


def _tile_noise(seed: int, x: Tensor, y: Tensor, samples: Tensor, width: int, stream: int = 0) -> np.ndarray:
    """(tiles, samples, width) float64."""
    count = len(samples)
    noise = tile_noise(
        seed, x.long().repeat_interleave(count), y.long().repeat_interleave(count), samples.repeat(len(x)), width, stream
    )
    return noise.reshape(len(x), count, width).double().numpy()


def _prior_levels(belief: Belief, world: World, own: np.ndarray) -> np.ndarray:
    """Log levels (tiles, samples) of the prior, float64, as `World.mix` makes them; own: (tiles, samples) noise."""
    parts = (belief.level[:, 0], belief.loading, belief.residual, belief.spatial)
    mean, loading, residual, share = (part.detach().double().cpu().numpy() for part in parts)
    fields, weights = world.fields.double().numpy(), world.weights.double().numpy()
    own_share = np.sqrt((1 - share.sum(1)).clip(0))
    noise = own_share[:, None] * own + (np.sqrt(share)[:, None, :] * fields).sum(-1)
    found = np.empty_like(own)
    for start in range(0, len(own), ROWS):
        rows = np.minimum(np.arange(start, start + ROWS), len(own) - 1)
        kept = slice(start, min(start + ROWS, len(own)))
        found[kept] = (loading[rows] @ weights.T)[: kept.stop - start]
    return mean[:, None] + found + residual[:, None] * noise


# ---- from measurements to a posterior -------------------------------------------------------------------------------


def posterior(
    model: TrafficModel, belief: Belief, measurements: Measurements, scales: Scales | None = None
) -> Posterior:
    """Condition the model on measured tiles; belief: of these tiles, in the order of the measurements (x, y).

    scales: of the model's errors; None finds them. Raises TableError where there are too many tiles.
    """
    from opendiff.errors import TableError

    if len(measurements.x) > MAX_TILES:
        raise TableError(
            f"{len(measurements.x):,} measured tiles are more than {MAX_TILES:,}; generate the area in smaller ones."
        )
    cpu = Belief(*(value.detach().cpu() for value in vars(belief).values()))
    representation = model.representation.to("cpu")
    x, y = torch.from_numpy(measurements.x), torch.from_numpy(measurements.y)
    prior = model.prior
    city = prior.city_of(x.to(prior.bounds.device), y.to(prior.bounds.device)).cpu().numpy()
    new_city = bool((city == NEW_CITY).mean() > 0.5)
    terms = LevelTerms.of(cpu, measurements.x, measurements.y)
    difference_std = float(prior.difference_spread)
    ratio_std = float(representation.difference_std)
    log_mean = representation.log_mean.double().tolist()
    observed = _observed(measurements, cpu, representation, difference_std, terms)
    if not new_city and measurements.unit == RELATIVE:
        observed = _in_own_unit(observed, terms)
    found = scales or fit_scales(terms, observed, new_city)
    scaled = found.of(cpu)
    terms = LevelTerms.of(scaled, measurements.x, measurements.y)
    total = terms.covariance(terms) + observed.unit_std**2 + np.diag(observed.noise)
    root = cholesky(total, lower=True)
    shape = shape_posterior(representation, scaled, float(prior.shared_shape), measurements, new_city)
    return Posterior(
        measurements, found, terms, observed, root, scaled, difference_std, ratio_std,
        (log_mean[0], log_mean[1]), shape, new_city
    )


def _observed(
    measurements: Measurements, belief: Belief, representation: Representation, difference_std: float,
    terms: LevelTerms,
) -> Observed:  # fmt: skip
    log_mean = representation.log_mean.double().numpy()
    traffic = measurements.log_level("traffic") - log_mean[0]
    users = measurements.log_level("users") - log_mean[1]
    half = float(representation.difference_std) / 2
    expected = half * belief.level[:, 1].double().numpy()
    both = np.isfinite(traffic) & np.isfinite(users)
    sign = np.where(both, 0.0, np.where(np.isfinite(traffic), 1.0, -1.0))
    difference = traffic - users
    difference_offset = float((difference - 2 * expected)[both].mean()) if both.any() else 0.0
    alone = np.where(sign > 0, traffic, users) - sign * (expected + difference_offset / 2)
    level = np.where(both, (traffic + users) / 2, alone)
    variance = measurements.noise**2
    noise = np.where(both, variance / 2, variance + (half * difference_std) ** 2)
    offset = float((level - terms.mean).mean())
    return Observed(level, noise, sign, difference, offset, difference_offset, UNIT_STD)


def _in_own_unit(observed: Observed, terms: LevelTerms) -> Observed:
    """In a training city relative measurements may be in the unit that it was trained in: where the likelihood says
    so, the unit is known."""
    same = replace(observed, offset=0.0, difference_offset=0.0, unit_std=0.0)
    free = replace(observed, unit_std=UNIT_STD)
    kernel = terms.covariance(terms) + np.diag(observed.noise)
    evidence = [
        _likelihood(kernel + one.unit_std**2, one.level - terms.mean) for one in (same, replace(free, offset=0.0))
    ]
    return same if evidence[0] < evidence[1] else observed


def _likelihood(covariance: np.ndarray, missed: np.ndarray) -> float:
    """Negative log likelihood of normal values, the constant apart."""
    try:
        root = cholesky(covariance, lower=True)
    except np.linalg.LinAlgError:
        return np.inf
    white = solve_triangular(root, missed, lower=True)
    return float(white @ white / 2 + np.log(np.diag(root)).sum())


def fit_scales(terms: LevelTerms, observed: Observed, new_city: bool) -> Scales:
    """Scales of the model's errors in this city: the most probable ones given the measured levels.

    The prior of a new city is what left-out cities showed, that of a training city what training found in it.
    """
    rows = np.unique(np.linspace(0, len(terms.x) - 1, FIT_TILES).round().astype(int))
    part = terms.take(rows)
    missed = (observed.level - terms.mean - observed.offset)[rows]
    noise = np.diag(observed.noise[rows])
    loading = part.loading
    centred = loading - loading.mean(axis=0) if len(rows) > 2 else loading / 2
    usual = np.array(
        [np.sqrt(np.square(centred).sum(axis=1).mean()), np.sqrt(np.square(part.residual).mean())]
    ).clip(1e-3)
    weights = loading @ loading.T
    outer = np.outer(part.residual, part.residual)
    fields = [field_weights(part.x, part.y, scale, part.x, part.y) for scale in range(len(FIELD_CELLS))]
    eye = np.eye(len(rows))
    if new_city:
        centre = np.log([NEW_CITY_PRIOR[0][0] / usual[0], NEW_CITY_PRIOR[1][0] / usual[1]])
        spread = np.array([NEW_CITY_PRIOR[0][1], NEW_CITY_PRIOR[1][1]])
        shares = np.array(NEW_CITY_SHARES)
    else:
        centre, spread = np.zeros(2), np.full(2, KNOWN_CITY_SPREAD)
        shares = np.maximum([1 - part.spatial[0].sum(), *part.spatial[0]], MIN_SHARE)
    first = np.array([*centre, *np.log(shares[1:] / shares[0])])
    width = np.array([*spread, SHARE_SPREAD, SHARE_SPREAD])

    def loss(point: np.ndarray) -> float:
        own = _shares(point[2:])
        residual = own[0] * eye + own[1] * fields[0] + own[2] * fields[1]
        total = np.exp(2 * point[0]) * weights + np.exp(2 * point[1]) * outer * residual
        value = _likelihood(total + noise + observed.unit_std**2, missed)
        return value + float((((point - first) / width) ** 2).sum() / 2)

    simplex = np.vstack([first, first + np.diag(-width)])
    options = {"maxfev": FIT_RUNS, "xatol": 0.02, "fatol": 0.02, "initial_simplex": simplex}
    best = minimize(loss, first, method="Nelder-Mead", options=options).x
    _, short, long = _shares(best[2:])
    return Scales(float(np.exp(best[0])), float(np.exp(best[1])), (float(short), float(long)))


def _shares(ratios: Sequence[float] | np.ndarray) -> np.ndarray:
    """Shares (3,) of the log ratios (2,) to the first."""
    weight = np.exp(np.array([0.0, *ratios]).clip(-20, 20))
    return np.asarray(weight / weight.sum())
