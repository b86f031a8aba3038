"""Plans out to the tools planners use: CSV, GeoJSON, KML, GeoPackage, and one HTML page.

Every export carries the provenance (area, model and checksum, seed, scale, strategy, solver, gap, date).
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from .errors import InputError
from .report import page
from .scenario import Scenario, write_whole

FORMATS = {  # format -> (file ending, MIME type)
    "csv": (".csv", "text/csv"),
    "zip": (".zip", "application/zip"),
    "geojson": (".geojson", "application/geo+json"),
    "kml": (".kml", "application/vnd.google-earth.kml+xml"),
    "gpkg": (".gpkg", "application/geopackage+sqlite3"),
    "html": (".html", "text/html"),
}
MAIN_TABLES = ("sleep_schedule", "prb_assignment")


def export(scenario: Scenario, format: str, path=None, table: str | None = None) -> bytes:
    """The scenario in a format, as bytes; written to `path` whole or not at all where one is given.

    csv: one table, by default the sites (a path that ends in .zip gives them all, as "zip" does); `table` chooses
    another: "sites", "cells", "tiles", or a plan's table. Raises InputError for an unknown format or table.
    """
    path = None if path is None else Path(path)
    if format == "csv" and path is not None and path.suffix.lower() == ".zip":
        format = "zip"
    makers = {
        "csv": lambda: _csv(scenario, table or "sites"),
        "zip": lambda: _zip(scenario),
        "geojson": lambda: _geojson(scenario),
        "kml": lambda: _kml(scenario),
        "gpkg": scenario.to_bytes,
        "html": lambda: page(scenario, tables(scenario)).encode(),
    }
    if format not in makers:
        raise InputError(f"Unknown export format {format!r}; choose one of {', '.join(makers)}.")
    data = makers[format]()
    if path is not None:
        write_whole(path, lambda part: part.write_bytes(data))
    return data


def export_bytes(scenario: Scenario, format: str, table: str | None = None) -> tuple[bytes, str, str]:
    """(bytes, file name, MIME type) for a download."""
    data = export(scenario, format, table=table)
    ending, mime = FORMATS[format]
    return data, (table or "plan") + ending, mime


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
    known = tables(scenario)
    if name not in known:
        raise InputError(f"The scenario holds no table {name!r}; choose one of {', '.join(known)}.")
    head = "".join(f"# {line}\r\n" for line in provenance_lines(scenario))
    body = _harmless(known[name]).to_csv(index=False, lineterminator="\r\n")
    return b"\xef\xbb\xbf" + (head + body).encode()  # the mark tells spreadsheets that it is UTF-8


def _zip(scenario: Scenario) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, table in tables(scenario).items():
            archive.writestr(f"{name}.csv", _harmless(table).to_csv(index=False, lineterminator="\r\n"))
        archive.writestr("provenance.json", json.dumps(scenario.provenance, ensure_ascii=False, indent=1))
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
        columns = [c for c in frame.columns if c != "geometry"]
        rows = frame[columns].to_dict("records")
        for geometry, row in zip(frame.geometry, rows, strict=True):
            properties = {"layer": layer, **{k: _json_value(v) for k, v in row.items()}}
            features.append(
                {"type": "Feature", "geometry": geometry.__geo_interface__, "properties": properties}
            )
    whole = {"type": "FeatureCollection", "provenance": scenario.provenance, "features": features}
    return json.dumps(whole, ensure_ascii=False, allow_nan=False, default=_json_value).encode()


def _json_value(value):
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _kml(scenario: Scenario) -> bytes:
    ElementTree.register_namespace("", "http://www.opengis.net/kml/2.2")
    root = ElementTree.Element("kml", xmlns="http://www.opengis.net/kml/2.2")
    document = ElementTree.SubElement(root, "Document")
    _text(document, "name", "Network plan")
    _text(document, "description", "\n".join(provenance_lines(scenario)))
    sites = ElementTree.SubElement(document, "Folder")
    _text(sites, "name", "Sites")
    cells = scenario.cells_layer().drop(columns="geometry")
    by_site = dict(list(cells.groupby("site", sort=False)))
    for row in scenario.network.sites.to_dict("records"):
        mark = ElementTree.SubElement(sites, "Placemark")
        _text(mark, "name", row["site"])
        mine = by_site[row["site"]]
        _data(mark, {k: v for k, v in row.items() if k != "site"})
        lines = [
            f"{c.cell}: {c.equipment}, {c.capacity_mbps:g} Mbit/s, azimuth {c.azimuth:g}"
            + (f", asleep {c.asleep_hours} h" if getattr(c, "asleep_hours", "") else "")
            for c in mine.itertuples()
        ]
        _text(mark, "description", "\n".join(lines))
        point = ElementTree.SubElement(mark, "Point")
        _text(point, "coordinates", f"{row['lon']:.7f},{row['lat']:.7f}")
    tiles = ElementTree.SubElement(document, "Folder")
    _text(tiles, "name", "Tiles")
    columns = [c for c in scenario.tiles.columns if c != "geometry"]
    for geometry, row in zip(
        scenario.tiles.geometry, scenario.tiles[columns].to_dict("records"), strict=True
    ):
        mark = ElementTree.SubElement(tiles, "Placemark")
        _text(mark, "name", f"{row['x']},{row['y']}")
        _data(mark, row)
        ring = ElementTree.SubElement(
            ElementTree.SubElement(ElementTree.SubElement(mark, "Polygon"), "outerBoundaryIs"), "LinearRing"
        )
        _text(ring, "coordinates", " ".join(f"{a:.7f},{b:.7f}" for a, b in geometry.exterior.coords))
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="utf-8")


def _text(parent, tag: str, text: str) -> None:
    # ElementTree escapes markup; control characters are not allowed in XML at all
    ElementTree.SubElement(parent, tag).text = "".join(c for c in str(text) if c >= " " or c in "\n\t")


def _data(mark, values: dict) -> None:
    extended = ElementTree.SubElement(mark, "ExtendedData")
    for key, value in values.items():
        data = ElementTree.SubElement(extended, "Data", name=str(key))
        _text(data, "value", f"{value:.6g}" if isinstance(value, float) else value)
