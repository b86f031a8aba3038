"""More of the generated traffic: the week by day and hour, typical patterns, and measurements beside it."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from app.charts import traffic as traffic_charts
from app.files.measurements import read_table
from app.messages import errors_shown
from app.state.controls import kept
from app.state.slots import Slot
from app.state.workspace import Workspace
from app.widgets import accessible
from app.widgets.file_button import table_button
from app.widgets.tables import show_table
from app.widgets.uploads import upload
from plannerbase import formats

if TYPE_CHECKING:
    from planning.traffic import TrafficTable

PATTERNS: Slot[np.ndarray] = Slot()
MEASURED: "Slot[TrafficTable]" = Slot()
VIEWS = {
    "heat map": "Day by hour",
    "patterns": "Typical patterns",
    "measured": "Beside measurements",
}
MAX_PATTERN_TILES = 2000  # all pairs of them are compared
MAX_MEASURED_MB = 200
# figure of opendiff.metrics.score: what it says
EXPLAINED = {
    "jsd": "JSD: how unlike the course of the week is, 0 (alike) to 1",
    "nmae": "NMAE: mean error of the median, as a share of the mean traffic",
    "nrmse": "NRMSE: the same, large errors counting more",
    "ncrps": "nCRPS: error of the whole ensemble, as a share of the mean traffic",
    "coverage_50": "Measured values inside the 50 % band (ideal: 0.5)",
    "coverage_90": "Measured values inside the 90 % band (ideal: 0.9)",
    "level_r2": "R² of the logarithm of the weekly mean",
    "peak_hour_error": "Hours between the busiest hours of the day",
}


def details(space: Workspace, median: np.ndarray, profile: np.ndarray, hour: int, unit: str) -> None:
    """One of VIEWS, as chosen. median: (tiles, hours) in `unit`; profile: (hours,) of the whole area."""
    view = st.segmented_control(
        "More of this traffic",
        list(VIEWS),
        format_func=VIEWS.__getitem__,
        selection_mode="single",
        **kept("traffic view"),
    )
    if view == "heat map":
        accessible.chart(
            traffic_charts.week_heat_map(profile, hour, unit), "Traffic by day and hour", "week heat map"
        )
        st.caption("The whole area, median of the samples.")
    elif view == "patterns":
        _patterns(space, median)
    elif view == "measured":
        with errors_shown("comparing with the measurements"):
            _measured(space, hour)


def _patterns(space: Workspace, median: np.ndarray) -> None:
    from opendiff.metrics import min_max, traffic_patterns

    assert space.traffic is not None
    rows = np.linspace(0, len(median) - 1, min(len(median), MAX_PATTERN_TILES)).astype(int)
    found = space.cached(PATTERNS, space.traffic.identity, lambda: traffic_patterns(median[rows]))
    number = int(found.max()) + 1
    if number < 1:
        st.info("The tiles of this area are too much alike, or too few, to tell patterns apart.")
        return
    days = min_max(median[rows].reshape(len(rows), -1, 24).mean(axis=1))
    shapes = {
        f"pattern {i + 1}: {formats.counted(int((found == i).sum()), 'tiles')}": days[found == i].mean(axis=0)
        for i in range(number)
    }
    accessible.chart(traffic_charts.day_shapes(shapes), "Mean day of each traffic pattern", "patterns")
    st.caption(
        "Mean day of each group of tiles that DBSCAN finds (paper, appendix A.1), every tile scaled to run from 0 to "
        f"1; {int((found < 0).sum())} of {len(rows)} tiles belong to none."
    )


def _measured(space: Workspace, hour: int) -> None:
    one, two = st.columns([3, 1], vertical_alignment="bottom")
    file = upload(
        space,
        "measured traffic",
        "Measured traffic by tile (x, y, hour), or by place (lon, lat) and date-time",
        ["parquet", "csv", "xlsx", "txt"],
        MAX_MEASURED_MB,
        where=one,
    )
    unit = two.selectbox("Its unit", ["Mbit/s", "relative units"], **kept("measured unit"))
    if file is None:
        return
    table = space.cached(MEASURED, file.identity, lambda: read_table(file))
    _beside(space, table, unit, hour)


def _beside(space: Workspace, table: "TrafficTable", unit: str, hour: int) -> None:
    from opendiff.metrics import score

    assert space.traffic is not None
    ensemble = space.traffic.value
    mine = {(x, y): i for i, (x, y) in enumerate(zip(*_tiles(ensemble), strict=True))}
    pairs = [
        (mine[key], i)
        for i, key in enumerate(zip(table.x.tolist(), table.y.tolist(), strict=True))
        if key in mine
    ]
    if not pairs or table.traffic.shape[2] != ensemble.traffic.shape[2]:
        st.warning(
            "The measurements share no tile with this area, or are not of 168 hours; upload a week of tiles of it."
        )
        return
    rows, theirs = (np.array(side) for side in zip(*pairs, strict=True))
    factor = space.stated_scale().mbps_per_unit if unit == "Mbit/s" else 1.0
    made = ensemble.traffic[rows].astype(float) * factor
    real = table.traffic[theirs, 0].astype(float)
    figures = score(real, made, *(np.asarray(side)[rows] for side in _tiles(ensemble)))
    figure = traffic_charts.week_band(made.sum(axis=0), hour, unit, real.sum(axis=0))
    accessible.chart(figure, "Generated week beside the measured one", "measured week")
    shown = [(words, figures[name]) for name, words in EXPLAINED.items() if name in figures]
    left, right = st.columns(2)
    show_table(pd.DataFrame(shown, columns=["Figure", "Value"]).round(3), where=left)
    with right.expander("All figures"):
        everything = pd.DataFrame({"figure": list(figures), "value": list(figures.values())})
        show_table(everything.round(4))
        table_button("All figures (CSV)", everything, "metrics.csv")
    st.caption(
        f"On the {len(rows)} tiles of the area that were measured, whole tiles; first sample of the file."
    )


def _tiles(ensemble: Any) -> tuple[list[int], list[int]]:
    return ensemble.tiles["x"].tolist(), ensemble.tiles["y"].tolist()
