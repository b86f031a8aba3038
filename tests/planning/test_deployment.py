"""Deployment: exact totals, brute force for the covering model, hand-worked judging, conservation of movers."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.spatial.distance import jensenshannon
from shapely.geometry import Point, box, mapping, shape

from planning.demand import Demand, Scale
from planning.deployment import (
    PROPORTIONAL,
    STRATEGIES,
    available,
    compare,
    count_sites_in_tiles,
    density,
    deploy,
    gravity_step,
    largest_remainder,
    maximal_covering,
    mobility_coverage,
)
from planning.errors import InputError
from planning.geometry import distances_m, local_metres, tile_corner
from planning.placement import lattice, place

from .conftest import X0, Y0, make_table


@settings(max_examples=200, deadline=None)
@given(
    weights=st.lists(st.floats(0, 1e9, allow_subnormal=False), min_size=1, max_size=60).filter(
        lambda w: sum(w) > 1e-3
    ),
    total=st.integers(0, 5000),
)
def test_largest_remainder_is_exact_and_within_one_of_the_quota(weights, total):
    out = largest_remainder(weights, total)
    quota = np.array(weights) / np.sum(weights) * total
    assert out.sum() == total and (out >= 0).all()
    assert (np.abs(out - quota) < 1 + 1e-6).all()
    heavier = np.array(weights)
    order = np.argsort(heavier, kind="stable")
    assert (np.diff(out[order]) >= -1).all()  # a heavier tile never gets more than one less


def test_largest_remainder_by_hand():
    # the textbook case of Hamilton's method: quotas 4.7 1.6 1.59 .. of 10 seats
    assert largest_remainder([47, 16, 15.9, 12, 6, 3.1], 10).tolist() == [5, 2, 1, 1, 1, 0]
    assert largest_remainder([1, 1, 1], 2).tolist() == [1, 1, 0]
    assert largest_remainder([0, 5], 3).tolist() == [0, 3]
    with pytest.raises(InputError, match="not all 0"):
        largest_remainder([0, 0], 3)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_places_exactly_n_sites_in_its_tiles(demand, strategy):
    plan = deploy(demand, 17, strategy, time_limit=10)
    assert plan.counts.sum() == 17 and len(plan.network.sites) == 17
    sites = plan.network.sites
    np.testing.assert_array_equal(count_sites_in_tiles(demand, sites["lon"], sites["lat"]), plan.counts)
    if strategy in PROPORTIONAL:
        np.testing.assert_array_equal(plan.counts, largest_remainder(density(demand, strategy), 17))
    again = deploy(demand, 17, strategy, time_limit=10)
    assert again.network.sites.equals(sites)


def test_strategies_need_their_intensities():
    table = make_table(intensities=False)
    demand = Demand.build(table)
    assert available(demand) == ("traffic", "uniform", "optimised") == available(table)
    with pytest.raises(InputError, match="holds no business_poi intensity"):
        deploy(demand, 3, "business")
    with pytest.raises(InputError, match="Unknown deployment strategy"):
        deploy(demand, 3, "random")
    with pytest.raises(InputError, match="number of sites"):
        deploy(demand, 0)


@pytest.mark.parametrize("n", range(1, 30))
def test_lattice_points_are_apart_and_inside(n):
    points = lattice(n)
    assert points.shape == (n, 2) and (points > 0).all() and (points < 1).all()
    if n > 1:
        apart = distances_m(points, points)[~np.eye(n, dtype=bool)].min()
        assert apart >= 0.6 / np.ceil(np.sqrt(n))
    np.testing.assert_allclose(points.mean(axis=0), 0.5, atol=0.13)


def test_sites_of_a_partly_covered_tile_stand_inside_the_area():
    west, north = tile_corner(X0, Y0)
    east, south = tile_corner(X0 + 1, Y0 + 1)
    area = mapping(box(west, south, west + 0.3 * (east - west), north))
    lon, lat, tile = place([X0], [Y0], [5], area)
    assert (tile == 0).all() and len({(a, b) for a, b in zip(lon, lat, strict=True)}) == 5
    assert all(shape(area).covers(Point(a, b)) for a, b in zip(lon, lat, strict=True))
    whole, _, _ = place([X0], [Y0], [5], {"type": "nonsense"})
    assert (whole > west).all() and (whole < east).all()


def toy(levels) -> tuple[Demand, np.ndarray]:
    """Tiles in a row with the given Mbit/s in every hour."""
    from planning.traffic import TrafficTable

    levels = np.asarray(levels, float)
    x = X0 + np.arange(len(levels))
    table = TrafficTable.from_arrays(x, np.full(len(levels), Y0), np.repeat(levels[:, None], 24, axis=1))
    return Demand.build(table, Scale("x", 1.0, 1.0, "x")), levels


def brute_cover(demand, peak, sites, radius_m, capacity, per_tile) -> float:
    points = local_metres(demand.lon, demand.lat, (float(demand.lon.mean()), float(demand.lat.mean())))
    near = distances_m(points, points) <= radius_m
    tiles = len(peak)
    tile, site = np.nonzero(near)
    a = np.zeros((2 * tiles, len(tile)))
    a[tile, np.arange(len(tile))] = 1
    a[tiles + site, np.arange(len(tile))] = 1
    best = 0.0
    for counts in itertools.product(range(per_tile + 1), repeat=tiles):
        if sum(counts) == sites:
            answer = linprog(
                -np.ones(len(tile)), A_ub=a, b_ub=np.concatenate([peak, capacity * np.array(counts)])
            )
            best = max(best, -answer.fun)
    return best


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("solver", ["highs", "cbc"])
def test_covering_equals_brute_force(seed, solver):
    rng = np.random.default_rng(seed)
    demand, peak = toy(rng.uniform(5, 100, 6).round(1))
    radius = [0, 1000, 1000, 2000, 1000][seed]
    cover = maximal_covering(demand, peak, 3, radius, 80.0, per_tile=2, solver=solver, gap=0)
    assert cover.solve.status == "optimal" and cover.counts.sum() == 3
    best = brute_cover(demand, peak, 3, radius, 80.0, 2)
    assert cover.served_mbps == pytest.approx(best)
    assert cover.solve.objective == pytest.approx(best)


def test_more_sites_than_needed_are_spread_not_lost():
    demand, peak = toy([10.0, 20.0, 0.0, 5.0])
    cover = maximal_covering(demand, peak, 9, 500.0, 100.0, per_tile=3)
    assert cover.counts.sum() == 9 and cover.served_mbps == pytest.approx(35) and (cover.counts <= 3).all()
    with pytest.raises(InputError, match="cannot hold"):
        maximal_covering(demand, peak, 13, 500.0, 100.0, per_tile=3)
    with pytest.raises(InputError, match="radius"):
        maximal_covering(demand, peak, 3, -1.0, 100.0)


def test_optimised_serves_at_least_as_much_as_traffic_proportional(demand):
    plan = deploy(demand, 6, "optimised", radius_m=800, site_capacity_mbps=900, gap=0)
    busy = demand.busy_hour(24, 0.9)
    peak = demand.profile(24, 0.9)[:, busy]
    proportional = largest_remainder(density(demand, "traffic"), 6)
    own_tile_only = np.minimum(peak, proportional * 900).sum()
    assert plan.served_mbps >= own_tile_only - 1e-6
    assert plan.solve.status == "optimal" and "busy-hour traffic" in plan.sentence


def test_judging_against_scipy():
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
    after = users
    for _ in range(3):
        after = gravity_step(points, after, share, block=7)
    assert after.sum() == pytest.approx(users.sum(), rel=1e-9, abs=1e-9)
    assert (after >= -1e-9).all()


def test_gravity_by_hand_and_by_symmetry():
    points = np.array([[0.0, 0], [1000, 0], [3000, 0]])
    users = np.array([100.0, 200.0, 300.0])
    # from 0: 200/1 against 300/9; from 1: 100/1 against 300/4; from 2: 100/9 against 200/4
    w0, w1, w2 = 200 / (200 + 300 / 9), 100 / (100 + 75), (100 / 9) / (100 / 9 + 50)
    by_hand = [90 + 20 * w1 + 30 * w2, 180 + 10 * w0 + 30 * (1 - w2), 270 + 10 * (1 - w0) + 20 * (1 - w1)]
    np.testing.assert_allclose(gravity_step(points, users, 0.1), by_hand)
    square = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]]) * 500
    np.testing.assert_allclose(gravity_step(square, np.full(4, 7.0), 0.3), 7.0)
    np.testing.assert_allclose(gravity_step(points[:1], users[:1], 0.3), 100.0)


def test_mobility_coverage_at_rest_is_the_plain_share():
    x, y = np.array([X0, X0 + 1, X0 + 5]), np.full(3, Y0)
    users = np.array([6000.0, 1500.0, 2500.0])
    table = mobility_coverage(x, y, users, [1, 1, 0])
    assert table["step"].tolist() == [0, 30, 50]
    assert table["covered_share"].iloc[0] == pytest.approx((3000 + 1500) / 10000)
    assert mobility_coverage(x, y, users, [9, 9, 9])["covered_share"].tolist() == [1, 1, 1]
    still = mobility_coverage(x, y, users, [1, 1, 0], moving_share=0.0)["covered_share"]
    assert still.nunique() == 1
    with pytest.raises(InputError, match="same tiles"):
        mobility_coverage(x, y, users, [1, 1])


def test_real_traffic_deploys(real_traffic):
    from planning.traffic import TrafficTable

    table = TrafficTable.read(real_traffic)
    plan = deploy(Demand.build(table), 300, "traffic")
    assert plan.counts.sum() == 300 and "300 sites in proportion to traffic" in plan.sentence
