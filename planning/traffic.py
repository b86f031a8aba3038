"""The traffic table: hourly traffic and users of tiles, from anybody, checked before it is used.

Format (Parquet or CSV, long): `x, y` zoom-15 tile, `sample` (optional), `hour` 0.., `traffic`, `users` (optional).
Values describe whole tiles. A folder of Parquet parts with a `_run.json`, as a long run of the generator makes, is one
table. Parquet metadata `opendiff` and `opendiff_tiles` are read where present.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from intake.delimited import read_csv
from intake.source import Source, content_of, name_of
from intake.text import Refused, read_json
from planning.errors import InputError
from planning.geometry import ZOOM, tile_area_km2
from planning.tile_series import TileSeries

INTENSITIES = ("poi", "business_poi", "population")
PART_GLOB, RUN_FILE = "part-*.parquet", "_run.json"
_REQUIRED = ("x", "y", "hour", "traffic")
_KNOWN = (*_REQUIRED, "sample", "users")
MAX_BYTES, MAX_ROWS = 4_000_000_000, 200_000_000
_WANTED = "the columns x, y, hour, traffic (and sample, users where known)"


@dataclass(frozen=True)
class TrafficTable(TileSeries):
    """Traffic of tiles.

    x, y: (tiles,) int. traffic: (tiles, samples, hours) float32 >= 0, relative units unless metadata["unit"] says
    otherwise, of the WHOLE tile. users: same shape or None. covered_share: (tiles,) in (0, 1], how much of the tile
    the area covers. intensities: name -> (tiles,) relative weights >= 0 ("poi", "business_poi", "population").
    """

    x: np.ndarray
    y: np.ndarray
    traffic: np.ndarray
    users: np.ndarray | None
    covered_share: np.ndarray
    intensities: dict[str, np.ndarray] = field(default_factory=dict)
    metadata: dict = field(default_factory=dict)

    @classmethod
    def read(cls, source: Source, name: str | None = None, most_rows: int = MAX_ROWS) -> TrafficTable:
        """Read a Parquet or CSV file (path, bytes or binary file object), or a folder of Parquet parts.

        most_rows: of a file; more are refused before they are unpacked, for Parquet packs a million rows into nothing.
        Raises InputError, one sentence with counts, for anything that cannot be planned on.
        """
        if isinstance(source, (str, Path)) and Path(source).is_dir():
            return _from_frame(*_parse_parts(Path(source)), Path(source).name)
        data, name = _bytes(source, name)
        table, metadata, tile_columns = _parse(data, name, most_rows)
        return _from_frame(table, metadata, tile_columns, name)

    @classmethod
    def from_arrays(
        cls,
        x: ArrayLike,
        y: ArrayLike,
        traffic: ArrayLike,
        users: ArrayLike | None = None,
        covered_share: ArrayLike | None = None,
        intensities: Mapping[str, ArrayLike] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> TrafficTable:
        """A table from arrays that are already at hand; traffic (tiles, samples, hours) or (tiles, hours)."""
        x, y = np.asarray(x, np.int64), np.asarray(y, np.int64)
        traffic = np.asarray(traffic, np.float32)
        if traffic.ndim == 2:
            traffic = traffic[:, None, :]
        if traffic.ndim != 3 or len(traffic) != len(x) or len(x) != len(y) or not len(x):
            raise InputError(
                f"The traffic must have the shape (tiles, samples, hours) for {len(x)} tiles, not {traffic.shape}."
            )
        if users is not None:
            users = np.asarray(users, np.float32)
            users = users[:, None, :] if users.ndim == 2 else users
            if users.shape != traffic.shape:
                raise InputError(f"The users have the shape {users.shape}, the traffic {traffic.shape}.")
            if not np.isfinite(users).all():
                users = None
        _check_values("traffic", traffic)
        if users is not None:
            _check_values("users", users)
        _check_hours(traffic.shape[2], "The traffic")
        _check_tiles(x, y)
        share = np.ones(len(x)) if covered_share is None else np.asarray(covered_share, float)
        if share.shape != x.shape or not ((share > 0) & (share <= 1 + 1e-9)).all():
            raise InputError("The covered share of every tile must lie above 0 and at most at 1.")
        kept = {}
        for key, values in (intensities or {}).items():
            values = np.asarray(values, float)
            if values.shape != x.shape or not (np.isfinite(values) & (values >= 0)).all():
                raise InputError(f"The intensity '{key}' must be one number of at least 0 for each tile.")
            kept[key] = values
        order = np.lexsort((y, x))
        return cls(
            x[order],
            y[order],
            traffic[order],
            None if users is None else users[order],
            np.minimum(share[order], 1.0),
            {key: values[order] for key, values in kept.items()},
            dict(metadata or {}),
        )

    @property
    def series(self) -> np.ndarray:
        return self.traffic

    @cached_property
    def area_km2(self) -> float:
        """Ground area that the tiles cover, by their covered share."""
        return float((tile_area_km2(self.x, self.y) * self.covered_share).sum())

    def area_profile(self) -> np.ndarray:
        """(samples, hours) traffic of the whole area, in the table's own units."""
        return np.einsum("t,tsh->sh", self.covered_share, self.traffic.astype(np.float64))


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


