"""Places in a local OpenStreetMap extract: an `.osm.pbf`, or a GeoPackage with OSM tags or Geofabrik classes.

GDAL reads both. Features are read in batches inside the box of the wanted tiles, so memory does not grow with the
extract. Areas count at their centroid; lines never count.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyogrio
import pyproj
import shapely

from intake.database import copy_plain
from intake.guard import Stopped, guarded
from intake.text import Refused
from opendiff.area import Tiles, tiles_bounds
from opendiff.area.tile_grid import Bounds
from opendiff.errors import SourceError
from opendiff.poi.categories import POI_CATEGORIES
from opendiff.poi.osm_tags import KEYS, OTHER_TAGS, categories_in
from opendiff.poi.places import Places, count_places

READ_SECONDS = 1800.0  # that an extract may take: those of a country have some 1 GB
BATCH_FEATURES = 65_536
MAX_LAYERS = 100
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
    path = Path(path)
    try:
        west, south, east, north = map(float, bounds)
        return _read_places(path, (west, south, east, north), shown or path.name, cancelled=cancelled)
    except Stopped:
        return Places.join([])


def _from_plain(plain: dict[str, np.ndarray]) -> Places:
    """Raises SourceError for what are no places."""
    places = Places(*(np.asarray(plain[name]) for name in ("lon", "lat", "category")))
    number = places.category.dtype.kind == "i" and len(places.lon) == len(places.lat) == len(places.category)
    if not number or not (np.isfinite(places.lon) & np.isfinite(places.lat)).all():
        raise SourceError("The places cannot be read; export the extract again.")
    return Places.kept(
        places.lon, places.lat, np.where(places.category < len(POI_CATEGORIES), places.category, -1)
    )


@guarded(SourceError, pack=vars, unpack=_from_plain, seconds=READ_SECONDS)
def _read_places(
    path: Path, bounds: Bounds, shown: str, cancelled: Callable[[], bool] | None = None
) -> Places:
    kind = file_kind(path, shown)
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")  # what GDAL grumbles about is an error below or of no concern
            if kind == "gpkg":
                plain = Path(folder, "plain.gpkg")
                copy_plain(path, plain)
            else:
                plain = path
            layers = [name for name, shape in pyogrio.list_layers(plain)[:MAX_LAYERS] if shape is not None]
            layers = [name for name in layers if kind != "pbf" or name in PBF_LAYERS]
            found = [_read_layer(plain, name, bounds, cancelled) for name in layers]
    except Refused as error:
        raise SourceError(f"{shown} {error}; export the extract again.") from None
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pa.ArrowException) as error:
        raise _unreadable(shown, str(error).replace(str(path), shown)) from None
    except (
        ValueError,
        RuntimeError,
        OSError,
        shapely.errors.ShapelyError,
        pyproj.exceptions.CRSError,
    ) as error:
        raise _unreadable(shown, str(error).replace(str(path), shown)) from None
    usable = [places for places in found if places is not None]
    if not usable:
        raise SourceError(
            f"{shown} has no layer of places with a column category, fclass or an OSM key such as amenity or shop; "
            "give an OSM extract (.osm.pbf, or .gpkg from Geofabrik)."
        )
    return Places.join(usable)


def file_kind(path: Path, shown: str) -> str:
    """ "gpkg" or "pbf" by the content of a file, which must agree with its name. Raises SourceError."""
    try:
        with path.open("rb") as file:
            head = file.read(256)
    except OSError as error:
        raise SourceError(f"The file {shown} cannot be read ({error}); check its name.") from None
    if path.suffix.lower() == ".gpkg" and head.startswith(b"SQLite format 3\x00") and head[68:70] == b"GP":
        return "gpkg"
    if path.suffix.lower() == ".pbf" and b"OSMHeader" in head[:64]:
        return "pbf"
    raise SourceError(
        f"{shown} is no OSM extract that can be read; give an .osm.pbf or a GeoPackage (.gpkg)."
    )


def _read_layer(
    path: Path, layer: str, bounds: Bounds, cancelled: Callable[[], bool] | None
) -> Places | None:
    """The places of a layer inside the box; None when its columns do not tell a category."""
    info = pyogrio.read_info(path, layer=layer)
    wanted = {"category", "key", "value", "fclass", "name", OTHER_TAGS, *KEYS}
    columns = [name for name in info["fields"] if name.lower() in wanted]
    if not set(map(str.lower, columns)) - {"name"}:
        return None
    if info["crs"] is None:
        raise ValueError(f"the layer {layer} does not state its reference system")
    to_degrees = pyproj.Transformer.from_crs(info["crs"], "EPSG:4326", always_xy=True)
    west, south, east, north = bounds
    box = (west - MARGIN_DEGREES, south - MARGIN_DEGREES, east + MARGIN_DEGREES, north + MARGIN_DEGREES)
    box = to_degrees.transform_bounds(*box, densify_pts=EDGE_POINTS, direction="INVERSE")
    parts: list[Places] = []
    with pyogrio.open_arrow(
        path, layer=layer, columns=columns, bbox=box, batch_size=BATCH_FEATURES, use_pyarrow=True
    ) as (meta, reader):
        geometry = meta["geometry_name"] or "wkb_geometry"
        for batch in reader:
            if cancelled and cancelled():
                break
            category = categories_in(batch.select(columns).to_pandas())
            if category is None:
                return None
            chosen = np.flatnonzero(category >= 0)
            shapes = shapely.from_wkb(
                batch.column(geometry).take(pa.array(chosen)).to_numpy(zero_copy_only=False)
            )
            kinds = shapely.get_type_id(shapes)
            whole = np.isin(kinds, POLYGONAL + PUNCTUAL) & ~shapely.is_empty(shapes)
            middle = shapely.centroid(shapes[whole])
            lon, lat = to_degrees.transform(shapely.get_x(middle), shapely.get_y(middle))
            parts.append(Places.kept(np.asarray(lon), np.asarray(lat), category[chosen][whole]))
    return Places.join(parts)


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
            plain = Path(folder, "plain.gpkg")
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
        raise _unreadable(path.name, str(error).replace(str(path), path.name)) from None
    if not boxes or not np.isfinite(boxes).all():
        return None
    low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
    return float(low[0]), float(low[1]), float(high[2]), float(high[3])
