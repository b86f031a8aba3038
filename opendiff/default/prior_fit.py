"""How the prior is fitted: tokens imputed, weights of all cities at once, spreads from tiles that were left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize, nnls

from opendiff.conditions import INTENSITIES, MODALITIES, TOKENS_WIDTH
from opendiff.default.cities import (
    COMPONENTS,
    DAILY_PROFILES,
    City,
    profile_directions,
    profile_targets,
    training_series,
    weekly,
)
from opendiff.default.imputation import CityTokens, expectation, fit_imputation, left_open
from opendiff.default.model import TrafficModel
from opendiff.default.prior import Belief, Prior
from opendiff.default.regression import LEVEL_WIDTHS, Sample, Weights, Widths, regress
from opendiff.default.representation import LEVEL_WIDTH, fit_representation, with_whitening
from opendiff.default.world import FIELD_CELLS, field_correlation
from opendiff.progress import Report

GROUPS = 6  # of spatial blocks, each left out once
BOX_MARGIN = 2  # tiles around the measured ones that belong to a training city
START_SPREAD = (-0.5, -0.2)  # log standard deviation of the log level at its mean, and its slope, before fitting
PASSES = 3  # of weights and spreads in turn
SHAPE_NOISE = 0.05  # least standard deviation of a profile coefficient
# Hours follow from who is there by day and by night. Lights and nodes did not carry over (left-out cities); mixes of
# places are a city's own.
SHAPE_WIDTHS = Widths(
    shared={
        "imagery": (0.003, 0.003), "poi": (0.005, 0.003), "osm_poi": (0.01, 0.003), "population": (0.3, 0),
        "lights": (0.01, 0), "osm_nodes": (0.01, 0), "jobs": (0.03, 0), "activity": (0.01, 0),
    },
    own={
        "imagery": (0.02, 0.02), "poi": (0.2, 0.1), "osm_poi": (0.05, 0.05), "population": (0.1, 0),
        "lights": (0.1, 0), "osm_nodes": (0.1, 0), "jobs": (0.12, 0), "activity": (0.1, 0),
    },
    activity=1e-3,
    activity_own=1e-3,
)  # fmt: skip
PATTERNS = 12  # of known modalities that the denoiser learns under: all, none, and some drawn at random


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


def fit_prior(
    model: TrafficModel,
    cities: Sequence[City],
    seed: int = 0,
    report: Report | None = None,
    count: int = PATTERNS,
) -> tuple[np.ndarray, list[Belief]]:
    """Fit representation, prior, and the whitening of what it leaves open.

    Returns patterns (count, modalities) of known modalities, and under each what the prior believes of the tiles with
    traffic, in the order of the cities, without having seen their block: each keeps those of the pattern that it has.
    """
    truth = torch.from_numpy(training_series(cities))
    model.representation = fit_representation(truth, torch.zeros(COMPONENTS, 2 * 168))
    targets = [profile_targets(city, model.representation) for city in cities]
    directions = profile_directions(targets)
    model.representation = fit_representation(truth, torch.from_numpy(weekly(directions)))
    model.prior = assemble(cities, directions, model, report)
    rng = np.random.default_rng(seed)
    patterns = np.vstack(
        [np.ones(len(MODALITIES), bool), np.zeros(len(MODALITIES), bool),
         rng.random((count - 2, len(MODALITIES))) < 0.6]
    )  # fmt: skip
    unseen = left_out_beliefs(cities, directions, model, patterns, rng, report)
    representation = model.representation
    shape = representation.shape_residual(truth.float()).double().numpy()
    error = shape - (unseen[0].profile @ representation.profiles).double().numpy()
    scale = unseen[0].spread[:, LEVEL_WIDTH:].double().numpy()
    model.representation = with_whitening(representation, error / scale)
    white = (error / scale) @ model.representation.whiten.double().numpy()
    model.prior.shape_spread.fill_(float(np.sqrt(np.square(white).mean())))
    between = (np.square(white.sum(axis=0)) - np.square(white).sum(axis=0)).mean()
    model.prior.shared_shape.fill_(
        float(np.clip(between / (len(white) * (len(white) - 1)) / np.square(white).mean(), 0, 0.5))
    )
    return patterns, unseen


def left_out_beliefs(
    cities: Sequence[City], directions: np.ndarray, model: TrafficModel, patterns: np.ndarray,
    rng: np.random.Generator, report: Report | None,
) -> list[Belief]:  # fmt: skip
    """Under each pattern the belief of all tiles with traffic, none having seen its block."""
    group = [rng.permutation(GROUPS * len(np.unique(city.blocks)))[city.blocks] % GROUPS for city in cities]
    parts: dict[int, list[tuple[np.ndarray, Belief]]] = {number: [] for number in range(len(patterns))}
    starts = np.cumsum([0, *(city.has_traffic.sum() for city in cities)])
    for left_out in range(GROUPS):
        hidden = [city.hiding(groups == left_out) for city, groups in zip(cities, group, strict=True)]
        prior = assemble(hidden, directions, model, None, like=model.prior)
        for city, groups, start in zip(cities, group, starts, strict=False):
            rows = np.flatnonzero(city.has_traffic & (groups == left_out))
            if not len(rows):
                continue
            place = start + np.searchsorted(np.flatnonzero(city.has_traffic), rows)
            for number, pattern in enumerate(patterns):
                asked = city.conditions.take(rows).without(*np.array(MODALITIES)[~pattern])
                parts[number].append((place, believed(prior, asked)))
        if report:
            report("prior", left_out + 2, GROUPS + 1)
    beliefs = []
    for number in range(len(patterns)):
        order = torch.from_numpy(np.argsort(np.concatenate([place for place, _ in parts[number]])))
        beliefs.append(Belief.join([belief for _, belief in parts[number]]).take(order))
    return beliefs


def believed(prior: Prior, conditions) -> Belief:  # type: ignore[no-untyped-def]
    """The prior's belief of conditions."""
    with torch.no_grad():
        return prior(
            torch.from_numpy(conditions.tokens), torch.from_numpy(conditions.present),
            torch.from_numpy(conditions.reliability),
            *(torch.from_numpy(conditions.tiles[axis].to_numpy(np.int64)) for axis in ("x", "y")),
        )  # fmt: skip


