"""Every table and layer of a file from a stranger, whatever its format: the one reader of tables and vector files.

Sizes are limited before parsing, archives are unpacked in memory, XML with a document type is refused, and GDAL reads
only what the first bytes show to be of the format that the name says.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from plannerbase.archive import members, unpacked
from plannerbase.counting import counted
from plannerbase.delimited import dialect_of, read_csv, second_headings
from plannerbase.encodings import assumed_encoding
from plannerbase.geojson import TOPOJSON, features_of, read_geojson
from plannerbase.headings import plain
from plannerbase.kml import read_gpx, read_kml
from plannerbase.parquet import read_parquet
from plannerbase.report import Report, rows_of
from plannerbase.systems import EXAMPLES, SHIFTED, WGS84, system_of, to_degrees
from plannerbase.text import Refused, decoded, encoding_of, read_json
from plannerbase.vector import SHAPEFILE_PARTS, read_with_gdal, shapefiles, text_encoding
from plannerbase.workbook import hidden_sheets, read_workbook, workbook_members

TABLES = (".csv", ".txt", ".tsv", ".xlsx", ".xlsm", ".parquet", ".geoparquet")
GEOJSON = (".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson", ".jsonl")
VECTORS = (*GEOJSON, ".kml", ".kmz", ".gpx", ".fgb", ".gpkg", ".mif", ".zip")
MAPINFO = (".mif", ".mid")
FLATGEOBUF = b"fgb\x03fgb"
SQLITE = b"SQLite format 3\x00"
OLE2 = bytes.fromhex("d0cf11e0a1b11ae1")  # compound files: workbooks before 2007, and encrypted ones of today
KM_PER_DEGREE = 111.32
MAX_DEPTH = 20  # of collections inside each other
OWN_NOTES = ("provenance.json", "columns.json")  # in archives that we write
ARCHIVES = (".zip", ".kmz", ".7z", ".rar", ".gz", ".tar")
ABOUT = "provenance"  # table of keys and values in which our own exports say where they come from


@dataclass(frozen=True)
class Limits:
    """What a file may hold at most."""

    unpacked_bytes: int = 200_000_000
    members: int = 100
    rows: int = 500_000
    columns: int = 300
    names: tuple[str, ...] = ()  # plain headings of columns in which "007" is a name, not the number 7


@dataclass(frozen=True)
class Layer:
    """A table with or without geometry. table: data of each row. shapes: (rows,) geometry as written, None where a row
    has none; None without geometry. crs: of the shapes; None for degrees in WGS-84, "" where the file does not say."""

    name: str
    table: pd.DataFrame
    shapes: np.ndarray | None = None
    crs: Any = None

    def __len__(self) -> int:
        return len(self.table)

    def in_degrees(self, crs: str | None = None, report: Report | None = None) -> np.ndarray:
        """The shapes in WGS-84; crs: of a file that does not say. What was put right goes into the report. Raises
        `Refused`."""
        assert self.shapes is not None
        system = self.crs
        if system is None and crs is not None and system_of(crs) in SHIFTED:
            system = system_of(crs)  # degrees, but not those of WGS-84
        if system is None and crs is None and _beyond_degrees(self.shapes):
            west, south, *_ = shapely.total_bounds(self.shapes)
            raise Refused(
                f"has positions such as {west:.0f}, {south:.0f} in its geometry, which are metres of a "
                "projected reference "
                f"system, not degrees of WGS-84; say which one with --crs, for example {EXAMPLES}"
            )
        if system == "" or (system is None and crs is not None and _beyond_degrees(self.shapes)):
            if crs is None:
                raise Refused(
                    f"does not state the reference system of its layer {self.name}; export it again with one (a "
                    "Shapefile "
                    "needs its .prj file), or say which with --crs"
                )
            system = system_of(crs)
        if system is None:
            return self._with_axes_in_order(report)
        try:
            if system in SHIFTED:
                moved = lambda xy: np.column_stack(to_degrees(xy[:, 0], xy[:, 1], system))  # noqa: E731
                return shapely.transform(self.shapes, moved)
            series = gpd.GeoSeries(self.shapes, crs=system)
            return self.shapes if series.crs.to_epsg() == 4326 else series.to_crs(WGS84).to_numpy()
        except Exception as error:  # pyproj raises several unrelated types for an unknown or unusable system
            raise Refused(f"cannot be brought from its reference system to WGS-84 ({error})") from None

    def _with_axes_in_order(self, report: Report | None) -> np.ndarray:
        """The shapes, their axes exchanged where only that makes degrees of them."""
        assert self.shapes is not None
        west, south, east, north = shapely.total_bounds(self.shapes)
        # of the least latitude: places on both sides of 90 degrees cannot be told apart from wrong ones
        if not (min(abs(south), abs(north)) > 90 and south * north > 0 and max(abs(west), abs(east)) <= 90):
            return self.shapes
        if report is not None:
            report.fixed(
                "features had latitude and longitude exchanged (their geometry held the latitude first)",
                sum(shape is not None for shape in self.shapes),
            )
        return shapely.transform(self.shapes, lambda xy: xy[:, ::-1])


@dataclass(frozen=True)
class Contents:
    """layers: by name, in the order of the file. about: what an export of ours says of itself. report: what was put
    right or left out."""

    layers: dict[str, Layer]
    about: dict[str, Any] = field(default_factory=dict)
    report: Report = field(default_factory=Report)
    hidden: tuple[str, ...] = ()  # sheets that are not shown


def read_layers(data: bytes, name: str, limits: Limits = Limits(), attributes: bool = True) -> Contents:
    """All tables and layers of a file whose format its name tells, also where it is compressed (.gz, .bz2).
    attributes: whether data beside geometry are wanted.

    Raises `Refused`: the text goes after the file's name.
    """
    data, name = unpacked(data, name, limits.unpacked_bytes)
    suffix = Path(name).suffix.lower()
    if suffix == ".xls" or data.startswith(OLE2):
        raise Refused(
            "is a workbook of the format before 2007, or one protected by a password; save it as .xlsx without a "
            "password"
        )
    if suffix in (".csv", ".txt", ".tsv"):
        return _csv(data, name, limits)
    if suffix in (".xlsx", ".xlsm"):
        return _workbook(data, limits)
    if suffix in GEOJSON:
        return _geojson(data, name, limits)
    if suffix in (
        ".kml",
        ".kmz",
    ):  # archives and documents are told apart by what they are: many are misnamed
        return _kmz(data, name, limits) if _is_zip(data, suffix == ".kmz") else _kml(data, name, limits)
    if suffix == ".gpx":
        return _placemarks(read_gpx(data, limits.rows), Path(name).stem, Report())
    if suffix == ".fgb":
        if not data.startswith(FLATGEOBUF):
            raise Refused("is not a FlatGeobuf file though its name says so")
        return _of_gdal(read_with_gdal({".fgb": data}, ".fgb", limits.rows, attributes))
    if suffix in (".parquet", ".geoparquet"):
        return _parquet(data, name, limits)
    if suffix == ".gpkg":
        return _gpkg(data, limits, attributes)
    if suffix == ".mif":
        return _mif({".mif": data}, limits, attributes)
    if suffix in (".tab", ".mid"):
        raise Refused(
            "is only a part of a MapInfo table; save it as .mif and zip it together with its .mid file"
        )
    if suffix == ".zip":
        return _zip(data, limits, attributes)
    if suffix == ".topojson":
        raise Refused(TOPOJSON)
    if suffix in (".gml", ".xml"):
        raise Refused("is GML or XML, which is not read; save it as GeoPackage or GeoJSON")
    if suffix == ".shp":
        raise Refused("is only a part of a Shapefile; zip it together with its .shx, .dbf and .prj files")
    raise Refused("is of no known format")


def drawn_layer(document: Any, most_rows: int) -> tuple[Layer, Report]:
    """The layer of a parsed GeoJSON document. Raises `Refused`."""
    return _features(features_of(document, most_rows), "drawn")


def chosen(contents: Contents, layer: str | None) -> Contents:
    """The file with one of its layers alone. Raises `Refused` for one that it has not."""
    if not layer:
        return _without_hidden(contents)
    by_case = {name.casefold(): name for name in contents.layers}
    name = by_case.get(layer.casefold())
    if name is None:
        raise Refused(f"has no sheet or layer {layer!r}; it has {', '.join(contents.layers)}")
    return replace(contents, layers={name: contents.layers[name]})


def _without_hidden(contents: Contents) -> Contents:
    """The file without the sheets that its author hid, where any other is there; which they are is said."""
    hidden = [name for name in contents.hidden if name in contents.layers]
    if not hidden or len(hidden) == len(contents.layers):
        return contents
    contents.report.left_out(
        "hidden sheets were not read; choose one with --layer to read it", len(hidden), hidden
    )
    shown = {name: layer for name, layer in contents.layers.items() if name not in hidden}
    return replace(contents, layers=shown, hidden=())


def about_lines(lines: Iterable[str]) -> dict[str, Any]:
    """Keys and values of lines "key: value", values as JSON where they are."""
    found: dict[str, Any] = {}
    for line in lines:
        key, colon, value = line.partition(": ")
        if not colon:
            continue
        try:
            found[key] = read_json(value)
        except ValueError:
            found[key] = value
    return found


def points_of(
    shapes: np.ndarray, report: Report, largest_km2: float = np.inf
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row, lon, lat) of the points in shapes (rows,), degrees: a row for each point of a multipoint or a collection,
    areas at a point inside them. Lines are left out and counted, as are areas above `largest_km2` beside points."""
    parts, rows = _parts(shapes)
    corners, owner = shapely.get_coordinates(parts, return_index=True)
    odd = np.bincount(owner, ~np.isfinite(corners).all(axis=1), len(parts)) > 0
    odd &= shapely.get_type_id(parts) != 0  # a point that is none costs its row, where rows are counted
    if odd.any():
        report.left_out("areas have a corner that is no finite number", int(odd.sum()))
        parts, rows = parts[~odd], rows[~odd]
    kinds = shapely.get_type_id(parts)
    areas = kinds == 3
    lines = (kinds == 1) | (kinds == 2)
    has_point = np.zeros(len(shapes), bool)
    has_point[rows[kinds == 0]] = True
    if has_point.any():
        large = areas & (_km2(parts) > largest_km2)
        if large.any():
            report.left_out("areas left out: they are too large for a place", int(large.sum()))
        areas &= ~large
    kept = (kinds == 0) | (areas & ~has_point[rows])
    if (areas & kept).any():
        report.fixed("areas were taken at their centre", int((areas & kept).sum()))
    dropped = lines & ~has_point[rows]
    if dropped.any():
        report.left_out("lines left out: a line is no place", len(np.unique(rows[dropped])))
    parts, rows, areas = parts[kept], rows[kept], areas[kept]
    centre = shapely.centroid(parts)
    outside = areas & ~shapely.intersects(parts, centre)
    centre[outside] = shapely.point_on_surface(parts[outside])
    return rows, shapely.get_x(centre), shapely.get_y(centre)


