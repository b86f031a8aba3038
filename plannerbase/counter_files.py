"""The file of an export of counters, read in parts: names and date-times as codes, numbers of 4 bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from plannerbase.archive import bare_name, unpacked
from plannerbase.counter_columns import QUANTITIES, guess
from plannerbase.delimited import SAMPLE_BYTES, dialect_of
from plannerbase.encodings import assumed_encoding, sample_of
from plannerbase.layers import TABLES, Limits, chosen, read_layers
from plannerbase.numbers import written_numbers
from plannerbase.report import Report
from plannerbase.text import Refused, encoding_of

MAX_BYTES, MAX_ROWS = 4_000_000_000, 60_000_000
HEAD_BYTES, BLOCK_BYTES = 262_144, 2 << 20
LONGEST_LINE = 10_000  # bytes that are looked back for the beginning of a line
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


def parts_of(
    source: bytes | Path, name: str, mapping: dict[str, str], layer: str, report: Report
) -> Iterator[pa.Table]:
    """Parts of the table with the columns that are used, names and date-times as dictionaries."""
    if bare_name(name) != name:
        packed = source.read_bytes() if isinstance(source, Path) else source
        source, name = unpacked(packed, name, MAX_BYTES)
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
    if head[:SAMPLE_BYTES].isascii() and (letters := _first_letters(source)):
        head = letters
        dialect = replace(dialect, encoding=encoding_of(letters, whole=False))
    if said := assumed_encoding(head, dialect.encoding):
        report.assumed(said)
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


def _first_letters(source: bytes | Path) -> bytes:
    """The part of a table that begins with the line of its first letter beyond ASCII; empty where it has none."""
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
        before = b""
        while block := file.read(BLOCK_BYTES):
            if not block.isascii():
                return sample_of(before + block + file.read(HEAD_BYTES))
            before = block[-LONGEST_LINE:]
    return b""


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


class Rows:
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
