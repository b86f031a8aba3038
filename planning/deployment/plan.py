"""A deployment: sites placed by a strategy, or uploaded, each with cells for its traffic.

The strategies are those of section 5.3 of the paper (`strategies`) and the optimised one (`siting`); `judging` compares
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from intake.report import Report
from planning.coverage import Coverage, RadioSettings
from planning.demand import Demand
from planning.deployment.placement import place
from planning.deployment.serving import Served, served
from planning.deployment.siting import SitingSettings, site_optimally
from planning.deployment.sizing import PIXEL_M, Sizing, size_network, usual_site_mbps, with_radio_capacity
from planning.deployment.strategies import area_blocks, density, proportional
from planning.errors import InputError
from planning.network import Network, SiteDesign
from planning.network.cells import is_assumed
from planning.network.near import MARGIN_M, only_near
from planning.progress import Progress, silent
from planning.shared_work import SharedWork
from planning.solver import SolveResult

UPLOADED = "uploaded"


@dataclass(frozen=True)
class DeploymentPlan:
    """Sites with their cells, and how they were found."""

    strategy: str
    counts: np.ndarray  # (tiles,) sites
    sizing: Sizing
    demand_mbps: float  # of the busy hour at the planning quantile
    sentence: str
    solve: SolveResult | None = None  # of the optimised strategy
    served_mbps: float | None = None  # likewise
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)  # name -> what the plan adds to a scenario
    # what it was made with, as plain values for provenance
    settings: dict[str, Any] = field(default_factory=dict)
    radio: Served | None = None  # what the network serves in the busy hour by the radio model

    @property
    def network(self) -> Network:
        """The sites with the cells that they need."""
        return self.sizing.network

    def record(self) -> dict[str, Any]:
        """For provenance."""
        known = {
            "strategy": self.strategy,
            "sites": int(self.counts.sum()),
            "sentence": self.sentence,
            "demand_mbps": self.demand_mbps,
        }
        if self.served_mbps is not None:
            known["served_mbps"] = self.served_mbps
        if self.solve is not None:
            known["solve"] = self.solve.record()
        if self.radio is not None:
            known["radio"] = self.radio.record()
        if self.settings:
            known["settings"] = self.settings
        return known


def deploy(
    demand: Demand,
    sites: int | None,
    strategy: str = "traffic",
    quantile: float = 0.9,
    headroom: float = 0.2,
    max_layers: int = 4,
    area_tiles: int = 1,
    siting: SitingSettings | None = None,
    radio: RadioSettings | None = None,
    design: SiteDesign | None = None,
    progress: Progress | None = None,
    work: SharedWork | None = None,
) -> DeploymentPlan:
    """Place `sites` sites by a strategy and size each for its traffic.

    quantile, headroom, max_layers: see `planning.deployment.sizing.size_network`.
    area_tiles: tiles a side of the areas over which a
    proportional strategy shares out the sites first. radio: of the radio model. design: heights and bands of the sites;
    the optimised strategy takes those of its settings. siting: of the optimised strategy; sites may be None where it
    has a budget. work: computes received levels by several processes. Raises InputError, InfeasibleError or
    ClusterError, one sentence.
    """
    if sites is None and (strategy != "optimised" or siting is None or siting.budget is None):
        raise InputError(
            "Give the number of sites; only the optimised strategy can plan by a budget instead."
        )
    if sites is not None and not 1 <= sites <= 1_000_000:
        raise InputError(f"The number of sites must be 1 to 1,000,000, not {sites}.")
    tell = progress or silent
    tell(0, 100, "placing sites")
    if strategy == "optimised":
        placed = _serving_most(demand, sites, siting or SitingSettings(), quantile, max_layers, tell)
    else:
        assert sites is not None  # checked above
        placed = _in_proportion(demand, sites, strategy, area_tiles)
    tell(95, 100, "sizing sites")
    sites_alone = Network.from_sites(placed.lon, placed.lat, placed.names)
    sizing = size_network(
        sites_alone, demand, quantile, headroom, max_layers, radio, placed.design or design,
        lambda done, total, what: tell(95 + 4 * done // total, 100, what), work,
    )  # fmt: skip
    tell(99, 100, "what the network serves")
    serves = served(sizing.network, demand, radio=radio, coverage=sizing.coverage)
    tell(100, 100, "deployed")
    return DeploymentPlan(
        strategy,
        placed.counts,
        replace(sizing, coverage=None),
        _peak_mbps(demand, quantile),
        f"{placed.sentence} {sizing.sentence} {serves.sentence}",
        placed.solve,
        placed.served_mbps,
        placed.tables,
        placed.settings,
        serves,
    )


@dataclass(frozen=True)
class _Placed:
    """Where a strategy puts sites: lon, lat (sites,) degrees, counts (tiles,), and what it tells of that."""

    lon: np.ndarray
    lat: np.ndarray
    counts: np.ndarray
    sentence: str
    names: tuple[str, ...] | None = None
    design: SiteDesign | None = None  # where the strategy chose it
    solve: SolveResult | None = None
    served_mbps: float | None = None
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def _serving_most(
    demand: Demand,
    sites: int | None,
    settings: SitingSettings,
    quantile: float,
    max_layers: int,
    tell: Progress,
) -> _Placed:
    largest = usual_site_mbps(max_layers)
    siting = site_optimally(
        demand,
        sites,
        settings,
        quantile,
        largest,
        lambda done, total, what: tell(95 * done // total, 100, what),
    )
    return _Placed(
        siting.lon,
        siting.lat,
        demand.count_in_tiles(siting.lon, siting.lat),
        siting.sentence,
        siting.names,
        siting.design,
        siting.plan.solve,
        siting.plan.served_mbps,
        siting.tables(),
        settings.record(),
    )


def _in_proportion(demand: Demand, sites: int, strategy: str, area_tiles: int) -> _Placed:
    counts = proportional(density(demand, strategy), area_blocks(demand.x, demand.y, area_tiles), sites)
    rule = "spread evenly by area" if strategy == "uniform" else f"in proportion to {strategy}"
    settings = {}
    if area_tiles > 1:
        rule += f" over areas of {area_tiles} x {area_tiles} tiles, then over their tiles"
        settings = {"area_tiles": area_tiles}
    sentence = f"{sites} sites {rule}, on a regular lattice inside each tile."
    lon, lat, _ = place(demand.x, demand.y, counts, demand.metadata.get("area"))
    return _Placed(lon, lat, counts, sentence, settings=settings)


def _peak_mbps(demand: Demand, quantile: float) -> float:
    """Of the typical day, of the whole area."""
    return float(demand.profile(24, quantile).sum(axis=0).max())


def uploaded(
    demand: Demand,
    network: Network,
    report: Sequence[str] = (),
    quantile: float = 0.9,
    radio: RadioSettings | None = None,
) -> DeploymentPlan:
    """A network from elsewhere as a deployment of the area: its sites in or within MARGIN_M of the demand's tiles, with
    the cells that they have. Capacities that no file stated are those of the radio model with every cell loaded.

    Raises InputError where no site is that near."""
    told = Report()
    kept = only_near(network, demand.x, demand.y, told)
    coverage = Coverage.of(kept, demand.x, demand.y, radio or RadioSettings(pixel_m=PIXEL_M))
    modelled = with_radio_capacity(kept, coverage, demand).cells["capacity_mbps"].to_numpy(float)
    given = kept.cells["capacity_mbps"].to_numpy(float)
    kept = kept.with_capacity(np.where(is_assumed(kept.cells, "capacity_mbps"), modelled, given))
    counts = demand.count_in_tiles(kept.sites["lon"], kept.sites["lat"])
    sentence = f"{len(kept.sites):,} uploaded sites with {len(kept.cells):,} cells."
    if len(kept.sites) < len(network.sites):
        sentence += (
            f" {len(network.sites) - len(kept.sites):,} sites farther than {MARGIN_M / 1000:g} km from the area "
            "were left "
            "out."
        )
    serves = served(kept, demand, coverage=coverage)
    sentence += f" {serves.sentence}"
    return DeploymentPlan(
        UPLOADED,
        counts,
        Sizing(kept, (), sentence),
        _peak_mbps(demand, quantile),
        sentence,
        settings={"report": [*report, *told]},
        radio=serves,
    )
