"""Exports of an operator's counters: hourly traffic, users, PRB use and energy of cells, places or tiles.

A row is a cell (by name or id), a place (longitude, latitude) or a zoom-15 tile at a date-time. The export is read in
parts, names and date-times as numbers, so that millions of rows take seconds and some hundred megabytes. Steps of 15
minutes to days become hours; time zones, doubled rows, gaps and counters that were reset are put right and counted.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from intake.counter_columns import QUANTITIES, guess, unit_of
from intake.counter_times import Times, offset_minutes, parse_times
from intake.delimited import dialect_of
from intake.guard import guarded
from intake.layers import TABLES, Limits, chosen, read_layers
from intake.numbers import written_numbers
from intake.report import Report
from intake.text import Refused

MAX_BYTES, MAX_ROWS, MAX_CELLS = 4_000_000_000, 60_000_000, 500_000
HEAD_BYTES, BLOCK_BYTES = 262_144, 2 << 20
WEEK, DAY = 168, 24
EMPTY = [
    "",
    "NA",
    "N/A",
    "NIL",
    "nil",
    "null",
    "NULL",
    "None",
    "nan",
    "NaN",
    "-",
    "--",
    "/0",
    "#DIV/0!",
    "#N/A",
    "空",
    "无",
]
MIN_WEEK_SHARE = 0.2  # of the hours of a week that a cell needs to be used
CUMULATIVE_SHARE = 0.9  # of steps that do not fall, above which a counter counts on from one row to the next
RESET_DROP = 0.5  # a counter that counts on and falls below this share was reset
_PLACE_DIGITS = 6


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
    rows = _Rows(mapping, report)
    for part in _parts(source, name, mapping, layer, report):
        rows.add(part)
    pa.default_memory_pool().release_unused()
    return _arranged(rows, timezone, unit)


# ---- the file, in parts ---------------------------------------------------------------------------------------------


def _parts(
    source: bytes | Path, name: str, mapping: dict[str, str], layer: str, report: Report
) -> Iterator[pa.Table]:
    """Parts of the table with the columns that are used, names and date-times as dictionaries."""
    suffix = Path(name).suffix.lower()
    size = source.stat().st_size if isinstance(source, Path) else len(source)
    if size > MAX_BYTES:
        raise Refused(f"is larger than {MAX_BYTES // 1_000_000_000} GB; give fewer weeks")
    if not size:
        raise Refused("is empty; give a row a cell and date-time")
    if suffix == ".parquet":
        yield from _parquet(source, mapping)
    elif suffix in (".csv", ".txt", ".tsv"):
        yield from _csv(source, mapping, report)
    elif suffix in TABLES:
        data = source.read_bytes() if isinstance(source, Path) else source
        contents = chosen(read_layers(data, name, Limits(unpacked_bytes=1_000_000_000, rows=MAX_ROWS)), layer)
        report.extend(contents.report)
        tables = [part.table.rename(columns=str) for part in contents.layers.values()]
        if not tables:
            raise Refused("holds no table")
        table = max(tables, key=lambda t: (len(set(guess(t.columns, {})) & set(QUANTITIES)) > 0, len(t)))
        used = _used(list(table.columns), mapping)
        yield pa.table(
            {ours: _column(table[theirs], ours) for ours, theirs in used.items()}
        ).replace_schema_metadata(_told(used))
    else:
        raise Refused("is no table; give the counters as CSV, XLSX or Parquet")


def _told(used: dict[str, str]) -> dict[bytes, bytes]:
    return {ours.encode(): theirs.encode() for ours, theirs in used.items()}


def _column(values: pd.Series, ours: str) -> pa.Array:
    if ours in QUANTITIES or ours in ("lon", "lat", "x", "y"):
        return pa.array(written_numbers(values), pa.float64())
    if pd.api.types.is_datetime64_any_dtype(values):
        values = values.dt.strftime("%Y-%m-%dT%H:%M:%S%z").where(values.notna(), None)
    text = values.astype("string").str.strip().str.replace(r"^(\d+)\.0$", r"\1", regex=True)
    return pa.array(text.to_numpy(object, na_value=None), pa.string()).dictionary_encode()


def _used(columns: list[str], mapping: dict[str, str]) -> dict[str, str]:
    """Our column -> the file's. Raises `Refused` with the columns of the file."""
    shown = ", ".join(columns[:12]) + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")
    for ours, theirs in mapping.items():
        if theirs not in columns:
            raise Refused(f"has no column {theirs!r} for {ours} (found: {shown or 'none'})")
    used = guess(columns, mapping)
    missing = []
    if not ("cell" in used or {"lon", "lat"} <= set(used) or {"x", "y"} <= set(used) or "site" in used):
        missing.append("cell (or lon and lat, or x and y)")
    if "time" not in used and not ("hour" in used and {"x", "y"} <= set(used)):
        missing.append("time")
    if not set(used) & set(QUANTITIES):
        missing.append("traffic (or users, prb, energy)")
    if missing:
        first = missing[0].split(" ")[0]
        raise Refused(
            f"has no column of {' and of '.join(missing)} (found: {shown or 'none'}); say which they are with --map, "
            f"for example --map {first}=COLUMN"
        )
    return used


