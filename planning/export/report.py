"""The plan as one HTML page that needs nothing else: figures, tables, assumptions, provenance; for paper too."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Any

import pandas as pd

from plannerbase import formats
from plannerbase.progress import Progress
from planning import kpis
from planning.equipment import AC_SOURCE, PRESETS
from planning.export import report_figures
from planning.export.html_tables import facts, html_table, turned
from planning.export.report_map import busy_hour_map, busy_mbps, sites_words
from planning.scenario import Scenario
from planning.sleep.ranges import figures_table

_STYLE = """
:root{color-scheme:light}
body{font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif;max-width:62rem;margin:2rem auto;padding:0 1.2rem;
 color:#1c2430;background:#fff}
h1{font-size:1.8rem;margin:0 0 .2rem}
h2{font-size:1.3rem;margin:2.4rem 0 .6rem;border-bottom:2px solid #0b5394;padding-bottom:.2rem}
h3{font-size:1.05rem;margin:1.4rem 0 .4rem}
table{border-collapse:collapse;font-size:.82rem;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;border-bottom:1px solid #dde2ea;text-align:right;vertical-align:top}
th{background:#f3f6fa;position:sticky;top:0}
th:first-child,td:first-child{text-align:left}
.facts td{text-align:left;overflow-wrap:anywhere}.facts td:first-child{white-space:nowrap;color:#4a5568}
.scroll{overflow:auto;max-height:32rem}.note,figcaption{color:#4a5568;font-size:.85rem}
figure{margin:1rem 0 1.4rem}svg{width:100%;height:auto;display:block}
nav{margin:1rem 0}nav a{margin-right:1rem}a{color:#0b5394}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.7rem;margin:1.2rem 0}
.cards div{border:1px solid #dde2ea;border-radius:6px;padding:.5rem .8rem}
.cards b{display:block;font-size:1.35rem;font-weight:600}.cards span{color:#4a5568;font-size:.82rem}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));gap:1.2rem}
summary{cursor:pointer;color:#0b5394;margin:.4rem 0}
@page{size:A4;margin:16mm 14mm}
@media print{
 body{margin:0;max-width:none;padding:0;font-size:10.5pt;-webkit-print-color-adjust:exact;print-color-adjust:exact}
 nav{display:none}.scroll{overflow:visible;max-height:none}th{position:static}
 section{break-before:page}section.flow{break-before:auto}
 h2,h3{break-after:avoid}figure,tr,.cards{break-inside:avoid}thead{display:table-header-group}
 table{font-size:7.5pt}th,td{padding:.15rem .35rem;overflow-wrap:anywhere}
 .wide table{font-size:6pt;table-layout:fixed;width:100%}
}
"""


def page(
    scenario: Scenario,
    tables: Mapping[str, pd.DataFrame],
    compared: Mapping[str, Scenario] | None = None,
    progress: Progress | None = None,
) -> str:
    """The whole page; every text that comes from data is escaped.

    compared: label to scenario, put side by side where they are two or more; the first is the baseline.
    """
    makers = {
        "Traffic": lambda: report_figures.traffic_week(tables),
        "Map": lambda: busy_hour_map(scenario),
        "Deployment": lambda: _deployment(scenario, tables),
        "Sleep plan": lambda: _sleep(scenario, tables),
        "Spectrum plan": lambda: _spectrum(scenario, tables),
        "Side by side": lambda: _side_by_side(compared or {}),
        "What this rests on": lambda: _assumptions(scenario.provenance),
        "Tables": lambda: _listings(tables),
        "Equipment figures": _sources,
        "Provenance": lambda: facts(scenario.provenance),
    }
    sections = {}
    for done, (title, make) in enumerate(makers.items()):
        if progress:
            progress(done, len(makers), title.lower())
        if body := make():
            sections[title] = body
    together = ("Traffic", "Map")  # on the first sheet
    parts = [
        f"<section id='s{number}'{' class=flow' if title in together else ''}><h2>{title}</h2>{body}</section>"
        for number, (title, body) in enumerate(sections.items())
    ]
    links = "".join(f"<a href='#s{number}'>{title}</a>" for number, title in enumerate(sections))
    return "".join(
        [_head(scenario), f"<nav aria-label='Contents'>{links}</nav>", *parts, "</main></body></html>"]
    )


def _head(scenario: Scenario) -> str:
    provenance = scenario.provenance
    name = str(provenance.get("area_name") or "")
    title = escape(f"Network plan: {name}" if name else "Network plan")
    cards = "".join(
        f"<div><b>{formats.number(value, kpis.KPIS[name].digits)}</b><span>{escape(kpis.KPIS[name].title)}</span></div>"
        for name, value in kpis_of(scenario).items()
    )
    cards += "".join(
        f"<div><b>{escape(figure)}</b><span>{escape(label)}</span></div>"
        for label, figure in report_figures.year_savings(scenario).items()
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main><h1>{title}</h1>"
        f"<p class='note'>Made {escape(_created(provenance))} by OpenDiff Planner. "
        f"Absolute figures: {escape(formats.sentence(_scale(provenance)))}</p>"
        f"<div class='cards'>{cards}</div>"
    )


def _created(provenance: Mapping[str, Any]) -> str:
    """When the scenario was made, with its zone."""
    told = str(provenance.get("created", "at an unknown time"))
    try:
        when = datetime.fromisoformat(told)
    except ValueError:
        return told
    return f"{formats.moment(when)} {when.tzname() or ''}".strip()


def _scale(provenance: Mapping[str, Any]) -> str:
    scale = provenance.get("scale")
    return (
        str(scale["sentence"]) if isinstance(scale, dict) and "sentence" in scale else "on an unknown scale."
    )


def kpis_of(scenario: Scenario) -> dict[str, float]:
    """The KPIs of a scenario, see `planning.kpis`."""
    provenance, tables = scenario.provenance, scenario.tables
    sleep, prb, deployed = (_part(provenance, name) for name in ("sleep", "prb", "deployment"))
    unseen = None
    if sleep and "sleep_comparison" in tables and "replay_unserved_share" in tables["sleep_comparison"]:
        compared = tables["sleep_comparison"]
        mine = compared.loc[compared["strategy"] == sleep.get("strategy"), "replay_unserved_share"]
        unseen = float(mine.iloc[0]) if len(mine) else None
    return kpis.figures(
        len(scenario.network.sites),
        len(scenario.network.cells),
        float(tables["traffic_week"]["median_mbps"].max()) if "traffic_week" in tables else None,
        deployed.get("served_mbps"),
        sleep.get("result"),
        len(tables["energy_by_hour"]) if "energy_by_hour" in tables else kpis.HOURS_PER_DAY,
        unseen,
        prb or None,
    )


def _part(provenance: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What the provenance tells of one plan; nothing where it has none."""
    part = provenance.get(name)
    return part if isinstance(part, dict) else {}


# --- sections ----------------------------------------------------------------------------------------------------


def _deployment(scenario: Scenario, tables: Mapping[str, pd.DataFrame]) -> str:
    made = _part(scenario.provenance, "deployment")
    text = f"<p>{escape(formats.sentence(str(made['sentence'])))}</p>" if made.get("sentence") else ""
    table = tables.get("deployment_comparison")
    listed = "" if table is None else "<h3>Strategies</h3>" + turned(table)
    return text + report_figures.deployment(tables) + listed


def _sleep(scenario: Scenario, tables: Mapping[str, pd.DataFrame]) -> str:
    plan = _part(scenario.provenance, "sleep")
    if not plan:
        return ""
    parts = [report_figures.energy(tables), report_figures.sleep_schedule(scenario)]
    if "sleep_comparison" in tables:
        parts.append("<h3>Strategies</h3>" + turned(tables["sleep_comparison"]))
    parts.append(_money(plan, tables))
    shown = ("strategy", "quantile", "relaxed", "solve", "settings")
    parts.append("<h3>The plan</h3>" + facts({name: plan.get(name) for name in shown}))
    return "".join(parts)


def _money(plan: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    """Energy, cost and CO2 of each strategy over the ensemble, and what they rest on."""
    if "sleep_ranges" not in tables:
        return ""
    table = html_table(figures_table(tables["sleep_ranges"]))
    note = "Mean over the samples of the ensemble, in brackets P10 to P90. " + " ".join(
        _price_sentences(plan)
    )
    return f"<h3>Energy, cost and CO2 over the ensemble</h3>{table}<p class='note'>{escape(formats.sentence(note))}</p>"


def _price_sentences(plan: Mapping[str, Any]) -> list[str]:
    prices = plan.get("prices")
    return [str(s) for s in prices.get("sentences", [])] if isinstance(prices, dict) else []


def _spectrum(scenario: Scenario, tables: Mapping[str, pd.DataFrame]) -> str:
    plan = _part(scenario.provenance, "prb")
    if not plan:
        return ""
    parts = [
        f"<p>{escape(formats.sentence(str(plan.get('sentence', ''))))}</p>",
        report_figures.spectrum(tables),
    ]
    if "prb_comparison" in tables:
        parts.append("<h3>Plans</h3>" + turned(tables["prb_comparison"]))
    shown = ("strategy", "hour", "bound_mbps", "gap_to_bound", "met_bound", "solve", "settings", "radio")
    parts.append("<h3>The plan</h3>" + facts({name: plan[name] for name in shown if name in plan}))
    return "".join(parts)


def _side_by_side(compared: Mapping[str, Scenario]) -> str:
    if len(compared) < 2:
        return ""
    table = kpis.table({label: kpis_of(scenario) for label, scenario in compared.items()})
    planned = {
        label: scenario.tables["energy_by_hour"]
        for label, scenario in compared.items()
        if "energy_by_hour" in scenario.tables
    }
    top = max(float(busy_mbps(scenario).max()) for scenario in compared.values())
    maps = "".join(
        busy_hour_map(
            scenario,
            top,
            370.0,
            f"{label}: demand in the busy hour (Mbit/s a tile, same shades), sites as dots{sites_words(scenario)}.",
        )
        for label, scenario in compared.items()
    )
    first = escape(next(iter(compared)))
    note = f"<p class='note'>Δ: difference from the baseline, {first}.</p>"
    savings = {label: report_figures.year_savings(scenario) for label, scenario in compared.items()}
    names = list(dict.fromkeys(name for found in savings.values() for name in found))
    if names:
        rows: list[dict[str, str | None]] = []
        for name in names:
            rows.append({"a year": name, **{label: found.get(name) for label, found in savings.items()}})
        told = {s for one in compared.values() for s in _price_sentences(_part(one.provenance, "sleep"))}
        rests_on = escape(formats.sentence(" ".join(sorted(told))))
        note += f"{html_table(pd.DataFrame(rows))}<p class='note'>{rests_on}</p>"
    return (
        html_table(table.round(3))
        + note
        + report_figures.energies(planned)
        + f"<div class='pair'>{maps}</div>"
    )


def _listings(tables: Mapping[str, pd.DataFrame]) -> str:
    """All tables but those shown beside their figures; the schedule of every cell and hour is in the other exports."""
    shown = {"sleep_schedule", "sleep_comparison", "sleep_ranges", "deployment_comparison", "prb_comparison"}
    return "".join(
        f"<h3>{escape(name.replace('_', ' ').capitalize())}</h3>{html_table(table)}"
        for name, table in tables.items()
        if name not in shown
    )


def _assumptions(provenance: Mapping[str, Any]) -> str:
    sentences = [_scale(provenance)]
    given = provenance.get("assumptions")
    sentences += [str(s) for s in given] if isinstance(given, list) else []
    for part in ("deployment", "prb"):
        text = _part(provenance, part).get("sentence")
        sentences += [text] if text else []
    sentences += [str(s) for s in _part(provenance, "sleep").get("notes", [])]
    sentences += _price_sentences(_part(provenance, "sleep"))
    sentences += [str(s) for s in _part(provenance, "prb").get("notes", [])]
    if provenance.get("attribution"):
        sentences.append(f"Data: {provenance['attribution']}")
    items = "".join(f"<li>{escape(formats.sentence(str(s)))}</li>" for s in dict.fromkeys(sentences))
    return f"<ul>{items}</ul>"


def _sources() -> str:
    rows = [
        {"equipment": e.name, "figure": figure, "value": getattr(e, figure), "source": source}
        for e in PRESETS.values()
        for figure, source in e.sources.items()
    ]
    rows.append(
        {"equipment": "air conditioner", "figure": "ac_slope, ac_bias_w", "value": None, "source": AC_SOURCE}
    )
    return html_table(pd.DataFrame(rows))
