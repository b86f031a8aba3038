"""What an embedding of imagery alone tells of traffic: ridge regression to the log level, in spatial folds."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from opendiff.metrics import r2

PENALTIES = np.logspace(-2, 5, 30)


def level_r2(features: dict[int, np.ndarray], log_level: np.ndarray, folds: np.ndarray) -> float:
    """R² of log level (tiles,) predicted for each fold by a ridge regression fitted on the other folds.

    features: fold -> (tiles, any), features of all tiles as they were learned without that fold. The penalty is chosen
    by leaving single tiles out of the other folds.
    """
    predicted = np.empty_like(log_level)
    for fold, values in features.items():
        test = folds == fold
        ridge = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # near-singular at the least penalties, which are then not chosen
            predicted[test] = ridge.fit(values[~test], log_level[~test]).predict(values[test])
    return r2(log_level, predicted)
