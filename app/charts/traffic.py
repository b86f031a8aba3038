"""Charts of generated traffic. Arrays in, plotly figures out."""

import numpy as np
import plotly.graph_objects as go

from app.charts.axes import DAY, day_axis, finish, mark_hour, week_axis
from app.colours import ACCENT, BAND_50, BAND_90, RAMP_SCALE, SERIES, WARN
from plannerbase import formats
from plannerbase.figures import BandColours, add_bands


def week_band(
    series: np.ndarray,
    hour: int,
    unit: str,
    measured: np.ndarray | None = None,
    before: np.ndarray | None = None,
) -> go.Figure:
    """The week of an ensemble, series (samples, 168): its median and its central 50 % and 90 % bands.

    measured, before: (168,) to be drawn over it; before: what was generated without measurements.
    """
    hours = np.arange(series.shape[1])
    figure = go.Figure()
    add_bands(figure, series, BandColours(BAND_90, BAND_50, ACCENT))
    if measured is not None:
        figure.add_scatter(x=hours, y=measured, line={"color": WARN, "width": 2}, name="measured")
    if before is not None:
        figure.add_scatter(
            x=hours, y=before, line={"color": SERIES[2], "width": 1.5, "dash": "dot"}, name="before"
        )
    mark_hour(figure, hour)
    return finish(figure, f"traffic ({unit})", week_axis())


def week_heat_map(profile: np.ndarray, hour: int, unit: str) -> go.Figure:
    """A week (168,) as days by hours, with a frame around the hour shown."""
    figure = go.Figure(
        go.Heatmap(
            z=profile.reshape(-1, DAY),
            x=np.arange(DAY),
            y=[formats.weekday(day) for day in range(len(profile) // DAY)],
            colorscale=RAMP_SCALE,
            colorbar={"title": unit, "thickness": 12},
            hovertemplate="%{y}, %{x}:00<br>%{z:,.4g} " + unit + "<extra></extra>",
        )
    )
    day, of_day = divmod(hour, DAY)
    figure.add_shape(
        type="rect",
        x0=of_day - 0.5,
        x1=of_day + 0.5,
        y0=day - 0.5,
        y1=day + 0.5,
        line={"color": ACCENT, "width": 2},
    )
    finish(figure, "day of the week", day_axis(), height=300)
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(autorange="reversed")
    return figure


def day_shapes(shapes: dict[str, np.ndarray]) -> go.Figure:
    """Mean days (24,) from 0 to 1 by label."""
    figure = go.Figure()
    for number, (label, day) in enumerate(shapes.items()):
        figure.add_scatter(
            x=np.arange(DAY), y=day, name=label, line={"color": SERIES[number % len(SERIES)], "width": 2.5}
        )
    return finish(figure, "share of the tile's range", day_axis(), height=300)
