"""PRB plans of several hours: each hour's own plan, conserved demand, and what reserving costs."""

import numpy as np
import pytest

from planning.errors import InputError
from planning.network import Network
from planning.prb import PrbSettings
from planning.prb.hours import reserve_cost, solve_hours
from planning.radio import Radio

RADIO = Radio(bandwidth_mhz=20)
SETTINGS = PrbSettings(threads=1, time_limit=2)


@pytest.fixture
def network(demand) -> Network:
    return Network.from_sites(demand.lon[::6], demand.lat[::6])


def test_hours_carry_their_own_demand(network, demand):
    planned = solve_hours(network, demand, [3, 20], RADIO, SETTINGS, max_users=12, rule="round-robin")
    table = planned.table()
    assert table["hour"].tolist() == [3, 20]
    asked = [demand.profile(None)[:, hour].sum() * RADIO.share for hour in (3, 20)]
    np.testing.assert_allclose(table["demand_mbps"], asked)
    np.testing.assert_allclose(table["served_mbps"] + table["missing_mbps"], asked)
    assert planned.busiest.used_prbs == table["used_prbs"].max()
    stations = planned.stations()
    assert len(stations) == 2 * len(network.sites)
    assert stations.groupby("hour")["used_prbs"].sum().tolist() == table["used_prbs"].tolist()
    assert (table["busiest_station"] == stations.groupby("hour")["utilisation"].max().to_numpy()).all()
    assert planned.sentence.startswith("2 hours:")


@pytest.mark.slow
def test_optimised_hours_are_no_worse_than_the_rule(network, demand):
    by_rule = solve_hours(network, demand, [12, 20], RADIO, SETTINGS, max_users=8, rule="best-sinr").table()
    made = solve_hours(network, demand, [12, 20], RADIO, SETTINGS, max_users=8).table()
    assert (made["objective_mbps"] >= by_rule["objective_mbps"] - 1e-9).all()


def test_reserving_costs_what_the_stations_differ_by(network, demand):
    planned = solve_hours(network, demand.sample(0), [8, 20], RADIO, SETTINGS, 10, rule="round-robin")
    measured = solve_hours(network, demand.sample(1), [8, 20], RADIO, SETTINGS, 10, rule="round-robin")
    cost = reserve_cost(planned, measured)
    for row in cost.itertuples():
        ours, theirs = (p.plans[row.hour].stations()["used_prbs"] for p in (planned, measured))
        assert row.short_prbs == sum(max(0, b - a) for a, b in zip(ours, theirs, strict=True))
        assert row.planned_prbs + row.short_prbs - row.idle_prbs == row.needed_prbs
    same = reserve_cost(planned, planned)
    assert (same["short_prbs"] == 0).all() and (same["idle_prbs"] == 0).all()


def test_no_hours_and_unknown_hours_are_refused(network, demand):
    with pytest.raises(InputError, match="at least one hour"):
        solve_hours(network, demand, [], RADIO)
    with pytest.raises(InputError, match="no hour 500"):
        solve_hours(network, demand, [500], RADIO)
