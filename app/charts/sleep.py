"""Charts of sleep plans, and the colours of sites by their share of cells asleep."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import finish, hours_axis, mark_hour
from app.colours import ACCENT, BAND_90, MUTED, RAMP_ROOT_SCALE, RAMP_SCALE, SERIES, swatch_legend
from plannerbase import formats

if TYPE_CHECKING:
    from planning.sleep import SleepPlan

ASLEEP = "#8fb0dc"

_AWAKE_TO_ASLEEP = ("#f0a020", "#f6d08a", "#e9edf2", "#8fb0dc", "#274b93")


def asleep_by_site(plan: "SleepPlan", hour: int) -> tuple[np.ndarray, np.ndarray]:
    """(cells of each site that sleep in an hour of the plan, their share of those that may sleep): (sites,) each."""
    network = plan.network
    member, sites = network.site_of_cell, len(network.sites)
    asleep = np.bincount(member, ~plan.awake[:, hour], minlength=sites)
    may_sleep = np.bincount(member[_sleepers(plan)], minlength=sites)
    return asleep, asleep / np.maximum(may_sleep, 1)


def _sleepers(plan: "SleepPlan") -> np.ndarray:
    """Rows of the cells that may sleep, of any technology."""
    groups = plan.problem.groups
    free = [groups.parts[g] for g in groups.free if groups.boost_of[g] < 0]
    return np.concatenate(free) if free else np.zeros(0, int)


def sleep_colours(share_asleep: np.ndarray) -> list[str]:
    """From all awake (amber) to all asleep (blue) in five steps: (n,) shares to colours."""
    step = np.clip(np.round(4 * share_asleep), 0, 4).astype(int)
    return [_AWAKE_TO_ASLEEP[i] for i in step]


def sleep_legend() -> str:
    names = ("all awake", "¼ asleep", "½ asleep", "¾ asleep", "all asleep")
    return swatch_legend(list(zip(names, _AWAKE_TO_ASLEEP, strict=True)), "Cells of a site that may sleep")


def energy(by_hour: pd.DataFrame, hour: int) -> go.Figure:
    """Energy by hour of a plan against always on; by_hour: the table of `SleepPlan.energy_by_hour`."""
    figure = go.Figure()
    figure.add_scatter(
        x=by_hour["hour"],
        y=by_hour["always_on_kwh"],
        name="always on",
        line={"color": MUTED, "width": 2, "dash": "dash"},
    )
    figure.add_scatter(
        x=by_hour["hour"],
        y=by_hour["energy_kwh"],
        name="this plan",
        line={"color": ACCENT, "width": 2.5},
        fill="tozeroy",
        fillcolor=BAND_90,
    )
    mark_hour(figure, hour)
    return finish(figure, "energy of the hour (kWh)", hours_axis(len(by_hour)))


def energies(tables: dict[str, pd.DataFrame], hour: int) -> go.Figure:
    """Energy by hour of several plans and what always on takes; tables: label to `SleepPlan.energy_by_hour`."""
    figure = go.Figure()
    for number, (label, by_hour) in enumerate(tables.items()):
        figure.add_scatter(
            x=by_hour["hour"],
            y=by_hour["energy_kwh"],
            name=label,
            line={"color": SERIES[number % len(SERIES)], "width": 2.5},
        )
    hours = max(len(t) for t in tables.values())
    mark_hour(figure, hour % hours)
    return finish(figure, "energy of the hour (kWh)", hours_axis(hours))


# of two maps, below both: on a phone there is no room beside them
BELOW = {
    "title": {"text": "Mbit/s", "side": "top"}, "orientation": "h", "thickness": 10, "len": 0.7, "x": 0.5, "y": -0.02,
    "yanchor": "top",
}  # fmt: skip


def map_pair(pictures: list[dict]) -> go.Figure:
    """Maps side by side that move together: tiles by Mbit/s, sites by their share of cells asleep.

    pictures: each with title, x, y (tile numbers), mbps, top (of the colour scale, Mbit/s), site_x, site_y (fractional
    tile numbers), asleep, names.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=1, cols=len(pictures), horizontal_spacing=0.03,
        subplot_titles=[p["title"].replace(" · ", "<br>", 1) for p in pictures],
    )  # fmt: skip
    figure.update_annotations(font_size=13)
    top = max(p["top"] for p in pictures)
    for column, p in enumerate(pictures, start=1):
        left, upper = int(p["x"].min()), int(p["y"].min())
        grid = np.full((int(p["y"].max()) - upper + 1, int(p["x"].max()) - left + 1), np.nan)
        grid[p["y"] - upper, p["x"] - left] = p["mbps"]
        figure.add_heatmap(
            z=grid, x0=left + 0.5, dx=1, y0=upper + 0.5, dy=1, zmin=0, zmax=top, colorscale=RAMP_ROOT_SCALE,
            showscale=column == len(pictures), hovertemplate="%{z:,.1f} Mbit/s<extra></extra>", hoverongaps=False,
            colorbar=BELOW, row=1, col=column,
        )  # fmt: skip
        figure.add_scatter(
            x=p["site_x"], y=p["site_y"], mode="markers", showlegend=False, customdata=p["asleep"], text=p["names"],
            marker={"color": sleep_colours(p["asleep"]), "size": 8, "line": {"color": "#ffffff", "width": 1}},
            hovertemplate="%{text}: %{customdata:.0%} of its cells asleep<extra></extra>", row=1, col=column,
        )  # fmt: skip
        name = "" if column == 1 else str(column)
        across = {"matches": "x", "visible": False, "constrain": "domain"}
        down = across | {"matches": "y", "scaleanchor": "x", "autorange": "reversed"}
        figure.update_layout({f"xaxis{name}": across, f"yaxis{name}": down})
    figure.update_layout(
        height=460, margin={"l": 5, "r": 5, "t": 45, "b": 55}, dragmode="pan", hovermode="closest"
    )
    return figure


