"""Sites over tiles in proportion to a density, as section 5.3 of the paper shares them out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from planning.demand import Demand
from planning.errors import InputError
from planning.geometry import tile_area_km2
from planning.traffic import TrafficTable

PROPORTIONAL = ("traffic", "poi", "business", "population", "uniform")
STRATEGIES = (*PROPORTIONAL, "optimised")
_INTENSITY = {"poi": "poi", "business": "business_poi", "population": "population"}


def available(source: Demand | TrafficTable) -> tuple[str, ...]:
    """The strategies that the table's intensities allow."""
    have = {s for s, key in _INTENSITY.items() if source.intensities.get(key, np.zeros(1)).sum() > 0}
    return tuple(s for s in STRATEGIES if s not in _INTENSITY or s in have)


def density(demand: Demand, strategy: str) -> np.ndarray:
    """(tiles,) weight of each tile, covered share applied. Raises InputError where the table lacks what is needed."""
    if strategy == "traffic":
        return demand.mean_mbps()
    if strategy == "uniform":
        return tile_area_km2(demand.x, demand.y) * demand.covered_share
    if strategy not in _INTENSITY:
        raise InputError(f"Unknown deployment strategy {strategy!r}; choose one of {', '.join(STRATEGIES)}.")
    values = demand.intensities.get(_INTENSITY[strategy])
    if values is None:
        raise InputError(
            f"The traffic table holds no {_INTENSITY[strategy]} intensity, so the strategy '{strategy}' cannot run; "
            f"choose one of {', '.join(available(demand))}."
        )
    if not values.sum() > 0:
        raise InputError(f"The {_INTENSITY[strategy]} intensity is 0 in every tile; choose another strategy.")
    return values * demand.covered_share


def largest_remainder(weights: ArrayLike, total: int) -> np.ndarray:
    """Whole numbers in proportion to weights that add up to `total` exactly (Hamilton's method).

    Every number is the rounded-down or rounded-up quota; of equal remainders the heavier, then the earlier wins.
    """
    weights = np.asarray(weights, float)
    if total < 0:
        raise InputError(f"The number of sites must be at least 0, not {total}.")
    if not (np.isfinite(weights) & (weights >= 0)).all() or not weights.sum() > 0:
        raise InputError("The weights must be finite, at least 0 and not all 0.")
    quota = weights / weights.max()
    quota = quota / quota.sum() * total
    whole = np.floor(quota + 1e-9).astype(np.int64)
    remainder = quota - whole
    order = np.lexsort((np.arange(len(weights)), -weights, -remainder.round(9)))
    whole[order[: total - int(whole.sum())]] += 1
    return whole


def area_blocks(x: ArrayLike, y: ArrayLike, tiles_a_side: int) -> np.ndarray:
    """(tiles,) number of the area that each tile lies in: square areas of tiles_a_side x tiles_a_side tiles."""
    if tiles_a_side < 1:
        raise InputError(f"An area has at least 1 tile a side, not {tiles_a_side}.")
    x, y = np.asarray(x), np.asarray(y)
    blocks = np.stack([(x - x.min()) // tiles_a_side, (y - y.min()) // tiles_a_side], axis=1)
    return np.unique(blocks, axis=0, return_inverse=True)[1].ravel()


def proportional(weights: np.ndarray, areas: np.ndarray, sites: int) -> np.ndarray:
    """(tiles,) whole numbers that add up to `sites`: first to areas in proportion to their weight, then to each area's
    tiles in proportion to theirs, both by largest remainder."""
    totals = largest_remainder(np.bincount(areas, weights), sites)
    counts = np.zeros(len(weights), np.int64)
    for area in np.flatnonzero(totals):
        mine = np.flatnonzero(areas == area)
        counts[mine] = largest_remainder(weights[mine], int(totals[area]))
    return counts
