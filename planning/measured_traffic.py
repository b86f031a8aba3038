"""Measured traffic by place and date-time as a traffic table: places become tiles, date-times hours.

One week is made of all that were measured: the mean of each hour of the week, or of the day where fewer than seven days
were measured. A table that is one already (x, y, hour, traffic) passes as it is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from plannerbase.archive import bare_name
from plannerbase.counter_columns import days_and_clock
from plannerbase.counter_times import clock_minutes, is_date_time, parse_times
from plannerbase.guard import guarded
from plannerbase.headings import columns_named, plain
from plannerbase.layers import TABLES, Limits, chosen, read_layers
from plannerbase.numbers import written_numbers
from plannerbase.positions import left_out_without_place, positions_of
from plannerbase.report import Report, rows_of
from plannerbase.text import Refused
from planning.errors import InputError
from planning.geometry import tile_position
from planning.traffic import TrafficTable

LIMITS = Limits(unpacked_bytes=1_000_000_000, rows=5_000_000)
COLUMNS: dict[str, tuple[str, ...]] = {  # plain headings, the most telling first
    "time": (
        "datetime", "timestamp", "time", "date", "starttime", "begintime", "resulttime", "periodstarttime", "dateheure",
        "horodatage", "datum", "datumzeit", "zeitstempel", "fecha", "fechahora", "heure", "дата", "时间", "日期时间",
        "开始时间", "统计时间", "日期",
    ),
    "hour": ("hour", "hourofday", "heure", "stunde", "hora", "ora", "час", "小时", "时"),
    "traffic": (
        "traffic", "trafficmb", "trafficgb", "trafficmbit", "trafficmbps", "volume", "volumemb", "volumegb",
        "datavolume", "datavolumemb", "datavolumegb", "totaltrafficmb", "totaltrafficgb", "dltrafficmb", "dltrafficgb",
        "dlvolumemb", "dlvolumegb", "throughput", "throughputmbps", "dltraffic",
        "dltrafficvolume", "totaltraffic", "trafficvolume", "dlvolume", "totalvolume", "trafic", "traficdl",
        "volumetrafic", "trafico", "traffico", "trafego", "verkehr",
        "datenvolumen", "трафик", "流量", "流量mb", "流量gb", "数据流量", "总流量gb",
    ),
    "users": ("users", "activeusers", "connectedusers", "rrcusers", "用户数"),
}  # fmt: skip
# at the end of a heading: Mbit/s of one such unit in an hour
MBPS = {"gb": 8000 / 3600, "mb": 8 / 3600, "kb": 0.008 / 3600, "mbit": 1 / 3600, "gbit": 1000 / 3600, "mbps": 1.0,
        "gbps": 1000.0, "kbps": 0.001}  # fmt: skip


def read_measured(
    data: bytes, name: str, mapping: dict[str, str] | None = None, crs: str = "", layer: str = ""
) -> tuple[TrafficTable, Report]:
    """(the traffic of each tile that holds a measured place, what was taken, fixed, left out and assumed).

    mapping: "lon", "lat", "time", "traffic" or "users" -> the file's column. crs: of positions that state none.
    Raises InputError, also where an hour of the day was never measured.
    """
    plain_values = _read(data, name, mapping or {}, crs, layer)
    report = Report.from_record(plain_values["report"])
    arrays = {k: v for k, v in plain_values.items() if k != "report"}
    return TrafficTable.from_arrays(**arrays), report


@guarded(InputError)
def _read(data: bytes, name: str, mapping: dict[str, str], crs: str, layer: str) -> dict[str, Any]:
    report = Report()
    if Path(bare_name(name)).suffix.lower() not in TABLES:
        raise InputError(f"{name} is no table; give the measurements as CSV or XLSX.")
    try:
        contents = chosen(read_layers(data, name, LIMITS), layer)
        report.extend(contents.report)
        table = max((part.table for part in contents.layers.values()), key=len).rename(columns=str)
        used = days_and_clock(columns_named(table.columns, COLUMNS), table.columns)
        used |= {k: v for k, v in mapping.items() if v in table}
        missing = [c for c in ("time", "traffic") if c not in used]
        if missing:
            found = ", ".join(map(str, table.columns[:12])) or "none"
            raise Refused(
                f"has no column of {' and '.join(missing)} (found: {found}); say which they are with --map time=COLUMN "
                "and --map traffic=COLUMN"
            )
        report.taken("rows read", len(table))
        lon, lat, _ = positions_of(table, report, mapping, crs or None)
    except Refused as error:
        raise InputError(f"{name} {error}.") from None
    time = _times(table, used, report)
    traffic, unit = _traffic(table[used["traffic"]], used["traffic"], report)
    users = written_numbers(table[used["users"]]) if "users" in used else None
    placed = np.isfinite(lon) & (np.abs(np.nan_to_num(lat, nan=99)) <= 85)
    left_out_without_place(placed, report)
    good = placed & time.notna().to_numpy() & np.isfinite(traffic) & (traffic >= 0)
    if (placed & ~good).any():
        lost = placed & ~good
        report.left_out(
            "rows left out: no date-time or no traffic of at least 0", int(lost.sum()), rows_of(lost)
        )
    if not good.any():
        raise InputError(
            f"{name} has no row with a place, a date-time and traffic; check the column mapping."
        )
    x, y = (np.floor(v).astype(np.int64) for v in tile_position(lon[good], lat[good]))
    moment = pd.DatetimeIndex(time[good])
    frame = pd.DataFrame(
        {"x": x, "y": y, "traffic": traffic[good], "date": moment.normalize(), "hour": moment.hour}
    )
    frame["users"] = np.nan if users is None else users[good]
    weekday = moment.day_of_week.to_numpy()
    days = frame["date"].nunique()
    hours = 168 if days >= 7 and len(set(weekday)) == 7 else 24
    frame["slot"] = frame["hour"] + (24 * weekday if hours == 168 else 0)
    return _tiles(frame, hours, unit, days, name, report) | {"report": report.record()}


def _times(table: pd.DataFrame, used: dict[str, str], report: Report) -> pd.Series:
    """(rows,) date-times as written, NaT where there is none; a column of hours beside one of dates counts."""
    hour = used.get("hour")
    row, clock = (
        ([], []) if hour is None else pd.factorize(table[hour].astype("string").fillna("").str.strip())
    )
    if any(is_date_time(text) for text in clock):
        used, hour = used | {"time": hour or ""}, None
    values = table[used["time"]]
    if pd.api.types.is_float_dtype(values.dtype):
        values = values.map(lambda v: "" if v != v else f"{v:.17g}")
    texts = values.astype(object).where(values.notna(), "").astype(str)
    known = texts.unique()
    read = parse_times(known)
    if read.ambiguous:
        report.assumed(f"Dates such as {read.example} were read as {read.order}")
    if np.isfinite(read.offset).any():
        report.assumed(
            "Date-times state a time zone; their clock is taken as it is, as the area's local time"
        )
    minute = texts.map(dict(zip(known, read.minute.tolist(), strict=True))).to_numpy(np.int64)
    if hour is not None and hour != used["time"] and not (minute[minute >= 0] % 1440).any():
        of_hour = clock_minutes(list(clock), report)[row]
        minute = np.where((minute >= 0) & (of_hour >= 0), minute + of_hour, -1)
        report.taken(f"Hours of the dates in {used['time']} by the column {hour}")
    stamp = np.where(minute >= 0, minute, np.iinfo(np.int64).min).astype("datetime64[m]")
    return pd.Series(pd.DatetimeIndex(stamp.astype("datetime64[s]")), index=table.index)


def _traffic(values: pd.Series, heading: str, report: Report) -> tuple[np.ndarray, str]:
    """(rows,) Mbit/s where the heading tells the unit, else as it is; and the unit."""
    traffic = written_numbers(values)
    text = plain(re.sub(r"/\s*s\b", "ps", heading))
    unit = next((u for u in sorted(MBPS, key=len, reverse=True) if text.endswith(u)), None)
    if unit is None:
        report.assumed(f"The traffic in {heading} has no unit: it is relative, and needs a scale")
        return traffic, ""
    if MBPS[unit] != 1.0:
        report.fixed(
            f"values of {heading} became Mbit/s, the mean over their hour", int(np.isfinite(traffic).sum())
        )
    return traffic * MBPS[unit], "Mbit/s"


def _tiles(
    frame: pd.DataFrame, hours: int, unit: str, days: int, name: str, report: Report
) -> dict[str, Any]:
    """What `TrafficTable.from_arrays` takes: the sum over the places of a tile, the mean over its days."""
    columns = ["traffic"] if frame["users"].isna().all() else ["traffic", "users"]
    by_day = frame.groupby(["x", "y", "slot", "date"], as_index=False)[columns].sum()
    mean = by_day.groupby(["x", "y", "slot"])[columns].mean()
    tiles = mean.index.droplevel("slot").unique().sort_values()
    whole = pd.MultiIndex.from_tuples(
        [(x, y, h) for x, y in tiles for h in range(hours)], names=["x", "y", "slot"]
    )
    laid = mean.reindex(whole)
    gaps = laid["traffic"].isna().to_numpy().reshape(-1, hours)
    if hours == 168 and gaps.all(axis=0).any():
        laid = _over_days(laid, len(tiles), gaps, report)
        gaps = laid["traffic"].isna().to_numpy().reshape(-1, hours)
    if gaps.all(axis=0).any():
        lacking = ", ".join(str(h) for h in np.flatnonzero(gaps.all(axis=0))[:6])
        measured = int((~gaps.all(axis=0)).sum())
        raise InputError(
            f"{name} measures {measured} of the {hours} hours of a {'week' if hours == 168 else 'day'} (none at hour "
            f"{lacking}); give whole days."
        )
    values = {c: laid[c].to_numpy(float).reshape(len(tiles), hours) for c in columns}
    if gaps.any():
        values = {c: _filled(v) for c, v in values.items()}
        report.assumed(
            "hours of tiles that were not measured take the shape of the other tiles' day", int(gaps.sum())
        )
    report.taken(f"tiles, from {days} days as {'a week' if hours == 168 else 'a typical day'}", len(tiles))
    x, y = (np.array(tiles.get_level_values(axis), np.int64) for axis in ("x", "y"))
    return {
        "x": x,
        "y": y,
        **values,
        "metadata": {"unit": unit, "source": name} if unit else {"source": name},
    }


def _over_days(laid: pd.DataFrame, tiles: int, gaps: np.ndarray, report: Report) -> pd.DataFrame:
    """Hours of the week that no tile measured as the mean of a tile's other days at that hour, where half of the week
    was measured at least."""
    never = gaps.all(axis=0)
    if never.sum() > 84:
        return laid
    filled = {}
    for name in laid:
        week = laid[name].to_numpy(float).reshape(tiles, 7, 24)
        known = np.isfinite(week)
        mean = np.where(known, week, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        mean = np.where(known.any(axis=1), mean, np.nan)
        taken = np.where(known | ~never.reshape(7, 24), week, mean[:, None, :])
        filled[name] = taken.reshape(-1)
    report.assumed(
        "hours of the week were never measured and take the mean of the other days", int(never.sum())
    )
    return laid.assign(**filled)


def _filled(values: np.ndarray) -> np.ndarray:
    """(tiles, hours) without gaps: the mean of the other tiles at that hour, at the tile's own level."""
    known = np.isfinite(values)
    typical = np.where(known, values, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    own = np.where(known, values, 0).sum(axis=1)
    expected = (known * typical).sum(axis=1)
    level = np.divide(own, expected, out=np.zeros(len(values)), where=expected > 0)
    return np.where(known, values, level[:, None] * typical)
