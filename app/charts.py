"""Charts, all of one look. Arrays in, plotly figures out."""

import numpy as np
import plotly.graph_objects as go

from app.colours import ACCENT, BAND_50, BAND_90, GOOD, MUTED, SERIES, WARN, swatch_legend

DAY = 24


def week_band(series: np.ndarray, hour: int, unit: str, measured: np.ndarray | None = None) -> go.Figure:
    """The week of an ensemble, series (samples, 168): its median and its central 50 % and 90 % bands.

    measured: (168,) to be drawn over it.
    """
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
    if measured is not None:
        figure.add_scatter(x=hours, y=measured, line={"color": WARN, "width": 2}, name="measured")
    figure.add_vline(x=hour, line={"color": WARN, "width": 1.5, "dash": "dot"})
    return finish(figure, f"traffic ({unit})", week_axis())


def week_heat_map(profile: np.ndarray, hour: int, unit: str) -> go.Figure:
    """A week (168,) as days by hours, with a frame around the hour shown."""
    figure = go.Figure(
        go.Heatmap(
            z=profile.reshape(-1, DAY),
            x=np.arange(DAY),
            y=[f"day {day + 1}" for day in range(len(profile) // DAY)],
            colorscale="YlOrRd",
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


def week_axis() -> dict:
    return {
        "tickvals": [DAY * day + 12 for day in range(7)],
        "ticktext": [f"day {day + 1}" for day in range(7)],
        "range": [0, 167],
        "title": "hour of the week",
    }


def day_axis() -> dict:
    return {
        "tickvals": list(range(0, 24, 3)),
        "ticktext": [f"{h:02d}:00" for h in range(0, 24, 3)],
        "title": "hour of the day",
    }


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
    return finish(figure, "energy of the hour (kWh)", hours_axis(len(by_hour)))


def energies(tables: dict, hour: int) -> go.Figure:
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
    figure.add_vline(x=hour % hours, line={"color": WARN, "width": 1.5, "dash": "dot"})
    return finish(figure, "energy of the hour (kWh)", hours_axis(hours))


def map_pair(pictures: list[dict]) -> go.Figure:
    """Maps side by side that move together: tiles by Mbit/s, sites by their share of cells asleep.

    pictures: each with title, x, y (tile numbers), mbps, site_x, site_y (fractional tile numbers), asleep, names.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=1, cols=len(pictures), subplot_titles=[p["title"] for p in pictures], horizontal_spacing=0.03
    )
    top = max(float(p["mbps"].max()) for p in pictures)
    for column, p in enumerate(pictures, start=1):
        left, upper = int(p["x"].min()), int(p["y"].min())
        grid = np.full((int(p["y"].max()) - upper + 1, int(p["x"].max()) - left + 1), np.nan)
        grid[p["y"] - upper, p["x"] - left] = p["mbps"]
        figure.add_heatmap(
            z=grid, x0=left + 0.5, dx=1, y0=upper + 0.5, dy=1, zmin=0, zmax=top, colorscale="Blues",
            showscale=column == len(pictures), hovertemplate="%{z:,.1f} Mbit/s<extra></extra>", hoverongaps=False,
            colorbar={"title": "Mbit/s", "thickness": 12}, row=1, col=column,
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
        height=430, margin={"l": 5, "r": 5, "t": 30, "b": 5}, dragmode="pan", hovermode="closest"
    )
    return figure


def risk(curve) -> go.Figure:
    """Saving against unserved traffic, one point a reserve; curve: the table of `planning.sleep.risk_curve`."""
    figure = go.Figure()
    figure.add_scatter(
        x=curve["unserved_share"],
        y=curve["saving"],
        text=[f"{q:.0%}" for q in curve["quantile"]],
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
    finish(figure, "cell", hours_axis(awake.shape[1]), height=min(520, max(240, 12 * len(used))))
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
            y=[name for name, any_used in zip(stations, np.asarray(used), strict=True) if any_used],
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


def placement_match(table, name) -> go.Figure:
    """How alike sites and traffic, or real sites, are by strategy (figure 3(c) of the paper); table: of `judge`."""
    figure = go.Figure()
    against = "real" if "jsd_real" in table else "traffic"
    labels = [name(s) for s in table["strategy"]]
    for column, label, colour in (
        ("jsd", "JSD (less is better)", SERIES[1]),
        ("cosine", "cosine (more is better)", ACCENT),
    ):
        figure.add_bar(x=labels, y=table[f"{column}_{against}"], name=label, marker_color=colour)
    words = "likeness to your own sites (0 to 1)" if against == "real" else "likeness to the traffic (0 to 1)"
    finish(figure, words, height=320)
    figure.update_layout(hovermode="closest", barmode="group")
    return figure


def users_covered(table, name) -> go.Figure:
    """Share of users covered while they move, a line a strategy (table 5 of the paper); table: of `judge`."""
    columns = [c for c in table.columns if c.startswith("covered_")]
    steps = [int(c.removeprefix("covered_")) for c in columns]
    figure = go.Figure()
    for i, row in enumerate(table.to_dict("records")):
        figure.add_scatter(
            x=steps, y=[100 * row[c] for c in columns], name=name(row["strategy"]), mode="lines+markers",
            line={"color": SERIES[i % len(SERIES)]},
        )  # fmt: skip
    finish(figure, "users covered (%)", {"title": "moves", "tickvals": steps}, height=320)
    figure.update_yaxes(rangemode="normal")  # the strategies lie near each other
    return figure


def served_by_sites(curve) -> go.Figure:
    """Traffic served by the first k sites; curve: the table deployment_curve of a plan."""
    figure = go.Figure()
    last = int(curve["in_plan"].sum())
    for part, colour, dash, label in (
        (curve.iloc[:last], ACCENT, "solid", "sites of the plan"),
        (curve.iloc[max(0, last - 1) :], MUTED, "dot", "the next ones"),
    ):
        figure.add_scatter(
            x=part["sites"],
            y=part["served_mbps"],
            name=label,
            line={"color": colour, "width": 2.5, "dash": dash},
        )
    return finish(figure, "served (Mbit/s)", {"title": "sites", "rangemode": "tozero"}, height=340)


def prb_use(by_hour, hour: int) -> go.Figure:
    """Share of PRBs in use by hour, of all stations and of the busiest; by_hour: `PrbHours.table`."""
    figure = go.Figure()
    for column, name, colour in (
        ("utilisation", "all stations", ACCENT),
        ("busiest_station", "busiest station", MUTED),
    ):
        figure.add_scatter(
            x=by_hour["hour"], y=100 * by_hour[column], name=name, line={"color": colour, "width": 2}
        )
    figure.add_vline(x=hour, line={"color": WARN, "width": 1.5, "dash": "dot"})
    finish(figure, "PRBs in use (%)", {"title": "hour of the week"}, height=300)
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
    return finish(figure, "demand and served (Mbit/s)", {"title": "hour of the week"}, height=300)
