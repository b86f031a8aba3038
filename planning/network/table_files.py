"""Tables out of files that strangers send: CSV, XLSX, GeoJSON, KML, KMZ, GeoPackage, zipped Shapefile.

Sizes are limited before parsing, archives are unpacked in memory under names of our own, XML with a document type is
refused, and GDAL reads only what the first bytes show to be of the format that the name says.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pyogrio
import shapely

from intake.archive import members
from intake.delimited import read_csv
from intake.markup import check_plain
from intake.source import Source, content_of, name_of
from intake.text import Refused, decoded, read_json
from intake.vector import SHAPEFILE_PARTS, handed_to_gdal, shapefiles
from planning.errors import InputError
from planning.network import CELL_COLUMNS, SITE_COLUMNS
from planning.network.xlsx import own_tables

MAX_BYTES, MAX_UNPACKED_BYTES = 100_000_000, 200_000_000
MAX_MEMBERS, MAX_ROWS, MAX_COLUMNS = 100, 500_000, 300
Tables = tuple[dict[str, pd.DataFrame], dict[str, Any]]  # by name; provenance of the export that made them
FORMATS = "CSV, XLSX, GeoJSON, KML, KMZ, GeoPackage (.gpkg) or a zipped Shapefile (.zip)"
_DISARMED = tuple("=+-@\t\r")  # first letters of text that a spreadsheet would run
_CSV_OF_OPENCELLID = ["radio", "mcc", "net", "area", "cell", "unit", "lon", "lat", "range", "samples", "changeable",
                      "created", "updated", "averageSignal"]  # fmt: skip


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


def read_tables(data: bytes, name: str) -> Tables:
    """(table by name, provenance of the export that made the file). Points get lon and lat in WGS-84."""
    readers = {".csv": _csv, ".txt": _csv, ".xlsx": _xlsx, ".geojson": _geojson, ".json": _geojson, ".kml": _kml,
               ".kmz": _kmz, ".gpkg": _gpkg, ".zip": _zip}  # fmt: skip
    suffix = Path(name).suffix.lower()
    if suffix not in readers:
        raise InputError(f"{name} is of no known format; give {FORMATS}.")
    tables, provenance = readers[suffix](data, name)
    tables = {k: t for k, t in tables.items() if len(t)}
    if not tables:
        raise InputError(f"{name} holds no row; export the sites again.")
    if max(map(len, tables.values())) > MAX_ROWS:
        raise InputError(f"{name} has more than {MAX_ROWS:,} rows; keep only the sites of the area.")
    return tables, provenance


def _csv(data: bytes, name: str) -> Tables:
    lines = decoded(data).splitlines()
    comments = [line[2:] for line in lines[:200] if line.startswith("# ")]
    first = next((line for line in lines if line and not line.startswith("#")), "")
    has_head = not re.fullmatch(r"(GSM|UMTS|LTE|NR|CDMA)(,[^,]*){13}", first)
    try:
        frame = read_csv(
            "\n".join(line for line in lines if not line.startswith("# ")).encode(), MAX_ROWS,
            header=0 if has_head else None, names=None if has_head else _CSV_OF_OPENCELLID,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(f"{name} {error}; export it again.") from None
    return {"table": _unescaped(frame)}, _provenance_of(comments)


def _provenance_of(lines: list[str]) -> dict[str, Any]:
    found = {}
    for line in lines:
        key, _, value = line.partition(": ")
        try:
            found[key] = read_json(value)
        except ValueError:
            found[key] = value
    return found


def _xlsx(data: bytes, name: str) -> Tables:
    parts = _members(data, name, (".xml", ".rels"))
    for part, content in parts.items():
        try:
            check_plain(content)
        except Refused as error:
            raise InputError(f"{part} in {name} {error}; save the workbook again.") from None
    try:
        sheets = own_tables(parts)
        if sheets is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sheets = _sheets(_only(parts))
    except Exception as error:  # openpyxl raises what its parsers raise
        raise InputError(
            f"{name} is no readable XLSX workbook ({type(error).__name__}); export it again."
        ) from None
    own = sheets.pop("provenance", pd.DataFrame())
    provenance = {}
    if {"key", "value"} <= set(own):
        lines = [f"{k}: {v}" for k, v in zip(own["key"], own["value"], strict=True)]
        provenance = _provenance_of(lines)
    return {str(k): _unescaped(v) for k, v in sheets.items()}, provenance


def _only(parts: dict[str, bytes]) -> bytes:
    """A workbook of these members alone: none that was not looked at is left for a parser."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    return made.getvalue()


