"""Sites and cells from other tools' files, and a validation report of what was taken and what was left out.

CSV and XLSX with any column names, GeoJSON, KML, KMZ, GeoPackage, zipped Shapefile, and OpenCelliD's CSV, whose rows
are cells that are clustered into sites. Files come from strangers: sizes are limited before parsing, archives are
unpacked in memory under names of our own, XML with a document type is refused, and GDAL reads only what the first bytes
show to be of the format that the name says.
"""

from __future__ import annotations

import io
import re
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyogrio
import shapely
from scipy.cluster.hierarchy import fcluster, linkage

from intake.archive import members
from intake.delimited import read_csv
from intake.markup import check_plain
from intake.text import Refused, decoded, read_json

from .errors import InputError
from .geometry import local_metres
from .network import CELL_COLUMNS, SITE_COLUMNS, Network

MAX_BYTES, MAX_UNPACKED_BYTES, MAX_MEMBERS, MAX_ROWS, MAX_COLUMNS = 50_000_000, 200_000_000, 100, 500_000, 300
FORMATS = "CSV, XLSX, GeoJSON, KML, KMZ, GeoPackage (.gpkg) or a zipped Shapefile (.zip)"
CLUSTER_M = 50.0  # cells nearer than this to each other stand on one site (assumed)
SYNONYMS = {  # column of ours -> names others give it, lower case, letters and digits only
    "site": ("site", "sitename", "siteid", "name", "enodebid", "gnodebid", "enodeb", "gnodeb", "bs", "station", "id"),
    "lon": ("lon", "lng", "long", "longitude", "x", "easting"),
    "lat": ("lat", "latitude", "y", "northing"),
    "cell": ("cell", "cellname", "cellid", "sector", "sectorname", "transmitter"),
    "azimuth": ("azimuth", "azi", "bearing", "direction", "azimuthdeg", "antennaazimuth"),
    "technology": ("technology", "tech", "rat", "radio", "generation"),
    "capacity_mbps": ("capacitymbps", "capacity", "throughputmbps"),
}  # fmt: skip
_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_CSV_OF_OPENCELLID = ["radio", "mcc", "net", "area", "cell", "unit", "lon", "lat", "range", "samples", "changeable",
                      "created", "updated", "averageSignal"]  # fmt: skip


@dataclass(frozen=True)
class Imported:
    """network: what the file holds. mapping: our column -> the file's. report: sentences for the user: rows read,
    rows left out and why, what was assumed. provenance: of the export that the file was made by, if it says so."""

    network: Network
    mapping: dict[str, str]
    report: tuple[str, ...]
    provenance: dict


def guess_mapping(columns) -> dict[str, str]:
    """Our column -> the file's column, by its usual names."""
    plain = {re.sub(r"[^a-z0-9]", "", str(c).lower()): str(c) for c in reversed(list(columns))}
    own = {c: str(c) for c in columns if c in (*SITE_COLUMNS, *CELL_COLUMNS)}
    found = {k: plain[n] for k, names in SYNONYMS.items() for n in reversed(names) if n in plain}
    return found | own


def import_network(source, name: str | None = None, mapping: dict[str, str] | None = None) -> Imported:
    """A network from a path, or bytes and their file name. mapping: our column -> the file's, over what is guessed.

    Rows without a usable place are left out and counted in the report. Raises InputError where nothing is left.
    """
    data, name = _read(source, name)
    tables, provenance = _tables(data, name)
    report = []
    if "sites" in tables and "cells" in tables:  # our own layers
        network = Network.from_tables(tables["sites"], _with_bools(tables["cells"]))
        report.append(f"{len(network.sites):,} sites and {len(network.cells):,} cells, with every figure.")
        return Imported(network, {}, tuple(report), provenance)
    frame = max(tables.values(), key=len)
    used = guess_mapping(frame.columns) | {k: v for k, v in (mapping or {}).items() if v}
    for ours, theirs in used.items():
        if theirs not in frame:
            raise InputError(
                f"{name} has no column {theirs!r} for {ours}; it has {', '.join(map(str, frame.columns[:12]))}."
            )
    missing = [c for c in ("lon", "lat") if c not in used]
    if missing:
        raise InputError(
            f"{name}: no column looks like {' or '.join(missing)} (found: "
            f"{', '.join(map(str, frame.columns[:12]))}); say which one it is in the column mapping."
        )
    frame = _placed(frame, used, name, report)
    if {"mcc", "net", "radio"} <= set(map(str.lower, map(str, frame.columns))):
        frame = _clustered(frame, report)
        used |= {"site": "clustered", "cell": "cell"}
    network = _network(frame, used, name, report)
    return Imported(network, used, tuple(report), provenance)


