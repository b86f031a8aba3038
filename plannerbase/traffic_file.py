"""Traffic tables in files: read for the generator and for the planners alike.

Format (Parquet or CSV, long): `x, y` zoom-15 tile, `sample` (optional), `hour` 0.., `traffic`, `users` (optional).
Values describe whole tiles. A folder of Parquet parts with a `_run.json`, as a long run of the generator makes, is one
table. Parquet metadata `opendiff` (unit, model, attribution...) and `opendiff_tiles` (columns x, y, covered_share,
intensities) are read where present.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from plannerbase.counting import counted
from plannerbase.delimited import read_csv
from plannerbase.guard import guarded
from plannerbase.source import Source, content_of, name_of
from plannerbase.text import Refused, read_json
from plannerbase.tile_grid import TILES_ACROSS, ZOOM
from plannerbase.traffic_arrays import INTENSITIES, TrafficArrays

FORMAT = 1  # of the file, for readers of later versions
PART_GLOB, RUN_FILE = "part-*.parquet", "_run.json"
MAX_BYTES = 4_000_000_000  # of a file that is read as a whole: CSV, and what is no file on a disk
MAX_ROWS = 400_000_000  # tiles x samples x hours (about 3 GB of traffic and users)
_REQUIRED = ("x", "y", "hour", "traffic")
_KNOWN = (*_REQUIRED, "sample", "users")
_WANTED = "the columns x, y, hour, traffic (and sample, users where known)"
Metadata = dict[str, Any]


class TableRefused(Refused):
    """A traffic table that is not taken; the text is a whole sentence."""


def read_arrays(source: Source, name: str | None = None, most_rows: int = MAX_ROWS) -> TrafficArrays:
    """The traffic in a Parquet or CSV file, or in a folder of Parquet parts.

    Parameters
    ----------
    source : path, bytes or binary file object
    name : str, optional
        What messages call it. Default: the file's own name.
    most_rows : int
        Rows of the table; more are refused by what the file says of itself, before they are unpacked.

    Returns
    -------
    TrafficArrays
        traffic, users (tiles, samples, hours) float32; tiles in the order of x, then y; samples in that of their
        numbers; users and covered_share None where the file has none.

    Raises
    ------
    TableRefused
        For a file that is no traffic table, and for columns, hours or values that are missing, repeated or impossible.
    """
    called = name_of(source, name, "the traffic table")
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_file() or path.is_dir():
            return _read(path, called, most_rows)
    try:
        return _read(content_of(source, MAX_BYTES), called, most_rows)
    except FileNotFoundError as error:
        raise TableRefused(f"{error}; give the traffic table as a Parquet or CSV file.") from None
    except TableRefused:
        raise
    except Refused as error:
        raise TableRefused(f"{called} {error}; give fewer tiles or samples.") from None
    except OSError as error:
        raise _unreadable(source, error) from None


def arrays_of_frame(frame: pd.DataFrame, name: str = "the data frame") -> TrafficArrays:
    """Traffic of a long table, as `plannerbase.traffic_arrays.traffic_frame` makes it.

    Parameters
    ----------
    frame : DataFrame
        x, y, traffic and hour or time, maybe sample and users, as columns or levels of the index. Times become hours
        since the first one's Monday 00:00, or since its midnight where the table is of less than a week.

    Raises
    ------
    TableRefused
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
        raise TableRefused(f"{name} holds something that is not a number; it needs {_WANTED}.") from error
    told = frame.attrs
    return _arrays(table, dict(told.get("opendiff") or {}), dict(told.get("opendiff_tiles") or {}), name)


def check_hours(hours: int, name: str) -> None:
    """Raises TableRefused for anything but whole days, up to a week."""
    if hours % 24 or not 24 <= hours <= 168:
        raise TableRefused(f"{name} has the hours 0..{hours - 1}; whole days are needed, 0..23 up to 0..167.")


def check_tiles(x: np.ndarray, y: np.ndarray, name: str) -> None:
    """Raises TableRefused for numbers that are no zoom-15 tile."""
    if min(x.min(), y.min()) >= 0 and max(x.max(), y.max()) < TILES_ACROSS:
        return
    outside = (x < 0) | (y < 0) | (x >= TILES_ACROSS) | (y >= TILES_ACROSS)
    raise TableRefused(
        f"{name} has {counted(int(outside.sum()), 'rows')} whose x, y are no zoom-{ZOOM} tile (0..{TILES_ACROSS - 1})."
    )