def _sheets(data: bytes) -> dict[str, pd.DataFrame]:
    """The worksheets of a workbook; no wider than MAX_COLUMNS, for a cell far to the right costs as much as a row."""
    import openpyxl  # only workbooks from elsewhere need it

    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    found = {}
    for sheet in book.worksheets[:MAX_MEMBERS]:
        rows = sheet.iter_rows(max_row=MAX_ROWS + 2, max_col=MAX_COLUMNS, values_only=True)
        rows = [list(row) for row in rows if any(value is not None for value in row)]
        if rows:
            places = [i for i, value in enumerate(rows[0]) if value is not None]
            body = [[row[i] if i < len(row) else None for i in places] for row in rows[1:]]
            found[sheet.title] = pd.DataFrame(body, columns=[rows[0][i] for i in places]).infer_objects()
    return found


def _unescaped(frame: pd.DataFrame) -> pd.DataFrame:
    """The apostrophe goes by which our own exports disarm text that a spreadsheet would run."""
    for column in frame:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            values = frame[column].astype(object)
            frame[column] = [
                v[1:] if isinstance(v, str) and v[:1] == "'" and v[1:2] in _DISARMED else v for v in values
            ]
    return frame


def _geojson(data: bytes, name: str) -> Tables:
    try:
        document = read_json(data.decode("utf-8-sig"))
        features = document["features"]
        rows = []
        for feature in features[: MAX_ROWS + 1]:
            geometry = feature.get("geometry") or {}
            row = dict(feature.get("properties") or {})
            if geometry.get("type") == "Point":
                row.setdefault("lon", geometry["coordinates"][0])
                row.setdefault("lat", geometry["coordinates"][1])
                rows.append(row)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(
            f"{name} is no readable GeoJSON of points ({type(error).__name__}); export it again."
        ) from None
    provenance = document.get("provenance")
    return _by_layer(rows), provenance if isinstance(provenance, dict) else {}


def _by_layer(rows: list[dict[str, Any]]) -> dict[str, pd.DataFrame]:
    """Our exports put sites and cells into one file and say which is which."""
    layers: dict[str, list[dict[str, Any]]] = {"site": [], "cell": []}
    for row in rows:
        if isinstance(kind := row.get("layer"), str) and kind in layers:
            layers[kind].append(row)
    if not all(layers.values()):
        return {"table": pd.DataFrame(rows)}
    return {f"{kind}s": pd.DataFrame(mine) for kind, mine in layers.items()}


def _kml(data: bytes, name: str) -> Tables:
    try:
        check_plain(data)
    except Refused as error:
        raise InputError(f"{name} {error}; export it as plain KML in UTF-8.") from None
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{name} is no readable KML ({error}); export it again.") from None
    rows, provenance = [], {}
    space = root.tag.rpartition("kml")[0]
    for mark in root.iter(f"{space}Placemark"):
        at = mark.find(f"{space}Point/{space}coordinates")
        if at is None or not at.text:
            continue
        row: dict[str | None, Any] = {
            d.get("name"): (d.findtext(f"{space}value") or "") for d in mark.iter(f"{space}Data")
        }
        row |= {d.get("name"): d.text for d in mark.iter(f"{space}SimpleData")}
        parts = at.text.strip().split(",")
        row.setdefault("site", mark.findtext(f"{space}name"))
        rows.append(
            row
            | {"lon": row.get("lon", parts[0]), "lat": row.get("lat", parts[1] if len(parts) > 1 else None)}
        )
    text = root.find(f"{space}Document/{space}description")
    if text is not None and text.text:
        provenance = _provenance_of(text.text.splitlines())
    if rows and all("cells" in row for row in rows):
        return _with_cells(rows, name), provenance
    return {"table": pd.DataFrame(rows)}, provenance


def _with_cells(rows: list[dict[str | None, Any]], name: str) -> dict[str, pd.DataFrame]:
    """Sites of our own KML, whose cells are JSON at the site."""
    parts: dict[str, list] = {}
    try:
        for row in rows:
            head, *cells = read_json(row.pop("cells"))
            for column, values in zip(
                ["site", *head], zip(*((row["site"], *c) for c in cells), strict=True), strict=True
            ):
                parts.setdefault(column, []).extend(values)
        return {"sites": pd.DataFrame(rows), "cells": pd.DataFrame(parts)}
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{name}: the cells of a site cannot be read ({type(error).__name__}); export it again."
        ) from None


