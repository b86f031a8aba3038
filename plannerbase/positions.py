"""Positions out of the columns of a table, however they are written.

Two columns of degrees (decimal, degrees-minutes-seconds, with hemispheres), one column of both ("28.67, 115.91") or of
WKT, WKB or GeoJSON, references of the British National Grid, or eastings and northings in a stated reference system.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import shapely

from plannerbase.coordinate_parts import by_zones, joined_degrees, split_columns
from plannerbase.grid_references import SYSTEM as GRID_SYSTEM
from plannerbase.grid_references import grid_references
from plannerbase.headings import LON_FIRST, forms, place_columns
from plannerbase.numbers import written_numbers
from plannerbase.report import Report, rows_of
from plannerbase.systems import EXAMPLES, WGS84, is_projected, system_of, to_degrees
from plannerbase.text import Refused

MAX_LATITUDE = 90.0
MAX_M = (6.2e7, 1.1e7)  # of eastings (60 zones, each with its number before it) and northings
COARSE_M = 10.0  # side of a grid reference's square beyond which it is said that it is no place
KINDS = (("lon", "lat"), ("both",), ("wkt",), ("ngr",), ("easting", "northing"))
_WORDS = {
    "度": "°", "分": "'", "秒": '"', "北纬": "N", "南纬": "S", "东经": "E", "西经": "W", "º": "°", "˚": "°",
    "′": "'", "’": "'", "‘": "'", "´": "'", "″": '"', "”": '"', "“": '"', "''": '"', "−": "-", "–": "-",
    "，": ",", "；": ";", "\u00a0": " ", "\u202f": " ",
}  # fmt: skip
_NUMBER = r"\d{1,3}(?:[.,]\d+)?"
_ONE = re.compile(
    rf"([NSEWnsew])?\s*([-+])?\s*({_NUMBER})\s*(?:[°:d]|deg\.?|(?<=\d)[-\s](?=\s*\d))?\s*"
    rf"(?:({_NUMBER})\s*(?:['m:]|min\.?|[-\s](?=\s*\d))?\s*(?:({_NUMBER})\s*(?:\"|s(?:ec)?\.?)?)?)?"
    r"\s*([NSEWnsew])?"
)
_COMPACT = re.compile(r"(\d{2,3})(\d{2})(\d{2}(?:\.\d+)?)\s*([NSEW])", re.IGNORECASE)
_COMMAS = re.compile(r"([-+]?\d{1,3},\d+)\s*[,;\s]\s*([-+]?\d{1,3},\d+)")


def positions_of(
    table: pd.DataFrame,
    report: Report,
    mapping: dict[str, str] | None = None,
    crs: str | None = None,
) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """(lon, lat) of each row in degrees WGS-84, NaN where it has none, and the columns used.

    mapping: "lon", "lat", "easting", "northing", "both", "wkt" or "ngr" (National Grid reference) -> the table's
    column, over what headings tell. crs: of positions that do not state their own. What was fixed or assumed goes into
    the report. Raises `Refused` where no row has a position, with what was seen and the option that helps.
    """
    system = WGS84 if crs is None else system_of(crs)
    columns = place_columns(table.columns) | {k: v for k, v in (mapping or {}).items() if v in table}
    kinds: list[tuple[str, ...]] = [kind for kind in KINDS if set(kind) <= set(columns)]
    if parts := split_columns(table.columns):
        columns |= parts
        kinds.insert(0, tuple(parts))
    if crs is not None and is_projected(system):
        kinds.sort(key=lambda kind: kind != ("easting", "northing"))
    seen = ""
    for kind in kinds:
        used = {part: columns[part] for part in kind}
        noted = Report()
        try:
            lon, lat = _READERS.get(kind, _split)(table, used, system, crs is not None, noted)
        except Refused as error:
            seen = seen or str(error)
            continue
        good = (np.abs(lon) <= 180) & (np.abs(lat) <= MAX_LATITUDE)
        if good.any():
            report.extend(noted)
            return np.where(good, lon, np.nan), np.where(good, lat, np.nan), used
        shown = ", ".join(
            f"{theirs} {table[theirs].dropna().iloc[0]!s:.40}"
            for theirs in used.values()
            if table[theirs].notna().any()
        )
        seen = seen or f"has no position in degrees in any row (first: {shown or 'all empty'})"
        if re.search(r"\d\W*O(,|$)", shown):
            seen += "; O is east in German and west in French and Spanish, so write E or W"
    if seen:
        advice = "map the columns of longitude and latitude (--map lon=COLUMN --map lat=COLUMN)"
        raise Refused(seen if ";" in seen else f"{seen}; {advice}")
    found = ", ".join(str(c) for c in table.columns[:12])
    missing = [c for c in ("lon", "lat") if c not in columns]
    raise Refused(
        f"has no column that looks like {' or '.join(missing)} (found: {found}); say which ones they are in the column "
        "mapping (--map lon=COLUMN --map lat=COLUMN)"
    )


def _degrees(
    table: pd.DataFrame, used: dict[str, str], system: str, stated: bool, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """Of a column of longitudes and one of latitudes."""
    x, y = (_coordinates(table[used[c]]) for c in ("lon", "lat"))
    there = np.isfinite(x) & np.isfinite(y)
    if not there.any():
        return x, y
    large = there & ((np.abs(x) > 400) | (np.abs(y) > 400))
    if large.sum() > 0.5 * there.sum():
        return _projected(x, y, system, stated, used, report)
    x, y = _in_order(x, y, used["lat"], report)
    if stated and is_projected(system):
        return x, y  # degrees beside a projected system
    return _moved(x, y, system, report)


def _eastings(
    table: pd.DataFrame, used: dict[str, str], system: str, stated: bool, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    x, y = (written_numbers(table[used[c]], grouped=True) for c in ("easting", "northing"))
    there = np.isfinite(x) & np.isfinite(y)
    if there.any() and (np.abs(x[there]) <= 180).all() and (np.abs(y[there]) <= 90).all():
        return _moved(x, y, WGS84 if is_projected(system) else system, report)
    if not stated and (found := by_zones(table, x, y, report)) is not None:
        return found
    return _projected(x, y, system, stated, used, report)


def _split(
    table: pd.DataFrame, used: dict[str, str], system: str, stated: bool, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """Of columns of degrees, minutes and seconds."""
    x, y = (joined_degrees(table, used, axis) for axis in ("lon", "lat"))
    return _moved(x, y, WGS84 if is_projected(system) else system, report)


def _projected(
    x: np.ndarray, y: np.ndarray, system: str, stated: bool, used: dict[str, str], report: Report
) -> tuple[np.ndarray, np.ndarray]:
    if not (stated and is_projected(system)):
        first = int(np.argmax(np.isfinite(x) & np.isfinite(y)))
        if abs(x[first]) > MAX_M[0] or abs(y[first]) > MAX_M[1]:
            raise Refused(
                f"has numbers such as {x[first]:.0f}, {y[first]:.0f} in {' and '.join(used.values())}, which are "
                "neither degrees nor metres; where they are degrees times a million or ten million, divide them by that"
            )
        raise Refused(
            f"has positions such as {x[first]:.0f}, {y[first]:.0f} in {' and '.join(used.values())}, which are "
            "metres of "
            f"a projected reference system, not degrees of WGS-84; say which one with --crs, for example {EXAMPLES}"
        )
    return _moved(x, y, system, report)


def _moved(x: np.ndarray, y: np.ndarray, system: str, report: Report) -> tuple[np.ndarray, np.ndarray]:
    if system == WGS84:
        return x, y
    lon, lat = to_degrees(x, y, system)
    report.fixed(f"positions brought from {system} to WGS-84", int(np.isfinite(lon).sum()))
    return lon, lat


def _both(
    table: pd.DataFrame, used: dict[str, str], system: str, stated: bool, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """Of one column that holds latitude and longitude, in either order."""
    column = used["both"]
    pairs = [_pair(text) for text in table[column].astype("string").fillna("")]
    first, second = (np.array([pair[i] for pair in pairs], float) for i in (0, 1))
    axes = {pair[2] for pair in pairs if pair[2]}
    lon_first = any(form in LON_FIRST for form in forms(column))
    if len(axes) == 1:
        lon_first = axes == {"lon"}
    elif (np.abs(first) > 90).any() and not (np.abs(second) > 90).any():
        lon_first = True
    elif (np.abs(second) > 90).any() and not (np.abs(first) > 90).any():
        lon_first = False
    elif not lon_first and np.isfinite(first).any():
        report.assumed(f"The column {column} holds latitude, then longitude")
    x, y = (first, second) if lon_first else (second, first)
    large = np.isfinite(x) & (np.abs(x) > 400)
    if large.any():
        return _projected(x, y, system, stated, used, report)
    return _moved(x, y, WGS84 if is_projected(system) else system, report)


def _well_known(
    table: pd.DataFrame, used: dict[str, str], system: str, stated: bool, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """Of a column of WKT, EWKT, hexadecimal WKB or GeoJSON; what is no point lies at its centre."""
    shapes, code = written_shapes(table[used["wkt"]])
    centre = shapely.centroid(shapes)
    other = int((shapely.get_type_id(shapes) > 0).sum())
    if other:
        report.fixed("shapes that are no points were taken at their centre", other)
    x, y = shapely.get_x(centre), shapely.get_y(centre)
    if code:
        system, stated = system_of(code), True
    if np.nanmax(np.abs(x), initial=0) > 400:
        return _projected(x, y, system, stated, used, report)
    x, y = _in_order(x, y, used["wkt"], report)
    return _moved(x, y, WGS84 if is_projected(system) else system, report)


def _in_order(x: np.ndarray, y: np.ndarray, column: str, report: Report) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes, exchanged where all of them only fit so. column: that said to hold the latitude."""
    there = np.isfinite(x) & np.isfinite(y)
    swapped = there & (np.abs(y) > 90) & (np.abs(x) <= 90)
    if not swapped.any() or swapped.sum() != there.sum():
        return x, y
    report.fixed(
        f"positions had latitude and longitude exchanged ({column} held the longitude)", int(there.sum())
    )
    return y, x


