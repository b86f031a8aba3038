"""Sites and cells: building, sizing, best server, and refusals."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.nearest_site import tile_shares
from planning.equipment import CAPACITY, COVERAGE, PRESETS, preset
from planning.errors import InputError
from planning.geometry import distances_m, local_metres, tile_centre
from planning.network import CELL_COLUMNS, SITE_COLUMNS, Network, SiteDesign
from planning.network.cells import is_assumed
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
    assert COVERAGE.idle_w == pytest.approx(90 + 8 * 12.8)
    assert CAPACITY.idle_w == pytest.approx(171 + 64 * 4.28, abs=0.05)
    # a measured unit in deep sleep draws a fifth of what it draws idle
    assert COVERAGE.sleep_w == pytest.approx((90 + 8 * 12.8) * 0.2, abs=0.05)
    assert CAPACITY.sleep_w == pytest.approx((171 + 64 * 4.28) * 0.2, abs=0.05)
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
    # brute force on one tile
    step = (np.arange(8) + 0.5) / 8
    points = [tile_centre(demand.x[7] + a - 0.5, demand.y[7] + b - 0.5) for a in step for b in step]
    metres = local_metres(*np.array(points).T, (115.86, 28.68))
    owner = distances_m(metres, network.metres((115.86, 28.68))).argmin(axis=1)
    mine = shares.tile == 7
    expected = np.bincount(owner, minlength=5) / 64
    np.testing.assert_allclose(np.bincount(shares.site[mine], shares.share[mine], 5), expected)


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


def test_other_capacities_keep_the_power_at_full_load(network):
    half = network.with_capacity(network.cells["capacity_mbps"] / 2)
    before, after = (n.cells["slope_w_per_mbps"] * n.cells["capacity_mbps"] for n in (network, half))
    np.testing.assert_allclose(before, after)
    with pytest.raises(InputError, match="capacity_mbps"):
        network.with_capacity(np.full(len(network.cells), np.nan))


def test_planned_heights_and_bands_are_not_assumed():
    design = SiteDesign(height_m=np.array([30.0, np.nan]), coverage_band="n28", capacity_bands=("n78", "n41"))
    cells = Network.from_sites([115.9, 115.95], [28.6, 28.6], capacity_layers=[1, 2], design=design).cells
    base = cells[cells["is_coverage"]]
    assert set(base["band"]) == {"n28"} and set(base["technology"]) == {"5G"} and set(base["prbs"]) == {106}
    assert cells["height_m"].tolist() == [30.0] * 6 + [25.0] * 9
    assert is_assumed(cells, "height_m").tolist() == [False] * 6 + [True] * 9
    assert not is_assumed(cells, "band").any() and is_assumed(cells, "gain_dbi").all()
    layers = cells[~cells["is_coverage"] & (cells["site"] == "S002")]
    assert layers["band"].tolist() == ["n78"] * 3 + ["n41"] * 3
    with pytest.raises(InputError, match="no band 'B999'"):
        Network.from_sites([115.9], [28.6], design=SiteDesign(coverage_band="B999"))


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
    with pytest.raises(InputError, match="1 site has no cell"):
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
