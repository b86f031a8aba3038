"""Hourly traffic of tiles as plain arrays: what the generator and the planners exchange in memory.

Neither knows the other. Anything with a method `arrays` that returns `TrafficArrays` is traffic to the planners.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from plannerbase.bands import band

INTENSITIES: tuple[str, ...] = ("poi", "business_poi", "population")  # that a tile may be known by


class TrafficArrays(NamedTuple):
    """Traffic of tiles, row for row.

    Attributes
    ----------
    x, y : (tiles,) int
        Zoom-15 tile numbers.
    traffic : (tiles, samples, hours) float
        At least 0, of whole tiles; relative units unless metadata["unit"] says otherwise.
    users : (tiles, samples, hours) float or None
        None where unknown.
    covered_share : (tiles,) float or None
        Share of each tile inside the area, above 0 and at most 1; None: all of it.
    intensities : dict of str to (tiles,) float
        Relative weights for some of "poi", "business_poi", "population".
    metadata : dict
        Unit, model, seed, attribution, assumptions, as plain values.
    """

    x: np.ndarray
    y: np.ndarray
    traffic: np.ndarray
    users: np.ndarray | None
    covered_share: np.ndarray | None
    intensities: dict[str, np.ndarray]
    metadata: dict[str, Any]


@runtime_checkable
class HasTrafficArrays(Protocol):
    """Traffic of any origin, such as an ensemble of the generator."""

    def arrays(self) -> TrafficArrays:
        """The traffic."""
        ...


def traffic_frame(arrays: TrafficArrays, start: str | pd.Timestamp | None = None) -> pd.DataFrame:
    """Traffic as a long table, which `planning.TrafficTable.of` reads again.

    Parameters
    ----------
    arrays : TrafficArrays
    start : str or Timestamp, optional
        Date-time of hour 0, local time of the area: a Monday for a week. The index level `hour` is then `time`.

    Returns
    -------
    DataFrame
        Columns `traffic` and, where known, `users`; index (x, y, sample, hour) or (x, y, sample, time). `attrs` holds
        the metadata and what is known of the tiles.
    """
    tiles, samples, hours = arrays.traffic.shape
    places = pd.MultiIndex.from_arrays([arrays.x, arrays.y], names=["x", "y"])
    steps: Any = np.arange(hours)
    if start is not None:
        steps = pd.date_range(start, periods=hours, freq="h")
    each = np.repeat(np.arange(tiles), samples * hours)
    index = pd.MultiIndex.from_arrays(
        [
            places.get_level_values("x")[each],
            places.get_level_values("y")[each],
            np.tile(np.repeat(np.arange(samples), hours), tiles),
            pd.Index(steps)[np.tile(np.arange(hours), tiles * samples)],
        ],
        names=["x", "y", "sample", "hour" if start is None else "time"],
    )
    columns = {"traffic": arrays.traffic.reshape(-1)}
    if arrays.users is not None:
        columns["users"] = arrays.users.reshape(-1)
    frame = pd.DataFrame(columns, index=index)
    known = {"x": arrays.x, "y": arrays.y, **arrays.intensities}
    if arrays.covered_share is not None:
        known["covered_share"] = arrays.covered_share
    frame.attrs = {
        "opendiff": arrays.metadata,
        "opendiff_tiles": {name: values.tolist() for name, values in known.items()},
    }
    return frame


def traffic_statistics(arrays: TrafficArrays) -> pd.Series:
    """Figures of the traffic of an area.

    Returns
    -------
    Series
        `tiles`, `samples`, `hours`; `mean`, `peak` and `night` (lowest) of the area's median course by hour, in the
        unit of the traffic; `busy_hour` (0 is Monday 00:00); `peak_to_mean`; `band_90`, the width of the central 90 %
        of the samples in the busy hour, as a share of its median.
    """
    share = np.ones(len(arrays.x)) if arrays.covered_share is None else arrays.covered_share
    area = np.einsum("t,tsh->sh", share, arrays.traffic, dtype=np.float64)
    course = np.median(area, axis=0)
    busy = int(course.argmax())
    low, high = band(area[:, busy], 0.9)
    mean = float(course.mean())
    return pd.Series(
        {
            "tiles": len(arrays.x), "samples": area.shape[0], "hours": area.shape[1],
            "unit": arrays.metadata.get("unit", "relative"), "mean": mean, "peak": float(course[busy]),
            "night": float(course.min()), "busy_hour": busy,
            "peak_to_mean": float(course[busy]) / mean if mean else np.nan,
            "band_90": float(high - low) / float(course[busy]) if course[busy] else np.nan,
        },
        name="traffic",
    )  # fmt: skip
