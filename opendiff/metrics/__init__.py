"""How good an ensemble of generated weeks is, judged by the true weeks of the same tiles.

Everywhere `truth` is (tiles, hours), `ensemble` is (tiles, samples, hours) and the unit is that of the traffic unless
a figure is said to be normalised, which means divided by the mean of the truth over all tiles and hours. Functions
that score tiles return one number a tile; `score` takes the means and returns every figure under a stable name.
Equation numbers are those of the paper. All functions raise ValueError on shapes that do not fit.
"""

from opendiff.metrics.patterns import controllability, min_max, pattern_distances, traffic_patterns
from opendiff.metrics.scores import (
    PIT_BINS,
    coverage,
    crps,
    energy_score,
    jsd,
    mae,
    r2,
    rank_histogram,
    ranks,
    rmse,
)
from opendiff.metrics.structure import (
    MAX_LAG,
    autocorrelation,
    autocorrelation_distance,
    morans_i,
    neighbour_pairs,
    peak_hour,
    peak_hour_error,
)
from opendiff.metrics.summary import LEVEL_FLOOR, log_level, score

__all__ = [
    "LEVEL_FLOOR",
    "MAX_LAG",
    "PIT_BINS",
    "autocorrelation",
    "autocorrelation_distance",
    "controllability",
    "coverage",
    "crps",
    "energy_score",
    "jsd",
    "log_level",
    "mae",
    "min_max",
    "morans_i",
    "neighbour_pairs",
    "pattern_distances",
    "peak_hour",
    "peak_hour_error",
    "r2",
    "rank_histogram",
    "ranks",
    "rmse",
    "score",
    "traffic_patterns",
]
