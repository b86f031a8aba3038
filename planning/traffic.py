"""The traffic table: hourly traffic and users of tiles, from anybody (`plannerbase.traffic_file`), checked before it is
used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from plannerbase.source import Source
from plannerbase.text import refused_as
from plannerbase.traffic_arrays import HasTrafficArrays, TrafficArrays, traffic_frame, traffic_statistics
from plannerbase.traffic_file import MAX_ROWS, arrays_of_frame, check_hours, check_tiles, read_arrays
from planning.errors import InputError
from planning.geometry import tile_area_km2
from planning.tile_series import TileSeries

if TYPE_CHECKING:
    import plotly.graph_objects as go


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
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, source: Source, name: str | None = None, most_rows: int = MAX_ROWS) -> TrafficTable:
        """Read a Parquet or CSV file (path, bytes or binary file object), or a folder of Parquet parts.

        most_rows: of a file; more are refused before they are unpacked, for Parquet packs a million rows into nothing.
        Raises InputError, one sentence with counts, for anything that cannot be planned on.
        """
        with refused_as(InputError):
            arrays = read_arrays(source, name, most_rows)
        return cls.from_arrays(*arrays)

    @classmethod
    def of(cls, traffic: Traffic) -> TrafficTable:
        """Traffic of any origin as a table.

        Parameters
        ----------
        traffic : TrafficTable, DataFrame, path, or anything with a method `arrays`
            A generated ensemble (`opendiff.generate`), a long table with columns or index levels x, y, sample, hour (or
            time), traffic and users, or a Parquet or CSV file, or a folder of Parquet parts.

        Raises
        ------
        InputError
            For anything that cannot be planned on, in one sentence with counts.
        """
        if isinstance(traffic, TrafficTable):
            return traffic
        if isinstance(traffic, pd.DataFrame):
            with refused_as(InputError):
                arrays = arrays_of_frame(traffic)
            return cls.from_arrays(*arrays)
        if isinstance(traffic, str | Path):
            return cls.read(traffic)
        if isinstance(traffic, HasTrafficArrays):
            return cls.from_arrays(*traffic.arrays())
        raise InputError(
            f"Traffic is a table, a data frame, a file or a generated ensemble, not a {type(traffic).__name__}."
        )

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
        traffic = _by_sample(traffic)
        if traffic.ndim != 3 or len(traffic) != len(x) or len(x) != len(y) or not len(x):
            raise InputError(
                f"The traffic must have the shape (tiles, samples, hours) for {len(x)} tiles, not {traffic.shape}."
            )
        if users is not None:
            users = _by_sample(users)
            if users.shape != traffic.shape:
                raise InputError(f"The users have the shape {users.shape}, the traffic {traffic.shape}.")
            if not np.isfinite(users).all():
                users = None  # not all known: as good as none
        _check_values("traffic", traffic)
        if users is not None:
            _check_values("users", users)
        with refused_as(InputError):
            check_hours(traffic.shape[2], "The traffic")
            check_tiles(x, y, "The traffic")
        share = np.ones(len(x)) if covered_share is None else np.asarray(covered_share, float)
        if share.shape != x.shape or not ((share > 0) & (share <= 1 + 1e-9)).all():
            raise InputError("The covered share of every tile must lie above 0 and at most at 1.")
        weights = {key: np.asarray(values, float) for key, values in (intensities or {}).items()}
        for key, weight in weights.items():
            if weight.shape != x.shape or not (np.isfinite(weight) & (weight >= 0)).all():
                raise InputError(f"The intensity '{key}' must be one number of at least 0 for each tile.")
        order = np.lexsort((y, x))
        return cls(
            x[order],
            y[order],
            traffic[order],
            None if users is None else users[order],
            np.minimum(share[order], 1.0),
            {key: weight[order] for key, weight in weights.items()},
            dict(metadata or {}),
        )

    def arrays(self) -> TrafficArrays:
        """The table as plain arrays, which `from_arrays` takes."""
        return TrafficArrays(
            self.x, self.y, self.traffic, self.users, self.covered_share, self.intensities, self.metadata
        )

    def to_pandas(self, start: str | pd.Timestamp | None = None) -> pd.DataFrame:
        """The table as a long one, see `plannerbase.traffic_arrays.traffic_frame`."""
        return traffic_frame(self.arrays(), start)

    def statistics(self) -> pd.Series:
        """Figures of the area, see `plannerbase.traffic_arrays.traffic_statistics`."""
        return traffic_statistics(self.arrays())

    def plot(self) -> go.Figure:
        """The traffic of the area by hour, with the central 50 and 90 % of the samples."""
        from plannerbase.figures import week_figure

        return week_figure(self.area_profile(), str(self.metadata.get("unit", "relative units")))

    def __repr__(self) -> str:
        unit = self.metadata.get("unit", "relative")
        return f"TrafficTable({self.tiles:,} tiles x {self.samples} samples x {self.hours} hours, {unit})"

    @property
    def series(self) -> np.ndarray:
        """The traffic."""
        return self.traffic

    @cached_property
    def area_km2(self) -> float:
        """Ground area that the tiles cover, by their covered share."""
        return float((tile_area_km2(self.x, self.y) * self.covered_share).sum())

    def area_profile(self) -> np.ndarray:
        """(samples, hours) traffic of the whole area, in the table's own units."""
        return np.einsum("t,tsh->sh", self.covered_share, self.traffic.astype(np.float64))


Traffic: TypeAlias = "TrafficTable | HasTrafficArrays | pd.DataFrame | str | Path"


def _check_values(what: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise InputError(
            f"{int((~np.isfinite(values)).sum())} of {values.size} {what} values are not finite."
        )
    if (values < 0).any():
        raise InputError(f"{int((values < 0).sum())} of {values.size} {what} values are negative.")


def _by_sample(values: ArrayLike) -> np.ndarray:
    """(tiles, samples, hours) float32 of values that may lack the samples."""
    values = np.asarray(values, np.float32)
    return values[:, None, :] if values.ndim == 2 else values