def assemble(
    cities: Sequence[City], directions: np.ndarray, model: TrafficModel, report: Report | None = None,
    like: Prior | None = None,
) -> Prior:  # fmt: skip
    """A prior fitted on what is observed of cities; `like`: another, whose imputation and spreads of left-out tiles are
    taken over."""
    prior = Prior(COMPONENTS, len(cities))
    tokens = [CityTokens.of(c.conditions.tokens, c.conditions.present, c.conditions.reliability) for c in cities]
    if like is None:
        means, covariance = fit_imputation(tokens)
        prior.feature_mean.copy_(torch.from_numpy(means))
        prior.feature_cov.copy_(torch.from_numpy(covariance))
    else:
        prior.feature_mean.copy_(like.feature_mean)
        prior.feature_cov.copy_(like.feature_cov)
    means, covariance = prior.feature_mean.numpy(), prior.feature_cov.numpy()
    imputed = [impute_city(city, means[1 + n], covariance) for n, city in enumerate(tokens)]
    for number, city in enumerate(cities):
        tiles = city.conditions.tiles.iloc[np.flatnonzero(np.isfinite(city.log_level()))]
        if len(tiles):
            x, y = tiles["x"], tiles["y"]
            box = x.min() - BOX_MARGIN, x.max() + BOX_MARGIN, y.min() - BOX_MARGIN, y.max() + BOX_MARGIN
            prior.bounds[1 + number] = torch.tensor(box)
    fit_levels(prior, cities, imputed, model, like)
    fit_shapes(prior, cities, imputed, directions, model)
    if report:
        report("prior", 1, GROUPS + 1)
    return prior


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
    """The point through which the plane of a new city runs: the mean of the cities with traffic, whose unit it takes."""
    with_traffic = [n + 1 for n, city in enumerate(cities) if city.has_traffic.any() and np.isfinite(weights.value[n + 1])]
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
        slope = np.linalg.solve(centred.T @ centred + 30 * np.eye(TOKENS_WIDTH), centred.T @ (values - values.mean()))
        expected = values.mean() + centred @ slope
        at, gradient, place = spreads[1 + number]
        variance = np.exp(2 * (at + gradient * (expected - (place or values.mean()))).clip(-1.9, 0.9))
        samples.append(Sample(tokens, values, variance + part.variance(plain)[rows]))
    return samples


