"""What the rows of an export of counters say: entities, local time, and hourly values without their faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from plannerbase.counter_columns import QUANTITIES, unit_of
from plannerbase.counter_files import Rows
from plannerbase.counter_times import Times, clock_minutes, is_date_time, offset_minutes, parse_times
from plannerbase.numbers import written_numbers
from plannerbase.report import Report
from plannerbase.text import Refused

MAX_CELLS = 500_000
WEEK, DAY = 168, 24
CUMULATIVE_SHARE = 0.9  # of steps that do not fall, above which a counter counts on from one row to the next
_PLACE_DIGITS = 6


def hourly_values(rows: Rows, timezone: str, unit: str) -> dict[str, Any]:
    report = rows.report
    if not rows.rows:
        raise Refused("has a heading and no rows")
    report.taken("rows read", rows.rows)
    told = ", ".join(f"{ours} from {theirs}" for ours, theirs in rows.used.items())
    report.taken(f"columns used: {told}")
    kind, entity, names, at = _entities(rows, report)
    minute = _minutes(rows, timezone, report)
    radio = _radio_units(rows, entity, len(names))
    good = (entity >= 0) & (minute >= 0)
    if not good.all():
        report.left_out(
            "rows left out: no name or no readable date-time", int((~good).sum()), _examples(~good)
        )
    if not good.any():
        raise Refused("has no row with a name and a date-time that can be read; check the column mapping")
    quantities = {q: rows.column(q) for q in QUANTITIES if q in rows}
    key = entity.astype(np.int64) << 32
    key |= minute
    key[~good] = np.int64(2) ** 62
    if not (key[1:] >= key[:-1]).all():
        order = np.argsort(key, kind="stable").astype(np.uint32)
        entity, minute = entity[order], minute[order]
        for quantity in quantities:
            quantities[quantity] = quantities[quantity][order]
        del order
    del key
    number = int(good.sum())
    entity, minute = entity[:number], minute[:number]
    quantities = {q: v[:number] for q, v in quantities.items()}
    entity, minute, quantities = _without_doubles(entity, minute, quantities, report)
    step = _step(entity, minute, report)
    traffic_unit = "relative"
    first = int(minute.min()) // 60
    hours = int(minute.max()) // 60 - first + max(1, step // 60)
    hourly = {}
    for quantity in list(quantities):
        raw = quantities.pop(quantity)
        raw = _reset(quantity, entity, raw, rows.used[quantity], report)
        raw, own = _in_units(
            quantity, raw, rows.used[quantity], unit if quantity == "traffic" else "", step, report
        )
        if quantity == "traffic":
            traffic_unit = own
        hourly[quantity] = _hourly(entity, minute, raw, len(names), first, hours, step)
    _tell_gaps(hourly, step, report)
    days = hours / DAY
    report.taken(
        f"{ {'cell': 'cells', 'place': 'places', 'tile': 'tiles'}[kind] }, {days:,.0f} days in steps of "
        f"{_step_text(step)}".replace("  ", " "),
        len(names),
    )
    return {
        "kind": kind, "names": list(names), "at": at, "start": str(np.datetime64(first, "h")), "values": hourly,
        "unit": traffic_unit, "radio_units": radio, "step_minutes": step, "columns": dict(rows.used),
        "report": report.record(),
    }  # fmt: skip


def _step_text(step: int) -> str:
    if step % 1440 == 0:
        return "a day" if step == 1440 else f"{step // 1440} days"
    if step % 60 == 0:
        return "an hour" if step == 60 else f"{step // 60} hours"
    return f"{step} minutes"


def _examples(mask: np.ndarray) -> list[str]:
    return [f"row {i + 1}" for i in np.flatnonzero(mask[:10_000_000])[:3]]


def _entities(rows: Rows, report: Report) -> tuple[str, np.ndarray, list[str], np.ndarray]:
    """(kind, (rows,) number of each row's entity, names in their order, (entities, 2) places)."""
    if "cell" in rows or ("site" in rows and not ("lon" in rows or "x" in rows)):
        column = "cell" if "cell" in rows else "site"
        codes = rows.column(column)
        texts = rows.codes[column].texts
        if "site" in rows and column == "cell" and _short(texts):  # 1, 2, 3 of every site
            site = rows.column("site")
            pair = site.astype(np.int64) * (len(texts) + 1) + codes
            known, number = np.unique(pair, return_inverse=True)
            sites = rows.codes["site"].texts
            names = [f"{sites[p // (len(texts) + 1)]}-{texts[p % (len(texts) + 1)]}" for p in known]
            codes = np.where((site < 0) | (codes < 0), -1, number.reshape(-1)).astype(np.int32)
            texts = names
        order = sorted(range(len(texts)), key=texts.__getitem__)
        place = np.empty(len(texts) + 1, np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        place[-1] = -1
        if len(texts) > MAX_CELLS:
            raise Refused(f"names more than {MAX_CELLS:,} cells")
        at = np.full((len(texts), 2), np.nan)
        entity = place[codes]
        if "lon" in rows and "lat" in rows:  # the export says itself where its cells are
            where = np.column_stack([rows.column("lon"), rows.column("lat")])
            good = (entity >= 0) & np.isfinite(where).all(axis=1)
            good &= (np.abs(where) <= (180, 85)).all(axis=1)
            at[entity[good][::-1]] = where[good][::-1]
        return "cell", entity, [texts[i] for i in order], at
    kind, axes = ("tile", ("x", "y")) if "x" in rows else ("place", ("lon", "lat"))
    first, second = (rows.column(axis) for axis in axes)
    good = np.isfinite(first) & np.isfinite(second)
    if kind == "place":
        good &= (np.abs(first) <= 180) & (np.abs(second) <= 85)
    else:
        good &= (first >= 0) & (second >= 0) & (first < 2**15) & (second < 2**15)
    if not good.any():
        raise Refused(f"has no row with {' and '.join(axes)} of a {kind}")
    pair = np.round(np.column_stack([first, second])[good], _PLACE_DIGITS)
    # one number a place, so that millions of rows are sorted once
    key = np.round(pair[:, 0] * 10**_PLACE_DIGITS).astype(np.int64) * 2**32
    key += np.round(pair[:, 1] * 10**_PLACE_DIGITS).astype(np.int64)
    _, index, number = np.unique(key, return_index=True, return_inverse=True)
    entity = np.full(len(first), -1, np.int32)
    entity[good] = number.reshape(-1)
    at = pair[index]
    digits = 0 if kind == "tile" else _PLACE_DIGITS
    return kind, entity, [f"{a:.{digits}f},{b:.{digits}f}" for a, b in at], at


def _short(texts: list[str]) -> bool:
    """Whether names of cells are numbers that every site has."""
    return all(len(t) <= 3 and t.isdigit() for t in texts)


def _radio_units(rows: Rows, entity: np.ndarray, count: int) -> list[str]:
    if "radio_unit" not in rows:
        return [""] * count
    codes = rows.column("radio_unit")
    found = np.full(count, -1, np.int64)
    good = (entity >= 0) & (codes >= 0)
    found[entity[good]] = codes[good]
    texts = rows.codes["radio_unit"].texts
    return ["" if c < 0 else texts[c] for c in found]


def _minutes(rows: Rows, timezone: str, report: Report) -> np.ndarray:
    """(rows,) minutes since 1970 in local time, -1 where the date-time cannot be read."""
    if "time" not in rows:  # a table of tiles: hours of one week from a Monday
        codes = rows.column("hour")
        hours = written_numbers(pd.Series(rows.codes["hour"].texts, dtype="string"))
        value = np.append(hours, np.nan)[codes]
        monday = 4 * DAY  # 5 January 1970
        good = np.isfinite(value) & (value >= 0) & (value < WEEK)
        return np.where(good, (monday + np.nan_to_num(value)) * 60, -1).astype(np.int32)
    clock = rows.codes["hour"].texts if "hour" in rows else ()
    column = "hour" if any(is_date_time(text) for text in clock) else "time"
    codes = rows.column(column)
    texts = rows.codes[column].texts
    times: Times = parse_times(texts)
    if times.ambiguous:
        report.assumed(f"Dates such as {times.example} are read as {times.order}")
    written, stated = np.append(times.minute, -1), np.append(times.offset, np.nan)
    if "timezone" in rows:  # each pair of a date-time and a zone is a date-time
        offsets = np.append([offset_minutes(t) for t in rows.codes["timezone"].texts], np.nan)
        pair, codes = np.unique(
            (codes.astype(np.int64) % len(written)) * len(offsets) + rows.column("timezone") % len(offsets),
            return_inverse=True,
        )
        codes = codes.reshape(-1)
        written, own = written[pair // len(offsets)], stated[pair // len(offsets)]
        stated = np.where(np.isfinite(own), own, offsets[pair % len(offsets)])
    if clock and column == "time" and (written[written >= 0] % 1440 == 0).all():
        of_hour = np.append(clock_minutes(clock, report), -1)
        pair, codes = np.unique(
            (codes.astype(np.int64) % len(written)) * len(of_hour) + rows.column("hour") % len(of_hour),
            return_inverse=True,
        )
        codes = codes.reshape(-1)
        stated, written = stated[pair // len(of_hour)], written[pair // len(of_hour)]
        minutes = of_hour[pair % len(of_hour)]
        written = np.where((written >= 0) & (minutes >= 0), written + minutes, -1)
    number = np.bincount(codes % len(written), minlength=len(written))
    return _local(written, stated, number, timezone, report).astype(np.int32)[codes]


def _local(
    written: np.ndarray, stated: np.ndarray, number: np.ndarray, timezone: str, report: Report
) -> np.ndarray:
    """Local minutes of date-times (texts,) as written, with the offset that they state, and how many rows have each."""
    known = np.isfinite(stated) & (written >= 0)
    if not known.any():
        report.assumed("Date-times state no time zone: they are local time of the area")
        return written
    found, of = np.unique(stated[known], return_inverse=True)
    count = np.bincount(of.reshape(-1), number[known]).astype(np.int64)
    local = offset_minutes(timezone) if timezone else float(found[count.argmax()])
    if not timezone and local == 0:
        report.assumed(
            "Date-times are in UTC and were taken as local time; give the time zone of the area where it is another"
        )
    zone = np.full(len(written), local) if np.isfinite(local) else _zone_offsets(timezone, written, stated)
    other = known & (stated != zone)
    if other.any():
        names = ", ".join(
            f"UTC{_offset_text(o)} ({int(c):,} rows)" for o, c in zip(found, count, strict=True)
        )
        where = timezone or f"UTC{_offset_text(local)}"
        report.fixed(
            f"rows of another time zone were brought to {where}; the file states {names}",
            int(number[other].sum()),
        )
    bare = int(number[(written >= 0) & ~known].sum())
    if bare:
        report.assumed("rows state no time zone: they are local time", bare)
    return np.where(known, written - np.nan_to_num(stated) + zone, written)


def _zone_offsets(timezone: str, minute: np.ndarray, stated: np.ndarray) -> np.ndarray:
    """(rows,) offset in minutes of an IANA zone at UTC instants. Raises `Refused`."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(
            f"cannot be brought to the time zone {timezone!r}, which is none; give a name such as Asia/Shanghai "
            "or an offset such as +08:00"
        ) from None
    utc = minute - np.nan_to_num(stated).astype(np.int64)
    instants, place = np.unique(utc // 60, return_inverse=True)
    moments = pd.to_datetime(instants.clip(0) * 3600, unit="s", utc=True).tz_convert(zone)
    offsets = np.array([m.utcoffset().total_seconds() / 60 for m in moments])
    return offsets[place.reshape(-1)]


def _offset_text(minutes: float) -> str:
    sign = "+" if minutes >= 0 else "-"
    return f"{sign}{int(abs(minutes)) // 60:02d}:{int(abs(minutes)) % 60:02d}"


def _without_doubles(
    entity: np.ndarray, minute: np.ndarray, quantities: dict[str, np.ndarray], report: Report
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """One row for each entity and date-time: the last one that was written."""
    same = (entity[1:] == entity[:-1]) & (minute[1:] == minute[:-1])
    if not same.any():
        return entity, minute, quantities
    equal = np.ones(int(same.sum()), bool)
    later = np.flatnonzero(same) + 1
    for values in quantities.values():
        one, two = values[later - 1], values[later]
        equal &= (one == two) | (np.isnan(one) & np.isnan(two))
    report.fixed("doubled rows left out, equal in every value", int(equal.sum())) if equal.any() else None
    if not equal.all():
        report.fixed(
            "doubled rows of other values left out: the last one of a date-time counts", int((~equal).sum())
        )
    kept = np.append(~same, True)
    return entity[kept], minute[kept], {q: v[kept] for q, v in quantities.items()}


def _step(entity: np.ndarray, minute: np.ndarray, report: Report) -> int:
    """Minutes between rows: the most frequent."""
    between = np.diff(minute)[np.diff(entity) == 0]
    between = between[(between > 0) & (between <= 10_080)]
    if not len(between):
        return 60
    steps, count = np.unique(between, return_counts=True)
    step = int(steps[count.argmax()])
    for usual in (5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440):
        if abs(step - usual) <= 1:
            step = usual
    if step < 5 or (step > 60 and 1440 % step and step % 1440):
        raise Refused(f"has a row every {step} minutes; give steps of 5 minutes to a day")
    return step


def _reset(quantity: str, entity: np.ndarray, raw: np.ndarray, heading: str, report: Report) -> np.ndarray:
    """Values of each period: of a counter that counts on, the differences; NaN after a reset and below 0."""
    if quantity in ("traffic", "energy"):
        inside = entity[1:] == entity[:-1]
        with np.errstate(invalid="ignore"):
            change = np.diff(raw)
            known = inside & np.isfinite(change)
            rises = known & (change >= 0)
        if known.sum() > 100 and rises.sum() > CUMULATIVE_SHARE * known.sum():
            period = np.full_like(raw, np.nan)
            period[1:][known] = change[known]
            fell = known & (change < 0)
            period[1:][fell] = np.nan
            report.fixed(f"{heading} counts on from row to row: the differences were taken")
            if fell.any():
                report.fixed(f"resets of {heading}: the period of each was left out", int(fell.sum()))
            return period
    negative = raw < 0
    if negative.any():
        report.left_out(
            f"values of {heading} below 0 left out, as of a counter that was reset", int(negative.sum())
        )
        raw = np.where(negative, np.float32(np.nan), raw)
    return raw


def _in_units(
    quantity: str, raw: np.ndarray, heading: str, given: str, step: int, report: Report
) -> tuple[np.ndarray, str]:
    """Values in Mbit/s, users, 0..1 or W, and the unit of traffic."""
    unit = unit_of(quantity, given or heading)
    if given and unit.kind == "unknown":
        raise Refused(f"cannot be read in the unit {given!r}; give one such as MB, GB, bytes, Mbit or Mbit/s")
    seconds = step * 60
    if quantity == "traffic":
        if unit.kind == "unknown":
            report.assumed(
                f"The traffic in {heading} has no unit: it is relative, and needs a scale (or --unit)"
            )
            return raw, "relative"
        factor = unit.factor if unit.kind == "rate" else unit.factor / seconds
        report.taken(f"{heading} is in {unit.text}{'' if unit.kind == 'rate' else ' of a period'}, as Mbit/s")
        return raw * np.float32(factor), "Mbit/s"
    if quantity == "prb":
        if unit.kind == "unknown":
            known = raw[np.isfinite(raw)]
            percent = bool(len(known)) and float(np.quantile(known, 0.99)) > 1.5
            report.assumed(f"{heading} is read as {'percent' if percent else 'a share of 1'}, by its values")
            factor = 0.01 if percent else 1.0
        else:
            factor = unit.factor
        return (raw * np.float32(factor)).clip(0, 1), ""
    if quantity == "energy":
        if unit.kind == "power":
            return raw * np.float32(unit.factor), ""
        if unit.kind == "unknown":
            report.assumed(f"The energy in {heading} has no unit: it is read as Wh of a period")
        return raw * np.float32(unit.factor * 60 / step), ""
    return raw, ""


def _hourly(
    entity: np.ndarray, minute: np.ndarray, values: np.ndarray, count: int, first: int, hours: int, step: int
) -> np.ndarray:
    """(entities, hours) float32 mean of the measured periods of each hour, NaN with less than half an hour of them."""
    hour = minute // 60 - first
    known = np.isfinite(values)
    if step > 60:
        found = np.full((count, hours), np.nan, np.float32)
        span = step // 60
        for k in range(span):
            at = hour + k
            inside = known & (at < hours)
            found[entity[inside], at[inside]] = values[inside]
        return found
    cell = entity[known].astype(np.int64) * hours
    cell += hour[known]
    size = count * hours
    number = np.bincount(cell, minlength=size)
    total = np.bincount(cell, values[known], minlength=size)
    enough = number * step >= 30
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(enough, total / number, np.nan)
    return mean.reshape(count, hours).astype(np.float32)


def _tell_gaps(hourly: dict[str, np.ndarray], step: int, report: Report) -> None:
    found: dict[tuple[int, int], list[str]] = {}
    for quantity, values in hourly.items():
        gaps = ~np.isfinite(values)
        if gaps.all():
            raise Refused(f"has no usable value of {quantity}")
        if gaps.any() and step <= 60:
            found.setdefault((int(gaps.sum()), int(gaps.any(axis=1).sum())), []).append(quantity)
    for (hours, rows), quantities in found.items():
        total = next(iter(hourly.values())).shape
        share = hours / (total[0] * total[1])
        report.fixed(
            f"hours without {', '.join(quantities)} ({share:.1%} of all, in {rows:,} of {total[0]:,}): a typical week "
            "takes them from other weeks",
            hours,
        )
