"""Reference systems of positions: EPSG codes, and the shifted ones of Chinese map services (GCJ-02, BD-09)."""

from __future__ import annotations

import re

import numpy as np
import pyproj
from numpy.typing import ArrayLike

from plannerbase.text import Refused

WGS84 = "EPSG:4326"
SHIFTED = ("GCJ-02", "BD-09")
MAINLAND_CHINA = (73.66, 17.9, 135.05, 53.56)  # W, S, E, N: where the GCJ-02 formula is applied
SEMI_MAJOR_M = 6378245.0  # Krasovsky 1940, which the GCJ-02 formula uses
ECCENTRICITY_SQUARED = 0.00669342162296594323
EXAMPLES = "EPSG:27700 (Great Britain), EPSG:2154 (France), EPSG:32650 (UTM zone 50 N) or GCJ-02 (China)"


def system_of(text: str) -> str:
    """A reference system as "EPSG:4326", "ESRI:54009", "GCJ-02" or "BD-09". Raises `Refused`."""
    plain = re.sub(r"[\s_]", "", text).upper()
    shifted = {"GCJ02": "GCJ-02", "GCJ-02": "GCJ-02", "BD09": "BD-09", "BD-09": "BD-09", "BD09LL": "BD-09",
               "WGS84": WGS84, "WGS-84": WGS84, "CRS84": WGS84, "OGC:CRS84": WGS84}  # fmt: skip
    if plain in shifted:
        return shifted[plain]
    found = re.fullmatch(r"(?:(EPSG|ESRI):+)?(\d{4,6})", plain.removeprefix("URN:OGC:DEF:CRS:"))
    if found:
        name = f"{found[1] or 'EPSG'}:{found[2]}"
        try:
            pyproj.CRS.from_user_input(name)
            return name
        except pyproj.exceptions.CRSError:
            pass
    raise Refused(f"{text[:40]!r} is no known reference system; give a code such as {EXAMPLES}")


def is_projected(system: str) -> bool:
    """Whether positions of the system are metres, not degrees."""
    return system not in SHIFTED and not pyproj.CRS.from_user_input(system).is_geographic


def to_degrees(x: ArrayLike, y: ArrayLike, system: str) -> tuple[np.ndarray, np.ndarray]:
    """(lon, lat) in WGS-84 of positions in a system of `system_of`; NaN for what has none."""
    x, y = np.array(x, float), np.array(y, float)
    if system == WGS84:
        return x, y
    if system == "BD-09":
        return _shifted_back(*_without_bd09(x, y))
    if system == "GCJ-02":
        return _shifted_back(x, y)
    to_wgs84 = pyproj.Transformer.from_crs(system, WGS84, always_xy=True)
    lon, lat = to_wgs84.transform(x, y)
    good = np.isfinite(lon) & np.isfinite(lat)
    return np.where(good, lon, np.nan), np.where(good, lat, np.nan)


def gcj02_offset(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What GCJ-02 adds to WGS-84 longitude and latitude, degrees; the formula in public use, good to about 1 m."""
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    x, y = lon - 105.0, lat - 35.0
    ripple = (20 * np.sin(6 * np.pi * x) + 20 * np.sin(2 * np.pi * x)) * 2 / 3
    root = np.sqrt(np.abs(x))
    north = -100 + 2 * x + 3 * y + 0.2 * y**2 + 0.1 * x * y + 0.2 * root + ripple
    north += (20 * np.sin(np.pi * y) + 40 * np.sin(np.pi / 3 * y)) * 2 / 3
    north += (160 * np.sin(np.pi / 12 * y) + 320 * np.sin(np.pi / 30 * y)) * 2 / 3
    east = 300 + x + 2 * y + 0.1 * x**2 + 0.1 * x * y + 0.1 * root + ripple
    east += (20 * np.sin(np.pi * x) + 40 * np.sin(np.pi / 3 * x)) * 2 / 3
    east += (150 * np.sin(np.pi / 12 * x) + 300 * np.sin(np.pi / 30 * x)) * 2 / 3
    radians = np.radians(lat)
    shrink = 1 - ECCENTRICITY_SQUARED * np.sin(radians) ** 2
    meridian_m = SEMI_MAJOR_M * (1 - ECCENTRICITY_SQUARED) / shrink**1.5
    parallel_m = SEMI_MAJOR_M / np.sqrt(shrink) * np.cos(radians)
    return np.degrees(east / parallel_m), np.degrees(north / meridian_m)


def _shifted_back(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """GCJ-02 positions in mainland China to WGS-84, to about 1 m."""
    west, south, east, north = MAINLAND_CHINA
    inside = (lon > west) & (lon < east) & (lat > south) & (lat < north)
    plain = lon, lat
    for _ in range(2):  # the offset changes by a millionth of itself over its own length
        d_lon, d_lat = gcj02_offset(*plain)
        plain = lon - d_lon, lat - d_lat
    return np.where(inside, plain[0], lon), np.where(inside, plain[1], lat)


def _without_bd09(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """BD-09 positions to GCJ-02: the formula in public use, good to about 1 m."""
    turn = np.pi * 3000 / 180
    x, y = lon - 0.0065, lat - 0.006
    length = np.hypot(x, y) - 0.00002 * np.sin(y * turn)
    angle = np.arctan2(y, x) - 0.000003 * np.cos(x * turn)
    return length * np.cos(angle), length * np.sin(angle)
