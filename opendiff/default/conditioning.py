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

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import cho_solve, cholesky, solve_triangular

from opendiff.default.level_scales import Observed, Scales, fit_scales, log_loss
from opendiff.default.level_terms import LevelTerms
from opendiff.default.model import TrafficModel
from opendiff.default.prior import NEW_CITY, PriorPrediction
from opendiff.default.profile_conditioning import ProfileUpdate
from opendiff.default.representation import Representation
from opendiff.default.shape_conditioning import ShapePosterior, profiles_of, shape_posterior
from opendiff.errors import TableError
from opendiff.measurements import MAX_TILES, RELATIVE, Measurements

UNIT_STD = 3.0  # of the log of the unit, around what the measured tiles say by themselves


@dataclass(frozen=True)
class Posterior:
    """The level, the difference of traffic and users, and the shape of any tile, given the measured ones.

    Attributes
    ----------
    scales : of the model's errors.
    terms : of the measured tiles, with the scales.
    observed : the measured levels.
    root : (tiles, tiles) lower Cholesky factor of the covariance of the measured levels.
    prediction : of the measured tiles, with the scales and before they were measured.
    difference_std : of the difference coordinate; log_ratio_std turns it into a log ratio of traffic to users.
    log_mean : of the model's traffic and users.
    shape : what is known of the shape.
    new_city : whether the measured tiles lie outside all training cities.
    profiles : what they tell of the hours of tiles in a new city, by `PriorPrediction.loading` before the scales.
    """

    measurements: Measurements
    scales: Scales
    terms: LevelTerms
    observed: Observed
    root: np.ndarray
    prediction: PriorPrediction
    difference_std: float
    log_ratio_std: float
    log_mean: tuple[float, float]
    shape: ShapePosterior
    new_city: bool
    profiles: ProfileUpdate | None

    # ---- exact moments ------------------------------------------------------------------------------------------

    def gain(self, terms: LevelTerms) -> np.ndarray:
        """(tiles, measured) covariance of log levels, the unit included, with the measured ones."""
        return terms.covariance(self.terms) + self.observed.unit_std**2

    def log_level(
        self, prediction: PriorPrediction, x: np.ndarray, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (tiles,) of the log level of the traffic of tiles (of the users, where traffic
        was never measured), in the measurements' unit, as it will be measured in a week of no error.

        Of a measured tile the difference of traffic and users is taken as if it was not measured.
        """
        terms = LevelTerms.of(self.scales.of(prediction), x, y)
        cross = self.gain(terms)
        half = solve_triangular(self.root, cross.T, lower=True)
        missed = solve_triangular(self.root, self.missed(), lower=True)
        variance = terms.variance() + self.observed.unit_std**2 - np.square(half).sum(axis=0)
        sign = -1.0 if (self.observed.sign < 0).all() else 1.0
        ratio = sign * self.log_ratio_std / 2
        beside = (
            ratio * prediction.level[:, 1].double().cpu().numpy() + sign * self.observed.difference_offset / 2
        )
        mean = (
            terms.mean + self.observed.offset + half.T @ missed + beside + self.log_mean[0 if sign > 0 else 1]
        )
        return mean, np.sqrt(variance.clip(1e-12) + (ratio * self.difference_std) ** 2)

    def covariance(self, prediction: PriorPrediction, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(tiles, tiles) posterior covariance of the log level."""
        terms = LevelTerms.of(self.scales.of(prediction), x, y)
        half = solve_triangular(self.root, self.gain(terms).T, lower=True)
        found: np.ndarray = terms.covariance(terms) + self.observed.unit_std**2 - half.T @ half
        return found

    def missed(self) -> np.ndarray:
        """(measured,) measured log levels less what is expected without them."""
        return self.observed.level - self.terms.mean - self.observed.offset

    def rows_of(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(tiles,) row of tiles x, y among the measured ones, -1 where they were not measured."""
        row = {key: number for number, key in enumerate(zip(self.terms.x, self.terms.y, strict=True))}
        return np.array([row.get(key, -1) for key in zip(x, y, strict=True)], np.int64)

    def difference_pull(self) -> np.ndarray:
        """(measured,) covariance of the difference coordinate with the measured level, where one quantity alone was."""
        return self.log_ratio_std / 2 * self.observed.sign * self.difference_std**2

    def differences(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What measured tiles say of the difference coordinate, the weight of that, and the variance of its error,
        (measured,) each; NaN where traffic or users were not measured."""
        told = (self.observed.difference - self.observed.difference_offset) / self.log_ratio_std
        variance = 2 * self.measurements.noise**2 / self.log_ratio_std**2
        return told, self.difference_std**2 / (self.difference_std**2 + variance), variance

    def left_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (measured,) of the log level of each measured tile given all others but itself.

        In closed form from the inverse of the covariance (Rasmussen and Williams 2006, eq. 5.12).
        """
        inverse = cho_solve((self.root, True), np.eye(len(self.root)))
        own = np.diag(inverse)
        return self.observed.level - (inverse @ self.missed()) / own, np.sqrt(1 / own)


# ---- from measurements to a posterior -------------------------------------------------------------------------------


def posterior(
    model: TrafficModel, prediction: PriorPrediction, measurements: Measurements, scales: Scales | None = None
) -> Posterior:
    """Condition the model on measured tiles; prediction: of these tiles, in the order of the measurements (x, y).

    scales: of the model's errors; None finds them. Raises TableError where there are too many tiles.
    """
    if len(measurements.x) > MAX_TILES:
        raise TableError(
            f"{len(measurements.x):,} measured tiles are more than {MAX_TILES:,}; generate the area in smaller ones."
        )
    cpu = PriorPrediction(*(value.detach().cpu() for value in vars(prediction).values()))
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
    profiles = profiles_of(representation, cpu, measurements) if new_city else None
    if profiles is not None:
        shift = torch.from_numpy(profiles.shift(cpu.loading.double().numpy())).to(scaled.profile)
        scaled = replace(scaled, profile=scaled.profile + shift)
    shape = shape_posterior(representation, scaled, prior, measurements, new_city)
    return Posterior(
        measurements,
        found,
        terms,
        observed,
        root,
        scaled,
        difference_std,
        ratio_std,
        (log_mean[0], log_mean[1]),
        shape,
        new_city,
        profiles,
    )


def _observed(
    measurements: Measurements, prediction: PriorPrediction, representation: Representation, difference_std: float,
    terms: LevelTerms,
) -> Observed:  # fmt: skip
    log_mean = representation.log_mean.double().numpy()
    traffic = measurements.log_level("traffic") - log_mean[0]
    users = measurements.log_level("users") - log_mean[1]
    half = float(representation.difference_std) / 2
    expected = half * prediction.level[:, 1].double().numpy()
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
        log_loss(kernel + one.unit_std**2, one.level - terms.mean)
        for one in (same, replace(free, offset=0.0))
    ]
    return same if evidence[0] < evidence[1] else observed
