"""Errors and proper scores of an ensemble, and its calibration."""

import numpy as np
from numpy.typing import ArrayLike

from plannerbase.bands import band

PIT_BINS = 10  # of the probability integral transform: the ranks, on 0..1


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
    truth, ensemble = checked(truth, ensemble)
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
    truth, ensemble = checked(truth, ensemble)
    samples, hours = ensemble.shape[1:]
    error = np.linalg.norm(ensemble - truth[:, None], axis=2).mean(axis=1)
    if samples > 1:
        spread = np.zeros(len(truth))
        for shift in range(1, samples):  # each ordered pair once, without a (samples, samples, hours) array
            spread += np.linalg.norm(ensemble - np.roll(ensemble, shift, axis=1), axis=2).sum(axis=1)
        error = error - spread / (2 * samples * (samples - 1))
    return error / np.sqrt(hours)


def coverage(truth: ArrayLike, ensemble: ArrayLike, share: float) -> np.ndarray:
    """Whether each true value lies inside the `band` that should hold `share` of them, (tiles, hours) bool."""
    truth, ensemble = checked(truth, ensemble)
    low, high = band(ensemble, share, axis=1)
    return (low <= truth) & (truth <= high)


def ranks(truth: ArrayLike, ensemble: ArrayLike, seed: int = 0) -> np.ndarray:
    """Rank 0..samples of each true value among its samples, (tiles, hours); ties are broken at random."""
    truth, ensemble = checked(truth, ensemble)
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


def r2(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Coefficient of determination; NaN when the truth does not vary."""
    truth, predicted = np.asarray(truth, float), np.asarray(predicted, float)
    total = np.square(truth - truth.mean()).sum()
    return float(1 - np.square(truth - predicted).sum() / total) if total > 0 else float("nan")


def checked(truth: ArrayLike, ensemble: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays of floats. Raises ValueError on shapes that do not fit, and when there is nothing to score."""
    truth, ensemble = np.asarray(truth, float), np.asarray(ensemble, float)
    if truth.ndim != 2 or ensemble.ndim != 3 or truth.shape != (ensemble.shape[0], ensemble.shape[2]):
        raise ValueError(
            f"truth has shape {truth.shape} and ensemble {ensemble.shape}; they must be (tiles, hours) and "
            "(tiles, samples, hours) of the same tiles and hours"
        )
    if not truth.size or not ensemble.shape[1]:
        raise ValueError(f"nothing to score: truth has shape {truth.shape}, ensemble {ensemble.shape}")
    return truth, ensemble


def _relative_entropy(p: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Sum over hours of p log2(p / m), with 0 log 0 = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(p > 0, p * np.log2(p / m), 0).sum(axis=-1)
