"""A scenario: tiles, sites, cells, plans and where they come from, in one file (`geopackage`) that opens in QGIS.

Layers: tiles (polygons), sites and cells (points), all WGS-84. Tables without geometry: whatever plans were made
("sleep_schedule", "energy_by_hour", "prb_assignment", ...) and "provenance", one row a key with its value as JSON.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from plannerbase.bands import quantile_of_samples
from plannerbase.source import Source
from planning.atomic import write_whole
from planning.demand import Demand, Scale
from planning.errors import InputError
from planning.geometry import tile_corner
from planning.geopackage import CRS, as_objects, read_layers, write_layers
from planning.network import CELL_COLUMNS, FIRST_COLUMNS, SITE_COLUMNS, Network

if TYPE_CHECKING:
    from planning.deployment import DeploymentPlan
    from planning.prb.plan import PrbPlan
    from planning.prices import Prices
    from planning.sleep import SleepPlan

LAYERS = ("tiles", "sites", "cells")
# of a scenario that an earlier version saved: its cells had no radio attributes, its sites were omnidirectional
FILLED = (
    "This scenario is of an earlier version, which took each site for one omnidirectional station. Its cells are now "
    "those of its sectors; assumed of each: {}."
)
# what a traffic table's metadata tells about its making, and every export repeats
CARRIED = (
    "area",
    "area_name",
    "source",
    "model",
    "model_checksum",
    "seed",
    "samples",
    "guidance_scale",
    "attribution",
    "assumptions",
)


@dataclass(frozen=True)
class Scenario:
    """tiles: GeoDataFrame with x, y, covered_share, mean_mbps, peak_mbps, busy_mbps, users, sites. tables: name ->
    DataFrame. provenance: key -> anything JSON holds."""

    tiles: gpd.GeoDataFrame
    network: Network
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_deployment(cls, plan: DeploymentPlan, demand: Demand, quantile: float = 0.9) -> Scenario:
        """The deployed network on its tiles."""
        scenario = cls.from_network(plan.network, demand, quantile)
        return replace(
            scenario,
            tables={**scenario.tables, **plan.tables},
            tiles=scenario.tiles.assign(sites=plan.counts.astype(np.int64)),
            provenance={**scenario.provenance, "deployment": plan.record()},
        )

    @classmethod
    def from_network(cls, network: Network, demand: Demand, quantile: float = 0.9) -> Scenario:
        """A network from anywhere (an upload, say) on the tiles of a demand."""
        counts = demand.count_in_tiles(network.sites["lon"], network.sites["lat"])
        tiles = tile_layer(demand, quantile).assign(sites=counts.astype(np.int64))
        return cls(tiles, network, {"traffic_week": week_table(demand)}, provenance_of(demand))

    def with_table(self, name: str, table: pd.DataFrame) -> Scenario:
        """This scenario with one more table."""
        return replace(self, tables={**self.tables, name: as_objects(table)})

    def with_sleep(
        self,
        plan: SleepPlan,
        comparison: pd.DataFrame | None = None,
        ranges: pd.DataFrame | None = None,
        prices: Prices | None = None,
    ) -> Scenario:
        """This scenario with a sleep plan (and, if given, the table of strategies side by side, what they come to on
        the ensemble, and the prices that cost and CO2 rest on)."""
        from planning.sleep.windows import windows

        tables = {
            **self.tables,
            "sleep_schedule": plan.schedule(),
            "sleep_windows": as_objects(windows(plan)),
            "energy_by_hour": plan.energy_by_hour(),
            "sleep_cells": plan.best_cells(),
        }
        if comparison is not None:
            tables["sleep_comparison"] = as_objects(comparison)
        if ranges is not None:
            tables["sleep_ranges"] = as_objects(ranges)
        record = plan.record() | ({} if prices is None else {"prices": prices.record()})
        return replace(
            self,
            network=plan.network,
            tables=tables,
            provenance={**self.provenance, "sleep": record, **_now()},
        )

    def with_utilisation(self, record: dict[str, Any], tables: Mapping[str, pd.DataFrame]) -> Scenario:
        """This scenario with the PRB utilisation of its network; each table is stored as utilisation_NAME."""
        stored = self.tables | {f"utilisation_{name}": as_objects(table) for name, table in tables.items()}
        return replace(self, tables=stored, provenance={**self.provenance, "utilisation": record, **_now()})

    def with_prb(self, plan: PrbPlan, **more: pd.DataFrame) -> Scenario:
        """This scenario with a PRB plan; `more`: further tables of it, each stored as prb_NAME."""
        tables = {
            **self.tables,
            "prb_assignment": as_objects(plan.assignment()),
            "prb_stations": plan.stations(),
            **{f"prb_{name}": as_objects(table) for name, table in more.items()},
        }
        return replace(self, tables=tables, provenance={**self.provenance, "prb": plan.record(), **_now()})

    def scale(self) -> Scale | None:
        """The scale that the scenario's figures were made with."""
        stored = self.provenance.get("scale")
        return Scale.from_record(stored) if isinstance(stored, dict) else None

    def sites_layer(self) -> gpd.GeoDataFrame:
        """Sites as points."""
        return self.network.to_geodataframe("sites")

    def cells_layer(self) -> gpd.GeoDataFrame:
        """Cells as points at their site, with the hours they sleep where a schedule exists."""
        cells = self.network.cells
        layer = self.network.to_geodataframe("cells")
        if "sleep_schedule" in self.tables:
            layer["asleep_hours"] = (
                asleep_hours(self.tables["sleep_schedule"]).reindex(cells["cell"]).to_numpy(object)
            )
        return layer

    def save(self, path: str | Path) -> Path:
        """Write the GeoPackage, whole or not at all. Raises InputError where the place cannot be written."""
        path = Path(path)
        if path.suffix.lower() != ".gpkg":
            raise InputError(
                f"A scenario is a GeoPackage: give a file name that ends in .gpkg, not {path.name!r}."
            )
        layers = {"tiles": self.tiles, "sites": self.sites_layer(), "cells": self.cells_layer()}
        write_whole(path, lambda part: write_layers(part, layers, self.tables, self.provenance))
        return path

    def to_bytes(self) -> bytes:
        """The GeoPackage as bytes, for a download."""
        with tempfile.TemporaryDirectory(prefix="scenario-", ignore_cleanup_errors=True) as folder:
            return self.save(Path(folder, "scenario.gpkg")).read_bytes()

    @classmethod
    def read(cls, source: Source) -> Scenario:
        """A scenario from a path, bytes or binary file object. Raises InputError where it is none."""
        layers, provenance, name = read_layers(source, LAYERS)
        tiles, sites, cells = (layers.pop(layer) for layer in LAYERS)
        lacking = [c for c in SITE_COLUMNS if c not in sites] + [c for c in FIRST_COLUMNS if c not in cells]
        if lacking:
            raise InputError(
                f"{name}: its sites and cells lack {', '.join(lacking)}; make the scenario again."
            )
        if missing := [c for c in CELL_COLUMNS if c not in cells]:
            provenance["cells"] = FILLED.format(", ".join(missing))
        return cls(tiles, Network.from_tables(sites, cells), layers, provenance)


