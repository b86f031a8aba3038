"""How the prior is fitted: tokens imputed, weights of all cities at once, spreads from tiles that were left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from opendiff.conditions import INTENSITIES, MODALITIES, TOKENS_WIDTH, Conditions
from opendiff.default.cities import (
    COMPONENTS,
    DAILY_PROFILES,
    profile_directions,
    profile_targets,
    training_series,
    weekly,
)
from opendiff.default.imputation import CityTokens, fit_imputation
from opendiff.default.level_fit import GROUPS, Imputed, fit_levels, impute_city
from opendiff.default.model import TrafficModel
from opendiff.default.prior import Prior, PriorPrediction
from opendiff.default.regression import Sample, Widths, regress
from opendiff.default.representation import LEVEL_WIDTH, Representation, fit_representation, with_whitening
from opendiff.default.texture import CITY_SIZE, STYLES, fit_texture, with_styles
from opendiff.observed import City
from opendiff.week import SERIES
from plannerbase.progress import Progress

BOX_MARGIN = 2  # tiles around the measured ones that belong to a training city
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


def fit_prior(
    model: TrafficModel,
    cities: Sequence[City],
    seed: int = 0,
    progress: Progress | None = None,
    count: int = PATTERNS,
) -> Unseen:
    """Fit representation, prior, and texture and whitening of what it leaves open."""
    truth = torch.from_numpy(training_series(cities))
    model.representation = fit_representation(truth, torch.zeros(COMPONENTS, 2 * 168))
    targets = [profile_targets(city, model.representation) for city in cities]
    directions = profile_directions(targets)
    model.representation = fit_representation(truth, torch.from_numpy(weekly(directions)))
    model.prior = assemble(cities, directions, model, progress=progress)
    rng = np.random.default_rng(seed)
    patterns = np.vstack(
        [np.ones(len(MODALITIES), bool), np.zeros(len(MODALITIES), bool),
         rng.random((count - 2, len(MODALITIES))) < 0.6]
    )  # fmt: skip
    group = [rng.permutation(GROUPS * len(np.unique(city.blocks)))[city.blocks] % GROUPS for city in cities]
    priors = left_out_priors(cities, directions, model, group, progress)
    # first the expected shapes, which tell what is a tile's own, then the styles of that
    expected = left_out_predictions(priors, cities, patterns[:1], group)[0]
    representation = model.representation
    shape = representation.shape_residual(truth.float()).double().numpy()
    own = shape - (expected.profile @ representation.profiles).double().numpy()
    texture, noise, styles = fit_texture(own)
    by_city = np.split(styles, np.cumsum([city.has_traffic.sum() for city in cities])[:-1])
    fit_styles(model.prior, cities, by_city)
    without = torch.tensor([True, *(not city.has_traffic.any() for city in cities)])
    usual = styles[:, SERIES].mean()  # rest of traffic
    model.prior.city_style[without] = torch.tensor([CITY_SIZE[0] - usual, CITY_SIZE[1]]).float()
    for left_out, prior in enumerate(priors):
        fit_styles(prior, _hiding(cities, group, left_out), _kept_styles(by_city, cities, group, left_out))
    unseen = left_out_predictions(priors, cities, patterns, group)
    left = styles - unseen[0].style.double().numpy()
    texture = with_styles(texture, level_noise(representation, truth, unseen[0]).double().numpy(), left)
    model.representation = with_whitening(replace(representation, texture=texture), noise)
    white = noise @ model.representation.whiten.double().numpy()
    between = (np.square(white.sum(axis=0)) - np.square(white).sum(axis=0)).mean()
    model.prior.shared_shape.fill_(
        float(np.clip(between / (len(white) * (len(white) - 1)) / np.square(white).mean(), 0, 0.5))
    )
    share = float(model.prior.shared_shape)
    measured = [number for number, city in enumerate(cities, start=1) for _ in range(city.has_traffic.sum())]
    for number in set(measured):
        of_city = white[np.array(measured) == number]
        # of their mean so much is in common, the rest is the tiles' own
        known = len(of_city) * share / (1 - share + len(of_city) * share)
        model.prior.common[number] = torch.from_numpy(known * of_city.mean(axis=0))
    left = torch.from_numpy(white).float() - model.prior.common[measured]
    return Unseen(patterns, unseen, left, torch.from_numpy(styles).float())


def level_noise(representation: Representation, series: Tensor, prediction: PriorPrediction) -> Tensor:
    """(tiles,) the true mean log level of series (tiles, 2, 168) in standard deviations from what was believed."""
    return (representation.level(series.float())[:, 0] - prediction.level[:, 0]) / prediction.spread[:, 0]


@dataclass(frozen=True)
class Unseen:
    """What the prior believes of the tiles with traffic without having seen their block, and what they show.

    patterns: (count, modalities) of known modalities; predictions: under each of them, of the tiles in the order of the
    cities, which keep those of the pattern that they have. white (tiles, 336) and styles (tiles, STYLES): what their
    shapes are made of (`texture`), the noise whitened and less what the tiles of a city have in common.
    """

    patterns: np.ndarray
    predictions: list[PriorPrediction]
    white: Tensor
    styles: Tensor


def left_out_priors(
    cities: Sequence[City], directions: np.ndarray, model: TrafficModel, group: Sequence[np.ndarray],
    progress: Progress | None,
) -> list[Prior]:  # fmt: skip
    """A prior for each group of blocks, fitted without it; group: (tiles,) of each city."""
    priors = []
    for left_out in range(GROUPS):
        priors.append(assemble(_hiding(cities, group, left_out), directions, model, like=model.prior))
        if progress:
            progress(left_out + 2, GROUPS + 1, "prior")
    return priors


def _hiding(cities: Sequence[City], group: Sequence[np.ndarray], left_out: int) -> list[City]:
    return [city.hiding(groups == left_out) for city, groups in zip(cities, group, strict=True)]


def _kept_styles(
    styles: Sequence[np.ndarray], cities: Sequence[City], group: Sequence[np.ndarray], left_out: int
) -> list[np.ndarray]:
    """Styles (tiles with traffic, STYLES) of each city without those of a group."""
    parts = zip(styles, cities, group, strict=True)
    return [one[groups[city.has_traffic] != left_out] for one, city, groups in parts]


def left_out_predictions(
    priors: Sequence[Prior], cities: Sequence[City], patterns: np.ndarray, group: Sequence[np.ndarray]
) -> list[PriorPrediction]:
    """Under each pattern the prediction of all tiles with traffic, each by the prior that has not seen its group of
    blocks."""
    parts: dict[int, list[tuple[np.ndarray, PriorPrediction]]] = {
        number: [] for number in range(len(patterns))
    }
    starts = np.cumsum([0, *(city.has_traffic.sum() for city in cities)])
    for left_out, prior in enumerate(priors):
        for city, groups, start in zip(cities, group, starts, strict=False):
            rows = np.flatnonzero(city.has_traffic & (groups == left_out))
            if not len(rows):
                continue
            place = start + np.searchsorted(np.flatnonzero(city.has_traffic), rows)
            for number, pattern in enumerate(patterns):
                asked = city.conditions.take(rows).without(*np.array(MODALITIES)[~pattern])
                parts[number].append((place, believed(prior, asked)))
    predictions = []
    for number in range(len(patterns)):
        order = torch.from_numpy(np.argsort(np.concatenate([place for place, _ in parts[number]])))
        predictions.append(PriorPrediction.join([prediction for _, prediction in parts[number]]).take(order))
    return predictions


def believed(prior: Prior, conditions: Conditions) -> PriorPrediction:
    """The prior's prediction of conditions."""
    with torch.no_grad():
        return prior(
            torch.from_numpy(conditions.tokens), torch.from_numpy(conditions.present),
            torch.from_numpy(conditions.reliability),
            *(torch.from_numpy(conditions.tiles[axis].to_numpy(np.int64)) for axis in ("x", "y")),
        )  # fmt: skip


