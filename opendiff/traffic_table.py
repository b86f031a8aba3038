"""The traffic table: an ensemble of hourly traffic and users of one week for each tile, in one Parquet file.

The file is long: x int32, y int32, sample int16, hour int16, traffic float32, users float32, sorted by (x, y, sample,
hour). The schema metadata holds two JSON objects: `opendiff` (unit, model, seed, attribution, assumptions...) and
`opendiff_tiles` (columns x, y, covered_share and maybe relative intensities). A foreign file needs neither; without
`sample` it holds one sample, without `users` they are NaN.

A long run makes a folder of such files instead, `part-00000.parquet`, ..., each with some of the tiles, and `_run.json`
(`opendiff.partitions`).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from opendiff.area import Tiles, tile_frame
from opendiff.area.tile_grid import TILES_ACROSS
from opendiff.conditions import INTENSITIES
from opendiff.errors import TableError
from opendiff.storage.atomic import replacing
from opendiff.week import HOURS
from plannerbase.guard import guarded
from plannerbase.text import read_json
from plannerbase.traffic_arrays import TrafficArrays, traffic_frame, traffic_statistics

if TYPE_CHECKING:
    import plotly.graph_objects as go

FORMAT = 1  # of the file, for readers of later versions
MAX_VALUES = 400_000_000  # tiles x samples x hours that are read into memory (about 3 GB)
ROWS_PER_GROUP = 1_000_000  # of a Parquet row group: what is held at once while a table is written
PART_GLOB, RUN_FILE = "part-*.parquet", "_run.json"
SCHEMA = pa.schema(
    [
        ("x", pa.int32()),
        ("y", pa.int32()),
        ("sample", pa.int16()),
        ("hour", pa.int16()),
        ("traffic", pa.float32()),
        ("users", pa.float32()),
    ]
)
Quantity = Literal["traffic", "users"]


@dataclass(frozen=True)
class TrafficEnsemble:
    """Hourly traffic of `tiles`, row for row, of whole tiles (consumers multiply by covered_share).

    traffic, users: (tiles, samples, 168) float32, at least 0, relative units unless metadata["unit"] says otherwise;
    users may be all NaN (unknown). intensities: relative intensity of each tile, (tiles,), at least 0, for some of
    "poi", "business_poi", "population". Raises TableError on shapes that do not fit or impossible values.
    """

    tiles: Tiles
    traffic: np.ndarray
    users: np.ndarray
    intensities: dict[str, np.ndarray] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = self.traffic.shape
        if len(shape) != 3 or shape[0] != len(self.tiles) or shape[1] < 1 or shape[2] != HOURS:
            raise TableError(
                f"Traffic has shape {shape}; it must be ({len(self.tiles)} tiles, samples, {HOURS})."
            )
        if self.users.shape != shape:
            raise TableError(f"Users have shape {self.users.shape} and traffic {shape}; they must agree.")
        if not _at_least_zero(self.traffic):
            raise TableError("Traffic holds a value that is negative or not finite; correct the table.")
        if not (np.isnan(self.users).all() or _at_least_zero(self.users)):
            raise TableError(
                "Users hold a value that is negative or not finite; correct the table or drop them."
            )
        for name, values in self.intensities.items():
            if values.shape != shape[:1] or not _at_least_zero(values):
                raise TableError(
                    f"The intensity {name} must be one finite number of at least 0 for each tile."
                )

    def __repr__(self) -> str:
        known = "traffic and users" if self.has_users else "traffic"
        unit = self.metadata.get("unit", "relative")
        return (
            f"TrafficEnsemble({len(self.tiles):,} tiles x {self.samples} samples x {HOURS} hours, {known}, {unit}, "
            f"model {self.metadata.get('model', 'unknown')}, source {self.metadata.get('source', 'unknown')})"
        )

    @property
    def samples(self) -> int:
        return self.traffic.shape[1]

    @property
    def has_users(self) -> bool:
        """Whether users are known; they are for all tiles or for none."""
        return not np.isnan(self.users).any()

    def median(self, quantity: Quantity = "traffic") -> np.ndarray:
        """Median over the samples, (tiles, 168)."""
        return np.median(getattr(self, quantity), axis=1)

    def quantile(self, q: float, quantity: Quantity = "traffic") -> np.ndarray:
        """Quantile q (0..1) over the samples, (tiles, 168)."""
        return np.quantile(getattr(self, quantity), q, axis=1)

    def weekly_mean(self, quantity: Quantity = "traffic") -> np.ndarray:
        """Mean over samples and hours: the expected level of each tile, (tiles,)."""
        return getattr(self, quantity).mean(axis=(1, 2), dtype=np.float64)

    def arrays(self) -> TrafficArrays:
        """The ensemble as plain arrays: what planners take it for (`planning.TrafficTable.of`)."""
        return TrafficArrays(
            self.tiles["x"].to_numpy(),
            self.tiles["y"].to_numpy(),
            self.traffic,
            self.users if self.has_users else None,
            self.tiles["covered_share"].to_numpy(),
            self.intensities,
            self.metadata,
        )

    def to_pandas(self, start: str | pd.Timestamp | None = None) -> pd.DataFrame:
        """The ensemble as a long table, with a time index where `start` is given.

        Parameters
        ----------
        start : str or Timestamp, optional
            Date-time of hour 0, local time of the area: a Monday.

        Returns
        -------
        DataFrame
            See `plannerbase.traffic_arrays.traffic_frame`.
        """
        return traffic_frame(self.arrays(), start)

    def to_geodataframe(self) -> Tiles:
        """The tiles with what they carry.

        Returns
        -------
        GeoDataFrame
            EPSG:4326, a row a tile: x, y, covered_share, `mean` (over samples and hours), `peak` (highest hour of the
            median week), `peak_hour` (0..167), `users` (mean, where known), and the intensities; units of the ensemble.
        """
        median = self.median()
        more = {"mean": self.weekly_mean(), "peak": median.max(axis=1), "peak_hour": median.argmax(axis=1)}
        if self.has_users:
            more["users"] = self.weekly_mean("users")
        return self.tiles.assign(**more, **self.intensities)

    def statistics(self) -> pd.Series:
        """Figures of the area, see `plannerbase.traffic_arrays.traffic_statistics`."""
        return traffic_statistics(self.arrays())

    def plot(self) -> "go.Figure":
        """The traffic of the area by hour, with the central 50 and 90 % of the samples, as a plotly figure."""
        from plannerbase.figures import week_figure

        share = self.tiles["covered_share"].to_numpy()
        area = np.einsum("t,tsh->sh", share, self.traffic, dtype=np.float64)
        return week_figure(area, str(self.metadata.get("unit", "relative units")))

    def save(self, path: str | Path) -> None:
        """Write the traffic table to `path`, whole or not at all. Raises TableError where it cannot be written."""
        path = Path(path)
        try:
            with replacing(path) as temporary:
                self.write(temporary)
        except OSError as error:
            raise TableError(
                f"The traffic table cannot be written to {path} ({error.strerror or error}); choose another place."
            ) from None

    def write(self, where: Path | BinaryIO) -> None:
        """Write the traffic table to a file that nobody reads yet, or into memory. Raises OSError."""
        order = np.lexsort((self.tiles["y"], self.tiles["x"]))
        x, y = (self.tiles[axis].to_numpy(np.int32)[order] for axis in ("x", "y"))
        described = {
            "x": x.tolist(),
            "y": y.tolist(),
            "covered_share": self.tiles["covered_share"].to_numpy()[order].tolist(),
        }
        described |= {name: values[order].astype(float).tolist() for name, values in self.intensities.items()}
        heading = {"unit": "relative"} | self.metadata
        heading |= {"format": FORMAT, "hours": HOURS, "samples": self.samples, "tiles": len(x)}
        schema = SCHEMA.with_metadata(
            {b"opendiff": json.dumps(heading).encode(), b"opendiff_tiles": json.dumps(described).encode()}
        )
        rows_a_tile = self.samples * HOURS
        step = max(1, ROWS_PER_GROUP // rows_a_tile)
        sample = np.repeat(np.arange(self.samples, dtype=np.int16), HOURS)
        hour = np.tile(np.arange(HOURS, dtype=np.int16), self.samples)
        with pq.ParquetWriter(where, schema, compression="zstd") as writer:
            for start in range(0, len(x), step):
                part = slice(start, start + step)
                count = len(x[part])
                columns = [
                    np.repeat(x[part], rows_a_tile),
                    np.repeat(y[part], rows_a_tile),
                    np.tile(sample, count),
                    np.tile(hour, count),
                    self.traffic[order[part]].astype(np.float32).reshape(-1),
                    self.users[order[part]].astype(np.float32).reshape(-1),
                ]
                writer.write_table(
                    pa.Table.from_arrays([pa.array(column) for column in columns], schema=schema)
                )


def read_traffic(path: str | Path, max_values: int = MAX_VALUES) -> TrafficEnsemble:
    """Read a traffic table, ours or a foreign one with columns x, y, hour, traffic and maybe sample, users; or a folder
    of them that a finished run in parts made.

    max_values: rows of the table; more are refused by what the file says of itself, before they are unpacked. Raises
    TableError when columns, hours or values are missing, repeated or impossible.
    """
    return _read(Path(path), max_values)


def to_plain(ensemble: TrafficEnsemble) -> dict[str, Any]:
    """The ensemble as plain values, see `plannerbase.plain`."""
    tiles = {name: ensemble.tiles[name].to_numpy() for name in ("x", "y", "covered_share")}
    rest = {name: getattr(ensemble, name) for name in ("traffic", "users", "intensities", "metadata")}
    return {"tiles": tiles} | rest


def from_plain(plain: dict[str, Any]) -> TrafficEnsemble:
    """What `to_plain` took apart. Raises TableError, as `TrafficEnsemble` does."""
    rest = {name: plain[name] for name in ("traffic", "users", "intensities", "metadata")}
    return TrafficEnsemble(tile_frame(**plain["tiles"]), **rest)


@guarded(TableError, pack=to_plain, unpack=from_plain)
def _read(path: Path, max_values: int) -> TrafficEnsemble:
    files = _parts(path) if path.is_dir() else [path]
    try:
        schemas = [pq.read_schema(file) for file in files]
        if missing := [name for name in ("x", "y", "hour", "traffic") if name not in schemas[0].names]:
            raise TableError(
                f"{path} lacks the column {missing[0]}; a traffic table has x, y, hour and traffic."
            )
        rows = sum(pq.read_metadata(file).num_rows for file in files)
        if not 0 < rows <= max_values:
            raise TableError(f"{path} has {rows:,} rows; a traffic table has from 1 to {max_values:,}.")
        present = [name for name in SCHEMA.names if name in schemas[0].names]
        table = pa.concat_tables([pq.read_table(file, columns=present) for file in files])
    except FileNotFoundError:
        raise TableError(
            f"There is no traffic table {path}; generate one or name an existing file."
        ) from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read as a traffic table ({error}); it must be Parquet.") from None
    columns = {name: _column(table, name, path) for name in present}
    x, y = _tile_numbers(columns, path)
    keys, tile = _numbered(x * TILES_ACROSS + y)
    traffic, users = _arrange(columns, tile, len(keys), path)
    metadata = _heading(schemas[0], "opendiff", path)
    described = _joined([_heading(schema, "opendiff_tiles", path) for schema in schemas])
    if metadata.get("format", FORMAT) != FORMAT:
        raise TableError(
            f"{path} has format {metadata['format']!r}, which this version cannot read; update it."
        )
    x, y = keys // TILES_ACROSS, keys % TILES_ACROSS
    share, intensities = _described(described, x, y, path)
    return TrafficEnsemble(
        tile_frame(x, y, share), traffic, users, intensities, {"unit": "relative"} | metadata
    )


def _parts(folder: Path) -> list[Path]:
    """The files of a finished run in parts."""
    try:
        complete = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))["complete"]
    except (OSError, ValueError, KeyError, TypeError):
        raise TableError(f"{folder} is no traffic table; it lacks a readable {RUN_FILE}.") from None
    if not complete:
        raise TableError(f"The run in {folder} is not finished; give its command again, and it goes on.")
    return sorted(folder.glob(PART_GLOB))


def _joined(described: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """What parts say of their tiles, as one; only what each of them says."""
    filled = [part for part in described if part.get("x")]
    if not filled:
        return {}
    names = [name for name in filled[0] if all(name in part for part in filled)]
    return {name: [value for part in filled for value in part[name]] for name in names}


def _column(table: pa.Table, name: str, path: Path) -> np.ndarray:
    """A column as float32 (traffic, users) or int64 (the others). Raises TableError."""
    column = table.column(name)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise TableError(f"The column {name} of {path} is {column.type}; it must be numeric.")
    if column.null_count:
        if name != "users" or column.null_count < len(column):
            raise TableError(f"The column {name} of {path} has empty values; fill or remove these rows.")
        return np.full(len(column), np.nan, np.float32)
    values = column.to_numpy()
    if name in ("traffic", "users"):
        return values.astype(np.float32, copy=False)
    # NaN is no whole number either: it is not equal to itself
    if pa.types.is_floating(column.type) and not np.all(values == np.floor(values)):
        raise TableError(
            f"The column {name} of {path} holds values that are not whole numbers; correct them."
        )
    return values.astype(np.int64)


def _tile_numbers(columns: dict[str, np.ndarray], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """x and y of each row; raises TableError where they, or the hour, are out of range."""
    x, y, hour = columns["x"], columns["y"], columns["hour"]
    if min(x.min(), y.min()) < 0 or max(x.max(), y.max()) >= TILES_ACROSS:
        raise TableError(
            f"{path} has tile numbers outside 0..{TILES_ACROSS - 1}; x and y are zoom-15 tile numbers."
        )
    if hour.min() < 0 or hour.max() >= HOURS:
        raise TableError(f"{path} has an hour outside 0..{HOURS - 1}; a traffic table holds one week.")
    return x, y


def _arrange(
    columns: dict[str, np.ndarray], tile: np.ndarray, tiles: int, path: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Traffic and users as (tiles, samples, 168), checked to have each combination exactly once."""
    sample_names, sample = _numbered(columns.get("sample", np.zeros(1, np.int64)))
    shape = (tiles, len(sample_names), HOURS)
    size = math.prod(shape)
    place = (tile * shape[1] + sample) * HOURS + columns["hour"]
    seen = np.zeros(size if len(place) == size else 0, bool)
    if seen.size:
        seen[place] = True
    if not (seen.size and seen.all()):
        if len(np.unique(place)) < len(place):
            raise TableError(
                f"{path} lists an hour of a tile twice; keep one row for each x, y, sample, hour."
            )
        raise TableError(
            f"{path} lacks hours of a tile or sample; every tile needs all {HOURS} in each sample."
        )
    traffic = np.empty(size, np.float32)
    traffic[place] = columns["traffic"]
    users = np.full_like(traffic, np.nan)
    if "users" in columns:
        users[place] = columns["users"]
    return traffic.reshape(shape), users.reshape(shape)


