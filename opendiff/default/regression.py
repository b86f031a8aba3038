"""Linear regression of several cities at once: weights shared by all, and each city's own departure from them.

y = b_c + w_c . (z - m_c) + e,  w_c = w + d_c,  w ~ N(0, V),  d_c ~ N(0, T): the cities that were measured are a sample
of cities, so a new one has the weights w with the covariance of w plus a share of T, which is wider than that of any
measured one. Every city enters by its normal equations, so thousands of tiles cost no more than the widths of the
tokens.

The prior V holds what carries over between cities (chosen by leaving cities out): the log densities of residents and
places count alike (`ACTIVITY`), because each stands for people who are there; mixes of
categories, images and lights are left to each city's own departure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opendiff.conditions import MODALITIES, TOKEN_PARTS, TOKENS_WIDTH

# Tiles side by side err alike: so many tell as much as one that stands alone.
TILES_AN_OBSERVATION = 2.0
# Of T in the covariance of a new city: T is wide enough for a measured city to depart where its tiles say so; those
# left out departed by less.
NEW_CITY_SHARE = 0.1
ACTIVITY: tuple[str, ...] = ("poi", "population")  # of which the tile and its 3 x 3 window count alike
ACTIVITY_WIDTH, ACTIVITY_DEPARTURE = (
    0.5,
    0.05,
)  # standard deviations of the weight they share, and of a city's own


@dataclass(frozen=True)
class Widths:
    """Standard deviations of weights by modality: (of totals, of mixes or images); of what cities share and of what is
    a city's own."""

    shared: dict[str, tuple[float, float]]
    own: dict[str, tuple[float, float]]
    activity: float = ACTIVITY_WIDTH
    activity_own: float = ACTIVITY_DEPARTURE

    def covariances(self) -> tuple[np.ndarray, np.ndarray]:
        """V and T, (TOKENS_WIDTH, TOKENS_WIDTH) each."""
        alike = np.zeros(TOKENS_WIDTH)
        start = 0
        for name, parts in zip(MODALITIES, TOKEN_PARTS, strict=True):
            if name in ACTIVITY:
                alike[start : start + 2] = 1
            start += sum(parts)
        both = np.outer(alike, alike)
        return (
            np.diag(_spread(self.shared) ** 2) + self.activity**2 * both,
            np.diag(_spread(self.own) ** 2) + self.activity_own**2 * both,
        )


LEVEL_WIDTHS = Widths(
    shared={
        "imagery": (0.01, 0.01), "poi": (0.05, 0.001), "osm_poi": (0.03, 0.001), "population": (0.05, 0),
        "lights": (0.05, 0), "osm_nodes": (0.03, 0), "jobs": (0.02, 0), "activity": (0.01, 0),
    },
    own={
        "imagery": (0.1, 0.1), "poi": (0.15, 0.2), "osm_poi": (0.1, 0.04), "population": (0.15, 0),
        "lights": (0.4, 0), "osm_nodes": (0.1, 0), "jobs": (0.1, 0), "activity": (0.1, 0),
    },
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """What one city tells of an output: tokens (tiles, TOKENS_WIDTH) and values (tiles,) as they are, variance (tiles,)
    of what the tokens leave open of each value."""

    tokens: np.ndarray
    values: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class Weights:
    """mean (1 + cities, tokens) and covariance (1 + cities, tokens, tokens) of the weights, the first of a new city;
    centre (1 + cities, tokens) and value (1 + cities,): the point through which each city's plane runs, NaN for the
    first."""

    mean: np.ndarray
    covariance: np.ndarray
    centre: np.ndarray
    value: np.ndarray


def regress(cities: Sequence[Sample | None], widths: Widths) -> Weights:
    """Weights of all cities; None where a city tells nothing, which then is as a new one."""
    shared, own = widths.covariances()
    eye = np.eye(TOKENS_WIDTH)
    precision, moment = np.linalg.inv(shared), np.zeros(TOKENS_WIDTH)
    told: list[tuple[np.ndarray, np.ndarray, np.ndarray, float] | None] = []
    for city in cities:
        if city is None or len(city.values) < 2:
            told.append(None)
            continue
        weight = 1 / (city.variance * TILES_AN_OBSERVATION)
        centre, value = weight @ city.tokens / weight.sum(), weight @ city.values / weight.sum()
        centred = city.tokens - centre
        gram = (centred * weight[:, None]).T @ centred
        product = (centred * weight[:, None]).T @ (city.values - value)
        widened = np.linalg.inv(eye + gram @ own)  # of what the city tells of w, through its own departure
        precision, moment = precision + widened @ gram, moment + widened @ product
        told.append((gram, product, centre, value))
    covariance = np.linalg.inv((precision + precision.T) / 2)
    mean = covariance @ moment
    own_precision = np.linalg.inv(own)
    new_city = covariance + NEW_CITY_SHARE * own
    means, covariances = [mean], [new_city]
    centres, values = [np.full(TOKENS_WIDTH, np.nan)], [np.nan]
    for one in told:
        if one is None:
            means, covariances = [*means, mean], [*covariances, new_city]
            centres, values = [*centres, centres[0]], [*values, np.nan]
            continue
        gram, product, centre, value = one
        narrow = np.linalg.inv(gram + own_precision)
        means.append(narrow @ (product + own_precision @ mean))
        through = narrow @ own_precision  # w itself is known with a covariance only
        # left-out tiles show weights that stray as if every tile had told by itself
        covariances.append((narrow + through @ covariance @ through.T) / TILES_AN_OBSERVATION)
        centres, values = [*centres, centre], [*values, value]
    return Weights(np.stack(means), np.stack(covariances), np.stack(centres), np.array(values))


def _spread(widths: dict[str, tuple[float, float]]) -> np.ndarray:
    """Standard deviation of the weight of each token, (TOKENS_WIDTH,)."""
    found: list[float] = []
    for name, parts in zip(MODALITIES, TOKEN_PARTS, strict=True):
        totals, rest = widths[name]
        first = rest if name == "imagery" else totals
        found.extend([first] * parts[0] + [rest] * sum(parts[1:]))
    return np.array(found)
