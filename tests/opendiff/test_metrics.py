import numpy as np
import pytest
import scoringrules
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import r2_score

from opendiff import metrics

weeks = hnp.arrays(
    float, st.tuples(st.integers(1, 4), st.just(48)), elements=st.floats(0, 1e3).map(lambda v: round(v, 3))
)


def gamma(*shape, seed=0):
    return np.random.default_rng(seed).gamma(1.5, 1, shape)


def brute_force_morans_i(values, x, y, radius):
    z, n, product, weights = values - values.mean(), len(values), 0.0, 0
    for i in range(n):
        for j in range(n):
            if i != j and np.hypot(x[i] - x[j], y[i] - y[j]) <= radius:
                product, weights = product + z[i] * z[j], weights + 1
    return n / weights * product / (z**2).sum()


# Jensen-Shannon distance


@settings(max_examples=50, deadline=None)
@given(weeks, weeks)
def test_jsd_agrees_with_scipy(p, q):
    p, q = p[:1], q[:1]
    found = metrics.jsd(p, q)
    assert found == pytest.approx(metrics.jsd(q, p)) and (found >= 0).all() and (found <= 1).all()
    if p.sum() and q.sum():
        assert found[0] == pytest.approx(jensenshannon(p[0], q[0], base=2), abs=1e-7)


def test_jsd_is_0_for_equal_and_1_for_disjoint_series():
    silent, left, right = np.array([0.0, 0]), np.array([3.0, 0]), np.array([0, 0.1])
    assert metrics.jsd(left, right) == 1 and metrics.jsd(left, 5 * left) == 0
    assert (
        metrics.jsd(silent, silent) == 0 and metrics.jsd(silent, left) == 1 and metrics.jsd(left, silent) == 1
    )


def test_jsd_of_all_pairs_is_zero_with_itself():
    p = gamma(5, 24)
    assert metrics.jsd(p[:, None], p[None]).shape == (5, 5)
    assert np.diag(metrics.jsd(p[:, None], p[None])) == pytest.approx(0, abs=1e-7)


# Errors and scores


def test_mae_and_rmse_are_those_found_by_hand():
    truth, made = np.array([[0.0, 2, 4, 6]]), np.array([[1.0, 2, 2, 6]])
    assert metrics.mae(truth, made).tolist() == [0.75]
    assert metrics.rmse(truth, made) == pytest.approx([np.sqrt(5 / 4)])


@pytest.mark.parametrize("samples", [2, 3, 20, 61])
def test_crps_agrees_with_scoringrules(samples):
    truth, ensemble = gamma(6, 24), gamma(6, samples, 24, seed=1)
    expected = scoringrules.crps_ensemble(truth, ensemble, m_axis=1, estimator="fair")
    np.testing.assert_allclose(metrics.crps(truth, ensemble), expected, rtol=1e-10, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(float, (2, 5, 3), elements=st.floats(0, 100)),
    hnp.arrays(float, (2, 3), elements=st.floats(0, 100)),
)
def test_crps_agrees_with_all_pairs(ensemble, truth):
    pairs = np.abs(ensemble[:, :, None] - ensemble[:, None]).sum(axis=(1, 2)) / (5 * 4)
    expected = np.abs(ensemble - truth[:, None]).mean(axis=1) - pairs / 2
    np.testing.assert_allclose(metrics.crps(truth, ensemble), expected, atol=1e-9)


def test_crps_is_unbiased_and_agrees_with_the_gaussian_closed_form():
    rng = np.random.default_rng(0)
    truth = np.full((40_000, 1), 0.7)
    few = metrics.crps(truth, rng.normal(size=(40_000, 3, 1)))
    assert few.mean() == pytest.approx(scoringrules.crps_normal(0.7, 0, 1), abs=4 * few.std() / 200)


def test_crps_of_one_sample_is_its_error():
    truth, ensemble = gamma(3, 24), gamma(3, 1, 24, seed=1)
    np.testing.assert_array_equal(metrics.crps(truth, ensemble), np.abs(truth - ensemble[:, 0]))


