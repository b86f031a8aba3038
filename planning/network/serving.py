"""Which site serves which tile, what is asked of each site, and networks sized for that."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from planning.demand import Demand, quantile_profile
from planning.equipment import CAPACITY, COVERAGE
from planning.errors import InputError, Shortfall
from planning.geometry import centre_of, local_metres, nearest, points_in_tiles
from planning.network import Network

SECTORS = 3  # of a sized site
POINTS_A_SIDE = 8  # a tile's traffic is spread over 8 x 8 points, each served by its nearest site
_ROUNDING_MBPS = 1e-6


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


@dataclass(frozen=True)
class Sizing:
    """A network sized to a demand; shortfalls: sites whose own peak exceeds the largest equipment allowed."""

    network: Network
    shortfalls: tuple[Shortfall, ...]
    sentence: str


def served_points(network: Network, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """(tiles * POINTS_A_SIDE**2, 2) points that stand for the tiles' ground, tile by tile, and (sites, 2) sites, both
    in the same local metres."""
    lon, lat = points_in_tiles(x, y, POINTS_A_SIDE)
    origin = centre_of(lon, lat)
    return local_metres(lon.ravel(), lat.ravel(), origin), network.metres(origin)


def tile_shares(network: Network, x: ArrayLike, y: ArrayLike) -> Shares:
    """Best server by distance: each tile's traffic is spread evenly over 8 x 8 points, each to its nearest site."""
    points, sites = served_points(network, x, y)
    site = nearest(points, sites)
    tile = np.repeat(np.arange(np.size(x)), POINTS_A_SIDE**2)
    count = len(network.sites)
    pair, points_of_pair = np.unique(tile * count + site, return_counts=True)
    return Shares(pair // count, pair % count, points_of_pair / POINTS_A_SIDE**2, count)


def site_demand(
    network: Network, demand: Demand, hours: int | None = 24, quantile: float = 0.9
) -> np.ndarray:
    """(sites, hours) Mbit/s asked of each site at a quantile, by best server."""
    return tile_shares(network, demand.x, demand.y).profile(demand, hours, quantile)


def size_network(
    network: Network, demand: Demand, quantile: float = 0.9, headroom: float = 0.2, max_layers: int = 4
) -> Sizing:
    """Default sites with as many 5G layers (1 .. max_layers) as the site's own peak, with headroom, asks for.

    quantile: of the demand over samples (and days, for a week). headroom: 0.2 plans for 1.2 x the peak. Sites that
    even max_layers cannot carry at their bare peak are named in `shortfalls`.
    """
    if not (0 <= headroom < 10 and max_layers >= 1):
        raise InputError("The headroom must be at least 0 (0.2 means 20 %) and the layers at least 1.")
    load = site_demand(network, demand, 24, quantile)
    peak, hour = load.max(axis=1), load.argmax(axis=1)
    sites, sectors = network.sites, SECTORS
    base, layer = sectors * COVERAGE.capacity_mbps, sectors * CAPACITY.capacity_mbps
    layers = np.clip(np.ceil((peak * (1 + headroom) - base) / layer), 1, max_layers).astype(int)
    sized = Network.from_sites(sites["lon"], sites["lat"], sites["site"], sectors, layers)
    missing = peak - sized.capacity_mbps
    short = tuple(
        Shortfall(sites["site"].iloc[i], int(hour[i]), float(missing[i]))
        for i in np.flatnonzero(missing > _ROUNDING_MBPS)
    )
    tight = int(((peak * (1 + headroom) > sized.capacity_mbps) & (missing <= _ROUNDING_MBPS)).sum())
    layered = f"1 to {layers.max()} {CAPACITY.name} cells" if layers.max() > 1 else f"a {CAPACITY.name} cell"
    sentence = (
        f"{len(sites)} sites of {sectors} sectors, each a {COVERAGE.name} coverage cell and {layered}, sized for "
        f"{100 * quantile:g} % of samples and days plus {100 * headroom:g} % headroom."
    )
    if tight:
        sentence += f" At {tight} sites the headroom is smaller."
    if short:
        worst = max(short, key=lambda s: s.missing_mbps)
        more = math.ceil(sum(s.missing_mbps for s in short) / sized.capacity_mbps.max())
        sentence += (
            f" {len(short)} sites cannot carry their own peak (worst: {worst.name}, short by "
            f"{worst.missing_mbps:,.0f} Mbit/s at hour {worst.hour}); plan at least {more} more sites there."
        )
    return Sizing(sized, short, sentence)
