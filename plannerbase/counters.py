"""Exports of an operator's counters: hourly traffic, users, PRB use and energy of cells, places or tiles.

A row is a cell (by name or id), a place (longitude, latitude) or a zoom-15 tile at a date-time. The export is read in
parts, names and date-times as numbers, so that millions of rows take seconds and some hundred megabytes. Steps of 15
minutes to days become hours; time zones, doubled rows, gaps and counters that were reset are put right and counted.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from plannerbase.counter_files import Rows, parts_of
from plannerbase.counter_series import hourly_values
from plannerbase.guard import guarded
from plannerbase.report import Report
from plannerbase.text import Refused

WEEK, DAY = 168, 24
MIN_WEEK_SHARE = 0.2  # of the hours of a week that a cell needs to be used


@dataclass(frozen=True)
class Counters:
    """Hourly values of cells, places or tiles, in the order of their names.

    Attributes
    ----------
    kind : "cell", "place" or "tile".
    names : (entities,) of cells; "lon,lat" of places; "x,y" of tiles.
    at : (entities, 2) lon and lat in degrees of places, x and y of tiles; of cells NaN unless the export has it.
    start : the first hour, local time; `hours` follow it without a gap.
    values : quantity -> (entities, hours) float32, NaN where not measured: traffic in Mbit/s (mean of the hour) or in
        the export's own unit, users, prb 0..1, energy in Wh an hour.
    unit : "Mbit/s", or "relative" where the export states none for traffic.
    radio_units : (entities,) type of radio unit, "" where the export does not say.
    step_minutes : of the export.
    """

    kind: str
    names: tuple[str, ...]
    at: np.ndarray
    start: np.datetime64
    values: dict[str, np.ndarray]
    unit: str
    radio_units: tuple[str, ...]
    step_minutes: int
    columns: dict[str, str]
    report: Report = field(default_factory=Report)

    @property
    def hours(self) -> int:
        """How many hours from the first to the last."""
        return next(iter(self.values.values())).shape[1]

    @property
    def hour_of_week(self) -> np.ndarray:
        """(hours,) 0 is Monday, local midnight."""
        first = self.start.astype("datetime64[h]").astype(np.int64)
        return np.asarray((first + np.arange(self.hours) + 3 * DAY) % WEEK)  # 1 January 1970 was a Thursday

    @property
    def period(self) -> int:
        """168 where every hour of the week was measured, 24 where every hour of the day, 1 for days without hours."""
        if self.step_minutes >= 1440:
            return 1
        known = np.zeros(self.hours, bool)
        for values in self.values.values():
            known |= np.isfinite(values).any(axis=0)
        hour = self.hour_of_week[known]
        if len(np.unique(hour)) == WEEK:
            return WEEK
        return DAY if len(np.unique(hour % DAY)) == DAY else 1

    def weeks(self, quantity: str) -> np.ndarray:
        """(entities, weeks, 168) the real weeks from Monday, NaN where not measured."""
        before = int(self.hour_of_week[0])
        values = self.values[quantity]
        after = -(before + values.shape[1]) % WEEK
        padded = np.pad(values, ((0, 0), (before, after)), constant_values=np.nan)
        return padded.reshape(len(values), -1, WEEK)

    def typical(self, quantity: str) -> tuple[np.ndarray, np.ndarray]:
        """(entities, period) the median over the weeks (or days), gaps filled by the shape of the others at the cell's
        own level, NaN for cells with too few hours; and (entities,) standard deviation of the log of the weekly (daily)
        means, NaN where there is only one."""
        weeks, period = self.weeks(quantity), self.period
        folded = weeks.reshape(len(weeks), -1, WEEK if period == WEEK else DAY)
        with np.errstate(all="ignore"), _quiet():
            typical = np.nanmedian(folded, axis=1)
            means = np.where(np.isfinite(folded).mean(axis=2) > 0.5, np.nanmean(folded, axis=2), np.nan)
            logs = np.log(np.where(means > 0, means, np.nan))
            several = np.isfinite(logs).sum(axis=1) > 1
            spread = np.where(several, np.nanstd(logs, axis=1, ddof=1), np.nan)
        if period == 1:
            with _quiet():
                return np.nanmean(weeks.reshape(len(weeks), -1), axis=1, keepdims=True), spread
        few = np.isfinite(typical).mean(axis=1) < MIN_WEEK_SHARE
        return np.where(few[:, None], np.nan, _filled(typical)), spread

    def take(self, rows: np.ndarray) -> Counters:
        """The counters of some entities (an index)."""
        return replace(
            self, names=tuple(self.names[i] for i in rows), at=self.at[rows],
            values={k: v[rows] for k, v in self.values.items()},
            radio_units=tuple(self.radio_units[i] for i in rows),
        )  # fmt: skip


@contextmanager
def _quiet() -> Iterator[None]:
    """Means of nothing are NaN, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def read_counters(
    source: bytes | Path,
    name: str,
    mapping: dict[str, str] | None = None,
    timezone: str = "",
    unit: str = "",
    layer: str = "",
) -> Counters:
    """The counters in a CSV, XLSX or Parquet file.

    Parameters
    ----------
    mapping : cell, site, time, hour, timezone, lon, lat, x, y, traffic, users, prb, energy, radio_unit -> the file's
        column, over what headings tell.
    timezone : of the area, an IANA name or an offset such as +08:00: date-times that state another are brought to it.
        Default: what most rows state.
    unit : of the traffic where the heading states none, such as MB or Mbit/s.
    layer : sheet of a workbook.

    Raises `Refused` (the text goes after the file's name), with the columns that were found.
    """
    return _from_plain(_read(source, name, mapping or {}, timezone, unit, layer))


def _from_plain(plain_values: dict[str, Any]) -> Counters:
    own = dict(plain_values)
    own["report"] = Report.from_record(own["report"])
    own["start"] = np.datetime64(own["start"], "h")
    own["names"], own["radio_units"] = tuple(own["names"]), tuple(own["radio_units"])
    return Counters(**own)


@guarded(Refused, seconds=180.0)
def _read(
    source: bytes | Path, name: str, mapping: dict[str, str], timezone: str, unit: str, layer: str
) -> dict[str, Any]:
    report = Report()
    rows = Rows(mapping, report)
    for part in parts_of(source, name, mapping, layer, report):
        rows.add(part)
    pa.default_memory_pool().release_unused()
    return hourly_values(rows, timezone, unit)


def _filled(values: np.ndarray) -> np.ndarray:
    """(entities, hours) without gaps: the mean of the others at that hour, at the entity's own level."""
    known = np.isfinite(values)
    if known.all():
        return values
    level = np.where(known, values, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    shape = np.where(known, values / np.where(level > 0, level, 1)[:, None], 0)
    typical = shape.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    expected = (known * typical).sum(axis=1)
    total = np.where(known, values, 0).sum(axis=1)
    scale = np.divide(total, expected, out=np.zeros(len(values)), where=expected > 0)
    filled: np.ndarray = np.where(known, values, scale[:, None] * typical)
    return np.where(known.any(axis=1)[:, None], filled, np.nan)
