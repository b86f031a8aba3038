"""The base map of a pack: main roads, water, rail and place names of OpenStreetMap, in one GeoJSON file.

`base_map.geojson` is a FeatureCollection in WGS-84 that opens in any GIS. Each feature has `kind` (`KINDS`) and, where
it has one, `name`. Beside its features the collection has `attribution`, `licence`, `date` and `tiles`: the zoom-15
tiles [x, y] that were asked for, whether anything lies in them or not. Nothing but the maps reads it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from opendiff.area import Tiles
from opendiff.area.tile_grid import TILES_ACROSS, tile_bounds
from opendiff.errors import SourceError
from opendiff.storage.atomic import locked, replacing
from plannerbase.geojson import read_geojson
from plannerbase.guard import guarded
from plannerbase.text import Refused

FILE = "base_map.geojson"
MAX_BYTES = 30_000_000
MAX_FEATURES = 300_000
MAX_NAME = 80  # letters
ROADS = ("motorway", "primary", "secondary", "tertiary")
LINES = (*ROADS, "rail", "river", "coast")
PLACES = ("city", "town", "suburb", "village", "neighbourhood")
KINDS = (*LINES, "water", *PLACES)
LICENCE = "ODbL 1.0"
ATTRIBUTION = "Base map (c) OpenStreetMap contributors, ODbL (www.openstreetmap.org/copyright)"
DIGITS = 5  # of degrees, some 1 m
_DIMENSION = {"water": 2} | dict.fromkeys(LINES, 1) | dict.fromkeys(PLACES, 0)
_TYPES = {0: (0,), 1: (1, 5), 2: (3, 6)}  # shapely type ids by dimension, single and multiple


@dataclass(frozen=True)
class BaseMap:
    """Features, each at the same place of all lists.

    Attributes
    ----------
    kinds : of KINDS.
    names : "" where there is none.
    shapes : (features,) object
        Points, lines or polygons, by the kind; degrees, WGS-84.
    tiles : (n, 2) int64
        x and y of the tiles that it covers.
    attribution : whom to credit.
    """

    kinds: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    shapes: np.ndarray = field(default_factory=lambda: np.empty(0, object))
    tiles: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int64))
    attribution: str = ATTRIBUTION

    def __len__(self) -> int:
        return len(self.kinds)

    def covers(self, tiles: Tiles) -> np.ndarray:
        """Which of `tiles` it covers: (tiles,) bool."""
        known = self.tiles[:, 0] * TILES_ACROSS + self.tiles[:, 1]
        return np.isin(tiles["x"].to_numpy(np.int64) * TILES_ACROSS + tiles["y"].to_numpy(np.int64), known)

    def clipped(self, tiles: Tiles) -> BaseMap:
        """Its features inside `tiles`, which it then covers. What only touches them is left out."""
        x, y = tiles["x"].to_numpy(np.int64), tiles["y"].to_numpy(np.int64)
        west, south, east, north = tile_bounds(x, y)
        ground = shapely.union_all(shapely.box(west, south, east, north), grid_size=1e-9)
        shapes = shapely.intersection(self.shapes, ground) if len(self) else self.shapes
        return _kept(self.kinds, self.names, shapes, np.column_stack([x, y]), self.attribution)

    def joined(self, other: BaseMap) -> BaseMap:
        """Both together; their tiles must differ, or features stand twice."""
        return BaseMap(
            self.kinds + other.kinds,
            self.names + other.names,
            np.concatenate([self.shapes, other.shapes]),
            np.unique(np.concatenate([self.tiles, other.tiles]), axis=0),
            self.attribution,
        )

    def written(self) -> bytes:
        """The file."""
        features = [
            {
                "type": "Feature",
                "properties": {"kind": kind} | ({"name": name} if name else {}),
                "geometry": _rounded(shapely.geometry.mapping(shape)),
            }
            for kind, name, shape in zip(self.kinds, self.names, self.shapes, strict=True)
        ]
        document = {
            "type": "FeatureCollection",
            "attribution": self.attribution,
            "licence": LICENCE,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "tiles": self.tiles.tolist(),
            "features": features,
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def features(rows: Iterable[tuple[str, str, Any]]) -> BaseMap:
    """A base map, which covers no tile yet, of (kind, name, shape); what has no shape of its kind is left out."""
    listed = list(rows)
    shapes = np.empty(len(listed), object)
    for number, (_, _, shape) in enumerate(listed):
        shapes[number] = shape
    return _kept([kind for kind, _, _ in listed], [name for _, name, _ in listed], shapes)


def _kept(
    kinds: Iterable[str],
    names: Iterable[str],
    shapes: np.ndarray,
    tiles: np.ndarray | None = None,
    attribution: str = ATTRIBUTION,
) -> BaseMap:
    """The features whose shape fits their kind. Of a collection the parts that fit stay."""
    found: list[tuple[str, str, Any]] = []
    for kind, name, shape in zip(kinds, names, shapes, strict=True):
        allowed = _TYPES.get(_DIMENSION.get(kind, -1))
        if allowed is None or shape is None or shape.is_empty:
            continue
        if shapely.get_type_id(shape) == 7:  # a line that also touches the edge, say
            parts = [p for p in shapely.get_parts(shape) if shapely.get_type_id(p) in allowed]
            shape = shapely.union_all(parts) if parts else None
        if shape is not None and shapely.get_type_id(shape) in allowed and np.isfinite(shape.bounds).all():
            found.append((kind, name[:MAX_NAME], shape))
    out = np.empty(len(found), object)
    for number, (_, _, shape) in enumerate(found):
        out[number] = shape
    covered = np.empty((0, 2), np.int64) if tiles is None else tiles
    return BaseMap(tuple(f[0] for f in found), tuple(f[1] for f in found), out, covered, attribution)


def _rounded(geometry: Any) -> Any:
    def of(value: Any) -> Any:
        return round(value, DIGITS) if isinstance(value, float) else [of(part) for part in value]

    return {"type": geometry["type"], "coordinates": of(geometry["coordinates"])}


# --- in a pack ---------------------------------------------------------------------------------------------------


def add_to_pack(root: Path, more: BaseMap) -> None:
    """Write features of further tiles into the base map of a pack, whole or not at all. Raises SourceError, also where
    it would become too large."""
    with locked(root / ".lock"):
        present = read_base_map(root)
        data = (more if present is None else present.joined(more)).written()
        if len(data) > MAX_BYTES:
            raise SourceError(f"the base map would be larger than {MAX_BYTES // 10**6} MB.")
        with replacing(root / FILE) as temporary:
            temporary.write_bytes(data)


def read_base_map(root: Path) -> BaseMap | None:
    """The base map of a pack, None where it has none. Raises SourceError for one that cannot be read."""
    path = Path(root) / FILE
    return _read(path) if path.is_file() else None


def _to_plain(found: BaseMap) -> dict[str, Any]:
    shapes = shapely.to_wkb(found.shapes).tolist() if len(found) else []
    sizes = np.array([len(shape) for shape in shapes], np.int64)
    return {
        "kinds": list(found.kinds), "names": list(found.names), "shapes": b"".join(shapes), "sizes": sizes,
        "tiles": found.tiles, "attribution": found.attribution,
    }  # fmt: skip


def _from_plain(plain: dict[str, Any]) -> BaseMap:
    """Raises ValueError for what is no base map."""
    data, ends = plain["shapes"], np.cumsum(np.asarray(plain["sizes"], np.int64))
    if len(ends) != len(plain["kinds"]) or (
        len(ends) and (ends[-1] != len(data) or (plain["sizes"] < 0).any())
    ):
        raise ValueError("no base map")
    cuts = [0, *ends.tolist()]
    shapes = [shapely.from_wkb(data[a:b], on_invalid="ignore") for a, b in itertools.pairwise(cuts)]
    tiles = np.asarray(plain["tiles"])
    if tiles.dtype.kind != "i" or tiles.ndim != 2 or tiles.shape[1] != 2:
        raise ValueError("no base map")
    kinds, names = map(str, plain["kinds"]), map(str, plain["names"])
    return _kept(kinds, names, np.array([*shapes, None], object)[:-1], tiles, str(plain["attribution"]))


@guarded(SourceError, pack=_to_plain, unpack=_from_plain)
def _read(path: Path) -> BaseMap:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise Refused(f"is larger than {MAX_BYTES // 10**6} MB")
        found = read_geojson(data, MAX_FEATURES)
        tiles = np.array(found.document.get("tiles") or np.empty((0, 2)), float).reshape(-1, 2)
        if not ((tiles >= 0) & (tiles < TILES_ACROSS)).all():
            raise Refused("names tiles that there are not")
    except (Refused, ValueError, TypeError, OverflowError, OSError) as error:
        raise SourceError(f"{path} cannot be read ({error}); delete it and fetch it again.") from None
    shapes = found.shapes
    bounds = shapely.bounds(shapes) if len(shapes) else np.empty((0, 4))
    with np.errstate(invalid="ignore"):
        far = ~(
            (np.abs(bounds[:, [0, 2]]) <= 180).all(axis=1) & (np.abs(bounds[:, [1, 3]]) <= 90).all(axis=1)
        )
    shapes[far] = None
    return _kept(
        [str(row.get("kind", "")) for row in found.rows],
        [str(row.get("name") or "") for row in found.rows],
        shapes,
        tiles.astype(np.int64),
        str(found.document.get("attribution") or ATTRIBUTION)[:300],
    )
