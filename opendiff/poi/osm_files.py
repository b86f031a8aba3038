"""Places in a local OpenStreetMap extract: an `.osm.pbf`, `.osm`, `.osm.gz` or `.osm.bz2`, or a GeoPackage or
zipped Shapefiles with OSM tags or Geofabrik classes.

GDAL reads them. Features are read in batches inside the box of the wanted tiles, so memory does not grow with the
extract. Areas count at their centroid; lines never count, nor do areas of which the extract lacks corners, which are
counted in the report.
"""

from __future__ import annotations

import re
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio
import pyproj
import shapely

from opendiff.area import Tiles, tiles_bounds
from opendiff.area.tile_grid import Bounds
from opendiff.errors import SourceError
from opendiff.poi.catalogues import categories_in, category_columns
from opendiff.poi.categories import POI_CATEGORIES
from opendiff.poi.places import Places, count_places
from plannerbase.archive import MARKS, bare_name, members, opened_packed
from plannerbase.database import copy_plain
from plannerbase.errors import Cancelled
from plannerbase.guard import guarded
from plannerbase.markup import check_plain
from plannerbase.report import Report
from plannerbase.text import Refused
from plannerbase.vector import SHAPEFILE_PARTS, shapefiles

READ_SECONDS = 1800.0  # that an extract may take: those of a country have some 1 GB
COPY = "plain.gpkg"  # of a database, in a folder of its own
BATCH_FEATURES = 65_536
COPY_BYTES = 1_000_000  # at a time, of what is uncompressed
MAX_LAYERS = 100
HEAD_BYTES = 65_536
MAX_ZIP_BYTES, MAX_UNPACKED_BYTES, MAX_MEMBERS = 500_000_000, 4_000_000_000, 500  # of zipped Shapefiles
POLYGONAL, PUNCTUAL = (3, 6), (0, 4)  # shapely type ids, of single and multiple geometries
PBF_LAYERS = ("points", "multipolygons")  # of GDAL's OSM driver; the others hold lines
MARGIN_DEGREES = 1e-6  # around the box, above the rounding of its reprojection
EDGE_POINTS = 21  # of each side of a box that is reprojected: straight sides become curves


def osm_poi_counts(path: str | Path, tiles: Tiles) -> np.ndarray:
    """POI of an OSM extract by tile and category, (tiles, 14) float32 in the order of POI_CATEGORIES.

    path: `.osm.pbf` or `.gpkg`. Positions are WGS-84, so these counts need no registration; OSM lists far fewer places
    than a map service. Raises SourceError.
    """
    return count_places(read_osm_places(path, tiles_bounds(tiles)), tiles)


def read_osm_places(
    path: str | Path, bounds: Bounds, cancelled: Callable[[], bool] | None = None, shown: str | None = None
) -> Places:
    """Places of a file inside a box; shown: the file's name in messages. Raises SourceError.

    When `cancelled` says so, reading ends and the places are those read by then; the caller is to stop as well.
    """
    return read_osm_extract(path, bounds, cancelled, shown).places


def read_osm_extract(
    path: str | Path, bounds: Bounds, cancelled: Callable[[], bool] | None = None, shown: str | None = None
) -> Extract:
    """As `read_osm_places`, with what was taken and left out."""
    path = Path(path)
    try:
        west, south, east, north = map(float, bounds)
        return _read_places(path, (west, south, east, north), shown or path.name, cancelled=cancelled)
    except Cancelled:
        return Extract(Places.join([]), Report())


@dataclass(frozen=True)
class Extract:
    """Places of an extract, and what was taken and left out."""

    places: Places
    report: Report


def _to_plain(extract: Extract) -> dict[str, Any]:
    return vars(extract.places) | {"report": extract.report.record()}


def _from_plain(plain: dict[str, Any]) -> Extract:
    """Raises SourceError for what are no places."""
    places = Places(*(np.asarray(plain[name]) for name in ("lon", "lat", "category")))
    number = places.category.dtype.kind == "i" and len(places.lon) == len(places.lat) == len(places.category)
    if not number or not (np.isfinite(places.lon) & np.isfinite(places.lat)).all():
        raise SourceError("The places cannot be read; export the extract again.")
    known = np.where(places.category < len(POI_CATEGORIES), places.category, -1)
    return Extract(Places.kept(places.lon, places.lat, known), Report.from_record(plain["report"]))


