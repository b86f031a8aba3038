"""The energy figures of the cells, as a table to edit, and their fit to measurements."""

import hashlib
from typing import TYPE_CHECKING, Any, cast

import pandas as pd
import streamlit as st

from app.messages import errors_shown, told
from app.state.controls import kept
from app.state.inputs import Upload
from app.state.slots import Slot
from app.state.workspace import Workspace
from app.widgets import accessible
from app.widgets.file_choices import column_controls, column_mapping, held_by, one_of, recall, remember
from app.widgets.file_report import file_report
from app.widgets.uploads import upload
from plannerbase import formats

if TYPE_CHECKING:
    from planning.measured_power import LoadUnit, PowerUnit
    from planning.power_fit import PowerFit

EDITED: Slot[pd.DataFrame] = Slot()
HELD: Slot[Any] = Slot()
ALL_SHEETS = "(all with load and power)"
COLUMNS = {"load": "Column of load", "power": "Column of power"}
AS_LISTED = "as in the table"
FIGURES = {
    "capacity_mbps": ("Capacity (Mbit/s)", "Mean over the cell at full load."),
    "idle_w": ("Idle (W)", "Awake without traffic, eq. 13: b_n."),
    "slope_w_per_mbps": ("Slope (W per Mbit/s)", "eq. 13: k_n."),
    "sleep_w": ("Asleep (W)", "What a sleeping cell draws."),
}
MAX_CSV_MB = 20
LOAD_UNITS = {"": "as the heading says", "mbps": "Mbit/s", "share": "share (0 to 1)", "percent": "percent"}
POWER_UNITS = {"": "as the heading says", "w": "W", "kw": "kW"}


def equipment_editor(space: Workspace) -> pd.DataFrame | None:
    """The rows of equipment whose figures differ from the network's, or None where none does."""
    from planning.equipment import SLEEP_DEPTHS

    st.markdown("**Energy figures of the cells**")
    listed = _listed(space)
    depth = st.selectbox(
        "Depth of sleep",
        [AS_LISTED, *SLEEP_DEPTHS],
        format_func=lambda name: (
            name if name == AS_LISTED else f"{name} ({formats.percent(SLEEP_DEPTHS[name])} of idle power)"
        ),
        help="For the presets, from measured stations: see docs/figures.md.",
        **kept("sleep depth"),
    )
    base = _fitted(space, _at_depth(listed, depth))
    # the editor is mounted with what was edited before, and from then on tells the edits itself
    key = f"equipment {space.map_version} {hashlib.sha256(base.to_csv().encode()).hexdigest()[:12]}"
    start = space.cached(EDITED, key, lambda: _with_edits(base, space.edited_equipment))
    edited = st.data_editor(
        start,
        hide_index=True,
        disabled=["equipment", "cells"],
        column_config={
            "equipment": "Equipment",
            "cells": "Cells",
            **{
                name: st.column_config.NumberColumn(
                    label, min_value=0.0, help=words, format="%.3g", required=True
                )
                for name, (label, words) in FIGURES.items()
            },
        },
        width="stretch",
        key=key,
        alt="Energy figures of each equipment of the cells",
    )
    space.edited_equipment |= _edits(edited, base)
    with st.popover("Where the figures come from", icon=":material/menu_book:"):
        st.markdown(_sources(listed["equipment"]))
    changed = (edited[list(FIGURES)] != listed[list(FIGURES)]).any(axis=1)
    return edited.loc[changed, ["equipment", *FIGURES]] if changed.any() else None


def _with_edits(base: pd.DataFrame, edits: dict[str, dict[str, float]]) -> pd.DataFrame:
    """The table with the figures that were edited, by equipment."""
    edited = base.copy()
    for row, name in zip(base.index, base["equipment"], strict=True):
        for figure, value in edits.get(name, {}).items():
            edited.loc[row, figure] = value
    return edited


def _edits(edited: pd.DataFrame, base: pd.DataFrame) -> dict[str, dict[str, float]]:
    """equipment: the figures that differ from the table's, none where all are equal."""
    rows = zip(edited.to_dict("records"), base.to_dict("records"), strict=True)
    return {
        mine["equipment"]: {f: float(mine[f]) for f in FIGURES if mine[f] != was[f]} for mine, was in rows
    }


