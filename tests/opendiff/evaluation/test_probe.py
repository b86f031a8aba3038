"""The probe against data whose answer is known."""

import numpy as np
import pytest

from opendiff.evaluation.probe import level_r2


def test_linear_features_explain_all_and_noise_nothing():
    rng = np.random.default_rng(0)
    features, folds = rng.normal(size=(200, 6)), np.arange(200) % 4
    level = features @ rng.normal(size=6)
    assert level_r2(dict.fromkeys(range(4), features), level, folds) == pytest.approx(1, abs=1e-6)
    noise = rng.normal(size=(200, 6))
    assert level_r2(dict.fromkeys(range(4), noise), level, folds) < 0.05


def test_each_fold_is_judged_on_features_of_its_own():
    """Features that only the fit of another fold knows must not help."""
    rng = np.random.default_rng(1)
    folds = np.arange(100) % 2
    level = rng.normal(size=100)
    told, blind = level[:, None], rng.normal(size=(100, 1))
    half = level_r2({0: told, 1: blind}, level, folds)
    assert level_r2({0: told, 1: told}, level, folds) > 0.99 and 0.2 < half < 0.8