@guarded(SourceError, pack=_to_plain, unpack=_from_plain, seconds=READ_SECONDS)
def _read_places(
    path: Path, bounds: Bounds, shown: str, cancelled: Callable[[], bool] | None = None
) -> Extract:
    kind = file_kind(path, shown)
    report, found = Report(), []
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")  # what GDAL grumbles about is an error below or of no concern
            for part in _given_to_gdal(path, kind, Path(folder)):
                layers = [name for name, shape in pyogrio.list_layers(part)[:MAX_LAYERS] if shape is not None]
                layers = [name for name in layers if kind not in ("pbf", "osm") or name in PBF_LAYERS]
                found += [_read_layer(part, name, bounds, report, cancelled) for name in layers]
    except Refused as error:
        raise SourceError(f"{shown} {error}; export the extract again.") from None
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pa.ArrowException) as error:
        raise _unreadable(shown, _reason(error, path, shown)) from None
    except (
        ValueError,
        RuntimeError,
        OSError,
        shapely.errors.ShapelyError,
        pyproj.exceptions.CRSError,
    ) as error:
        raise _unreadable(shown, _reason(error, path, shown)) from None
    usable = [places for places in found if places is not None]
    if not usable:
        raise SourceError(
            f"{shown} has no layer of places with a column category, fclass or an OSM key such as amenity or shop; "
            "give an OSM extract (.osm.pbf, or .gpkg or .shp.zip from Geofabrik)."
        )
    places = Places.join(usable)
    report.taken("places with a category", len(places))
    return Extract(places, report)


def _given_to_gdal(path: Path, kind: str, folder: Path) -> list[Path]:
    """The files that GDAL is to open: the extract, or copies of its plain parts in `folder`."""
    if kind == "gpkg":
        copy_plain(path, folder / COPY)
        return [folder / COPY]
    if kind == "packed":
        path, kind = _unpacked(path, folder), "osm"
    if kind == "osm":
        with path.open("rb") as file:
            check_plain(file.read(HEAD_BYTES))  # a document type stands before the first element
    if kind in ("osm", "pbf"):
        _check_whole(path, kind)
    if kind != "shp":
        return [path]
    if path.stat().st_size > MAX_ZIP_BYTES:
        raise Refused(
            f"is larger than {MAX_ZIP_BYTES // 10**6} MB; give the .gpkg or the .osm.pbf of the same extract"
        )
    inside = members(path.read_bytes(), SHAPEFILE_PARTS, MAX_MEMBERS, MAX_UNPACKED_BYTES)
    found = []
    for number, parts in enumerate(shapefiles(inside).values()):
        for suffix, content in parts.items():
            (folder / f"{number}{suffix}").write_bytes(content)
        found.append(folder / f"{number}.shp")
    return found


def _unpacked(path: Path, folder: Path) -> Path:
    """The uncompressed copy of an .osm.gz or .osm.bz2. Raises `Refused`."""
    made, left = folder / "plain.osm", MAX_UNPACKED_BYTES
    try:
        with path.open("rb") as packed, opened_packed(packed, path.name) as file, made.open("wb") as out:
            while block := file.read(COPY_BYTES):
                left -= len(block)
                if left < 0:
                    raise Refused(
                        f"unpacks to more than {MAX_UNPACKED_BYTES // 10**9} GB; give the .osm.pbf of the same extract"
                    )
                out.write(block)
    except (EOFError, zlib.error) as error:
        raise Refused(
            f"cannot be uncompressed ({type(error).__name__}); it was not downloaded whole"
        ) from None
    return made


def _check_whole(path: Path, kind: str) -> None:
    """Raise `Refused` for an extract that ends too early, as downloads do that were cut off: GDAL would read what is
    there without a word."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if kind == "osm":
            file.seek(max(size - HEAD_BYTES, 0))
            whole = b"</osm>" in file.read()
        else:
            whole = _ends_with_a_block(file, size)
    if not whole:
        raise Refused("ends in the middle, so it was not downloaded whole")


def _ends_with_a_block(file: BinaryIO, size: int) -> bool:
    """Whether blocks of a PBF follow one another up to its end: four bytes with the length of a heading, the heading
    (field 3: the length of the data), the data."""
    place = 0
    while place < size:
        file.seek(place)
        length = int.from_bytes(file.read(4), "big")
        if length > HEAD_BYTES:
            return False
        data = _data_size(file.read(length))
        if data is None:
            return False
        place += 4 + length + data
    return place == size


def _data_size(heading: bytes) -> int | None:
    """Field 3 of the heading of a block; None where it has none that can be read."""
    place, found = 0, None
    while place < len(heading):
        key, place = _varint(heading, place)
        value, place = _varint(heading, place)
        if key & 7 == 2:
            place += value  # text or bytes of this length
        elif key & 7 != 0:
            return None
        elif key >> 3 == 3:
            found = value
    return found


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """(number, place after it): seven bits a byte, the lowest first."""
    number, shift = 0, 0
    while place < len(data) and shift < 64:
        byte = data[place]
        number |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            break
    return number, place


def file_kind(path: Path, shown: str) -> str:
    """ "gpkg", "pbf", "osm", "packed" (an .osm.gz or .osm.bz2) or "shp" by the content of a file, which must agree
    with its name. Raises SourceError."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise SourceError(f"The file {shown} cannot be read ({error}); check its name.") from None
    suffix = path.suffix.lower()
    if suffix == ".gpkg" and head.startswith(b"SQLite format 3\x00") and head[68:70] == b"GP":
        return "gpkg"
    if suffix == ".pbf" and b"OSMHeader" in head[:64]:
        return "pbf"
    if suffix == ".osm" and b"<osm" in head:
        return "osm"
    if is_packed_osm(path.name) and head.startswith(MARKS[suffix]):
        return "packed"
    if suffix == ".zip" and head.startswith(b"PK"):
        return "shp"
    raise SourceError(
        f"{shown} is no OSM extract that can be read; give an .osm.pbf, an .osm, a GeoPackage (.gpkg) or zipped "
        "Shapefiles."
    )


