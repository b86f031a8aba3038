"""Files of traffic tables, and what is wrong with those that cannot be planned on.

Format (Parquet or CSV, long): `x, y` zoom-15 tile, `sample` (optional), `hour` 0.., `traffic`, `users` (optional).
Values describe whole tiles. A folder of Parquet parts with a `_run.json`, as a long run of the generator makes, is one
table. Parquet metadata `opendiff` and `opendiff_tiles` are read where present.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from plannerbase.delimited import read_csv
from plannerbase.guard import guarded
from plannerbase.source import Source, content_of, name_of
from plannerbase.text import Refused, read_json
from plannerbase.traffic_arrays import TrafficArrays
from planning.errors import InputError
from planning.geometry import ZOOM

INTENSITIES = ("poi", "business_poi", "population")
PART_GLOB, RUN_FILE = "part-*.parquet", "_run.json"
MAX_BYTES, MAX_ROWS = 4_000_000_000, 200_000_000
_REQUIRED = ("x", "y", "hour", "traffic")
_KNOWN = (*_REQUIRED, "sample", "users")
_WANTED = "the columns x, y, hour, traffic (and sample, users where known)"
Metadata = dict[str, Any]


def read_arrays(source: Source, name: str | None = None, most_rows: int = MAX_ROWS) -> TrafficArrays:
    """A Parquet or CSV file (path, bytes or binary file object), or a folder of Parquet parts. Raises InputError."""
    if isinstance(source, (str, Path)) and Path(source).is_dir():
        return _arrays(*_parse_parts(Path(source)), Path(source).name)
    return _read_bytes(*_bytes(source, name), most_rows)


def arrays_of_frame(frame: pd.DataFrame, name: str = "the data frame") -> TrafficArrays:
    """Traffic of a long table, as `plannerbase.traffic_arrays.traffic_frame` makes it.

    Parameters
    ----------
    frame : DataFrame
        x, y, traffic and hour or time, maybe sample and users, as columns or levels of the index. Times become hours
        since the first one's Monday 00:00, or since its midnight where the table is of less than a week.

    Raises
    ------
    InputError
        For columns that are missing and rows that are no whole table.
    """
    flat = frame.reset_index() if frame.index.names != [None] else frame
    if "hour" not in flat and "time" in flat:
        time = pd.to_datetime(flat["time"])
        first = time.min().normalize()
        if time.max() - first >= pd.Timedelta(days=6):
            first -= pd.Timedelta(days=first.weekday())
        flat = flat.assign(hour=(time - first) // pd.Timedelta(hours=1))
    _check_columns([str(c) for c in flat.columns], name)
    try:
        table = pa.Table.from_pandas(flat[[c for c in _KNOWN if c in flat]], preserve_index=False)
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise InputError(f"{name} holds something that is not a number; it needs {_WANTED}.") from error
    told = frame.attrs
    return _arrays(table, dict(told.get("opendiff") or {}), dict(told.get("opendiff_tiles") or {}), name)


def _from_plain(plain: tuple) -> TrafficArrays:
    """What `TrafficTable.from_arrays` checks."""
    return TrafficArrays(*plain)


@guarded(InputError, pack=tuple, unpack=_from_plain)
def _read_bytes(data: bytes, name: str, most_rows: int) -> TrafficArrays:
    return _arrays(*_parse(data, name, most_rows), name)


def _bytes(source: Source, name: str | None) -> tuple[bytes, str]:
    name = name_of(source, name, "the traffic table")
    try:
        return content_of(source, MAX_BYTES), name
    except Refused as error:
        raise InputError(f"{name} {error}; give fewer tiles or samples.") from None
    except FileNotFoundError as error:
        raise InputError(f"{error}; give the traffic table as a Parquet or CSV file.") from None
    except OSError as error:
        raise InputError(f"{source!s} cannot be read ({error.strerror}); check its permissions.") from None


def _parse_parts(folder: Path) -> tuple[pa.Table, Metadata, Metadata]:
    """The parts of a finished run as one table, with the metadata of the first and the tile columns of all."""
    try:
        run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        complete = bool(run["complete"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{folder} is no traffic table: it is a folder without a readable {RUN_FILE}."
        ) from None
    files = sorted(folder.glob(PART_GLOB))
    if not complete or not files:
        raise InputError(f"The run in {folder} is not finished; give its command again, and it goes on.")
    tables, headings, tiles = zip(*(_parse(file.read_bytes(), file.name) for file in files), strict=True)
    filled = [columns for columns in tiles if columns.get("x")] or [{}]
    shared = [name for name in filled[0] if all(name in columns for columns in filled)]
    described = {name: [value for columns in filled for value in columns[name]] for name in shared}
    return pa.concat_tables(tables), headings[0], described


def _parse(data: bytes, name: str, most_rows: int = MAX_ROWS) -> tuple[pa.Table, Metadata, Metadata]:
    if not data:
        raise InputError(f"{name} is an empty file; a traffic table needs {_WANTED}.")
    if data[:4] == b"PAR1":
        try:
            rows = pq.read_metadata(io.BytesIO(data)).num_rows
            if rows > most_rows:
                raise InputError(
                    f"{name} has {rows:,} rows and the limit is {most_rows:,}; give fewer tiles or samples."
                )
            schema = pq.read_schema(io.BytesIO(data))
            _check_columns(schema.names, name)
            table = pq.read_table(io.BytesIO(data), columns=[c for c in _KNOWN if c in schema.names])
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise InputError(f"{name} is a damaged Parquet file ({str(error).splitlines()[0]}).") from error
        stored = table.schema.metadata or {}
        return table, _json(stored, b"opendiff", name), _json(stored, b"opendiff_tiles", name)
    try:
        frame = read_csv(data, most_rows)
        _check_columns([str(c) for c in frame.columns], name)
        table = pa.Table.from_pandas(frame[[c for c in _KNOWN if c in frame]], preserve_index=False)
    except (ValueError, OverflowError, pa.ArrowException) as error:
        raise InputError(f"{name} is neither Parquet nor a readable CSV file; it needs {_WANTED}.") from error
    return table, {}, {}


def _check_columns(names: list[str], name: str) -> None:
    """Raises InputError for a table without the columns of traffic; it names those that the file has."""
    missing = [c for c in _REQUIRED if c not in names]
    if missing:
        found = ", ".join(names[:8]) or "none"
        advice = ""
        if {"x", "y"} & set(missing):
            advice = (
                "; measurements by place and date-time become such a table by `python -m planning traffic`"
            )
        raise InputError(
            f"{name} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)} (found: {found}){advice}."
        )


def _json(stored: dict[bytes, bytes], key: bytes, name: str) -> Metadata:
    if key not in stored:
        return {}
    try:
        value = read_json(stored[key])
    except ValueError as error:
        raise InputError(
            f"{name}: its metadata '{key.decode()}' is not valid JSON; write the table again."
        ) from error
    return value if isinstance(value, dict) else {}


def _arrays(table: pa.Table, metadata: Metadata, tile_columns: Metadata, name: str) -> TrafficArrays:
    """A long table, a row a tile, sample and hour, as arrays."""
    _check_columns(table.column_names, name)
    rows = table.num_rows
    if not rows:
        raise InputError(f"{name} has no rows; a traffic table needs {_WANTED}.")
    x, y, hour = (_whole_numbers(table, c, name) for c in ("x", "y", "hour"))
    has_samples = "sample" in table.column_names
    sample = _whole_numbers(table, "sample", name) if has_samples else np.zeros(rows, np.int64)
    traffic = _numbers(table, "traffic", name, rows)
    users = None
    if "users" in table.column_names and not _all_missing(table.column("users")):
        users = _numbers(table, "users", name, rows)
    check_tiles(x, y, name)
    tiles, tile = np.unique(_tile_number(x, y), return_inverse=True)
    samples, sample = np.unique(sample, return_inverse=True)
    if hour.min() < 0:
        raise InputError(f"{name} has {int((hour < 0).sum())} of {rows} rows with a negative hour.")
    hours = int(hour.max()) + 1
    check_hours(hours, name)
    shape = (len(tiles), len(samples), hours)
    position = (tile.astype(np.int64) * shape[1] + sample) * hours + hour
    _check_complete(position, shape, tiles, samples, name)
    order = np.argsort(position, kind="stable")
    share, intensities = _tile_columns(tile_columns, tiles, name)
    return TrafficArrays(
        tiles >> ZOOM,
        tiles & ((1 << ZOOM) - 1),
        traffic[order].reshape(shape),
        None if users is None else users[order].reshape(shape),
        share,
        intensities,
        metadata,
    )


def _tile_number(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """One number a tile, in the order of x, then y."""
    return x * (1 << ZOOM) + y


def _check_complete(
    position: np.ndarray, shape: tuple[int, int, int], tiles: np.ndarray, samples: np.ndarray, name: str
) -> None:
    """Refuse a table that has not exactly one row for each tile, sample and hour; position: (rows,) place of each."""
    rows, expected = len(position), int(np.prod(shape))
    # a table so sparse that its counts would not fit into memory is refused without saying where
    count = np.bincount(position, minlength=expected) if expected <= 50 * rows + 1000 else None
    doubled = rows - len(np.unique(position)) if count is None else int((count > 1).sum())
    if doubled:
        where = (
            "" if count is None else f"; first: {_where(int(np.argmax(count > 1)), shape, tiles, samples)}"
        )
        raise InputError(f"{name} has {doubled} doubled rows of {rows} (same tile, sample and hour{where}).")
    if rows < expected:
        where = "" if count is None else f"; first: {_where(int(np.argmin(count)), shape, tiles, samples)}"
        raise InputError(
            f"{name} lacks {expected - rows} of the {expected} rows that {shape[0]} tiles x {shape[1]} samples x "
            f"{shape[2]} hours need{where}."
        )


def _where(position: int, shape: tuple[int, ...], tile_ids: np.ndarray, sample_ids: np.ndarray) -> str:
    tile, sample, hour = np.unravel_index(position, shape)
    x, y = int(tile_ids[tile]) >> ZOOM, int(tile_ids[tile]) & ((1 << ZOOM) - 1)
    return f"tile {x},{y}, sample {int(sample_ids[sample])}, hour {int(hour)}"


def _tile_columns(
    columns: Metadata, tile_ids: np.ndarray, name: str
) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
    """covered_share and intensities from the metadata, laid on the table's tiles."""
    if not columns:
        return None, {}
    try:
        key = _tile_number(np.asarray(columns["x"], np.int64), np.asarray(columns["y"], np.int64))
        known = {c: np.asarray(v, float) for c, v in columns.items() if c in ("covered_share", *INTENSITIES)}
        order = np.argsort(key)
        place = np.minimum(np.searchsorted(key[order], tile_ids), len(key) - 1)
        if (
            not len(key)
            or not (key[order][place] == tile_ids).all()
            or any(len(v) != len(key) for v in known.values())
        ):
            raise InputError(
                f"{name}: its metadata 'opendiff_tiles' does not list the table's tiles; write it again."
            )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{name}: its metadata 'opendiff_tiles' cannot be read; write the table again."
        ) from error
    laid = {c: v[order][place] for c, v in known.items()}
    return laid.pop("covered_share", None), laid