def tile_layer(demand: Demand, quantile: float = 0.9) -> gpd.GeoDataFrame:
    """The demand's tiles as polygons with their mean, their own peak, their median in the area's busy hour, and mean
    users."""
    west, north = tile_corner(demand.x, demand.y)
    east, south = tile_corner(demand.x + 1, demand.y + 1)
    profile = demand.profile(24, quantile)
    busy_hour = int(week_table(demand)["median_mbps"].argmax())
    return gpd.GeoDataFrame(
        {
            "x": demand.x.astype(np.int64),
            "y": demand.y.astype(np.int64),
            "covered_share": demand.covered_share.astype(float),
            "mean_mbps": demand.mean_mbps(),
            "peak_mbps": profile.max(axis=1),
            "peak_hour": profile.argmax(axis=1).astype(np.int64),
            "busy_mbps": np.median(demand.mbps[:, :, busy_hour], axis=1).astype(float),
            "users": demand.users.mean(axis=(1, 2), dtype=float),
            "sites": np.zeros(demand.tiles, np.int64),
        },
        geometry=shapely.box(west, south, east, north),
        crs=CRS,
    )


def week_table(demand: Demand) -> pd.DataFrame:
    """Traffic of the whole area by hour: median of the samples and their central 50 % and 90 %, Mbit/s."""
    total = demand.mbps.sum(axis=0, dtype=float)
    levels = {"low_90": 0.05, "low_50": 0.25, "median": 0.5, "high_50": 0.75, "high_90": 0.95}
    bands = quantile_of_samples(total, list(levels.values()), axis=0)
    return pd.DataFrame(
        {"hour": np.arange(demand.hours)} | {f"{n}_mbps": band for n, band in zip(levels, bands, strict=True)}
    )


def provenance_of(demand: Demand) -> dict[str, Any]:
    """What is known about where a demand comes from."""
    known = {key: demand.metadata[key] for key in CARRIED if key in demand.metadata}
    return {**known, "scale": demand.scale.record(), "samples": demand.samples, **_now()}


def asleep_hours(schedule: pd.DataFrame) -> pd.Series:
    """cell -> "0-5, 23": the hours in which it sleeps, as text."""
    asleep = ~schedule["awake"].to_numpy(bool)
    number, cells = pd.factorize(schedule["cell"])
    hours: dict[int, list[int]] = {}
    for cell, hour in zip(
        number[asleep].tolist(), schedule["hour"].to_numpy(int)[asleep].tolist(), strict=True
    ):
        hours.setdefault(cell, []).append(hour)
    texts = np.full(len(cells), "", object)
    for cell, mine in hours.items():
        texts[cell] = ranges(sorted(mine))
    return pd.Series(texts, index=cells, dtype=object)


def ranges(hours: list[int]) -> str:
    """[0, 1, 2, 5] -> "0-2, 5"."""
    parts, begin = [], None
    for i, hour in enumerate(hours):
        begin = hour if begin is None else begin
        if i + 1 == len(hours) or hours[i + 1] != hour + 1:
            parts.append(f"{begin}" if begin == hour else f"{begin}-{hour}")
            begin = None
    return ", ".join(parts)


def _now() -> dict[str, Any]:
    return {"created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
