"""Utilisation of a whole network: conservation, a cell by hand, hot spots, measures tried in the radio model."""

import numpy as np
import pytest

from planning.coverage import RadioSettings
from planning.demand import Demand, Scale
from planning.errors import InputError
from planning.prb import network_utilisation, relief_of
from planning.prb.relief import MEASURES, sentences_of
from tests.planning.coverage.making import network_at, three_sectors, tiles_around

SETTINGS = RadioSettings(pixel_m=100)


def made_demand(side, mbps) -> Demand:
    """mbps: (hours,) of each tile."""
    x, y, _ = tiles_around(side)
    values = np.broadcast_to(np.asarray(mbps, np.float32), (len(x), 1, len(mbps)))
    return Demand(x, y, values, values / 2, np.ones(len(x)), Scale("measured", 1.0, 1.0, "Made."))


@pytest.fixture(scope="module")
def found():
    """Nine tiles, six sites with three sectors on two carriers, a quiet hour and one beyond what they carry."""
    return network_utilisation(
        three_sectors(6, 1, 2500), made_demand(3, [20, 400]), [0, 1], SETTINGS, downlink_share=1.0
    )


def test_traffic_is_served_or_missing(found):
    table = found.by_hour()
    np.testing.assert_allclose(table["served_mbps"] + table["missing_mbps"], [9 * 20, 9 * 400], rtol=1e-5)
    np.testing.assert_allclose(table["uncovered_mbps"] + table["overload_mbps"], table["missing_mbps"])
    cells = found.cells()
    np.testing.assert_allclose(cells.groupby("hour")["served_mbps"].sum(), table["served_mbps"], rtol=1e-3)
    assert len(cells) == 2 * 36 and (cells["utilisation"] <= 1).all()
    np.testing.assert_allclose(cells["utilisation"], np.minimum(cells["load"], 1))
    # what a cell beyond its limit serves is its offer over its load
    over = cells[cells["load"] > 1.01]
    assert len(over)
    np.testing.assert_allclose(over["served_mbps"], over["offered_mbps"] / over["load"], rtol=1e-3)
    np.testing.assert_allclose(
        found.sector_missing_mbps.sum(axis=0), table["overload_mbps"], rtol=1e-3, atol=1e-6
    )
    assert (table["users"] <= [9 * 10 + 1e-3, 9 * 200 + 1e-3]).all()
    assert table["busy_cells"].tolist()[0] <= table["busy_cells"].tolist()[1]


def test_the_load_of_a_lone_cell_is_the_time_of_its_traffic():
    demand = made_demand(1, [100.0])
    found = network_utilisation(network_at(300, -300), demand, [0], SETTINGS, downlink_share=0.5)
    rate = (
        found.coverage.rate_mbps(np.zeros(1), indoors=False),
        found.coverage.rate_mbps(np.zeros(1), indoors=True),
    )
    weight, share = found.coverage.grid.weight, SETTINGS.indoor_share
    load = sum(
        part * 50.0 * (weight[r > 0] / r[r > 0]).sum()
        for part, r in zip((1 - share, share), rate, strict=True)
    )
    assert found.loads.load[0, 0] == pytest.approx(load, rel=1e-3)
    assert found.by_hour()["demand_mbps"].iloc[0] == pytest.approx(50.0)


def test_hot_spots_are_those_that_miss_most(found):
    hot = found.hot_spots(4)
    assert len(hot) == 4 and hot["missing_mbps"].is_monotonic_decreasing
    np.testing.assert_allclose(hot["missing_mbps"], found.sector_missing_mbps[hot.index].mean(axis=1))
    assert hot["missing_mbps"].iloc[0] == pytest.approx(found.sector_missing_mbps.mean(axis=1).max())
    assert (hot["worst_hour"] == 1).all() and (hot["overloaded_hours"] >= 1).all()
    quiet = network_utilisation(three_sectors(6, 1, 2500), made_demand(3, [1.0]), [0], SETTINGS)
    assert not len(quiet.hot_spots()) and not len(relief_of(quiet, quiet.hot_spots().index.to_numpy()))


def test_a_carrier_relieves_what_wants_spectrum(found):
    hot = found.hot_spots(1)
    relief = relief_of(found, hot.index.to_numpy())
    assert set(relief["measure"]) == set(MEASURES) and relief["best"].sum() == 1
    by = relief.set_index("measure")
    # all around are full, so nobody can take over; another 100 MHz serves more
    assert by.loc["carrier", "gained_mbps"] > 10 > by.loc["neighbour", "gained_mbps"]
    assert by.loc["carrier", "load_after"] < by.loc["carrier", "load_before"]
    assert by.loc["carrier", "missing_before_mbps"] == pytest.approx(
        found.by_hour()["missing_mbps"].iloc[1], rel=0.05
    )
    (sentence,) = sentences_of(hot, relief)
    best = relief.loc[relief["best"]].iloc[0]
    assert hot["sector"].iloc[0] in sentence and MEASURES[best["measure"]] in sentence
    assert best["missing_after_mbps"] == relief["missing_after_mbps"].min()


def test_what_makes_no_sense_is_refused():
    network, demand = network_at(0, 0), made_demand(1, [1.0])
    for hours, share, message in (
        ([], 0.9, "at least one hour"),
        ([7], 0.9, "no hour 7"),
        ([0], 0.0, "downlink"),
    ):
        with pytest.raises(InputError, match=message):
            network_utilisation(network, demand, hours, SETTINGS, downlink_share=share)


def test_the_scenario_keeps_it(found, tmp_path):
    from planning.deployment import deploy
    from planning.scenario import Scenario

    demand = made_demand(3, [20.0] * 24)
    scenario = Scenario.from_deployment(deploy(demand, 3), demand)
    hot = found.hot_spots(1)
    tables = {"by_hour": found.by_hour(), "cells": found.cells(), "hot_spots": hot}
    scenario.with_utilisation(found.record(), tables).save(tmp_path / "s.gpkg")
    again = Scenario.read(tmp_path / "s.gpkg")
    np.testing.assert_allclose(
        again.tables["utilisation_by_hour"]["utilisation"], found.by_hour()["utilisation"]
    )
    assert "is served" in again.provenance["utilisation"]["sentence"]
