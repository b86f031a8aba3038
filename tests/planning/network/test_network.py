"""Sites and cells: building, sizing, best server, and refusals."""

import numpy as np
import pandas as pd
import pytest

from planning.equipment import CAPACITY, COVERAGE, PRESETS, preset
from planning.errors import InputError
from planning.geometry import distances_m, local_metres, tile_centre
from planning.network import CELL_COLUMNS, SITE_COLUMNS, Network
from planning.network.serving import site_demand, size_network, tile_shares
from tests.planning.conftest import X0, Y0
from tests.planning.sleep.making import line_network


@pytest.fixture
def network(demand) -> Network:
    rng = np.random.default_rng(4)
    picked = rng.choice(demand.tiles, 5, replace=False)
    return Network.from_sites(demand.lon[picked] + 0.001, demand.lat[picked])


def test_every_preset_figure_has_a_source_or_the_word_assumed():
    for equipment in PRESETS.values():
        for figure in ("capacity_mbps", "idle_w", "slope_w_per_mbps", "sleep_w", "bbu_w"):
            assert equipment.sources[figure].split(":")[0], figure
    assert preset("5G") is CAPACITY and preset(COVERAGE.name) is COVERAGE
    # figures follow from the sources' own arithmetic
    assert COVERAGE.idle_w == pytest.approx(90 + 8 * 12.8) and COVERAGE.sleep_w == pytest.approx(
        90 * 0.377, abs=0.05
    )
    assert CAPACITY.idle_w == pytest.approx(171 + 64 * 4.28, abs=0.05)
    assert CAPACITY.sleep_w == pytest.approx(171 * 0.377, abs=0.05)
    with pytest.raises(InputError, match="Unknown equipment"):
        preset("6G")


def test_a_default_site_has_a_coverage_and_a_capacity_cell_in_each_sector(network):
    assert list(network.sites.columns) == list(SITE_COLUMNS) and list(network.cells.columns) == list(
        CELL_COLUMNS
    )
    assert len(network.cells) == 5 * 6 and network.cells["is_coverage"].sum() == 15
    np.testing.assert_allclose(network.capacity_mbps, 3 * 40 + 3 * 400)
    assert (network.sites["bbu_w"] == 380).all()
    assert network.cells["cell"].is_unique and set(network.cells["azimuth"]) == {0.0, 120.0, 240.0}


def test_best_server_conserves_and_is_the_nearest(network, demand):
    shares = tile_shares(network, demand.x, demand.y)
    np.testing.assert_allclose(np.bincount(shares.tile, shares.share, demand.tiles), 1.0)
    load = site_demand(network, demand.sample(1), None, 0.5)
    np.testing.assert_allclose(load.sum(axis=0), demand.mbps[:, 1].sum(axis=0, dtype=float))
    # brute force on one tile
    step = (np.arange(8) + 0.5) / 8
    points = [tile_centre(demand.x[7] + a - 0.5, demand.y[7] + b - 0.5) for a in step for b in step]
    metres = local_metres(*np.array(points).T, (115.86, 28.68))
    owner = distances_m(metres, network.metres((115.86, 28.68))).argmin(axis=1)
    mine = shares.tile == 7
    expected = np.bincount(owner, minlength=5) / 64
    np.testing.assert_allclose(np.bincount(shares.site[mine], shares.share[mine], 5), expected)


def test_a_single_site_serves_everything(demand):
    one = Network.from_sites([116.5], [29.0])
    total = demand.mbps.sum(axis=0, dtype=float)  # (samples, hours): what the site sees in each sample
    np.testing.assert_allclose(site_demand(one, demand, None, 0.5)[0], np.median(total, axis=0))
    days = total.reshape(-1, 24)
    np.testing.assert_allclose(site_demand(one, demand, 24, 0.9)[0], np.quantile(days, 0.9, axis=0))
    # tiles do not all peak in the same sample, so a site needs less than its tiles' quantiles added up
    assert (site_demand(one, demand, 24, 0.9)[0] < demand.profile(24, 0.9).sum(axis=0)).all()


