"""Charts of PRB plans."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import finish, mark_hour
from app.colours import ACCENT, BAND_90, GOOD, MUTED, SERIES, WARN, swatch_legend

MET, UNMET = GOOD, WARN


def users_legend() -> str:
    return swatch_legend([("base station", "#22303a"), ("demand met", MET), ("not met", UNMET)])


def rate_demand(table: pd.DataFrame) -> go.Figure:
    """Each user's rate against its demand; table: `PrbPlan.assignment`."""
    figure = go.Figure()
    for met, colour, name in ((True, MET, "met"), (False, UNMET, "not met")):
        part = table[table["met"] == met]
        figure.add_scatter(
            x=part["demand_mbps"],
            y=part["rate_mbps"],
            mode="markers",
            marker={"color": colour, "size": 8, "opacity": 0.8},
            name=name,
            text=[f"user {u}, {s}" for u, s in zip(part["user"], part["site"], strict=True)],
            hovertemplate="%{text}<br>asks %{x:.2f}, gets %{y:.2f} Mbit/s<extra></extra>",
        )
    top = float(table["demand_mbps"].max()) if len(table) else 1.0
    figure.add_scatter(
        x=[0, top],
        y=[0, top],
        mode="lines",
        line={"color": MUTED, "dash": "dash"},
        name="rate = demand",
        hoverinfo="skip",
    )
    finish(figure, "rate (Mbit/s)", {"title": "demand (Mbit/s)", "rangemode": "tozero"})
    figure.update_layout(hovermode="closest")
    return figure


def prb_map(users: np.ndarray, stations: list[str]) -> go.Figure:
    """Stations by PRBs, coloured by the user served; users: (stations, prbs) user or -1."""
    shown = np.where(users < 0, np.nan, users % len(SERIES))
    steps = np.repeat(np.linspace(0, 1, len(SERIES) + 1), 2)[1:-1]
    used = (users >= 0).any(axis=1)
    figure = go.Figure(
        go.Heatmap(
            z=shown[used],
            x=np.arange(users.shape[1]),
            y=[name for name, any_used in zip(stations, np.asarray(used), strict=True) if any_used],
            customdata=users[used],
            colorscale=list(zip(steps, np.repeat(SERIES, 2).tolist(), strict=True)),
            zmin=-0.5,
            zmax=len(SERIES) - 0.5,
            showscale=False,
            xgap=0.5,
            ygap=1,
            hoverongaps=False,
            hovertemplate="%{y}, PRB %{x}: user %{customdata}<extra></extra>",
        )
    )
    finish(figure, "base station", {"title": "PRB"}, height=340)
    figure.update_layout(plot_bgcolor="rgba(128, 138, 148, 0.15)", hovermode="closest")
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(showgrid=False, type="category")
    return figure


def sinr(values: np.ndarray) -> go.Figure:
    """Distribution of SINR in dB."""
    figure = go.Figure(go.Histogram(x=values, nbinsx=24, marker_color=ACCENT))
    finish(figure, "users", {"title": "SINR (dB)"}, height=340)
    figure.update_layout(hovermode="closest", bargap=0.05)
    return figure


def busy_cells(by_hour: pd.DataFrame, hour: int) -> go.Figure:
    """Cells with a load above 70 % and overloaded ones by hour; by_hour: `NetworkUtilisation.by_hour`."""
    figure = go.Figure()
    for column, name, colour in (
        ("busy_cells", "load above 70 %", ACCENT),
        ("overloaded_cells", "overloaded", WARN),
    ):
        figure.add_scatter(
            x=by_hour["hour"], y=by_hour[column], name=name, line={"color": colour, "width": 2}
        )
    mark_hour(figure, hour)
    return finish(figure, "cells", {"title": "hour of the week"}, height=300)


def prb_use(by_hour: pd.DataFrame, hour: int) -> go.Figure:
    """Share of PRBs in use by hour, of all stations and of the busiest; by_hour: `PrbHours.table`."""
    figure = go.Figure()
    for column, name, colour in (
        ("utilisation", "all stations", ACCENT),
        ("busiest_station", "busiest station", MUTED),
    ):
        figure.add_scatter(
            x=by_hour["hour"], y=100 * by_hour[column], name=name, line={"color": colour, "width": 2}
        )
    mark_hour(figure, hour)
    finish(figure, "PRBs in use (%)", {"title": "hour of the week"}, height=300)
    return figure


def prb_served(by_hour: pd.DataFrame, hour: int) -> go.Figure:
    """Demand and what is served of it by hour; by_hour: `PrbHours.table`."""
    figure = go.Figure()
    figure.add_scatter(
        x=by_hour["hour"], y=by_hour["demand_mbps"], name="demand", line={"color": MUTED, "dash": "dash"}
    )
    figure.add_scatter(
        x=by_hour["hour"],
        y=by_hour["served_mbps"],
        name="served",
        line={"color": ACCENT, "width": 2},
        fill="tozeroy",
        fillcolor=BAND_90,
    )
    mark_hour(figure, hour)
    return finish(figure, "demand and served (Mbit/s)", {"title": "hour of the week"}, height=300)
