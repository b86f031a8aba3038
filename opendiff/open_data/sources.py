"""What is openly known about tiles: satellite imagery, POI counts and population, each with a mask of what is missing.

A pack is a folder, or a zip archive of one, with `tiles.parquet` (z, x, y, 14 columns poi_*, 12 columns pop_00..pop_11,
maybe fold), `imagery/15/{x}/{y}.png` (256 x 256), maybe `traffic.parquet` (x, y, hour 0..167, traffic, users), maybe
`osm_points.gpkg` (places of OpenStreetMap beside a map service's counts), maybe `base_map.geojson`, which only maps
show (`opendiff.open_data.base_map`), and maybe `pack.json`, which says whose data it is and in which units
(`opendiff.live.store`). `tiles.parquet` may lack the POI or the population columns, may state `residents` (people in
the tile) in the place of the strips, and may hold further layers (`opendiff.open_data.layers`); `extra.parquet` (x, y)
may hold the layers as well.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from opendiff.area import Tiles, tile_frame, tile_index
from opendiff.area.tile_grid import TILES_ACROSS, ZOOM, Bounds, tile_bounds, tile_centre
from opendiff.conditions import USUAL_RELIABILITY
from opendiff.errors import OutsideSource, SourceError
from opendiff.open_data.layers import column_beginnings, layer_columns, reliability, shown_columns
from opendiff.open_data.presence import read_presence
from opendiff.open_data.zipped_pack import unpacked
from opendiff.poi.categories import POI_CATEGORIES, PoiProvider
from opendiff.poi.osm_files import read_osm_places
from opendiff.poi.places import Places, count_places
from opendiff.poi.registration import PoiDatum
from opendiff.week import HOURS
from plannerbase.guard import guarded
from plannerbase.text import read_json

IMAGE_SIZE = 256
MAX_TILES = 50_000  # of a pack: some 50,000 km2
MAX_TEXT_BYTES = 1_000_000  # of pack.json and ATTRIBUTION.txt
IMAGES_AT_ONCE = 64
MAX_SHOWN = 200  # letters of a path in a message
IMAGE_FORMATS = ("PNG", "JPEG")  # tile servers send JPEG under names that end in .png
POPULATION_STRIPS = 12
OSM_EXTRACT = "osm_points.gpkg"  # places of OpenStreetMap that a pack may hold beside a map service's counts
EXTRA_TABLE = "extra.parquet"  # further layers by x, y
RESIDENTS = "residents"  # people in the tile, where a pack has no strips
T = TypeVar("T")
PopulationUnit = Literal["people", "relative"]
# People in a strip of relative population 1, which is the largest strip of the training pack. The pack does not say
# it, so it is assumed: its 344 tiles (395 km2 of central Nanchang without the old town) sum to 75.0 units; some 3.7
# million people live in the districts within 13.5 km of the centre (census of 2020), some 1.5 million of them on these
# tiles. 1.5e6 / 75.0 = 20,000, good to a factor of about 1.5. It puts the median tile at 1,300 people a km2 and the
# 95th percentile at 16,000. An error of this size matters little: the first weights, told 1.5 times as many people on
# the measured tiles, generate 1.5 % more traffic; told four times as many, 5 %.
PEOPLE_PER_RELATIVE_UNIT = 20_000.0
POI_COLUMNS = tuple(f"poi_{name}" for name in POI_CATEGORIES)
POPULATION_COLUMNS = tuple(f"pop_{strip:02d}" for strip in range(POPULATION_STRIPS))


@dataclass(frozen=True)
class OpenData:
    """Open data of `tiles`, row for row; where a mask is False the values are 0.

    imagery: (tiles, 256, 256, 3) uint8 RGB, north up (no row where it was not asked for); has_imagery: (tiles,) bool.
    poi: (tiles, 14) float32 counts of a map service in the order of POI_CATEGORIES; has_poi: (tiles,) bool. osm_poi,
    has_osm_poi: the same of OpenStreetMap, which lists far fewer places. population: (tiles, 12) float32, strips from
    north to south, relative units; has_population: (tiles,) bool. layers: each of LAYERS that the source has, (tiles,)
    float32, NaN where unknown. osm_places: places of OpenStreetMap of the whole source, where their positions are
    known. population_reliability: share of the variance of log residents that the source's other
    layers bear out, 0..1. notes: sentences on what could not be had.
    """

    tiles: Tiles
    imagery: np.ndarray
    has_imagery: np.ndarray
    poi: np.ndarray
    has_poi: np.ndarray
    osm_poi: np.ndarray
    has_osm_poi: np.ndarray
    population: np.ndarray
    has_population: np.ndarray
    attribution: str = ""
    notes: tuple[str, ...] = ()
    layers: Mapping[str, np.ndarray] = field(default_factory=dict)
    population_reliability: float = USUAL_RELIABILITY
    osm_places: Places | None = None


@dataclass(frozen=True)
class PackSource:
    """Open data in a folder (a pack) or a zip archive of one, which is unpacked into the cache. Nothing is read before
    it is asked for. All methods raise SourceError."""

    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        # not Path.is_file, which raises OSError for a name that is too long
        if os.path.isfile(self.root) and self.root.suffix.lower() == ".zip":
            object.__setattr__(self, "root", unpacked(self.root))
        if not os.path.isdir(self.root):
            name = str(self.root)
            shown = name if len(name) <= MAX_SHOWN else f"{name[:MAX_SHOWN]}..."
            raise SourceError(f"There is no pack at {shown}; name a folder that holds tiles.parquet.")

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def attribution(self) -> str:
        """The text of the pack's `ATTRIBUTION.txt`, where there is one."""
        path = self.root / "ATTRIBUTION.txt"
        if not path.is_file():
            return f"pack {self.name}"
        return _limited_text(path).decode("utf-8", "replace").strip()

    def all_tiles(self) -> Tiles:
        """Every tile that the pack lists, sorted by (x, y)."""
        return tile_frame(self._table.index.get_level_values("x"), self._table.index.get_level_values("y"))

    def covered_tiles(self) -> Tiles:
        """The tiles that have imagery, POI or population."""
        tiles = self.all_tiles()
        columns = [*POI_COLUMNS, *POPULATION_COLUMNS, *self._layer_columns.values()]
        known = self._rows(tiles)[columns].notna().any(axis=1).to_numpy()
        imaged = np.array(
            [image_path(self.root, x, y).is_file() for x, y in zip(tiles.x, tiles.y, strict=True)], bool
        )
        return tiles[known | imaged].reset_index(drop=True)

    def open_data(self, tiles: Tiles, imagery: bool = True) -> OpenData:
        """What the pack knows about `tiles`; one that it does not list has all masks False.

        Only the imagery of these tiles is read, and with `imagery=False` none (a halo needs POI and population only).
        An area that the pack does not touch at all is an error.
        """
        rows = self._listed_rows(tiles)
        poi, has_poi = _complete_rows(rows, POI_COLUMNS)
        population, has_population = _complete_rows(rows, POPULATION_COLUMNS)
        images = np.zeros((len(tiles) if imagery else 0, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
        has_imagery = np.zeros(len(tiles), bool)
        for start in range(0, len(images), IMAGES_AT_ONCE):
            part = slice(start, start + IMAGES_AT_ONCE)
            images[part], has_imagery[part] = self.images(tiles.iloc[part])
        if self.population_unit == "people":
            population = population / np.float32(PEOPLE_PER_RELATIVE_UNIT)
        osm_poi, has_osm_poi = self._osm_poi(tiles)
        if self.poi_provider == "osm":  # then the columns of the table are OpenStreetMap's counts
            osm_poi, has_osm_poi, poi, has_poi = poi, has_poi, np.zeros_like(poi), np.zeros_like(has_poi)
        layers = {
            name: rows[column].to_numpy(np.float32, na_value=np.nan)
            for name, column in self._layer_columns.items()
        }
        return OpenData(
            tiles=tiles, imagery=images, has_imagery=has_imagery, poi=poi, has_poi=has_poi, osm_poi=osm_poi,
            has_osm_poi=has_osm_poi, population=population, has_population=has_population,
            attribution=self.attribution, notes=self.notes, layers=layers,
            population_reliability=self.population_reliability, osm_places=self.osm_places(),
        )  # fmt: skip

    def images(self, tiles: Tiles) -> tuple[np.ndarray, np.ndarray]:
        """Imagery (tiles, 256, 256, 3) uint8 of a few tiles, 0 where there is none, and the mask (tiles,)."""
        paths = [image_path(self.root, x, y) for x, y in zip(tiles["x"], tiles["y"], strict=True)]
        there = np.array([path.is_file() for path in paths], bool)
        images = np.zeros((len(paths), IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
        if there.any():
            images[there] = _read_images(
                [path for path, is_there in zip(paths, there, strict=True) if is_there]
            )
        return images, there

    @cached_property
    def population_reliability(self) -> float:
        """Share of the variance of log residents that the pack's other layers bear out; see `reliability`."""
        if (
            "modalities" in self.facts
        ):  # fetched, and growing: an area must not depend on what else was fetched
            return USUAL_RELIABILITY
        table = self._table
        residents = table[list(POPULATION_COLUMNS)].sum(axis=1, skipna=False).to_numpy(float)
        if self.population_unit == "relative":
            residents = residents * PEOPLE_PER_RELATIVE_UNIT
        others = {"poi": table[list(POI_COLUMNS)].sum(axis=1, skipna=False)}
        columns = self._layer_columns
        others |= {name: table[columns[name]] for name in ("lights", "osm_nodes") if name in columns}
        return reliability(residents, {name: values.to_numpy(float) for name, values in others.items()})

    @property
    def _layer_columns(self) -> dict[str, str]:
        """Column of each of LAYERS that the pack has."""
        return layer_columns(self._table.columns)

    def shown_layers(self, tiles: Tiles) -> dict[str, np.ndarray]:
        """Each of SHOWN_LAYERS that the pack has, (tiles,) float32, NaN where unknown; no model is told of them."""
        rows = self._rows(tiles)
        columns = shown_columns(self._table.columns)
        return {name: rows[column].to_numpy(np.float32, na_value=np.nan) for name, column in columns.items()}

    def folds(self, tiles: Tiles) -> np.ndarray:
        """The cross-validation fold of each tile, int64, -1 where the pack does not list it."""
        if "fold" not in self._table:
            raise SourceError(
                f"{self.root / 'tiles.parquet'} has no column fold; cross-validation needs one."
            )
        return self._rows(tiles)["fold"].fillna(-1).to_numpy(np.int64)

    def traffic(self, tiles: Tiles) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Measured traffic and users, each (tiles, 168) float32 in relative units and NaN where unknown, and the
        mask (tiles,) of the tiles that have them. A pack without traffic has all False."""
        traffic = np.full((len(tiles), HOURS), np.nan, np.float32)
        users = traffic.copy()
        path = self.root / "traffic.parquet"
        if not path.exists():
            return traffic, users, np.zeros(len(tiles), bool)
        table = _read_parquet(path, ["x", "y", "hour", "traffic", "users"], HOURS * MAX_TILES)
        row = tile_index(tiles).get_indexer(pd.MultiIndex.from_frame(table[["x", "y"]]))
        hour = table["hour"].to_numpy()
        values = table[["traffic", "users"]].to_numpy(np.float32)
        if not (np.isfinite(values) & (values >= 0)).all() or not np.isin(hour, np.arange(HOURS)).all():
            raise SourceError(
                f"{path} has a traffic that is not a number of at least 0 or an hour outside 0..167."
            )
        if table.duplicated(["x", "y", "hour"]).any():
            raise SourceError(f"{path} lists an hour of a tile twice; keep one row for each x, y, hour.")
        hour, wanted = hour.astype(np.int64), row >= 0
        traffic[row[wanted], hour[wanted]] = values[wanted, 0]
        users[row[wanted], hour[wanted]] = values[wanted, 1]
        present = np.isfinite(traffic)
        has_traffic = np.asarray(present.all(axis=1))
        if (present.any(axis=1) & ~has_traffic).any():
            x, y = tiles[["x", "y"]].to_numpy()[np.argmax(present.any(axis=1) & ~has_traffic)]
            raise SourceError(f"{path} lacks hours of tile {x},{y}; every tile needs all {HOURS} hours.")
        return traffic, users, has_traffic

    def presence(self, tiles: Tiles) -> np.ndarray:
        """People present, (tiles, 168) float32; see `opendiff.open_data.presence.read_presence`."""
        return read_presence(self.root / "presence.parquet", tiles)

    @property
    def poi_datum(self) -> PoiDatum:
        """The datum POI were counted in: as `pack.json` says; a pack without one that lies in mainland China holds a
        map service's counts, and those services publish in GCJ-02 by law."""
        return self._stated("poi_datum", get_args(PoiDatum), "WGS-84" if self.facts else "GCJ-02")

    @property
    def poi_provider(self) -> PoiProvider:
        """Whose counts POI are, as `pack.json` says; without it a map service's, as those of the training pack."""
        return self._stated("poi_provider", get_args(PoiProvider), "map-service")

    @property
    def population_unit(self) -> PopulationUnit:
        """What population is stored in; `open_data` gives relative units always. A column `residents` counts people."""
        if self._table.attrs.get(RESIDENTS):
            return "people"
        return self._stated("population_unit", get_args(PopulationUnit), "relative")

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what could not be had when the pack was made."""
        modalities = self.facts.get("modalities")
        stated = modalities.values() if isinstance(modalities, dict) else ()
        return tuple(str(one["problem"]) for one in stated if isinstance(one, dict) and one.get("problem"))

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The content of `pack.json`, empty where there is none."""
        path = self.root / "pack.json"
        return _read_facts(path) if path.is_file() else {}

    def _stated(self, name: str, allowed: tuple[T, ...], otherwise: T) -> T:
        """What `pack.json` says under a name, which must be one of `allowed`. Raises SourceError."""
        value = self.facts.get(name, otherwise)
        if value not in allowed:
            what, known = name.rpartition("_")[2], ", ".join(map(str, allowed))
            raise SourceError(
                f"{self.root / 'pack.json'} names the {what} {value!r}; it must be one of {known}."
            )
        return value

    @cached_property
    def _table(self) -> pd.DataFrame:
        """The content of `tiles.parquet` by (x, y), checked. Raises SourceError."""
        path = self.root / "tiles.parquet"
        table = _read_pack_table(path)
        extra = self.root / EXTRA_TABLE
        if extra.is_file():
            further = _read_parquet(extra, ["x", "y"], MAX_TILES, layers=True)
            if further.duplicated(["x", "y"]).any():
                raise SourceError(f"{extra} lists a tile twice; keep one row for each x, y.")
            attributes = table.attrs
            before = table.drop(
                columns=[name for name in further if name in table and name not in ("x", "y")]
            )
            table = before.merge(further, on=["x", "y"], how="left")
            table.attrs = attributes
        if table.empty:
            raise SourceError(f"{path} lists no tile; an offline data package needs at least one.")
        if not (table["z"] == ZOOM).all():
            raise SourceError(f"{path} has tiles of another zoom than {ZOOM}; make the pack at zoom {ZOOM}.")
        if not ((table[["x", "y"]] >= 0) & (table[["x", "y"]] < TILES_ACROSS)).all(axis=None):
            raise SourceError(f"{path} has tile numbers outside 0..{TILES_ACROSS - 1}; make the pack again.")
        if table.duplicated(["x", "y"]).any():
            raise SourceError(f"{path} lists a tile twice; keep one row for each x, y.")
        layers = layer_columns(table.columns).values()
        if (table[[*POI_COLUMNS, *POPULATION_COLUMNS, *layers]] < 0).any(axis=None):
            raise SourceError(f"{path} has a negative POI count, population or layer; correct it.")
        return table.set_index(["x", "y"]).sort_index()

    def _rows(self, tiles: Tiles) -> pd.DataFrame:
        """The rows of the table for tiles, in their order, empty where it does not list one."""
        return self._table.reindex(tile_index(tiles))

    def _osm_poi(self, tiles: Tiles) -> tuple[np.ndarray, np.ndarray]:
        """Counts of OSM_EXTRACT (tiles, 14) float32, and the mask (tiles,) of the listed tiles that it covers."""
        if self._osm_places is None:
            return np.zeros((len(tiles), len(POI_CATEGORIES)), np.float32), np.zeros(len(tiles), bool)
        places, (west, south, east, north) = self._osm_places
        lon, lat = tile_centre(tiles["x"].to_numpy(), tiles["y"].to_numpy())
        listed = self._rows(tiles)["z"].notna().to_numpy()
        covered = listed & (lon > west) & (lon < east) & (lat > south) & (lat < north)
        return np.where(covered[:, None], count_places(places, tiles), 0).astype(np.float32), covered

    def osm_places(self) -> Places | None:
        """Places of the pack's OpenStreetMap extract, None where it has none."""
        return self._osm_places[0] if self._osm_places is not None else None

    @cached_property
    def _osm_places(self) -> tuple[Places, Bounds] | None:
        """Places of OSM_EXTRACT, and the box W, S, E, N around them; None where the pack has none."""
        path = self.root / OSM_EXTRACT
        if not path.is_file():
            return None
        places = read_osm_places(path, (-180.0, -90.0, 180.0, 90.0))
        if not len(places.lon):
            return None
        return places, (places.lon.min(), places.lat.min(), places.lon.max(), places.lat.max())

    def _listed_rows(self, tiles: Tiles) -> pd.DataFrame:
        """As `_rows`. Raises OutsideSource where it lists none."""
        rows = self._rows(tiles)
        if len(tiles) and rows["z"].notna().any():
            return rows
        x, y = (self._table.index.get_level_values(axis) for axis in ("x", "y"))
        west, _, _, north = tile_bounds(x.min(), y.min())
        _, south, east, _ = tile_bounds(x.max(), y.max())
        raise OutsideSource(
            f"The area has no tile in the pack {self.name}, which covers {west:.3f},{south:.3f},{east:.3f},{north:.3f} "
            "(W,S,E,N); draw inside it or choose another source."
        )


def image_path(root: Path, x: int, y: int) -> Path:
    """Where a pack keeps the image of a tile."""
    return root / "imagery" / str(ZOOM) / str(int(x)) / f"{int(y)}.png"


def read_image(path: Path) -> np.ndarray:
    """A 256 x 256 RGB image, uint8. The size in its heading is checked before it is decoded. Raises SourceError."""
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            if image.size != (IMAGE_SIZE, IMAGE_SIZE):
                width, height = image.size
                raise SourceError(
                    f"{path} is {width} x {height} pixels; tiles are {IMAGE_SIZE} x {IMAGE_SIZE}."
                )
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise SourceError(f"The image {path} is damaged ({error}); fetch it again or delete it.") from None


def _limited_text(path: Path) -> bytes:
    """The content of a small file. Raises SourceError and OSError."""
    with path.open("rb") as file:
        text = file.read(MAX_TEXT_BYTES + 1)
    if len(text) > MAX_TEXT_BYTES:
        raise SourceError(f"{path} is larger than {MAX_TEXT_BYTES // 10**6} MB; make the pack again.")
    return text


@guarded(SourceError)
def _read_facts(path: Path) -> dict[str, Any]:
    try:
        facts = read_json(_limited_text(path).decode("utf-8"))
        if not isinstance(facts, dict):
            raise ValueError("it is no object")
    except (ValueError, OSError) as error:
        raise SourceError(f"{path} cannot be read ({error}); make the pack again.") from None
    return facts


def _as_images(plain: Any) -> np.ndarray:
    images = np.asarray(plain)
    if images.dtype != np.uint8 or images.shape[1:] != (IMAGE_SIZE, IMAGE_SIZE, 3):
        raise TypeError("no images")
    return images


@guarded(SourceError, unpack=_as_images)
def _read_images(paths: list[Path]) -> np.ndarray:
    return np.stack([read_image(path) for path in paths])


def _read_pack_table(path: Path) -> pd.DataFrame:
    """`tiles.parquet` with all columns of POI and population, NaN where the file has none of them. Raises
    SourceError."""
    optional = ("z", "fold", RESIDENTS, *POI_COLUMNS, *POPULATION_COLUMNS)
    table = _read_parquet(path, ["x", "y"], MAX_TILES, optional=optional, layers=True)
    if "z" not in table:
        table["z"] = ZOOM
    has_residents = RESIDENTS in table and not any(name in table for name in POPULATION_COLUMNS)
    if has_residents:
        for name in POPULATION_COLUMNS:
            table[name] = table[RESIDENTS] / POPULATION_STRIPS
    for columns in (POI_COLUMNS, POPULATION_COLUMNS):
        missing = [name for name in columns if name not in table]
        if missing and len(missing) < len(columns):
            every = ", ".join(columns)
            raise SourceError(f"{path} lacks the column {missing[0]}; a pack needs all of {every}, or none.")
        if missing:
            table = table.assign(**dict.fromkeys(columns, np.nan))
    table.attrs[RESIDENTS] = has_residents
    return table


@guarded(SourceError)
def _read_parquet(
    path: Path, columns: list[str], most_rows: int, optional: tuple[str, ...] = (), layers: bool = False
) -> pd.DataFrame:
    """Columns of a Parquet file, all numeric, and those of `optional` that it has (with `layers` those of further
    layers as well). Raises SourceError, by what the file says of itself before it is unpacked where it has more than
    `most_rows`."""
    try:
        told = pq.read_metadata(path)
        if told.num_rows > most_rows:
            raise SourceError(
                f"{path} has {told.num_rows:,} rows and the limit is {most_rows:,}; make a pack of a smaller area."
            )
        names = told.schema.to_arrow_schema().names
        if missing := [column for column in columns if column not in names]:
            raise SourceError(f"{path} lacks the column {missing[0]}; a pack needs {', '.join(columns)}.")
        begins = column_beginnings() if layers else ()
        further = [
            name for name in names if (name in optional or name.startswith(begins)) and name not in columns
        ]
        table = pq.read_table(path, columns=columns + further)
    except FileNotFoundError:
        raise SourceError(
            f"The pack has no {path}; name a folder that holds tiles.parquet and imagery."
        ) from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read ({error}); fetch the pack again.") from None
    frame = table.replace_schema_metadata(None).to_pandas()  # the metadata is pandas's, and may be damaged
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes):
        raise SourceError(f"{path} has a column that is not numeric; make the pack again.")
    halves = {column: np.float32 for column in frame if frame[column].dtype == np.float16}
    return frame.astype(halves)  # pandas knows no index of half floats


def _complete_rows(rows: pd.DataFrame, columns: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Values (tiles, columns) float32 and the mask of rows without a gap; rows with a gap are 0."""
    values = rows[list(columns)].astype("Float64").to_numpy(np.float32, na_value=np.nan)
    complete = np.isfinite(values).all(axis=1)
    return np.where(complete[:, None], values, 0).astype(np.float32), complete
