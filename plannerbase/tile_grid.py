"""Web-Mercator XYZ tiles (the slippy-map grid), vectorised: where they lie, and the tile of a place.

A tile is named by integers (x, y); x grows eastwards from 180 W, y southwards from about 85.05 N. Degrees are WGS-84.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

ZOOM = 15
TILES_ACROSS = 1 << ZOOM


def tile_corner(x: ArrayLike, y: ArrayLike, zoom: int = ZOOM) -> tuple[np.ndarray, np.ndarray]:
    """(lon, lat) in degrees of the north-west corner; fractional x, y give points inside."""
    n = 1 << zoom  # tiles a side of the map
    lon = np.asarray(x, float) / n * 360.0 - 180.0
    lat = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * np.asarray(y, float) / n))))
    return lon, lat


def tile_position(lon: ArrayLike, lat: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Fractional zoom-15 tile coordinates of a place in degrees; their floor is the tile."""
    x = (np.asarray(lon, float) + 180.0) / 360.0 * TILES_ACROSS
    y = (1 - np.arcsinh(np.tan(np.radians(np.asarray(lat, float)))) / np.pi) / 2 * TILES_ACROSS
    return x, y