def _csv(source: bytes | Path, mapping: dict[str, str], report: Report) -> Iterator[pa.Table]:
    if isinstance(source, Path):
        with source.open("rb") as file:
            head = file.read(HEAD_BYTES)
    else:
        head = source[:HEAD_BYTES]
    dialect = dialect_of(head)
    if dialect.titles:
        report.left_out("lines above the heading passed over", len(dialect.titles), dialect.titles)
    options = {
        "read_options": pacsv.ReadOptions(
            encoding=dialect.encoding, skip_rows=dialect.skip, block_size=BLOCK_BYTES, use_threads=False
        ),
        "parse_options": pacsv.ParseOptions(
            delimiter=dialect.separator, invalid_row_handler=lambda row: "skip"
        ),
    }
    try:
        with pacsv.open_csv(_opened(source), **options) as reader:
            names = reader.schema.names
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise Refused(f"is no readable CSV ({_first(error)})") from None
    if len(set(names)) < len(names):
        raise Refused(f"has two columns of one name ({next(n for n in names if names.count(n) > 1)})")
    by_plain = {n.strip().removeprefix("\ufeff"): n for n in names}
    used = {ours: by_plain[theirs] for ours, theirs in _used(list(by_plain), mapping).items()}
    texts: set[str] = set()
    while True:
        try:
            yield from _csv_parts(source, used, texts, dialect.decimal, options)
            return
        except _NotNumbers as error:
            texts.add(error.column)
            report.assumed(f"numbers of {error.column} are written in several ways and were read one by one")
            yield pa.table({})  # begin again


class _NotNumbers(Exception):
    def __init__(self, column: str):
        super().__init__(column)
        self.column = column


def _csv_parts(
    source: bytes | Path, used: dict[str, str], texts: set[str], decimal: str, options: dict[str, Any]
) -> Iterator[pa.Table]:
    coded = pa.dictionary(pa.int32(), pa.string())
    numbers = [t for o, t in used.items() if o in (*QUANTITIES, "lon", "lat", "x", "y")]
    types = {theirs: pa.float64() if theirs in numbers else coded for theirs in used.values()}
    types |= {theirs: coded for theirs in texts}
    convert = pacsv.ConvertOptions(
        column_types=types, include_columns=list(used.values()), null_values=EMPTY, strings_can_be_null=True,
        decimal_point=decimal,
    )  # fmt: skip
    ours = {theirs: mine for mine, theirs in used.items()}
    try:
        with pacsv.open_csv(_opened(source), convert_options=convert, **options) as reader:
            for batch in reader:
                table = pa.Table.from_batches([batch])
                for theirs in texts:
                    table = table.set_column(
                        table.schema.get_field_index(theirs), theirs, _numbers_of(table.column(theirs))
                    )
                yield table.rename_columns([ours[n] for n in table.column_names]).replace_schema_metadata(
                    _told(used)
                )
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        text = str(error)
        for theirs in numbers:
            if theirs not in texts and "column #" in text and _names_column(text, theirs, source, options):
                raise _NotNumbers(theirs) from None
        raise Refused(f"is no readable CSV ({_first(error)})") from None


def _names_column(text: str, theirs: str, source: bytes | Path, options: dict[str, Any]) -> bool:
    """Whether pyarrow's message ("In CSV column #3: ...") is about a column."""
    found = re.search(r"column #(\d+)", text)
    with pacsv.open_csv(_opened(source), **options) as reader:
        names = reader.schema.names
    return found is not None and int(found[1]) < len(names) and names[int(found[1])] == theirs


def _numbers_of(column: pa.ChunkedArray) -> pa.Array:
    parts = []
    for chunk in column.chunks:
        values = np.append(written_numbers(pd.Series(chunk.dictionary.to_pylist(), dtype="string")), np.nan)
        codes = chunk.indices.fill_null(len(values) - 1).to_numpy(zero_copy_only=False)
        parts.append(values[codes])
    return pa.array(np.concatenate(parts) if parts else np.empty(0), pa.float64())


def _opened(source: bytes | Path) -> Any:
    return pa.OSFile(str(source)) if isinstance(source, Path) else pa.BufferReader(source)


def _first(error: BaseException) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__


def _parquet(source: bytes | Path, mapping: dict[str, str]) -> Iterator[pa.Table]:
    try:
        file = pq.ParquetFile(source if isinstance(source, Path) else io.BytesIO(source))
        if file.metadata.num_rows > MAX_ROWS:
            raise Refused(f"has more than {MAX_ROWS:,} rows")
        used = _used(list(file.schema_arrow.names), mapping)
        for batch in file.iter_batches(columns=list(used.values()), batch_size=500_000):
            table = pa.Table.from_batches([batch])
            columns = {}
            for ours, theirs in used.items():
                values = table.column(theirs)
                if ours in (*QUANTITIES, "lon", "lat", "x", "y"):
                    if pa.types.is_string(values.type) or pa.types.is_dictionary(values.type):
                        values = pa.array(written_numbers(values.to_pandas()), pa.float64())
                    columns[ours] = pc.cast(values, pa.float64())
                elif pa.types.is_timestamp(values.type):
                    text = pc.strftime(values, "%Y-%m-%dT%H:%M:%S" + ("%z" if values.type.tz else ""))
                    columns[ours] = text.combine_chunks().dictionary_encode()
                else:
                    text = values if pa.types.is_dictionary(values.type) else pc.cast(values, pa.string())
                    text = text.combine_chunks()
                    columns[ours] = text if pa.types.is_dictionary(text.type) else text.dictionary_encode()
            yield pa.table(columns).replace_schema_metadata(_told(used))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise Refused(f"is no readable Parquet file ({_first(error)})") from None


