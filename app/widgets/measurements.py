"""The operator's own counters: uploaded, read with a report, and what they are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from app.charts import traffic as traffic_charts
from app.colours import ramp, ramp_legend
from app.files.measurements import COLUMNS, FILE, NETWORK, READ, Measured, read_measured
from app.map.dots import Dots
from app.map.region import Region, bounds_of_tile, tile_picture
from app.map.view import map_view
from app.map.wipe import Wipe
from app.messages import errors_shown, plain
from app.state.controls import kept
from app.state.slots import Slot
from app.state.workspace import Workspace
from app.widgets import accessible
from app.widgets.file_button import table_button
from app.widgets.file_report import file_report
from app.widgets.layout import opacity
from app.widgets.uploads import upload
from plannerbase import formats
from plannerbase.counting import of_count

if TYPE_CHECKING:
    from opendiff.traffic_table import TrafficEnsemble

NEXT_COLOUR = (200, 30, 90)  # of tiles to measure next, the first the strongest
MAX_MB, MAX_NETWORK_MB = 500, 200
BEFORE, MEASURED, AFTER, SLIDER = "Before", "Measured", "After", "Slider"
LEVELS: Slot[np.ndarray] = Slot()


def measurements(space: Workspace) -> Measured | None:
    """The uploaders with their choices and the report; what the files measure, None without any."""
    st.caption(
        "Hourly counters set the scale and teach the model the city. They stay in this session; names of "
        "cells leave it in no request."
    )
    one, two = st.columns(2)
    file = upload(
        space, FILE, "Counters of cells, places or tiles", ["csv", "txt", "xlsx", "parquet"], MAX_MB,
        "A row a cell (or lon and lat, or x and y of a zoom-15 tile) and date-time, with traffic, users, PRB use or "
        "energy; steps of 5 minutes to a day.", one,
    )  # fmt: skip
    network = upload(
        space, NETWORK, "Network: where the cells are", ["csv", "xlsx", "geojson", "json", "kml", "kmz", "gpx", "fgb",
                                                             "gpkg", "zip"],
        MAX_NETWORK_MB, "Needed for counters by the name or id of a cell; with azimuths where known.", two,
    )  # fmt: skip
    if file is None:
        return None
    with st.expander("Columns, time zone and unit", icon=":material/table_chart:"):
        boxes = st.columns(4)
        mapping = {
            ours: boxes[i % 4].text_input(
                f"Column of {label.lower()}", placeholder="by its heading", **kept(f"map {ours}")
            )
            for i, (ours, label) in enumerate(COLUMNS.items())
        }
        timezone = boxes[2].text_input(
            "Time zone of the area", placeholder="as most rows", **kept("measured zone")
        )
        unit = boxes[3].text_input(
            "Unit of traffic", placeholder="by its heading", **kept("measured traffic unit")
        )
    chosen = {ours: theirs.strip() for ours, theirs in mapping.items() if theirs and theirs.strip()}
    key = (file.identity, network.identity if network else "", *sorted(chosen.items()), timezone, unit)
    read: Measured | None = None
    with errors_shown("reading the measurements"):
        read = space.cached(
            READ, key, lambda: read_measured(file, network, chosen, timezone or "", unit or "")
        )
        assert read is not None
        told = read.tiles
        st.success(
            plain(
                f"{formats.number(len(told.x))} {of_count(len(told.x), 'measured tiles')}, in {told.unit}."
            ),
            icon=":material/check:",
        )
        file_report(told.report, file.name)
    return read


def worth(space: Workspace, region: Region, hour: int) -> None:
    """Generated before, measured and after, as weeks and maps; the error of tiles left out; where to measure next."""
    assert space.traffic is not None
    ensemble: TrafficEnsemble = space.traffic.value
    told: dict[str, Any] = ensemble.metadata.get("measured_worth", {})
    if not told:
        return
    with st.expander("What the measurements are worth", icon=":material/insights:", expanded=True):
        st.markdown(plain(told["sentence"]))
        unit = str(ensemble.metadata.get("unit", "relative units"))
        if told["rows"]:
            after = ensemble.traffic[told["rows"]].astype(float).sum(axis=0)
            chart = traffic_charts.week_band(
                after, hour, unit, np.array(told["measured"]), np.array(told["before"])
            )
            accessible.chart(
                chart, "Measured tiles: generated before, measured, generated after", "measured weeks"
            )
            st.caption(
                "Before: from open data alone, scaled to the measured mean. All measured tiles of the area."
            )
            _levels(space, region, told, unit)
        ranked = pd.DataFrame(told["next"])
        if not len(ranked):
            return
        st.markdown("**Where to measure next**")
        left, right = st.columns(2)
        shown = ranked.rename(
            columns={"rank": "Rank", "band_90": "90 % band, factor", "left": "Uncertainty left (%)"}
        )
        shown["Uncertainty left (%)"] = (100 * shown["Uncertainty left (%)"]).round(1)
        left.dataframe(shown.round(2), hide_index=True, width="stretch")
        with left:
            table_button("Where to measure next (CSV)", ranked, "measure_next.csv")
        with right:
            x, y = (ranked[axis].to_numpy(np.int64) for axis in ("x", "y"))
            strength = np.linspace(230, 90, len(x)).astype(np.uint8)
            blocks = np.zeros((len(x), 1, 1, 4), np.uint8)
            blocks[:, 0, 0] = np.column_stack(
                [np.full(len(x), 200), np.full(len(x), 30), np.full(len(x), 90), strength]
            )
            map_view(
                f"measure next {space.traffic.identity}", region, outline=space.outline_of(ensemble.metadata),
                pictures=[tile_picture(x, y, blocks)], height=300,
            )  # fmt: skip
        st.caption(
            "Each tile is the one whose measurement takes most of the area's uncertainty, after those above it."
        )


def _levels(space: Workspace, region: Region, told: dict[str, Any], unit: str) -> None:
    """The map of the weekly mean of each tile: before, as measured, after, or a slider between before and after."""
    assert space.traffic is not None
    ensemble: TrafficEnsemble = space.traffic.value
    if len(told.get("levels_before", [])) != len(ensemble.tiles):  # made by an earlier version
        return
    identity = space.traffic.identity
    after = space.cached(LEVELS, identity, lambda: ensemble.median().mean(axis=1).astype(float))
    measured = np.full(len(after), np.nan)
    measured[told["rows"]] = told["levels_measured"]
    levels = {BEFORE: np.array(told["levels_before"]), MEASURED: measured, AFTER: after}
    st.markdown("**Weekly mean of each tile**")
    view = st.segmented_control(
        "Show on the map", [*levels, SLIDER], default=SLIDER, required=True, key="measured levels",
        help="Slider: before on the left of a line on the map, after on its right; move the line to compare.",
    )  # fmt: skip
    x, y = (ensemble.tiles[axis].to_numpy(np.int64) for axis in ("x", "y"))
    top = float(np.nanquantile(np.concatenate([*levels.values()]), 0.98)) or 1.0
    pictures = {
        name: tile_picture(x, y, ramp(values, top, opacity())[:, None, None, :])
        for name, values in levels.items()
    }
    wiped = Wipe(pictures[BEFORE], pictures[AFTER], (BEFORE, AFTER)) if view == SLIDER else None
    table = pd.DataFrame({"x": x, "y": y} | {f"{n.lower()} ({unit})": v for n, v in levels.items()})
    accessible.offer_table("Weekly mean of each tile", lambda: table)
    map_view(
        f"measured levels {identity}", region, outline=space.outline_of(ensemble.metadata),
        pictures=[] if view == SLIDER else [pictures[str(view)]],
        dots=[_measured_tiles(x[told["rows"]], y[told["rows"]], told["levels_measured"], unit)], wiped=wiped,
        height=340,
    )  # fmt: skip
    st.html(ramp_legend(f"Weekly mean of a whole tile ({unit}); dots: measured tiles", top))
    other = np.ones(len(after), bool)
    other[told["rows"]] = False
    if other.any():
        factor = after[other] / np.maximum(levels[BEFORE][other], 1e-12)
        low, high = (formats.number(float(q), 2) for q in np.quantile(factor, (0.1, 0.9)))
        count = int(other.sum())
        st.caption(
            f"The measurements change the {formats.number(count)} {of_count(count, 'tiles')} without one by a factor "
            f"of {low} to {high} (the middle four fifths of them)."
        )


def _measured_tiles(x: np.ndarray, y: np.ndarray, levels: list[float], unit: str) -> Dots:
    """A dot in the middle of each measured tile, with its level."""
    west, south, east, north = np.array([bounds_of_tile(int(i), int(j)) for i, j in zip(x, y, strict=True)]).T
    names = [f"measured: {formats.significant(level)} {unit}" for level in levels]
    return Dots((west + east) / 2, (south + north) / 2, ["#22303a"] * len(x), names, 3)