def _unpacked(plain: Sequence[Any]) -> TrafficArrays:
    """What a reading process answered, by its kinds; the tables that take it check its values. Raises TypeError."""
    made = TrafficArrays(*plain)
    arrays = [made.x, made.y, made.traffic, *made.intensities.values()]
    arrays += [values for values in (made.users, made.covered_share) if values is not None]
    if not all(isinstance(values, np.ndarray) for values in arrays) or not isinstance(made.metadata, dict):
        raise TypeError("no traffic")
    return made


@guarded(TableRefused, pack=tuple, unpack=_unpacked)
def _read(source: Path | bytes, name: str, most_rows: int) -> TrafficArrays:
    if isinstance(source, Path) and source.is_dir():
        return _arrays(*_parts(source, most_rows), source.name)
    if isinstance(source, Path):
        try:
            with source.open("rb") as file:
                is_parquet = file.read(4) == b"PAR1"
            content: Path | bytes = source if is_parquet else content_of(source, MAX_BYTES)
        except OSError as error:
            raise _unreadable(source, error) from None
        except Refused as error:
            raise TableRefused(f"{name} {error}; give fewer tiles or samples.") from None
    else:
        is_parquet, content = source[:4] == b"PAR1", source
    if is_parquet:
        return _arrays(*_parquet([content], [name], name, most_rows), name)
    assert isinstance(content, bytes)
    return _arrays(_csv(content, name, most_rows), {}, {}, name)


def _unreadable(source: Source, error: OSError) -> TableRefused:
    return TableRefused(f"{source!s} cannot be read ({error.strerror}); check its permissions.")


def _parts(folder: Path, most_rows: int) -> tuple[pa.Table, Metadata, Metadata]:
    """The parts of a finished run."""
    try:
        run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        complete = bool(run["complete"])
    except (OSError, ValueError, KeyError, TypeError):
        raise TableRefused(
            f"{folder} is no traffic table: it is a folder without a readable {RUN_FILE}."
        ) from None
    files = sorted(folder.glob(PART_GLOB))
    if not complete or not files:
        raise TableRefused(f"The run in {folder} is not finished; give its command again, and it goes on.")
    return _parquet(files, [file.name for file in files], folder.name, most_rows)


def _parquet(
    files: Sequence[Path | bytes], names: Sequence[str], name: str, most_rows: int
) -> tuple[pa.Table, Metadata, Metadata]:
    """Files of one table, with the metadata of the first, and what all of them say of their tiles."""
    rows, schemas = 0, []
    for file, own_name in zip(files, names, strict=True):
        try:
            schema, meta = pq.read_schema(_opened(file)), pq.read_metadata(_opened(file))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise _damaged(own_name, error) from error
        schemas.append(schema)
        rows += meta.num_rows
        if rows > most_rows:
            raise TableRefused(
                f"{name} has {rows:,} rows and the limit is {most_rows:,}; give fewer tiles or samples."
            )
    _check_columns(schemas[0].names, name)
    columns = [column for column in _KNOWN if column in schemas[0].names]
    tables = []
    for file, own_name in zip(files, names, strict=True):
        try:
            tables.append(pq.read_table(_opened(file), columns=columns))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise _damaged(own_name, error) from error
    heading = _json(schemas[0], "opendiff", names[0])
    if heading.get("format", FORMAT) != FORMAT:
        raise TableRefused(
            f"{name} has format {heading['format']!r}, which this version cannot read; update it."
        )
    described = [
        _json(schema, "opendiff_tiles", own_name) for schema, own_name in zip(schemas, names, strict=True)
    ]
    try:
        return pa.concat_tables(tables), heading, _joined(described)
    except pa.ArrowException as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> TableRefused:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return TableRefused(f"{name} is a damaged Parquet file ({reason}).")


def _opened(file: Path | bytes) -> Any:
    return io.BytesIO(file) if isinstance(file, bytes) else file


def _joined(described: Sequence[Metadata]) -> Metadata:
    """What parts say of their tiles, as one; only what each of them says."""
    filled = [part for part in described if part.get("x")]
    if len(filled) < 2:
        return next(iter(filled), described[0])
    names = [name for name in filled[0] if all(name in part for part in filled)]
    return {name: [value for part in filled for value in part[name]] for name in names}


