"""How far the model errs in a city, found from its measured tiles (empirical Bayes)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize

from opendiff.default.level_terms import LevelTerms, field_weights
from opendiff.default.prior import PriorPrediction
from opendiff.default.world import FIELD_CELLS

# Standard deviations over tiles of the log level that the weights and the residual leave open in a city that was left
# out of training, and how much cities differ in their logarithms (Nanchang, Seoul and Helsinki, each left out).
NEW_CITY_PRIOR = ((0.04, 1.1), (0.42, 0.7))
# The same of a training city, around what training found: factors of the standard deviations, and how sure they are.
# That of the weights is smaller, as measured tiles of left-out folds showed.
KNOWN_CITY_PRIOR = ((0.35, 0.5), (1.0, 0.15))
NEW_CITY_SHARES = (
    0.8,
    0.1,
    0.1,
)  # of the residual: of the tile alone, of the field of short and of long range
SHARE_SPREAD = 0.7  # of the log ratios of the shares
MIN_SHARE = 0.02
FIT_TILES = 300  # measured tiles that the scales are found from
FIT_RUNS = 200


@dataclass(frozen=True)
class Scales:
    """What the measured tiles say of the model's own errors: factors of the weights' noise and of the residual, and the
    shares (2,) of the residual's variance in the fields."""

    weights: float
    residual: float
    spatial: tuple[float, float]

    def of(self, prediction: PriorPrediction) -> PriorPrediction:
        """The prediction with these scales."""
        residual, loading = prediction.residual * self.residual, prediction.loading * self.weights
        spread = prediction.spread.clone()
        spread[:, 0] = (residual**2 + loading.square().sum(-1)).sqrt()
        spatial = torch.tensor(self.spatial).to(prediction.spatial).expand_as(prediction.spatial)
        return replace(prediction, residual=residual, loading=loading, spread=spread, spatial=spatial)


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


def log_loss(covariance: np.ndarray, missed: np.ndarray) -> float:
    """Negative log likelihood of centred normal values, the constant apart."""
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
        centre = np.log([KNOWN_CITY_PRIOR[0][0], KNOWN_CITY_PRIOR[1][0]])
        spread = np.array([KNOWN_CITY_PRIOR[0][1], KNOWN_CITY_PRIOR[1][1]])
        shares = np.maximum([1 - part.spatial[0].sum(), *part.spatial[0]], MIN_SHARE)
    first = np.array([*centre, *np.log(shares[1:] / shares[0])])
    width = np.array([*spread, SHARE_SPREAD, SHARE_SPREAD])

    def loss(point: np.ndarray) -> float:
        own = _shares(point[2:])
        residual = own[0] * eye + own[1] * fields[0] + own[2] * fields[1]
        total = np.exp(2 * point[0]) * weights + np.exp(2 * point[1]) * outer * residual
        value = log_loss(total + noise + observed.unit_std**2, missed)
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