def assemble(
    cities: Sequence[City], directions: np.ndarray, model: TrafficModel, *, progress: Progress | None = None,
    like: Prior | None = None,
) -> Prior:  # fmt: skip
    """A prior fitted on what is observed of cities; `like`: another, whose imputation and spreads of left-out tiles are
    taken over."""
    prior = Prior(COMPONENTS, len(cities))
    if like is None:
        means, covariance = fit_imputation([_tokens(city) for city in cities])
        prior.feature_mean.copy_(torch.from_numpy(means))
        prior.feature_cov.copy_(torch.from_numpy(covariance))
    else:
        prior.feature_mean.copy_(like.feature_mean)
        prior.feature_cov.copy_(like.feature_cov)
    imputed = imputed_tokens(prior, cities)
    for number, city in enumerate(cities):
        tiles = city.conditions.tiles.iloc[np.flatnonzero(np.isfinite(city.log_level()))]
        if len(tiles):
            x, y = tiles["x"], tiles["y"]
            box = x.min() - BOX_MARGIN, x.max() + BOX_MARGIN, y.min() - BOX_MARGIN, y.max() + BOX_MARGIN
            prior.bounds[1 + number] = torch.tensor(box)
    fit_levels(prior, cities, imputed, model, like)
    fit_shapes(prior, cities, imputed, directions, model)
    if progress:
        progress(1, GROUPS + 1, "prior")
    return prior


