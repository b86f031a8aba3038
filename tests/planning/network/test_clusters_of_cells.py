"""Cells of a database as sites: chains that are cut together are cut as each alone."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from planning.network import cell_databases
from planning.network.cell_databases import cluster_sites

METRES_PER_DEGREE = 111_320.0


def places(count: int, side_m: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Places in a square, degrees near the equator."""
    metres = np.random.default_rng(seed).uniform(0, side_m, (count, 2))
    return metres[:, 0] / METRES_PER_DEGREE, metres[:, 1] / METRES_PER_DEGREE


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sites_do_not_depend_on_what_is_cut_in_one_call(seed, monkeypatch):
    lon, lat = places(1500, 1600.0, seed)
    found = cluster_sites(lon, lat)
    monkeypatch.setattr(cell_databases, "TOGETHER", 1)  # every chain alone
    np.testing.assert_array_equal(cluster_sites(lon, lat), found)
    east, north = lon * METRES_PER_DEGREE, lat * METRES_PER_DEGREE
    for site in range(found.max() + 1):
        mine = found == site
        assert np.hypot(np.ptp(east[mine]), np.ptp(north[mine])) <= 50.0 * np.sqrt(2) + 0.1


def test_chains_of_equal_distances_are_cut_alone():
    row = np.column_stack([np.arange(8) * 30.0, np.zeros(8)])
    points = np.concatenate([row, row + np.array([0.0, 5000.0])])
    chains = [np.arange(8), np.arange(8, 16)]
    for mine, cut in zip(chains, cell_databases._cut(points, chains, 50.0), strict=True):
        alone = fcluster(linkage(points[mine], "complete"), 50.0, "distance")
        np.testing.assert_array_equal(cut, alone)
