"""Roll-outs over years, their costs, what networks serve, and the paper's experiment."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from planning.coverage import Coverage, RadioSettings, coupled_loads
from planning.deployment.costs import Costs, by_layer
from planning.deployment.expansion import ExpansionSettings, expand
from planning.deployment.experiment import paper_experiment
from planning.deployment.judging import compare, judge
from planning.deployment.serving import served
from planning.errors import InputError
from planning.network import Network

RADIO = RadioSettings(pixel_m=200.0)
COSTS = Costs(currency="CNY")


@pytest.fixture
def network(demand) -> Network:
    rows = [1, 4, 7, 10]
    return Network.from_sites(demand.lon[rows], demand.lat[rows])


@pytest.fixture
def light(demand):
    """So little traffic that the network carries it today."""
    return replace(demand, mbps=demand.mbps * np.float32(0.02))


@pytest.mark.slow
def test_a_network_grows_with_its_traffic_and_the_books_balance(network, light):
    settings = ExpansionSettings(years=3, growth=2.0, headroom=0.0, coverage=0.5)
    made = expand(network, light, settings, COSTS, RADIO)
    years, steps = made.years, made.steps
    np.testing.assert_allclose(
        years["demand_mbps"], years["demand_mbps"].iloc[0] * 3.0 ** np.arange(4), rtol=1e-5
    )
    assert len(steps) and (
        years["capex"].iloc[1:].sum() == pytest.approx(steps.loc[steps["year"] > 0, "capex"].sum())
    )
    # every cell and site of the last year was there before or is in the books
    assert len(made.network.cells) == len(network.cells) + steps["cells"].sum()
    assert len(made.network.sites) == len(network.sites) + (steps["measure"] == "site").sum()
    assert made.layers["capex"].sum() == pytest.approx(steps["capex"].sum())
    assert made.layers["currency"].eq("CNY").all() and "CNY" in made.sentence
    assert years["opex_per_year"].iloc[-1] == pytest.approx(made.layers["opex_per_year"].sum())
    # the present value by hand
    spent = years["capex"] + years["opex_per_year"]
    assert made.present_value == pytest.approx(
        sum(v / 1.035**y for y, v in zip(years["year"], spent, strict=True))
    )
    # more is served than by the network left as it is
    last = replace(light, mbps=light.mbps * np.float32(27))
    assert years["served_mbps"].iloc[-1] > served(network, last, radio=RADIO).served_mbps
    # no two carriers of a sector overlap
    for _, sector in made.network.cells.groupby("sector"):
        order = sector.sort_values("frequency_mhz")
        gap = np.diff(order["frequency_mhz"]) - (order["bandwidth_mhz"] / 2).rolling(2).sum().iloc[1:]
        assert (gap >= 0).all()


@pytest.mark.slow
def test_only_the_allowed_measures_within_the_budget(network, light):
    heavy = replace(light, mbps=light.mbps * np.float32(30))
    for measure in ("carrier", "split", "site"):
        settings = ExpansionSettings(years=0, measures=(measure,), budget_per_year=150_000.0)
        made = expand(network, heavy, settings, COSTS, RADIO)
        assert set(made.steps["measure"]) == {measure} and made.years["capex"].max() <= 150_000
        if measure == "split":
            assert set(made.network.cells["beamwidth_deg"]) == {65.0, 33.0}
            assert made.network.sectors.groupby("site").size().max() > 3


def test_nothing_is_built_where_nothing_is_short(network, light):
    near = replace(light, mbps=light.mbps * np.float32(1e-3))
    made = expand(network, near, ExpansionSettings(years=0, measures=("carrier",)), COSTS, RADIO)
    assert not len(made.steps) and made.years["capex"].sum() == 0 and "nothing" in made.sentence


@pytest.mark.slow
def test_new_sites_cover_what_is_not_covered(demand, light):
    one = Network.from_sites(demand.lon[:1], demand.lat[:1])
    settings = ExpansionSettings(years=0, measures=("site",), coverage=0.9)
    made = expand(one, replace(light, mbps=light.mbps * np.float32(0.01)), settings, COSTS, RADIO)
    before, after = (
        Coverage.of(n, demand.x, demand.y, RADIO).covered_share(tile_values=demand.mean_mbps())[2]
        for n in (one, made.network)
    )
    assert after > before + 0.2 and (after >= 0.9 or len(made.steps) == 6)  # one a round


def test_costs_add_up():
    assert COSTS.new_site(2, 2) == 47_000 + 5_000 + 6 * 5_500 + 20_000
    assert COSTS.new_carrier(True) == 5_500 + 5_000 + 10_000
    assert COSTS.split(2) == 11_000 + 5_000
    steps = pd.DataFrame(
        {"layer": ["a", "a", "b"], "measure": ["site", "site", "carrier"], "cells": [6, 6, 1], "basebands": [2, 2, 0],
         "capex": [1.0, 2.0, 4.0]}
    )  # fmt: skip
    table = by_layer(steps, COSTS).set_index("layer")
    assert table.loc["a", "capex"] == 3 and table.loc["b", "opex_per_year"] == pytest.approx(550)
    assert table.loc["a", "opex_per_year"] == pytest.approx(2 * 9600 + 0.1 * (12 * 5500 + 4 * 10_000))
    for wrong in ({"site": -1.0}, {"currency": ""}, {"discount": 2.0}):
        with pytest.raises(InputError):
            Costs(**wrong)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"years": 50}, "years"),
        ({"growth": 9.0}, "growth"),
        ({"measures": ()}, "Measures"),
        ({"bands": ("x",)}, "band"),
    ],
)
def test_settings_that_make_no_sense_are_refused(network, light, settings, words):
    with pytest.raises(InputError, match=words):
        expand(network, light, ExpansionSettings(**settings))


def test_what_is_served_is_conserved_and_grows_with_the_network(network, demand):
    found = served(network, demand, radio=RADIO)
    assert found.hour == demand.busy_hour()
    coverage = Coverage.of(network, demand.x, demand.y, RADIO)
    mbps = demand.profile(None, 0.5)[:, found.hour]
    loads = coupled_loads(coverage, 0.9 * mbps)  # what the downlink carries
    assert 0.9 * found.served_mbps == pytest.approx(loads.served_mbps.sum(), rel=1e-4)
    assert 0.9 * found.demand_mbps == pytest.approx(
        (loads.served_mbps.sum() + loads.unserved_mbps.sum()), rel=1e-4
    )
    lost = loads.unserved_mbps[:, 0] / (0.9 * mbps)
    users = demand.profile(None, 0.5, "users")[:, found.hour]
    assert found.users_served == pytest.approx((users * (1 - lost)).sum(), rel=1e-4)
    denser = Network.from_sites(demand.lon, demand.lat, capacity_layers=2)
    assert served(denser, demand, radio=RADIO).served_share > found.served_share


def test_strategies_are_judged_by_what_their_networks_serve_on_other_samples(network, demand):
    plan, rest = demand.held_out(0.5)
    assert plan.samples + rest.samples == demand.samples and demand.sample(0).held_out()[1] is None
    counts = demand.count_in_tiles(network.sites["lon"], network.sites["lat"])
    table = judge(rest, {"a": counts}, networks={"a": network}, radio=RADIO)
    assert table["served_share"].iloc[0] == pytest.approx(served(network, rest, radio=RADIO).served_share)


def test_the_experiment_of_the_paper_states_and_varies_g(demand):
    real = np.zeros(demand.tiles, int)
    real[::2] = 5
    plan, rest = demand.held_out(0.5)
    table = paper_experiment(
        plan, rest, real, sites=40, area_tiles=2, users_per_site=500, moving_shares=(0.0, 0.1)
    )
    assert set(table["strategy"]) >= {"traffic", "uniform"} and set(table["moving_share"]) == {0.0, 0.1}
    still = table[table["moving_share"] == 0]
    np.testing.assert_allclose(still["covered_0"], still["covered_50"])  # nobody moves
    moved = table[table["moving_share"] == 0.1]
    assert (moved["covered_0"].to_numpy() != moved["covered_50"].to_numpy()).any()
    # by area: the real sites of 2 x 2 tiles against the same of the strategy
    uniform = table[table["strategy"] == "uniform"].iloc[0]
    assert 0 <= uniform["jsd_real"] <= 1 and uniform["areas"] < demand.tiles
    assert compare(real, real).jsd == 0
    with pytest.raises(InputError, match="No real site"):
        paper_experiment(plan, rest, 0 * real)
