"""A scenario: tiles, sites, cells, plans and where they come from, in one GeoPackage that opens in QGIS.

Layers: tiles (polygons), sites and cells (points), all WGS-84. Tables without geometry: whatever plans were made
("sleep_schedule", "energy_by_hour", "prb_assignment", ...) and "provenance", one row a key with its value as JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely

from intake.database import check_plain
from intake.source import Source
from intake.text import Refused, read_json
from planning.demand import Demand, Scale
from planning.deployment import DeploymentPlan
from planning.deployment.judging import count_sites_in_tiles
from planning.errors import InputError
from planning.geometry import tile_corner
from planning.network import CELL_COLUMNS, SITE_COLUMNS, Network
from planning.network.serving import Sizing
from planning.solver import SolveResult

if TYPE_CHECKING:
    from planning.prb.plan import PrbPlan
    from planning.sleep import SleepPlan

CRS = "EPSG:4326"
LAYERS = ("tiles", "sites", "cells")
FORMAT = 1
MAX_BYTES, MAX_LAYERS, MAX_ROWS = 2_000_000_000, 64, 5_000_000
OTHERS = "opendiff_"  # tables that others keep in the file begin so, and are left to them
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
    provenance: dict = field(default_factory=dict)

    @classmethod
    def from_deployment(cls, plan: DeploymentPlan, demand: Demand, quantile: float = 0.9) -> Scenario:
        """The deployed network on its tiles."""
        record = {"strategy": plan.strategy, "sites": int(plan.counts.sum()), "sentence": plan.sentence}
        record["demand_mbps"] = plan.demand_mbps
        if plan.served_mbps is not None:
            record["served_mbps"] = plan.served_mbps
        if plan.solve is not None:
            record["solve"] = plan.solve.record()
        if plan.settings:
            record["settings"] = plan.settings
        scenario = cls.from_network(plan.network, demand, quantile)
        return replace(
            scenario,
            tables={**scenario.tables, **plan.tables},
            tiles=scenario.tiles.assign(sites=plan.counts.astype(np.int64)),
            provenance={**scenario.provenance, "deployment": record},
        )

    @classmethod
    def from_network(cls, network: Network, demand: Demand, quantile: float = 0.9) -> Scenario:
        """A network from anywhere (an upload, say) on the tiles of a demand."""
        counts = count_sites_in_tiles(demand, network.sites["lon"], network.sites["lat"])
        tiles = tile_layer(demand, quantile).assign(sites=counts.astype(np.int64))
        return cls(tiles, network, {"traffic_week": week_table(demand)}, provenance_of(demand))

    def deployment_plan(self) -> DeploymentPlan:
        """The deployment that the scenario holds, as far as its file tells."""
        record = self.provenance.get("deployment")
        record = record if isinstance(record, dict) else {}
        solve = record.get("solve")
        sentence = str(record.get("sentence", ""))
        return DeploymentPlan(
            str(record.get("strategy", "traffic")),
            self.tiles["sites"].to_numpy(np.int64),
            Sizing(self.network, (), sentence),
            float(record.get("demand_mbps", 0.0)),
            sentence,
            SolveResult(**solve) if isinstance(solve, dict) else None,
            record.get("served_mbps"),
            {n: t for n, t in self.tables.items() if n.startswith("deployment_")},
            dict(record.get("settings", {})),
        )

    def with_table(self, name: str, table: pd.DataFrame) -> Scenario:
        """This scenario with one more table."""
        return replace(self, tables={**self.tables, name: _objects(table)})

    def with_sleep(self, plan: SleepPlan, comparison: pd.DataFrame | None = None) -> Scenario:
        """This scenario with a sleep plan (and, if given, the table of strategies side by side)."""
        tables = {
            **self.tables,
            "sleep_schedule": plan.schedule(),
            "energy_by_hour": plan.energy_by_hour(),
            "sleep_cells": plan.best_cells(),
        }
        if comparison is not None:
            tables["sleep_comparison"] = _objects(comparison)
        record = {
            "strategy": plan.strategy,
            "relaxed": plan.relaxed,
            "quantile": plan.problem.quantile,
            "settings": asdict(plan.settings),
            "result": plan.evaluation.record(),
            "notes": [*plan.problem.notes, *plan.notes],
        }
        if plan.solve is not None:
            record["solve"] = plan.solve.record()
        return replace(
            self,
            network=plan.network,
            tables=tables,
            provenance={**self.provenance, "sleep": record, **_now()},
        )

    def with_prb(self, plan: PrbPlan, **more: pd.DataFrame) -> Scenario:
        """This scenario with a PRB plan; `more`: further tables of it, each stored as prb_NAME."""
        tables = {
            **self.tables,
            "prb_assignment": _objects(plan.assignment()),
            "prb_stations": plan.stations(),
            **{f"prb_{name}": _objects(table) for name, table in more.items()},
        }
        return replace(self, tables=tables, provenance={**self.provenance, "prb": plan.record(), **_now()})

    def scale(self) -> Scale | None:
        """The scale that the scenario's figures were made with."""
        stored = self.provenance.get("scale")
        return Scale.from_record(stored) if isinstance(stored, dict) else None

    def sites_layer(self) -> gpd.GeoDataFrame:
        """Sites as points."""
        return _points(self.network.sites, self.network.sites)

    def cells_layer(self) -> gpd.GeoDataFrame:
        """Cells as points at their site, with the hours they sleep where a schedule exists."""
        cells = self.network.cells
        at = self.network.sites.set_index("site").loc[cells["site"], ["lon", "lat"]].reset_index(drop=True)
        layer = _points(cells, at)
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
        write_whole(path, self._write)
        return path

    def to_bytes(self) -> bytes:
        """The GeoPackage as bytes, for a download."""
        folder = Path(tempfile.mkdtemp(prefix="scenario-"))
        try:
            return self.save(folder / "scenario.gpkg").read_bytes()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _write(self, path: Path) -> None:
        layers = {"tiles": self.tiles, "sites": self.sites_layer(), "cells": self.cells_layer()}
        for name, layer in layers.items():
            pyogrio.write_dataframe(layer, path, layer=name, driver="GPKG", append=path.exists())
        for name, table in self.tables.items():
            pyogrio.write_dataframe(_plain(table), path, layer=name, driver="GPKG", append=True)
        provenance = pd.DataFrame(
            {
                "key": ["format", *self.provenance],
                "value": [json.dumps(v, ensure_ascii=False) for v in (FORMAT, *self.provenance.values())],
            }
        )
        pyogrio.write_dataframe(provenance, path, layer="provenance", driver="GPKG", append=True)

    @classmethod
    def read(cls, source: Source) -> Scenario:
        """A scenario from a path, bytes or binary file object. Raises InputError where it is none."""
        if not isinstance(source, (str, Path)):
            data = bytes(source) if isinstance(source, (bytes, bytearray)) else source.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise InputError(f"The scenario is larger than {MAX_BYTES // 10**6} MB; make a smaller one.")
            folder = Path(tempfile.mkdtemp(prefix="scenario-"))
            try:
                path = folder / "upload.gpkg"
                path.write_bytes(data)
                return cls.read(path)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        path, name = Path(source), Path(source).name
        if not path.is_file():
            raise InputError(
                f"There is no file {path}; make a scenario with `python -m planning deploy` first."
            )
        with open(path, "rb") as file:
            if (
                file.read(16) != b"SQLite format 3\0"
            ):  # nothing else is handed to GDAL, which would open much more
                raise InputError(
                    f"{name} is no readable GeoPackage; give a scenario (.gpkg) made by this planner."
                )
        try:
            check_plain(path)
        except Refused as error:
            raise InputError(f"{name} {error}; give a scenario made by this planner.") from None
        try:
            found = [str(n) for n in pyogrio.list_layers(path)[:, 0] if not str(n).startswith(OTHERS)]
            missing = [layer for layer in (*LAYERS, "provenance") if layer not in found]
            if missing:
                plural = "s" * (len(missing) > 1)
                raise InputError(f"{name} is no scenario: it lacks the layer{plural} {', '.join(missing)}.")
            if len(found) > MAX_LAYERS:
                raise InputError(
                    f"{name} has {len(found)} layers and the limit is {MAX_LAYERS}; it is no scenario."
                )
            for layer in found:
                rows = pyogrio.read_info(path, layer=layer, force_feature_count=True)["features"]
                if not 0 <= rows <= MAX_ROWS:
                    raise InputError(
                        f"{name}: {layer} has more than {MAX_ROWS:,} rows; make a smaller scenario."
                    )
            frames = {
                layer: pyogrio.read_dataframe(path, layer=layer, read_geometry=layer == "tiles")
                for layer in found
            }
        except (
            pyogrio.errors.DataSourceError,
            pyogrio.errors.DataLayerError,
            RuntimeError,
            ValueError,
        ) as error:
            raise InputError(f"{name} is no readable GeoPackage; make the scenario again.") from error
        tiles = frames.pop("tiles")
        try:
            rows = frames.pop("provenance")
            provenance = {k: read_json(v) for k, v in zip(rows["key"], rows["value"], strict=True)}
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{name}: its provenance cannot be read; make the scenario again.") from error
        if provenance.pop("format", None) != FORMAT:
            raise InputError(
                f"{name} was written by another version of the planner; make the scenario again."
            )
        sites, cells = frames.pop("sites"), frames.pop("cells")
        lacking = [c for c in SITE_COLUMNS if c not in sites] + [c for c in CELL_COLUMNS if c not in cells]
        if lacking:
            raise InputError(
                f"{name}: its sites and cells lack {', '.join(lacking)}; make the scenario again."
            )
        network = Network.from_tables(sites, cells)
        return cls(tiles, network, {n: _objects(f) for n, f in frames.items()}, provenance)


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
    bands = np.quantile(total, list(levels.values()), axis=0)
    return pd.DataFrame(
        {"hour": np.arange(demand.hours)} | {f"{n}_mbps": band for n, band in zip(levels, bands, strict=True)}
    )


