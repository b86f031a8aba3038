"""Charts, all of one look. Arrays in, plotly figures out."""

import numpy as np
import plotly.graph_objects as go

from app.colours import ACCENT, BAND_50, BAND_90, GOOD, MUTED, WARN, swatch_legend

DAY = 24


def week_band(series: np.ndarray, hour: int, unit: str) -> go.Figure:
    """The week of an ensemble, series (samples, 168): its median and its central 50 % and 90 % bands."""
    hours = np.arange(series.shape[1])
    figure = go.Figure()
    if series.shape[0] > 1:
        for low, high, colour, name in (
            (0.05, 0.95, BAND_90, "90 % band"),
            (0.25, 0.75, BAND_50, "50 % band"),
        ):
            lower, upper = np.quantile(series, (low, high), axis=0)
            figure.add_scatter(
                x=np.concatenate([hours, hours[::-1]]),
                y=np.concatenate([upper, lower[::-1]]),
                fill="toself",
                fillcolor=colour,
                line={"width": 0},
                hoverinfo="skip",
                name=name,
            )
    figure.add_scatter(
        x=hours, y=np.median(series, axis=0), line={"color": ACCENT, "width": 2}, name="median"
    )
    figure.add_vline(x=hour, line={"color": WARN, "width": 1.5, "dash": "dot"})
    return finish(figure, unit, week_axis())


def week_axis() -> dict:
    return {
        "tickvals": [DAY * day + 12 for day in range(7)],
        "ticktext": [f"day {day + 1}" for day in range(7)],
        "range": [0, 167],
    }


def day_axis() -> dict:
    return {"tickvals": list(range(0, 24, 3)), "ticktext": [f"{h:02d}:00" for h in range(0, 24, 3)]}


def finish(figure: go.Figure, y_title: str, x_axis: dict | None = None, height: int = 360) -> go.Figure:
    """Margins, legend and axes as on every chart."""
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        legend={"orientation": "h", "y": 1.12, "x": 0},
        hovermode="x unified",
        yaxis={"title": y_title, "rangemode": "tozero"},
        xaxis=x_axis or {},
    )
    return figure


MET, UNMET = GOOD, WARN
ASLEEP = "#8fb0dc"
_AWAKE_TO_ASLEEP = ("#f0a020", "#f6d08a", "#e9edf2", "#8fb0dc", "#274b93")


def sleep_colours(share_asleep: np.ndarray) -> list[str]:
    """From all awake (amber) to all asleep (blue) in five steps: (n,) shares to colours."""
    step = np.clip(np.round(4 * share_asleep), 0, 4).astype(int)
    return [_AWAKE_TO_ASLEEP[i] for i in step]


def sleep_legend() -> str:
    names = ("all awake", "", "half asleep", "", "all asleep")
    return swatch_legend(list(zip(names, _AWAKE_TO_ASLEEP, strict=True)), "Cells of a site that may sleep")


def users_legend() -> str:
    return swatch_legend([("base station", "#22303a"), ("demand met", MET), ("not met", UNMET)])


def hours_axis(hours: int) -> dict:
    return week_axis() if hours > DAY else day_axis()


def energy(by_hour, hour: int) -> go.Figure:
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
    figure.add_vline(x=hour, line={"color": WARN, "width": 1.5, "dash": "dot"})
    return finish(figure, "kWh", hours_axis(len(by_hour)))


def schedule(awake: np.ndarray, loads: np.ndarray, cells, hour: int) -> go.Figure:
    """Cells that may sleep by hours: load as share of the cell's capacity where it is awake, a gap where it is not.

    The cells that are awake longest come first. awake, loads: (cells, hours).
    """
    sleeper = np.flatnonzero(~cells["is_coverage"].to_numpy(bool))
    sleeper = sleeper[np.argsort(-awake[sleeper].sum(axis=1), kind="stable")]
    capacity = np.maximum(cells["capacity_mbps"].to_numpy(float), 1e-9)[:, None]
    used = np.where(awake, loads / capacity, np.nan)[sleeper]
    figure = go.Figure(
        go.Heatmap(
            z=used,
            x=np.arange(awake.shape[1]),
            y=cells["cell"].to_numpy()[sleeper],
            zmin=0,
            zmax=1,
            colorscale=[[0, "#fdf3e1"], [0.5, "#f2a65a"], [1, "#b03a2e"]],
            colorbar={"title": "load", "tickformat": ".0%", "thickness": 12},
            hovertemplate="%{y}<br>hour %{x}<br>load %{z:.0%}<extra></extra>",
            hoverongaps=False,
        )
    )
    figure.add_vline(x=hour, line={"color": WARN, "width": 1.5, "dash": "dot"})
    finish(figure, "", hours_axis(awake.shape[1]), height=min(520, max(240, 12 * len(used))))
    figure.update_layout(plot_bgcolor=ASLEEP, hovermode="closest")
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(showgrid=False, autorange="reversed")
    return figure


def rate_demand(table) -> go.Figure:
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
    shown = np.where(users < 0, np.nan, users % 12)
    used = (users >= 0).any(axis=1)
    figure = go.Figure(
        go.Heatmap(
            z=shown[used],
            x=np.arange(users.shape[1]),
            y=[name for name, any_used in zip(stations, used, strict=True) if any_used],
            customdata=users[used],
            colorscale="HSV",
            zmin=0,
            zmax=12,
            showscale=False,
            xgap=0.5,
            ygap=1,
            hoverongaps=False,
            hovertemplate="%{y}, PRB %{x}: user %{customdata}<extra></extra>",
        )
    )
    finish(figure, "", {"title": "PRB"}, height=340)
    figure.update_layout(plot_bgcolor="#eceff1", hovermode="closest")
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(showgrid=False, type="category")
    return figure


def sinr(values: np.ndarray) -> go.Figure:
    """Distribution of SINR in dB."""
    figure = go.Figure(go.Histogram(x=values, nbinsx=24, marker_color=ACCENT))
    finish(figure, "users", {"title": "SINR (dB)"}, height=340)
    figure.update_layout(hovermode="closest", bargap=0.05)
    return figure


def prb_use(by_hour, hour: int) -> go.Figure:
    """Share of PRBs in use by hour, of all stations and of the busiest; by_hour: `PrbHours.table`."""
    figure = go.Figure()
    for column, name, colour in (
        ("utilisation", "all stations", ACCENT),
        ("busiest_station", "busiest station", MUTED),
    ):
        figure.add_scatter(
            x=by_hour["hour"], y=by_hour[column], name=name, line={"color": colour, "width": 2}
        )
    figure.add_vline(x=hour, line={"color": WARN, "width": 1.5, "dash": "dot"})
    finish(figure, "PRBs in use", {"title": "hour"}, height=300)
    figure.update_yaxes(tickformat=".0%")
    return figure


def prb_served(by_hour, hour: int) -> go.Figure:
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
    figure.add_vline(x=hour, line={"color": WARN, "width": 1.5, "dash": "dot"})
    return finish(figure, "Mbit/s", {"title": "hour"}, height=300)
