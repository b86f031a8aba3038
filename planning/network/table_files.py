"""Files of networks: every table and layer of any format (`plannerbase.layers`), and what marks our own exports.

Our exports hold two tables, sites and cells, with every digit; they are known by these names and come back as
they were.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from plannerbase.archive import members, unpacked
from plannerbase.headings import plain
from plannerbase.layers import Contents, Layer, Limits, about_lines, read_layers
from plannerbase.source import Source, content_of, name_of
from plannerbase.text import Refused, read_json
from plannerbase.workbook import workbook_members
from planning.errors import InputError
from planning.network.cell_databases import with_heading
from planning.network.cells import CELL_COLUMNS
from planning.network.headings import HEADINGS
from planning.network.network import SITE_COLUMNS
from planning.network.xlsx import own_tables

MAX_BYTES = 100_000_000
LIMITS = Limits(
    unpacked_bytes=200_000_000, members=100, rows=500_000, columns=300,
    names=tuple(plain(name) for column in ("site", "cell", "sector") for name in HEADINGS[column]),
)  # fmt: skip
FORMATS = (
    "CSV, XLSX, Parquet, GeoJSON, KML, KMZ, GPX, FlatGeobuf (.fgb), "
    "GeoPackage (.gpkg), MapInfo (.mif with .mid, zipped) or a zipped Shapefile (.zip)"
)
_DISARMED = tuple("=+-@\t\r")  # first letters of text that a spreadsheet would run


def read_bytes(source: Source, name: str | None) -> tuple[bytes, str]:
    """(bytes, file name) of a path, or of bytes and their name. Raises InputError where there is nothing to read."""
    name = Path(name_of(source, name, "the file")).name
    try:
        data = content_of(source, MAX_BYTES)
    except Refused as error:
        raise InputError(f"{name} {error}; keep only the sites of the area.") from None
    except FileNotFoundError as error:
        raise InputError(f"{error}; give the sites as {FORMATS}.") from None
    except OSError as error:
        raise InputError(f"{name} cannot be read ({error.strerror}); check its permissions.") from None
    if not data:
        raise InputError(f"{name} is empty; export the sites again.")
    return data, name


def read_contents(data: bytes, name: str) -> Contents:
    """Every table and layer of a file, those of our own exports as they were. Raises InputError."""
    try:
        data, name = unpacked(data, name, LIMITS.unpacked_bytes)
        suffix = Path(name).suffix.lower()
        if suffix in (".csv", ".txt", ".tsv", ".ntm"):
            data, name = with_heading(data), name if suffix != ".ntm" else f"{Path(name).stem}.csv"
        own = _own_workbook(data) if suffix == ".xlsx" else None
        contents = own or read_layers(data, name, LIMITS)
    except Refused as error:
        advice = f"; give {FORMATS}" if "no known format" in str(error) else "; export the sites again"
        raise InputError(f"{name} {error}{'' if ';' in str(error) else advice}.") from None
    layers = {k: _plain(layer) for k, layer in contents.layers.items() if len(layer)}
    if not layers:
        why = " ".join(entry.line for entry in contents.report.of("left out")[:2])
        raise InputError(f"{name} holds no row; export the sites again.{f' {why}' if why else ''}")
    if suffix == ".zip":
        layers = _with_whole_names(layers, data)
    return replace(contents, layers=_own_layers(layers, name))


def is_own(contents: Contents) -> bool:
    """Whether a file holds the two tables of our own exports."""
    return {"sites", "cells"} <= set(contents.layers) and _fits(contents)


def _fits(contents: Contents) -> bool:
    sites, cells = (set(map(str, contents.layers[name].table)) for name in ("sites", "cells"))
    return {"site", "lon", "lat"} <= sites and {"cell", "site"} <= cells


def _own_workbook(data: bytes) -> Contents | None:
    """The tables of a workbook of ours; None for any other."""
    tables = own_tables(workbook_members(data, LIMITS.members, LIMITS.unpacked_bytes))
    if tables is None:
        return None
    own = tables.pop("provenance", pd.DataFrame())
    about: dict[str, Any] = {}
    if {"key", "value"} <= set(own):
        about = about_lines(f"{k}: {v}" for k, v in zip(own["key"], own["value"], strict=True))
    return Contents({name: Layer(name, table) for name, table in tables.items()}, about)


def _plain(layer: Layer) -> Layer:
    """The apostrophe goes by which our own exports disarm text that a spreadsheet would run."""
    table = layer.table
    disarmed = {}
    for column in table:
        if not pd.api.types.is_numeric_dtype(table[column]):
            values = table[column].astype(object)
            disarmed[column] = [
                v[1:] if isinstance(v, str) and v[:1] == "'" and v[1:2] in _DISARMED else v for v in values
            ]
    return replace(layer, table=table.assign(**disarmed)) if disarmed and table.columns.is_unique else layer


def _own_layers(layers: dict[str, Layer], name: str) -> dict[str, Layer]:
    """Sites and cells that our GeoJSON and KML put into one layer, as two."""
    if len(layers) != 1:
        if {"sites", "cells"} <= set(layers) and {"site", "lon"} <= set(layers["sites"].table):
            return {k: replace(layers[k], shapes=None) for k in ("sites", "cells")}
        return layers
    table = next(iter(layers.values())).table
    if "layer" in table and {"site", "cell"} <= set(table["layer"].dropna().astype(str)):
        parts = {f"{kind}s": table[table["layer"] == kind] for kind in ("site", "cell")}
        return {k: Layer(k, t.dropna(axis=1, how="all").reset_index(drop=True)) for k, t in parts.items()}
    if "cells" in table and {"site", "lon", "lat"} <= set(table):
        marked = table[table["cells"].notna()]
        if len(marked):
            return _with_cells(marked.reset_index(drop=True), name)
    return layers


def _with_cells(sites: pd.DataFrame, name: str) -> dict[str, Layer]:
    """Sites of our own KML, whose cells are JSON at the site."""
    parts: dict[str, list] = {}
    try:
        for site, text in zip(sites["site"], sites["cells"], strict=True):
            head, *cells = read_json(text)
            columns = zip(*((site, *c) for c in cells), strict=True)
            for column, values in zip(["site", *head], columns, strict=True):
                parts.setdefault(column, []).extend(values)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{name}: the cells of a site cannot be read ({type(error).__name__}); export it again."
        ) from None
    kept = sites.drop(columns=["cells", "name", "folder"], errors="ignore").dropna(axis=1, how="all")
    return {"sites": Layer("sites", kept), "cells": Layer("cells", pd.DataFrame(parts))}


def _with_whole_names(layers: dict[str, Layer], data: bytes) -> dict[str, Layer]:
    """A Shapefile holds ten letters of a column's name: the whole ones, as its archive or our own columns tell."""
    told: dict[str, Any] = {}
    inside = members(data, ("columns.json",), LIMITS.members, LIMITS.unpacked_bytes)
    for content in inside.values():
        try:
            found = read_json(content)
        except ValueError:
            continue  # not of our own making; the sites count
        told = found if isinstance(found, dict) else told
    out = {}
    for name, layer in layers.items():
        own = list(layer.table.columns)
        listed = told.get(name)
        whole = {c[:10]: c for c in (*SITE_COLUMNS, *CELL_COLUMNS) if len(c) > 10}
        if isinstance(listed, list) and len(listed) == len(own) and all(isinstance(c, str) for c in listed):
            whole = dict(zip(own, listed, strict=True))
        out[name] = replace(layer, table=layer.table.rename(columns=whole))
    return out