def _parse_parts(folder: Path) -> tuple[pa.Table, dict, dict]:
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


def _parse(data: bytes, name: str, most_rows: int = MAX_ROWS) -> tuple[pa.Table, dict, dict]:
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
            table = pq.read_table(io.BytesIO(data), columns=[c for c in _KNOWN if c in schema.names])
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{name} is a damaged Parquet file ({str(error).splitlines()[0]}).") from error
        stored = table.schema.metadata or {}
        return table, _json(stored, b"opendiff", name), _json(stored, b"opendiff_tiles", name)
    try:
        frame = read_csv(data, most_rows)
        table = pa.Table.from_pandas(frame[[c for c in _KNOWN if c in frame]], preserve_index=False)
    except (ValueError, OverflowError, pa.ArrowException) as error:
        raise InputError(f"{name} is neither Parquet nor a readable CSV file; it needs {_WANTED}.") from error
    return table, {}, {}


def _json(stored: dict, key: bytes, name: str) -> dict:
    if key not in stored:
        return {}
    try:
        value = read_json(stored[key])
    except ValueError as error:
        raise InputError(
            f"{name}: its metadata '{key.decode()}' is not valid JSON; write the table again."
        ) from error
    return value if isinstance(value, dict) else {}


def _from_frame(table: pa.Table, metadata: dict, tile_columns: dict, name: str) -> TrafficTable:
    missing = [c for c in _REQUIRED if c not in table.column_names]
    if missing:
        found = ", ".join(table.column_names[:8]) or "none"
        raise InputError(
            f"{name} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)} (found: {found})."
        )
    rows = table.num_rows
    if not rows:
        raise InputError(f"{name} has no rows; a traffic table needs {_WANTED}.")
    whole = {c: _whole_numbers(table, c, name) for c in ("x", "y", "hour")}
    sample = (
        _whole_numbers(table, "sample", name) if "sample" in table.column_names else np.zeros(rows, np.int64)
    )
    traffic = _numbers(table, "traffic", name, rows)
    users = None
    if "users" in table.column_names and not _all_missing(table.column("users")):
        users = _numbers(table, "users", name, rows)
    x, y, hour = whole["x"], whole["y"], whole["hour"]
    _check_tiles(x, y, name)
    tile_key = x * (1 << ZOOM) + y
    tile_ids, tile = np.unique(tile_key, return_inverse=True)
    sample_ids, sample = np.unique(sample, return_inverse=True)
    if hour.min() < 0:
        raise InputError(f"{name} has {int((hour < 0).sum())} of {rows} rows with a negative hour.")
    hours = int(hour.max()) + 1
    _check_hours(hours, name)
    shape = (len(tile_ids), len(sample_ids), hours)
    expected = int(np.prod(shape))
    position = (tile.astype(np.int64) * shape[1] + sample) * hours + hour
    count = np.bincount(position, minlength=expected) if expected <= 50 * rows + 1000 else None
    doubled = rows - len(np.unique(position)) if count is None else int((count > 1).sum())
    if doubled:
        first = (
            ""
            if count is None
            else f"; first: {_where(int(np.argmax(count > 1)), shape, tile_ids, sample_ids)}"
        )
        raise InputError(f"{name} has {doubled} doubled rows of {rows} (same tile, sample and hour{first}).")
    if rows < expected:
        gap = (
            "" if count is None else f"; first: {_where(int(np.argmin(count)), shape, tile_ids, sample_ids)}"
        )
        raise InputError(
            f"{name} lacks {expected - rows} of the {expected} rows that {shape[0]} tiles x {shape[1]} samples x "
            f"{hours} hours need{gap}."
        )
    order = np.argsort(position, kind="stable")
    tile_x, tile_y = tile_ids >> ZOOM, tile_ids & ((1 << ZOOM) - 1)
    share, intensities = _tile_columns(tile_columns, tile_ids, name)
    return TrafficTable.from_arrays(
        tile_x,
        tile_y,
        traffic[order].reshape(shape),
        None if users is None else users[order].reshape(shape),
        share,
        intensities,
        metadata,
    )