@pytest.mark.parametrize("samples", [2, 5, 8])
def test_energy_score_agrees_with_all_pairs(samples):
    truth, ensemble = gamma(3, 24), gamma(3, samples, 24, seed=1)
    for tile in range(3):
        x = ensemble[tile]
        spread = np.linalg.norm(x[:, None] - x[None], axis=-1).sum() / (2 * samples * (samples - 1))
        expected = np.linalg.norm(x - truth[tile], axis=1).mean() - spread
        assert metrics.energy_score(truth, ensemble)[tile] * np.sqrt(24) == pytest.approx(expected)
    plain = scoringrules.es_ensemble(
        truth, ensemble, m_axis=1, v_axis=2
    )  # divides by M^2 instead of M (M - 1)
    error = np.linalg.norm(ensemble - truth[:, None], axis=2).mean(axis=1)
    np.testing.assert_allclose(
        metrics.energy_score(truth, ensemble) * np.sqrt(24), error - (error - plain) * samples / (samples - 1)
    )


def test_energy_score_of_single_hours_is_the_crps():
    truth, ensemble = gamma(4, 1), gamma(4, 7, 1, seed=1)
    np.testing.assert_allclose(metrics.energy_score(truth, ensemble), metrics.crps(truth, ensemble)[:, 0])


# Calibration


@pytest.mark.parametrize("samples", [19, 20, 60])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_calibrated_ensemble_covers_what_it_should(samples, share):
    rng = np.random.default_rng(samples)
    truth, ensemble = rng.random((2000, 24)), rng.random((2000, samples, 24))
    assert metrics.coverage(truth, ensemble, share).mean() == pytest.approx(share, abs=0.01)


def test_a_narrow_ensemble_covers_too_little_and_a_wide_one_too_much():
    rng = np.random.default_rng(0)
    truth, ensemble = rng.normal(size=(500, 24)), rng.normal(size=(500, 40, 24))
    assert metrics.coverage(truth, 0.3 * ensemble, 0.9).mean() < 0.5
    assert metrics.coverage(truth, 3 * ensemble, 0.5).mean() > 0.8
    assert metrics.coverage(np.zeros((2, 3)), np.zeros((2, 4, 3)), 0.5).all()


def test_ranks_count_the_samples_below_the_truth():
    truth = np.array([[0.0, 5, 10]])
    ensemble = np.array([[[1.0, 4, 9], [2, 6, 9], [3, 7, 9]]])
    assert metrics.ranks(truth, ensemble).tolist() == [[0, 1, 3]]
    assert metrics.rank_histogram(truth, ensemble, bins=None) == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])


def test_ties_are_broken_evenly_and_by_seed():
    truth, ensemble = np.zeros((3000, 1)), np.zeros((3000, 4, 1))
    assert metrics.rank_histogram(truth, ensemble, bins=None) == pytest.approx(0.2, abs=0.03)
    np.testing.assert_array_equal(metrics.ranks(truth, ensemble, 3), metrics.ranks(truth, ensemble, 3))
    assert (metrics.ranks(truth, ensemble, 3) != metrics.ranks(truth, ensemble, 4)).any()


@pytest.mark.parametrize(("samples", "bins"), [(9, 10), (60, 10), (5, 10), (20, 7)])
def test_rank_histogram_of_a_calibrated_ensemble_is_flat(samples, bins):
    rng = np.random.default_rng(0)
    found = metrics.rank_histogram(rng.normal(size=(3000, 10)), rng.normal(size=(3000, samples, 10)), bins)
    assert found.sum() == pytest.approx(1) and found == pytest.approx(1 / bins, abs=0.01)


# Shape in time


def test_autocorrelation_agrees_with_its_definition():
    series = gamma(4, 168)
    found = metrics.autocorrelation(series, 30)
    for row, s in zip(found, series, strict=True):
        z = s - s.mean()
        assert row == pytest.approx([(z[:-k] * z[k:]).sum() / (z**2).sum() for k in range(1, 31)])


