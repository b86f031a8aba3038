"""What is said of single weeks and of the busy end, against closed forms and worlds in which the answer is known."""

import numpy as np
import pytest

from opendiff import metrics
from opendiff.default.cities import fill_gaps
from opendiff.default.model import TrafficModel
from opendiff.demo import DemoSource
from opendiff.evaluation.realism import (
    auc_difference,
    paired_difference,
    summaries,
    tail_figures,
    two_sample_auc,
)
from opendiff.evaluation.resampled import REAL_WEEKS, RESIDUALS, resampled
from opendiff.generator import TrafficGenerator

HOURS = np.arange(168)


def test_a_sine_has_the_summaries_of_a_sine():
    week = 1 + 0.5 * np.sin(2 * np.pi * HOURS / 24)
    found = {name: float(values[0]) for name, values in summaries(3 * week[None]).items()}
    assert len(found) == 29
    assert found["peak/mean"] == pytest.approx(1.5) and found["least/mean"] == pytest.approx(0.5)
    assert found["spread"] == pytest.approx(0.5 / np.sqrt(2))
    assert found["kurtosis"] == pytest.approx(1.5)  # of a sine
    assert found["lag 24"] == pytest.approx(1 - 24 / 168)  # the biased estimator
    assert found["same-hour variation"] == pytest.approx(0, abs=1e-6)
    assert found["power of a day"] == pytest.approx(1)


def test_a_silent_week_has_finite_summaries():
    for values in summaries(np.zeros((2, 168))).values():
        assert np.isfinite(values).all() and np.abs(values).max() < 1e6


@pytest.mark.slow
def test_trees_tell_what_differs_and_nothing_else():
    rng = np.random.default_rng(0)
    folds = np.arange(120) % 4
    real = rng.normal(size=(120, 3))
    alike = two_sample_auc(real, rng.normal(size=(120, 3)), folds)
    apart = two_sample_auc(real, rng.normal(size=(120, 3)) + np.array([4, 0, 0]), folds)
    assert alike == pytest.approx(0.5, abs=0.12) and apart > 0.95


def test_the_busy_end_is_covered_where_truth_is_a_draw():
    rng = np.random.default_rng(1)
    tiles, samples = 600, 99
    scale = np.exp(rng.normal(size=(tiles, 1, 1)))
    weeks = scale * np.exp(
        rng.normal(size=(tiles, samples + 1, 1)) + 0.1 * rng.normal(size=(1, samples + 1, 168))
    )
    found = tail_figures(weeks[:, 0], weeks[:, 1:])
    error = 4 * np.sqrt(0.05 * 0.95 / tiles)
    assert found["peaks_above_95"] == pytest.approx(0.05, abs=error)
    assert found["levels_above_99"] == pytest.approx(0.01, abs=error)
    for number in range(1, 6):
        assert found[f"coverage_90_quintile{number}"] == pytest.approx(0.9, abs=0.12)
    narrow = np.repeat(weeks[:, 1:].mean(axis=1, keepdims=True), samples, 1)
    assert tail_figures(weeks[:, 0], narrow)["peak_coverage_90"] < 0.1


def test_a_difference_is_paired_by_tile():
    rng = np.random.default_rng(2)
    truth = np.exp(rng.normal(size=(80, 1))) * np.ones((1, 24))
    one = truth[:, None] * np.exp(0.1 * rng.normal(size=(80, 30, 1)))
    other = truth[:, None] * np.exp(0.5 * rng.normal(size=(80, 30, 1)))
    middle, low, high = paired_difference(truth, one, other, np.arange(80) // 4)
    assert low < middle < high < 0  # the first is nearer to the truth, by far
    same = paired_difference(truth, one, one, np.arange(80) // 4)
    assert same == (0.0, 0.0, 0.0)
    by_energy = {"blocks": np.arange(80) // 4, "score": metrics.energy_score}
    assert paired_difference(truth, one, other, **by_energy)[2] < 0
    assert paired_difference(truth, one, one, **by_energy) == (0.0, 0.0, 0.0)


@pytest.mark.slow
def test_weeks_that_are_told_better_have_the_greater_area(monkeypatch):
    monkeypatch.setattr("opendiff.evaluation.realism.TREES", 50)
    rng = np.random.default_rng(3)
    day = 1.5 - np.cos(2 * np.pi * HOURS / 24)
    truth = day * rng.gamma(20, 1 / 20, (80, 168))
    alike = day * rng.gamma(20, 1 / 20, (80, 2, 168))
    rough = day * rng.gamma(5, 1 / 5, (80, 2, 168))
    folds, blocks = np.arange(80) % 4, np.arange(80) // 4
    middle, low, high = auc_difference(truth, rough, alike, folds, blocks, draws=40)
    assert 0.2 < low <= middle <= high
    assert auc_difference(truth, alike, alike, folds, blocks, draws=10) == (0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def told():
    source = DemoSource()
    generator = TrafficGenerator.load("default", "cpu")
    conditions = generator.conditions(source, source.covered_tiles().iloc[:9].reset_index(drop=True))
    made = generator.generate(conditions, 3, 0)
    return generator.model, conditions, made


@pytest.mark.parametrize("kind", [REAL_WEEKS, RESIDUALS])
def test_resampled_weeks_keep_levels_and_take_shapes(kind, told):
    model: TrafficModel = told[0]
    conditions, made = told[1:]
    known = conditions.take(np.arange(9) < 5)
    series = np.stack([made.traffic[:5, 0], made.users[:5, 0]], axis=1)
    weeks = resampled(kind, made.traffic, model, conditions, known, series, np.random.default_rng(0))
    assert weeks.shape == made.traffic.shape and (weeks >= 0).all()
    np.testing.assert_allclose(weeks.mean(axis=2), made.traffic.mean(axis=2), rtol=1e-4)
    if kind == REAL_WEEKS:
        filled = fill_gaps(series)[0][:, 0]
        shapes = filled / filled.mean(axis=1, keepdims=True)
        found = weeks.reshape(-1, 168) / weeks.reshape(-1, 168).mean(axis=1, keepdims=True)
        assert np.abs(found[:, None] - shapes[None]).max(axis=2).min(axis=1).max() < 1e-4