def _numbered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different values, sorted, and the number of each row's value; quick where equal values stand together."""
    start = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1])
    different, number = np.unique(values[start], return_inverse=True)
    return different, np.repeat(number, np.diff(start, append=len(values)))


def _heading(schema: pa.Schema, key: str, path: Path) -> dict[str, Any]:
    """A JSON object of the schema's metadata, empty where there is none. Raises TableError."""
    text = (schema.metadata or {}).get(key.encode())
    if text is None:
        return {}
    try:
        heading = read_json(text)
    except ValueError:
        heading = None
    if not isinstance(heading, dict):
        raise TableError(f"The metadata {key} of {path} is damaged; generate the table again.")
    return heading


def _described(
    described: dict[str, Any], x: np.ndarray, y: np.ndarray, path: Path
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Covered share and intensities in the order of the tiles x, y; a table without them has full shares and none."""
    if not described:
        return np.ones(len(x)), {}
    try:
        frame = pd.DataFrame(described).astype(float).set_index(["x", "y"])
        frame = frame.loc[pd.MultiIndex.from_arrays([x, y])]
    except (ValueError, KeyError, TypeError):
        raise TableError(
            f"The tile metadata of {path} does not fit its rows; generate the table again."
        ) from None
    share = frame["covered_share"].to_numpy() if "covered_share" in frame else np.ones(len(x))
    if not ((share > 0) & (share <= 1)).all():
        raise TableError(
            f"{path} has a covered share that is not above 0 and at most 1; generate the table again."
        )
    return share, {name: frame[name].to_numpy() for name in INTENSITIES if name in frame}


def _at_least_zero(values: np.ndarray) -> bool:
    """Whether all values are finite and none is negative; without a mask of the size of the table."""
    return bool(values.size == 0 or (np.isfinite(values.max()) and values.min() >= 0))
