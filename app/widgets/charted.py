"""Charts and maps for everybody: each is told to a screen reader, and its numbers are one click away as a table."""

from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.colours import number
from app.map.view import Dots

_TABLES, _OPEN = "tables of this page", "data of this page"
_ACROSS = ("scatter", "bar", "histogram")


def begin() -> None:
    """At the beginning of a page: nothing is shown yet."""
    st.session_state[_TABLES] = {}


def chart(figure: go.Figure, title: str, key: str, where: Any = st, told: bool = True) -> None:
    """A chart with its text alternative. told: with its numbers, for a chart whose numbers do not change with the hour,
    as another text mounts it anew."""
    where.plotly_chart(
        figure, width="stretch", key=key, alt=f"{title}. {summary(figure)}" if told else f"{title}."
    )
    table(title, lambda: table_of(figure))


def tile_map(title: str, when: str, x: np.ndarray, y: np.ndarray, values: np.ndarray, unit: str) -> None:
    """Tell the map that follows, of tiles by a figure, and offer its numbers."""

    def numbers() -> pd.DataFrame:
        from opendiff.area.tile_grid import tile_bounds

        west, south, east, north = tile_bounds(x, y)
        middle = {"lon": (west + east) / 2, "lat": (south + north) / 2}
        return pd.DataFrame({"tile x": x, "tile y": y} | middle | {unit: values})

    most = int(np.argmax(values))
    tell(
        f"Map. {title}, {when}: {len(x):,} tiles, most at tile {x[most]}, {y[most]} with "
        f"{number(float(values[most]))} {unit}; the numbers stand at the end of the page."
    )
    table(title, numbers)


def site_map(title: str, when: str, dots: Dots) -> None:
    """Tell the map that follows, of sites or users, and offer what each says."""
    tell(f"Map. {title}, {when}: {len(dots.lon):,} places; the numbers stand at the end of the page.")
    table(title, lambda: pd.DataFrame({"place": list(dots.tooltips), "lon": dots.lon, "lat": dots.lat}))


def tell(text: str) -> None:
    """Text for a screen reader alone."""
    st.html(f'<p class="told">{escape(text)}</p>')


def table(title: str, make: Callable[[], pd.DataFrame]) -> None:
    """Offer the numbers of something shown, a map say, under the page."""
    st.session_state.setdefault(_TABLES, {})[title] = make


def data() -> None:
    """At the end of a page: the numbers of what it has shown, made once they are asked for."""
    offered = st.session_state.get(_TABLES, {})
    if not offered:
        return
    shown = st.expander(
        "Numbers behind the charts and maps", icon=":material/table:", key=_OPEN, on_change="rerun"
    )
    if not shown.open:
        return
    with shown:
        title = st.selectbox("Chart or map", list(offered), key=f"{_OPEN} {list(offered)}")
        made = offered[title]()
        st.dataframe(made, hide_index=True, width="stretch", height=300, alt=f"{title}: {len(made):,} rows")
        st.download_button(
            "This table (CSV)", made.to_csv(index=False), "numbers.csv", "text/csv", on_click="ignore"
        )


def summary(figure: go.Figure) -> str:
    """What each series of a chart runs over: "traffic (Mbit/s): median 294 to 17,897"."""
    parts, quantity = [], ""
    for trace in figure.data:
        quantity, values = _quantity(figure, trace)
        finite = _finite(values)
        if len(finite):
            name = f"{trace.name} " if trace.name else ""
            parts.append(f"{name}{number(float(finite.min()))} to {number(float(finite.max()))}")
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
        elif (
            trace.type == "scatter" and trace.fill == "toself"
        ):  # a band, along its upper edge and back along the lower one
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
