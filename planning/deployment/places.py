"""Places that a plan takes up: candidate, existing, forced and forbidden sites, and real sites to judge by.

Points, and areas where none may stand, in any of the formats of `planning.network.files`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike
from shapely.geometry import shape

from plannerbase.guard import guarded
from plannerbase.headings import place_columns
from plannerbase.layers import TABLES, VECTORS, chosen
from plannerbase.numbers import numbers_of
from plannerbase.positions import written_shapes
from plannerbase.report import Report, rows_of
from plannerbase.source import Source
from plannerbase.text import Refused
from planning.demand import Demand
from planning.deployment.placement import outline_of
from planning.errors import InputError
from planning.geometry import GeoJson, points_in_tiles, tile_centre
from planning.network import Network
from planning.network.files import WHOLE, Choice, import_points
from planning.network.table_files import read_bytes, read_contents
from planning.network.technologies import carriers_of

# whatever a malformed geometry makes shapely stumble over
UNREADABLE = (LookupError, AttributeError, TypeError, ValueError, OverflowError, shapely.errors.ShapelyError)


@dataclass(frozen=True)
class Places:
    """lon, lat: (places,) degrees. names: (places,) text, "" where unknown. cost, capacity_mbps, height_m (of
    antennas): (places,), NaN where not given; band: (places,) text, "" where not given. areas: polygons in degrees.
    report: what was taken, fixed, left out and assumed."""

    lon: np.ndarray
    lat: np.ndarray
    names: tuple[str, ...] = ()
    cost: np.ndarray | None = None
    capacity_mbps: np.ndarray | None = None
    height_m: np.ndarray | None = None
    band: np.ndarray | None = None
    areas: tuple[shapely.Geometry, ...] = field(default_factory=tuple)
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        for name in ("cost", "capacity_mbps", "height_m"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, np.full(len(self.lon), np.nan))
        if self.band is None:
            object.__setattr__(self, "band", np.full(len(self.lon), "", object))

    @classmethod
    def of(
        cls,
        lon: ArrayLike,
        lat: ArrayLike,
        names: Sequence[str] | None = None,
        areas: Sequence[shapely.Geometry] = (),
    ) -> Places:
        """Places from coordinates at hand."""
        lon, lat = np.atleast_1d(np.asarray(lon, float)), np.atleast_1d(np.asarray(lat, float))
        if not (np.isfinite(lon).all() and (np.abs(lon) <= 180).all() and (np.abs(lat) <= 85).all()):
            raise InputError("Every place must have a longitude and latitude in degrees, WGS-84.")
        names = [""] * len(lon) if names is None else names
        return cls(lon, lat, tuple(map(str, names)), areas=tuple(areas))

    @classmethod
    def of_network(cls, network: Network) -> Places:
        """The sites of a network with their capacities, and the highest antenna and lowest band of each."""
        sites, cells = network.sites, network.cells
        places = cls.of(sites["lon"], sites["lat"], sites["site"])
        names = sites["site"].to_numpy()
        height = cells.groupby("site")["height_m"].max().loc[names].to_numpy(float)
        lowest = cells.loc[cells.groupby("site")["frequency_mhz"].idxmin()].set_index("site")["band"]
        band = lowest.loc[names].to_numpy(object)
        return replace(places, capacity_mbps=network.capacity_mbps, height_m=height, band=band)

    @classmethod
    def from_features(cls, features: Sequence[GeoJson]) -> Places:
        """Points and polygons of GeoJSON features, as drawn on a map. Raises InputError for anything else."""
        points, names, areas = [], [], []
        for feature in features:
            try:
                geometry = shape(feature.get("geometry") or {})
            except UNREADABLE as error:
                raise InputError("A drawn place cannot be read; draw it again.") from error
            properties = feature.get("properties")
            for part in shapely.get_parts(geometry):
                if part.geom_type == "Point" and not part.is_empty:
                    points.append((part.x, part.y))
                    names.append(str(properties.get("name", "")) if isinstance(properties, dict) else "")
                elif part.geom_type == "Polygon" and part.is_valid and not part.is_empty:
                    areas.append(part)
                else:
                    raise InputError(
                        f"Places are points or polygons that do not cross themselves, not {part.geom_type}."
                    )
        at = np.array(points, float).reshape(-1, 2)
        return cls.of(at[:, 0], at[:, 1], names, areas)

    def __len__(self) -> int:
        return len(self.lon)


def joined(*parts: Places | None) -> Places | None:
    """All places together; None where there are none."""
    given = [p for p in parts if p is not None]
    if len(given) < 2:
        return given[0] if given else None
    whole = {
        name: np.concatenate([getattr(p, name) for p in given])
        for name in ("lon", "lat", "cost", "capacity_mbps", "height_m", "band")
    }
    return Places(
        names=tuple(name for p in given for name in p.names),
        areas=tuple(area for p in given for area in p.areas),
        report=Report([entry for p in given for entry in p.report.entries]),
        **whole,
    )


def read_places(
    source: Source,
    name: str | None = None,
    mapping: dict[str, str] | None = None,
    areas: bool = True,
    choice: Choice = WHOLE,
) -> Places:
    """Places from a file (path, or bytes and their name). Cost, capacity, antenna height and band are taken where there
    are such columns.

    areas: whether polygons are areas; otherwise they are places at their centre. Rows of one site are one place. An
    OpenCelliD CSV is clustered into sites; of an OSM extract only communication masts and towers count. Raises
    InputError.
    """
    data, name = read_bytes(source, name)
    return _read_bytes(data, name, areas, asdict(choice) | {"mapping": choice.mapping | (mapping or {})})


def _to_plain(places: Places) -> dict[str, Any]:
    areas = [shapely.to_wkb(area) for area in places.areas]
    plain = {field.name: getattr(places, field.name) for field in fields(places)}
    return plain | {
        "areas": areas,
        "band": [str(b) for b in np.asarray(places.band)],
        "report": places.report.record(),
    }


def _from_plain(plain: dict[str, Any]) -> Places:
    """Raises InputError for what are no places."""
    areas = tuple(shapely.from_wkb(area) for area in plain["areas"])
    places = Places.of(plain["lon"], plain["lat"], plain["names"], areas)
    figures: dict[str, Any] = {c: np.asarray(plain[c], float) for c in ("cost", "capacity_mbps", "height_m")}
    figures["band"] = np.array([str(band) for band in plain["band"]], object)
    lengths = {len(places.lat), len(places.names), *(len(values) for values in figures.values())}
    if lengths - {len(places)} or not all(area.geom_type == "Polygon" and area.is_valid for area in areas):
        raise InputError("The places cannot be read; export them again.")
    return replace(places, **figures, report=Report.from_record(plain["report"]))


@guarded(InputError, pack=_to_plain, unpack=_from_plain)
def _read_bytes(data: bytes, name: str, areas: bool, asked: dict[str, Any]) -> Places:
    choice, report = Choice(**asked), Report()
    polygons: list[shapely.Geometry] = []
    if areas and Path(name).suffix.lower() in (*VECTORS, *TABLES):
        polygons, has_points, told = _areas(data, name, choice, report)
        if polygons and not has_points:
            report.extend(told)
            report.taken("areas", len(polygons))
            return replace(Places.of([], [], (), polygons), report=report)
    frame, told = import_points(data, name, choice=choice)
    if polygons:  # the points beside them, without the areas' centres
        at = shapely.points(frame["lon"].to_numpy(float), frame["lat"].to_numpy(float))
        centres = shapely.centroid(np.array(polygons, object))
        frame = frame[shapely.distance(at[:, None], centres).min(axis=1) > 1e-9].reset_index(drop=True)
        report.taken("areas", len(polygons))
    report.extend(told)
    blank = np.full(len(frame), np.nan)
    columns = ("cost", "capacity_mbps", "height_m")
    numbers = {c: numbers_of(frame[c]) if c in frame else blank for c in columns}
    bands = frame["band"].map(_band).to_numpy(object) if "band" in frame else np.full(len(frame), "", object)
    names = tuple(frame["site"].astype(str)) if "site" in frame else ("",) * len(frame)
    lon, lat = frame["lon"].to_numpy(float), frame["lat"].to_numpy(float)
    return Places(lon, lat, names, **numbers, band=bands, areas=tuple(polygons), report=report)


def _band(text: object) -> str:
    """The first band that a value of a file names; "" where it names none."""
    if text is None or text != text:
        return ""
    return next((c.band for c in carriers_of("", str(text)) if c.band), "")


def _areas(
    data: bytes, name: str, choice: Choice, report: Report
) -> tuple[list[shapely.Geometry], bool, Report]:
    """(valid polygons in degrees, whether the file has points too, what its reader told). Raises InputError."""
    found: list[shapely.Geometry] = []
    has_points, mended = False, 0
    try:
        contents = chosen(read_contents(data, name), choice.layer)
        for layer in contents.layers.values():
            if layer.shapes is None:
                column = place_columns(layer.table.columns).get("wkt")
                if column is None:
                    has_points = True
                    continue
                shapes, code = written_shapes(layer.table[column])
                unread = np.array([shape is None for shape in shapes], bool)
                if unread.any() and not unread.all():
                    report.left_out(
                        f"rows left out: no shape that can be read in {column}",
                        int(unread.sum()),
                        rows_of(unread),
                    )
                layer = replace(layer, shapes=shapes, crs=code or None)
            parts = np.array(
                [s for s in layer.in_degrees(choice.crs or None, report) if s is not None], object
            )
            while (shapely.get_type_id(parts) > 3).any():
                parts = shapely.get_parts(parts)
            has_points |= bool((shapely.get_type_id(parts) == 0).any())
            parts = shapely.force_2d(parts[(shapely.get_type_id(parts) == 3) & ~shapely.is_empty(parts)])
            corners, owner = shapely.get_coordinates(parts, return_index=True)
            odd = np.bincount(owner, ~np.isfinite(corners).all(axis=1), len(parts)) > 0
            if odd.any():
                report.left_out("areas have a corner that is no finite number", int(odd.sum()))
                parts = parts[~odd]
            broken = ~shapely.is_valid(parts)
            mended += int(broken.sum())
            parts = np.where(broken, shapely.make_valid(parts), parts) if broken.any() else parts
            while (shapely.get_type_id(parts) > 3).any():
                parts = shapely.get_parts(parts)
            found += list(parts[(shapely.get_type_id(parts) == 3) & ~shapely.is_empty(parts)])
    except Refused as error:
        raise InputError(f"{name} {error}.") from None
    if mended:
        report.fixed("areas crossed or touched themselves; all that they enclose counts", mended)
    return found, has_points, contents.report


def grid(demand: Demand, a_side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(lon, lat, tile row) of a_side x a_side equally spaced places in every tile, those outside the area left out.

    A tile that the area covers too thinly to hold one keeps its middle.
    """
    tile = np.repeat(np.arange(demand.tiles), a_side**2)
    lon, lat = (v.ravel() for v in points_in_tiles(demand.x, demand.y, a_side))
    outline = outline_of(demand.metadata.get("area"))
    if outline is not None:
        shapely.prepare(outline)
        inside = shapely.contains_xy(outline, lon, lat)
        bare = np.flatnonzero(np.bincount(tile[inside], minlength=demand.tiles) == 0)
        middle = tile_centre(demand.x[bare], demand.y[bare])
        lon, lat = np.concatenate([lon[inside], middle[0]]), np.concatenate([lat[inside], middle[1]])
        tile = np.concatenate([tile[inside], bare])
    return lon, lat, tile


def in_areas(lon: np.ndarray, lat: np.ndarray, areas: Sequence[shapely.Geometry]) -> np.ndarray:
    """(places,) bool."""
    inside = np.zeros(len(lon), bool)
    for area in areas:
        inside |= shapely.contains_xy(area, lon, lat)
    return inside
