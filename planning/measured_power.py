"""Measurements of a radio unit's load and power, however a counter or a meter exports them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from plannerbase.guard import guarded
from plannerbase.headings import columns_named, plain
from plannerbase.layers import TABLES, Limits, chosen, read_layers
from plannerbase.numbers import written_numbers
from plannerbase.report import Report, rows_of
from plannerbase.text import Refused
from planning.errors import InputError

LoadUnit = Literal["mbps", "share", "percent"]
PowerUnit = Literal["w", "kw"]
LIMITS = Limits(rows=1_000_000)
COLUMNS: dict[str, tuple[str, ...]] = {  # plain headings, the most telling first
    "load": (
        "loadmbps", "loadmbits", "throughputmbps", "throughput", "trafficmbps", "load", "traffic", "loadpercent",
        "loadpct",
        "utilisation", "utilization", "prbutilisation", "prbutilization", "prbload", "prbusage", "dlprbusage", 
        "dlprbutilisation", "dlprbutilization", "prbuse", "prbratio",
        "charge", "debit", "debitmbps", "负载", "负荷", "负荷率", "利用率", "prb利用率", "流量", "吞吐量",
    ),
    "power": (
        "powerw", "powerkw", "powerwatt", "powerwatts", "power", "powerconsumption", "powerconsumptionw",
        "consumption",
        "consumedpower", "activepower", "watt", "watts", "kw", "w", "puissance", "puissancew", "功率", "功耗",
        "有功功率",
    ),
}  # fmt: skip
_SHARE_WORDS = ("percent", "pct", "utilis", "utiliz", "ratio", "利用率", "负荷率")


@dataclass(frozen=True)
class MeasuredPower:
    """table: load_mbps, power_w of each measurement. report: what was taken, fixed, left out and assumed."""

    table: pd.DataFrame
    report: Report


def read_power(
    data: bytes,
    name: str,
    mapping: dict[str, str] | None = None,
    load_unit: LoadUnit | None = None,
    power_unit: PowerUnit | None = None,
    capacity_mbps: float | None = None,
    layer: str = "",
) -> MeasuredPower:
    """The measurements in a CSV or workbook.

    mapping: "load" or "power" -> the file's column. load_unit, power_unit: what the columns hold; None: as their
    headings say, else Mbit/s and W. capacity_mbps: of the unit at full load, by which a share becomes Mbit/s. Raises
    InputError.
    """
    for unit, known in ((load_unit, LoadUnit), (power_unit, PowerUnit)):
        if unit is not None and unit not in get_args(known):
            raise InputError(f"{unit!r} is no unit; choose one of {', '.join(get_args(known))}.")
    if capacity_mbps is not None and not capacity_mbps > 0:
        raise InputError("The capacity of the radio unit must be above 0 Mbit/s.")
    return _read(data, name, mapping or {}, load_unit, power_unit, capacity_mbps, layer)


def _to_plain(found: MeasuredPower) -> dict[str, Any]:
    return {"table": found.table, "report": found.report.record()}


def _from_plain(plain_values: dict[str, Any]) -> MeasuredPower:
    return MeasuredPower(plain_values["table"], Report.from_record(plain_values["report"]))


@guarded(InputError, pack=_to_plain, unpack=_from_plain)
def _read(
    data: bytes,
    name: str,
    mapping: dict[str, str],
    load_unit: LoadUnit | None,
    power_unit: PowerUnit | None,
    capacity_mbps: float | None,
    layer: str,
) -> MeasuredPower:
    if not data:
        raise InputError(f"{name} is empty; give columns of load and power.")
    if Path(name).suffix.lower() not in TABLES:
        raise InputError(f"{name} is no table; give the measurements as CSV or XLSX.")
    report = Report()
    try:
        contents = chosen(read_layers(data, name, LIMITS), layer)
    except Refused as error:
        raise InputError(f"{name} {error}; give columns of load and power.") from None
    report.extend(contents.report)
    tables = [part.table for part in contents.layers.values()]
    found = [(table, columns_named(table.columns, COLUMNS) | _present(mapping, table)) for table in tables]
    whole = [(table, used) for table, used in found if {"load", "power"} <= set(used)]
    if not whole:
        table, used = max(found, key=lambda pair: len(pair[1]), default=(pd.DataFrame(), {}))
        missing = [c for c in ("load", "power") if c not in used]
        shown = ", ".join(str(c) for c in table.columns[:12])
        raise InputError(
            f"{name} lacks the column{'s' * (len(missing) > 1)} of {' and '.join(missing)} (found: {shown}); say which "
            "they are with --map load=COLUMN and --map power=COLUMN."
        )
    table, used = whole[0]
    load = _load(table[used["load"]], used["load"], load_unit, capacity_mbps, name, report)
    power = _power(table[used["power"]], used["power"], power_unit, report)
    impossible = (load < 0) | (power < 0)
    if impossible.any():
        report.left_out("rows left out: a load or power below 0", int(impossible.sum()), rows_of(impossible))
        load, power = load[~impossible], power[~impossible]
    good = np.isfinite(load) & np.isfinite(power)
    report.taken(f"of {len(table):,} rows are measurements", int(good.sum()))
    if not good.all():
        report.left_out("rows left out: no number for load or power", int((~good).sum()), rows_of(~good))
    return MeasuredPower(pd.DataFrame({"load_mbps": load[good], "power_w": power[good]}), report)


def guess_columns(headings: Iterable[object]) -> dict[str, str]:
    """ "load" or "power" -> the file's column, by its heading."""
    return columns_named(headings, COLUMNS)


