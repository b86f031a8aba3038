"""An embedding of tiles in a small knowledge graph: tiles, the POI categories and population classes that they have,
and which tiles lie beside each other.

It takes the place of the embeddings of the urban knowledge graphs of KEGAN and ADAPTIVE, which hold the same three
kinds of relation and are public for Beijing alone. Instead of a translational model (TuckER there) it is the leading
singular directions of the graph's smoothed relations, which need no training and no seed.
"""

from __future__ import annotations

import numpy as np

from opendiff.metrics import neighbour_pairs

WIDTH = 32  # as in ADAPTIVE
POPULATION_CLASSES = 8


def embed_tiles(
    x: np.ndarray, y: np.ndarray, poi: np.ndarray, population: np.ndarray, width: int = WIDTH
) -> np.ndarray:
    """Embedding (tiles, width) float32 of tiles at x, y (tiles,).

    poi: (tiles, categories) weights of the relation "has", 0 where unknown; population: (tiles,), NaN where unknown.
    """
    relations = np.hstack([poi, poi.sum(axis=1, keepdims=True), population_classes(population)])
    relations = (relations - relations.mean(axis=0)) / np.maximum(relations.std(axis=0), 1e-9)
    first, second = neighbour_pairs(x, y)
    beside = np.zeros((len(x), len(x)))
    beside[first, second] = 1
    beside /= np.maximum(beside.sum(axis=1, keepdims=True), 1)
    near = beside @ relations
    smoothed = np.hstack([relations, near, beside @ near])
    left, singular, _ = np.linalg.svd(smoothed, full_matrices=False)
    kept = left[:, :width] * singular[:width] / singular[0] * np.sqrt(len(x))
    embedding = np.zeros((len(x), width), np.float32)
    embedding[:, : kept.shape[1]] = kept
    return embedding


def population_classes(population: np.ndarray) -> np.ndarray:
    """Membership (tiles, 8) in classes of equally many tiles; none where population is unknown."""
    known = np.isfinite(population)
    member = np.zeros((len(population), POPULATION_CLASSES))
    if known.any():
        bounds = np.quantile(population[known], np.linspace(0, 1, POPULATION_CLASSES + 1)[1:-1])
        member[np.flatnonzero(known), np.searchsorted(bounds, population[known])] = 1
    return member