def written_shapes(values: pd.Series) -> tuple[np.ndarray, str]:
    """(rows,) shapes of WKT, EWKT, hexadecimal WKB or GeoJSON, None where there is none; and the reference system that
    all of them state, "" for WGS-84 and where they state none."""
    text = values.astype("string").fillna("").str.strip()
    srid = text.str.extract(r"^SRID=(\d+);", expand=False)
    text = text.str.replace(r"^SRID=\d+;", "", regex=True)
    begin = text.str[:1]
    shapes = np.full(len(text), None, object)
    for letters, read in (("{", shapely.from_geojson), ("0", shapely.from_wkb)):
        mine = (begin == letters).to_numpy(bool)
        shapes[mine] = read(text[mine].to_numpy(object), on_invalid="ignore")
    rest = ~begin.isin(["", "{", "0"]).to_numpy(bool)
    shapes[rest] = shapely.from_wkt(text[rest].to_numpy(object), on_invalid="ignore")
    shapes[shapely.is_empty(shapes)] = None
    codes = srid.dropna().unique()
    return shapes, f"EPSG:{codes[0]}" if len(codes) == 1 and codes[0] not in ("0", "4326") else ""


def _grid(
    table: pd.DataFrame, used: dict[str, str], system: str, stated: bool, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """Of a column of references of the British National Grid."""
    column = used["ngr"]
    x, y, side = grid_references(table[column].astype("string").fillna("").tolist())
    good = np.isfinite(x)
    if not good.any():
        shown = table[column].dropna().astype(str)
        raise Refused(
            f"has no reference of the British National Grid, such as TQ 30080 80430, in {column} (first: "
            f"{shown.iloc[0] if len(shown) else 'all empty':.40})"
        )
    coarse = int((side > COARSE_M).sum())
    if coarse:
        report.assumed(
            f"{coarse:,} grid references name squares of {np.nanmax(side):,.0f} m or less, not places; each counts at "
            "the centre of its square"
        )
    return _moved(x, y, GRID_SYSTEM, report)


_READERS = {
    ("lon", "lat"): _degrees,
    ("both",): _both,
    ("wkt",): _well_known,
    ("ngr",): _grid,
    ("easting", "northing"): _eastings,
}


def _coordinates(column: pd.Series) -> np.ndarray:
    """(rows,) numbers of one axis; degrees, minutes and seconds as decimal degrees, south and west negative."""
    values = written_numbers(column, grouped=False)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return values
    text = column.astype("string").fillna("").to_numpy(object)
    # "28 41 24.0N" is no number with spaces between its thousands, and the W of "3.7W" is no unit. A bare O is Ost or
    # Ouest and no coordinate
    apart = (
        column.astype("string")
        .str.contains(r"\d[\s\-:]+\d{1,2}(?!\d)|\d\s*°?\s*[^\W\d_]\s*$", regex=True)
        .fillna(False)
        .to_numpy(bool)
    )
    for i in np.flatnonzero((np.isnan(values) | apart) & (text != "")):
        found = _one(_plain(text[i]))[0]
        if not np.isnan(found) or text[i].rstrip()[-1:].isalpha():
            values[i] = found
    return values


def _plain(text: str) -> str:
    for theirs, ours in _WORDS.items():
        text = text.replace(theirs, ours)
    return text.strip()


def _one(text: str) -> tuple[float, str]:
    """(decimal degrees, "lon", "lat" or "" where no hemisphere tells); NaN for what is no coordinate."""
    compact = _COMPACT.fullmatch(text)
    found = compact or _ONE.fullmatch(text)
    if compact:
        before, sign, degrees, minutes, seconds, after = None, None, *compact.groups()
    elif found:
        before, sign, degrees, minutes, seconds, after = found.groups()
    else:
        return np.nan, ""
    parts = [float(p.replace(",", ".")) if p else 0.0 for p in (degrees, minutes, seconds)]
    if parts[1] >= 60 or parts[2] >= 60 or (before and after):
        return np.nan, ""
    side = (before or after or "").upper()
    value = parts[0] + parts[1] / 60 + parts[2] / 3600
    negative = sign == "-" or side in ("S", "W")
    return (-value if negative else value), {"N": "lat", "S": "lat", "E": "lon", "W": "lon"}.get(side, "")


def _pair(text: str) -> tuple[float, float, str]:
    """(first, second, axis of the first or ""), NaN for what is no pair of coordinates."""
    text = _plain(re.sub(r"^\s*POINT\s*Z?\s*", "", text, flags=re.IGNORECASE)).strip("()[]{} ")
    commas = _COMMAS.fullmatch(text)
    if commas:
        parts = list(commas.groups())
    else:
        parts = [
            p.strip() for p in re.split(r"[;|/]" if re.search(r"[;|/]", text) else ",", text) if p.strip()
        ]
        if len(parts) == 1:
            letters = re.fullmatch(r"(.*?[NSEW])\s+(.*[NSEW])|([NSEW].*?)\s+([NSEW].*)", text, re.IGNORECASE)
            parts = [p for p in letters.groups() if p] if letters else text.split()
    if len(parts) == 3 and _one(parts[2])[1] == "":
        parts = parts[:2]  # a height
    if len(parts) != 2:
        return np.nan, np.nan, ""
    try:
        return float(parts[0]), float(parts[1]), ""
    except ValueError:
        (first, axis), (second, other) = _one(parts[0]), _one(parts[1])
        return first, second, axis or {"lon": "lat", "lat": "lon"}.get(other, "")


def left_out_without_place(good: np.ndarray, report: Report) -> None:
    """Say how many rows (rows,) bool have no place."""
    if not good.all():
        report.left_out(
            "rows left out: no longitude and latitude in degrees", int((~good).sum()), rows_of(~good)
        )
