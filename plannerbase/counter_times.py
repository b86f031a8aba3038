"""Date-times as exports write them, with the time zone that they state."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from plannerbase.numbers import numbers_of
from plannerbase.report import Report

_ZONE = re.compile(r"\s*(?:(Z)|(?:UTC|GMT)?\s*([+-])(\d{1,2}):?(\d{2})?|(UTC|GMT))\)?$", re.IGNORECASE)
_OFFSET = re.compile(r"\(?(?:UTC|GMT)?\s*([+-])(\d{1,2}):?(\d{2})?\)?", re.IGNORECASE)
_CLOCK = re.compile(
    r"\s*[Hh]?(\d{1,2})(?:[:.h时시時](\d{2})?)?(?:[:.]\d{2})?(?:\.0+)?\s*([AaPp]\.?[Mm]\.?)?\s*(?:(?:-|–|~|to)\s*\d.*)?\Z"
)
_CHINESE = (("年", "-"), ("月", "-"), ("日", " "), ("时", ":"), ("点", ":"), ("分", ":"), ("秒", ""))
_MUCH_LESS = 0.5  # of the days of the other order: measurements follow each other, so the shorter time is the right one
LAST_MINUTE = 2**31  # since 1970: some thousands of years
EXCEL_DAYS, EXCEL_EPOCH = (20_000, 80_000), 25_569  # serial numbers of 1954 to 2119; that of 1 January 1970


@dataclass(frozen=True)
class Times:
    """minute: (texts,) int64 minutes since 1970 as written, -1 where no date-time. offset: (texts,) minutes east of UTC
    that the text states, NaN where it states none. ambiguous: whether day and month could be exchanged; order: how they
    were read; example: one such text."""

    minute: np.ndarray
    offset: np.ndarray
    ambiguous: bool = False
    order: str = ""
    example: str = ""


def offset_minutes(text: str) -> float:
    """Minutes east of UTC of "+08:00", "UTC+8", "Z"; NaN for anything else, such as the name of a zone."""
    plain = text.strip()
    if plain.upper() in ("Z", "UTC", "GMT"):
        return 0.0
    found = _OFFSET.fullmatch(plain)
    if not found:
        return np.nan
    minutes = int(found[2]) * 60 + int(found[3] or 0)
    return float(minutes if found[1] == "+" else -minutes) if minutes <= 14 * 60 else np.nan


def is_date_time(text: str) -> bool:
    """Whether a text names a date, and not only an hour of one."""
    return bool(re.search(r"\d{4}[-/.年]|\d[-/.]\d{1,2}[-/.](?:\d{4}|\d{2}[\sT]+\d)|^\d{8,}$", text))


def clock_minutes(texts: Sequence[str], report: Report) -> np.ndarray:
    """(texts,) int64 minutes since midnight of "8", "08:15", "8:15 PM", "08:00-09:00"; -1 for anything else. Hours from
    1 to 24 begin an hour earlier, which the report says."""
    found = [_CLOCK.match(text) for text in texts]
    minutes = np.array([-1 if m is None else _minutes(m) for m in found], np.int64)
    if minutes.max(initial=-1) == 1440 and minutes[minutes >= 0].min() >= 60:
        report.assumed("Hours are numbered 1 to 24: hour 1 begins at midnight")
        return np.where(minutes >= 0, minutes - 60, -1)
    return minutes


def _minutes(clock: re.Match[str]) -> int:
    hour, minute = int(clock[1]), int(clock[2] or 0)
    half = (clock[3] or "").casefold()[:1]
    if half and not 1 <= hour <= 12:
        return -1
    hour = hour % 12 + 12 * (half == "p") if half else hour
    return hour * 60 + minute if minute < 60 and hour * 60 + minute <= 1440 else -1


def parse_times(texts: Sequence[str]) -> Times:
    """Date-times of texts, each different: ISO 8601, day or month first, Chinese, compact digits, seconds of Unix,
    serial numbers of Excel."""
    bare, offset = [], np.full(len(texts), np.nan)
    for i, text in enumerate(texts):
        clock = text.strip()
        for chinese, sign in _CHINESE:
            clock = clock.replace(chinese, sign)
        found = _ZONE.search(clock) if ":" in clock or clock.endswith(("Z", "z")) else None
        if found and not re.fullmatch(r"[\d./-]+", clock):
            if found[2]:
                offset[i] = (1 if found[2] == "+" else -1) * (int(found[3]) * 60 + int(found[4] or 0))
            else:
                offset[i] = 0.0
            clock = clock[: found.start()]
        bare.append(clock.strip().rstrip(":"))
    column = pd.Series(bare, dtype="string")
    numbers = numbers_of(column)
    minute = np.full(len(texts), -1, np.int64)
    unix = np.isfinite(numbers) & (numbers >= 1e8) & (numbers < 1e10)
    millis = np.isfinite(numbers) & (numbers >= 1e11) & (numbers < 1e14) & ~_compact(column)
    serial = np.isfinite(numbers) & (numbers > EXCEL_DAYS[0]) & (numbers < EXCEL_DAYS[1])
    unix &= ~_compact(column)
    minute[unix] = np.round(numbers[unix] / 60).astype(np.int64)
    minute[millis] = np.round(numbers[millis] / 60_000).astype(np.int64)
    offset[unix | millis] = 0.0
    minute[serial] = np.round((numbers[serial] - EXCEL_EPOCH) * 1440).astype(np.int64)
    rest = ~(unix | millis | serial)
    ambiguous, order, example = False, "", ""
    if rest.any():
        written = column[rest]
        first = written.str.extract(r"^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})", expand=True)
        one, two = (pd.to_numeric(first[c], errors="coerce").to_numpy(float, na_value=np.nan) for c in (0, 1))
        some = np.isfinite(one)
        day_first = bool(some.any() and (np.nanmax(one[some]) > 12 or not np.nanmax(two[some]) > 12))
        ambiguous = bool(some.any() and np.nanmax(one[some]) <= 12 and np.nanmax(two[some]) <= 12)
        if ambiguous:
            year = pd.to_numeric(first[2], errors="coerce").to_numpy(float, na_value=np.nan)
            day_first = not _days(year, one, two) < _MUCH_LESS * _days(year, two, one)
        order = "day, month, year" if day_first else "month, day, year"
        example = str(written[some].iloc[0]) if some.any() else ""
        digits = written.str.fullmatch(r"\d{8}|\d{10}|\d{12}|\d{14}").fillna(False).to_numpy(bool)
        parsed = pd.Series(pd.NaT, index=written.index, dtype="datetime64[s]")
        if digits.any():
            padded = written[digits].str.ljust(14, "0")
            parsed[digits] = pd.to_datetime(padded, format="%Y%m%d%H%M%S", errors="coerce")
        if (~digits).any():
            parsed[~digits] = _clocks(written[~digits], day_first and bool(some.any()))
        instant = parsed.to_numpy("datetime64[m]")
        known = (
            ~np.isnat(instant) & (instant.astype(np.int64) >= 0) & (instant.astype(np.int64) < LAST_MINUTE)
        )
        minute[rest] = np.where(known, instant.astype(np.int64), -1)
    return Times(minute, offset, ambiguous, order, example)


def _clocks(texts: pd.Series, day_first: bool) -> pd.Series:
    """Date-times as they are written, whatever zone some of them name in a way of their own; NaT for anything else."""
    options: dict[str, Any] = {"errors": "coerce", "format": "mixed", "dayfirst": day_first}
    try:
        found = pd.Series(pd.to_datetime(texts, **options), index=texts.index)
    except ValueError:  # zones that differ: one by one
        found = pd.Series(
            [pd.to_datetime(text, **options) for text in texts], index=texts.index, dtype=object
        )
        found = found.map(lambda moment: None if moment is pd.NaT else moment.replace(tzinfo=None))
        return pd.to_datetime(found, errors="coerce").astype("datetime64[s]")
    return (found if found.dt.tz is None else found.dt.tz_localize(None)).astype("datetime64[s]")


def _days(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> float:
    """About how many days lie between the first and the last of dates (n,); NaN for what is no date."""
    stamp = 372 * year + 31 * month + day
    return float(np.nanmax(stamp) - np.nanmin(stamp))


def _compact(column: pd.Series) -> np.ndarray:
    """Whether texts are 2025030108, 202503010815 or 20250301081500."""
    return column.str.fullmatch(r"(?:19|20)\d{6}(?:\d{2}){0,3}").fillna(False).to_numpy(bool)