def _listed(space: Workspace) -> pd.DataFrame:
    """What the network has, or will have."""
    from planning.equipment import PRESETS

    if space.network is not None and space.outdated(space.network) is None:
        return space.network.value.plan.network.equipment()
    rows = [
        {"equipment": e.name, "cells": None} | {f: getattr(e, f) for f in FIGURES} for e in PRESETS.values()
    ]
    return pd.DataFrame(rows)


def _at_depth(listed: pd.DataFrame, depth: str) -> pd.DataFrame:
    from planning.equipment import PRESETS, at_depth

    if depth == AS_LISTED:
        return listed
    asleep = {name: at_depth(equipment, depth).sleep_w for name, equipment in PRESETS.items()}
    return listed.assign(sleep_w=listed["equipment"].map(asleep).fillna(listed["sleep_w"]))


def _fitted(space: Workspace, base: pd.DataFrame) -> pd.DataFrame:
    """The table, with idle power and slope of one equipment fitted to an uploaded CSV if there is one."""
    from planning.export.power_plot import power_figure

    left, right = st.columns([3, 2])
    file = upload(
        space,
        "power measurements",
        "Fit idle power and slope to measurements (CSV, XLSX or Parquet)",
        ["csv", "txt", "tsv", "xlsx", "xlsm", "parquet"],
        MAX_CSV_MB,
        "A column of load and one of power, one measurement of a radio unit a line.",
        where=left,
    )
    if file is None:
        return base
    name = right.selectbox("Measured equipment", base["equipment"], **kept("measured equipment"))
    one, two = right.columns(2)
    load = one.selectbox("Load in", list(LOAD_UNITS), format_func=LOAD_UNITS.__getitem__, **kept("load unit"))
    power = two.selectbox(
        "Power in", list(POWER_UNITS), format_func=POWER_UNITS.__getitem__, **kept("power unit")
    )
    layer, mapping = _choices(space, file, left)
    mine = base["equipment"] == name
    fit = _fit(file, load, power, mapping, layer, float(base.loc[mine, "capacity_mbps"].iloc[0]))
    if fit is None:
        return base
    accessible.chart(power_figure(fit), "Measured power and its fit", "power fit")
    return base.assign(
        idle_w=base["idle_w"].where(~mine, fit.idle_w),
        slope_w_per_mbps=base["slope_w_per_mbps"].where(~mine, fit.slope_w_per_mbps),
    )


def _choices(space: Workspace, file: Upload, where: Any) -> tuple[str, dict[str, str]]:
    """The sheet of the measurements, "" for all, and their columns, as the user chose them: those of the last file of
    this shape at first."""
    from planning.measured_power import guess_columns

    layer = str(st.session_state.get("power layer") or "")
    held = space.cached(HELD, (file.identity, layer), lambda: held_by(file, layer))
    if held is None or not held.columns:
        return "", {}
    shape = recall(file, held, "power")
    chosen = ""
    if len(held.layers) > 1:
        chosen = one_of(where, "Sheet", "power layer", ALL_SHEETS, held.layers)
    mapping = column_mapping(held.columns, COLUMNS, guess_columns(held.columns), "power", COLUMNS, where)
    remember(shape, ("power layer", *column_controls("power", COLUMNS)))
    return chosen, mapping


def _fit(
    file: Upload, load: str, power: str, mapping: dict[str, str], layer: str, capacity_mbps: float
) -> "PowerFit | None":
    """The fit and the report of its file; mapping: load or power -> its column; layer: its sheet; capacity_mbps: of the
    measured equipment, for a load in shares."""
    from planning.measured_power import read_power
    from planning.power_fit import fit_power

    fit = None
    with errors_shown("reading the measurements"):
        measured = read_power(
            file.data, file.name, mapping, load_unit=cast("LoadUnit | None", load or None),
            power_unit=cast("PowerUnit | None", power or None), capacity_mbps=capacity_mbps,
            layer=layer,
        )  # fmt: skip
        file_report(measured.report, file.name)
        fit = fit_power(measured.table)
        for doubt in fit.doubts:
            st.warning(told(doubt))
    return fit


def _sources(names: pd.Series) -> str:
    from planning.equipment import AC_SOURCE, PRESETS

    lines = []
    for name in names:
        sources = PRESETS[name].sources if name in PRESETS else {}
        lines.append(f"**{name}**" + ("" if sources else ": from your network file"))
        lines += [f"- {FIGURES[f][0]}: {sources[f]}" for f in FIGURES if f in sources]
    return "\n".join([*lines, "", f"Cooling: {AC_SOURCE}."])