def _where(position: int, shape: tuple[int, ...], tile_ids: np.ndarray, sample_ids: np.ndarray) -> str:
    tile, sample, hour = np.unravel_index(position, shape)
    x, y = int(tile_ids[tile]) >> ZOOM, int(tile_ids[tile]) & ((1 << ZOOM) - 1)
    return f"tile {x},{y}, sample {int(sample_ids[sample])}, hour {int(hour)}"


def _tile_columns(columns: dict, tile_ids: np.ndarray, name: str) -> tuple[np.ndarray | None, dict]:
    """covered_share and intensities from the metadata, laid on the table's tiles."""
    if not columns:
        return None, {}
    try:
        key = np.asarray(columns["x"], np.int64) * (1 << ZOOM) + np.asarray(columns["y"], np.int64)
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


def _numbers(table: pa.Table, column: str, name: str, rows: int) -> np.ndarray:
    try:
        values = table.column(column).cast(pa.float64()).to_numpy()
    except (pa.ArrowException, ValueError) as error:
        raise InputError(f"{name}: the column {column} holds something that is not a number.") from error
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise InputError(f"{name}: {bad} of {rows} rows have no finite {column}; fill or remove them.")
    if (values < 0).any():
        raise InputError(f"{name}: {int((values < 0).sum())} of {rows} rows have a negative {column}.")
    return values


def _whole_numbers(table: pa.Table, column: str, name: str) -> np.ndarray:
    try:
        values = table.column(column).cast(pa.float64()).to_numpy()
    except (pa.ArrowException, ValueError) as error:
        raise InputError(f"{name}: the column {column} holds something that is not a number.") from error
    bad = ~np.isfinite(values) | (values != np.round(values))
    if bad.any():
        raise InputError(
            f"{name}: {int(bad.sum())} of {len(values)} rows have a {column} that is no whole number."
        )
    return values.astype(np.int64)


def _check_values(what: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise InputError(
            f"{int((~np.isfinite(values)).sum())} of {values.size} {what} values are not finite."
        )
    if (values < 0).any():
        raise InputError(f"{int((values < 0).sum())} of {values.size} {what} values are negative.")


def _check_hours(hours: int, name: str) -> None:
    if hours % 24 or not 24 <= hours <= 168:
        raise InputError(f"{name} has the hours 0..{hours - 1}; whole days are needed, 0..23 up to 0..167.")


def _check_tiles(x: np.ndarray, y: np.ndarray, name: str = "The traffic") -> None:
    outside = (x < 0) | (y < 0) | (x >= 1 << ZOOM) | (y >= 1 << ZOOM)
    if outside.any():
        raise InputError(
            f"{name} has {int(outside.sum())} rows whose x, y are no zoom-{ZOOM} tile (0..{(1 << ZOOM) - 1})."
        )
