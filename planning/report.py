"""The plan as one HTML page that needs nothing else: figures, tables, assumptions, provenance, a map as SVG."""

from __future__ import annotations

import json
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .deployment_plots import deployment_section
from .equipment import AC_SOURCE, PRESETS
from .scenario import Scenario

MAX_ROWS = 500  # of a table on the page; the CSV and GeoPackage exports hold all
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;
 color:#1c2430;background:#fff}
h1{font-size:1.7rem}h2{font-size:1.25rem;margin-top:2rem}table{border-collapse:collapse;font-size:.85rem}
th,td{padding:.25rem .6rem;border-bottom:1px solid #dde2ea;text-align:right}
th:first-child,td:first-child{text-align:left}
.scroll{overflow-x:auto}.note{color:#566}svg{max-width:100%;height:auto;background:#f5f7fa}
@media print{.scroll{overflow:visible}}
"""


def page(scenario: Scenario, tables: dict[str, pd.DataFrame]) -> str:
    """The whole page; every text that comes from data is escaped."""
    provenance = scenario.provenance
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>Network plan</title><style>{_STYLE}</style></head><body><h1>Network plan</h1>",
        f"<p class='note'>Made {escape(str(provenance.get('created', 'at an unknown time')))}.</p>",
        _assumptions(provenance),
        _map(scenario),
        deployment_section(tables),
    ]
    sleep = provenance.get("sleep")
    if isinstance(sleep, dict):
        parts.append(
            "<h2>Sleep plan</h2>" + _facts({"strategy": sleep.get("strategy"), **sleep.get("result", {})})
        )
        if isinstance(sleep.get("solve"), dict):
            parts.append(_facts(sleep["solve"]))
        if "energy_by_hour" in tables:
            parts.append(_energy_chart(tables["energy_by_hour"]))
    prb = provenance.get("prb")
    if isinstance(prb, dict):
        parts.append(
            "<h2>PRB plan</h2>" + _facts({k: v for k, v in prb.items() if not isinstance(v, (dict, list))})
        )
    for name, table in tables.items():
        if name == "sleep_schedule":
            continue  # cells x hours rows; the cells table lists the hours each cell sleeps
        parts.append(f"<h2>{escape(name.replace('_', ' ').capitalize())}</h2>" + _table(table))
    parts.append("<h2>Equipment figures</h2>" + _sources())
    parts.append("<h2>Provenance</h2>" + _facts(provenance) + "</body></html>")
    return "".join(parts)


def _assumptions(provenance: dict) -> str:
    scale = provenance.get("scale")
    sentences = [scale["sentence"]] if isinstance(scale, dict) and "sentence" in scale else []
    given = provenance.get("assumptions")
    sentences += [str(s) for s in given] if isinstance(given, list) else []
    for part in ("deployment", "prb"):
        text = provenance.get(part, {}).get("sentence") if isinstance(provenance.get(part), dict) else None
        sentences += [text] if text else []
    if isinstance(provenance.get("sleep"), dict):
        sentences += [str(s) for s in provenance["sleep"].get("notes", [])]
    if provenance.get("attribution"):
        sentences.append(f"Data: {provenance['attribution']}")
    items = "".join(f"<li>{escape(str(s))}</li>" for s in dict.fromkeys(sentences))
    return f"<h2>What this rests on</h2><ul>{items}</ul>"


def _table(table: pd.DataFrame) -> str:
    head = "".join(f"<th>{escape(str(c))}</th>" for c in table.columns)
    rows = []
    for row in table.head(MAX_ROWS).itertuples(index=False):
        rows.append("<tr>" + "".join(f"<td>{_value(v)}</td>" for v in row) + "</tr>")
    more = len(table) - MAX_ROWS
    note = f"<p class='note'>{more:,} more rows in the CSV and GeoPackage exports.</p>" if more > 0 else ""
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f"<div class='scroll'><table>{body}</table></div>{note}"


def _value(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return f"{value:,.6g}"
    if isinstance(value, (dict, list)):
        return escape(json.dumps(value, ensure_ascii=False))
    return escape(str(value))


def _facts(facts: dict) -> str:
    rows = "".join(
        f"<tr><td>{escape(str(k).replace('_', ' '))}</td><td>{_value(v)}</td></tr>" for k, v in facts.items()
    )
    return f"<div class='scroll'><table>{rows}</table></div>"


def _sources() -> str:
    rows = [
        {"equipment": e.name, "figure": figure, "value": getattr(e, figure), "source": source}
        for e in PRESETS.values()
        for figure, source in e.sources.items()
    ]
    rows.append(
        {"equipment": "air conditioner", "figure": "ac_slope, ac_bias_w", "value": None, "source": AC_SOURCE}
    )
    return _table(pd.DataFrame(rows))


def _map(scenario: Scenario, width: float = 720.0) -> str:
    """Tiles shaded by mean traffic, sites as dots; equirectangular at the area's latitude."""
    bounds = scenario.tiles.total_bounds
    sites = scenario.network.sites
    west = min(bounds[0], sites["lon"].min())
    east = max(bounds[2], sites["lon"].max())
    south = min(bounds[1], sites["lat"].min())
    north = max(bounds[3], sites["lat"].max())
    stretch = np.cos(np.radians((south + north) / 2))
    per_degree = width / max((east - west) * stretch, 1e-9)
    height = max((north - south) * per_degree, 1.0)

    def at(lon: ArrayLike, lat: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        return (np.asarray(lon) - west) * stretch * per_degree, (north - np.asarray(lat)) * per_degree

    mean = scenario.tiles["mean_mbps"].to_numpy(float)
    shade = np.sqrt(mean / mean.max()) if mean.max() > 0 else np.zeros(len(mean))
    boxes = scenario.tiles.geometry.bounds.to_numpy()
    x0, y0 = at(boxes[:, 0], boxes[:, 3])
    x1, y1 = at(boxes[:, 2], boxes[:, 1])
    shapes = [
        f"<rect x='{a:.1f}' y='{b:.1f}' width='{c - a:.1f}' height='{d - b:.1f}' fill='#0b5394' "
        f"fill-opacity='{0.08 + 0.8 * s:.2f}' stroke='#fff' stroke-width='.5'/>"
        for a, b, c, d, s in zip(x0, y0, x1, y1, shade, strict=True)
    ]
    xs, ys = at(sites["lon"], sites["lat"])
    dots = [
        f"<circle cx='{a:.1f}' cy='{b:.1f}' r='2.5' fill='#d9480f'/>" for a, b in zip(xs, ys, strict=True)
    ]
    caption = "Tiles shaded by mean traffic (square-root scale), sites as dots."
    return (
        f"<h2>Map</h2><svg viewBox='0 0 {width:.0f} {height:.0f}' role='img' aria-label='{caption}'>"
        f"{''.join(shapes)}{''.join(dots)}</svg><p class='note'>{caption}</p>"
    )


def _energy_chart(table: pd.DataFrame, width: float = 720.0, height: float = 220.0) -> str:
    hours = len(table)
    top = max(float(table["always_on_kwh"].max()), 1e-9)

    def line(column: str, colour: str) -> str:
        points = " ".join(
            f"{40 + (width - 50) * (i + 0.5) / hours:.1f},{height - 20 - (height - 35) * v / top:.1f}"
            for i, v in enumerate(table[column])
        )
        return f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='2'/>"

    caption = f"kWh by hour: always on (grey) and this plan (orange); top of the chart {top:,.0f} kWh."
    return (
        f"<svg viewBox='0 0 {width:.0f} {height:.0f}' role='img' aria-label='{escape(caption)}'>"
        f"<line x1='40' x2='{width - 10:.0f}' y1='{height - 20:.0f}' y2='{height - 20:.0f}' stroke='#99a'/>"
        f"{line('always_on_kwh', '#8a94a3')}{line('energy_kwh', '#d9480f')}</svg><p class='note'>{escape(caption)}</p>"
    )
