"""What all charts share: their axes, margins and legend."""

import plotly.graph_objects as go

from app.colours import WARN
from plannerbase import formats

DAY = 24


def week_axis() -> dict:
    """The 168 hours of a week, a tick in the middle of each day."""
    return {
        "tickvals": [DAY * day + 12 for day in range(7)],
        "ticktext": [formats.weekday(day) for day in range(7)],  # hour 0 of a week is Monday 0:00
        "range": [0, 167],
        "title": "hour of the week",
    }


def day_axis() -> dict:
    """The 24 hours of a day."""
    return {
        "tickvals": list(range(0, 24, 3)),
        "ticktext": [f"{h:02d}:00" for h in range(0, 24, 3)],
        "title": "hour of the day",
    }


def hours_axis(hours: int) -> dict:
    """The axis of a plan of so many hours, 24 or 168."""
    return week_axis() if hours > DAY else day_axis()


def finish(figure: go.Figure, y_title: str, x_axis: dict | None = None, height: int = 360) -> go.Figure:
    """Margins, legend and axes as on every chart."""
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        # above the plot, however many rows it has: over it, it would hide the highest line
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "bgcolor": "rgba(0,0,0,0)"},
        hovermode="x unified",
        yaxis={"title": y_title, "rangemode": "tozero"},
        xaxis=x_axis or {},
    )
    return figure


def mark_hour(figure: go.Figure, hour: float) -> None:
    """The line where the one clock of the app stands."""
    figure.add_vline(x=hour, line={"color": WARN, "width": 1.5, "dash": "dot"})
