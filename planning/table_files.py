"""Tables out of files that strangers send: CSV, XLSX, GeoJSON, KML, KMZ, GeoPackage, zipped Shapefile.

Sizes are limited before parsing, archives are unpacked in memory under names of our own, XML with a document type is
refused, and GDAL reads only what the first bytes show to be of the format that the name says.
"""

from __future__ import annotations

import io
import json
import re
import tempfile
import warnings
import zipfile
from pathlib import Path

import pandas as pd
import pyogrio
import shapely

from .errors import InputError
from .network import CELL_COLUMNS, SITE_COLUMNS
from .xlsx import own_tables

MAX_BYTES, MAX_UNPACKED_BYTES, MAX_MEMBERS, MAX_ROWS = 100_000_000, 200_000_000, 100, 500_000
FORMATS = "CSV, XLSX, GeoJSON, KML, KMZ, GeoPackage (.gpkg) or a zipped Shapefile (.zip)"
_DISARMED = tuple("=+-@\t\r")  # first letters of text that a spreadsheet would run
_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_CSV_OF_OPENCELLID = ["radio", "mcc", "net", "area", "cell", "unit", "lon", "lat", "range", "samples", "changeable",
                      "created", "updated", "averageSignal"]  # fmt: skip


def read_bytes(source, name: str | None) -> tuple[bytes, str]:
    """(bytes, file name) of a path, or of bytes and their name. Raises InputError where there is nothing to read."""
    if isinstance(source, (bytes, bytearray)):
        data, name = bytes(source), name or "the file"
    else:
        path = Path(source)
        if not path.is_file():
            raise InputError(f"There is no file {path}; give the sites as {FORMATS}.")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(
                f"{path.name} is larger than {MAX_BYTES // 10**6} MB; keep only the sites of the area."
            )
        data, name = path.read_bytes(), name or path.name
    if not data:
        raise InputError(f"{name} is empty; export the sites again.")
    if len(data) > MAX_BYTES:
        raise InputError(f"{name} is larger than {MAX_BYTES // 10**6} MB; keep only the sites of the area.")
    return data, Path(name).name


def read_tables(data: bytes, name: str) -> tuple[dict[str, pd.DataFrame], dict]:
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


def _csv(data: bytes, name: str):
    text = data.decode("utf-8-sig", errors="replace")
    lines = text.splitlines()
    comments = [line[2:] for line in lines[:200] if line.startswith("# ")]
    first = next((line for line in lines if line and not line.startswith("#")), "")
    separator = max(",;\t", key=first.count)
    has_head = not re.fullmatch(r"(GSM|UMTS|LTE|NR|CDMA)(,[^,]*){13}", first)
    try:
        frame = pd.read_csv(
            io.StringIO("\n".join(line for line in lines if not line.startswith("# "))),
            sep=separator, nrows=MAX_ROWS + 1, decimal="," if separator == ";" and "." not in text[:5000] else ".",
            header=0 if has_head else None, names=None if has_head else _CSV_OF_OPENCELLID,
        )  # fmt: skip
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(
            f"{name} is no readable CSV table ({str(error).splitlines()[0]}); export it again."
        ) from None
    return {"table": _unescaped(frame)}, _provenance_of(comments)


def _provenance_of(lines: list[str]) -> dict:
    found = {}
    for line in lines:
        key, _, value = line.partition(": ")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


def _xlsx(data: bytes, name: str):
    sheets = own_tables(_members(data, name, (".xml",)))
    try:
        if sheets is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sheets = pd.read_excel(
                    io.BytesIO(data), sheet_name=None, engine="openpyxl", nrows=MAX_ROWS + 1
                )
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


def _unescaped(frame: pd.DataFrame) -> pd.DataFrame:
    """The apostrophe goes by which our own exports disarm text that a spreadsheet would run."""
    for column in frame:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            values = frame[column].astype(object)
            frame[column] = [
                v[1:] if isinstance(v, str) and v[:1] == "'" and v[1:2] in _DISARMED else v for v in values
            ]
    return frame


def _geojson(data: bytes, name: str):
    try:
        document = json.loads(data.decode("utf-8-sig"))
        features = document["features"]
        rows = []
        for feature in features[: MAX_ROWS + 1]:
            geometry = feature.get("geometry") or {}
            row = dict(feature.get("properties") or {})
            if geometry.get("type") == "Point":
                row.setdefault("lon", geometry["coordinates"][0])
                row.setdefault("lat", geometry["coordinates"][1])
                rows.append(row)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise InputError(
            f"{name} is no readable GeoJSON of points ({type(error).__name__}); export it again."
        ) from None
    provenance = document.get("provenance")
    return _by_layer(rows), provenance if isinstance(provenance, dict) else {}


def _by_layer(rows: list[dict]) -> dict[str, pd.DataFrame]:
    """Our exports put sites and cells into one file and say which is which."""
    layers: dict[str, list[dict]] = {"site": [], "cell": []}
    for row in rows:
        if isinstance(kind := row.get("layer"), str) and kind in layers:
            layers[kind].append(row)
    if not all(layers.values()):
        return {"table": pd.DataFrame(rows)}
    return {f"{kind}s": pd.DataFrame(mine) for kind, mine in layers.items()}


