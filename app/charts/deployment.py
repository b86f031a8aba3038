"""Charts of deployments and of the strategies side by side."""

from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go

from app.charts.axes import finish
from app.colours import ACCENT, MUTED, SERIES

SYMBOLS = (
    "circle",
    "square",
    "diamond",
    "cross",
    "x",
    "triangle-up",
    "star",
    "hexagon",
    "pentagon",
    "bowtie",
)
DASHES = ("solid", "dash", "dot", "dashdot")


def placement_match(table: pd.DataFrame, name: Callable[[str], str]) -> go.Figure:
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


def users_covered(table: pd.DataFrame, name: Callable[[str], str]) -> go.Figure:
    """Share of users covered while they move, a line a strategy (table 5 of the paper); table: of `judge`.

    Lines differ by colour, dash and mark, and become narrower, so that one that lies under another still shows.
    """
    columns = [c for c in table.columns if c.startswith("covered_")]
    steps = [int(c.removeprefix("covered_")) for c in columns]
    figure = go.Figure()
    for i, row in enumerate(table.to_dict("records")):
        figure.add_scatter(
            x=steps, y=[100 * row[c] for c in columns], name=name(row["strategy"]), mode="lines+markers",
            line={
                "color": SERIES[i % len(SERIES)],
                "dash": DASHES[i % len(DASHES)],
                "width": max(1.5, 5 - 0.6 * i),
            },
            marker={"symbol": SYMBOLS[i % len(SYMBOLS)], "size": 9},
        )  # fmt: skip
    finish(figure, "users covered (%)", {"title": "moves", "tickvals": steps}, height=320)
    figure.update_yaxes(rangemode="normal")  # the strategies lie near each other
    return figure


def served_by_sites(curve: pd.DataFrame) -> go.Figure:
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
