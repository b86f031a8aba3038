"""Judging: scipy's Jensen-Shannon distance, gravity by hand and by symmetry, users kept, strategies side by side."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from planning.deployment import density, judging, largest_remainder
from planning.deployment.judging import (
    compare,
    covered_share,
    gravity_step,
    inverse_square,
    judge,
    moved_users,
)
from planning.errors import InputError
from tests.planning.conftest import X0, Y0


def test_distances_between_deployments_are_those_of_scipy():
    rng = np.random.default_rng(1)
    p, q = rng.integers(0, 9, 40), rng.integers(1, 9, 40)
    match = compare(p, q)
    assert match.jsd == pytest.approx(jensenshannon(p, q, 2))
    assert match.cosine == pytest.approx(p @ q / np.linalg.norm(p) / np.linalg.norm(q))
    assert compare(p, 3 * p).jsd == pytest.approx(0, abs=1e-7) and compare(p, p).cosine == pytest.approx(1)
    assert compare([1, 0], [0, 1]).jsd == pytest.approx(1) and compare([1, 0], [0, 1]).cosine == 0
    with pytest.raises(InputError, match="same tiles"):
        compare([1, 2], [1, 2, 3])
    with pytest.raises(InputError, match="at least one"):
        compare([0, 0], [1, 2])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), tiles=st.integers(1, 40), share=st.floats(0, 1))
def test_gravity_conserves_users(seed, tiles, share):
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 6, (tiles, 2)) * 1000.0  # some tiles fall on one place
    users = rng.uniform(0, 5000, tiles) * (rng.random(tiles) < 0.8)
    after, pull_of = users, inverse_square(points, block=7)
    for _ in range(3):
        after = gravity_step(pull_of, after, share)
    assert after.sum() == pytest.approx(users.sum(), rel=1e-9, abs=1e-9)
    assert (after >= -1e-9).all()


def test_gravity_by_hand_and_by_symmetry():
    points = np.array([[0.0, 0], [1000, 0], [3000, 0]])
    users = np.array([100.0, 200.0, 300.0])
    # from 0: 200/1 against 300/9; from 1: 100/1 against 300/4; from 2: 100/9 against 200/4
    w0, w1, w2 = 200 / (200 + 300 / 9), 100 / (100 + 75), (100 / 9) / (100 / 9 + 50)
    by_hand = [90 + 20 * w1 + 30 * w2, 180 + 10 * w0 + 30 * (1 - w2), 270 + 10 * (1 - w0) + 20 * (1 - w1)]
    np.testing.assert_allclose(gravity_step(inverse_square(points), users, 0.1), by_hand)
    square = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]]) * 500
    np.testing.assert_allclose(gravity_step(inverse_square(square), np.full(4, 7.0), 0.3), 7.0)
    np.testing.assert_allclose(gravity_step(inverse_square(points[:1]), users[:1], 0.3), 100.0)


def test_a_site_covers_3000_users_of_its_own_tile():
    users = np.array([6000.0, 1500.0, 2500.0])
    assert covered_share(users, [1, 1, 0]) == pytest.approx((3000 + 1500) / 10000)
    assert covered_share(users, [9, 9, 9]) == 1
    with pytest.raises(InputError, match="same tiles"):
        covered_share(users, [1, 1])


def test_users_move_only_if_some_leave():
    x, y = np.array([X0, X0 + 1, X0 + 5]), np.full(3, Y0)
    users = np.array([6000.0, 1500.0, 2500.0])
    moved = moved_users(x, y, users)
    assert list(moved) == [0, 30, 50]
    np.testing.assert_array_equal(moved[0], users)
    assert not np.allclose(moved[50], users)
    np.testing.assert_array_equal(moved_users(x, y, users, moving_share=0.0)[50], users)
    with pytest.raises(InputError, match="same tiles"):
        moved_users(x, y, users[:2])


def test_what_flows_between_equal_masses_is_equal():
    # four equal tiles in a mirrored row: what 0 sends to 1 is what 3 sends to 2, and the row stays mirrored
    points = np.array([[0.0, 0], [1000, 0], [3000, 0], [4000, 0]])
    after = np.full(4, 500.0)
    for _ in range(30):
        after = gravity_step(inverse_square(points), after, 0.2)
    np.testing.assert_allclose(after, after[::-1], rtol=1e-12)
    pair = gravity_step(inverse_square(points[:2]), np.array([500.0, 500.0]), 0.2)
    np.testing.assert_allclose(pair, 500.0, rtol=1e-12)


def test_pulls_in_blocks_are_those_of_the_whole_matrix(monkeypatch):
    rng = np.random.default_rng(3)
    points, users = rng.random((40, 2)) * 9000, rng.random(40)
    whole = inverse_square(points)(users)
    monkeypatch.setattr(judging, "MAX_KEPT", 10)
    np.testing.assert_allclose(inverse_square(points, block=7)(users), whole, rtol=1e-12)
    apart = ((points[:, None] - points[None]) ** 2).sum(axis=2) + np.diag(np.full(40, np.inf))
    np.testing.assert_allclose(whole, (users / apart).sum(axis=1))


def test_ten_tiles_at_one_place_keep_their_users():
    users = np.arange(1.0, 11)
    moved = moved_users(np.full(10, X0), np.full(10, Y0), users)
    np.testing.assert_array_equal(moved[50], users)


def test_strategies_are_judged_side_by_side(demand):
    counts = {s: largest_remainder(density(demand, s), 40) for s in ("traffic", "uniform")}
    real = largest_remainder(density(demand, "poi"), 60)
    table = judge(demand, counts, real).set_index("strategy")
    assert list(table["sites"]) == [40, 40]
    match = compare(counts["traffic"], real)
    assert (table.loc["traffic", "jsd_real"], table.loc["traffic", "cosine_real"]) == (
        match.jsd,
        match.cosine,
    )
    assert table.loc["traffic", "jsd_traffic"] < table.loc["uniform", "jsd_traffic"]
    users = demand.users.mean(axis=(1, 2), dtype=float) * 10  # one subscriber in ten is active
    moved = moved_users(demand.x, demand.y, users)
    for step in (0, 30, 50):
        alone = covered_share(moved[step], counts["uniform"])
        assert table.loc["uniform", f"covered_{step}"] == pytest.approx(alone)
    assert "jsd_real" not in judge(demand, counts)
