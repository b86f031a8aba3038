"""Spread put right on rows held back, against weeks whose spread is known."""

import numpy as np
import pytest

from opendiff import metrics
from opendiff.baselines.recalibrated import SpreadCalibration


def made_weeks(rows, samples, spread, seed=0):
    """(real weeks, generated ones) whose root levels lie around the same middle, the real ones by 1, the generated ones
    by `spread`."""
    rng = np.random.default_rng(seed)
    middle = rng.uniform(8, 12, (rows, 1))
    real, made = middle + rng.normal(0, 1, (rows, 1)), middle + rng.normal(0, spread, (rows, samples))
    course = 1 + 0.5 * np.sin(np.arange(24))
    course /= course.mean()
    return np.square(real) * course, np.square(made)[..., None] * course


@pytest.mark.parametrize("spread", [0.05, 1.0, 3.0])
def test_the_factor_is_what_the_spread_lacks(spread):
    truth, made = made_weeks(400, 81, spread)
    found = SpreadCalibration.of(truth, made)
    assert found.factor == pytest.approx(1 / spread, rel=0.35)
    truth, made = made_weeks(400, 81, spread, seed=1)
    right = found.applied(made)
    assert np.sqrt(right.mean(axis=-1)).std(axis=1).mean() == pytest.approx(1, rel=0.35)
    before, after = (metrics.crps(truth, weeks.astype(np.float32)).mean() for weeks in (made, right))
    assert after < (0.8 if spread == 0.05 else 1.01) * before


def test_medians_and_shapes_stay_and_silent_weeks_are_no_number_less():
    _, made = made_weeks(30, 9, 0.5)
    right = SpreadCalibration(2.0).applied(made)
    level, new = np.sqrt(made.mean(axis=-1)), np.sqrt(right.mean(axis=-1))
    np.testing.assert_allclose(np.median(new, axis=1), np.median(level, axis=1), rtol=1e-5)
    shapes = [weeks / weeks.mean(axis=-1, keepdims=True) for weeks in (made, right)]
    np.testing.assert_allclose(*shapes, rtol=1e-4)
    assert not SpreadCalibration(2.0).applied(np.zeros((2, 3, 24))).any()
