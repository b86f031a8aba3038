"""Figures of networks and plans. Arrays and tables in, plotly figures out; plotly is imported when one is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from plannerbase.figures import BandColours, hours_axis

if TYPE_CHECKING:
    import plotly.graph_objects as go

ACCENT = BandColours().median
MUTED = "#8a94a3"


def places_figure(
    lon: np.ndarray, lat: np.ndarray, size: np.ndarray, text: list[str], legend: str
) -> go.Figure:
    """Places as discs on a plain map, north up, distances alike in both directions.

    Parameters
    ----------
    lon, lat : (places,) degrees
    size : (places,) float
        At least 0; the area of a disc grows with it.
    text : list of str
        What is shown under the pointer.
    legend : str
        What the size means, with its unit.
    """
    import plotly.graph_objects as go

    top = max(float(np.max(size, initial=0.0)), 1e-12)
    marker = {"size": 5 + 15 * np.sqrt(np.asarray(size, float) / top), "color": ACCENT, "opacity": 0.75}
    figure = go.Figure(go.Scatter(x=lon, y=lat, mode="markers", marker=marker, text=text, hoverinfo="text"))
    figure.update_layout(template="plotly_white", title=f"size: {legend}", xaxis={"title": "longitude"})
    stretch = 1 / np.cos(np.radians(float(np.mean(lat))))
    figure.update_yaxes(title="latitude", scaleanchor="x", scaleratio=stretch)
    return figure


def energy_figure(by_hour: pd.DataFrame, title: str) -> go.Figure:
    """Energy of a sleep plan by hour, beside always on; by_hour: of `SleepPlan.energy_by_hour`."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for column, name, line in (
        ("always_on_kwh", "always on", {"color": MUTED, "width": 2, "dash": "dash"}),
        ("energy_kwh", "this plan", {"color": ACCENT, "width": 2.5}),
    ):
        figure.add_scatter(x=by_hour["hour"], y=by_hour[column], name=name, line=line)
    figure.update_layout(
        template="plotly_white", title=title, hovermode="x unified", xaxis=hours_axis(len(by_hour)),
        yaxis={"title": "energy (kWh)", "rangemode": "tozero"},
    )  # fmt: skip
    return figure


def bars_figure(names: pd.Series, values: pd.Series, y_title: str, title: str) -> go.Figure:
    """A bar a name."""
    import plotly.graph_objects as go

    figure = go.Figure(go.Bar(x=names, y=values, marker={"color": ACCENT}))
    figure.update_layout(
        template="plotly_white", title=title, yaxis={"title": y_title, "rangemode": "tozero"}
    )
    return figure


def raster_figure(raster: np.ndarray, scale: tuple[float, float], title: str, unit: str) -> go.Figure:
    """A map of pixels, north up, distances alike in both directions.

    Parameters
    ----------
    raster : (rows, columns) float
        From north to south, NaN where there is no value.
    scale : (lowest, highest) value on the scale of colours
    title, unit : str
    """
    import plotly.graph_objects as go

    heat: dict[str, Any] = {"zmin": scale[0], "zmax": scale[1], "colorscale": "Viridis"}
    figure = go.Figure(go.Heatmap(z=raster, colorbar={"title": unit}, hoverongaps=False, **heat))
    figure.update_layout(template="plotly_white", title=title)
    figure.update_yaxes(autorange="reversed", scaleanchor="x", visible=False)
    figure.update_xaxes(visible=False)
    return figure
