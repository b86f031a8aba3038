"""What an embedding of imagery tells of traffic, alone and beside the other open data: ridge regression to the log
level, in spatial folds."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.decomposition import PCA
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
COMPONENTS = 32


def embedding_figures(pack: PackSource, data: TrainingData, fits: list[FoldFit]) -> dict[str, float]:
    """R² of the log level from embeddings of imagery, on the tiles that have imagery and traffic.

    `embedding`: the contrastive one, learned without the fold. `trunk`: statistics of the frozen trunk, which knows no
    city; `trunk_views`: their mean over the turned and mirrored image; `_pca`: their principal components, found on the
    other folds. `colour_and_texture`: plain statistics. `beside_` of these: with all other open data, which alone is
    `open_data`.
    """
    rows = np.flatnonzero(data.has_traffic & data.has_imagery)
    folds = data.folds[rows]
    if len(np.unique(folds)) < 2:
        return {}
    level = data.series[rows, 0].mean(axis=1)
    log_level = metrics.log_level(data.series[rows, 0], metrics.LEVEL_FLOOR * level.mean())
    held = [fit for fit in fits if (folds == fit.fold).any()]
    width = TOKEN_WIDTHS[MODALITIES.index("imagery")]
    images = pack.open_data(data.tiles.iloc[rows].reset_index(drop=True)).imagery
    plain, turned = data.views[0, rows], data.views[:, rows].mean(axis=0)

    def everywhere(values: np.ndarray) -> dict[int, np.ndarray]:
        return {fit.fold: values for fit in held}

    def components(values: np.ndarray) -> dict[int, np.ndarray]:
        return {fit.fold: principal(values, folds != fit.fold) for fit in held}

    known = {
        "embedding": {fit.fold: fit.conditions.tokens[rows, :width] for fit in held},
        "trunk": everywhere(plain),
        "trunk_pca": components(plain),
        "trunk_views": everywhere(turned),
        "trunk_views_pca": components(turned),
        "colour_and_texture": everywhere(image_statistics(images)),
    }
    other = {fit.fold: fit.conditions.tokens[rows, width:] for fit in held}
    found = {f"{name}_level_r2": level_r2(values, log_level, folds) for name, values in known.items()}
    beside = {
        f"beside_{name}_level_r2": level_r2(
            {fold: np.column_stack([other[fold], values[fold]]) for fold in other}, log_level, folds
        )
        for name, values in known.items()
    }
    return {
        "tiles": len(rows), **found, "open_data_level_r2": level_r2(other, log_level, folds), **beside,
    }  # fmt: skip


def principal(values: np.ndarray, fitted: np.ndarray, components: int = COMPONENTS) -> np.ndarray:
    """The first principal components of standardised values (rows, any), found on the rows `fitted` (rows,) bool, each
    with the variance that it has there, so that a ridge penalty weighs them by it."""
    scaler = StandardScaler().fit(values[fitted])
    count = min(components, int(fitted.sum()) - 1, values.shape[1])
    found = PCA(count, random_state=0).fit(scaler.transform(values[fitted]))
    return np.asarray(found.transform(scaler.transform(values)))


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
