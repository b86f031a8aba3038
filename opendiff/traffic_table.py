"""The traffic table: an ensemble of hourly traffic and users of one week for each tile, in one Parquet file.

The file is long: x int32, y int32, sample int16, hour int16, traffic float32, users float32, sorted by (x, y, sample,
hour). The schema metadata holds two JSON objects: `opendiff` (unit, model, seed, attribution, assumptions...) and
`opendiff_tiles` (columns x, y, covered_share and maybe relative intensities). A foreign file needs neither; without
`sample` it holds one sample, without `users` they are NaN.

A long run makes a folder of such files instead, `part-00000.parquet`, ..., each with some of the tiles, and `_run.json`
(`opendiff.partitions`). `plannerbase.traffic_file` reads them all.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from opendiff.area import Tiles, tile_frame
from opendiff.errors import TableError
from opendiff.storage.atomic import replacing
from plannerbase.counting import counted
from plannerbase.text import refused_as
from plannerbase.traffic_arrays import TrafficArrays, traffic_frame, traffic_statistics
from plannerbase.traffic_file import FORMAT, MAX_ROWS, check_hours, read_arrays

if TYPE_CHECKING:
    import plotly.graph_objects as go

ROWS_PER_GROUP = 1_000_000  # of a Parquet row group: what is held at once while a table is written
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

    traffic, users: (tiles, samples, hours) float32, at least 0, relative units unless metadata["unit"] says otherwise;
    168 hours as they are generated, of a file maybe fewer whole days. users may be all NaN (unknown). intensities:
    relative intensity of each tile, (tiles,), at least 0, for some of "poi", "business_poi", "population". Raises
    TableError on shapes that do not fit or impossible values.
    """

    tiles: Tiles
    traffic: np.ndarray
    users: np.ndarray
    intensities: dict[str, np.ndarray] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = self.traffic.shape
        if len(shape) != 3 or shape[0] != len(self.tiles) or shape[1] < 1:
            raise TableError(
                f"Traffic has shape {shape}; it must be ({len(self.tiles)} tiles, samples, hours)."
            )
        with refused_as(TableError):
            check_hours(shape[2], "The traffic")
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
            f"TrafficEnsemble({counted(len(self.tiles), 'tiles')} x {counted(self.samples, 'samples')} x {self.hours} "
            f"hours, {known}, {unit}, model {self.metadata.get('model', 'unknown')}, "
            f"source {self.metadata.get('source', 'unknown')})"
        )

    @property
    def samples(self) -> int:
        return self.traffic.shape[1]

    @property
    def hours(self) -> int:
        return self.traffic.shape[2]

    @property
    def has_users(self) -> bool:
        """Whether users are known; they are for all tiles or for none."""
        return not np.isnan(self.users).any()

    def median(self, quantity: Quantity = "traffic") -> np.ndarray:
        """Median over the samples, (tiles, hours)."""
        return np.median(getattr(self, quantity), axis=1)

    def quantile(self, q: float, quantity: Quantity = "traffic") -> np.ndarray:
        """Quantile q (0..1) over the samples, (tiles, hours)."""
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
        heading |= {"format": FORMAT, "hours": self.hours, "samples": self.samples, "tiles": len(x)}
        schema = SCHEMA.with_metadata(
            {b"opendiff": json.dumps(heading).encode(), b"opendiff_tiles": json.dumps(described).encode()}
        )
        rows_a_tile = self.samples * self.hours
        step = max(1, ROWS_PER_GROUP // rows_a_tile)
        sample = np.repeat(np.arange(self.samples, dtype=np.int16), self.hours)
        hour = np.tile(np.arange(self.hours, dtype=np.int16), self.samples)
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


def read_traffic(path: str | Path, max_values: int = MAX_ROWS) -> TrafficEnsemble:
    """Read a traffic table, ours or anybody's (`plannerbase.traffic_file`), or a folder of them that a finished run in
    parts made.

    max_values: rows of the table; more are refused by what the file says of itself, before they are unpacked. Raises
    TableError when columns, hours or values are missing, repeated or impossible.
    """
    with refused_as(TableError):
        x, y, traffic, users, share, intensities, metadata = read_arrays(path, str(path), max_values)
    users = np.full_like(traffic, np.nan) if users is None else users
    tiles = tile_frame(x, y, np.ones(len(x)) if share is None else share)
    return TrafficEnsemble(tiles, traffic, users, intensities, {"unit": "relative"} | metadata)


def to_plain(ensemble: TrafficEnsemble) -> dict[str, Any]:
    """The ensemble as plain values, see `plannerbase.plain`."""
    tiles = {name: ensemble.tiles[name].to_numpy() for name in ("x", "y", "covered_share")}
    rest = {name: getattr(ensemble, name) for name in ("traffic", "users", "intensities", "metadata")}
    return {"tiles": tiles} | rest


def from_plain(plain: dict[str, Any]) -> TrafficEnsemble:
    """What `to_plain` took apart. Raises TableError, as `TrafficEnsemble` does."""
    rest = {name: plain[name] for name in ("traffic", "users", "intensities", "metadata")}
    return TrafficEnsemble(tile_frame(**plain["tiles"]), **rest)


def _at_least_zero(values: np.ndarray) -> bool:
    """Whether all values are finite and none is negative; without a mask of the size of the table."""
    return bool(values.size == 0 or (np.isfinite(values.max()) and values.min() >= 0))