def left_out_spreads(
    prior: Prior, cities: Sequence[City], levels: Sequence[np.ndarray], known: Sequence[np.ndarray],
    imputed: Sequence[Imputed], weights: Weights, spreads: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Log standard deviation of a tile's own log level and its slope, (1 + cities, 3), from tiles whose block was left
    out; of a new city from whole cities left out. Fills the shares of the prior's fields in space as well."""
    found = np.zeros_like(spreads)
    pooled = []
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
            spatial_shares(city, rows, error, expected, variance, found[1 + number])
        )
        alone = [others if n != number else others[:0] for n, others in enumerate(known)]
        if sum(len(others) > 1 for others in alone):
            fit = regress(level_samples(levels, alone, imputed, spreads), LEVEL_WIDTHS)
            centred = imputed[number].tokens[rows] - imputed[number].tokens[rows].mean(axis=0)
            expected = centred @ fit.mean[0]
            error = levels[number][rows] - levels[number][rows].mean() - expected
            variance = _leverage(centred, fit.covariance[0]) + imputed[number].variance(fit.mean[0])[rows]
            line = spread_line(error, expected, variance)
            pooled.append((line, spatial_shares(city, rows, error, expected, variance, line)))
    if pooled:
        lines = np.array([line for line, _ in pooled])
        found[0] = np.log(np.exp(2 * lines[:, 0]).mean()) / 2, lines[:, 1].mean(), lines[:, 2].mean()
        prior.spatial_share[0] = torch.from_numpy(np.mean([share for _, share in pooled], axis=0))
    else:
        found[0] = found[1:].mean(axis=0)
        prior.spatial_share[0] = prior.spatial_share[1:].mean(0)
    return found


