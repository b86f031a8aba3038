"""Traffic patterns (appendix A.1), and whether what is generated under a tile's condition has its pattern (Table 2)."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import DBSCAN
from sklearn.metrics import silhouette_score

from opendiff.metrics.scores import jsd
from opendiff.week import HOURS_PER_DAY

# Of the distances between all pairs of days: the reaches that DBSCAN is tried with, denser where clusters are tight.
PATTERN_QUANTILES = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


def traffic_patterns(truth: ArrayLike, least: int = 4) -> np.ndarray:
    """Pattern of each tile (0, 1, ...; -1 for none), (tiles,), by DBSCAN on the shapes of mean days (appendix A.1).

    Shapes run from 0 to 1 and are compared by root mean square. The reach of DBSCAN is the one, among quantiles of all
    distances, that makes the silhouette of the patterns times the share of tiles that have one largest; all -1 when
    none separates two patterns of at least `least` tiles.
    """
    truth = np.asarray(truth, float)
    day = min_max(truth.reshape(len(truth), -1, HOURS_PER_DAY).mean(axis=1))
    distance = squareform(pdist(day)) / np.sqrt(HOURS_PER_DAY)
    found, best = np.full(len(truth), -1), 0.0
    pairs = distance[np.triu_indices(len(truth), 1)]
    for reach in np.quantile(pairs, PATTERN_QUANTILES) if len(pairs) else ():
        labels = DBSCAN(eps=max(reach, 1e-9), min_samples=least, metric="precomputed").fit_predict(distance)
        some = labels >= 0
        if labels.max() < 1:
            continue
        quality = (
            silhouette_score(distance[np.ix_(some, some)], labels[some], metric="precomputed") * some.mean()
        )
        if quality > best:
            found, best = labels, quality
    return found


def controllability(truth: ArrayLike, generated: ArrayLike, patterns: ArrayLike) -> dict[str, float]:
    """JSD of series generated under a tile's condition against true tiles of its own pattern and of others (Table 2).

    truth, generated: (tiles, hours), patterns: (tiles,) as of `traffic_patterns`, -1 is left out. A tile's own truth is
    left out too. Means over the tiles of a pattern, then over patterns; NaN with fewer than two patterns.
    """
    found = list(pattern_distances(truth, generated, patterns).values())
    several = len(found) > 1
    return {
        "jsd_same_pattern": float(np.mean([same for same, _ in found])) if several else float("nan"),
        "jsd_other_patterns": float(np.mean([other for _, other in found])) if several else float("nan"),
    }


def pattern_distances(
    truth: ArrayLike, generated: ArrayLike, patterns: ArrayLike
) -> dict[int, tuple[float, float]]:
    """For each pattern the mean JSD of what is generated under its conditions against true tiles of the pattern and of
    other ones; arguments as of `controllability`. A pattern of one tile, or of all, has no entry."""
    truth, generated, patterns = np.asarray(truth, float), np.asarray(generated, float), np.asarray(patterns)
    kept = patterns >= 0
    truth, generated, patterns = truth[kept], generated[kept], patterns[kept]
    found = {}
    for pattern in np.unique(patterns):
        inside = np.flatnonzero(patterns == pattern)
        apart = np.stack([jsd(truth, generated[row]) for row in inside])  # (tiles of the pattern, kept tiles)
        own = np.zeros_like(apart, bool)
        own[np.arange(len(inside)), inside] = True
        related = np.broadcast_to(patterns == pattern, apart.shape)
        if (related & ~own).any() and not related.all():
            found[int(pattern)] = (float(apart[related & ~own].mean()), float(apart[~related].mean()))
    return found


def min_max(series: ArrayLike) -> np.ndarray:
    """Each series (..., hours) moved and divided to run from 0 to 1; a constant one becomes 0."""
    series = np.asarray(series, float)
    low = series.min(axis=-1, keepdims=True)
    reach = series.max(axis=-1, keepdims=True) - low
    return np.divide(series - low, reach, out=np.zeros_like(series), where=reach > 0)
