"""The operator's own counters: uploaded, read with a report, and what they are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from app.charts import traffic as traffic_charts
from app.files.measurements import COLUMNS, FILE, NETWORK, READ, Measured, read_measured
from app.map.region import Region, tile_picture
from app.map.view import map_view
from app.messages import errors_shown, plain
from app.state.controls import kept
from app.state.workspace import Workspace
from app.widgets import accessible
from app.widgets.file_button import table_button
from app.widgets.file_report import file_report
from app.widgets.uploads import upload
from plannerbase import formats

if TYPE_CHECKING:
    from opendiff.traffic_table import TrafficEnsemble

NEXT_COLOUR = (200, 30, 90)  # of tiles to measure next, the first the strongest
MAX_MB, MAX_NETWORK_MB = 500, 200


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
            plain(f"{formats.number(len(told.x))} measured tiles, in {told.unit}."), icon=":material/check:"
        )
        file_report(told.report, file.name)
    return read


def worth(space: Workspace, region: Region, hour: int) -> None:
    """Generated before, measured and generated after; the error of tiles left out; where to measure next."""
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
