"""Plans out to the tools planners use: CSV, GeoJSON, KML, GeoPackage, and one HTML page.

Every export carries the provenance (area, model and checksum, seed, scale, strategy, solver, gap, date); a single CSV,
whose first line is its heading, has it in a file beside it (`provenance_path`).
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely

from planning.atomic import write_whole
from planning.errors import InputError
from planning.export.kml import kml_bytes
from planning.export.report import page
from planning.network.export import cloudrf_table, kmz_bytes, network_table, shapefile_zip, xlsx_bytes
from planning.scenario import Scenario

FORMATS = {  # format -> (file ending, MIME type)
    "csv": (".csv", "text/csv"),
    "zip": (".zip", "application/zip"),
    "geojson": (".geojson", "application/geo+json"),
    "kml": (".kml", "application/vnd.google-earth.kml+xml"),
    "gpkg": (".gpkg", "application/geopackage+sqlite3"),
    "html": (".html", "text/html"),
    "xlsx": (".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "kmz": (".kmz", "application/vnd.google-earth.kmz"),
    "shp": (".shp.zip", "application/zip"),
    "cloudrf": (".cloudrf.csv", "text/csv"),
    "provenance": (".provenance.json", "application/json"),
}
WITHOUT_PROVENANCE = ("csv", "cloudrf")  # tables that other tools read from the first line on
MAX_SHEET_ROWS = 1_000_000  # of a worksheet


def export(
    scenario: Scenario,
    format: str,
    path: str | Path | None = None,
    table: str | None = None,
    compared: Mapping[str, Scenario] | None = None,
) -> bytes:
    """The scenario in a format, as bytes; written to `path` whole or not at all where one is given.

    csv: one table, by default the sites (a path that ends in .zip gives them all, as "zip" does); `table` chooses
    another: "sites", "cells", "network" (a row a cell with its site), "tiles", or a plan's table. compared: scenarios
    by label that the HTML page puts side by side. Raises InputError for an unknown format or table.
    """
    path = None if path is None else Path(path)
    if format == "csv" and path is not None and path.suffix.lower() == ".zip":
        format = "zip"
    makers = {
        "csv": lambda: _csv(scenario, table or "sites"),
        "zip": lambda: _zip(scenario),
        "geojson": lambda: _geojson(scenario),
        "kml": lambda: kml_bytes(scenario, provenance_lines(scenario)),
        "gpkg": scenario.to_bytes,
        "html": lambda: page(scenario, tables(scenario), compared).encode(),
        "xlsx": lambda: _xlsx(scenario),
        "kmz": lambda: kmz_bytes(kml_bytes(scenario, provenance_lines(scenario))),
        "shp": lambda: shapefile_zip(
            {"sites": scenario.sites_layer(), "cells": scenario.cells_layer()}, scenario.provenance
        ),
        "cloudrf": lambda: _csv_text(cloudrf_table(scenario.network)),
        "provenance": lambda: _provenance(scenario),
    }
    if format not in makers:
        raise InputError(f"Unknown export format {format!r}; choose one of {', '.join(makers)}.")
    data = makers[format]()
    if path is not None:
        write_whole(path, lambda part: part.write_bytes(data))
        if format in WITHOUT_PROVENANCE:
            write_whole(provenance_path(path), lambda part: part.write_bytes(_provenance(scenario)))
    return data


def provenance_path(path: Path) -> Path:
    """The file beside a CSV that says where it comes from."""
    return path.with_name(f"{path.name.removesuffix('.csv')}{FORMATS['provenance'][0]}")


def tables(scenario: Scenario) -> dict[str, pd.DataFrame]:
    """Every table of the scenario, the layers without their geometry."""
    tiles = scenario.tiles.drop(columns="geometry")
    cells = scenario.cells_layer().drop(columns="geometry")
    return {
        "sites": scenario.network.sites,
        "cells": pd.DataFrame(cells),
        "tiles": pd.DataFrame(tiles),
        **scenario.tables,
    }


def provenance_lines(scenario: Scenario) -> list[str]:
    """One line a key, nested values as JSON."""
    lines = []
    for key, value in scenario.provenance.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines.append(f"{key}: {' '.join(text.split())}")
    return lines


def _csv(scenario: Scenario, name: str) -> bytes:
    known = tables(scenario) | {"network": network_table(scenario.network)}
    if name not in known:
        raise InputError(f"The scenario holds no table {name!r}; choose one of {', '.join(known)}.")
    return _csv_text(known[name])


def _xlsx(scenario: Scenario) -> bytes:
    """Everything that was planned, a sheet a table; tables longer than a sheet are left out and named in the last."""
    network = {"sites": scenario.network.sites, "cells": scenario.network.cells}
    whole = {name: _harmless(t) for name, t in (tables(scenario) | network | _sleep_sheets(scenario)).items()}
    kept = {name: table for name, table in whole.items() if len(table) <= MAX_SHEET_ROWS}
    missing = sorted(set(whole) - set(kept))
    more = {"tables too long for a worksheet": ", ".join(missing)} if missing else {}
    return xlsx_bytes({name: kept[name] for name in ("sites", "cells")} | kept, scenario.provenance | more)


def _sleep_sheets(scenario: Scenario) -> dict[str, pd.DataFrame]:
    """Of a sleep plan its cells by hour and what it assumes."""
    if "sleep_schedule" not in scenario.tables:
        return {}
    of_plan: dict[str, pd.DataFrame] = {}
    of_plan["sleep_by_hour"] = _by_hour(scenario.tables["sleep_schedule"])
    record = scenario.provenance.get("sleep", {})
    rows = [("note", note) for note in record.get("notes", [])]
    prices = record.get("prices") or {}
    rows += [("prices", sentence) for sentence in prices.get("sentences", [])]
    for part in ("prices", "settings", "operation", "result", "solve"):
        rows += [(f"{part}: {key}", _cell_text(value)) for key, value in (record.get(part) or {}).items()]
    of_plan["assumptions"] = pd.DataFrame(rows, columns=["what", "value"])
    return of_plan


def _cell_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _by_hour(schedule: pd.DataFrame) -> pd.DataFrame:
    """A row a cell that is not always on: its state in each hour."""
    state = "state" if "state" in schedule else "awake"
    wide = schedule.pivot(index="cell", columns="hour", values=state)
    on = wide == ("on" if state == "state" else True)
    wide = wide[~on.all(axis=1)]
    wide.columns = [f"h{int(h):02d}" for h in wide.columns]
    return wide.astype(str).reset_index()


def _csv_text(table: pd.DataFrame) -> bytes:
    """The heading is the first line. A mark before it tells spreadsheets that it is UTF-8 only where some text "
    "needs it."""
    body = _harmless(table).to_csv(index=False, lineterminator="\r\n")
    return (b"" if body.isascii() else b"\xef\xbb\xbf") + body.encode()


