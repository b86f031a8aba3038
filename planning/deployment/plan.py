"""A deployment: sites placed by a strategy, or uploaded, each with cells for its traffic.

The strategies are those of section 5.3 of the paper (`strategies`) and the optimised one (`siting`); `judging` compares
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd

from plannerbase.counting import counted
from plannerbase.progress import Progress, silent
from plannerbase.report import Report
from planning.coverage import Coverage, RadioSettings
from planning.demand import AnyTraffic, Demand, Scale
from planning.deployment.placement import place
from planning.deployment.radio_search import Replay
from planning.deployment.serving import Served, served
from planning.deployment.siting import SitingSettings, site_optimally
from planning.deployment.sizing import PIXEL_M, Sizing, size_network, usual_site_mbps, with_radio_capacity
from planning.deployment.strategies import area_blocks, density, proportional
from planning.errors import InputError
from planning.network import Network, SiteDesign, points_layer
from planning.network.cells import is_assumed
from planning.network.near import MARGIN_M, only_near
from planning.shared_work import SharedWork
from planning.solver import SolveResult

if TYPE_CHECKING:
    import plotly.graph_objects as go

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

    def __repr__(self) -> str:
        network = self.network
        return (
            f"DeploymentPlan({self.strategy}: {counted(len(network.sites), 'sites')}, "
            f"{counted(len(network.cells), 'cells')} for "
            f"{self.demand_mbps:,.0f} Mbit/s in the busy hour)"
        )

    def to_pandas(self) -> pd.DataFrame:
        """A row a site: its columns in the network, `cells` (number) and `capacity_mbps` (nominal)."""
        network = self.network
        cells = np.bincount(network.site_of_cell, minlength=len(network.sites))
        return network.sites.assign(cells=cells, capacity_mbps=network.capacity_mbps)

    def to_geodataframe(self) -> gpd.GeoDataFrame:
        """`to_pandas` as points, EPSG:4326."""
        return points_layer(self.to_pandas(), self.network.sites)

    def statistics(self) -> pd.Series:
        """Sites, cells, capacity and demand (Mbit/s), and what the radio model says is served."""
        known = {
            "sites": len(self.network.sites),
            "cells": len(self.network.cells),
            "capacity_mbps": float(self.network.capacity_mbps.sum()),
            "demand_mbps": self.demand_mbps,
        }
        served = {} if self.radio is None else self.radio.record()
        return pd.Series(
            known | {k: v for k, v in served.items() if isinstance(v, int | float)}, name=self.strategy
        )

    def plot(self) -> go.Figure:
        """The sites on a plain map, as large as their cells are many."""
        from planning.figures import places_figure

        table = self.to_pandas()
        text = [
            f"{site}: {counted(cells, 'cells')}"
            for site, cells in zip(table["site"], table["cells"], strict=True)
        ]
        lon, lat = table["lon"].to_numpy(float), table["lat"].to_numpy(float)
        return places_figure(lon, lat, table["cells"].to_numpy(float), text, "cells of a site")

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
    week: AnyTraffic,
    sites: int | None = None,
    strategy: str = "traffic",
    *,
    scale: Scale | None = None,
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
    """Place sites by a strategy and size each for its traffic.

    Parameters
    ----------
    week : Demand, TrafficTable, ensemble, DataFrame or path
        See `Demand.of`.
    sites : int, optional
        Their exact number; None where the optimised strategy has a budget.
    strategy : {"traffic", "poi", "business", "population", "uniform", "optimised"}
        What sites are placed in proportion to, or the integer program.
    scale : Scale, optional
        What relative traffic means in Mbit/s; None: as `Demand.of` says.
    quantile, headroom, max_layers
        See `planning.deployment.sizing.size_network`.
    area_tiles : int
        Tiles a side of the areas over which a proportional strategy shares out the sites first.
    siting : SitingSettings, optional
        Of the optimised strategy.
    radio : RadioSettings, optional
        Of the radio model.
    design : SiteDesign, optional
        Heights and bands of the sites; the optimised strategy takes those of its settings.
    progress : callable (done, total, what), optional
    work : SharedWork, optional
        Computes received levels by several processes, and seeks the sites of a large area part by part.

    Returns
    -------
    DeploymentPlan
        Its `network` holds the sites with their cells.

    Raises
    ------
    InputError, InfeasibleError, ClusterError
        In one sentence.

    References
    ----------
    Section 5.3 of Chai, Jiang and Yu, KDD 2024, for the proportional strategies; docs/method.md for the covering.
    """
    demand = Demand.of(week, scale)
    if sites is None and (strategy != "optimised" or siting is None or siting.budget is None):
        raise InputError(
            "Give the number of sites; only the optimised strategy can plan by a budget instead."
        )
    if sites is not None and not 1 <= sites <= 1_000_000:
        raise InputError(f"The number of sites must be 1 to 1,000,000, not {sites}.")
    tell = progress or silent
    tell(0, 100, "placing sites")
    if strategy == "optimised":
        settings = siting or SitingSettings()
        replay = Replay(demand, quantile, headroom, max_layers, radio, settings.objective, work)
        placed = _serving_most(demand, sites, settings, replay, tell)
    else:
        assert sites is not None  # checked above
        placed = _in_proportion(demand, sites, strategy, area_tiles)
    tell(95, 100, "sizing sites")
    sites_alone = Network.from_sites(placed.lon, placed.lat, placed.names)
    sizing = size_network(
        sites_alone, demand, quantile=quantile, headroom=headroom, max_layers=max_layers, radio=radio,
        design=placed.design or design, work=work,
        progress=lambda done, total, what: tell(95 + 4 * done // total, 100, what),
    )  # fmt: skip
    tell(99, 100, "what the network serves")
    serves = served(sizing.network, demand, radio=radio, coverage=sizing.coverage)
    tell(100, 100, "deployed")
    return DeploymentPlan(
        strategy,
        placed.counts,
        replace(sizing, coverage=None),
        demand_mbps=_peak_mbps(demand, quantile),
        sentence=f"{placed.sentence} {sizing.sentence} {serves.sentence}",
        solve=placed.solve,
        served_mbps=placed.served_mbps,
        tables=placed.tables,
        settings=placed.settings,
        radio=serves,
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
    replay: Replay,
    tell: Progress,
) -> _Placed:
    siting = site_optimally(
        demand,
        sites,
        settings,
        replay.quantile,
        usual_site_mbps(replay.max_layers),
        lambda done, total, what: tell(95 * done // total, 100, what),
        replay.work,
        replay,
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
    sentence = f"{counted(sites, 'sites')} {rule}, on a regular lattice inside each tile."
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
    sentence = f"{counted(len(kept.sites), 'uploaded sites')} with {counted(len(kept.cells), 'cells')}"
    inside = int(counts.sum())
    sentence += (
        "." if inside == len(kept.sites) else f", {counted(inside, 'sites')} of them on tiles of the area."
    )
    if len(kept.sites) < len(network.sites):
        sentence += (
            f" {counted(len(network.sites) - len(kept.sites), 'sites')} farther than {MARGIN_M / 1000:g} km from the "
            "area were left out."
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
