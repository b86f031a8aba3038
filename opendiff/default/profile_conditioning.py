"""How the hours of tiles differ in a city that was not measured before: weights of the daily profiles, learned from its
measured tiles.

Each profile coefficient is taken as what the prior expects, plus a constant of the city, plus weights of the city's own
on the open data, in the coordinates in which the level's weights are uncertain (`PriorPrediction.loading`). Ridge
regression with the share of the variance that the weights explain chosen by the likelihood (Rasmussen and Williams
2006, chapter 5). The posterior mean is used; what it leaves open stays in the noise of the shape, whose scale is fitted
after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky

SHARES = (0.02, 0.1, 0.3, 0.6, 0.85)  # of a coefficient's variance that weights of the city may explain
USUAL_SHARE = 0.3
CONSTANT_VARIANCE = 4.0  # of the city's own mean, in units of the variance within it
FIT_TILES, MAX_RUN_TILES = 300, 1500  # from which the share is chosen, and the weights are found
MIN_TILES = 3
TOLD = 1e-3  # a direction of less than this share of the largest cannot be seen in what was measured


@dataclass(frozen=True)
class ProfileUpdate:
    """Shift of the profile coefficients of tiles: constant (components,) + (loading - centre) @ weight (tokens,
    components)."""

    centre: np.ndarray
    weight: np.ndarray
    constant: np.ndarray

    def shift(self, loading: np.ndarray) -> np.ndarray:
        """(tiles, components) of tiles with loading (tiles, tokens)."""
        found: np.ndarray = self.constant + (loading - self.centre) @ self.weight
        return found


def fit_profiles(loading: np.ndarray, missed: np.ndarray, directions: np.ndarray) -> ProfileUpdate | None:
    """The update from measured tiles, None where they are too few.

    Parameters
    ----------
    loading : (tiles, tokens) of `PriorPrediction.loading`.
    missed : (tiles, measured) root shapes less what the prior expects of them, NaN in tiles without.
    directions : (components, measured) root shapes of the profiles.
    """
    rows = np.flatnonzero(np.isfinite(missed).all(axis=1))
    if len(rows) < MIN_TILES:
        return None
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, MAX_RUN_TILES).round().astype(int))]
    norm = np.square(directions).sum(axis=1)
    seen = norm > TOLD * max(float(norm.max()), 1e-12)
    coefficients = missed[rows] @ np.linalg.pinv(directions[seen])
    centre = loading[rows].mean(axis=0)
    features = loading[rows] - centre
    scale = np.sqrt(np.square(features).sum(axis=1).mean())
    features = features / max(float(scale), 1e-12)
    few = np.unique(np.linspace(0, len(rows) - 1, FIT_TILES).round().astype(int))
    weight = np.zeros((loading.shape[1], len(directions)))
    constant = np.zeros(len(directions))
    for component, values in zip(np.flatnonzero(seen), coefficients.T, strict=True):
        share = min(SHARES, key=lambda one: _loss(features[few], values[few], one))
        told = cho_solve((_root(features, share), True), values)
        weight[:, component] = share * (features.T @ told) / max(float(scale), 1e-12)
        constant[component] = CONSTANT_VARIANCE * told.sum()
    return ProfileUpdate(centre, weight, constant)


def _root(features: np.ndarray, share: float) -> np.ndarray:
    """Lower Cholesky factor of the covariance of a coefficient over tiles, its variance apart."""
    count = len(features)
    covariance = share * (features @ features.T) + (1 - share) * np.eye(count) + CONSTANT_VARIANCE
    return np.asarray(cholesky(covariance, lower=True))


def _loss(features: np.ndarray, values: np.ndarray, share: float) -> float:
    """Negative log likelihood of values with the variance that fits best, and a weak prior of the share."""
    root = _root(features, share)
    fit = float(values @ cho_solve((root, True), values)) / len(values)
    spread = len(values) / 2 * np.log(max(fit, 1e-12)) + np.log(np.diag(root)).sum()
    return float(spread + 0.15 * np.log(share / USUAL_SHARE) ** 2)
