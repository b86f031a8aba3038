"""From relative traffic to Mbit/s, by one stated assumption that stays attached to every figure made from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from plannerbase.traffic_arrays import TrafficArrays, traffic_statistics
from planning.errors import InputError
from planning.tile_series import TileSeries
from planning.traffic import Traffic, TrafficTable

if TYPE_CHECKING:
    import plotly.graph_objects as go

MBIT_PER_GB = 8000.0  # decimal gigabytes
DAYS_PER_MONTH = 30.0
SECONDS_PER_DAY = 86400
SUBSCRIBERS_PER_KM2 = 5000.0  # assumed: dense Chinese city, one operator
GB_PER_MONTH = 20.0  # assumed: a subscriber's mobile data
RATE_FLOOR_MBPS = 0.25  # assumed: a user's lowest rate, enough for a voice or messaging session
ACTIVE_SHARE = 0.1  # assumed: subscribers with a running session in a mean hour


@dataclass(frozen=True)
class Scale:
    """What one relative unit means."""

    kind: str  # "subscribers", "daily total", "busy hour" or "measured"
    mbps_per_unit: float  # mean over the hour, per unit of traffic of a tile
    users_per_unit: (
        float  # simultaneously active, per unit of the table's users (of its traffic where it has none)
    )
    sentence: str  # the assumption in words

    @classmethod
    def subscribers(
        cls, table: TrafficTable, per_km2: float | None = None, gb_per_month: float | None = None
    ) -> Scale:
        """Subscribers per km2 of the covered area, each with a monthly volume; both assumed unless given."""
        assumed = [
            w for w, v in (("subscribers per km2", per_km2), ("GB per month", gb_per_month)) if v is None
        ]
        per_km2 = SUBSCRIBERS_PER_KM2 if per_km2 is None else per_km2
        gb_per_month = GB_PER_MONTH if gb_per_month is None else gb_per_month
        _positive("subscribers per km2", per_km2)
        _positive("GB per month", gb_per_month)
        count = per_km2 * table.area_km2
        label = f" ({' and '.join(assumed)} assumed)" if assumed else " (given)"
        sentence = (
            f"Scale: {per_km2:,.0f} subscribers per km2 x {gb_per_month:g} GB a month{label}, "
            f"over {table.area_km2:.2f} km2"
        )
        return cls._of_month(table, "subscribers", count * gb_per_month, count, sentence)

    @classmethod
    def daily_total(cls, table: TrafficTable, gb_per_day: float) -> Scale:
        """A known total: GB a day of the whole area, mean over the table's days."""
        _positive("GB per day", gb_per_day)
        month = gb_per_day * DAYS_PER_MONTH
        sentence = f"Scale: {gb_per_day:,g} GB a day in the whole area (given)"
        return cls._of_month(table, "daily total", month, month / GB_PER_MONTH, sentence)

    @classmethod
    def busy_hour(cls, table: TrafficTable, mbps: float) -> Scale:
        """A known busy-hour rate of the whole area in Mbit/s: that of the hour with the most traffic (sample mean)."""
        _positive("busy-hour rate", mbps)
        profile = table.area_profile().mean(axis=0)
        _some_traffic(profile.max())
        per_unit = mbps / profile.max()
        month = profile.mean() * per_unit * SECONDS_PER_DAY / MBIT_PER_GB * DAYS_PER_MONTH
        sentence = f"Scale: {mbps:,g} Mbit/s in the busiest hour of the whole area (given)"
        return cls._of_month(table, "busy hour", month, month / GB_PER_MONTH, sentence)

    @classmethod
    def measured(cls, table: TrafficTable) -> Scale:
        """The table is in Mbit/s (and active users) already, as its metadata states."""
        if table.metadata.get("unit") != "Mbit/s":
            raise InputError(
                "The traffic table does not state the unit Mbit/s; give subscribers, a daily total or a busy-hour rate."
            )
        told = table.metadata.get("measured")
        if isinstance(told, dict) and told.get("users_unit") == "relative" and table.users is not None:
            month = float(table.area_profile().mean()) * SECONDS_PER_DAY / MBIT_PER_GB * DAYS_PER_MONTH
            sentence = f"Scale: measured, by {told.get('tiles', 'some')} tiles of {told.get('file') or 'measurements'}"
            return cls._of_month(table, "measured", month, month / GB_PER_MONTH, sentence)
        return cls("measured", 1.0, 1.0, "Scale: the traffic table states Mbit/s and active users")

    @classmethod
    def stated(
        cls,
        table: TrafficTable,
        *,
        subscribers_per_km2: float | None = None,
        gb_per_month: float | None = None,
        busy_hour_mbps: float | None = None,
        total_gb_day: float | None = None,
    ) -> Scale | None:
        """The scale that one of the figures states; None where none is given.

        Parameters
        ----------
        table : TrafficTable
        subscribers_per_km2, gb_per_month : float, optional
            Of the covered area, and a subscriber's volume; one alone leaves the other assumed.
        busy_hour_mbps : float, optional
            Known rate of the whole area in its busiest hour, Mbit/s.
        total_gb_day : float, optional
            Known volume of the whole area, GB a day.

        Raises
        ------
        InputError
            For figures of several scales, or one that is not above 0.
        """
        by_subscribers = subscribers_per_km2 is not None or gb_per_month is not None
        if sum([by_subscribers, busy_hour_mbps is not None, total_gb_day is not None]) > 1:
            raise InputError(
                "Give one scale only: subscribers and GB per month, or a busy-hour rate, or a daily total."
            )
        if busy_hour_mbps is not None:
            return cls.busy_hour(table, busy_hour_mbps)
        if total_gb_day is not None:
            return cls.daily_total(table, total_gb_day)
        return cls.subscribers(table, subscribers_per_km2, gb_per_month) if by_subscribers else None

    def record(self) -> dict[str, Any]:
        """As plain values, to be stored with a plan and taken up again by `from_record`."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Scale:
        """A stored scale: the same relative units mean the same Mbit/s in a later plan."""
        try:
            scale = cls(
                str(record["kind"]),
                float(record["mbps_per_unit"]),
                float(record["users_per_unit"]),
                str(record["sentence"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError("The stored scale cannot be read; state the scale again.") from error
        _positive("stored scale", scale.mbps_per_unit)
        return scale

    @classmethod
    def _of_month(
        cls, table: TrafficTable, kind: str, gb_per_month: float, subscribers: float, sentence: str
    ) -> Scale:
        """By the volume of a month in the whole area, and how many subscribers share it."""
        mean = table.area_profile().mean()
        _some_traffic(mean)
        mbps = gb_per_month / DAYS_PER_MONTH * MBIT_PER_GB / SECONDS_PER_DAY
        source = table.traffic if table.users is None else table.users
        mean_users = float(np.einsum("t,tsh->", table.covered_share, source.astype(np.float64)))
        mean_users /= table.samples * table.hours
        active = subscribers * ACTIVE_SHARE
        sentence += (
            f"; {100 * ACTIVE_SHARE:g} % of {subscribers:,.0f} subscribers active in a mean hour (assumed)."
        )
        return cls(kind, mbps / mean, active / mean_users if mean_users > 0 else 0.0, sentence)


@dataclass(frozen=True)
class Demand(TileSeries):
    """Mbit/s and active users by tile, sample and hour, of the covered part of each tile.

    mbps, users: (tiles, samples, hours) float32. Traffic is taken as uniform inside a tile, so a tile covered by a
    share has that share of the traffic.
    """

    x: np.ndarray
    y: np.ndarray
    mbps: np.ndarray
    users: np.ndarray
    covered_share: np.ndarray
    scale: Scale
    intensities: dict[str, np.ndarray] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, week: AnyTraffic, scale: Scale | None = None, **stated: float | None) -> Demand:
        """Traffic of any origin in Mbit/s.

        Parameters
        ----------
        week : Demand, TrafficTable, ensemble, DataFrame or path
            A Demand stays as it is; anything else is read by `TrafficTable.of`.
        scale : Scale, optional
            What relative traffic means in Mbit/s.
        **stated
            Instead of a scale, the figure that states it: see `Scale.stated`. Without any, the traffic's own Mbit/s if
            it states them, else assumed subscribers.

        Raises
        ------
        InputError
            For traffic that cannot be planned on, two scales, or a scale for a Demand, which has its own.
        """
        if isinstance(week, Demand):
            if scale is not None or stated:
                raise InputError("This demand is in Mbit/s already; give the traffic that it was made from.")
            return week
        table = TrafficTable.of(week)
        given = Scale.stated(table, **stated)
        if scale is not None and given is not None:
            raise InputError("Give one scale only, as an object or by a figure.")
        return cls.build(table, scale or given)

    @classmethod
    def on_scale_of(cls, demand: Demand, week: AnyTraffic) -> Demand:
        """Other traffic on the scale of a demand, or in its own Mbit/s where it states them."""
        if isinstance(week, Demand):
            return week
        table = TrafficTable.of(week)
        return cls.build(table, None if table.metadata.get("unit") == "Mbit/s" else demand.scale)

    @classmethod
    def build(cls, table: TrafficTable, scale: Scale | None = None) -> Demand:
        """The table on a scale (default: the table's own Mbit/s if it states them, else assumed subscribers)."""
        if scale is None:
            measured = table.metadata.get("unit") == "Mbit/s"
            scale = Scale.measured(table) if measured else Scale.subscribers(table)
        share = table.covered_share[:, None, None].astype(np.float32)
        source = table.traffic if table.users is None else table.users
        return cls(
            table.x,
            table.y,
            table.traffic * share * np.float32(scale.mbps_per_unit),
            source * share * np.float32(scale.users_per_unit),
            table.covered_share,
            scale,
            table.intensities,
            table.metadata,
        )

    def arrays(self) -> TrafficArrays:
        """Mbit/s and active users of the covered part of each tile, as plain arrays."""
        known = self.metadata | {"unit": "Mbit/s"}
        return TrafficArrays(self.x, self.y, self.mbps, self.users, None, self.intensities, known)

    def statistics(self) -> pd.Series:
        """Figures of the area in Mbit/s, see `plannerbase.traffic_arrays.traffic_statistics`."""
        return traffic_statistics(self.arrays())

    def plot(self) -> go.Figure:
        """Mbit/s of the area by hour, with the central 50 and 90 % of the samples."""
        from plannerbase.figures import week_figure

        return week_figure(self.mbps.sum(axis=0, dtype=float), "Mbit/s", self.scale.sentence)

    def __repr__(self) -> str:
        return f"Demand({self.tiles:,} tiles x {self.samples} samples x {self.hours} hours; {self.scale.sentence})"

    @property
    def series(self) -> np.ndarray:
        """The Mbit/s."""
        return self.mbps

    def sample(self, index: int) -> Demand:
        """One sample alone, e.g. to replay a plan on it."""
        if not 0 <= index < self.samples:
            raise InputError(f"There is no sample {index}; the table has 0..{self.samples - 1}.")
        part = slice(index, index + 1)
        return replace(self, mbps=self.mbps[:, part], users=self.users[:, part])

    def held_out(self, share: float = 0.25) -> tuple[Demand, Demand | None]:
        """(samples to plan on, samples to judge on): the last `share` of them is held out, at least one.

        The first that is held out has an even number, so that samples that were generated in mirrored pairs stay
        together. With a single sample there is nothing to hold out: (itself, None).
        """
        if self.samples < 2:
            return self, None
        first = self.samples - max(1, round(share * self.samples))
        first = max(first - first % 2, 1)
        parts = (slice(0, first), slice(first, None))
        plan, rest = (replace(self, mbps=self.mbps[:, p], users=self.users[:, p]) for p in parts)
        return plan, rest

    def with_rate_floor(self, mbps: float) -> Demand:
        """At least `mbps` (0 for none) for every active user: a tile asks for its traffic, or that where it is more."""
        if not mbps >= 0:
            raise InputError(f"The rate floor must be at least 0 Mbit/s a user, not {mbps}.")
        if mbps == 0:
            return self
        raised = np.maximum(self.mbps, self.users * np.float32(mbps))
        total = float(self.mbps.sum(dtype=float))
        added = float(raised.sum(dtype=float)) / total - 1 if total else 0.0
        told = {"rate_floor_mbps": mbps, "rate_floor_added_share": added}
        return replace(self, mbps=raised, metadata=self.metadata | told)

    def profile(self, hours: int | None = None, quantile: float = 0.5, what: str = "mbps") -> np.ndarray:
        """(tiles, hours) Mbit/s (or users) that is not exceeded with probability `quantile`, tile by tile.

        hours=24 gives a typical day: the quantile over the samples and the days. hours=168 the week, over the
        samples. None keeps the table's hours.
        """
        return quantile_profile(self.mbps if what == "mbps" else self.users, hours, quantile)

    def quantile(self, q: float) -> np.ndarray:
        """(tiles, hours) quantile over the samples."""
        return self.profile(None, q)

    def busy_hour(self, hours: int | None = None, quantile: float = 0.5) -> int:
        """The hour with the most traffic in the area."""
        return int(self.profile(hours, quantile).sum(axis=0).argmax())

    def mean_mbps(self) -> np.ndarray:
        """(tiles,) mean over samples and hours."""
        return self.mbps.mean(axis=(1, 2), dtype=np.float64)


AnyTraffic: TypeAlias = "Demand | Traffic"


def _positive(what: str, value: float) -> None:
    if not (np.isfinite(value) and value > 0):
        raise InputError(f"The {what} must be a number above 0, not {value}.")


def _some_traffic(mean: float) -> None:
    if not mean > 0:
        raise InputError("The traffic table holds no traffic at all (every value is 0), so no scale fits it.")


def quantile_profile(values: np.ndarray, hours: int | None, quantile: float) -> np.ndarray:
    """(rows, hours) quantile of values (rows, samples, hours) over the samples.

    hours=24 of a longer table takes it over the samples and the days. Raises InputError for a quantile outside 0..1
    or another number of hours.
    """
    if not 0 <= quantile <= 1:
        raise InputError(f"The quantile must lie between 0 and 1, not {quantile}.")
    rows, samples, given = values.shape
    hours = given if hours is None else hours
    if hours == 24 and given > 24:
        values = values.reshape(rows, samples * (given // 24), 24)
    elif hours != given:
        raise InputError(f"The traffic has {given} hours; plan 24 or {given} of them, not {hours}.")
    if values.shape[1] == 1:
        return values[:, 0].astype(np.float64)
    return np.quantile(values, quantile, axis=1).astype(np.float64)
