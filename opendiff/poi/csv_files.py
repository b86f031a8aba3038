"""A user's table of places: CSV with positions and, for each, a POI category or an OpenStreetMap tag.

Positions are in columns `lon`, `lat` (or longitude, latitude, lng) in degrees. What a place is, is told by one of:
`category` (a name of POI_CATEGORIES), `key` and `value` (an OSM tag), `fclass` (Geofabrik), or a column for each OSM
key (`amenity`, `shop`, ...).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from intake.delimited import SAMPLE_BYTES, dialect_of
from intake.guard import guarded
from intake.numbers import numbers_of
from opendiff.area.tile_grid import MAX_LATITUDE
from opendiff.errors import SourceError
from opendiff.poi.categories import POI_CATEGORIES, PoiProvider
from opendiff.poi.osm_tags import categories_in
from opendiff.poi.places import Places
from opendiff.poi.registration import MAINLAND_CHINA, PoiDatum, gcj02_offset

READ_SECONDS = 300.0
MAX_BYTES = 500_000_000
ROWS_A_CHUNK = 100_000  # read at once, so that memory does not grow with the file
LONGITUDE_NAMES = ("lon", "lng", "long", "longitude")
LATITUDE_NAMES = ("lat", "latitude")


@dataclass(frozen=True)
class PlaceTable:
    """Places of a CSV. rows: lines read; unknown: of them, those without a known category. provider: whose way of
    counting the table follows, judged by its columns."""

    places: Places
    rows: int
    unknown: int
    provider: PoiProvider


def _from_plain(plain: dict[str, Any]) -> PlaceTable:
    """Raises SourceError for what are no places."""
    places = Places.kept(*(np.asarray(plain["places"][name], float) for name in ("lon", "lat", "category")))
    category = places.category.astype(np.int64)
    if len(category) and category.max() >= len(POI_CATEGORIES):
        raise SourceError("The places cannot be read; give a CSV with a heading.")
    provider: PoiProvider = "osm" if plain["provider"] == "osm" else "map-service"
    return PlaceTable(replace(places, category=category), int(plain["rows"]), int(plain["unknown"]), provider)


@guarded(
    SourceError,
    pack=lambda table: vars(table) | {"places": vars(table.places)},
    unpack=_from_plain,
    seconds=READ_SECONDS,
)
def read_poi_csv(path: Path, datum: PoiDatum = "WGS-84") -> PlaceTable:
    """Places of a CSV file. datum: of its positions; GCJ-02 is brought to WGS-84. Raises SourceError."""
    name = path.name
    parts: list[PlaceTable] = []
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SourceError(
                f"{name} is larger than {MAX_BYTES // 10**6} MB; keep only the places of the area."
            )
        with path.open("rb") as file:
            dialect = dialect_of(file.read(SAMPLE_BYTES + 1))
        with (
            warnings.catch_warnings(action="error", category=pd.errors.ParserWarning),
            pd.read_csv(
                path, sep=dialect.separator, encoding=dialect.encoding, dtype="string", skipinitialspace=True,
                index_col=False, on_bad_lines="error", chunksize=ROWS_A_CHUNK,
            ) as chunks,
        ):  # fmt: skip
            for chunk in chunks:
                before = sum(part.rows for part in parts)
                parts.append(_places_in(chunk, before, name, dialect.decimal, datum))
    except FileNotFoundError:
        raise SourceError(f"There is no file {path}; name a CSV of places.") from None
    except (OSError, ValueError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise SourceError(f"{name} cannot be read as a table ({error}); give a CSV with a heading.") from None
    rows, unknown = sum(part.rows for part in parts), sum(part.unknown for part in parts)
    if rows == 0:
        raise SourceError(f"{name} lists no place; give at least one line below the heading.")
    if unknown == rows:
        raise SourceError(
            f"{name} names no known category; use {', '.join(POI_CATEGORIES)}, or OSM tags such as amenity=cafe."
        )
    return PlaceTable(Places.join([part.places for part in parts]), rows, unknown, parts[0].provider)


def _places_in(chunk: pd.DataFrame, before: int, name: str, decimal: str, datum: PoiDatum) -> PlaceTable:
    """The places in some rows of the file `name`, which follow `before` others. Raises SourceError."""
    table = chunk.rename(columns=lambda column: str(column).strip().lower())
    lon, lat = _positions(table, before, name, decimal)
    category = categories_in(table)
    if category is None:
        raise SourceError(
            f"{name} does not tell what the places are; give a column category "
            f"({', '.join(POI_CATEGORIES)}), or key and value of an OSM tag."
        )
    if datum == "GCJ-02":
        lon, lat = _to_wgs84(lon, lat)
    provider: PoiProvider = "map-service" if "category" in table else "osm"
    return PlaceTable(Places.kept(lon, lat, category), len(table), int((category < 0).sum()), provider)


def _positions(table: pd.DataFrame, before: int, name: str, decimal: str) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes, degrees. Raises SourceError that names the first line at fault."""
    found = []
    for names in (LONGITUDE_NAMES, LATITUDE_NAMES):
        column = next((column for column in names if column in table), None)
        if column is None:
            raise SourceError(f"{name} has no columns lon and lat; give positions in degrees (WGS-84).")
        text = table[column] if decimal == "." else table[column].str.replace(decimal, ".", regex=False)
        found.append(numbers_of(text))
    lon, lat = found
    bad = ~((np.abs(lon) <= 180) & (np.abs(lat) <= 90))
    if bad.any():
        row = int(np.argmax(bad))
        raise SourceError(
            f"Line {before + row + 2} of {name} has no position on earth; lon must lie in -180..180 and lat in "
            "-90..90 degrees."
        )
    return lon, np.clip(lat, -MAX_LATITUDE, MAX_LATITUDE)


def _to_wgs84(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """GCJ-02 positions in mainland China to WGS-84, to about 1 m."""
    west, south, east, north = MAINLAND_CHINA
    inside = (lon > west) & (lon < east) & (lat > south) & (lat < north)
    plain = lon, lat
    for _ in range(2):  # the offset changes by a millionth of itself over its own length
        d_lon, d_lat = gcj02_offset(*plain)
        plain = lon - d_lon, lat - d_lat
    return np.where(inside, plain[0], lon), np.where(inside, plain[1], lat)