def _parts(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(single geometries, row of each): collections taken apart, empty ones left out."""
    there = np.array([shape is not None for shape in shapes], bool)
    rows = np.flatnonzero(there)
    parts = np.array(shapes[there], dtype=object)
    for _ in range(MAX_DEPTH):
        if not (shapely.get_type_id(parts) > 3).any():
            break
        parts, index = shapely.get_parts(parts, return_index=True)
        rows = rows[index]
    else:
        raise Refused("nests its geometries too deeply")
    filled = ~shapely.is_empty(parts)
    return shapely.force_2d(parts[filled]), rows[filled]


def _km2(areas: np.ndarray) -> np.ndarray:
    """About how large shapes in degrees are."""
    lat = np.radians(np.nan_to_num(shapely.get_y(shapely.centroid(areas))))
    return shapely.area(areas) * np.cos(lat) * KM_PER_DEGREE**2


def _beyond_degrees(shapes: np.ndarray) -> bool:
    bounds = shapely.total_bounds(shapes)
    return bool(np.nanmax(np.abs(bounds), initial=0) > 400)


def _csv(data: bytes, name: str, limits: Limits) -> Contents:
    report = Report()
    _tell_encoding(data, report)
    lines = decoded(data).splitlines()
    about = about_lines(
        line.removeprefix("\ufeff")[2:] for line in lines[:200] if line.removeprefix("\ufeff")[:2] == "# "
    )
    if any(line.removeprefix("\ufeff").startswith("# ") for line in lines):
        data = "\n".join(x for x in lines if not x.removeprefix("\ufeff").startswith("# ")).encode()
    dialect = dialect_of(data)
    names, further = second_headings(data, dialect) or (None, 0)
    dialect = replace(dialect, skip=dialect.skip + further)
    table = read_csv(data, limits.rows, dialect)
    numbered = [c for c in table if plain(c) in limits.names and pd.api.types.is_numeric_dtype(table[c])]
    if numbered:
        written = read_csv(
            data, limits.rows, dialect, dtype="string", usecols=lambda c: c.strip() in numbered
        )
        table = table.assign(**{c: written[c] for c in numbered if written[c].str.match(r"0\d").any()})
    if names is not None and len(names) == len(table.columns):
        table.columns = pd.Index(names)
    _tell_titles(dialect.titles, "", report)
    stem = Path(name).stem
    return Contents({stem: Layer(stem, table)}, about, report)


def _tell_encoding(data: bytes, report: Report) -> None:
    if said := assumed_encoding(data, encoding_of(data)):
        report.assumed(said)


def _tell_titles(titles: tuple[str, ...], sheet: str, report: Report) -> None:
    if titles:
        report.left_out(f"lines above the heading{sheet} passed over", len(titles), titles)


def _workbook(data: bytes, limits: Limits) -> Contents:
    parts = workbook_members(data, limits.members, limits.unpacked_bytes)
    report, layers = Report(), {}
    for sheet, (table, titles) in read_workbook(parts, limits.rows, limits.columns).items():
        _tell_titles(titles, f" of the sheet {sheet}", report)
        layers[sheet] = Layer(sheet, table)
    return Contents(layers, _own_about(layers), report, hidden_sheets(parts))


def _own_about(layers: dict[str, Layer]) -> dict[str, Any]:
    """Takes the table out in which an export of ours says where it comes from."""
    own = layers.get(ABOUT)
    if own is None or not {"key", "value"} <= set(own.table):
        return {}
    del layers[ABOUT]
    return about_lines(f"{k}: {v}" for k, v in zip(own.table["key"], own.table["value"], strict=True))


def _geojson(data: bytes, name: str, limits: Limits) -> Contents:
    features = read_geojson(data, limits.rows)
    layer, report = _features(features, Path(name).stem)
    _tell_encoding(data, report)
    about = features.document.get(ABOUT)
    return Contents({layer.name: layer}, about if isinstance(about, dict) else {}, report)


def _features(features: Any, name: str) -> tuple[Layer, Report]:
    report = Report()
    if features.faults:
        first = next(iter(features.faults.values()))
        report.left_out(
            f"features left out: {first}", len(features.faults), [f"feature {i + 1}" for i in features.faults]
        )
    return Layer(name, pd.DataFrame(features.rows), features.shapes, features.crs), report


def _kml(data: bytes, name: str, limits: Limits) -> Contents:
    marks = read_kml(data, limits.rows)
    report = Report()
    if marks.links and not marks.rows:
        raise Refused(_only_links(list(marks.links)))
    if marks.links:
        report.left_out("links to other KML were not followed", len(marks.links), marks.links)
    return _placemarks(marks, Path(name).stem, report)


def _only_links(links: list[str]) -> str:
    """Why a document that only links to others holds nothing."""
    return (
        f"holds no placemark, only {counted(len(links), 'links')} to other files ({links[0][:80]}); give the file that "
        "it links to, or open it in Google Earth and save the places themselves as KML"
    )


def _placemarks(marks: Any, name: str, report: Report) -> Contents:
    if marks.faults:
        names = [str(marks.rows[i].get("name") or f"placemark {i + 1}") for i in marks.faults]
        report.left_out("placemarks with a geometry that cannot be read", len(names), names)
    shapes = np.full(len(marks.shapes), None, object)
    shapes[:] = marks.shapes
    layer = Layer(name, pd.DataFrame(marks.rows), shapes)
    return Contents({name: layer}, about_lines(marks.about.splitlines()), report)


def _is_zip(data: bytes, by_name: bool) -> bool:
    """Whether a file is an archive; by its name where it does not begin as XML or as an archive does."""
    if data.startswith(b"PK\x03\x04"):
        return True
    return by_name and not data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _kmz(data: bytes, name: str, limits: Limits) -> Contents:
    """The main document of an archive and every KML in it that it links to; all of them where it holds no placemark and
    links to none."""
    inside = members(data, (".kml", ".kmz"), limits.members, limits.unpacked_bytes)
    nested = [path for path in inside if path.lower().endswith(".kmz")]
    inside = {path: content for path, content in inside.items() if path not in nested}
    if not inside:
        if nested:
            raise Refused(
                f"holds no .kml file but another archive ({nested[0]}); unpack it and give that one"
            )
        raise Refused("holds no .kml file")
    by_path = {posixpath.normpath(path.replace("\\", "/")).lower(): path for path in inside}
    main = by_path.get("doc.kml") or min(inside, key=lambda p: (p.count("/"), p))
    waiting, seen, report = [main], {main}, Report()
    layers: dict[str, Layer] = {}
    about: dict[str, Any] = {}
    rows, unfollowed = 0, list[str]()
    while waiting or (not rows and set(inside) - seen):
        if not waiting:
            waiting = sorted(set(inside) - seen)
            seen |= set(waiting)
            report.assumed(f"KML files in the archive were read, as {main} holds no placemark", len(waiting))
        path = waiting.pop(0)
        try:
            marks = read_kml(inside[path], limits.rows - rows)
        except Refused as error:
            if path == main:
                raise Refused(f"holds {path}, which {error}") from None
            report.left_out(f"{path} left out: it {error}")
            continue
        rows += len(marks.rows)
        elsewhere = []
        for link in marks.links:
            found = next((by_path[p] for p in _targets(path, link) if p in by_path), None)
            if found is None:
                elsewhere.append(link)
            elif found not in seen:
                seen.add(found)
                waiting.append(found)
        if elsewhere:
            report.left_out(
                "links to what is no KML in the archive were not followed", len(elsewhere), elsewhere
            )
            unfollowed += elsewhere
        part = _placemarks(marks, Path(name).stem if path == main else path, report)
        about = about or part.about
        layers |= part.layers
    if unfollowed and not rows:
        raise Refused(_only_links(unfollowed))
    if nested:
        report.left_out("archives in the archive were not read; unpack them", len(nested), nested)
    unread = sorted(set(inside) - seen)
    if unread:
        report.left_out(f"KML files in the archive that {main} does not link to", len(unread), unread)
    return Contents(_one_table(layers), about, report)


def _targets(path: str, link: str) -> list[str]:
    """Where in an archive a link of a document may lead, in lower case: as written, and with %20 as a space."""
    bare = link.split("#")[0].replace("\\", "/")
    folder = posixpath.dirname(path.replace("\\", "/"))
    ways = (bare, unquote(bare), unquote(bare.split("?")[0]))
    return [posixpath.normpath(posixpath.join(folder, way)).lower() for way in ways]


def _one_table(layers: dict[str, Layer]) -> dict[str, Layer]:
    """The placemarks of linked documents in one layer, as their viewer shows them."""
    filled = [layer for layer in layers.values() if len(layer)]
    if len(filled) < 2:
        return {layer.name: layer for layer in filled or list(layers.values())[:1]}
    table = pd.concat([layer.table for layer in filled], ignore_index=True)
    shapes = np.concatenate([layer.shapes for layer in filled if layer.shapes is not None])
    return {filled[0].name: Layer(filled[0].name, table, shapes)}


def _parquet(data: bytes, name: str, limits: Limits) -> Contents:
    shape = read_parquet(data, limits.rows, limits.columns, limits.unpacked_bytes)
    report = Report()
    if shape.nested:
        report.left_out("columns of lists were not read", len(shape.nested), shape.nested)
    if shape.faults.any():
        report.left_out(
            "rows with a geometry that cannot be read", int(shape.faults.sum()), rows_of(shape.faults)
        )
    stem = Path(name).stem
    return Contents({stem: Layer(stem, shape.table, shape.shapes, shape.crs)}, {}, report)


def _gpkg(data: bytes, limits: Limits, attributes: bool) -> Contents:
    if not data.startswith(SQLITE) or data[68:70] != b"GP":
        raise Refused("is not a GeoPackage though its name says so")
    return _of_gdal(read_with_gdal({".gpkg": data}, ".gpkg", limits.rows, attributes))


def _mif(parts: dict[str, bytes], limits: Limits, attributes: bool) -> Contents:
    """A MapInfo interchange file, by its parts: text that names no other file, unlike a .tab."""
    if not re.match(rb"\s*version\s+\d+", parts[".mif"][:200].removeprefix(b"\xef\xbb\xbf"), re.IGNORECASE):
        raise Refused("is not a MapInfo file though its name says so")
    return _of_gdal(read_with_gdal(parts, ".mif", limits.rows, attributes))


def _of_gdal(read: dict[str, Any]) -> Contents:
    report = Report()
    for name, layer in read.items():
        if layer.faults.any():
            report.left_out(
                f"features of {name} with a geometry that cannot be read",
                int(layer.faults.sum()),
                rows_of(layer.faults),
            )
    layers = {name: Layer(name, part.table, part.shapes, part.crs) for name, part in read.items()}
    return Contents(layers, _own_about(layers), report)


def _zip(data: bytes, limits: Limits, attributes: bool) -> Contents:
    """Shapefiles, and any other tables and layers that an archive holds."""
    wanted = (
        *SHAPEFILE_PARTS,
        *(TABLES if attributes else ()),
        *GEOJSON,
        *MAPINFO,
        ".kml",
        ".gpx",
        ".fgb",
        ".gpkg",
    )
    inside = members(data, wanted, limits.members, limits.unpacked_bytes)
    about: dict[str, Any] = {}
    for path in [p for p in inside if Path(p).name in OWN_NOTES]:
        content = inside.pop(path)
        if not path.endswith("provenance.json"):
            continue
        try:
            told = read_json(content)
        except ValueError:
            continue  # not of our own making
        about = told if isinstance(told, dict) else about
    layers: dict[str, Layer] = {}
    report = Report()
    for path, parts in sorted(shapefiles(inside).items()):
        lacking = [part for part in (".shx", ".dbf")[: 2 if attributes else 1] if part not in parts]
        if lacking:
            raise Refused(f"lacks the {lacking[0]} part of {path}; zip all files of the Shapefile together")
        contents = _of_gdal(read_with_gdal(parts, ".shp", limits.rows, attributes))
        if attributes and (said := assumed_encoding(parts[".dbf"][32:], text_encoding(parts) or "utf-8")):
            contents.report.assumed(said)
        stem = Path(path).stem
        layers |= {_free(stem, layers): replace(layer, name=stem) for layer in contents.layers.values()}
        report.extend(contents.report)
    for path, content in inside.items():
        if path.lower().endswith((*SHAPEFILE_PARTS, ".mid")):
            continue
        try:
            if path.lower().endswith(".mif"):
                beside = {p[-4:].lower(): inside[p] for p in inside if p[:-4] == path[:-4]}
                part = _mif({k: v for k, v in beside.items() if k in MAPINFO}, limits, attributes)
                part = replace(
                    part,
                    layers={Path(path).stem: replace(x, name=Path(path).stem) for x in part.layers.values()},
                )
            else:
                part = read_layers(content, Path(path).name, limits, attributes)
        except Refused as error:
            raise Refused(f"holds {path}, which {error}") from None
        about = about or part.about
        for layer in part.layers.values():
            name = _free(layer.name if len(part.layers) == 1 else f"{Path(path).stem} {layer.name}", layers)
            layers[name] = replace(layer, name=name)
        report.extend(part.report)
    if not layers:
        raise Refused(_nothing_in(data, limits))
    return Contents(layers, about, report)


def _nothing_in(data: bytes, limits: Limits) -> str:
    """What an archive without a table or layer holds instead."""
    other = list(members(data, (*ARCHIVES, ".tab"), limits.members, limits.unpacked_bytes))
    if not other:
        return "holds no .shp file and no table"
    if other[0].lower().endswith(".tab"):
        return f"holds a MapInfo table ({other[0]}); save it as .mif and zip that with its .mid file"
    return f"holds another archive ({other[0]}); unpack it and give that one"


def _free(name: str, taken: dict[str, Layer]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free
