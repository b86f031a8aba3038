"""Plans on counters: measured sectors carry what was measured, others what was generated; capacity and power follow."""

import numpy as np
import pytest

from plannerbase.counters import Counters
from plannerbase.report import Report
from planning.counted import counted_demand, counted_network, counted_of
from planning.coverage import Coverage
from planning.demand import Demand, Scale
from planning.errors import InputError
from planning.network import Network
from tests.planning.conftest import make_table

CAPACITY, IDLE, SLOPE = 80.0, 250.0, 1.25


@pytest.fixture(scope="module")
def demand():
    table = make_table(columns=3, rows=3, samples=2)
    return Demand.build(table, Scale.subscribers(table))


@pytest.fixture(scope="module")
def network(demand):
    lon, lat = demand.lon[[0, 4, 8]], demand.lat[[0, 4, 8]]
    return Network.from_sites(lon, lat)


@pytest.fixture(scope="module")
def coverage(network, demand):
    return Coverage.of(network, demand.x, demand.y)


def counters_of(network, rows, weeks=2):
    """Counters of some cells: a day's course around a level, PRB use and power by known figures."""
    hour = np.arange(168 * weeks)
    rng = np.random.default_rng(0)
    level = 5 + 10 * rng.random(len(rows))
    traffic = (
        level[:, None]
        * (1.2 + np.sin((hour % 24 - 9) / 24 * 2 * np.pi))
        * rng.gamma(50, 1 / 50, (len(rows), len(hour)))
    )
    return Counters(
        "cell", tuple(network.cells["cell"].astype(str).iloc[rows]), np.full((len(rows), 2), np.nan),
        np.datetime64("2025-03-03", "h"),
        {"traffic": traffic.astype(np.float32), "prb": (traffic / CAPACITY).astype(np.float32),
         "energy": (IDLE + SLOPE * traffic).astype(np.float32)},
        "Mbit/s", ("",) * len(rows), 60, {}, Report(),
    )  # fmt: skip


def test_measured_sectors_carry_what_was_measured_and_others_what_was_generated(demand, network, coverage):
    sector = network.sector_of_cell
    measured_sectors = np.unique(sector)[::2]
    rows = np.flatnonzero(np.isin(sector, measured_sectors))
    counters = counters_of(network, rows)
    counted = counted_of(counters, network, "c.csv")
    made, laid = counted_demand(demand, counted, coverage)
    shares = laid.sector_shares()
    before = coverage.sector_shares()
    for sample in range(demand.samples):
        carried = shares.apply(made.mbps[:, sample].astype(float))
        real = np.zeros_like(carried)
        np.add.at(real, sector[rows], counters.weeks("traffic")[:, sample])
        served = before.apply(demand.mbps[:, sample].astype(float)).sum(axis=1) > 0
        mine = np.isin(np.arange(len(carried)), measured_sectors) & served
        # the mean to a per mille, hours as far as tiles can follow
        np.testing.assert_allclose(carried[mine].mean(axis=1), real[mine].mean(axis=1), rtol=0.05)
        assert np.abs(carried[mine] - real[mine]).sum() < 0.1 * real[mine].sum()
    others = ~np.isin(np.arange(len(carried)), measured_sectors)
    mean = [s.apply(d.mean_mbps()[:, None])[others, 0] for s, d in ((before, demand), (shares, made))]
    np.testing.assert_allclose(mean[1], mean[0], rtol=0.1, atol=0.2)


def test_capacity_and_power_of_measured_cells_are_those_they_were_made_with(network):
    rows = np.arange(4)
    made, notes = counted_network(network, counted_of(counters_of(network, rows), network, "c.csv"))
    cells = made.cells.iloc[rows]
    np.testing.assert_allclose(cells["capacity_mbps"], CAPACITY, rtol=1e-3)
    np.testing.assert_allclose(cells["idle_w"], IDLE, rtol=1e-3)
    np.testing.assert_allclose(cells["slope_w_per_mbps"], SLOPE, rtol=1e-3)
    assert not cells["assumed"].str.contains("capacity_mbps|idle_w").any()
    assert len(notes) == 1 + cells["equipment"].nunique()
    np.testing.assert_array_equal(made.cells.iloc[4:]["idle_w"], network.cells.iloc[4:]["idle_w"])


def test_counters_of_another_network_are_refused_with_names(network):
    counters = counters_of(network, np.arange(2))
    stranger = Network.from_sites([100.0], [20.0], ["other"])
    with pytest.raises(InputError, match=r"No cell of .* \(2 cells, first: "):
        counted_of(counters, stranger, "c.csv")
