"""Power of a site and what a kWh stands for, by hand."""

import dataclasses
import pickle

import numpy as np
import pytest

from planning.energy import CellGroups
from planning.errors import InputError
from planning.network import Network
from planning.prices import Prices, tariff_of
from tests.planning.sleep.making import line_network


def test_power_of_a_site_is_eq_13_by_hand():
    """One site, one 4G and one 5G cell carrying 10 and 100 Mbit/s: every term written out."""
    network = line_network(1)
    network = Network(network.sites.assign(bbu_w=300.0, ac_slope=0.2, ac_bias_w=40.0), network.cells)
    groups = CellGroups.of(network)
    load = np.where(groups.capacity[:, None] == 40, 10.0, 100.0)
    awake = np.ones((2, 1))
    rrus = (192.4 + 5.0 * 10) + (444.9 + 1.0 * 100)
    assert groups.power_w(awake, load)[0, 0] == pytest.approx(1.2 * (300 + rrus) + 40)
    asleep = np.where(groups.capacity[:, None] == 40, 1.0, 0.0)
    assert groups.power_w(asleep, load * asleep)[0, 0] == pytest.approx(1.2 * (300 + 192.4 + 50 + 89.0) + 40)
    # the paper's form: RRU + BBU + air conditioner written apart
    k_m, c_m, b_m = 0.2, 300, 40
    assert rrus + c_m + (k_m * (c_m + rrus) + b_m) == pytest.approx(groups.power_w(awake, load)[0, 0])


@pytest.mark.parametrize("muting", [False, True])
def test_groups_that_are_sent_to_a_worker_come_back_the_same(muting):
    groups = CellGroups.of(line_network(3), muting=muting)
    groups.group_of_part  # noqa: B018  made, and not sent
    for one in (groups, groups.only(np.array([0, 2]))[0]):
        back = pickle.loads(pickle.dumps(one))
        assert len(back.parts) == len(one.parts) and "group_of_part" not in vars(back)
        for rows, other in zip(back.parts, one.parts, strict=True):
            np.testing.assert_array_equal(rows, other)
        for field in dataclasses.fields(CellGroups):
            if field.name != "parts":
                np.testing.assert_array_equal(getattr(back, field.name), getattr(one, field.name))


def test_cost_and_co2_of_a_year():
    assert Prices(0.7).of(10) == {"kwh": 10, "co2_kg": pytest.approx(5.306), "cost": pytest.approx(7)}
    assert "cost" not in Prices().of(10)
    said = Prices(0.5, 0.4).sentence(24.0, 24)  # one kWh an hour
    assert "8,760 kWh" in said and "4,380 in money" in said and "3.5 t" in said and "given" in said
    assert "A year of such weeks" in Prices(0.5, 0.4).sentence(168.0, 168) and "such days" in said
    assert "assumed" in Prices().sentence(1.0, 24) and "money" not in Prices().sentence(1.0, 24)
    with pytest.raises(InputError, match="at least 0"):
        Prices(-1.0)
    by_hour = Prices(tuple([0.3] * 8 + [1.0] * 16), currency="CNY")
    assert by_hour.cost(np.ones(48)) == pytest.approx(2 * (8 * 0.3 + 16))
    assert "CNY by hour" in by_hour.sentence(1.0, 24, 1.0)
    with pytest.raises(InputError, match="24 by hour"):
        Prices((1.0, 2.0))


def test_a_tariff_is_read_from_text():
    assert tariff_of("0.8") == 0.8 and tariff_of(" ") is None and tariff_of("", 0.5) == 0.5
    assert tariff_of(",".join(map(str, range(24)))) == tuple(map(float, range(24)))
    night = (0.35,) * 6 + (0.8,) * 16 + (0.35,) * 2
    assert (
        tariff_of("22-6 0.35", 0.8)
        == tariff_of("22-6=0.35,0.8")
        == tariff_of("22-6: 0.35; 6-22: 0.8")
        == night
    )
    for text, said in (
        ("22-6 0.35", "no price for hour 6"),
        ("0-5 1, 4-6 2, 3", "two prices for hour 4"),
        ("dear", "no price"),
        ("0-25 1", "between 0 and 24"),
        ("1,2", "24 by hour"),
        ("0-5 1, 2, 3", "one price for all other hours"),
    ):
        with pytest.raises(InputError, match=said):
            tariff_of(text)


def test_a_sector_without_a_coverage_cell_keeps_its_thriftiest_cell_awake():
    network = line_network(2, 2, seed=5)
    covered = network.cells["is_coverage"].to_numpy(bool) & (network.sector_of_cell == 0)
    groups = CellGroups.of(Network(network.sites, network.cells.assign(is_coverage=covered)))
    for sector in range(groups.sectors):
        mine = np.flatnonzero(groups.sector == sector)
        kept = mine[groups.idle_w[mine].argmin()] if sector else groups.group_of_part[covered.argmax()]
        np.testing.assert_array_equal(groups.lowest[mine], mine == kept)
        np.testing.assert_array_equal(groups.coverage[mine], mine == kept)


def test_groups_that_stay_awake_for_few_states_are_those_whose_sleep_saves_least():
    """Two sectors of four cells that all differ: 2^3 states each beside the coverage cell; 4 leave two cells free."""
    groups = CellGroups.of(line_network(2, 3, seed=5))
    fewer, locked = groups.with_few_states(4)
    assert locked == 2 and groups.with_few_states(8)[1] == 0
    assert CellGroups.of(line_network(1, 4, seed=5)).with_few_states(2)[1] == 3  # 16, 8, 4, 2
    for sector in range(groups.sectors):
        free = np.flatnonzero((groups.sector == sector) & (groups.count > groups.lowest))
        least = free[groups.full_saving_w[free].argmin()]
        stays = np.flatnonzero((groups.sector == sector) & (fewer.lowest > groups.lowest))
        assert len(free) == 3 and stays.tolist() == [least]


def test_savings_of_groups_add_up_to_all_that_sleep_saves():
    """With radio units of several carriers, and with whole sites: each hub's watts are shared among its members."""
    for groups in (
        CellGroups.of(line_network(2, 3, seed=5, units=True)),
        CellGroups.of(line_network(2, 3, seed=5, units=True), whole_site=True),
    ):
        idle, none = np.zeros((len(groups.site), 1)), groups.lowest[:, None]
        saved = groups.power_w(groups.count[:, None], idle) - groups.power_w(none, idle)
        asleep = groups.count - groups.lowest
        assert (groups.full_saving_w * asleep).sum() == pytest.approx(saved.sum())


@pytest.mark.parametrize("share", [0.3, 0.75, 0.97])
def test_load_goes_to_the_carriers_with_the_fewest_watts_up_to_the_limit_then_up_to_all(share):
    groups = CellGroups.of(line_network(2, 3, seed=5))
    counts = groups.count[:, None]
    load = share * groups.capacity_of(counts)
    spread = groups.spread(counts, load, 0.8)
    np.testing.assert_allclose(np.bincount(groups.sector, spread[:, 0]), load[:, 0])
    use = spread[:, 0] / groups.capacity
    assert use.max() <= 1 + 1e-9 and (use.max() > 0.8 + 1e-9) == (share > 0.8)
    for sector in range(groups.sectors):
        mine = np.flatnonzero(groups.sector == sector)
        by_watts = use[mine[np.argsort((groups.factor * groups.slope)[mine], kind="stable")]]
        assert (np.diff(by_watts) <= 1e-9).all()
