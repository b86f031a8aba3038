"""A scenario as KML 2.2: sites with their cells, a wedge a sector and carrier, and tiles.

Text that is joined, not a tree: networks have 20,000 sites. The order of elements is that of OGC's schema.
"""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd

from planning.geometry import metres_per_degree
from planning.scenario import Scenario
from planning.xml_text import without_controls

CELLS = "cells"  # datum of a site: its cells as JSON, a row of column names and a row a cell
# aabbggrr of a technology's sectors
COLOURS = {"5G": "ff3c14dc", "4G": "ffd27619", "3G": "ff3ca03c", "2G": "ff808080"}
OTHER = "ff606060"
LENGTHS_M = (
    (1000.0, 240.0),
    (2200.0, 190.0),
    (3000.0, 140.0),
    (np.inf, 100.0),
)  # of a wedge, by carrier below MHz
ARC_DEG = 15.0  # between two corners of a wedge, at most
_POINT = "<Point><coordinates>{}</coordinates></Point>"
_RING = "<Polygon><outerBoundaryIs><LinearRing><coordinates>{}</coordinates></LinearRing></outerBoundaryIs></Polygon>"


def kml_bytes(scenario: Scenario, about: list[str]) -> bytes:
    """The document; about: lines on where the plan comes from. A site's placemark holds its cells, whose own marks at
    one place would hide each other on a globe."""
    network = scenario.network
    points = [
        f"{a!r},{b!r}"
        for a, b in zip(network.sites["lon"].tolist(), network.sites["lat"].tolist(), strict=True)
    ]
    cells, lines = _cells_of_sites(scenario)
    kinds = sorted(set(network.cells["technology"]), reverse=True)
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2"><Document>'
        f"<name>Network plan</name><description>{_safe(chr(10).join(about))}</description>",
        *_styles(kinds),
        "<Folder><name>Sites</name>",
    ]
    for site, data, point in zip(network.sites["site"], _data(network.sites), points, strict=True):
        inside = f'{data}<Data name="{CELLS}"><value>{_safe(cells[site])}</value></Data></ExtendedData>'
        parts.append(_mark(site, inside + _POINT.format(point), "site", lines[site]))
    parts.append("</Folder>")
    for kind in kinds:
        parts.append(f"<Folder><name>Sectors {_safe(kind)}</name>")
        parts += _wedges(scenario, kind)
        parts.append("</Folder>")
    parts.append("<Folder><name>Tiles</name><visibility>0</visibility>")
    tiles = pd.DataFrame(scenario.tiles.drop(columns="geometry"))
    for geometry, x, y, data in zip(
        scenario.tiles.geometry, tiles["x"], tiles["y"], _data(tiles), strict=True
    ):
        ring = " ".join(f"{a:.7f},{b:.7f}" for a, b in geometry.exterior.coords)
        parts.append(_mark(f"{x},{y}", f"{data}</ExtendedData>" + _RING.format(ring), "tile"))
    parts.append("</Folder></Document></kml>")
    return "".join(parts).encode()


def _styles(kinds: list[str]) -> list[str]:
    """One style for sites, tiles and each technology's sectors."""
    styles = [
        '<Style id="site"><IconStyle><scale>0.6</scale></IconStyle><LabelStyle><scale>0.7</scale></LabelStyle></Style>',
        '<Style id="tile"><LineStyle><color>80a0a0a0</color></LineStyle><PolyStyle><fill>0</fill></PolyStyle></Style>',
    ]
    for kind in kinds:
        colour = COLOURS.get(kind, OTHER)
        styles.append(
            f'<Style id="{_style_of(kind)}"><LineStyle><color>{colour}</color><width>1.5</width></LineStyle>'
            f"<PolyStyle><color>70{colour[2:]}</color></PolyStyle></Style>"
        )
    return styles


def _style_of(kind: str) -> str:
    return "sector-" + ("".join(c for c in kind if c.isascii() and c.isalnum()) or "other")


def _wedges(scenario: Scenario, kind: str) -> list[str]:
    """A mark for each direction and carrier of a technology: a wedge as wide as the beam, a circle where it is "
    "round."""
    cells = scenario.network.cells
    mine = cells[cells["technology"] == kind]
    drawn = mine.drop_duplicates(["site", "azimuth", "band", "frequency_mhz", "beamwidth_deg"])
    at = scenario.network.sites.set_index("site").loc[drawn["site"], ["lon", "lat"]].to_numpy(float)
    east, north = metres_per_degree(at[:, 1])
    marks = []
    columns = (
        "cell",
        "band",
        "frequency_mhz",
        "azimuth",
        "beamwidth_deg",
        "height_m",
        "tilt_deg",
        "power_dbm",
    )
    rows = zip(*(drawn[c].tolist() for c in columns), strict=True)
    for (cell, band, mhz, azimuth, width, height, tilt, power), (lon, lat), x, y in zip(
        rows, at.tolist(), east.tolist(), north.tolist(), strict=True
    ):
        ring = " ".join(f"{lon + e / x:.7f},{lat + n / y:.7f}" for e, n in _ring(azimuth, width, mhz))
        words = (
            f"{kind} {band}, {mhz:g} MHz, azimuth {azimuth:g}, beam width {width:g}, height {height:g} m, tilt "
            f"{tilt:g}, "
            f"{power:.1f} dBm"
        )
        marks.append(_mark(cell, _RING.format(ring), _style_of(kind), words))
    return marks


def _ring(azimuth: float, width: float, mhz: float) -> list[tuple[float, float]]:
    """Corners of a wedge, metres east and north of the site, counter-clockwise."""
    length = next(metres for below, metres in LENGTHS_M if mhz < below)
    whole = width >= 360
    steps = int(np.ceil(width / ARC_DEG))
    angles = np.radians(azimuth + width / 2 - np.linspace(0, width, steps + 1))
    arc = list(zip((length * np.sin(angles)).tolist(), (length * np.cos(angles)).tolist(), strict=True))
    return [*arc[:-1], arc[0]] if whole else [(0.0, 0.0), *arc, (0.0, 0.0)]


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


def _mark(name: str, inner: str, style: str, description: str = "") -> str:
    told = f"<description>{_safe(description)}</description>" if description else ""
    return f"<Placemark><name>{_safe(name)}</name>{told}<styleUrl>#{style}</styleUrl>{inner}</Placemark>"


def _data(table: pd.DataFrame) -> list[str]:
    """The beginning of each row's ExtendedData, a column at a time; floats with every digit."""
    whole = ["<ExtendedData>"] * len(table)
    for column in table:
        open_ = f'<Data name="{escape(without_controls(column), {chr(34): "&quot;"})}"><value>'
        whole = [
            f"{w}{open_}{repr(v) if isinstance(v, float) else _safe(v)}</value></Data>"
            for w, v in zip(whole, table[column].tolist(), strict=True)
        ]
    return whole
