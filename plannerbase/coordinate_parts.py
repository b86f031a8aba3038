"""Coordinates that a table keeps in parts: degrees, minutes and seconds in columns of their own, and zones of UTM."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from plannerbase.headings import columns_named
from plannerbase.numbers import written_numbers
from plannerbase.report import Report
from plannerbase.systems import to_degrees
from plannerbase.text import Refused

_AXES = {"lat": ("lat", "latitude"), "lon": ("lon", "long", "longitude", "lng")}
_PARTS = {
    "degrees": ("d", "deg", "degree", "degrees", "dg"),
    "minutes": ("m", "min", "minute", "minutes", "mn"),
    "seconds": ("s", "sec", "second", "seconds", "sc"),
    "side": ("dir", "direction", "hemisphere", "hem", "ns", "ew"),
}
_ZONES = {
    "zone": ("zone", "utmzone", "zoneutm", "gridzone", "zona", "huso", "fuso", "zonautm"),
    "hemisphere": ("hemisphere", "hemi", "hemisferio", "hemisfério"),
}
_ZONE = re.compile(r"\s*(?:UTM|zone)?\s*(\d{1,2})\s*([C-HJ-NP-X]?)\s*", re.IGNORECASE)
MIN_PLAIN_ZONE = 10  # below lie oceans and Alaska, and any plan has zones 1 to 9 of its own
BAND_S_M = (3_540_000.0, 4_430_000.0)  # northings of latitude band S, 32 to 40 degrees north


def split_columns(headings: Iterable[object]) -> dict[str, str]:
    """ "lat degrees", "lat minutes", ..., "lon side" -> the file's heading, where a table has columns of degrees and of
    minutes for both axes; else nothing."""
    found: dict[str, str] = {}
    largest = False  # of a box: "lat_min" beside "lat_max"
    for heading in map(str, headings):
        apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", heading)
        words = set(re.split(r"[\W_]+", apart.casefold()))
        axis = [a for a, names in _AXES.items() if words & set(names)]
        part = [p for p, names in _PARTS.items() if words & set(names)]
        largest |= bool(axis and "max" in words)
        if len(axis) == len(part) == 1:
            found.setdefault(f"{axis[0]} {part[0]}", heading)
    needed = {f"{axis} {part}" for axis in _AXES for part in ("degrees", "minutes")}
    return found if needed <= set(found) and not largest else {}


def joined_degrees(table: pd.DataFrame, used: dict[str, str], axis: str) -> np.ndarray:
    """(rows,) decimal degrees of one axis ("lat" or "lon") from the columns of `split_columns`, NaN where one of them
    holds no number or a number that is none of its kind."""
    degrees, minutes = (written_numbers(table[used[f"{axis} {part}"]]) for part in ("degrees", "minutes"))
    seconds = np.zeros(len(table))
    if f"{axis} seconds" in used:
        seconds = np.nan_to_num(written_numbers(table[used[f"{axis} seconds"]]))
    good = (degrees % 1 == 0) & (minutes >= 0) & (minutes < 60) & (seconds >= 0) & (seconds < 60)
    value = np.where(good, np.abs(degrees) + minutes / 60 + seconds / 3600, np.nan)
    negative = np.signbit(degrees)
    if f"{axis} side" in used:
        sides = table[used[f"{axis} side"]].astype("string").fillna("").str.strip().str[:1].str.upper()
        # O is Ost beside W, Ouest or Oeste else
        minus = ["S", "W"] if (sides == "W").any() else ["S", "W", "O"]
        negative |= sides.isin(minus).to_numpy(bool)
    return np.where(negative, -value, value)


def by_zones(
    table: pd.DataFrame, x: np.ndarray, y: np.ndarray, report: Report
) -> tuple[np.ndarray, np.ndarray] | None:
    """(lon, lat) of eastings and northings (rows,) by a column of UTM zones beside them ("30T", "33" and a
    hemisphere); None without one. The datum is taken to be WGS-84, and a zone that tells no hemisphere to lie in the
    northern one."""
    named = columns_named(table.columns, _ZONES)
    if "zone" not in named:
        return None
    texts = table[named["zone"]].astype("string").fillna("").str.replace(r"\.0$", "", regex=True)
    marks = [_ZONE.fullmatch(text) for text in texts]
    zone = np.array([int(m[1]) if m else 0 for m in marks])
    known = (zone >= 1) & (zone <= 60)
    if not known.any():
        return None
    plainly = columns_named([named["zone"]], {"zone": ("zone", "zona")}) and "hemisphere" not in named
    if plainly and not any(m and m[2] for m in marks) and zone[known].min() < MIN_PLAIN_ZONE:
        return None
    letter = np.array([m[2].upper() if m else "" for m in marks], object)
    south = (letter != "") & (letter < "N")
    south |= (letter == "S") & ~((y >= BAND_S_M[0]) & (y <= BAND_S_M[1]))
    if "hemisphere" in named:
        sides = table[named["hemisphere"]].astype("string").fillna("").str.strip().str[:1].str.upper()
        south = (sides == "S").to_numpy(bool)
    lon, lat = np.full(len(table), np.nan), np.full(len(table), np.nan)
    systems = np.where(south, 32700, 32600) + zone
    for code in np.unique(systems[known]):
        rows = known & (systems == code)
        lon[rows], lat[rows] = to_degrees(x[rows], y[rows], f"EPSG:{code}")
    if not np.isfinite(lon).any():
        raise Refused(f"has UTM zones in {named['zone']}, but no position in its eastings and northings")
    found = ", ".join(f"EPSG:{code}" for code in np.unique(systems[known])[:5])
    report.assumed(f"Zones in {named['zone']} are those of UTM on WGS-84 ({found}); say another with --crs")
    if "hemisphere" not in named and (letter[known] == "").any():
        report.assumed(
            "UTM zones without a letter lie in the northern hemisphere", int((letter[known] == "").sum())
        )
    return lon, lat
