"""Clusters of a network: whose traffic is whose, and plans of their users."""

import numpy as np
import pytest

from planning.errors import InputError
from planning.network import Network
from planning.prb import Cluster, PrbSettings, draw_users
from planning.prb.hours import solve_hours
from planning.radio import Radio


@pytest.fixture
def network(demand) -> Network:
    rng = np.random.default_rng(2)
    west, east, south, north = demand.lon.min(), demand.lon.max(), demand.lat.min(), demand.lat.max()
    return Network.from_sites(rng.uniform(west, east, 9), rng.uniform(south, north, 9))


def test_clusters_of_single_sites_share_out_all_traffic(network, demand):
    total = np.zeros_like(demand.mbps.sum(axis=(0, 1)))
    for lon, lat in zip(network.sites["lon"], network.sites["lat"], strict=True):
        cluster = Cluster.of(network, demand, lon, lat, 1)
        assert cluster.network.sites["lon"].tolist() == [lon]
        assert cluster.inside(np.array([lon]), np.array([lat])).all()
        total = total + cluster.demand.mbps.sum(axis=(0, 1))
    np.testing.assert_allclose(total, demand.mbps.sum(axis=(0, 1)), rtol=1e-4)


def test_users_of_a_cluster_are_nearest_to_its_sites(network, demand):
    lon, lat = network.sites[["lon", "lat"]].iloc[0]
    cluster = Cluster.of(network, demand, lon, lat, 3)
    users = draw_users(cluster.demand, 20, 60, seed=1, inside=cluster.inside)
    sites = network.sites[["lon", "lat"]].to_numpy()
    scale = np.array([np.cos(np.radians(lat)), 1.0])
    away = np.hypot(*((np.column_stack([users.lon, users.lat])[:, None] - sites) * scale).transpose(2, 0, 1))
    own = network.sites["site"].isin(cluster.network.sites["site"]).to_numpy()
    assert (
        away[:, own].min(axis=1) <= 1.01 * away.min(axis=1)
    ).all()  # degrees are not quite as long on an ellipsoid
    asked = cluster.demand.profile(None)[:, 20].sum()
    assert users.demand_mbps.sum() == pytest.approx(asked)
    made = solve_hours(
        cluster.network, cluster.demand, [20], Radio(bandwidth_mhz=20), PrbSettings(time_limit=1), 20,
        rule="round-robin", inside=cluster.inside,
    )  # fmt: skip
    assert made.plans[20].problem.stations == 3


def test_clusters_that_make_no_sense_are_refused(network, demand):
    for lon, lat, sites, message in (
        (115.9, 28.7, 0, "1 to 10 sites"),
        (115.9, 28.7, 11, "1 to 10 sites"),
        (400.0, 28.7, 3, "outside the map"),
    ):
        with pytest.raises(InputError, match=message):
            Cluster.of(network, demand, lon, lat, sites)
    far = Network.from_sites([*network.sites["lon"], 10.0], [*network.sites["lat"], 10.0])
    with pytest.raises(InputError, match="No traffic"):
        Cluster.of(far, demand, 10.0, 10.0, 1)
