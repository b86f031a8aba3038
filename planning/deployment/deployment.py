"""Where base stations go: N sites over tiles in proportion to a density, or where they serve the most.

The strategies of section 5.3 of the paper and the optimised one of `siting`; `judging` compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from planning.demand import Demand
from planning.deployment.judging import count_sites_in_tiles
from planning.deployment.placement import place
from planning.deployment.siting import Siting, SitingSettings, site_optimally
from planning.errors import InputError
from planning.geometry import centre_of, local_metres, nearest, tile_area_km2
from planning.network import Network
from planning.network.serving import Sizing, size_network
from planning.progress import Progress
from planning.solver import SolveResult
from planning.traffic import TrafficTable

PROPORTIONAL = ("traffic", "poi", "business", "population", "uniform")
STRATEGIES = (*PROPORTIONAL, "optimised")
_INTENSITY = {"poi": "poi", "business": "business_poi", "population": "population"}


@dataclass(frozen=True)
class DeploymentPlan:
    """counts: (tiles,) sites per tile. network: sized sites. demand_mbps: of the busy hour at the planning quantile.
    solve, served_mbps: of the optimised strategy. tables: name -> what the plan adds to a scenario. settings: what it
    was made with, as plain values for provenance."""

    strategy: str
    counts: np.ndarray
    sizing: Sizing
    demand_mbps: float
    sentence: str
    solve: SolveResult | None = None
    served_mbps: float | None = None
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    settings: dict = field(default_factory=dict)

    @property
    def network(self) -> Network:
        return self.sizing.network


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


def deploy(
    demand: Demand,
    sites: int | None,
    strategy: str = "traffic",
    quantile: float = 0.9,
    headroom: float = 0.2,
    max_layers: int = 4,
    area_tiles: int = 1,
    siting: SitingSettings | None = None,
    progress: Progress | None = None,
) -> DeploymentPlan:
    """Place `sites` sites by a strategy and size each for its traffic.

    quantile, headroom, max_layers: see `network.size_network`. area_tiles: tiles a side of the areas over which a
    proportional strategy shares out the sites first. siting: of the optimised strategy; sites may be None where it
    has a budget. Raises InputError or InfeasibleError, one sentence.
    """
    if sites is None and (strategy != "optimised" or siting is None or siting.budget is None):
        raise InputError(
            "Give the number of sites; only the optimised strategy can plan by a budget instead."
        )
    if sites is not None and not 1 <= sites <= 1_000_000:
        raise InputError(f"The number of sites must be 1 to 1,000,000, not {sites}.")
    tell = progress or (lambda done, total, what: None)
    tell(0, 100, "placing sites")
    chosen: Siting | None = None
    settings: dict[str, Any] = {}
    if strategy == "optimised":
        largest = float(Network.from_sites(0.0, 0.0, capacity_layers=max_layers).capacity_mbps[0])
        chosen = site_optimally(
            demand,
            sites,
            siting,
            quantile,
            largest,
            lambda done, total, what: tell(95 * done // total, 100, what),
        )
        lon, lat = chosen.lon, chosen.lat
        counts = count_sites_in_tiles(demand, lon, lat)
        sentence, settings = chosen.sentence, (siting or SitingSettings()).record()
    else:
        assert sites is not None  # checked above
        counts = proportional(density(demand, strategy), area_blocks(demand.x, demand.y, area_tiles), sites)
        rule = "spread evenly by area" if strategy == "uniform" else f"in proportion to {strategy}"
        if area_tiles > 1:
            rule += f" over areas of {area_tiles} x {area_tiles} tiles, then over their tiles"
            settings = {"area_tiles": area_tiles}
        sentence = f"{sites} sites {rule}, on a regular lattice inside each tile."
        lon, lat, _ = place(demand.x, demand.y, counts, demand.metadata.get("area"))
    tell(95, 100, "sizing sites")
    names = None if chosen is None else chosen.names
    sizing = size_network(Network.from_sites(lon, lat, names), demand, quantile, headroom, max_layers)
    peak = demand.profile(24, quantile).sum(axis=0).max()
    tell(100, 100, "deployed")
    plan = DeploymentPlan(
        strategy, counts, sizing, float(peak), f"{sentence} {sizing.sentence}", settings=settings
    )
    if chosen is None:
        return plan
    return replace(plan, solve=chosen.plan.solve, served_mbps=chosen.plan.served_mbps, tables=chosen.tables())


UPLOADED = "uploaded"
MARGIN_M = 3000.0  # sites so near to the area's tiles may serve it


def uploaded(
    demand: Demand, network: Network, report: Sequence[str] = (), quantile: float = 0.9
) -> DeploymentPlan:
    """A network from elsewhere as a deployment of the area: its sites in or within MARGIN_M of the demand's tiles, with
    the cells and figures that they have. Raises InputError where no site is that near."""
    sites = network.sites
    lon, lat = demand.lon, demand.lat
    origin = centre_of(lon, lat)
    tiles, places = local_metres(lon, lat, origin), network.metres(origin)
    half = 500.0 * float(np.sqrt(tile_area_km2(demand.x, demand.y).max()))
    apart = np.abs(places - tiles[nearest(places, tiles)]).max(axis=1) - half
    near = apart <= MARGIN_M
    if not near.any():
        raise InputError(
            f"None of the {len(sites):,} sites lies in or near the area (nearest: {apart.min() / 1000:,.0f} km away);"
            " upload the sites of this area."
        )
    kept = network.only(near)
    counts = count_sites_in_tiles(demand, kept.sites["lon"], kept.sites["lat"])
    sentence = f"{len(kept.sites):,} uploaded sites with {len(kept.cells):,} cells."
    if not near.all():
        sentence += (
            f" {int((~near).sum()):,} sites farther than {MARGIN_M / 1000:g} km from the area were left out."
        )
    peak = demand.profile(24, quantile).sum(axis=0).max()
    return DeploymentPlan(
        UPLOADED, counts, Sizing(kept, (), sentence), float(peak), sentence, settings={"report": list(report)}
    )
