"""Charts of coverage: how levels, SINR or rates are spread over the ground."""

import numpy as np
import plotly.graph_objects as go

from app.charts.axes import finish
from app.colours import ACCENT, MUTED

BINS = 40


def spread(before: np.ndarray, after: np.ndarray | None, weight: np.ndarray, axis: str) -> go.Figure:
    """Share of the ground (or of what `weight` counts) by value, with everything on and, where given, with the plan.

    before, after: (pixels,) values, of which those that are not finite are left out; their share is missing in the
    sum. axis: the quantity with its unit.
    """
    series = [("everything on", before, MUTED)]
    if after is not None:
        series.append(("with the plan", after, ACCENT))
    finite = np.concatenate([v[np.isfinite(v)] for _, v, _ in series])
    figure = go.Figure()
    if len(finite):
        low, high = np.quantile(finite, [0.0, 0.999])
        edges = np.linspace(low, max(high, low + 1e-6), BINS + 1)
        middle = (edges[:-1] + edges[1:]) / 2
        for name, values, colour in series:
            known = np.isfinite(values)
            share, _ = np.histogram(np.clip(values[known], low, edges[-1]), edges, weights=weight[known])
            figure.add_scatter(
                x=middle,
                y=100 * share / max(weight.sum(), 1e-12),
                name=name,
                mode="lines",
                line={"color": colour, "width": 2, "shape": "hvh"},
            )
    return finish(figure, "share of the ground (%)", {"title": axis}, height=300)
