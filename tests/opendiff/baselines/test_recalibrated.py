"""Levels put right on rows held back, against weeks whose errors are known."""

import numpy as np
import pytest

from opendiff import metrics
from opendiff.baselines.recalibrated import LevelCalibration

OFFSET, SLOPE, LEFT = 0.4, 0.5, 0.3


def made_weeks(rows, samples, within, seed=0):
    """(real weeks, generated ones) whose log levels follow the three numbers; `within`: deviation over samples."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(0, 1, rows)
    real = OFFSET + SLOPE * mean + rng.normal(0, LEFT, rows)
    drawn = rng.normal(0, within, (rows, samples))
    made = mean[:, None] + drawn - drawn.mean(axis=1, keepdims=True)
    shape = rng.gamma(9, 1 / 9, (rows, samples, 168))
    shape /= shape.mean(axis=-1, keepdims=True)
    course = shape[:, 0]
    return np.exp(real)[:, None] * course, np.exp(made)[..., None] * shape


@pytest.mark.parametrize("within", [0.05, 1.5])
def test_the_numbers_are_found_and_others_are_put_right(within):
    truth, made = made_weeks(2000, 20, within)
    found = LevelCalibration.of(truth, made)
    assert found.offset == pytest.approx(OFFSET, abs=0.02) and found.slope == pytest.approx(SLOPE, abs=0.02)
    truth, made = made_weeks(1000, 20, within, seed=1)
    right = found.applied(made, seed=0)
    level, real = np.log(right.mean(axis=-1)), np.log(truth.mean(axis=-1))
    assert np.sqrt(level.var(axis=1).mean()) == pytest.approx(LEFT, rel=0.05)
    low, high = np.quantile(level, (0.05, 0.95), axis=1)
    assert np.mean((low <= real) & (real <= high)) == pytest.approx(0.9 * 19 / 21, abs=0.03)  # of 20
    assert metrics.crps(truth, right).mean() < 0.8 * metrics.crps(truth, made.astype(np.float32)).mean()
    np.testing.assert_allclose(
        right / right.mean(axis=-1, keepdims=True), made / made.mean(axis=-1, keepdims=True), rtol=1e-4
    )


def test_good_levels_stay_and_useless_ones_become_the_mean():
    rng = np.random.default_rng(2)
    level = rng.normal(0, 1, (3000, 1))
    hours = np.ones(168)
    truth = np.exp(level + rng.normal(0, 0.3, (3000, 1))) * hours
    made = np.exp(level + rng.normal(0, 0.3, (3000, 10)))[..., None] * hours
    found = LevelCalibration.of(truth, made)
    assert found.slope == pytest.approx(1, abs=0.03) and found.narrowing == pytest.approx(1, abs=0.1)
    assert LevelCalibration.of(truth, made[rng.permutation(3000)]).slope == pytest.approx(0, abs=0.05)
    nothing = np.zeros_like(made)
    assert np.isfinite(LevelCalibration.of(truth, nothing).applied(nothing, 0)).all()
