"""Which sites can take over another's traffic because they reach the same ground."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from planning.errors import InputError
from planning.network import Network
from planning.network.serving import served_points
from planning.sleep.dispatch import Ring

LEAST_SHARE = 0.5  # assumed: of a site's ground, which another must reach to take it over


def overlap_ring(
    network: Network,
    x: np.ndarray,
    y: np.ndarray,
    reach_m: float,
    max_neighbours: int,
    least_share: float = LEAST_SHARE,
) -> Ring:
    """Up to `max_neighbours` sites for each: those that reach the largest share of its ground, nearest first.

    A site's ground is the points of the tiles (x, y) to which it is the nearest site, as in
    `planning.network.serving.tile_shares`; another site takes over if at least `least_share` of them lie within
    `reach_m` metres of it.
    """
    if not reach_m >= 0 or max_neighbours < 0 or not 0 < least_share <= 1:
        raise InputError(
            "The reach and the number of neighbours must be at least 0, the share above 0 and at most 1."
        )
    points, sites = served_points(network, x, y)
    number = len(sites)
    looked = min(number, 2 * max_neighbours + 1)  # of the sites nearest to a point, its own among them
    metres, near = cKDTree(sites).query(points, k=looked)
    metres, near = metres.reshape(len(points), looked), near.reshape(len(points), looked)
    own = np.repeat(near[:, :1], looked, axis=1)
    reached = (metres <= reach_m) & (near != own)
    pair, points_of_pair = np.unique(own[reached] * number + near[reached], return_counts=True)
    source, target = pair // number, pair % number
    share = points_of_pair / np.maximum(np.bincount(near[:, 0], minlength=number), 1)[source]
    apart = np.linalg.norm(sites[source] - sites[target], axis=1)
    order = np.lexsort((apart, -share, source))
    source, target, share, apart = source[order], target[order], share[order], apart[order]
    place = np.arange(len(source)) - np.searchsorted(source, source)
    kept = (share >= least_share) & (place < max_neighbours)
    order = np.argsort(apart[kept], kind="stable")
    return Ring(source[kept][order], target[kept][order], apart[kept][order], number)