def is_packed_osm(name: str) -> bool:
    """Whether a file is a compressed .osm by its name."""
    return bare_name(name) != name and bare_name(name).lower().endswith(".osm")


def is_shapefile_zip(path: Path) -> bool:
    """Whether a zip archive holds Shapefiles, as Geofabrik's do."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.lower().endswith(".shp") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def _read_layer(
    path: Path, layer: str, bounds: Bounds, report: Report, cancelled: Callable[[], bool] | None
) -> Places | None:
    """The places of a layer inside the box; None when its columns do not tell a category."""
    info = pyogrio.read_info(path, layer=layer)
    columns = category_columns([str(name) for name in info["fields"]])
    if not columns:
        return None
    if info["crs"] is None:
        raise ValueError(f"the layer {layer} does not state its reference system")
    to_degrees = pyproj.Transformer.from_crs(info["crs"], "EPSG:4326", always_xy=True)
    west, south, east, north = bounds
    box = (west - MARGIN_DEGREES, south - MARGIN_DEGREES, east + MARGIN_DEGREES, north + MARGIN_DEGREES)
    box = to_degrees.transform_bounds(*box, densify_pts=EDGE_POINTS, direction="INVERSE")
    parts: list[Places] = []
    broken: list[str] = []
    unknown = 0
    with pyogrio.open_arrow(
        path, layer=layer, columns=columns, bbox=box, batch_size=BATCH_FEATURES, use_pyarrow=True
    ) as (meta, reader):
        geometry = meta["geometry_name"] or "wkb_geometry"
        for batch in reader:
            if cancelled and cancelled():
                break
            table = batch.select(columns).to_pandas()
            category = categories_in(table)
            if category is None:
                return None
            chosen = np.flatnonzero(category >= 0)
            unknown += len(category) - len(chosen)
            written = batch.column(geometry).take(pa.array(chosen)).to_numpy(zero_copy_only=False)
            shapes = shapely.from_wkb(
                written, on_invalid="ignore"
            )  # a clip may have cut corners of an area away
            kinds = shapely.get_type_id(shapes)
            whole = np.isin(kinds, POLYGONAL + PUNCTUAL) & ~shapely.is_empty(shapes)
            fault = np.array([w is not None for w in written], bool) & (kinds < 0)
            fault |= np.isin(kinds, POLYGONAL) & ~whole
            broken += _names(table, chosen[fault])
            middle = shapely.centroid(shapes[whole])
            lon, lat = to_degrees.transform(shapely.get_x(middle), shapely.get_y(middle))
            parts.append(Places.kept(np.asarray(lon), np.asarray(lat), category[chosen][whole]))
    if broken:
        report.left_out(f"areas of {layer} left out: the extract lacks corners of them", len(broken), broken)
    return Places.join(parts)


def _names(table: pd.DataFrame, rows: np.ndarray) -> list[str]:
    """What the rows are called, else what they are."""
    texts = table.iloc[rows].apply(
        lambda row: next((str(v) for v in row[::-1] if isinstance(v, str) and v), "?"), axis=1
    )
    return [] if not len(rows) else [str(text) for text in texts]


def _reason(error: Exception, path: Path, shown: str) -> str:
    """What an error says, with the file's name in place of paths, of the file and of its copy."""
    return re.sub(rf"[^\s'\"`]*{COPY}", lambda found: shown, str(error).replace(str(path), shown))


def _unreadable(shown: str, reason: str) -> SourceError:
    return SourceError(f"{shown} cannot be read ({reason}); export the extract again.")


def layer_bounds(path: Path) -> Bounds | None:
    """The box around the layers of a GeoPackage, degrees; None where it is not known without reading all of it."""
    return None if path.suffix.lower() != ".gpkg" else _database_bounds(path)


@guarded(SourceError, seconds=READ_SECONDS)
def _database_bounds(path: Path) -> Bounds | None:
    boxes = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder, COPY)
            copy_plain(path, plain)
            for name, shape in pyogrio.list_layers(plain)[:MAX_LAYERS]:
                info = pyogrio.read_info(plain, layer=name)
                if shape is None or info["total_bounds"] is None or info["crs"] is None:
                    continue
                to_degrees = pyproj.Transformer.from_crs(info["crs"], "EPSG:4326", always_xy=True)
                west, south, east, north = info["total_bounds"]
                boxes.append(to_degrees.transform_bounds(west, south, east, north, densify_pts=EDGE_POINTS))
    except (Refused, pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, RuntimeError,
            pyproj.exceptions.ProjError) as error:  # fmt: skip
        raise _unreadable(path.name, _reason(error, path, path.name)) from None
    if not boxes or not np.isfinite(boxes).all():
        return None
    low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
    return float(low[0]), float(low[1]), float(high[2]), float(high[3])
