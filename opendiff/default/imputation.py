"""Open data that a tile lacks, told from what it has: a Gaussian of all tokens, one covariance for all cities.

Cities differ in the mean of their tokens, tiles within a city by one covariance. A modality that is not known is
replaced by its expectation, and the variance that this leaves open is stated. A population raster that the other layers
of its source do not bear out is an observation with noise, so it counts as much as it deserves. One model serves every
pattern of known modalities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opendiff.conditions import MODALITIES, TOKEN_PARTS, TOKEN_WIDTHS, TOKENS_WIDTH

ITERATIONS = (
    12  # of the EM algorithm, after which the covariance changes by less than the noise of its estimate
)
RIDGE = 0.01  # variance that every token has of its own
OBSERVATION_VARIANCE = 0.001  # of known tokens
START_VARIANCE = 0.5
# Totals of two layers of which no city knows both are taken to go together as those of others do (log residents and log
# places of Seoul 0.7): the variance of what they have in common, and what the windows of one layer have besides.
TOTAL_COMMON, LAYER_COMMON = 0.6, 0.3
TOTAL_SCALE = {"lights": 0.5, "osm_nodes": 0.5}  # of a layer's totals, others 1
MODALITY_OF = np.repeat(np.arange(len(MODALITIES)), TOKEN_WIDTHS)  # of each token
POPULATION = MODALITY_OF == MODALITIES.index("population")


@dataclass(frozen=True)
class CityTokens:
    """tokens (tiles, TOKENS_WIDTH) with NaN where unknown, and the reliability of the city's population, 0..1."""

    tokens: np.ndarray
    reliability: float

    @staticmethod
    def of(tokens: np.ndarray, present: np.ndarray, reliability: np.ndarray) -> CityTokens:
        """From the arrays of `Conditions`."""
        trust = float(np.mean(reliability)) if len(reliability) else 1.0
        return CityTokens(np.where(present[:, MODALITY_OF], tokens.astype(float), np.nan), trust)


def fit_imputation(cities: Sequence[CityTokens]) -> tuple[np.ndarray, np.ndarray]:
    """Means (1 + cities, TOKENS_WIDTH), the first of the population of cities, and the covariance (TOKENS_WIDTH,
    TOKENS_WIDTH) of tiles within a city, by the EM algorithm; every city counts alike."""
    known = np.stack([np.isfinite(city.tokens).any(axis=0) for city in cities])
    means = np.zeros(known.shape)
    for number, (city, seen) in enumerate(zip(cities, known, strict=True)):
        means[number, seen] = np.nanmean(city.tokens[:, seen], axis=0)
    everywhere = np.where(
        known.any(axis=0), (means * known).sum(axis=0) / np.maximum(known.sum(axis=0), 1), 0
    )
    means = np.where(known, means, everywhere)
    covariance = start_covariance()
    for _ in range(ITERATIONS):
        total = np.zeros_like(covariance)
        for number, city in enumerate(cities):
            filled, left_open = impute(city, means[number], covariance)
            means[number] = np.where(known[number], filled.mean(axis=0), means[number])
            centred = filled - means[number]
            total += (centred.T @ centred + left_open) / len(filled)
        covariance = total / len(cities) + RIDGE * np.eye(TOKENS_WIDTH)
    return np.vstack([everywhere, means]), covariance


def start_covariance() -> np.ndarray:
    """What is assumed of the tokens of a city before any was seen, (TOKENS_WIDTH, TOKENS_WIDTH)."""
    scale, layer = np.zeros(TOKENS_WIDTH), np.full(TOKENS_WIDTH, -1)
    start = 0
    for number, (name, parts) in enumerate(zip(MODALITIES, TOKEN_PARTS, strict=True)):
        if name != "imagery":
            scale[start : start + parts[0]] = TOTAL_SCALE.get(name, 1.0)
            layer[start : start + parts[0]] = number
        start += sum(parts)
    same = (layer[:, None] == layer) & (layer >= 0)
    found = np.outer(scale, scale) * (TOTAL_COMMON + LAYER_COMMON * same)
    rest = (1 - TOTAL_COMMON - LAYER_COMMON) * scale**2
    return found + np.diag(np.where(scale > 0, rest, START_VARIANCE))


def impute(city: CityTokens, mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expected tokens (tiles, TOKENS_WIDTH) and the summed covariance that is left open."""
    known = np.isfinite(city.tokens)
    patterns, of_tile = np.unique(known, axis=0, return_inverse=True)
    filled, total = np.empty_like(city.tokens), np.zeros_like(covariance)
    for number, pattern in enumerate(patterns):
        rows = np.flatnonzero(of_tile.reshape(-1) == number)
        gain = expectation(covariance, pattern, city.reliability)
        centred = np.where(pattern, city.tokens[rows] - mean, 0)
        filled[rows] = mean + centred @ gain.T
        total += len(rows) * left_open(covariance, gain)
    return filled, total


def expectation(covariance: np.ndarray, known: np.ndarray, reliability: float) -> np.ndarray:
    """The matrix (tokens, tokens) that turns known tokens, less their mean and 0 where unknown, into the expectation of
    all; known: (tokens,) bool. Its columns of unknown tokens are 0."""
    gain = np.zeros_like(covariance)
    if not known.any():
        return gain
    trust = float(np.clip(reliability, 0.02, 0.999))
    noise = np.where(np.outer(POPULATION, POPULATION), covariance * (1 - trust) / trust, 0)
    noise[np.diag_indices(len(noise))] += OBSERVATION_VARIANCE
    observed = (covariance + noise)[np.ix_(known, known)]
    gain[:, known] = np.linalg.solve(observed, covariance[known]).T
    return gain


def left_open(covariance: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Covariance (tokens, tokens) of all tokens that the known ones leave open."""
    return covariance - gain @ covariance


def token_mask(present: np.ndarray) -> np.ndarray:
    """(tiles, TOKENS_WIDTH) bool from present (tiles, modalities)."""
    return present[:, MODALITY_OF]
