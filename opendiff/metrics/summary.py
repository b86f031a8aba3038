"""Every figure of an ensemble under a stable name."""

import numpy as np
from numpy.typing import ArrayLike

from opendiff.metrics.patterns import min_max
from opendiff.metrics.scores import (
    PIT_BINS,
    checked,
    coverage,
    crps,
    energy_score,
    jsd,
    mae,
    r2,
    rank_histogram,
    rmse,
)
from opendiff.metrics.structure import autocorrelation, autocorrelation_distance, morans_i, peak_hour_error
from opendiff.week import HOURS_PER_DAY

# Levels below this share of the mean true level are raised to it before their logarithm is taken.
LEVEL_FLOOR = 1e-3


def score(
    truth: ArrayLike,
    ensemble: ArrayLike,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Every figure of an ensemble, by name. truth (tiles, hours), ensemble (tiles, samples, hours), both at least 0.

    jsd, mae, rmse of the ensemble's median; jsd_single of its samples one by one; nrmse_pooled, the root of the mean
    square over all tiles and hours where nrmse is the mean over tiles; crps, energy; nmae, nrmse, ncrps, nenergy
    (divided by the mean truth); shape_mae, shape_rmse, shape_crps (each series scaled to run from 0 to 1 first); bias
    (mean generated / mean true - 1); coverage_50, coverage_90; rank_deviation (sum over ten bins of |share - 0.1|, 0
    is calibrated); acf_distance, acf24_distance of single samples, acf24_of_median of the median of the samples' lag-24
    autocorrelations, acf24_crps of them as an ensemble, acf24_true, acf24_generated; peak_hour_error in hours;
    level_r2 (log level, mean of the samples), level_ncrps, level_coverage_50, level_coverage_90; with tile numbers x, y
    also morans_i_true, morans_i_generated of the level (each sample is one map). `seed` breaks ties of ranks only.
    """
    truth, ensemble = checked(truth, ensemble)
    mean = truth.mean()
    normalised = (lambda value: value / mean) if mean > 0 else (lambda value: float("nan"))
    median = np.median(ensemble, axis=1)
    figures = {
        "jsd": jsd(truth, median).mean(),
        "mae": mae(truth, median).mean(),
        "rmse": rmse(truth, median).mean(),
        "crps": crps(truth, ensemble).mean(),
        "energy": energy_score(truth, ensemble).mean(),
    }
    figures |= {f"n{name}": normalised(figures[name]) for name in ("mae", "rmse", "crps", "energy")}
    figures["jsd_single"] = np.mean([jsd(truth, ensemble[:, s]).mean() for s in range(ensemble.shape[1])])
    figures["nrmse_pooled"] = normalised(np.sqrt(np.square(median - truth).mean()))
    figures["bias"] = normalised(ensemble.mean()) - 1
    shape, shapes = min_max(truth), min_max(ensemble)
    middle = np.median(shapes, axis=1)
    figures["shape_mae"] = mae(shape, middle).mean()
    figures["shape_rmse"] = rmse(shape, middle).mean()
    figures["shape_crps"] = crps(shape, shapes).mean()
    figures["coverage_50"] = coverage(truth, ensemble, 0.5).mean()
    figures["coverage_90"] = coverage(truth, ensemble, 0.9).mean()
    figures["rank_deviation"] = np.abs(rank_histogram(truth, ensemble, seed=seed) - 1 / PIT_BINS).sum()
    figures |= _shape_figures(truth, ensemble) | _level_figures(truth, ensemble)
    if x is not None and y is not None:
        figures["morans_i_true"] = morans_i(truth.mean(axis=1), x, y)
        figures["morans_i_generated"] = morans_i(ensemble.mean(axis=2).T, x, y).mean()
    return {name: float(value) for name, value in figures.items()}


def log_level(series: ArrayLike, floor: float) -> np.ndarray:
    """Natural logarithm of the weekly mean, (..., hours) gives (...); levels below `floor` count as `floor`."""
    return np.log(np.maximum(np.asarray(series, float).mean(axis=-1), floor))


def _shape_figures(truth: np.ndarray, ensemble: np.ndarray) -> dict[str, float]:
    true, made = (autocorrelation(series, HOURS_PER_DAY)[..., -1] for series in (truth, ensemble))
    return {
        "acf_distance": autocorrelation_distance(truth, ensemble).mean(),
        "acf24_distance": np.abs(made - true[:, None]).mean(),
        "acf24_of_median": np.abs(np.median(made, axis=1) - true).mean(),
        "acf24_crps": crps(true[:, None], made[..., None]).mean(),
        "acf24_true": true.mean(),
        "acf24_generated": made.mean(),
        "peak_hour_error": peak_hour_error(truth, ensemble).mean(),
    }


def _level_figures(truth: np.ndarray, ensemble: np.ndarray) -> dict[str, float]:
    mean = truth.mean()
    if mean <= 0:
        return {f"level_{name}": float("nan") for name in ("r2", "ncrps", "coverage_50", "coverage_90")}
    level, levels = truth.mean(axis=1, keepdims=True), ensemble.mean(axis=2)[..., None]
    floor = LEVEL_FLOOR * mean
    return {
        "level_r2": r2(log_level(truth, floor), log_level(ensemble, floor).mean(axis=1)),
        "level_ncrps": crps(level, levels).mean() / mean,
        "level_coverage_50": coverage(level, levels, 0.5).mean(),
        "level_coverage_90": coverage(level, levels, 0.9).mean(),
    }
