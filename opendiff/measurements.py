"""What an operator measured of tiles, as the generator is conditioned on it.

A table of measured tiles is Parquet or CSV with x, y, hour (0..167, or 0..23) and traffic and/or users, one row an
hour. Exports of counters by cell or by place become the same (`plannerbase.counters`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from opendiff.errors import TableError
from opendiff.week import HOURS, HOURS_PER_DAY
from plannerbase.report import Report

DEFAULT_NOISE = 0.01  # standard deviation of a measured log level whose spread from week to week is not known
MIN_NOISE, MAX_NOISE = 0.003, 0.5
MAX_TILES = 5_000  # conditioning solves a dense system of this size
LOWEST_LEVEL = 1e-4  # of the median level: a silent tile counts as this
RELATIVE, MBPS, ACTIVE_USERS = "relative", "Mbit/s", "active users"


@dataclass(frozen=True)
class Measurements:
    """Measured hours of tiles.

    Attributes
    ----------
    x, y : (tiles,) int64 zoom-15 tile numbers, each pair once.
    traffic, users : (tiles, hours) float64, hours 168, 24, or 1 of a mean alone, NaN in tiles where the
        quantity was not measured.
    noise : (tiles,) standard deviation of the measured log level.
    unit : "Mbit/s" or "relative", of the traffic; users are then active users, or relative.
    name : of the file.
    report : what was taken, fixed, left out and assumed.
    """

    x: np.ndarray
    y: np.ndarray
    traffic: np.ndarray
    users: np.ndarray
    noise: np.ndarray
    unit: str = RELATIVE
    name: str = ""
    report: Report = field(default_factory=Report, compare=False)

    def __post_init__(self) -> None:
        tiles = len(self.x)
        if not tiles:
            raise TableError(f"{self.name or 'The measurements'} hold no measured tile.")
        if self.traffic.shape != self.users.shape or self.traffic.shape not in (
            (tiles, HOURS),
            (tiles, HOURS_PER_DAY),
            (tiles, 1),
        ):
            raise TableError(
                f"Measured traffic has shape {self.traffic.shape} and users {self.users.shape}; both must be ({tiles} "
                f"tiles, {HOURS}, {HOURS_PER_DAY} or 1 hours)."
            )
        for name in ("traffic", "users"):
            values = getattr(self, name)
            known = np.isfinite(values)
            if (known.any(axis=1) != known.all(axis=1)).any() or (values[known] < 0).any():
                raise TableError(f"Measured {name} must be at least 0 in every hour of a tile, or in none.")
        if not (self.has_traffic | self.has_users).all():
            raise TableError("A measured tile has neither traffic nor users.")
        if len(np.unique(np.column_stack([self.x, self.y]), axis=0)) < tiles:
            raise TableError("A measured tile is listed twice.")

    @property
    def has_traffic(self) -> np.ndarray:
        """(tiles,) bool; likewise `has_users`."""
        return np.asarray(np.isfinite(self.traffic).all(axis=1))

    @property
    def has_users(self) -> np.ndarray:
        return np.asarray(np.isfinite(self.users).all(axis=1))

    def log_level(self, name: str) -> np.ndarray:
        """(tiles,) log of the mean over the hours of "traffic" or "users", NaN where not measured."""
        values = getattr(self, name)
        mean = np.where(np.isfinite(values).all(axis=1), values.mean(axis=1), np.nan)
        loud = mean[mean > 0]
        floor = LOWEST_LEVEL * float(np.median(loud)) if len(loud) else 1.0
        return np.log(np.maximum(mean, floor))

    def take(self, rows: np.ndarray) -> Measurements:
        """The measurements of some tiles (an index or mask)."""
        own = {name: getattr(self, name)[rows] for name in ("x", "y", "traffic", "users", "noise")}
        return replace(self, **own)

    def sorted(self) -> Measurements:
        """The same in the order of (x, y), so that no result depends on the order of the file."""
        return self.take(np.lexsort((self.y, self.x)))

    def record(self) -> dict[str, Any]:
        """A summary as JSON holds it, for the metadata of a traffic table."""
        return {
            "file": self.name, "tiles": len(self.x), "traffic": int(self.has_traffic.sum()),
            "users": int(self.has_users.sum()), "unit": self.unit, "hours": self.traffic.shape[1],
        }  # fmt: skip

    @staticmethod
    def of(
        x: np.ndarray,
        y: np.ndarray,
        traffic: np.ndarray | None = None,
        users: np.ndarray | None = None,
        noise: np.ndarray | float | None = None,
        unit: str = RELATIVE,
        name: str = "",
        report: Report | None = None,
    ) -> Measurements:
        """Measurements from arrays at hand; traffic or users may be left out. Raises TableError."""
        x, y = np.asarray(x, np.int64), np.asarray(y, np.int64)
        given = traffic if traffic is not None else users
        if given is None:
            raise TableError("Measurements need traffic or users.")
        missing = np.full(np.shape(given), np.nan)
        deviation = np.broadcast_to(np.asarray(DEFAULT_NOISE if noise is None else noise, float), x.shape)
        deviation = np.where(np.isfinite(deviation), deviation, DEFAULT_NOISE).clip(MIN_NOISE, MAX_NOISE)
        return Measurements(
            x, y,
            missing if traffic is None else np.asarray(traffic, float),
            missing if users is None else np.asarray(users, float),
            deviation, unit, name, report or Report(),
        ).sorted()  # fmt: skip