def _csv(data: bytes, name: str, most_rows: int) -> pa.Table:
    if not data:
        raise TableRefused(f"{name} is an empty file; a traffic table needs {_WANTED}.")
    try:
        frame = read_csv(data, most_rows)
        _check_columns([str(c) for c in frame.columns], name)
        return pa.Table.from_pandas(frame[[c for c in _KNOWN if c in frame]], preserve_index=False)
    except TableRefused:
        raise
    except (ValueError, OverflowError, pa.ArrowException) as error:
        raise TableRefused(
            f"{name} is neither Parquet nor a readable CSV file; it needs {_WANTED}."
        ) from error


def _check_columns(names: list[str], name: str) -> None:
    """Raises TableRefused for a table without the columns of traffic; it names those that the file has."""
    missing = [c for c in _REQUIRED if c not in names]
    if missing:
        found = ", ".join(names[:8]) or "none"
        advice = ""
        if {"x", "y"} & set(missing):
            advice = (
                "; measurements by place and date-time become such a table by `python -m planning traffic`"
            )
        raise TableRefused(
            f"{name} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)} (found: {found}){advice}."
        )


def _json(schema: pa.Schema, key: str, name: str) -> Metadata:
    """A JSON object of the schema's metadata, empty where there is none."""
    text = (schema.metadata or {}).get(key.encode())
    if text is None:
        return {}
    try:
        value = read_json(text)
    except ValueError as error:
        raise TableRefused(
            f"{name}: its metadata '{key}' is not valid JSON; write the table again."
        ) from error
    if not isinstance(value, dict):
        raise TableRefused(f"{name}: its metadata '{key}' is no JSON object; write the table again.")
    return value


def _arrays(table: pa.Table, metadata: Metadata, described: Metadata, name: str) -> TrafficArrays:
    """A long table, a row a tile, sample and hour, as arrays."""
    _check_columns(table.column_names, name)
    rows = table.num_rows
    if not rows:
        raise TableRefused(f"{name} has no rows; a traffic table needs {_WANTED}.")
    x, y, hour = (_whole_numbers(table, c, name) for c in ("x", "y", "hour"))
    check_tiles(x, y, name)
    tiles, tile = _numbered(x * TILES_ACROSS + y)
    if hour.min() < 0:
        raise TableRefused(f"{name} has {int((hour < 0).sum())} of {rows} rows with a negative hour.")
    hours = int(hour.max()) + 1
    check_hours(hours, name)
    has_samples = "sample" in table.column_names
    samples, sample = _numbered(
        _whole_numbers(table, "sample", name) if has_samples else np.zeros(rows, np.int64)
    )
    shape = (len(tiles), len(samples), hours)
    place = (tile * len(samples) + sample) * hours + hour
    del x, y, hour, tile, sample
    _check_complete(place, shape, tiles, samples, name)
    traffic = _laid(_numbers(table, "traffic", name), place, shape)
    users = None
    if "users" in table.column_names and not _all_missing(table.column("users")):
        users = _laid(_numbers(table, "users", name), place, shape)
    share, intensities = _tile_columns(described, tiles, name)
    return TrafficArrays(
        tiles // TILES_ACROSS, tiles % TILES_ACROSS, traffic, users, share, intensities, metadata
    )


def _laid(values: np.ndarray, place: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Values of rows (rows,) at their places, float32 of `shape`."""
    laid = np.empty(len(values), np.float32)
    laid[place] = values
    return laid.reshape(shape)


def _numbered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different values, sorted, and the number of each row's value; quick where equal values stand together."""
    start = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1])
    different, number = np.unique(values[start], return_inverse=True)
    return different, np.repeat(number, np.diff(start, append=len(values)))


def _check_complete(
    place: np.ndarray, shape: tuple[int, int, int], tiles: np.ndarray, samples: np.ndarray, name: str
) -> None:
    """Refuse a table that has not exactly one row for each tile, sample and hour; place: (rows,) of each in `shape`."""
    rows, expected = len(place), math.prod(shape)
    if rows == expected:
        seen = np.zeros(expected, bool)
        seen[place] = True
        if seen.all():
            return
    # a table so sparse that its counts would not fit into memory is refused without saying where
    count = np.bincount(place, minlength=expected) if expected <= 50 * rows + 1000 else None
    doubled = rows - len(np.unique(place)) if count is None else int((count > 1).sum())
    if doubled:
        where = (
            "" if count is None else f"; first: {_where(int(np.argmax(count > 1)), shape, tiles, samples)}"
        )
        raise TableRefused(
            f"{name} has {doubled} doubled rows of {rows} (same tile, sample and hour{where})."
        )
    where = "" if count is None else f"; first: {_where(int(np.argmin(count)), shape, tiles, samples)}"
    raise TableRefused(
        f"{name} lacks {expected - rows} of the {expected} rows that {shape[0]} tiles x {shape[1]} samples x "
        f"{shape[2]} hours need{where}."
    )