def _all_missing(column: pa.ChunkedArray) -> bool:
    """Whether every value is null or, among numbers, NaN."""
    is_float = pa.types.is_floating(column.type)
    return bool(pc.all(pc.is_null(column, nan_is_null=is_float)).as_py())


def _cast(table: pa.Table, column: str, name: str) -> np.ndarray:
    try:
        return table.column(column).cast(pa.float64()).to_numpy()
    except (pa.ArrowException, ValueError) as error:
        raise InputError(f"{name}: the column {column} holds something that is not a number.") from error


def _numbers(table: pa.Table, column: str, name: str, rows: int) -> np.ndarray:
    """Finite numbers of at least 0."""
    values = _cast(table, column, name)
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise InputError(f"{name}: {bad} of {rows} rows have no finite {column}; fill or remove them.")
    if (values < 0).any():
        raise InputError(f"{name}: {int((values < 0).sum())} of {rows} rows have a negative {column}.")
    return values


def _whole_numbers(table: pa.Table, column: str, name: str) -> np.ndarray:
    values = _cast(table, column, name)
    bad = ~np.isfinite(values) | (values != np.round(values))
    if bad.any():
        raise InputError(
            f"{name}: {int(bad.sum())} of {len(values)} rows have a {column} that is no whole number."
        )
    return values.astype(np.int64)


def check_hours(hours: int, name: str) -> None:
    """Raises InputError for anything but whole days, up to a week."""
    if hours % 24 or not 24 <= hours <= 168:
        raise InputError(f"{name} has the hours 0..{hours - 1}; whole days are needed, 0..23 up to 0..167.")


def check_tiles(x: np.ndarray, y: np.ndarray, name: str) -> None:
    """Raises InputError for numbers that are no zoom-15 tile."""
    outside = (x < 0) | (y < 0) | (x >= 1 << ZOOM) | (y >= 1 << ZOOM)
    if outside.any():
        raise InputError(
            f"{name} has {int(outside.sum())} rows whose x, y are no zoom-{ZOOM} tile (0..{(1 << ZOOM) - 1})."
        )
