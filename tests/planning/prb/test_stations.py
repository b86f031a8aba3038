"""PRB problems whose stations are the cells of a network: gains, powers and rates of the radio model."""

import numpy as np
import pytest

from planning.coverage import Coverage, RadioSettings
from planning.errors import InputError
from planning.geometry import tile_position
from planning.network import Network
from planning.prb import PrbProblem
from planning.prb.stations import carriers, links_of_cells
from planning.prb.users import Users
from planning.radio import Radio

OUTDOORS = RadioSettings(indoor_share=0.0, pixel_m=50.0)


def problem_of_cells(network, users, link="downlink", carrier="", settings=None) -> PrbProblem:
    radio = Radio(link=link, stations="cells", cell_carrier=carrier)
    found = links_of_cells(network, users, radio, settings)
    asked = users.demand_mbps * radio.share
    return PrbProblem(
        found.names, users, found.radio, found.gain, found.metres, asked, found.power_w, found.prbs, found.mapping,
        found.layers, found.usable,
    )  # fmt: skip


@pytest.fixture(scope="module")
def network() -> Network:
    made = Network.from_sites([115.86, 115.87, 115.868], [28.68, 28.682, 28.69])
    power = made.cells["power_dbm"].to_numpy().copy()
    power[made.cells["site"] == "S002"] -= 6.0
    return Network(made.sites, made.cells.assign(power_dbm=power))


@pytest.fixture(scope="module")
def coverage(network) -> Coverage:
    x, y = (np.floor(v).astype(int) for v in tile_position([115.86, 115.87], [28.682, 28.682]))
    return Coverage.of(network, x, y, OUTDOORS)


@pytest.fixture(scope="module")
def users(coverage) -> Users:
    """At the centres of some pixels."""
    rows = np.random.default_rng(0).choice(len(coverage.grid), 40, replace=False)
    grid = coverage.grid
    return Users(grid.lon[rows], grid.lat[rows], np.full(40, 2.0), 1.0, 0, "x")


def test_the_widest_carrier_comes_first_and_a_missing_one_is_told(network, users):
    table = carriers(network)
    assert table["carrier"].tolist() == ["n41", "B3"] and table["cells"].tolist() == [9, 9]
    with pytest.raises(InputError, match="no carrier 'n78'; it has n41, B3"):
        problem_of_cells(network, users, carrier="n78")


@pytest.mark.parametrize("carrier", ["n41", "B3"])
def test_signal_sinr_and_rate_are_those_of_the_coverage_map(network, coverage, users, carrier):
    problem = problem_of_cells(network, users, carrier=carrier, settings=OUTDOORS)
    pixel = coverage.grid.pixel_at(users.lon, users.lat)
    number = list(coverage.cells.bands).index(carrier)
    # on a PRB all cells send: SINR of the strongest, as the map has it at full load
    received = problem.power_w * problem.gain
    best = received.argmax(axis=1)
    names = np.array(problem.site_names)[best]
    server = coverage.best_server(carrier=number)[pixel]
    assert (names == network.cells["cell"].to_numpy()[server]).all()
    own = received.max(axis=1)
    sinr = own / (problem.noise_w + received.sum(axis=1) - own)
    full = np.ones(len(network.cells))
    np.testing.assert_allclose(10 * np.log10(sinr), coverage.sinr_db(full, carrier=number)[pixel], atol=0.02)
    rate = problem.prbs * problem.prb_mbps(sinr)
    on_map = coverage.rate_mbps(full, carrier=number)[pixel]
    covered = coverage.serving().covered[0, number, pixel]
    assert covered.sum() > 20
    # the map rounds the SINR down to a step of 0.02 dB, and holds it in float32
    least = problem.prbs * problem.prb_mbps(sinr * 10**-0.0025)
    most = problem.prbs * problem.prb_mbps(sinr * 10**0.0005)
    assert (on_map[covered] >= least[covered] * (1 - 1e-5)).all()
    assert (on_map[covered] <= most[covered] * (1 + 1e-5)).all()
    same = covered & (least == most)
    assert same.sum() > 0.5 * covered.sum()
    np.testing.assert_allclose(rate[same], on_map[same], rtol=1e-6)


def test_the_uplink_has_one_power_for_all_users_and_symmetric_gains(network, users):
    down = problem_of_cells(network, users, "downlink", settings=OUTDOORS)
    up = problem_of_cells(network, users, "uplink", settings=OUTDOORS)
    weaker = np.array([name.startswith("S002") for name in up.site_names])
    np.testing.assert_allclose(down.gain[:, ~weaker], up.gain[:, ~weaker])
    np.testing.assert_allclose(down.gain[:, weaker], up.gain[:, weaker] * 10**-0.6)
    assert up.power_w == pytest.approx(0.2, rel=1e-2) and up.layers == 1
    assert up.usable == pytest.approx(0.86 * 0.25) and down.usable == pytest.approx(0.86 * 0.75)
    np.testing.assert_allclose(up.demand_mbps, 0.2)


def test_users_indoors_hear_less(network, users):
    inside = problem_of_cells(network, users, settings=RadioSettings(indoor_share=1.0))
    outside = problem_of_cells(network, users, settings=OUTDOORS)
    loss = 10 * np.log10(outside.gain / inside.gain)
    assert np.ptp(loss) < 1e-6 and loss.min() > 5


def test_layers_share_the_power(network, users):
    problem = problem_of_cells(network, users, settings=OUTDOORS)
    sinr = 10 ** (np.arange(-15, 40, 0.37) / 10)
    expected = problem.mapping.efficiency(10 * np.log10(sinr), 4) * 0.36 * problem.usable
    np.testing.assert_allclose(problem.prb_mbps(sinr), expected)


def test_a_problem_is_built_of_cells_and_again_from_its_own_radio(network, users):
    radio = Radio(link="downlink", stations="cells", cell_carrier="B3", seed=3)
    problem = PrbProblem.build(network, users, radio)
    assert problem.stations == 9 and problem.prbs == 100 and problem.layers == 2
    again = PrbProblem.build(network, users, problem.radio)
    np.testing.assert_array_equal(problem.gain, again.gain)
    np.testing.assert_array_equal(problem.demand_mbps, again.demand_mbps)
    # both carriers together are asked for all of the downlink
    wide = PrbProblem.build(network, users, Radio(link="downlink", stations="cells"))
    np.testing.assert_allclose(problem.demand_mbps + wide.demand_mbps, 0.9 * users.demand_mbps)