def test_autocorrelation_is_0_for_a_constant_and_high_at_a_period():
    assert (metrics.autocorrelation(np.full((2, 168), 0.1)) == 0).all()
    day = np.tile(np.sin(np.arange(24) / 24 * 2 * np.pi), 7)
    assert metrics.autocorrelation(day, 24)[-1] == pytest.approx(6 / 7)


def test_autocorrelation_distance_ignores_scale_and_offset():
    truth = gamma(3, 168)
    ensemble = np.stack([truth, 3 * truth + 2], axis=1)
    assert metrics.autocorrelation_distance(truth, ensemble) == pytest.approx(0, abs=1e-12)
    other = metrics.autocorrelation_distance(truth, gamma(3, 2, 168, seed=5), lags=[24])
    assert other.shape == (3,) and (other > 0).all()


@given(st.integers(0, 23), st.integers(0, 23))
def test_peak_hour_goes_round_the_clock(true, made):
    week = np.zeros((2, 168))
    week[0, true::24], week[1, made::24] = 1, 1
    assert metrics.peak_hour(week).tolist() == [true, made]
    expected = min((true - made) % 24, (made - true) % 24)
    assert metrics.peak_hour_error(week[:1], week[1:, None]) == [expected]


# Space


@pytest.mark.parametrize("radius", [1, 1.5, 2.3, 3])
def test_morans_i_agrees_with_all_pairs(radius):
    rng = np.random.default_rng(0)
    place = rng.permutation(64)[:40]
    x, y = place // 8 + 26900, place % 8 + 13600
    values = rng.gamma(1, 1, (3, 40))
    found = metrics.morans_i(values, x, y, radius)
    assert found == pytest.approx([brute_force_morans_i(v, x, y, radius) for v in values])


def test_neighbours_do_not_wrap_round_columns():
    first, second = metrics.neighbour_pairs([0, 1], [0, 5])
    assert len(first) == len(second) == 0
    first, second = metrics.neighbour_pairs([0, 1, 1], [1, 0, 5])
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_morans_i_of_known_patterns():
    x, y = (v.reshape(-1) for v in np.meshgrid(np.arange(8), np.arange(8)))
    assert metrics.morans_i((x + y) % 2, x, y, radius=1) == pytest.approx(-1)
    assert metrics.morans_i(x, x, y) > 0.6
    assert np.isnan(metrics.morans_i(np.ones(64), x, y)) and np.isnan(
        metrics.morans_i([1, 2], [0, 9], [0, 0])
    )


# Patterns


def test_patterns_are_found_again_and_what_follows_them_is_nearer_to_its_own():
    hour = np.arange(168)
    rng = np.random.default_rng(0)
    kinds = [np.exp(-(((hour % 24) - peak) ** 2) / 8) + 0.05 for peak in (9, 20)]
    truth = np.array([kinds[i % 2] * rng.gamma(5, 1) * rng.uniform(0.95, 1.05, 168) for i in range(40)])
    patterns = metrics.traffic_patterns(truth)
    assert set(patterns) - {-1} == {0, 1} and (patterns >= 0).mean() > 0.6
    assert all(len(set(patterns[kind::2]) - {-1}) == 1 for kind in (0, 1))
    guided = metrics.controllability(truth, truth, patterns)
    assert guided["jsd_same_pattern"] < 0.1 < guided["jsd_other_patterns"]
    swapped = metrics.controllability(truth, truth.reshape(20, 2, 168)[:, ::-1].reshape(40, 168), patterns)
    assert swapped["jsd_same_pattern"] > swapped["jsd_other_patterns"]
    assert np.isnan(metrics.controllability(truth, truth, np.zeros(40, int))["jsd_same_pattern"])
    assert metrics.traffic_patterns(truth[:1]).tolist() == [-1]


# All of them


def test_r2_agrees_with_sklearn():
    truth, made = gamma(50), gamma(50, seed=1)
    assert metrics.r2(truth, made) == pytest.approx(r2_score(truth, made))
    assert np.isnan(metrics.r2(np.ones(3), made[:3]))


