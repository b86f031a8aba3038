"""What single hours and tiles do not show: how the hours of a week hang together, and the tiles of a map."""

import numpy as np
from numpy.typing import ArrayLike

from opendiff.metrics.scores import checked
from opendiff.week import HOURS_PER_DAY

MAX_LAG = 84  # hours, half a week
# A sum of squares below this share of that of the values themselves is the rounding left by the subtracted mean.
ROUNDING = 1e-20


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
    varies = variance > ROUNDING * scale**2 * z.shape[-1]
    return np.divide(lagged[..., 1:], variance, out=np.zeros_like(lagged[..., 1:]), where=varies)


def autocorrelation_distance(
    truth: ArrayLike, ensemble: ArrayLike, lags: ArrayLike | None = None
) -> np.ndarray:
    """Mean over samples and `lags` (default 1..84) of |autocorrelation of sample - of truth|, (tiles,).

    Each sample is compared by itself, so the same figure of randomly drawn true tiles says how far real tiles are
    from each other.
    """
    truth, ensemble = checked(truth, ensemble)
    lags = np.arange(1, min(MAX_LAG, truth.shape[1] - 1) + 1) if lags is None else np.atleast_1d(lags)
    true, made = (autocorrelation(series, int(lags.max()))[..., lags - 1] for series in (truth, ensemble))
    return np.abs(made - true[:, None]).mean(axis=(1, 2))


def peak_hour(series: ArrayLike) -> np.ndarray:
    """Hour of the day 0..23 at which the mean day of each series is highest, (..., hours) gives (...)."""
    series = np.asarray(series, float)
    days = series.shape[-1] // HOURS_PER_DAY
    by_day = series[..., : days * HOURS_PER_DAY].reshape(*series.shape[:-1], days, HOURS_PER_DAY)
    return by_day.mean(axis=-2).argmax(axis=-1)


def peak_hour_error(truth: ArrayLike, ensemble: ArrayLike) -> np.ndarray:
    """Distance in hours around the clock (0..12) of the samples' peak hours from the true one, mean, (tiles,)."""
    truth, ensemble = checked(truth, ensemble)
    apart = np.abs(peak_hour(ensemble) - peak_hour(truth)[:, None])
    return np.minimum(apart, HOURS_PER_DAY - apart).mean(axis=1)


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
    varies = variance > ROUNDING * np.square(values).sum(axis=-1)
    ratio = np.divide(product, variance, out=np.full_like(variance, np.nan), where=varies)
    return values.shape[-1] / len(first) * ratio


def neighbour_pairs(x: ArrayLike, y: ArrayLike, radius: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Indices (pairs,), (pairs,) of every ordered pair of different tiles at most `radius` tiles apart."""
    reach = int(np.floor(radius))
    # counted from `reach`, so that an offset never wraps to another column
    column, row = (np.asarray(axis, np.int64) - np.min(axis) + reach for axis in (x, y))
    width = int(row.max()) + reach + 1
    key = column * width + row
    order = np.argsort(key)
    step = np.arange(-reach, reach + 1)
    dx, dy = (axis.reshape(-1) for axis in np.meshgrid(step, step, indexing="ij"))
    near = (dx**2 + dy**2 <= radius**2) & ((dx != 0) | (dy != 0))
    wanted = key[:, None] + (dx * width + dy)[near]
    place = np.minimum(np.searchsorted(key, wanted, sorter=order), len(key) - 1)
    found = key[order[place]] == wanted
    return np.nonzero(found)[0], order[place[found]]
