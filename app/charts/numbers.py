"""What a chart shows, for who does not see it: in words, and as a table."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from plannerbase import formats

_ACROSS = ("scatter", "bar", "histogram")


def summary(figure: go.Figure) -> str:
    """What each series of a chart runs over: "traffic (Mbit/s): median 294 to 17,897"."""
    parts, quantity = [], ""
    for trace in figure.data:
        quantity, values = _quantity(figure, trace)
        finite = _finite(values)
        if len(finite):
            name = f"{trace.name} " if trace.name else ""
            parts.append(
                f"{name}{formats.significant(float(finite.min()))} to {formats.significant(float(finite.max()))}"
            )
    return f"{quantity}: {'; '.join(parts)}." if parts else "Nothing to show."


def _quantity(figure: go.Figure, trace: Any) -> tuple[str, Any]:
    """(name with unit, values) of what a trace shows."""
    if trace.type == "heatmap":
        return trace.colorbar.title.text or "", trace.z
    if trace.type == "histogram":
        return figure.layout.xaxis.title.text or "", trace.x
    return figure.layout.yaxis.title.text or "", trace.y


def table_of(figure: go.Figure) -> pd.DataFrame:
    """The numbers of a chart, a row a point: its series, its place across and its value, under the axes' own names."""
    layout = figure.layout
    across = layout.xaxis.title.text or "x"
    up = layout.yaxis.title.text or "value"
    parts = []
    for trace in figure.data:
        name = {"series": trace.name} if trace.name else {}
        if trace.type == "heatmap":
            rows, columns = np.indices(np.shape(trace.z))
            xs, ys = _places(trace.x, trace.x0, trace.dx, columns), _places(trace.y, trace.y0, trace.dy, rows)
            unit = trace.colorbar.title.text or "value"
            frame = pd.DataFrame({"row": ys, "column": xs, unit: np.ravel(np.asarray(trace.z, float))})
            parts.append(frame.assign(**name).dropna(subset=[unit]))
        elif trace.type == "scatter" and trace.fill == "toself":
            # a band, along its upper edge and back along the lower one
            half = len(trace.x) // 2
            edges = (
                ("upper", trace.x[:half], trace.y[:half]),
                ("lower", trace.x[:half], trace.y[half:][::-1]),
            )
            parts += [
                pd.DataFrame({"series": f"{trace.name}, {edge}", across: xs, up: ys})
                for edge, xs, ys in edges
            ]
        elif trace.type in _ACROSS and trace.x is not None:
            values = {} if trace.type == "histogram" else {up: np.asarray(trace.y)}
            parts.append(pd.DataFrame(name | {across: np.asarray(trace.x)} | values))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _places(given: Any, first: Any, step: Any, index: np.ndarray) -> np.ndarray:
    places = (
        np.asarray(given) if given is not None else first + step * np.arange(int(index.max(initial=-1)) + 1)
    )
    return places[index.ravel()]


def _finite(values: Any) -> np.ndarray:
    array = np.ravel(np.asarray(values if values is not None else [], float))
    return array[np.isfinite(array)]