def _kml(data: bytes, name: str):
    upper = data[:100_000].upper() + data.upper()[100_000:]
    if b"\x00" in data or b"<!DOCTYPE" in upper or b"<!ENTITY" in upper:
        raise InputError(
            f"{name} declares a document type or entities, which is not accepted; export it as plain KML."
        )
    from xml.etree import ElementTree

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
        row = {d.get("name"): (d.findtext(f"{space}value") or "") for d in mark.iter(f"{space}Data")}
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


def _with_cells(rows: list[dict], name: str) -> dict[str, pd.DataFrame]:
    """Sites of our own KML, whose cells are JSON at the site."""
    parts: dict[str, list] = {}
    try:
        for row in rows:
            head, *cells = json.loads(row.pop("cells"))
            for column, values in zip(
                ["site", *head], zip(*((row["site"], *c) for c in cells), strict=True), strict=True
            ):
                parts.setdefault(column, []).extend(values)
        return {"sites": pd.DataFrame(rows), "cells": pd.DataFrame(parts)}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(
            f"{name}: the cells of a site cannot be read ({type(error).__name__}); export it again."
        ) from None


def _kmz(data: bytes, name: str):
    members = _members(data, name, (".kml",))
    if not members:
        raise InputError(f"{name} holds no .kml file; export the sites again.")
    return _kml(next(iter(members.values())), name)


def _gpkg(data: bytes, name: str):
    if not data.startswith(b"SQLite format 3\x00"):
        raise InputError(f"{name} is not a GeoPackage though its name says so; export the sites again.")
    tables = _vector({".gpkg": data}, name)
    own = tables.pop("provenance", None)
    provenance = {}
    if own is not None and {"key", "value"} <= set(own):
        provenance = _provenance_of([f"{k}: {v}" for k, v in zip(own["key"], own["value"], strict=True)])
    if {"sites", "cells"} <= set(tables):
        tables = {k: tables[k] for k in ("sites", "cells")}
    return {k: v for k, v in tables.items() if "lon" in v}, provenance


def _zip(data: bytes, name: str):
    members = _members(data, name, (*_PARTS, ".csv", "provenance.json"))
    provenance = {}
    for path, content in members.items():
        if path.endswith("provenance.json"):
            try:
                found = json.loads(content)
            except (ValueError, RecursionError):
                found = None  # not of our own making; the sites count
            provenance = found if isinstance(found, dict) else {}
    tables = {}
    for path, content in members.items():
        stem = Path(path).stem
        if path.lower().endswith(".shp"):
            if not content.startswith(b"\x00\x00\x27\x0a"):
                raise InputError(
                    f"{path} in {name} is not a Shapefile though its name says so; export it again."
                )
            parts = {
                s: members[m] for m in members for s in _PARTS if m[:-4] == path[:-4] and m[-4:].lower() == s
            }
            if not {".shx", ".dbf", ".prj"} <= set(parts):
                raise InputError(
                    f"{name} needs the .shx, .dbf and .prj files beside {path}; zip them together."
                )
            tables[stem] = next(iter(_vector(parts, name).values()), pd.DataFrame())
        elif path.lower().endswith(".csv"):
            tables[stem] = _csv(content, f"{path} in {name}")[0]["table"]
    whole = {
        c[:10]: c for c in (*SITE_COLUMNS, *CELL_COLUMNS)
    }  # a Shapefile holds ten letters of a column's name
    tables = {stem: table.rename(columns=whole) for stem, table in tables.items()}
    if {"sites", "cells"} <= set(tables):
        tables = {k: tables[k] for k in ("sites", "cells")}
    return tables, provenance


def _vector(parts: dict[str, bytes], name: str) -> dict[str, pd.DataFrame]:
    """Layers that GDAL reads from a private folder, points in WGS-84 as lon and lat."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix, content in parts.items():
            Path(folder, f"upload{suffix}").write_bytes(content)
        path = Path(folder, "upload" + (".shp" if ".shp" in parts else ".gpkg"))
        tables = {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
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
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, RuntimeError) as error:
            raise InputError(
                f"{name} cannot be read ({str(error).replace(folder, '')}); export it again."
            ) from None
    return tables


def _members(data: bytes, name: str, suffixes: tuple[str, ...]) -> dict[str, bytes]:
    """Members of an archive with these suffixes, in memory; too many, too large or locked ones are refused."""
    found, left = {}, MAX_UNPACKED_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            if len(members) > MAX_MEMBERS or sum(m.file_size for m in members) > MAX_UNPACKED_BYTES:
                raise InputError(f"{name} holds too many or too large files; zip only the sites.")
            for member in members:
                if not suffixes or not member.filename.lower().endswith(suffixes):
                    continue
                with archive.open(member) as file:
                    content = file.read(left + 1)  # the size in the heading may lie
                left -= len(content)
                if left < 0:
                    raise InputError(f"{name} unpacks to too much; zip only the sites.")
                found[member.filename] = content
    except InputError:
        raise
    except Exception as error:  # zipfile and its decompressors raise many kinds
        raise InputError(
            f"{name} is not a readable zip archive ({type(error).__name__}); zip the files again."
        ) from None
    return found
