"""The ring of overlapping ground, counted point by point."""

import numpy as np

from planning.geometry import tile_corner
from planning.network import Network
from planning.sleep.overlap import overlap_ring


def test_sites_that_reach_the_same_ground_take_over():
    """Sites on a line, 1 km apart, over a strip of tiles: with 1.2 km a neighbour reaches more than half of the ground
    of the site beside it, and nothing of the next; counted point by point."""
    x, y = np.arange(26900, 26914), np.full(14, 13675)
    lon, lat = tile_corner(x[:, None] + (np.arange(8) + 0.5) / 8, 13675.5 + np.zeros((14, 8)))
    network = Network.from_sites(np.linspace(lon.min(), lon.max(), 4), np.full(4, lat.mean()))
    apart = np.linalg.norm(np.diff(network.metres(), axis=0), axis=1)[0]
    ring = overlap_ring(network, x, y, 1.2 * apart, 6)
    assert set(zip(ring.source.tolist(), ring.target.tolist(), strict=True)) == {
        (a, b) for a in range(4) for b in range(4) if abs(a - b) == 1
    }
    np.testing.assert_allclose(ring.metres, apart, rtol=1e-6)
    assert len(overlap_ring(network, x, y, 0.4 * apart, 6).source) == 0
    assert len(overlap_ring(network, x, y, 1.2 * apart, 0).source) == 0