def _kmz(data: bytes, name: str) -> Tables:
    found = _members(data, name, (".kml",))
    if not found:
        raise InputError(f"{name} holds no .kml file; export the sites again.")
    return _kml(next(iter(found.values())), name)


def _gpkg(data: bytes, name: str) -> Tables:
    if not data.startswith(b"SQLite format 3\x00"):
        raise InputError(f"{name} is not a GeoPackage though its name says so; export the sites again.")
    tables = _vector({".gpkg": data}, ".gpkg", name)
    own = tables.pop("provenance", None)
    provenance = {}
    if own is not None and {"key", "value"} <= set(own):
        provenance = _provenance_of([f"{k}: {v}" for k, v in zip(own["key"], own["value"], strict=True)])
    if {"sites", "cells"} <= set(tables):
        tables = {k: tables[k] for k in ("sites", "cells")}
    return {k: v for k, v in tables.items() if "lon" in v}, provenance


def _zip(data: bytes, name: str) -> Tables:
    inside = _members(data, name, (*SHAPEFILE_PARTS, ".csv", "provenance.json", "columns.json"))
    provenance, columns = _told(inside, "provenance.json"), _told(inside, "columns.json")
    tables = {
        Path(path).stem: _csv(content, f"{path} in {name}")[0]["table"]
        for path, content in inside.items()
        if path.lower().endswith(".csv")
    }
    try:
        found = shapefiles(inside)
    except Refused as error:
        raise InputError(f"{name} {error}; export it again.") from None
    for path, parts in found.items():
        if not {".shx", ".dbf", ".prj"} <= set(parts):
            raise InputError(f"{name} needs the .shx, .dbf and .prj files beside {path}; zip them together.")
        tables[Path(path).stem] = next(iter(_vector(parts, ".shp", name).values()), pd.DataFrame())
    tables = {stem: _with_whole_names(table, columns.get(stem)) for stem, table in tables.items()}
    if {"sites", "cells"} <= set(tables):
        tables = {k: tables[k] for k in ("sites", "cells")}
    return tables, provenance


def _told(inside: dict[str, bytes], name: str) -> dict[str, Any]:
    """The JSON object in a member of an archive of ours; nothing where it is none."""
    for path, content in inside.items():
        if Path(path).name == name:
            try:
                told = read_json(content)
            except ValueError:
                continue  # not of our own making; the sites count
            return told if isinstance(told, dict) else {}
    return {}


def _with_whole_names(table: pd.DataFrame, columns: object) -> pd.DataFrame:
    """A Shapefile holds ten letters of a column's name: the whole ones, as its archive or our own columns tell."""
    own = [c for c in table.columns if c not in ("lon", "lat")]
    if isinstance(columns, list):
        told = [c for c in columns if isinstance(c, str) and c not in ("lon", "lat")]
        if len(told) == len(own) and len(set(told)) == len(told):
            return table.rename(columns=dict(zip(own, told, strict=True)))
    return table.rename(columns={c[:10]: c for c in (*SITE_COLUMNS, *CELL_COLUMNS)})


def _vector(parts: dict[str, bytes], suffix: str, name: str) -> dict[str, pd.DataFrame]:
    """Layers that GDAL reads, points in WGS-84 as lon and lat; parts: content by suffix."""
    tables = {}
    try:
        with handed_to_gdal(parts, suffix) as path:
            for layer, kind in pyogrio.list_layers(path):
                if kind is not None and "Point" not in kind:
                    continue
                frame = pyogrio.read_dataframe(path, layer=layer, max_features=MAX_ROWS + 1)
                if kind is not None:
                    if frame.crs is None:
                        raise InputError(
                            f"{name} does not state its reference system; export it again with one."
                        )
                    at = shapely.centroid(frame.to_crs("EPSG:4326").geometry.to_numpy())
                    frame = pd.DataFrame(frame.drop(columns="geometry"))
                    for column, values in (("lon", shapely.get_x(at)), ("lat", shapely.get_y(at))):
                        if column not in frame:
                            frame[column] = values
                tables[str(layer)] = frame
    except Refused as error:
        raise InputError(f"{name} {error}; export it again.") from None
    return tables


def _members(data: bytes, name: str, suffixes: tuple[str, ...]) -> dict[str, bytes]:
    """Members of an archive with these suffixes, in memory; everything suspicious is refused."""
    try:
        return members(data, suffixes, MAX_MEMBERS, MAX_UNPACKED_BYTES)
    except Refused as error:
        raise InputError(f"{name} {error}; zip only the plain files of the sites.") from None