def risk(curve: pd.DataFrame) -> go.Figure:
    """Saving against unserved traffic, one point a reserve; curve: the table of `planning.sleep.risk_curve`."""
    figure = go.Figure()
    figure.add_scatter(
        x=curve["unserved_share"],
        y=curve["saving"],
        text=[formats.percent(q) for q in curve["quantile"]],
        mode="lines+markers+text",
        textposition="middle right",
        line={"color": ACCENT, "width": 2},
        customdata=curve[["overload_hours", "worst_missing_mbps"]],
        hovertemplate="reserve %{text}<br>saves %{y:.1%}, unserved %{x:.3%}<br>%{customdata[0]} overload hours, "
        "at most %{customdata[1]:,.0f} Mbit/s short at a site<extra></extra>",
        name="reserve quantile",
    )
    axis = {"title": "unserved share of traffic", "tickformat": ".2%", "rangemode": "tozero"}
    finish(figure, "energy saved (share)", axis, height=320)
    figure.update_yaxes(tickformat=".0%")
    figure.update_layout(hovermode="closest", showlegend=False)
    return figure


def schedule(
    awake: np.ndarray, loads: np.ndarray, cells: pd.DataFrame, hour: int, capacity: np.ndarray | None = None
) -> go.Figure:
    """Cells by hours: load as share of the cell's capacity where it is awake, a gap where it is not.

    The cells that are awake longest come first. awake, loads, capacity: (cells, hours); the cells' nominal capacity
    where none is given.
    """
    order = np.argsort(-awake.sum(axis=1), kind="stable")
    if capacity is None:
        capacity = np.repeat(cells["capacity_mbps"].to_numpy(float)[:, None], awake.shape[1], axis=1)
    used = np.where(awake, loads / np.maximum(capacity, 1e-9), np.nan)[order]
    figure = go.Figure(
        go.Heatmap(
            z=used,
            x=np.arange(awake.shape[1]),
            y=cells["cell"].to_numpy()[order],
            zmin=0,
            zmax=1,
            colorscale=RAMP_SCALE,
            colorbar={"title": "load", "tickformat": ".0%", "thickness": 12},
            hovertemplate="%{y}<br>hour %{x}<br>load %{z:.0%}<extra></extra>",
            hoverongaps=False,
        )
    )
    mark_hour(figure, hour)
    finish(figure, "cell", hours_axis(awake.shape[1]), height=min(520, max(240, 12 * len(used))))
    figure.update_layout(plot_bgcolor=ASLEEP, hovermode="closest")
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(showgrid=False, autorange="reversed")
    return figure