# ---- rows as numbers ------------------------------------------------------------------------------------------------


class _Codes:
    """Numbers of texts over all parts of a file."""

    def __init__(self) -> None:
        self.number: dict[str | None, int] = {}

    def of(self, column: pa.ChunkedArray | pa.Array) -> np.ndarray:
        """(rows,) int32, -1 where there is no text."""
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        found = []
        for chunk in chunks:
            if not pa.types.is_dictionary(chunk.type):
                chunk = pc.cast(chunk, pa.string()).dictionary_encode()
            texts = [None if t is None else str(t).strip() for t in chunk.dictionary.to_pylist()]
            codes = [-1 if not t else self.number.setdefault(t, len(self.number)) for t in texts]
            table = np.array([*codes, -1], np.int32)
            index = chunk.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False)
            found.append(table[index])
        return np.concatenate(found) if found else np.empty(0, np.int32)

    @property
    def texts(self) -> list[str]:
        return [str(t) for t in self.number]


class _Rows:
    """All rows of a file: codes of texts and numbers, 4 bytes each."""

    def __init__(self, mapping: dict[str, str], report: Report):
        self.mapping, self.report = mapping, report
        self.used: dict[str, str] = {}
        self.clear()

    def clear(self) -> None:
        self.parts: dict[str, list[np.ndarray]] = {}
        self.codes: dict[str, _Codes] = {}
        self.rows = 0

    def add(self, table: pa.Table) -> None:
        if not table.num_columns:
            self.clear()
            return
        if not self.used:
            self.used = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
        self.rows += table.num_rows
        if self.rows > MAX_ROWS:
            raise Refused(f"has more than {MAX_ROWS:,} rows; give fewer weeks or cells")
        for ours in table.column_names:
            column = table.column(ours)
            if ours in QUANTITIES:
                values = column.to_numpy().astype(np.float32)
            elif ours in ("lon", "lat", "x", "y"):
                values = column.to_numpy().astype(float)
            else:
                values = self.codes.setdefault(ours, _Codes()).of(column)
            self.parts.setdefault(ours, []).append(values)

    def column(self, ours: str) -> np.ndarray:
        """(rows,) and forget the parts."""
        parts = self.parts.pop(ours)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def __contains__(self, ours: str) -> bool:
        return ours in self.parts


# ---- what the rows say ----------------------------------------------------------------------------------------------


def _arranged(rows: _Rows, timezone: str, unit: str) -> dict[str, Any]:
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


def _entities(rows: _Rows, report: Report) -> tuple[str, np.ndarray, list[str], np.ndarray]:
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


def _radio_units(rows: _Rows, entity: np.ndarray, count: int) -> list[str]:
    if "radio_unit" not in rows:
        return [""] * count
    codes = rows.column("radio_unit")
    found = np.full(count, -1, np.int64)
    good = (entity >= 0) & (codes >= 0)
    found[entity[good]] = codes[good]
    texts = rows.codes["radio_unit"].texts
    return ["" if c < 0 else texts[c] for c in found]


def _minutes(rows: _Rows, timezone: str, report: Report) -> np.ndarray:
    """(rows,) minutes since 1970 in local time, -1 where the date-time cannot be read."""
    if "time" not in rows:  # a table of tiles: hours of one week from a Monday
        codes = rows.column("hour")
        hours = written_numbers(pd.Series(rows.codes["hour"].texts, dtype="string"))
        value = np.append(hours, np.nan)[codes]
        monday = 4 * DAY  # 5 January 1970
        good = np.isfinite(value) & (value >= 0) & (value < WEEK)
        return np.where(good, (monday + np.nan_to_num(value)) * 60, -1).astype(np.int32)
    codes = rows.column("time")
    texts = rows.codes["time"].texts
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
    if "hour" in rows and (written[written >= 0] % 1440 == 0).all():
        hours = pd.Series(rows.codes["hour"].texts, dtype="string").str.replace(r":.*$", "", regex=True)
        of_hour = np.append(np.nan_to_num(written_numbers(hours)), 0).astype(np.int64) * 60
        pair, codes = np.unique(
            (codes.astype(np.int64) % len(written)) * len(of_hour) + rows.column("hour") % len(of_hour),
            return_inverse=True,
        )
        codes = codes.reshape(-1)
        stated, written = stated[pair // len(of_hour)], written[pair // len(of_hour)]
        written = np.where(written >= 0, written + of_hour[pair % len(of_hour)], -1)
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
