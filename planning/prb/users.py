"""Users of one hour, drawn in their tiles from a demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import shapely

from plannerbase.formats import hour_in_prose
from planning.demand import Demand
from planning.deployment import largest_remainder
from planning.deployment.placement import outline_of
from planning.errors import InputError
from planning.geometry import GeoJson, tile_corner

_TRIES = 2000


@dataclass(frozen=True)
class Users:
    """lon, lat: (users,) degrees. demand_mbps: (users,) what each drawn user asks for, both links together. weight:
    how many active users each stands for, whose traffic it carries."""

    lon: np.ndarray
    lat: np.ndarray
    demand_mbps: np.ndarray
    weight: float
    hour: int
    sentence: str


Inside = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (places,) lon and lat in degrees -> bool


def draw_users(
    demand: Demand,
    hour: int,
    max_users: int = 60,
    seed: int = 0,
    quantile: float = 0.5,
    inside: Inside | None = None,
) -> Users:
    """Draw the active users of an hour of the demand (0 .. hours-1), at most `max_users`, with their traffic.

    inside: where users may stand, such as `Cluster.inside`.

    Tiles get users in proportion to theirs (largest remainder), each at a seeded uniform place inside its tile and
    inside the area. A tile's traffic is split evenly over its drawn users; all users together carry all traffic.
    """
    if not 0 <= hour < demand.hours:
        raise InputError(f"There is no hour {hour}; the traffic has the hours 0..{demand.hours - 1}.")
    if not 1 <= max_users <= 100_000:
        raise InputError(f"The number of users must be 1 to 100,000, not {max_users}.")
    traffic = demand.profile(None, quantile)[:, hour]
    active = demand.profile(None, quantile, "users")[:, hour]
    if not (traffic.sum() > 0 and active.sum() > 0):
        raise InputError(f"Nobody uses the network at hour {hour}; choose another hour.")
    real = max(1, round(float(active.sum())))
    count = min(real, max_users)
    per_tile = largest_remainder(active, count)
    rng = np.random.default_rng(seed)
    tile = np.repeat(np.arange(demand.tiles), per_tile)
    lon, lat = _places(rng, demand.x[tile], demand.y[tile], demand.metadata.get("area"), inside)
    asked = traffic[tile] / per_tile[tile]
    if asked.sum() > 0:
        asked = asked * traffic.sum() / asked.sum()
    else:  # the drawn tiles have users but no traffic
        asked = np.full(count, traffic.sum() / count)
    weight = real / count
    sentence = (
        f"{real:,} active users at {hour_in_prose(hour, demand.hours)} ask for {traffic.sum():,.1f} Mbit/s"
    )
    if weight > 1:
        sentence += f"; {count:,} places are drawn, each standing for {weight:,.1f} users and their traffic"
    return Users(lon, lat, asked, weight, hour, sentence + ".")


def _places(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, area: GeoJson | None, inside: Inside | None
) -> tuple[np.ndarray, np.ndarray]:
    """Uniform in each tile; inside the area's outline and `inside` where they are known (_TRIES tries, then anywhere in
    the tile)."""
    outline = outline_of(area)
    lon, lat = tile_corner(x + rng.random(len(x)), y + rng.random(len(x)))
    if outline is None and inside is None:
        return lon, lat
    if outline is not None:
        shapely.prepare(outline)
    for _ in range(_TRIES):
        fits = np.ones(len(lon), bool) if outline is None else shapely.contains_xy(outline, lon, lat)
        if inside is not None:
            fits = fits & inside(lon, lat)
        outside = np.flatnonzero(~fits)
        if not len(outside):
            break
        lon[outside], lat[outside] = tile_corner(
            x[outside] + rng.random(len(outside)), y[outside] + rng.random(len(outside))
        )
    return lon, lat