def test_score_agrees_with_its_parts():
    truth, ensemble = gamma(12, 168), gamma(12, 9, 168, seed=1)
    x, y = np.arange(12) // 4, np.arange(12) % 4
    found = metrics.score(truth, ensemble, x, y)
    median = np.median(ensemble, axis=1)
    assert found["mae"] == pytest.approx(np.abs(truth - median).mean())
    assert found["nmae"] == pytest.approx(found["mae"] / truth.mean())
    assert found["ncrps"] == pytest.approx(metrics.crps(truth, ensemble).mean() / truth.mean())
    assert found["bias"] == pytest.approx(ensemble.mean() / truth.mean() - 1)
    level = np.log(truth.mean(axis=1))
    assert found["level_r2"] == pytest.approx(r2_score(level, np.log(ensemble.mean(axis=2)).mean(axis=1)))
    assert found["morans_i_true"] == pytest.approx(brute_force_morans_i(truth.mean(axis=1), x, y, 1.5))
    assert all(isinstance(value, float) and np.isfinite(value) for value in found.values())


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 1e4), st.integers(0, 100))
def test_normalised_figures_do_not_depend_on_the_unit(factor, seed):
    truth, ensemble = gamma(5, 48, seed=seed), gamma(5, 6, 48, seed=seed + 1)
    plain, scaled = metrics.score(truth, ensemble), metrics.score(factor * truth, factor * ensemble)
    for name in set(plain) - {"mae", "rmse", "crps", "energy"}:
        assert scaled[name] == pytest.approx(plain[name], rel=1e-6, abs=1e-9), name
    for name in ("mae", "rmse", "crps", "energy"):
        assert scaled[name] == pytest.approx(factor * plain[name])


def test_the_shape_figures_ignore_the_level_of_each_series():
    truth, ensemble = gamma(5, 48), gamma(5, 6, 48, seed=1)
    louder = metrics.score(truth * np.arange(1, 6)[:, None], ensemble * np.arange(1, 7)[:, None])
    plain = metrics.score(truth, ensemble)
    for name in ("shape_mae", "shape_rmse", "shape_crps", "acf_distance", "peak_hour_error"):
        assert louder[name] == pytest.approx(plain[name])


def test_an_ensemble_of_the_truth_has_no_error():
    truth = gamma(5, 168)
    found = metrics.score(truth, np.repeat(truth[:, None], 4, axis=1))
    for name in (
        "jsd",
        "mae",
        "rmse",
        "crps",
        "energy",
        "shape_crps",
        "acf_distance",
        "peak_hour_error",
        "bias",
    ):
        assert found[name] == pytest.approx(0, abs=1e-6), name
    assert found["level_r2"] == pytest.approx(1) and found["coverage_50"] == 1


def test_a_silent_truth_has_no_normalised_figures():
    found = metrics.score(np.zeros((2, 48)), gamma(2, 3, 48))
    assert np.isnan(found["nmae"]) and np.isnan(found["level_r2"]) and found["jsd"] == 1 and found["mae"] > 0


@pytest.mark.parametrize("shape", [(3, 4, 24), (2, 4, 23), (2, 24), (2, 0, 24)])
def test_shapes_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match=r"must be|nothing to score"):
        metrics.crps(np.ones((2, 24)), np.ones(shape))


def test_daily_autocorrelations_are_judged_as_an_ensemble():
    rng = np.random.default_rng(6)
    truth, ensemble = rng.gamma(2.0, 1.0, (3, 72)), rng.gamma(2.0, 1.0, (3, 5, 72))

    def lag_24(series):
        z = series - series.mean()
        return (z[24:] * z[:-24]).sum() / (z**2).sum()

    true = np.array([lag_24(week) for week in truth])
    made = np.array([[lag_24(week) for week in weeks] for weeks in ensemble])
    figures = metrics.score(truth, ensemble)
    assert figures["acf24_of_median"] == pytest.approx(np.abs(np.median(made, axis=1) - true).mean())
    pairs = np.abs(made[:, :, None] - made[:, None]).sum(axis=(1, 2)) / (5 * 4)
    assert figures["acf24_crps"] == pytest.approx(
        (np.abs(made - true[:, None]).mean(axis=1) - pairs / 2).mean()
    )