def cluster_sites(lon, lat, metres: float = CLUSTER_M) -> np.ndarray:
    """(rows,) number of the site each place belongs to: places of a grid cell of `metres` merge, then complete
    linkage inside 3 x 3 such cells keeps every site narrower than `metres`."""
    points = local_metres(lon, lat, (float(np.mean(lon)), float(np.mean(lat))))
    unique, place = np.unique(points.round(2), axis=0, return_inverse=True)
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    pairs = cKDTree(unique).query_pairs(metres, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(unique),) * 2)
    parts, part = connected_components(graph, directed=False)
    label, base = np.zeros(len(unique), int), 0
    order = np.argsort(part, kind="stable")
    for mine in np.split(order, np.searchsorted(part[order], np.arange(1, parts))):
        inner = np.ones(1, int)
        if 1 < len(mine) <= 4000:  # a chain of near places is cut where it grows wider than the limit
            inner = fcluster(linkage(unique[mine], "complete"), metres, "distance")
        label[mine] = base + inner
        base += int(inner.max())
    return np.unique(label[place.ravel()], return_inverse=True)[1]


def _read(source, name: str | None) -> tuple[bytes, str]:
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


def _tables(data: bytes, name: str) -> tuple[dict[str, pd.DataFrame], dict]:
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


def _provenance_of(lines: list[str]) -> dict:
    found = {}
    for line in lines:
        key, _, value = line.partition(": ")
        try:
            found[key] = read_json(value)
        except ValueError:
            found[key] = value
    return found


def _xlsx(data: bytes, name: str):
    for part, content in _members(data, name, (".xml", ".rels")).items():
        try:
            check_plain(content)
        except Refused as error:
            raise InputError(f"{part} in {name} {error}; save the workbook again.") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sheets = _sheets(data)
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


def _sheets(data: bytes) -> dict[str, pd.DataFrame]:
    """The worksheets of a workbook; no wider than MAX_COLUMNS, for a cell far to the right costs as much as a row."""
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    found = {}
    for sheet in book.worksheets[:MAX_MEMBERS]:
        rows = [
            list(row) for row in sheet.iter_rows(max_row=MAX_ROWS + 2, max_col=MAX_COLUMNS, values_only=True)
        ]
        rows = [row for row in rows if any(value is not None for value in row)]
        if rows:
            head = [value for value in rows[0] if value is not None]
            found[sheet.title] = pd.DataFrame(
                [row[: len(head)] + [None] * (len(head) - len(row)) for row in rows[1:]], columns=head
            ).infer_objects()
    return found


def _unescaped(frame: pd.DataFrame) -> pd.DataFrame:
    """The apostrophe goes by which our own exports disarm text that a spreadsheet would run."""
    for column in frame:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            values = frame[column].astype(object)
            frame[column] = [
                v[1:] if isinstance(v, str) and re.match(r"'[=+\-@\t\r]", v) else v for v in values
            ]
    return frame


def _geojson(data: bytes, name: str):
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
    frame = pd.DataFrame(rows)
    provenance = document.get("provenance")
    return _by_layer(frame), provenance if isinstance(provenance, dict) else {}


