"""Coupled loads against closed forms and a plain fixed point of the same equations."""

import numpy as np
import pytest

from planning.coverage import Coverage, RadioSettings, coupled_loads
from planning.errors import InputError
from tests.planning.coverage.making import network_at, three_sectors, tiles_around

SMALL = RadioSettings(pixel_m=200, indoor_share=0.3)


@pytest.fixture(scope="module")
def city():
    return Coverage.of(three_sectors(8, seed=4), *tiles_around(2)[:2], SMALL)


def test_one_cell_alone_has_the_load_of_its_traffic_over_its_rates():
    x, y, _ = tiles_around()
    coverage = Coverage.of(network_at(0, 0), x, y, SMALL)
    demand = np.array([[10.0, 40.0]])
    loads = coupled_loads(coverage, demand)
    rate = [coverage.rate_mbps(np.zeros(1), indoors=indoors) for indoors in (False, True)]
    weight = coverage.grid.weight
    time = sum((part * weight[r > 0] / r[r > 0]).sum() for part, r in zip((0.7, 0.3), rate, strict=True))
    np.testing.assert_allclose(loads.load, time * demand, rtol=1e-4)
    assert loads.converged


def test_loads_are_a_fixed_point_of_brute_force(city):
    rng = np.random.default_rng(0)
    demand = rng.uniform(5, 60, (4, 1))
    found = coupled_loads(city, demand)
    load = found.load[:, 0]
    users = city.pixel_values(demand[:, 0])
    rates = {
        (indoors, c): city.rate_mbps(load, carrier=c, indoors=bool(indoors))
        for indoors in (0, 1)
        for c in (0, 1)
    }
    server = [city.best_server(carrier=c) for c in (0, 1)]
    expected = np.zeros(len(city.cells))
    for pixel in range(len(city.grid)):
        for indoors in (0, 1):
            both = [rates[indoors, c][pixel] for c in (0, 1)]
            for c in (0, 1):
                if both[c] > 0:
                    expected[server[c][pixel]] += (0.7, 0.3)[indoors] * users[pixel] / sum(both)
    np.testing.assert_allclose(load, expected, atol=0.01)
    assert load.max() > 0.05


def test_all_traffic_is_served_or_counted_as_unserved(city):
    demand = np.random.default_rng(1).uniform(0, 400, (4, 3))
    found = coupled_loads(city, demand)
    assert found.converged
    total = found.served_mbps.sum(axis=0) + found.unserved_mbps.sum(axis=0)
    np.testing.assert_allclose(total, demand.sum(axis=0), rtol=2e-3)
    assert found.overload_mbps.sum() > 0
    assert (found.served_mbps <= found.offered_mbps + 1e-9).all()
    over = found.load > 1
    np.testing.assert_allclose((found.served_mbps * found.load)[over], found.offered_mbps[over])


def test_loads_rise_with_the_demand_and_the_fixed_point_needs_no_start(city):
    demand = np.random.default_rng(2).uniform(5, 80, (4, 1))
    week = np.concatenate([demand, 2 * demand, demand], axis=1)
    found = coupled_loads(city, week).load
    assert (found[:, 1] >= found[:, 0] - 1e-3).all()
    np.testing.assert_allclose(found[:, 0], found[:, 2], atol=0.01)  # from another start


def test_a_sleeping_cell_carries_nothing_and_its_neighbours_more(city):
    demand = np.full((4, 2), 40.0)
    awake = np.ones((len(city.cells), 2), bool)
    awake[:3, 1] = False
    found = coupled_loads(city, demand, awake)
    assert (found.load[:3, 1] == 0).all()
    assert found.offered_mbps[3:, 1].sum() > found.offered_mbps[3:, 0].sum()


def test_nothing_to_serve_and_nobody_awake(city):
    quiet = coupled_loads(city, np.zeros((4, 1)))
    assert quiet.load.max() == 0 and quiet.served_share.tolist() == [1.0]
    dark = coupled_loads(city, np.ones((4, 1)), np.zeros((len(city.cells), 1), bool))
    assert dark.uncovered_mbps.sum() == pytest.approx(4) and dark.served_share[0] == pytest.approx(0)


def test_wrong_shapes_are_refused(city):
    with pytest.raises(InputError, match="each of the 4 tiles"):
        coupled_loads(city, np.ones((3, 2)))
    with pytest.raises(InputError, match="48 cells in 2 hours"):
        coupled_loads(city, np.ones((4, 2)), np.ones((48, 1), bool))
