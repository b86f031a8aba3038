"""Which site serves which tile by distance alone, where no radio model is run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from planning.demand import Demand, quantile_profile
from planning.geometry import centre_of, local_metres, nearest, points_in_tiles
from planning.network import Network

POINTS_PER_SIDE = 8  # a tile's traffic is spread over 8 x 8 points, each served by its nearest site


@dataclass(frozen=True)
class Shares:
    """How tiles are served, as triples: tile row, site row, share of the tile's traffic (sums to 1 a tile)."""

    tile: np.ndarray
    site: np.ndarray
    share: np.ndarray
    sites: int

    def apply(self, values: np.ndarray) -> np.ndarray:
        """(tiles, hours) -> (sites, hours)."""
        out = np.zeros((self.sites, values.shape[1]))
        np.add.at(out, self.site, self.share[:, None] * values[self.tile])
        return out

    def profile(self, demand: Demand, hours: int | None, quantile: float) -> np.ndarray:
        """(sites, hours) Mbit/s that a site's traffic does not exceed with probability `quantile`.

        The tiles of a site are added up in each sample first: they do not all peak in the same one. hours as in
        `Demand.profile`.
        """
        samples = [self.apply(demand.mbps[:, sample]) for sample in range(demand.samples)]
        return quantile_profile(np.stack(samples, axis=1), hours, quantile)


def served_points(network: Network, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """(tiles * POINTS_PER_SIDE**2, 2) points that stand for the tiles' ground, tile by tile, and (sites, 2) sites, both
    in the same local metres."""
    lon, lat = points_in_tiles(x, y, POINTS_PER_SIDE)
    origin = centre_of(lon, lat)
    return local_metres(lon.ravel(), lat.ravel(), origin), network.metres(origin)


def tile_shares(network: Network, x: ArrayLike, y: ArrayLike) -> Shares:
    """Best server by distance: each tile's traffic is spread evenly over 8 x 8 points, each to its nearest site."""
    points, sites = served_points(network, x, y)
    site = nearest(points, sites)
    tile = np.repeat(np.arange(np.size(x)), POINTS_PER_SIDE**2)
    count = len(network.sites)
    pair, points_of_pair = np.unique(tile * count + site, return_counts=True)
    return Shares(pair // count, pair % count, points_of_pair / POINTS_PER_SIDE**2, count)