def spread_line(error: np.ndarray, expected: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """(log standard deviation at the mean level, its slope, that level), (3,), by maximum likelihood, beside a variance
    (tiles,) that is known already."""
    place = float(expected.mean())

    def loss(line: np.ndarray) -> float:
        total = variance + np.exp(2 * (line[0] + line[1] * (expected - place)).clip(-1.9, 0.9))
        return float((np.log(total) + error**2 / total).mean() / 2 + 0.5 * 0.01 * line[1] ** 2)

    return np.array([*minimize(loss, START_SPREAD, method="Nelder-Mead").x, place])


def spatial_shares(
    city: City, rows: np.ndarray, error: np.ndarray, expected: np.ndarray, variance: np.ndarray, line: np.ndarray
) -> np.ndarray:
    """Shares (2,) of the residual's variance in the fields of short and of long range, by least squares on the products
    of the residuals of tiles up to 8 apart."""
    own = np.exp(2 * (line[0] + line[1] * (expected - line[2])).clip(-1.9, 0.9))
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


def fit_shapes(
    prior: Prior, cities: Sequence[City], imputed: Sequence[Imputed], directions: np.ndarray, model: TrafficModel
) -> None:
    """Profiles, the difference of the levels, the noise of the shape, and intensities."""
    representation = model.representation
    coefficients = [profile_targets(city, representation) for city in cities]
    for component in range(COMPONENTS):
        values = [_project(target, directions[component], component) for target in coefficients]
        scale = np.sqrt(np.mean([np.nanvar(v) for v in values if np.isfinite(v).any()] or [1.0])) + 1e-9
        put(prior, LEVEL_WIDTH + component, [v / scale for v in values], imputed, SHAPE_WIDTHS, scale, centred=True)
    differences, spreads = [], []
    for city in cities:
        rows = city.has_traffic
        difference, spread = np.full((2, len(rows)), np.nan)
        if rows.any():
            series = torch.from_numpy(city.series[rows]).float()
            difference[rows] = representation.level(series)[:, 1].numpy()
            energy = representation.shape_residual(series).square().mean(1).double().numpy()
            spread[rows] = 0.5 * np.log(np.maximum(energy, 1e-9) / energy.mean())
        differences.append(difference)
        spreads.append(spread)
    left = put(prior, 1, differences, imputed, SHAPE_WIDTHS, 1.0)
    prior.difference_spread.fill_(left)
    put(prior, LEVEL_WIDTH + COMPONENTS, spreads, imputed, SHAPE_WIDTHS, 1.0)
    fit_intensities(prior, cities, imputed)


def put(
    prior: Prior, output: int, values: Sequence[np.ndarray], imputed: Sequence[Imputed], widths: Widths, scale: float,
    centred: bool = False,
) -> float:  # fmt: skip
    """Fit one output on values (tiles,) of each city, NaN where unknown; returns the standard deviation of what is left.

    centred: the output is relative to the city, so it is 0 at a city's mean.
    """
    known = [np.flatnonzero(np.isfinite(one)) for one in values]
    noise = np.array([max(np.nanstd(one), SHAPE_NOISE) if len(rows) > 1 else 1.0 for one, rows in zip(values, known, strict=True)])
    for _ in range(2):
        samples = [
            Sample(part.tokens[rows], one[rows], np.full(len(rows), level**2)) if len(rows) > 1 else None
            for one, rows, part, level in zip(values, known, imputed, noise, strict=True)
        ]
        weights = regress(samples, widths)
        for number, (one, rows, part) in enumerate(zip(values, known, imputed, strict=True)):
            if len(rows) > 1:
                fitted = (part.tokens[rows] - weights.centre[1 + number]) @ weights.mean[1 + number]
                noise[number] = max(float(np.std(one[rows] - fitted)), SHAPE_NOISE)
    measured = [number for number, rows in enumerate(known) if len(rows) > 1]
    middle = np.nanmean(weights.value[1:]) if measured and not centred else 0.0
    for number in range(1 + len(values)):
        own = number > 0 and (number - 1) in measured
        centre = weights.centre[number] if own else prior.centre[number].numpy()
        value = weights.value[number] if own and not centred else middle
        mean = weights.mean[number if own else 0]
        prior.weight[number, :, output] = torch.from_numpy(mean * scale)
        # the plane runs through `centre`, whereas the outputs share the level's
        shift = mean @ (prior.centre[number].double().numpy() - centre)
        prior.bias[number, output] = float((value + shift) * scale)
    return float(np.mean([noise[number] for number in measured]) if measured else 1.0) * scale


def _project(target: np.ndarray, direction: np.ndarray, component: int) -> np.ndarray:
    """Coefficients (tiles,) of a direction (48,), NaN where its half of the target is unknown."""
    half = slice(0, 24) if component < DAILY_PROFILES else slice(24, None)
    return target[:, half] @ direction[half]


def fit_intensities(prior: Prior, cities: Sequence[City], imputed: Sequence[Imputed]) -> None:
    """Counts of places and people as the training pack has them, ridge on the tokens; the same for all cities."""
    for number in range(len(INTENSITIES)):
        design, values = [], []
        for city, part in zip(cities, imputed, strict=True):
            rows = np.flatnonzero(np.isfinite(city.log_intensities[:, number]))
            design.append(part.tokens[rows])
            values.append(city.log_intensities[rows, number])
        tokens, known = np.concatenate(design), np.concatenate(values)
        output = prior.outputs - len(INTENSITIES) + number
        if len(known) < 2:
            continue
        middle = tokens.mean(axis=0)
        gram = (tokens - middle).T @ (tokens - middle) + 3 * np.eye(TOKENS_WIDTH)
        weight = np.linalg.solve(gram, (tokens - middle).T @ (known - known.mean()))
        prior.weight[:, :, output] = torch.from_numpy(weight).float()
        bias = known.mean() + (prior.centre.double().numpy() - middle) @ weight
        prior.bias[:, output] = torch.from_numpy(bias).float()


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