def _by_layer(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Our exports put sites and cells into one file and say which is which."""
    if "layer" in frame and {"site", "cell"} <= set(frame["layer"]):
        return {
            f"{kind}s": frame[frame["layer"] == kind].dropna(axis=1, how="all").reset_index(drop=True)
            for kind in ("site", "cell")
        }
    return {"table": frame}


def _kml(data: bytes, name: str):
    try:
        check_plain(data)
    except Refused as error:
        raise InputError(f"{name} {error}; export it as plain KML in UTF-8.") from None
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
    return _by_layer(pd.DataFrame(rows)), provenance


def _kmz(data: bytes, name: str):
    found = _members(data, name, (".kml",))
    if not found:
        raise InputError(f"{name} holds no .kml file; export the sites again.")
    return _kml(next(iter(found.values())), name)


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
    inside = _members(data, name, (*_PARTS, ".csv", "provenance.json"))
    provenance = {}
    for path, content in inside.items():
        if path.endswith("provenance.json"):
            try:
                found = read_json(content)
            except ValueError:
                found = None  # not of our own making; the sites count
            provenance = found if isinstance(found, dict) else {}
    tables = {}
    for path, content in inside.items():
        stem = Path(path).stem
        if path.lower().endswith(".shp"):
            if not content.startswith(b"\x00\x00\x27\x0a"):
                raise InputError(
                    f"{path} in {name} is not a Shapefile though its name says so; export it again."
                )
            parts = {
                s: inside[m] for m in inside for s in _PARTS if m[:-4] == path[:-4] and m[-4:].lower() == s
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
        except (
            pyogrio.errors.DataSourceError,
            pyogrio.errors.DataLayerError,
            shapely.errors.ShapelyError,
            RuntimeError,
            ValueError,
        ) as error:
            raise InputError(
                f"{name} cannot be read ({str(error).replace(folder, '')}); export it again."
            ) from None
    return tables


def _members(data: bytes, name: str, suffixes: tuple[str, ...]) -> dict[str, bytes]:
    """Members of an archive with these suffixes, in memory; everything suspicious is refused."""
    try:
        return members(data, suffixes, MAX_MEMBERS, MAX_UNPACKED_BYTES)
    except Refused as error:
        raise InputError(f"{name} {error}; zip only the plain files of the sites.") from None


def _placed(frame: pd.DataFrame, used: dict[str, str], name: str, report: list[str]) -> pd.DataFrame:
    place = {c: pd.to_numeric(frame[used[c]], errors="coerce").to_numpy(float) for c in ("lon", "lat")}
    good = (np.abs(place["lon"]) <= 180) & (np.abs(place["lat"]) <= 85)
    report.append(f"{len(frame):,} rows read.")
    if not good.all():
        first = int((~good).argmax()) + 1
        report.append(
            f"{int((~good).sum()):,} rows left out: no longitude and latitude in degrees (first: row {first})."
        )
    if not good.any():
        raise InputError(
            f"No row of {name} has a longitude and latitude in degrees, WGS-84; check the column mapping."
        )
    return frame.assign(**{used["lon"]: place["lon"], used["lat"]: place["lat"]})[good].reset_index(drop=True)


def _clustered(frame: pd.DataFrame, report: list[str]) -> pd.DataFrame:
    frame = frame.rename(columns=str.lower)
    site = cluster_sites(frame["lon"].to_numpy(), frame["lat"].to_numpy())
    parts = frame[["radio", "mcc", "net", "area", "cell"]].astype(object)
    names = parts.where(parts.notna(), "").astype(str).agg("-".join, axis=1)
    centre = frame.groupby(site)[["lon", "lat"]].transform("mean")
    estimated = int((frame.get("changeable", pd.Series(0, index=frame.index)) == 1).sum())
    report.append(
        f"OpenCelliD: cells within {CLUSTER_M:g} m stand on one site (assumed); {estimated:,} positions are estimates."
    )
    kind = frame["radio"].astype(str).str.upper().map({"NR": "5G"}).fillna("4G")
    older = int(frame["radio"].astype(str).str.upper().isin(["GSM", "UMTS", "CDMA"]).sum())
    if older:
        report.append(f"{older:,} cells of 2G and 3G take the figures of 4G equipment (assumed).")
    return pd.DataFrame(
        {"clustered": [f"OCID{i + 1:06d}" for i in site], "cell": names, "technology": kind}
    ).assign(lon=centre["lon"].to_numpy(), lat=centre["lat"].to_numpy())


def _network(frame: pd.DataFrame, used: dict[str, str], name: str, report: list[str]) -> Network:
    columns = {ours: frame[theirs].to_numpy() for ours, theirs in used.items() if theirs in frame}
    table = pd.DataFrame(columns)
    if "technology" in frame and "technology" not in table:
        table["technology"] = frame["technology"].to_numpy()
    if "site" not in table:
        at = table[["lon", "lat"]].round(6).apply(tuple, axis=1)
        table["site"] = [f"S{i + 1:05d}" for i in pd.factorize(at)[0]]
        report.append("No column of site names: rows at one place are one site.")
    table["site"] = table["site"].astype(str)
    sites = table.drop_duplicates("site")
    places = table.groupby("site")[["lon", "lat"]]
    spread = (places.max() - places.min()).max(axis=1)
    if (spread > 0.01).any():
        report.append(
            f"{int((spread > 0.01).sum()):,} sites have rows more than 0.01 degrees apart; the first row counts."
        )
    if "cell" not in table:
        doubled = len(table) - len(sites)
        if doubled:
            report.append(
                f"{doubled:,} rows repeat the name of a site and were left out; map a column of cells to keep them."
            )
        report.append("No column of cells: each site gets the default cells (assumed).")
        keep = [c for c in SITE_COLUMNS if c in sites]
        network = Network.from_tables(sites[keep])
    else:
        cells = table.drop(columns=["lon", "lat"])
        cells["cell"] = cells["cell"].astype(str)
        if cells["cell"].duplicated().any():
            number = cells.groupby(["site", "cell"]).cumcount().astype(str)
            cells["cell"] = cells["site"] + "-" + cells["cell"] + np.where(number == "0", "", "-" + number)
            report.append("Names of cells are not unique; the site's name was put before them.")
        if "technology" in cells:
            known = (
                cells["technology"]
                .astype(str)
                .str.upper()
                .map({"NR": "5G", "5G": "5G", "LTE": "4G", "4G": "4G"})
            )
            report += [
                f"{int(known.isna().sum()):,} cells of another technology are taken as 4G (assumed)."
            ] * int(known.isna().any())
            cells["technology"] = known.fillna("4G")
        network = Network.from_tables(sites[[c for c in SITE_COLUMNS if c in sites]], _with_bools(cells))
        report.append("Figures that the file lacks come from the equipment presets (assumed).")
    report.append(f"{len(network.sites):,} sites and {len(network.cells):,} cells.")
    return network


def _with_bools(cells: pd.DataFrame) -> pd.DataFrame:
    """Yes and no as whatever a format writes for them."""
    if "is_coverage" not in cells:
        return cells
    text = cells["is_coverage"].astype(str).str.lower()
    return cells.assign(is_coverage=text.isin(["true", "1", "1.0", "yes"]).to_numpy())


def with_provenance(imported: Imported, **more) -> Imported:
    """The import with more keys in its provenance, e.g. the file's name."""
    return replace(imported, provenance=imported.provenance | more)
