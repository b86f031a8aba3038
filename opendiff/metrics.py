"""How good an ensemble of generated weeks is, judged by the true weeks of the same tiles.

Everywhere `truth` is (tiles, hours), `ensemble` is (tiles, samples, hours) and the unit is that of the traffic unless
a figure is said to be normalised, which means divided by the mean of the truth over all tiles and hours. Functions
that score tiles return one number a tile; `score` takes the means and returns every figure under a stable name.
Equation numbers are those of the paper. All functions raise ValueError on shapes that do not fit.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import DBSCAN
from sklearn.metrics import silhouette_score

HOURS_A_DAY = 24
PIT_BINS = 10
MAX_LAG = 84  # half a week
PATTERN_QUANTILES = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
# Levels below this share of the mean true level are raised to it before their logarithm is taken.
LEVEL_FLOOR = 1e-3


def jsd(truth: ArrayLike, generated: ArrayLike) -> np.ndarray:
    """Jensen-Shannon distance, base 2, between series scaled to sum 1; (..., hours) each, gives (...), 0..1.

    Eq. 16 under its name in the literature: the paper prints a symmetrised KL divergence but computes this. A series
    that is zero throughout equals another one (distance 0) and is as far as can be from any other (distance 1).
    """
    p, q = np.asarray(truth, float), np.asarray(generated, float)
    total_p, total_q = p.sum(-1, keepdims=True), q.sum(-1, keepdims=True)
    p = np.divide(p, total_p, out=np.zeros_like(p), where=total_p > 0)
    q = np.divide(q, total_q, out=np.zeros_like(q), where=total_q > 0)
    divergence = 0.5 * (_relative_entropy(p, (p + q) / 2) + _relative_entropy(q, (p + q) / 2))
    silent_p, silent_q = total_p[..., 0] <= 0, total_q[..., 0] <= 0
    divergence = np.where(silent_p | silent_q, np.where(silent_p & silent_q, 0.0, 1.0), divergence)
    return np.sqrt(np.clip(divergence, 0, 1))


def mae(truth: ArrayLike, generated: ArrayLike) -> np.ndarray:
    """Mean absolute error over the hours (eq. 17), (tiles, hours) each, gives (tiles,)."""
    return np.abs(np.asarray(truth, float) - generated).mean(axis=-1)


def rmse(truth: ArrayLike, generated: ArrayLike) -> np.ndarray:
    """Root mean square error over the hours (eq. 18), (tiles, hours) each, gives (tiles,)."""
    return np.sqrt(np.square(np.asarray(truth, float) - generated).mean(axis=-1))


def crps(truth: ArrayLike, ensemble: ArrayLike) -> np.ndarray:
    """Continuous ranked probability score (eq. 19), (tiles, hours), by the fair (unbiased) ensemble estimator.

    mean |X_i - s| - sum_{i<j} |X_i - X_j| / (M (M - 1)); the pairs are summed from the sorted samples in
    O(M log M) (Zamo and Naveau 2018, eq. PWM). One sample has no spread to judge: its absolute error is returned.
    """
    truth, ensemble = _checked(truth, ensemble)
    samples = ensemble.shape[1]
    error = np.abs(ensemble - truth[:, None]).mean(axis=1)
    if samples == 1:
        return error
    weight = 2 * np.arange(1, samples + 1) - samples - 1.0
    pairs = np.einsum("m,tmh->th", weight, np.sort(ensemble, axis=1))
    return error - pairs / (samples * (samples - 1))


def energy_score(truth: ArrayLike, ensemble: ArrayLike) -> np.ndarray:
    """Energy score of whole weeks, (tiles,), fair estimator, divided by sqrt(hours) to be in the traffic's unit.

    Unlike the CRPS of single hours it also judges how the hours hang together (Gneiting and Raftery 2007, eq. 22).
    """
    truth, ensemble = _checked(truth, ensemble)
    samples, hours = ensemble.shape[1:]
    error = np.linalg.norm(ensemble - truth[:, None], axis=2).mean(axis=1)
    if samples > 1:
        spread = np.zeros(len(truth))
        for shift in range(1, samples):  # each ordered pair once, without a (samples, samples, hours) array
            spread += np.linalg.norm(ensemble - np.roll(ensemble, shift, axis=1), axis=2).sum(axis=1)
        error = error - spread / (2 * samples * (samples - 1))
    return error / np.sqrt(hours)


def coverage(truth: ArrayLike, ensemble: ArrayLike, share: float) -> np.ndarray:
    """Whether each true value lies inside the central interval that should hold `share` of them, (tiles, hours) bool.

    The quantiles are the plotting positions k / (M + 1) of the sorted samples (Weibull), because the true value of a
    calibrated ensemble falls between neighbouring samples with equal chance; NumPy's default is too narrow by
    2 share / (M + 1).
    """
    truth, ensemble = _checked(truth, ensemble)
    low, high = np.quantile(ensemble, [(1 - share) / 2, (1 + share) / 2], axis=1, method="weibull")
    return (low <= truth) & (truth <= high)


def ranks(truth: ArrayLike, ensemble: ArrayLike, seed: int = 0) -> np.ndarray:
    """Rank 0..samples of each true value among its samples, (tiles, hours); ties are broken at random."""
    truth, ensemble = _checked(truth, ensemble)
    below = (ensemble < truth[:, None]).sum(axis=1)
    equal = (ensemble == truth[:, None]).sum(axis=1)
    return below + np.random.default_rng(seed).integers(0, equal + 1)


def rank_histogram(
    truth: ArrayLike, ensemble: ArrayLike, bins: int | None = PIT_BINS, seed: int = 0
) -> np.ndarray:
    """Share of true values in each of `bins` equal parts of the ranks (None: in each rank); flat when calibrated.

    A rank is spread evenly over the bins that it straddles, so the number of bins need not divide samples + 1.
    """
    found = ranks(truth, ensemble, seed)
    count = np.bincount(found.reshape(-1), minlength=np.shape(ensemble)[1] + 1) / found.size
    if bins is None:
        return count
    cumulative = np.concatenate([[0], np.cumsum(count)])
    return np.diff(np.interp(np.linspace(0, 1, bins + 1), np.linspace(0, 1, len(cumulative)), cumulative))


def autocorrelation(series: ArrayLike, max_lag: int = MAX_LAG) -> np.ndarray:
    """Autocorrelation at lags 1..max_lag, (..., hours) gives (..., max_lag); 0 for a constant series.

    The usual biased estimator: sum_t z_t z_{t+k} / sum_t z_t^2 with z the deviation from the mean.
    """
    z = np.asarray(series, float)
    z = z - z.mean(axis=-1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(z, 2 * z.shape[-1], axis=-1)) ** 2
    lagged = np.fft.irfft(spectrum, axis=-1)[..., : max_lag + 1]
    variance = np.square(z).sum(axis=-1, keepdims=True)
    scale = np.abs(np.asarray(series, float)).max(axis=-1, keepdims=True)
    varies = variance > 1e-20 * scale**2 * z.shape[-1]  # above the rounding left by the subtracted mean
    return np.divide(lagged[..., 1:], variance, out=np.zeros_like(lagged[..., 1:]), where=varies)


def autocorrelation_distance(
    truth: ArrayLike, ensemble: ArrayLike, lags: ArrayLike | None = None
) -> np.ndarray:
    """Mean over samples and `lags` (default 1..84) of |autocorrelation of sample - of truth|, (tiles,).

    Each sample is compared by itself, so the same figure of randomly drawn true tiles says how far real tiles are
    from each other.
    """
    truth, ensemble = _checked(truth, ensemble)
    lags = np.arange(1, min(MAX_LAG, truth.shape[1] - 1) + 1) if lags is None else np.atleast_1d(lags)
    true, made = (autocorrelation(series, int(lags.max()))[..., lags - 1] for series in (truth, ensemble))
    return np.abs(made - true[:, None]).mean(axis=(1, 2))


def peak_hour(series: ArrayLike) -> np.ndarray:
    """Hour of the day 0..23 at which the mean day of each series is highest, (..., hours) gives (...)."""
    series = np.asarray(series, float)
    days = series.shape[-1] // HOURS_A_DAY
    by_day = series[..., : days * HOURS_A_DAY].reshape(*series.shape[:-1], days, HOURS_A_DAY)
    return by_day.mean(axis=-2).argmax(axis=-1)


def peak_hour_error(truth: ArrayLike, ensemble: ArrayLike) -> np.ndarray:
    """Distance in hours around the clock (0..12) of the samples' peak hours from the true one, mean, (tiles,)."""
    truth, ensemble = _checked(truth, ensemble)
    apart = np.abs(peak_hour(ensemble) - peak_hour(truth)[:, None])
    return np.minimum(apart, HOURS_A_DAY - apart).mean(axis=1)


