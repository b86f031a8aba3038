"""What an embedding of imagery alone tells of traffic: ridge regression to the log level, in spatial folds."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from opendiff import metrics
from opendiff.conditions import MODALITIES, TOKEN_WIDTHS
from opendiff.evaluation.reference_features import image_statistics
from opendiff.evaluation.variants import FoldFit
from opendiff.open_data.sources import PackSource
from opendiff.training_data import TrainingData

PENALTIES = np.logspace(-2, 5, 30)


def embedding_figures(pack: PackSource, data: TrainingData, fits: list[FoldFit]) -> dict[str, float]:
    """R² of the log level from the imagery embedding, frozen, and from statistics of colour and texture, on the tiles
    that have imagery and traffic."""
    rows = np.flatnonzero(data.has_traffic & data.has_imagery)
    folds = data.folds[rows]
    if len(np.unique(folds)) < 2:
        return {}
    level = data.series[rows, 0].mean(axis=1)
    log_level = metrics.log_level(data.series[rows, 0], metrics.LEVEL_FLOOR * level.mean())
    held = [fit for fit in fits if (folds == fit.fold).any()]
    width = TOKEN_WIDTHS[MODALITIES.index("imagery")]
    embedding = {fit.fold: fit.conditions.tokens[rows, :width] for fit in held}
    images = pack.open_data(data.tiles.iloc[rows].reset_index(drop=True)).imagery
    statistics = image_statistics(images)
    return {
        "tiles": len(rows),
        "embedding_level_r2": level_r2(embedding, log_level, folds),
        "colour_and_texture_level_r2": level_r2(dict.fromkeys(embedding, statistics), log_level, folds),
    }


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
    return metrics.r2(log_level, predicted)