def fit_shapes(
    prior: Prior,
    cities: Sequence[City],
    imputed: Sequence[Imputed],
    directions: np.ndarray,
    model: TrafficModel,
) -> None:
    """Profiles, the difference of the levels, and intensities."""
    representation = model.representation
    coefficients = [profile_targets(city, representation) for city in cities]
    for component in range(COMPONENTS):
        values = [_project(target, directions[component], component) for target in coefficients]
        scale = np.sqrt(np.mean([np.nanvar(v) for v in values if np.isfinite(v).any()] or [1.0])) + 1e-9
        put(
            prior,
            LEVEL_WIDTH + component,
            values=[v / scale for v in values],
            imputed=imputed,
            widths=SHAPE_WIDTHS,
            scale=scale,
            centred=True,
        )
    differences = []
    for city in cities:
        rows = city.has_traffic
        difference = np.full(len(rows), np.nan)
        if rows.any():
            series = torch.from_numpy(city.series[rows]).float()
            difference[rows] = representation.level(series)[:, 1].numpy()
        differences.append(difference)
    left = put(prior, 1, values=differences, imputed=imputed, widths=SHAPE_WIDTHS)
    prior.difference_spread.fill_(left)
    fit_intensities(prior, cities, imputed)


def fit_styles(prior: Prior, cities: Sequence[City], styles: Sequence[np.ndarray]) -> None:
    """What open data says of the styles (tiles with traffic, STYLES) of each city."""
    values = []
    for city, known in zip(cities, styles, strict=True):
        one = np.full((len(city.series), STYLES), np.nan)
        one[city.has_traffic] = known
        values.append(one)
    imputed = imputed_tokens(prior, cities)
    for number in range(STYLES):
        put(
            prior,
            LEVEL_WIDTH + COMPONENTS + number,
            values=[one[:, number] for one in values],
            imputed=imputed,
            widths=SHAPE_WIDTHS,
        )


def imputed_tokens(prior: Prior, cities: Sequence[City]) -> list[Imputed]:
    """The tokens of cities with what they lack filled in, by the prior's moments."""
    means, covariance = prior.feature_mean.numpy(), prior.feature_cov.numpy()
    return [impute_city(_tokens(city), means[1 + n], covariance) for n, city in enumerate(cities)]


def _tokens(city: City) -> CityTokens:
    known = city.conditions
    return CityTokens.of(known.tokens, known.present, known.reliability)


def put(
    prior: Prior, output: int, *, values: Sequence[np.ndarray], imputed: Sequence[Imputed], widths: Widths,
    scale: float = 1.0, centred: bool = False,
) -> float:  # fmt: skip
    """Fit one output on values (tiles,) of each city, NaN where unknown; returns the standard deviation of what is
    left.

    centred: the output is relative to the city, so it is 0 at a city's mean.
    """
    known = [np.flatnonzero(np.isfinite(one)) for one in values]
    noise = np.ones(len(values))
    for number, (one, rows) in enumerate(zip(values, known, strict=True)):
        if len(rows) > 1:
            noise[number] = max(float(np.nanstd(one)), SHAPE_NOISE)
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
