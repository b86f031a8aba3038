"""Sizing by the radio model: sectors' own traffic, capacities of their cells, shortfalls."""

import numpy as np
import pytest

from planning.coverage import Coverage, RadioSettings
from planning.deployment.sizing import sector_demand, size_network, with_radio_capacity
from planning.errors import InputError
from planning.network import Network, SiteDesign

RADIO = RadioSettings(pixel_m=200.0)


@pytest.fixture
def network(demand) -> Network:
    rng = np.random.default_rng(4)
    picked = rng.choice(demand.tiles, 5, replace=False)
    return Network.from_sites(demand.lon[picked] + 0.001, demand.lat[picked])


@pytest.fixture
def sizing(network, demand):
    return size_network(network, demand, 0.9, 0.2, max_layers=6, radio=RADIO)


def test_sectors_are_asked_for_what_their_pixels_ask(network, demand):
    coverage = Coverage.of(network, demand.x, demand.y, RADIO)
    load = sector_demand(coverage, demand.sample(1), None, 0.5)
    # pixel by pixel: the sector of the strongest cell, where it covers
    sector = network.sector_of_cell[coverage.best_server()]
    by_hand = np.zeros_like(load)
    for pixel in np.flatnonzero(coverage.covered()):
        tile = coverage.grid.tile[pixel]
        by_hand[sector[pixel]] += coverage.grid.weight[pixel] * demand.mbps[tile, 1]
    np.testing.assert_allclose(load, by_hand, rtol=1e-6)


def test_tiles_of_a_sector_are_added_before_the_quantile(demand):
    one = Network.from_sites([demand.lon.mean()], [demand.lat.mean()], sectors=1)
    coverage = Coverage.of(one, demand.x, demand.y, RADIO)
    share = coverage.sector_shares()
    total = np.einsum("t,tsh->sh", np.bincount(share.tile, share.share, demand.tiles), demand.mbps)
    days = total.reshape(-1, 24)
    np.testing.assert_allclose(sector_demand(coverage, demand, 24, 0.9)[0], np.quantile(days, 0.9, axis=0))


def test_a_sized_site_carries_its_sectors_or_is_named(sizing, demand):
    sized = sizing.network
    coverage = Coverage.of(sized, demand.x, demand.y, RADIO)
    peak = sector_demand(coverage, demand, 24, 0.9).max(axis=1)
    capacity = np.bincount(sized.sector_of_cell, sized.cells["capacity_mbps"])
    short = {s.name for s in sizing.shortfalls}
    assert short == set(sized.sites["site"].to_numpy()[sized.sectors["site"][peak > capacity + 1e-6]])
    layers = sized.cells.groupby("site")["frequency_mhz"].nunique()
    assert layers.between(2, 7).all() and set(layers[list(short)]) <= {7}  # short only at the most layers
    assert f"{len(short)} sites cannot carry" in sizing.sentence or not short


def test_capacities_are_those_of_the_radio_model(sizing, demand):
    sized = sizing.network
    coverage = Coverage.of(sized, demand.x, demand.y, RADIO)
    loads = np.full(len(sized.cells), 1 / 1.2)
    np.testing.assert_allclose(
        0.9 * sized.cells["capacity_mbps"], coverage.capacity_mbps(loads, tile_values=demand.mean_mbps())
    )
    # an allowed load is a share of it, and the power at full load is the equipment's
    half = with_radio_capacity(sized, coverage, demand, 1 / 1.2, 0.5)
    np.testing.assert_allclose(half.cells["capacity_mbps"], sized.cells["capacity_mbps"] / 2)
    full = sized.cells["capacity_mbps"] * sized.cells["slope_w_per_mbps"]
    assert np.allclose(full[sized.cells["technology"] == "4G"], 200)


def test_lower_antennas_on_higher_bands_cover_less(network, demand):
    design = SiteDesign(height_m=15.0, coverage_band="n78")
    low = size_network(network, demand, max_layers=1, radio=RADIO, design=design)
    assert "lies where no cell covers" in low.sentence
    with pytest.raises(InputError, match="headroom"):
        size_network(network, demand, headroom=-1)