def _where(place: int, shape: tuple[int, ...], tiles: np.ndarray, samples: np.ndarray) -> str:
    tile, sample, hour = np.unravel_index(place, shape)
    x, y = divmod(int(tiles[tile]), TILES_ACROSS)
    return f"tile {x},{y}, sample {int(samples[sample])}, hour {int(hour)}"


def _tile_columns(
    described: Metadata, tiles: np.ndarray, name: str
) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
    """covered_share and intensities from the metadata, laid on the table's tiles."""
    if not described:
        return None, {}
    try:
        x, y = (np.asarray(described[axis], np.int64) for axis in ("x", "y"))
        key = x * TILES_ACROSS + y
        known = {
            c: np.asarray(described[c], float) for c in ("covered_share", *INTENSITIES) if c in described
        }
        order = np.argsort(key)
        at = np.minimum(np.searchsorted(key[order], tiles), len(key) - 1)
        if (
            not len(key)
            or not (key[order][at] == tiles).all()
            or any(len(values) != len(key) for values in known.values())
        ):
            raise TableRefused(
                f"{name}: its metadata 'opendiff_tiles' does not list the table's tiles; write it again."
            )
    except TableRefused:
        raise
    except (KeyError, TypeError, ValueError, OverflowError, IndexError) as error:
        raise TableRefused(
            f"{name}: its metadata 'opendiff_tiles' cannot be read; write the table again."
        ) from error
    laid = {c: values[order][at] for c, values in known.items()}
    share = laid.pop("covered_share", None)
    if share is not None and not ((share > 0) & (share <= 1 + 1e-9)).all():
        raise TableRefused(
            f"{name}: its metadata states a covered share that is not above 0 and at most 1; write the table again."
        )
    return None if share is None else np.minimum(share, 1.0), laid


def _all_missing(column: pa.ChunkedArray) -> bool:
    """Whether every value is null or, among numbers, NaN."""
    is_float = pa.types.is_floating(column.type)
    return bool(pc.all(pc.is_null(column, nan_is_null=is_float)).as_py())


def _cast(table: pa.Table, name: str, file: str) -> np.ndarray:
    """A column as numbers of the kind that it is stored in, NaN where it is empty."""
    column = table.column(name)
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    try:
        plain = is_number and not column.null_count
        return np.asarray(column.to_numpy() if plain else column.cast(pa.float64()).to_numpy())
    except (pa.ArrowException, ValueError) as error:
        raise TableRefused(f"{file}: the column {name} holds something that is not a number.") from error


def _numbers(table: pa.Table, column: str, name: str) -> np.ndarray:
    """Finite numbers of at least 0, float32."""
    with np.errstate(over="ignore"):
        values = _cast(table, column, name).astype(np.float32, copy=False)
    lowest, highest = values.min(), values.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        bad = int((~np.isfinite(values)).sum())
        raise TableRefused(
            f"{name}: {bad} of {len(values)} rows have no finite {column}; fill or remove them."
        )
    if lowest < 0:
        raise TableRefused(
            f"{name}: {int((values < 0).sum())} of {len(values)} rows have a negative {column}."
        )
    return values


def _whole_numbers(table: pa.Table, column: str, name: str) -> np.ndarray:
    values = _cast(table, column, name)
    if values.dtype.kind == "f":
        bad = ~np.isfinite(values) | (values != np.round(values)) | (np.abs(values) >= 2.0**53)
        if bad.any():
            raise TableRefused(
                f"{name}: {int(bad.sum())} of {len(values)} rows have a {column} that is no whole number."
            )
    elif values.dtype == np.uint64 and (values > np.iinfo(np.int64).max).any():
        raise TableRefused(f"{name}: the column {column} holds numbers that are too large.")
    return values.astype(np.int64)
