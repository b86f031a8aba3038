"""The deployment part of the HTML report: strategies side by side (figure 3(c), table 5), served traffic by sites."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd

from .judging import STEPS

_ACCENT, _WARM, _GREY = "#0b5394", "#d9480f", "#8a94a3"
_LINES = (_ACCENT, _WARM, "#2a8a57", "#a8447f", "#6a5fb5", "#7a6a53", _GREY)


def deployment_section(tables: dict[str, pd.DataFrame]) -> str:
    """HTML; empty where the scenario holds no such table."""
    parts = []
    if "deployment_comparison" in tables:
        table = tables["deployment_comparison"]
        parts += [_bars(table), _covered(table)]
    if "deployment_curve" in tables:
        parts.append(_curve(tables["deployment_curve"]))
    return "<h2>Deployment</h2>" + "".join(parts) if parts else ""


def _bars(table: pd.DataFrame, width: float = 720.0, row: float = 34.0) -> str:
    """JSD and cosine of each strategy, against real sites where they are known."""
    kind = "real" if "jsd_real" in table else "traffic"
    shapes = []
    for i, strategy in enumerate(table["strategy"]):
        top = 6 + i * row
        shapes.append(f"<text x='0' y='{top + 17:.1f}' font-size='13'>{escape(str(strategy))}</text>")
        for k, (column, colour) in enumerate((("jsd", _WARM), ("cosine", _ACCENT))):
            value = float(table[f"{column}_{kind}"].iloc[i])
            y = top + 13 * k
            shapes.append(
                f"<rect x='110' y='{y:.1f}' width='{(width - 180) * min(max(value, 0.0), 1.0):.1f}' height='11' "
                f"fill='{colour}'/><text x='{width - 60:.0f}' y='{y + 10:.1f}' font-size='11'>{value:.3f}</text>"
            )
    against = "real sites" if kind == "real" else "the traffic itself"
    caption = f"Jensen-Shannon distance (orange, less is better) and cosine (blue, more is better) against {against}."
    return _figure(shapes, width, 12 + row * len(table), caption)


def _covered(table: pd.DataFrame, width: float = 720.0, height: float = 220.0) -> str:
    """Share of users covered by step, a line a strategy."""
    columns = [f"covered_{step}" for step in STEPS]
    values = table[columns].to_numpy(float)
    if np.isnan(values).any():
        return ""
    low, high = values.min(), values.max()
    span = max(high - low, 1e-3)
    xs = 40 + (width - 180) * np.array(STEPS) / max(STEPS)
    shapes = []
    for i, strategy in enumerate(table["strategy"]):
        ys = height - 25 - (height - 45) * (values[i] - low) / span
        colour = _LINES[i % len(_LINES)]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(xs, ys, strict=True))
        shapes.append(f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='2'/>")
        shapes.append(
            f"<text x='{width - 130:.0f}' y='{18 + 17 * i}' font-size='12' fill='{colour}'>{escape(str(strategy))} "
            f"{100 * values[i, 0]:.1f} %</text>"
        )
    shapes += [
        f"<text x='{x:.1f}' y='{height - 6:.0f}' font-size='11' text-anchor='middle'>t = {step}</text>"
        for x, step in zip(xs, STEPS, strict=True)
    ]
    caption = (
        f"Share of users covered while they move, {100 * low:.1f} to {100 * high:.1f} % (by name: at t = 0)."
    )
    return _figure(shapes, width, height, caption)


def _curve(curve: pd.DataFrame, width: float = 720.0, height: float = 220.0) -> str:
    """Served traffic by number of sites; beyond the plan in grey."""
    served, sites = curve["served_mbps"].to_numpy(float), curve["sites"].to_numpy(float)
    top = max(float(served.max()), 1e-9)
    xs, ys = 40 + (width - 60) * sites / sites.max(), height - 20 - (height - 35) * served / top
    last = int(curve["in_plan"].astype(bool).sum())
    shapes = []
    for part, colour in ((slice(0, last), _ACCENT), (slice(max(0, last - 1), None), _GREY)):
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(xs[part], ys[part], strict=True))
        shapes.append(f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='2'/>")
    caption = (
        f"Served traffic by number of sites, best first: {last} sites of the plan serve "
        f"{served[max(0, last - 1)]:,.0f} Mbit/s; {len(curve) - last} more (grey) would serve {top:,.0f}."
    )
    return _figure(shapes, width, height, caption)


def _figure(shapes: list[str], width: float, height: float, caption: str) -> str:
    return (
        f"<svg viewBox='0 0 {width:.0f} {height:.0f}' role='img' aria-label='{escape(caption)}'>{''.join(shapes)}</svg>"
        f"<p class='note'>{escape(caption)}</p>"
    )
