"""Web-Mercator XYZ tiles at zoom 15 (the slippy-map grid): positions, bounds and true areas, vectorised.

A tile is named by integers (x, y); x grows eastwards from 180 W, y grows southwards from about 85.05 N. Everything
here takes scalars or arrays and broadcasts. Longitudes and latitudes are degrees in WGS-84.
"""

import numpy as np
from numpy.typing import ArrayLike

from opendiff.errors import AreaError
from plannerbase.tile_grid import TILES_ACROSS, tile_corner, tile_position
from plannerbase.tile_grid import ZOOM as ZOOM

Bounds = tuple[float, float, float, float]  # W, S, E, N, degrees
MAX_LATITUDE = float(np.degrees(np.arctan(np.sinh(np.pi))))  # where the square Mercator map ends, 85.0511...

WGS84_SEMI_MAJOR_KM = 6378.137  # EPSG:7030, as is the flattening
WGS84_FLATTENING = 1 / 298.257223563


def fractional_tile(lon: ArrayLike, lat: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Position in units of tiles, so that tile (x, y) is the unit square from (x, y) to (x + 1, y + 1).

    Raises AreaError where a longitude is beyond 180 degrees or a latitude beyond the Web-Mercator limit.
    """
    lon, lat = np.asarray(lon, dtype=float), np.asarray(lat, dtype=float)
    if not (np.all(np.abs(lon) <= 180) and np.all(np.abs(lat) <= MAX_LATITUDE)):
        raise AreaError(
            f"A position lies outside the map, which ends at longitude 180 and latitude {MAX_LATITUDE:.2f}; "
            "give longitude and latitude in degrees (WGS-84)."
        )
    return tile_position(lon, lat)


def tile_at(lon: ArrayLike, lat: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The tile (x, y), int64, that holds a position; a shared edge belongs to the eastern and southern tile.

    Raises AreaError for a position off the map.
    """
    x, y = fractional_tile(lon, lat)
    return tuple(np.clip(np.floor(at), 0, TILES_ACROSS - 1).astype(np.int64) for at in (x, y))


def tile_bounds(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """West, south, east and north edge of tiles in degrees. Neighbours share bit-identical edges."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    (west, north), (east, south) = tile_corner(x, y), tile_corner(x + 1, y + 1)
    return west, south, east, north


def tile_centre(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude in degrees of the middle of tiles (the middle of the Mercator square)."""
    return tile_corner(np.asarray(x, dtype=float) + 0.5, np.asarray(y, dtype=float) + 0.5)


def tile_area_km2(x: ArrayLike, y: ArrayLike) -> np.ndarray:
    """True ground area of tiles in km2, in closed form on the WGS-84 ellipsoid (a tile is bounded by two meridians
    and two parallels, so its area is a difference of authalic latitudes; Snyder 1987, eq. 3-12)."""
    west, south, east, north = tile_bounds(x, y)
    polar_km = WGS84_SEMI_MAJOR_KM * (1 - WGS84_FLATTENING)
    band = _authalic_height(north) - _authalic_height(south)
    return polar_km**2 / 2 * np.radians(east - west) * band


def _authalic_height(lat: np.ndarray) -> np.ndarray:
    """q / (1 - e²) of Snyder's eq. 3-12, to which the area between the equator and a parallel is proportional."""
    e = np.sqrt(WGS84_FLATTENING * (2 - WGS84_FLATTENING))  # eccentricity
    sine = np.sin(np.radians(lat))
    return sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e
