"""A scenario as KML: sites with their cells, and tiles. Text that is joined, not a tree: networks have 20,000 sites."""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

import pandas as pd

from planning.scenario import Scenario
from planning.xml_text import without_controls

CELLS = "cells"  # datum of a site: its cells as JSON, a row of column names and a row a cell
_POINT = "<Point><coordinates>{}</coordinates></Point>"
_RING = "<Polygon><outerBoundaryIs><LinearRing><coordinates>{}</coordinates></LinearRing></outerBoundaryIs></Polygon>"


def kml_bytes(scenario: Scenario, about: list[str]) -> bytes:
    """The document; about: lines on where the plan comes from. A site's placemark holds its cells, whose own marks at
    one place would hide each other on a globe."""
    network = scenario.network
    points = [f"{a:.9f},{b:.9f}" for a, b in zip(network.sites["lon"], network.sites["lat"], strict=True)]
    cells, lines = _cells_of_sites(scenario)
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f"<name>Network plan</name><description>{_safe(chr(10).join(about))}</description>"
        "<Folder><name>Sites</name>"
    ]
    for site, data, point in zip(network.sites["site"], _data(network.sites), points, strict=True):
        inside = f'{data}<Data name="{CELLS}"><value>{_safe(cells[site])}</value></Data></ExtendedData>'
        text = f"<description>{_safe(lines[site])}</description>"
        parts.append(_mark(site, inside + text + _POINT.format(point)))
    parts.append("</Folder><Folder><name>Tiles</name>")
    tiles = pd.DataFrame(scenario.tiles.drop(columns="geometry"))
    for geometry, x, y, data in zip(
        scenario.tiles.geometry, tiles["x"], tiles["y"], _data(tiles), strict=True
    ):
        ring = " ".join(f"{a:.7f},{b:.7f}" for a, b in geometry.exterior.coords)
        parts.append(_mark(f"{x},{y}", f"{data}</ExtendedData>" + _RING.format(ring)))
    parts.append("</Folder></Document></kml>")
    return "".join(parts).encode()


def _cells_of_sites(scenario: Scenario) -> tuple[dict[str, str], dict[str, str]]:
    """Site -> its cells as JSON, and site -> its cells in words."""
    cells = pd.DataFrame(scenario.cells_layer().drop(columns="geometry"))
    columns = [c for c in scenario.network.cells.columns if c != "site"]
    rows = list(zip(*(cells[c].tolist() for c in columns), strict=True))
    asleep = cells["asleep_hours"].tolist() if "asleep_hours" in cells else [""] * len(cells)
    at = {name: columns.index(name) for name in ("cell", "equipment", "capacity_mbps", "azimuth")}
    tables: dict[str, list] = {}
    lines: dict[str, list[str]] = {}
    for site, row, hours in zip(cells["site"].tolist(), rows, asleep, strict=True):
        tables.setdefault(site, [columns]).append(row)
        cell, equipment, capacity, azimuth = (row[at[name]] for name in at)
        line = f"{cell}: {equipment}, {capacity:g} Mbit/s, azimuth {azimuth:g}"
        lines.setdefault(site, []).append(line + (f", asleep {hours} h" if hours else ""))
    as_json = {
        site: json.dumps(table, ensure_ascii=False, separators=(",", ":")) for site, table in tables.items()
    }
    return as_json, {site: "\n".join(text) for site, text in lines.items()}


def _safe(text: object) -> str:
    return escape(without_controls(text))


def _mark(name: str, inner: str) -> str:
    return f"<Placemark><name>{_safe(name)}</name>{inner}</Placemark>"


def _data(table: pd.DataFrame) -> list[str]:
    """The beginning of each row's ExtendedData, a column at a time; floats with every digit."""
    whole = ["<ExtendedData>"] * len(table)
    for column in table:
        open_ = f'<Data name="{_safe(column)}"><value>'
        whole = [
            f"{w}{open_}{repr(v) if isinstance(v, float) else _safe(v)}</value></Data>"
            for w, v in zip(whole, table[column].tolist(), strict=True)
        ]
    return whole
