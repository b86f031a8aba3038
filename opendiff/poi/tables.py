"""A user's table of places: positions and, for each, a POI category or an OpenStreetMap tag, in any format.

CSV is read in chunks, so that memory does not grow with the file; XLSX, GeoJSON, KML and zipped tables whole. Positions
are found by `plannerbase.positions`. What a place is, is told by one of: `category` (a name of POI_CATEGORIES or of a
catalogue, see `opendiff.poi.catalogues`), `key` and `value` (an OSM tag), `fclass` (Geofabrik), or a column
for each OSM
key (`amenity`, `shop`, ...).
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from opendiff.area.tile_grid import MAX_LATITUDE
from opendiff.errors import SourceError
from opendiff.poi.catalogues import categories_in, label_column
from opendiff.poi.categories import POI_CATEGORIES, PoiProvider
from opendiff.poi.places import Places
from plannerbase.delimited import SAMPLE_BYTES, dialect_of
from plannerbase.guard import guarded
from plannerbase.layers import Limits, points_of, read_layers
from plannerbase.positions import positions_of
from plannerbase.report import MAX_EXAMPLES, Report
from plannerbase.systems import WGS84
from plannerbase.text import Refused

Datum = Literal["WGS-84", "GCJ-02", "BD-09"]  # of positions: map services of China shift theirs
READ_SECONDS = 300.0
MAX_BYTES, MAX_WHOLE_BYTES = 500_000_000, 200_000_000  # of a CSV; of a file that is read whole
ROWS_PER_CHUNK = 100_000
LIMITS = Limits(1_000_000_000, 100, 5_000_000, 300)
CHUNKED = (".csv", ".txt", ".tsv")
ADVICE = (
    f"use {', '.join(POI_CATEGORIES)}, the categories of a known catalogue, or OSM tags such as amenity=cafe"
)


@dataclass(frozen=True)
class PlaceTable:
    """Places of a table. rows: lines read; unknown: of them, those without a known category. provider: whose way of
    counting the table follows, judged by its columns. report: what was taken, fixed and left out."""

    places: Places
    rows: int
    unknown: int
    provider: PoiProvider
    report: Report


def _to_plain(table: PlaceTable) -> dict[str, Any]:
    return vars(table) | {"places": vars(table.places), "report": table.report.record()}


def _from_plain(plain: dict[str, Any]) -> PlaceTable:
    """Raises SourceError for what are no places."""
    places = Places.kept(*(np.asarray(plain["places"][name], float) for name in ("lon", "lat", "category")))
    category = places.category.astype(np.int64)
    if len(category) and category.max() >= len(POI_CATEGORIES):
        raise SourceError("The places cannot be read; give a table with a heading.")
    provider: PoiProvider = "osm" if plain["provider"] == "osm" else "map-service"
    report = Report.from_record(plain["report"])
    return PlaceTable(
        replace(places, category=category), int(plain["rows"]), int(plain["unknown"]), provider, report
    )


@guarded(SourceError, pack=_to_plain, unpack=_from_plain, seconds=READ_SECONDS)
def read_poi_table(path: Path, datum: Datum = "WGS-84", mapping: dict[str, str] | None = None) -> PlaceTable:
    """Places of a file. datum: of its positions; GCJ-02 and BD-09 are brought to WGS-84. mapping: lon, lat or category
    -> the file's column. Raises SourceError."""
    name = path.name
    found = _Found(name, datum, mapping or {})
    try:
        parts = _chunks(path) if path.suffix.lower() in CHUNKED else _layers(path, found.report)
        for table, shapes in parts:
            found.add(table, shapes)
    except FileNotFoundError:
        raise SourceError(f"There is no file {path}; name a table of places.") from None
    except Refused as error:
        raise SourceError(f"{name} {error}.") from None
    except (OSError, ValueError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        raise SourceError(f"{name} cannot be read as a table ({error}); give a CSV with a heading.") from None
    return found.result()


def _chunks(path: Path) -> Iterator[tuple[pd.DataFrame, None]]:
    if path.stat().st_size > MAX_BYTES:
        raise Refused(f"is larger than {MAX_BYTES // 10**6} MB; keep only the places of the area")
    with path.open("rb") as file:
        dialect = dialect_of(file.read(SAMPLE_BYTES + 1))
    with (
        warnings.catch_warnings(action="error", category=pd.errors.ParserWarning),
        pd.read_csv(
            path, sep=dialect.separator, encoding=dialect.encoding, dtype="string", skipinitialspace=True,
            index_col=False, on_bad_lines="error", chunksize=ROWS_PER_CHUNK, skiprows=dialect.skip,
        ) as chunks,
    ):  # fmt: skip
        for chunk in chunks:
            yield chunk, None


def _layers(path: Path, report: Report) -> Iterator[tuple[pd.DataFrame, np.ndarray | None]]:
    if path.stat().st_size > MAX_WHOLE_BYTES:
        raise Refused(
            f"is larger than {MAX_WHOLE_BYTES // 10**6} MB; keep only the places of the area, or give a CSV"
        )
    contents = read_layers(path.read_bytes(), path.name, LIMITS)
    report.extend(contents.report)
    told = {
        name: layer for name, layer in contents.layers.items()
        if len(layer) and categories_in(layer.table.head(1)) is not None
    }  # fmt: skip
    unread = [name for name in contents.layers if name not in told]
    if told and unread:
        report.left_out("sheets or layers that do not tell what their places are", len(unread), unread)
    for layer in (told or contents.layers).values():
        try:
            shapes = None if layer.shapes is None else layer.in_degrees(report=report)
        except Refused as error:
            raise Refused(_in_degrees(error)) from None
        yield layer.table, shapes


def _in_degrees(error: Refused) -> str:
    """What the readers of positions say, without the option that commands on places of interest do not have."""
    text = str(error)
    if "--crs" not in text:
        return text
    return f"{text.partition('; ')[0]}; give the places in degrees of WGS-84, or in a format that states its system"


class _Found:
    """The places of a file, gathered part by part."""

    def __init__(self, name: str, datum: Datum, mapping: dict[str, str]) -> None:
        self.name, self.datum, self.mapping = name, datum, mapping
        self.report = Report()
        self.parts: list[Places] = []
        self.rows = self.placed = self.unknown = 0
        self.provider: PoiProvider = "osm"
        self.labels: Counter[str] = Counter()
        self.astray: list[int] = []  # first lines without a position
        self.lost = 0

    def add(self, table: pd.DataFrame, shapes: np.ndarray | None) -> None:
        """Some rows. Raises SourceError where they do not tell what the places are, Refused where they have none."""
        if not len(table):
            return
        before, self.rows = self.rows, self.rows + len(table)
        table = table.rename(columns=lambda column: str(column).strip())
        lon, lat = self._positions(table, shapes)
        category = self._category(table)
        good = np.isfinite(lon) & np.isfinite(lat)
        self.placed += int(good.sum())
        self.lost += int((~good).sum())
        first_line = before + 2
        self.astray += [first_line + int(i) for i in np.flatnonzero(~good)[: MAX_EXAMPLES - len(self.astray)]]
        unknown = category < 0
        self.unknown += int(unknown.sum())
        self._name_unknown(table, unknown)
        self.parts.append(
            Places.kept(lon[good], np.clip(lat[good], -MAX_LATITUDE, MAX_LATITUDE), category[good])
        )

    def _category(self, table: pd.DataFrame) -> np.ndarray:
        if self.mapping.get("category") in table:
            table = table.rename(columns={self.mapping["category"]: "category"})
        category = categories_in(table)
        if category is None:
            raise SourceError(
                f"{self.name} does not tell what the places are; give a column category ({', '.join(POI_CATEGORIES)}), "
                "or key and value of an OSM tag."
            )
        columns = {str(c).lower() for c in table.columns}
        of_osm = {"key", "value"} <= columns or "fclass" in columns
        if "category" in columns or (
            not of_osm and label_column(table.columns) and not columns & {"amenity", "shop"}
        ):
            self.provider = "map-service"
        return category

    def _positions(self, table: pd.DataFrame, shapes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        crs = None if self.datum == "WGS-84" else self.datum
        if shapes is not None:
            lon, lat = np.full(len(table), np.nan), np.full(len(table), np.nan)
            row, x, y = points_of(shapes, self.report)
            table = pd.DataFrame({"lon": x, "lat": y})
            x, y, _ = positions_of(table, self.report, crs=crs) if len(table) else (x, y, None)
            lon[row[::-1]], lat[row[::-1]] = x[::-1], y[::-1]  # a place counts once, at its first point
            return lon, lat
        try:
            noted = Report()
            lon, lat, _ = positions_of(table, noted, self.mapping, crs or WGS84)
        except Refused as error:
            if "no position in degrees" in str(error):
                return np.full(len(table), np.nan), np.full(len(table), np.nan)
            raise Refused(f"has no columns lon and lat that can be read: it {_in_degrees(error)}") from None
        if len(self.parts) == 0:
            self.report.extend(noted)
        return lon, lat

    def _name_unknown(self, table: pd.DataFrame, unknown: np.ndarray) -> None:
        column = label_column(table.columns) or next((c for c in ("value", "fclass") if c in table), None)
        if column is not None and unknown.any() and len(self.labels) < 10_000:
            self.labels.update(table.loc[unknown, column].astype("string").fillna("(empty)").tolist())

    def result(self) -> PlaceTable:
        """All of them, and what became of each row. Raises SourceError where no place is left."""
        if self.rows == 0:
            raise SourceError(f"{self.name} lists no place; give at least one line below the heading.")
        if self.unknown == self.rows:
            seen = ", ".join(label for label, _ in self.labels.most_common(MAX_EXAMPLES))
            raise SourceError(
                f"{self.name} names no known category{f' (it has {seen})' if seen else ''}; {ADVICE}."
            )
        if not self.placed:
            raise SourceError(
                f"{self.name} has no row with a position on earth (first: line {self.astray[0]}); lon must lie "
                "in -180..180 "
                "and lat in -90..90 degrees."
            )
        places = Places.join(self.parts)
        self.report.taken(f"of {self.rows:,} rows are places with a category", len(places))
        if self.lost:
            self.report.left_out(
                "rows left out: no position on earth", self.lost, [f"line {n}" for n in self.astray]
            )
        if self.unknown:
            named = [f"{label} x {count:,}" for label, count in self.labels.most_common(MAX_EXAMPLES)]
            self.report.left_out("rows left out: no known category", self.unknown, named)
        return PlaceTable(places, self.rows, self.unknown, self.provider, self.report)
