"""Figures of ensembles that several packages draw. Arrays in, plotly figures out; plotly is imported when one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from plannerbase.bands import band

if TYPE_CHECKING:
    import plotly.graph_objects as go

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # hour 0 of a week is Monday 00:00


class BandColours(NamedTuple):
    """Of the central 90 % and 50 % of an ensemble and of its median."""

    band_90: str = "rgba(31, 95, 168, 0.15)"
    band_50: str = "rgba(31, 95, 168, 0.30)"
    median: str = "#1f5fa8"


def add_bands(figure: go.Figure, series: np.ndarray, colours: BandColours | None = None) -> None:
    """Draw an ensemble: its central 90 % and 50 %, where it has several samples, and its median.

    Parameters
    ----------
    figure : plotly Figure
        Is drawn into.
    series : (samples, hours) float
    colours : BandColours, optional
    """
    colours = colours or BandColours()
    hours = np.arange(series.shape[1])
    if series.shape[0] > 1:
        for share, colour in ((0.9, colours.band_90), (0.5, colours.band_50)):
            lower, upper = band(series, share)
            figure.add_scatter(
                x=np.concatenate([hours, hours[::-1]]),
                y=np.concatenate([upper, lower[::-1]]),
                fill="toself",
                fillcolor=colour,
                line={"width": 0},
                hoverinfo="skip",
                name=f"{100 * share:.0f} % band",
            )
    median = {"color": colours.median, "width": 2}
    figure.add_scatter(x=hours, y=np.median(series, axis=0), line=median, name="median")


def week_figure(series: np.ndarray, unit: str, title: str = "") -> go.Figure:
    """The course of an ensemble by hour, with its bands.

    Parameters
    ----------
    series : (samples, hours) float
        Of a day (24 hours) or up to a week (168).
    unit : str
        Of the series, for the axis.
    title : str, optional

    Returns
    -------
    plotly Figure
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    add_bands(figure, series)
    figure.update_layout(
        title=title, template="plotly_white", hovermode="x unified", xaxis=hours_axis(series.shape[1]),
        yaxis={"title": f"traffic ({unit})", "rangemode": "tozero"},
    )  # fmt: skip
    return figure


def hours_axis(hours: int) -> dict[str, object]:
    """The axis of so many hours: days of the week, or hours of one day."""
    if hours <= 24:
        return {"title": "hour of the day", "range": [0, hours - 1], "dtick": 3}
    ticks = [24 * day + 12 for day in range(hours // 24)]
    return {
        "title": "hour of the week", "range": [0, hours - 1], "tickvals": ticks,
        "ticktext": [DAYS[day % 7] for day in range(len(ticks))],
    }  # fmt: skip
