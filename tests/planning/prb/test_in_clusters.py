"""PRBs cluster by cluster: one plan with true SINR, repaired at the seams, below a bound of the whole network."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from plannerbase.workers import work_here
from planning.network import Network
from planning.prb import PrbProblem, PrbSettings, in_clusters, solve_prb
from planning.prb.hours import solve_hours
from planning.prb.in_clusters import site_of_station, solve_in_clusters
from planning.prb.users import Users
from planning.radio import Radio
from planning.shared_work import SharedWork

from .making import slow_rates

pytestmark = pytest.mark.slow
HERE = SharedWork()
SETTINGS = PrbSettings(threads=1, time_limit=30, exact_size=0, rounds=1, gap=0.01)


def line(users=12, sites=6, seed=0, prbs=6) -> tuple[PrbProblem, Network]:
    """Sites along a line, users around them."""
    rng = np.random.default_rng(seed)
    network = Network.from_sites(115.86 + 0.008 * np.arange(sites), np.full(sites, 28.68))
    drawn = Users(
        115.86 + rng.uniform(0, 0.008 * sites, users), 28.68 + rng.uniform(-0.003, 0.003, users),
        rng.uniform(1.0, 6.0, users), 1.0, 0, "Users of a line.",
    )  # fmt: skip
    radio = Radio(bandwidth_mhz=5, traffic_share=1.0, link="downlink", stations="sites")
    problem = PrbProblem.build(network, drawn, radio)
    return replace(problem, prbs=prbs), network


def planned(work):
    problem, network = line()
    return solve_in_clusters(problem, network, SETTINGS, work, sites_per_cluster=2)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the clusters of `alone` are kept."""
    return tmp_path_factory.mktemp("kept") / "work"


@pytest.fixture(scope="module")
def alone(kept):
    return planned(SharedWork(folder=kept))


def out_of_order(function, tasks):
    """As several workers deliver."""
    return reversed(list(work_here(function, tasks)))


def stops_after(count, function, tasks):
    for done, found in enumerate(work_here(function, tasks)):
        if done == count:
            raise KeyboardInterrupt
        yield found


def test_rates_are_those_of_the_whole_network_and_below_its_bound(alone):
    problem = alone.problem
    np.testing.assert_allclose(alone.rate_mbps, slow_rates(problem, alone.prb_map()), rtol=1e-9)
    assert alone.objective_mbps <= alone.bound_mbps and alone.served_mbps <= alone.served_bound_mbps
    # each user alone on the network, with every PRB: what no interference and no neighbour can take away
    best = problem.rates(np.arange(12)[:, None], np.arange(problem.stations), problem.prbs, 0.0).max(axis=1)
    assert alone.served_bound_mbps <= np.minimum(best, problem.demand_mbps).sum() * (1 + 1e-9)
    whole = solve_prb(problem, PrbSettings(threads=1, time_limit=2))
    assert whole.objective_mbps <= alone.bound_mbps * (1 + 1e-9)
    assert alone.met_bound >= whole.met.sum() and "4 clusters" in alone.how


def test_seams_are_repaired_and_no_plan_gets_worse_by_it(alone, kept, monkeypatch):
    monkeypatch.setattr(in_clusters, "repaired", lambda grid, settings: grid)
    joined = planned(SharedWork(partial(stops_after, 0), kept))  # nothing is left to do
    assert joined.met.sum() < alone.met.sum() and joined.objective_mbps < alone.objective_mbps
    problem = alone.problem
    np.testing.assert_allclose(joined.rate_mbps, slow_rates(problem, joined.prb_map()), rtol=1e-9)
    cluster = np.repeat([0, 1, 2, 3], [1, 2, 1, 2])
    served = joined.station >= 0
    assert (cluster[joined.station] == cluster[problem.gain.argmax(axis=1)])[served].all()


def test_stations_know_their_sites(demand):
    network = Network.from_sites(demand.lon[::9], demand.lat[::9], sectors=2)
    users = Users(demand.lon[:3], demand.lat[:3], np.ones(3), 1.0, 0, "")
    problem = PrbProblem.build(network, users, Radio(link="downlink", stations="cells"))
    names = network.sites["site"].to_numpy()[site_of_station(problem, network)]
    assert len(problem.site_names) == 2 * len(network.sites)
    assert all(cell.startswith(f"{site}-") for cell, site in zip(problem.site_names, names, strict=True))


def test_who_does_the_work_and_where_it_stopped_change_nothing(tmp_path, alone):
    folder = tmp_path / "work"
    with pytest.raises(KeyboardInterrupt):
        planned(SharedWork(partial(stops_after, 2), folder))
    assert len(list(folder.glob("prb-*/*.npz"))) == 2
    for work in (SharedWork(out_of_order, folder), SharedWork(partial(stops_after, 0), folder)):
        again = planned(work)
        np.testing.assert_array_equal(again.station, alone.station)
        np.testing.assert_array_equal(again.prb_map(), alone.prb_map())
        assert again.bound_mbps == alone.bound_mbps


def test_only_large_networks_are_cut(demand, monkeypatch):
    network = Network.from_sites(demand.lon[::6], demand.lat[::6])
    radio, settings = (
        Radio(bandwidth_mhz=5, link="downlink", stations="sites"),
        PrbSettings(threads=1, time_limit=1),
    )
    asked = partial(solve_hours, network, demand, [20], radio, settings, 8, work=HERE)
    assert "clusters" not in asked().plans[20].how
    monkeypatch.setattr("planning.prb.hours.LARGE", len(network.sites) - 1)
    plan = asked().plans[20]
    assert "clusters" in plan.how and plan.problem.stations == len(network.sites)