def morans_i(values: ArrayLike, x: ArrayLike, y: ArrayLike, radius: float = 1.5) -> np.ndarray:
    """Moran's I of values (..., tiles) on the tile grid, (...); weight 1 for tiles at most `radius` tiles apart.

    Radius 1.5 means the eight neighbours (queen), 1 the four that share an edge. NaN where no two tiles are
    neighbours or all values are equal.
    """
    values = np.asarray(values, float)
    first, second = neighbour_pairs(x, y, radius)
    z = values - values.mean(axis=-1, keepdims=True)
    variance = np.square(z).sum(axis=-1)
    if not len(first):
        return np.full(variance.shape, np.nan)
    product = (z[..., first] * z[..., second]).sum(axis=-1)
    varies = variance > 1e-20 * np.square(values).sum(axis=-1)
    ratio = np.divide(product, variance, out=np.full_like(variance, np.nan), where=varies)
    return values.shape[-1] / len(first) * ratio


def neighbour_pairs(x: ArrayLike, y: ArrayLike, radius: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Indices (pairs,), (pairs,) of every ordered pair of different tiles at most `radius` tiles apart."""
    reach = int(np.floor(radius))
    # counted from `reach`, so that an offset never wraps to another column
    column, row = (np.asarray(v, np.int64) - np.min(v) + reach for v in (x, y))
    width = int(row.max()) + reach + 1
    key = column * width + row
    order = np.argsort(key)
    step = np.arange(-reach, reach + 1)
    dx, dy = (v.reshape(-1) for v in np.meshgrid(step, step, indexing="ij"))
    near = (dx**2 + dy**2 <= radius**2) & ((dx != 0) | (dy != 0))
    wanted = key[:, None] + (dx * width + dy)[near]
    place = np.minimum(np.searchsorted(key, wanted, sorter=order), len(key) - 1)
    found = key[order[place]] == wanted
    return np.nonzero(found)[0], order[place[found]]


def traffic_patterns(truth: ArrayLike, least: int = 4) -> np.ndarray:
    """Pattern of each tile (0, 1, ...; -1 for none), (tiles,), by DBSCAN on the shapes of mean days (appendix A.1).

    Shapes run from 0 to 1 and are compared by root mean square. The reach of DBSCAN is the one, among quantiles of all
    distances, that makes the silhouette of the patterns times the share of tiles that have one largest; all -1 when
    none separates two patterns of at least `least` tiles.
    """
    truth = np.asarray(truth, float)
    day = min_max(truth.reshape(len(truth), -1, HOURS_A_DAY).mean(axis=1))
    distance = squareform(pdist(day)) / np.sqrt(HOURS_A_DAY)
    found, best = np.full(len(truth), -1), 0.0
    for reach in (
        np.quantile(distance[np.triu_indices(len(truth), 1)], PATTERN_QUANTILES) if len(truth) > 1 else []
    ):
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
        apart = np.stack(
            [jsd(truth, generated[row]) for row in inside]
        )  # (tiles of the pattern, all kept tiles)
        own = np.zeros_like(apart, bool)
        own[np.arange(len(inside)), inside] = True
        related = np.broadcast_to(patterns == pattern, apart.shape)
        if (related & ~own).any() and not related.all():
            found[int(pattern)] = (float(apart[related & ~own].mean()), float(apart[~related].mean()))
    return found


def r2(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Coefficient of determination; NaN when the truth does not vary."""
    truth, predicted = np.asarray(truth, float), np.asarray(predicted, float)
    total = np.square(truth - truth.mean()).sum()
    return float(1 - np.square(truth - predicted).sum() / total) if total > 0 else float("nan")


def log_level(series: ArrayLike, floor: float) -> np.ndarray:
    """Natural logarithm of the weekly mean, (..., hours) gives (...); levels below `floor` count as `floor`."""
    return np.log(np.maximum(np.asarray(series, float).mean(axis=-1), floor))


def min_max(series: ArrayLike) -> np.ndarray:
    """Each series (..., hours) moved and divided to run from 0 to 1; a constant one becomes 0."""
    series = np.asarray(series, float)
    low = series.min(axis=-1, keepdims=True)
    reach = series.max(axis=-1, keepdims=True) - low
    return np.divide(series - low, reach, out=np.zeros_like(series), where=reach > 0)


def score(
    truth: ArrayLike,
    ensemble: ArrayLike,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Every figure of an ensemble, by name. truth (tiles, hours), ensemble (tiles, samples, hours), both at least 0.

    jsd, mae, rmse of the ensemble's median; crps, energy; nmae, nrmse, ncrps, nenergy (divided by the mean truth);
    shape_mae, shape_rmse, shape_crps (each series scaled to run from 0 to 1 first); bias (mean generated / mean true
    - 1); coverage_50, coverage_90; rank_deviation (sum over ten bins of |share - 0.1|, 0 is calibrated); acf_distance,
    acf24_distance, acf24_true, acf24_generated; peak_hour_error in hours; level_r2 (log level, mean of the samples),
    level_ncrps, level_coverage_50, level_coverage_90; with tile numbers x, y also morans_i_true, morans_i_generated of
    the level (each sample is one map). `seed` breaks ties of ranks only.
    """
    truth, ensemble = _checked(truth, ensemble)
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


def _shape_figures(truth: np.ndarray, ensemble: np.ndarray) -> dict[str, float]:
    daily = [HOURS_A_DAY]
    return {
        "acf_distance": autocorrelation_distance(truth, ensemble).mean(),
        "acf24_distance": autocorrelation_distance(truth, ensemble, daily).mean(),
        "acf24_true": autocorrelation(truth, HOURS_A_DAY)[..., -1].mean(),
        "acf24_generated": autocorrelation(ensemble, HOURS_A_DAY)[..., -1].mean(),
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


def _relative_entropy(p: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Sum over hours of p log2(p / m), with 0 log 0 = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p > 0, p * np.log2(p / m), 0).sum(axis=-1)


def _checked(truth: ArrayLike, ensemble: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    truth, ensemble = np.asarray(truth, float), np.asarray(ensemble, float)
    if truth.ndim != 2 or ensemble.ndim != 3 or truth.shape != (ensemble.shape[0], ensemble.shape[2]):
        raise ValueError(
            f"truth has shape {truth.shape} and ensemble {ensemble.shape}; they must be (tiles, hours) and "
            "(tiles, samples, hours) of the same tiles and hours"
        )
    if not truth.size or not ensemble.shape[1]:
        raise ValueError(f"nothing to score: truth has shape {truth.shape}, ensemble {ensemble.shape}")
    return truth, ensemble
