from functools import cache

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from opendiff import metrics
from opendiff.evaluation.reference_features import reference_features
from opendiff.evaluation.references import (
    MeanProfile,
    NearestTiles,
    RandomTiles,
    Scaling,
    TreeLevel,
    TreesRidgeShape,
    _leverage,
    held_out,
    other_days,
    references,
)
from opendiff.open_data.sources import PackSource


def world(tiles=120, seed=0):
    """Level follows the first feature, peak hour the second; a fifth of the tiles lack three features."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(tiles, 6))
    level = np.exp(features[:, 0] + 0.3 * rng.normal(size=tiles))
    peak = np.where(features[:, 1] > 0, 9, 20)[:, None]
    hour = np.arange(168) % 24
    shape = 0.1 + np.exp(-((hour - peak) ** 2) / 18) * rng.lognormal(0, 0.1, (tiles, 168))
    features[: tiles // 5, 3:] = np.nan
    return features, level[:, None] * shape / shape.mean(axis=1, keepdims=True)


FEATURES, TRAFFIC = world()
NEW_FEATURES, NEW_TRAFFIC = world(60, seed=1)


@cache
def fitted_on_the_world(name):
    return references()[name].fit(FEATURES, TRAFFIC)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(references()))
def test_every_reference_keeps_the_contract(name):
    fitted = fitted_on_the_world(name)
    made = fitted.sample(NEW_FEATURES, 7, seed=3)
    assert made.shape == (60, 7, 168) and made.dtype == np.float32
    assert np.isfinite(made).all() and made.min() >= 0
    np.testing.assert_array_equal(made, fitted.sample(NEW_FEATURES, 7, seed=3))
    if name != "mean profile":
        assert (made != fitted.sample(NEW_FEATURES, 7, seed=4)).any()


@pytest.mark.slow
def test_references_that_look_at_features_beat_those_that_do_not():
    score = {
        name: metrics.score(NEW_TRAFFIC, fitted_on_the_world(name).sample(NEW_FEATURES, 40))
        for name in references()
    }
    blind = score["random tiles"]
    for name in set(score) - {"random tiles", "mean profile"}:
        assert score[name]["ncrps"] < 0.85 * blind["ncrps"], name
        assert score[name]["level_r2"] > 0.45, name
    full = score["extra-trees level x ridge shape"]
    assert 0.8 < full["level_coverage_90"] <= 1
    assert full["peak_hour_error"] < 0.6 * blind["peak_hour_error"]


def test_random_tiles_are_training_weeks():
    made = RandomTiles().fit(FEATURES, TRAFFIC).sample(NEW_FEATURES, 5)
    known = {week.tobytes() for week in TRAFFIC.astype(np.float32)}
    assert all(week.tobytes() in known for week in made.reshape(-1, 168))


def test_the_mean_profile_is_that_of_the_training_tiles():
    made = MeanProfile().fit(FEATURES, TRAFFIC).sample(NEW_FEATURES, 2)
    np.testing.assert_allclose(made[11, 1], TRAFFIC.mean(axis=0), rtol=1e-6)


def test_nearest_tiles_agree_with_brute_force():
    features = FEATURES[24:]  # nothing unknown: plain standardised Euclidean distance
    made = NearestTiles(3).fit(features, TRAFFIC[24:]).sample(features[:10], 200)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    for tile in range(10):
        nearest = np.argsort(((scaled - scaled[tile]) ** 2).sum(axis=1))[:3]
        expected = {week.tobytes() for week in TRAFFIC[24:][nearest].astype(np.float32)}
        assert {week.tobytes() for week in made[tile]} == expected


def test_fewer_tiles_than_neighbours_are_enough():
    made = NearestTiles(10).fit(FEATURES[:4], TRAFFIC[:4]).sample(NEW_FEATURES, 3)
    assert made.shape == (60, 3, 168)


def test_scaling_flags_what_is_unknown_together():
    scaling = Scaling.of(FEATURES)
    scaled = scaling(FEATURES)
    assert scaled.shape == (120, 7)  # three features are unknown together: one flag
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled[:, [0, 1, 2, 6]].std(axis=0), 1)
    assert (scaled[:24, 3:6] == 0).all() and len(np.unique(scaled[:, 6])) == 2
    assert Scaling.of(np.full((5, 2), np.nan))(np.ones((3, 2))).shape == (3, 2)
    assert np.isfinite(Scaling.of(np.ones((5, 2)))(np.ones((3, 2)))).all()


def test_spread_scales_the_levels_and_leaves_their_centre():
    levels = {
        s: np.cbrt(TreeLevel(s, 100).fit(FEATURES, TRAFFIC).sample(NEW_FEATURES, 4000)) for s in (0, 0.5, 1)
    }
    assert (levels[0].std(axis=1) < 1e-9).all()
    busy = levels[0].mean(axis=1) > 0.8  # far from zero, where no level is cut off
    np.testing.assert_allclose(levels[1][busy].std(axis=1), 2 * levels[0.5][busy].std(axis=1), rtol=0.1)


def test_leverage_gives_the_error_of_leaving_one_out():
    features, target = NEW_FEATURES[12:, :3], NEW_TRAFFIC[12:, :1]
    ridge = Ridge(7.0).fit(features, target)
    left_out = (target - ridge.predict(features).reshape(-1, 1)) / (1 - _leverage(features, 7.0))[:, None]
    expected = target - cross_val_predict(Ridge(7.0), features, target, cv=LeaveOneOut()).reshape(-1, 1)
    np.testing.assert_allclose(left_out, expected, rtol=1e-8)


def test_generated_shapes_have_the_spread_of_true_ones():
    made = TreesRidgeShape().fit(FEATURES, TRAFFIC).sample(NEW_FEATURES, 30)
    shapes = [series / series.mean(axis=-1, keepdims=True) for series in (NEW_TRAFFIC, made)]
    assert np.log(shapes[1] + 0.05).std() == pytest.approx(np.log(shapes[0] + 0.05).std(), rel=0.1)


class Spy:
    """Remembers which tiles it was fitted on and returns the mean of none of the tiles it is asked for."""

    def fit(self, features, traffic):
        self.seen = set(features[:, 0])
        return self

    def sample(self, features, samples, seed=0):
        assert not self.seen & set(features[:, 0])
        return np.repeat(features[:, :1, None], samples, axis=1) * np.ones(168)


def test_no_tile_is_seen_before_it_is_sampled():
    made = held_out(Spy(), FEATURES, TRAFFIC, np.arange(120) % 5, samples=3)
    np.testing.assert_allclose(made[:, 1, 5], FEATURES[:, 0], rtol=1e-6)


def test_other_days_leave_out_the_day_itself():
    found = other_days(TRAFFIC)
    assert found.shape == (120, 6, 168)
    days = TRAFFIC[7].reshape(7, 24)
    np.testing.assert_allclose(np.sort(found[7, :, 3 * 24 + 5]), np.sort(np.delete(days[:, 5], 3)))


@pytest.mark.slow
def test_on_nanchang_the_order_of_the_references_is_as_published(nanchang_pack):
    source = PackSource(nanchang_pack)
    tiles = source.all_tiles()
    traffic, _, known = source.traffic(tiles)
    tiles, traffic = tiles[known].reset_index(drop=True), traffic[known].astype(float)
    features, folds = reference_features(source.open_data(tiles)), source.folds(tiles)
    kinds = references()
    chosen = ("random tiles", "10 nearest tiles", "extra-trees level x 20 nearest shapes")
    ncrps = [
        metrics.crps(traffic, held_out(kinds[name], features, traffic, folds, 20)).mean() / traffic.mean()
        for name in chosen
    ]
    ncrps.append(metrics.crps(traffic, other_days(traffic)).mean() / traffic.mean())
    assert ncrps == sorted(ncrps, reverse=True)
    assert 0.5 < ncrps[0] < 0.62 and 0.35 < ncrps[1] < 0.45 and 0.08 < ncrps[3] < 0.11