def _present(mapping: dict[str, str], table: pd.DataFrame) -> dict[str, str]:
    ours = {"load_mbps": "load", "power_w": "power"}
    return {ours.get(k, k): v for k, v in mapping.items() if v in table}


def _load(
    values: pd.Series,
    heading: str,
    unit: LoadUnit | None,
    capacity_mbps: float | None,
    name: str,
    report: Report,
) -> np.ndarray:
    """(rows,) Mbit/s."""
    load = written_numbers(values, grouped=True)
    stated = "mbps" in plain(heading) or "mbit" in plain(heading)
    if unit is None:
        by_sign = values.astype("string").str.contains("%").fillna(False).any() or "%" in heading
        by_word = any(word in plain(heading) for word in _SHARE_WORDS)
        highest = float(np.nanmax(load)) if np.isfinite(load).any() else 0.0
        if by_sign or by_word:
            unit = "percent" if by_sign or highest > 1.5 else "share"
        elif not stated and highest <= 1.0:
            unit = "share"
        else:
            unit = "mbps"
        if not stated:
            report.assumed(f"The load in {heading} is read as {_WORDS[unit]}; say otherwise with --load-unit")
    if unit == "mbps":
        return load
    if capacity_mbps is None:
        raise InputError(
            f"{name}: the load in {heading} is {_WORDS[unit]}; give the capacity of the radio unit at full load with "
            "--capacity-mbps, or --load-unit mbps if it is Mbit/s."
        )
    report.assumed(
        f"{capacity_mbps:g} Mbit/s is the capacity at full load (given), by which {heading} became Mbit/s"
    )
    return load * capacity_mbps / (100.0 if unit == "percent" else 1.0)


_WORDS = {"mbps": "Mbit/s", "share": "a share of full load, 0 to 1", "percent": "percent of full load"}


def _power(values: pd.Series, heading: str, unit: PowerUnit | None, report: Report) -> np.ndarray:
    """(rows,) W."""
    power = written_numbers(values, grouped=True)
    if unit is None and (
        "kw" in plain(heading) or values.astype("string").str.contains("kW").fillna(False).any()
    ):
        unit = "kw"
    if unit == "kw":
        report.fixed(f"powers in {heading} became W from kW", int(np.isfinite(power).sum()))
        return power * 1000.0
    return power
