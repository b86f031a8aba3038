"""What training cities tell: traffic, or people present, of their tiles, and how their hours differ from the city's.

People present and traffic are two observations of one thing. What carries over is the level of a tile relative to its
city, and its hourly shape relative to its city's mean shape; the scale and the profile of the city itself are its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from opendiff.default.representation import Representation
from opendiff.errors import ModelError
from opendiff.observed import City
from opendiff.week import DAYS, HOURS, HOURS_PER_DAY, SERIES

WORKDAYS = 5
DAILY_PROFILES, WEEKEND_PROFILES = 6, 3  # directions along which open data can move a shape
COMPONENTS = DAILY_PROFILES + WEEKEND_PROFILES
LARGEST_LOG_RATIO = (
    2.0  # of an hour of a tile against its city; beyond it a quiet tile's noise is all there is
)
# An hour of the night whose mean is below this share of what its neighbours give by interpolation is a gap of the
# measurement: in real nights (Beijing, 960 stations) the share is 0.7 to 0.8, which is what a gap is filled with.
GAP_SHARE, NIGHT_SHARE = 0.5, 0.77
LONGEST_GAP, NIGHT_HOURS = 2, range(1, 7)


def training_series(cities: Sequence[City]) -> np.ndarray:
    """All measured series (tiles, 2, 168). Raises ModelError where there are none."""
    series = np.concatenate([city.series[city.has_traffic] for city in cities])
    if not len(series):
        raise ModelError("No city has traffic or people present; training needs at least one.")
    return series


def ready(cities: Sequence[City]) -> list[City]:
    """The cities with gaps of the night filled; where none has traffic, people present stand for traffic and users."""
    if not any(city.has_traffic.any() for city in cities):
        cities = [
            replace(city, series=np.stack([_with_level(city.presence)] * SERIES, axis=1)) for city in cities
        ]
    return [replace(city, series=fill_gaps(city.series)[0]) for city in cities]


def _with_level(presence: np.ndarray) -> np.ndarray:
    """People present (tiles, 168) in units of their mean, NaN where a tile has none at all."""
    known = np.where(np.nan_to_num(presence).sum(axis=1, keepdims=True) > 0, presence, np.nan)
    return np.asarray(known / np.nanmean(known)) if np.isfinite(known).any() else known


def night_gaps(profile: np.ndarray) -> list[int]:
    """Hours of the day that are gaps of the measurement, by the mean profile (24,)."""
    for length in range(LONGEST_GAP, 0, -1):
        for first in NIGHT_HOURS:
            hours = np.arange(first, first + length)
            before, after = profile[first - 1], profile[first + length]
            share = (hours - first + 1) / (length + 1)
            expected = (np.sqrt(before) * (1 - share) + np.sqrt(after) * share) ** 2
            if (profile[hours] < GAP_SHARE * expected).all():
                return hours.tolist()
    return []


def fill_gaps(series: np.ndarray, hours: list[int] | None = None) -> tuple[np.ndarray, list[int]]:
    """Series (tiles, ..., 168) with the night's gaps filled from the hours beside them, and the hours of the day, which
    are those of `night_gaps` where none are given."""
    days = series.reshape(*series.shape[:-1], DAYS, HOURS_PER_DAY)
    profile = (
        np.nanmean(days.reshape(-1, HOURS_PER_DAY), axis=0)
        if np.isfinite(series).any()
        else np.ones(HOURS_PER_DAY)
    )
    hours = night_gaps(profile) if hours is None else hours
    if not hours:
        return series, []
    filled = days.copy()
    before, after = (np.sqrt(np.maximum(days[..., hour], 0)) for hour in (hours[0] - 1, hours[-1] + 1))
    for number, hour in enumerate(hours):
        share = (number + 1) / (len(hours) + 1)
        filled[..., hour] = NIGHT_SHARE * (before * (1 - share) + after * share) ** 2
    return filled.reshape(series.shape), hours


def profile_targets(city: City, representation: Representation) -> np.ndarray:
    """How the root shape of each tile differs from the city's, (tiles, 48): by hour of the day, and of a weekend day
    less that of a workday; NaN where it is not known.

    Of people present the logarithm of the ratio to the city is known; a root shape r moves by r/2 times that.
    """
    targets = np.full((len(city.series), 2 * HOURS_PER_DAY), np.nan)
    base = representation.shape_mean.double().reshape(SERIES, DAYS, HOURS_PER_DAY).mean((0, 1)).numpy()
    rows = city.has_presence
    if rows.any():
        presence = city.presence[rows].astype(float)
        shape = presence / presence.mean(axis=1, keepdims=True)
        mean = presence.sum(axis=0) / presence.mean(axis=1).sum()
        ratio = np.log(np.maximum(shape, 1e-6) / mean).clip(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO)
        days = (ratio * np.tile(base, DAYS) / 2).reshape(-1, DAYS, HOURS_PER_DAY)
        targets[rows, :HOURS_PER_DAY] = days.mean(axis=1)
        targets[rows, HOURS_PER_DAY:] = days[:, WORKDAYS:].mean(axis=1) - days[:, :WORKDAYS].mean(axis=1)
    rows = city.has_traffic
    if rows.any():  # on which weekday its hours begin nobody knows
        left = representation.shape_residual(torch.from_numpy(city.series[rows]).float()).double()
        targets[rows, :HOURS_PER_DAY] = left.reshape(-1, SERIES, DAYS, HOURS_PER_DAY).mean((1, 2)).numpy()
        targets[rows, HOURS_PER_DAY:] = np.nan
    return targets


def profile_directions(targets: Sequence[np.ndarray]) -> np.ndarray:
    """Leading directions (COMPONENTS, 48) of the targets of all cities (tiles, 48), which count alike: of the hours of
    a day, then of the weekend."""
    found = np.zeros((COMPONENTS, 2 * HOURS_PER_DAY))
    halves = (
        (slice(0, HOURS_PER_DAY), DAILY_PROFILES, 0),
        (slice(HOURS_PER_DAY, None), WEEKEND_PROFILES, DAILY_PROFILES),
    )
    for half, count, start in halves:
        total = np.zeros((HOURS_PER_DAY, HOURS_PER_DAY))
        for values in targets:
            known = values[np.isfinite(values[:, half]).all(axis=1)][:, half]
            if len(known) > 1:
                total += np.cov(known.T)
        if total.any():
            found[start : start + count, half] = np.linalg.eigh(total)[1][:, ::-1][:, :count].T
    return found


def weekly(directions: np.ndarray) -> np.ndarray:
    """Directions (components, 48) as root shapes of both series, (components, 336)."""
    daily, weekend = directions[:, None, :HOURS_PER_DAY], directions[:, None, HOURS_PER_DAY:]
    share = np.where(np.arange(DAYS) >= WORKDAYS, WORKDAYS / DAYS, WORKDAYS / DAYS - 1)[:, None]
    week = (daily + share * weekend).reshape(len(directions), HOURS)
    return np.tile(week, (1, SERIES))