def test_sizing_carries_the_peak_or_says_where_not(network, demand):
    sizing = size_network(network, demand, 0.9, 0.2, max_layers=20)
    peak = site_demand(network, demand, 24, 0.9).max(axis=1)
    assert sizing.shortfalls == ()
    assert (sizing.network.capacity_mbps >= 1.2 * peak - 1e-6).all()
    layers = (sizing.network.capacity_mbps - 120) / 1200
    fewer = 120 + 1200 * (layers - 1)
    assert ((fewer < 1.2 * peak) | (layers == 1)).all()  # no layer too many
    small = size_network(network, demand, 0.9, 0.2, max_layers=1)
    short = {s.name for s in small.shortfalls}
    assert short == set(network.sites["site"][peak > 1320]) and short
    assert "cannot carry" in small.sentence and "more sites" in small.sentence


def test_tables_are_completed_from_presets():
    sites = pd.DataFrame({"site": ["B", "A"], "lon": [115.9, 115.8], "lat": [28.6, 28.7], "note": ["x", "y"]})
    cells = pd.DataFrame(
        {
            "cell": ["a1", "b1", "a2"],
            "site": ["A", "B", "A"],
            "technology": ["4G", "4G", "5G"],
            "capacity_mbps": [50, None, None],
        }
    )
    network = Network.from_tables(sites, cells)
    assert network.cells["cell"].tolist() == ["b1", "a1", "a2"]
    assert network.cells["capacity_mbps"].tolist() == [40, 50, 400]
    assert network.cells["is_coverage"].tolist() == [True, True, False]
    assert network.sites["bbu_w"].tolist() == [160, 380]
    bare = Network.from_tables(sites)
    assert len(bare.cells) == 12 and bare.sites["site"].tolist() == ["B", "A"]


def edit(network, sites=None, cells=None):
    return Network(network.sites.assign(**(sites or {})), network.cells.assign(**(cells or {})))


def test_a_network_that_contradicts_itself_is_refused(network):
    with pytest.raises(InputError, match="capacity_mbps that is no number of at least 0"):
        edit(network, cells={"capacity_mbps": -1.0}).validate()
    with pytest.raises(InputError, match="used twice"):
        edit(network, sites={"site": "S1"}).validate()
    with pytest.raises(InputError, match="unknown site"):
        edit(network, cells={"site": "nowhere"}).validate()
    with pytest.raises(InputError, match="outside the map"):
        edit(network, sites={"lon": 12_900_000.0}).validate()
    with pytest.raises(InputError, match="more asleep than awake"):
        edit(network, cells={"sleep_w": 9e3}).validate()
    with pytest.raises(InputError, match="have no cell"):
        Network(network.sites, network.cells[network.cells["site"] != "S002"]).validate()
    with pytest.raises(InputError, match="no site"):
        Network(network.sites.iloc[:0], network.cells.iloc[:0]).validate()
    with pytest.raises(InputError, match="lacks the column"):
        Network.from_tables(pd.DataFrame({"name": ["A"]}))
    with pytest.raises(InputError, match="no number in the column lon"):
        Network.from_tables(pd.DataFrame({"site": ["A"], "lon": ["east"], "lat": [1]}))
    with pytest.raises(InputError, match="sectors"):
        Network.from_sites([1.0], [1.0], sectors=0)


def test_network_lies_on_its_tiles():
    lon, lat = tile_centre(X0, Y0)
    assert 115.8 < lon < 115.9 and 28.6 < lat < 28.8


def test_equipment_figures_are_replaced_where_they_are_named():
    network = line_network(2, 1)
    table = pd.DataFrame({"equipment": ["5G 100 MHz 64T 200 W"], "idle_w": [300.0], "sleep_w": [np.nan]})
    changed = network.with_equipment(table).equipment().set_index("equipment")
    before = network.equipment().set_index("equipment")
    assert changed.loc["5G 100 MHz 64T 200 W", "idle_w"] == 300 and changed["cells"].tolist() == [2, 2]
    assert (changed["sleep_w"] == before["sleep_w"]).all()
    assert changed.loc["4G 20 MHz 8T 80 W", "idle_w"] == before.loc["4G 20 MHz 8T 80 W", "idle_w"]
    for wrong, message in [
        (table.assign(equipment="6G"), "no equipment '6G'"),
        (table.assign(idle_w="many"), "not a number"),
        (table.assign(idle_w=10.0), "more asleep than awake"),
        (table[["idle_w"]], "column equipment"),
    ]:
        with pytest.raises(InputError, match=message):
            network.with_equipment(wrong)
