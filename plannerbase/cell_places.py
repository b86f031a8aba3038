"""Where cells are, from a network file in any format that `plannerbase.layers` reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from plannerbase.counter_columns import NAMES
from plannerbase.guard import guarded
from plannerbase.headings import columns_named
from plannerbase.layers import Layer, chosen, points_of, read_layers
from plannerbase.numbers import written_numbers
from plannerbase.positions import positions_of
from plannerbase.report import Report
from plannerbase.served_area import CellPlaces
from plannerbase.text import Refused

AZIMUTH = (
    "azimuth", "azimut", "azimuthdeg", "bearing", "direction", "antennaazimuth", "dir", "heading",
    "方位角", "方向角", "天线方位角",
)  # fmt: skip
OTHERS = (*NAMES["cell"], *NAMES["site"], "id", "name", "names", "名称", "标识")
MAX_OTHERS = 8


def read_cell_places(
    data: bytes, name: str, mapping: dict[str, str] | None = None, crs: str = "", layer: str = ""
) -> tuple[CellPlaces, Report]:
    """The places of all cells of a network file, and what was taken and left out.

    mapping: cell, lon, lat, azimuth -> the file's column. Raises `Refused`.
    """
    plain_values = dict(_read(data, name, mapping or {}, crs, layer))
    report = Report.from_record(plain_values.pop("report"))
    others = {k: tuple(v) for k, v in plain_values.pop("others").items()}
    return CellPlaces(tuple(plain_values.pop("name")), **plain_values, others=others), report


@guarded(Refused)
def _read(data: bytes, name: str, mapping: dict[str, str], crs: str, layer: str) -> dict[str, Any]:
    report = Report()
    contents = chosen(read_layers(data, name), layer)
    parts: list[dict[str, Any]] = []
    first: Refused | None = None
    sites: dict[str, tuple[float, float]] = {}
    waiting: list[Layer] = []
    for part in contents.layers.values():
        try:
            found = _placed(part, mapping, crs, report)
        except Refused as error:
            first = first or error
            waiting.append(part)
            continue
        parts.append(found)
        sites |= {
            k: (a, b)
            for k, a, b in zip(found["site"], found["lon"], found["lat"], strict=True)
            if k and np.isfinite(a)
        }
    for part in waiting:  # cells that name their site
        table = part.table.rename(columns=str)
        used = columns_named(table.columns, NAMES)
        if "site" not in used or not sites:
            continue
        names = _texts(table[used["site"]])
        at = np.array([sites.get(n, (np.nan, np.nan)) for n in names], float).reshape(-1, 2)
        if np.isfinite(at).all(axis=1).any():
            parts.append(_columns(table, mapping, at[:, 0], at[:, 1]))
    if len(parts) > 1:  # tables of sites beside those of cells only tell where the cells are
        cells = [p for p in parts if p["has_cells"]]
        parts = cells or parts
    if not parts:
        raise first or Refused("holds no table of cells")
    titles = {title for part in parts for title in part["others"]}
    joined: dict[str, Any] = {
        key: np.concatenate([part[key] for part in parts]) for key in ("lon", "lat", "azimuth")
    }
    texts = {
        title: [t for part in parts for t in part["others"].get(title, [""] * len(part["lon"]))]
        for title in titles
    }
    cells = [t for part in parts for t in part["name"]]
    good = (
        np.isfinite(joined["lon"]) & np.isfinite(joined["lat"]) & (np.abs(np.nan_to_num(joined["lat"])) <= 85)
    )
    if not good.all():
        report.left_out("cells without a place left out of the network", int((~good).sum()))
    if not good.any():
        raise Refused("has no cell with a place")
    rows = np.flatnonzero(good)
    report.taken("cells with a place in the network file", len(rows))
    return {
        "name": [cells[i] for i in rows], **{k: v[rows] for k, v in joined.items()},
        "others": {k: [v[i] for i in rows] for k, v in texts.items()}, "report": report.record(),
    }  # fmt: skip


def _placed(part: Layer, mapping: dict[str, str], crs: str, report: Report) -> dict[str, Any]:
    table = part.table.rename(columns=str)
    if part.shapes is not None:
        rows, lon, lat = points_of(part.in_degrees(crs or None, report), report)
        return _columns(table.iloc[rows].reset_index(drop=True), mapping, lon, lat)
    own = {k: v for k, v in mapping.items() if v in table}
    lon, lat, _ = positions_of(table, Report(), own, crs or None)
    return _columns(table, mapping, lon, lat)


def _columns(
    table: pd.DataFrame, mapping: dict[str, str], lon: np.ndarray, lat: np.ndarray
) -> dict[str, Any]:
    own = {k: v for k, v in mapping.items() if v in table}
    used = columns_named(table.columns, NAMES | {"azimuth": AZIMUTH}) | own
    name = used.get("cell") or used.get("site")
    others = columns_named(table.columns, {t: (t,) for t in OTHERS})
    chosen_columns = [c for c in dict.fromkeys(others.values()) if c != name][:MAX_OTHERS]
    names = _texts(table[name]) if name else [str(i + 1) for i in range(len(table))]
    azimuth = written_numbers(table[used["azimuth"]]) if "azimuth" in used else np.full(len(table), np.nan)
    return {
        "name": names, "lon": lon, "lat": lat, "azimuth": azimuth, "has_cells": "cell" in used,
        "site": _texts(table[used["site"]]) if "site" in used else [""] * len(table),
        "others": {c: _texts(table[c]) for c in chosen_columns},
    }  # fmt: skip


def _texts(values: pd.Series) -> list[str]:
    text = values.astype("string").str.strip().str.replace(r"^(\d+)\.0$", r"\1", regex=True)
    return [str(t) for t in text.fillna("")]
