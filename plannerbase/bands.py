"""Bands of an ensemble: values between which a share of what may come lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def band(samples: ArrayLike, share: float, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The central interval that holds the truth with probability `share`, where the ensemble is calibrated.

    Its ends are the plotting positions k / (M + 1) of the M sorted samples (Weibull), because the truth falls between
    neighbouring samples with equal chance. NumPy's default holds it more seldom by 2 share / (M + 1), of 20 samples
    81 % where 90 % is meant. A band wider than the samples tell, above (M - 1) / (M + 1), ends at their extremes.

    Parameters
    ----------
    samples : array-like of float
        With the samples along `axis`.
    share : float
        0..1.
    axis : int

    Returns
    -------
    low, high : ndarray
        Without `axis`.
    """
    low, high = quantile_of_samples(samples, [(1 - share) / 2, (1 + share) / 2], axis)
    return low, high


def quantile_of_samples(samples: ArrayLike, shares: ArrayLike, axis: int = 0) -> np.ndarray:
    """Values that the truth stays below with these probabilities, (shares, ...), as `band` has them."""
    return np.quantile(np.asarray(samples, float), np.asarray(shares, float), axis=axis, method="weibull")
