"""Web-Mercator tiles and distances on the ground, as far as planning needs them (vectorised NumPy).

Distances are planar in a local frame (east, north in metres, WGS-84 radii of curvature at a reference latitude):
exact to better than 0.1 % over a city of 100 km, and no projection library is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from plannerbase.tile_grid import ZOOM as ZOOM
from plannerbase.tile_grid import tile_corner as tile_corner
from plannerbase.tile_grid import tile_position as tile_position

GeoJson = dict[str, Any]  # a geometry, or a feature that has one
_AXIS_M = 6_378_137.0  # WGS-84 semi-major axis
_E2 = 6.694_379_990_14e-3  # WGS-84 first eccentricity squared


def tile_centre(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """(lon, lat) in degrees of the middle of zoom-15 tiles."""
    return tile_corner(np.asarray(x, float) + 0.5, np.asarray(y, float) + 0.5)


def metres_per_degree(lat: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Length of one degree (east, north) in metres at a latitude in degrees, on the WGS-84 ellipsoid."""
    phi = np.radians(np.asarray(lat, float))
    w2 = 1 - _E2 * np.sin(phi) ** 2
    east = np.radians(_AXIS_M * np.cos(phi) / np.sqrt(w2))
    north = np.radians(_AXIS_M * (1 - _E2) / w2**1.5)
    return east, north


def tile_area_km2(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """True ground area of zoom-15 tiles in km2."""
    west, top = tile_corner(x, y)
    east, bottom = tile_corner(np.asarray(x) + 1, np.asarray(y) + 1)
    per_east, per_north = metres_per_degree((top + bottom) / 2)
    return (east - west) * per_east * (top - bottom) * per_north / 1e6


def mean_tile_side_m(x: ArrayLike, y: ArrayLike) -> float:
    """Side in metres of a square as large as the mean of the tiles."""
    return 1000 * float(np.sqrt(tile_area_km2(x, y).mean()))


def points_in_tiles(x: ArrayLike, y: ArrayLike, a_side: int) -> tuple[np.ndarray, np.ndarray]:
    """(lon, lat), each (tiles, a_side**2) degrees: the middles of a_side x a_side equal squares in every tile."""
    step = (np.arange(a_side) + 0.5) / a_side
    east, south = (v.ravel() for v in np.meshgrid(step, step, indexing="ij"))
    return tile_corner(np.asarray(x)[:, None] + east, np.asarray(y)[:, None] + south)


def local_metres(lon: ArrayLike, lat: ArrayLike, origin: tuple[float, float]) -> np.ndarray:
    """(..., 2) east and north of an origin (lon, lat), in metres."""
    east, north = metres_per_degree(origin[1])
    return np.stack([(np.asarray(lon) - origin[0]) * east, (np.asarray(lat) - origin[1]) * north], axis=-1)


def distances_m(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(len(a), len(b)) metres between points given in local metres."""
    difference = a[:, None, :] - b[None, :, :]
    return np.hypot(difference[..., 0], difference[..., 1])


def nearest(points: np.ndarray, targets: np.ndarray, block: int = 4096) -> np.ndarray:
    """Index of the nearest target for each point (both in local metres); the lowest index wins a tie."""
    found = np.empty(len(points), np.int64)
    for begin in range(0, len(points), block):
        part = points[begin : begin + block]
        # |p - t|^2 without |p|^2: the same order, half the memory
        score = (targets**2).sum(1)[None, :] - 2 * part @ targets.T
        found[begin : begin + block] = np.argmin(score, axis=1)
    return found


def centre_of(lon: ArrayLike, lat: ArrayLike) -> tuple[float, float]:
    """The middle of the bounding box of places, the origin for `local_metres`."""
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    return float((lon.min() + lon.max()) / 2), float((lat.min() + lat.max()) / 2)


def cut_in_halves(metres: np.ndarray, most: int) -> np.ndarray:
    """Places in compact groups of about the same size.

    The larger side of a group's bounding box is halved at its median until no group is larger than asked; ties go by
    the order of the places.

    Parameters
    ----------
    metres : (places, 2) float
    most : int
        Places of a group.

    Returns
    -------
    (places,) int number of each place's group, from 0.
    """
    out = np.empty(len(metres), int)
    waiting, number = [np.arange(len(metres))], 0
    while waiting:
        rows = waiting.pop()
        if len(rows) <= most:
            out[rows] = number
            number += 1
            continue
        axis = int(np.ptp(metres[rows], axis=0).argmax())
        order = rows[np.argsort(metres[rows, axis], kind="stable")]
        half = len(order) // 2
        waiting += [np.sort(order[half:]), np.sort(order[:half])]
    return out