def _provenance(scenario: Scenario) -> bytes:
    return json.dumps(scenario.provenance, ensure_ascii=False, indent=1).encode()


def _zip(scenario: Scenario) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, table in tables(scenario).items():
            archive.writestr(f"{name}.csv", _harmless(table).to_csv(index=False, lineterminator="\r\n"))
        archive.writestr("provenance.json", _provenance(scenario))
    return buffer.getvalue()


def _harmless(table: pd.DataFrame) -> pd.DataFrame:
    """Text that a spreadsheet would run as a formula gets a leading apostrophe."""
    out = table.copy()
    for column in out:
        if not (pd.api.types.is_numeric_dtype(out[column]) or pd.api.types.is_bool_dtype(out[column])):
            out[column] = [
                f"'{v}" if isinstance(v, str) and v[:1] in ("=", "+", "-", "@", "\t", "\r") else v
                for v in out[column]
            ]
    return out


def _geojson(scenario: Scenario) -> bytes:
    features = []
    for layer, frame in (
        ("tile", scenario.tiles),
        ("site", scenario.sites_layer()),
        ("cell", scenario.cells_layer()),
    ):
        if layer == "tile":
            shapes = [g.__geo_interface__ for g in frame.geometry]
        else:
            places = shapely.get_coordinates(frame.geometry.to_numpy()).tolist()
            shapes = [{"type": "Point", "coordinates": place} for place in places]
        names = ["layer", *(c for c in frame.columns if c != "geometry")]
        columns = [[layer] * len(frame), *(_json_column(frame[c]) for c in names[1:])]
        features += [
            {"type": "Feature", "geometry": geometry, "properties": dict(zip(names, row, strict=True))}
            for geometry, row in zip(shapes, zip(*columns, strict=True), strict=True)
        ]
    whole = {"type": "FeatureCollection", "provenance": scenario.provenance, "features": features}
    return json.dumps(whole, ensure_ascii=False, allow_nan=False, default=_json_value).encode()


def _json_column(values: pd.Series) -> list[Any]:
    """A column as JSON takes it; what is no number, and no finite one, is None."""
    if pd.api.types.is_float_dtype(values.dtype):
        plain = values.to_numpy(float)
        return (
            plain.tolist()
            if np.isfinite(plain).all()
            else [v if np.isfinite(v) else None for v in plain.tolist()]
        )
    return [_json_value(v) for v in values] if values.dtype == object else values.tolist()


def _json_value(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
