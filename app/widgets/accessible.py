"""Charts and maps for everybody: each is told to a screen reader, and its numbers are one click away as a table."""

from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.charts.numbers import summary, table_of
from app.map.dots import Dots
from app.widgets.file_button import table_button
from app.widgets.tables import show_table
from plannerbase import formats

_TABLES, _OPEN = "tables of this page", "data of this page"


def begin() -> None:
    """At the beginning of a page: nothing is shown yet."""
    st.session_state[_TABLES] = {}


def chart(figure: go.Figure, title: str, key: str, where: Any = st, told: bool = True) -> None:
    """A chart with its text alternative. told: with its numbers, for a chart whose numbers do not change with the hour,
    as another text mounts it anew."""
    figure.update_layout(separators=formats.current().separators)
    where.plotly_chart(
        figure, width="stretch", key=key, alt=f"{title}. {summary(figure)}" if told else f"{title}."
    )
    offer_table(title, lambda: table_of(figure))


def tile_map(title: str, when: str, x: np.ndarray, y: np.ndarray, values: np.ndarray, unit: str) -> None:
    """Tell the map that follows, of tiles by a figure, and offer its numbers."""

    def numbers() -> pd.DataFrame:
        from opendiff.area.tile_grid import tile_bounds

        west, south, east, north = tile_bounds(x, y)
        middle = {"lon": (west + east) / 2, "lat": (south + north) / 2}
        return pd.DataFrame({"tile x": x, "tile y": y} | middle | {unit: values})

    most = int(np.argmax(values))
    tell(
        f"Map. {title}, {when}: {formats.counted(len(x), 'tiles')}, most at tile {x[most]}, {y[most]} with "
        f"{formats.significant(float(values[most]))} {unit}; the numbers stand at the end of the page."
    )
    offer_table(title, numbers)


def site_map(title: str, when: str, dots: Dots) -> None:
    """Tell the map that follows, of sites or users, and offer what each says."""
    tell(
        f"Map. {title}, {when}: {formats.counted(len(dots.lon), 'places')}; the numbers stand at the end of the page."
    )
    offer_table(title, lambda: pd.DataFrame({"place": list(dots.tooltips), "lon": dots.lon, "lat": dots.lat}))


def tell(text: str) -> None:
    """Text for a screen reader alone."""
    st.html(f'<p class="told">{escape(text)}</p>')


def offer_table(title: str, make: Callable[[], pd.DataFrame]) -> None:
    """Offer the numbers of something shown, a map say, under the page."""
    st.session_state.setdefault(_TABLES, {})[title] = make


def offered_tables() -> None:
    """At the end of a page: the numbers of what has been shown and not been offered yet, made once they are asked
    for."""
    offered = st.session_state.pop(_TABLES, {})
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
        show_table(made, height=300, alt=f"{title}: {formats.counted(len(made), 'rows')}")
        table_button("This table (CSV)", made, "numbers.csv")