def provenance_of(demand: Demand) -> dict:
    """What is known about where a demand comes from."""
    known = {key: demand.metadata[key] for key in CARRIED if key in demand.metadata}
    return {**known, "scale": demand.scale.record(), "samples": demand.samples, **_now()}


def asleep_hours(schedule: pd.DataFrame) -> pd.Series:
    """cell -> "0-5, 23": the hours in which it sleeps, as text."""
    asleep = schedule[~schedule["awake"].astype(bool)]
    listed = {cell: ranges(sorted(hours)) for cell, hours in asleep.groupby("cell")["hour"]}
    cells = schedule["cell"].unique()
    return pd.Series([listed.get(cell, "") for cell in cells], index=cells, dtype=object)


def ranges(hours: list[int]) -> str:
    """[0, 1, 2, 5] -> "0-2, 5"."""
    parts, begin = [], None
    for i, hour in enumerate(hours):
        begin = hour if begin is None else begin
        if i + 1 == len(hours) or hours[i + 1] != hour + 1:
            parts.append(f"{begin}" if begin == hour else f"{begin}-{hour}")
            begin = None
    return ", ".join(parts)


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Call write(temporary path) beside `path`, then move the result into place: whole or not at all."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=".writing-", dir=path.resolve().parent))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another folder.") from error
    try:
        part = folder / path.name
        write(part)
        os.replace(part, path)
    except (OSError, pyogrio.errors.DataSourceError, pyogrio.errors.FeatureError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).replace(str(folder), "")
        raise InputError(f"{path} cannot be written ({reason}); choose another place.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _now() -> dict:
    return {"created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def _points(table: pd.DataFrame, at: pd.DataFrame) -> gpd.GeoDataFrame:
    geometry = shapely.points(at["lon"].to_numpy(float), at["lat"].to_numpy(float))
    return gpd.GeoDataFrame(table.reset_index(drop=True), geometry=geometry, crs=CRS)


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Columns that a GeoPackage holds: lists become JSON text, missing objects None."""
    out = table.reset_index(drop=True).copy()
    for column in out:
        if out[column].dtype == object:
            out[column] = [
                json.dumps(v) if isinstance(v, (list, tuple, dict)) else None if _is_missing(v) else v
                for v in out[column]
            ]
            if all(v is None or isinstance(v, (int, float)) for v in out[column]):
                out[column] = out[column].astype(float)
    return out


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _objects(table: pd.DataFrame) -> pd.DataFrame:
    """Text columns as plain objects, whatever string type pandas read them as."""
    text = {c: table[c].astype(object) for c in table if not pd.api.types.is_numeric_dtype(table[c].dtype)}
    kept = {c: v.where(v.notna(), None) for c, v in text.items() if table[c].dtype != bool}
    return table.assign(**kept)
