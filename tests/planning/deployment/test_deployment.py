"""Deployment: exact totals, over tiles and over areas; places inside tiles and inside the area."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Point, box, mapping, shape

from planning.demand import Demand
from planning.deployment import (
    PROPORTIONAL,
    STRATEGIES,
    area_blocks,
    available,
    density,
    deploy,
    largest_remainder,
    proportional,
)
from planning.deployment.placement import lattice, place
from planning.deployment.siting import SitingSettings
from planning.errors import InputError
from planning.geometry import distances_m, tile_corner
from tests.planning.conftest import X0, Y0, make_table

QUICK = SitingSettings(time_limit=2, radius_m=1500)


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
    plan = deploy(demand, 17, strategy, siting=QUICK)
    assert plan.counts.sum() == 17 and len(plan.network.sites) == 17
    sites = plan.network.sites
    np.testing.assert_array_equal(demand.count_in_tiles(sites["lon"], sites["lat"]), plan.counts)
    if strategy in PROPORTIONAL:
        np.testing.assert_array_equal(plan.counts, largest_remainder(density(demand, strategy), 17))
    again = deploy(demand, 17, strategy, siting=QUICK)
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


@pytest.mark.slow
def test_real_traffic_deploys(real_traffic):
    from planning.traffic import TrafficTable

    table = TrafficTable.read(real_traffic)
    plan = deploy(Demand.build(table), 300, "traffic")
    assert plan.counts.sum() == 300 and "300 sites in proportion to traffic" in plan.sentence


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), sites=st.integers(0, 3000), side=st.integers(1, 9))
def test_areas_get_their_quota_first_and_totals_are_exact(seed, sites, side):
    rng = np.random.default_rng(seed)
    x, y = (v.ravel() for v in np.meshgrid(np.arange(12), np.arange(8)))
    weights = rng.lognormal(0, 1, len(x)) * (rng.random(len(x)) < 0.7)
    areas = area_blocks(x + X0, y + Y0, side)
    assert areas.max() + 1 == -(-12 // side) * -(-8 // side)
    if not weights.sum():
        return
    counts = proportional(weights, areas, sites)
    assert counts.sum() == sites and (counts[weights == 0] == 0).all()
    quota = np.bincount(areas, weights) / weights.sum() * sites
    assert (np.abs(np.bincount(areas, counts) - quota) < 1 + 1e-6).all()


def test_one_tile_an_area_is_the_plain_strategy_and_the_plan_says_what_it_did(demand):
    weights = density(demand, "traffic")
    np.testing.assert_array_equal(
        proportional(weights, area_blocks(demand.x, demand.y, 1), 29), largest_remainder(weights, 29)
    )
    plan = deploy(demand, 29, "traffic", area_tiles=2)
    assert plan.counts.sum() == 29 and "areas of 2 x 2 tiles" in plan.sentence
    with pytest.raises(InputError, match="at least 1 tile"):
        deploy(demand, 29, "traffic", area_tiles=0)
    with pytest.raises(InputError, match="Give the number of sites"):
        deploy(demand, None, "traffic")
