"""The open data an area can be drawn over: the bundled region, or a pack on the server's machine."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from app.colours import LAND_COVER, NO_CLASS, rgb
from app.map.streets import Streets, bundled_names, streets_of, town_names
from app.server.cache import SharedCache, fingerprint
from app.state.inputs import is_bundled

MAX_MOSAIC_TILES = 1500  # reading more images than this would keep the page waiting
MOSAIC_PIXELS = 12
MAX_REGIONS = 8  # held by the server


@dataclass(frozen=True)
class Picture:
    """An image over the map: RGBA (height, width, 4) uint8, row 0 in the north; bounds W, S, E, N in degrees."""

    rgba: np.ndarray
    bounds: tuple[float, float, float, float]


@dataclass(frozen=True)
class Region:
    """What the map shows of a source: where it has data, its background and who is to be credited."""

    source: str
    name: str
    attribution: str
    x: np.ndarray
    y: np.ndarray
    outline: dict[str, Any]  # GeoJSON geometry around all tiles with data
    bounds: tuple[float, float, float, float]
    picture: Picture
    has_land_cover: bool
    notes: tuple[str, ...] = ()  # sentences on what could not be had
    streets: Streets = field(default_factory=Streets)

    @cached_property
    def identity(self) -> str:
        """A fingerprint of all that a map shows of it."""
        picture = self.picture
        return fingerprint(
            self.name, json.dumps(self.outline), self.bounds, picture.rgba, picture.bounds, self.streets.drawn
        )

    def tiles_with_data(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Which of the tiles x, y have data: (n,) bool."""
        own = self.x.astype(np.int64) << 20 | self.y
        return np.isin(np.asarray(x, np.int64) << 20 | np.asarray(y, np.int64), own)


def tile_picture(x: np.ndarray, y: np.ndarray, blocks: np.ndarray) -> Picture:
    """One image with the block (n, p, p, 4) uint8 of each tile at its place, transparent elsewhere."""
    from opendiff.area.tile_grid import tile_bounds

    pixels = blocks.shape[1]
    left, top = int(x.min()), int(y.min())
    columns, rows = int(x.max()) - left + 1, int(y.max()) - top + 1
    grid = np.zeros((rows, columns, pixels, pixels, 4), np.uint8)
    grid[y - top, x - left] = blocks
    rgba = grid.transpose(0, 2, 1, 3, 4).reshape(rows * pixels, columns * pixels, 4)
    west, _, _, north = tile_bounds(left, top)
    _, south, east, _ = tile_bounds(left + columns - 1, top + rows - 1)
    return Picture(rgba, (float(west), float(south), float(east), float(north)))


def bounds_of_tile(x: int, y: int) -> tuple[float, float, float, float]:
    """West, south, east, north of a tile in degrees."""
    from opendiff.area.tile_grid import tile_bounds

    west, south, east, north = tile_bounds(x, y)
    return float(west), float(south), float(east), float(north)


_regions: SharedCache[Region] = SharedCache(MAX_REGIONS, lambda region: 1)


def open_region(source: str) -> Region:
    """The region of `source`, a bundled one or the path of a pack (a folder or a zip file). Raises SourceError."""
    from opendiff.storage.cache_room import mark_used

    if is_bundled(source):
        return _regions.get(source, lambda: _demo_region(source))
    mark_used(Path(source))
    return _regions.get(f"{_state_of(Path(source))} {source}", lambda: _pack_region(source))


def _state_of(path: Path) -> str:
    """Changes when a pack grows by another fetch."""
    files = (path, path / "tiles.parquet", path / "pack.json", path / "base_map.geojson")
    try:
        return " ".join(str(file.stat().st_mtime_ns) for file in files if file.exists())
    except OSError:
        return ""


def _demo_region(source: str) -> Region:
    from opendiff.demo import DemoSource

    opened = DemoSource(source)
    context = opened.context()
    colours = {letter: (*rgb(colour), 255) for letter, (_, colour) in LAND_COVER.items()}
    other = (*rgb(NO_CLASS), 255)
    quarters = [[colours.get(letter, other) for letter in cover] for cover in context["land_cover"]]
    blocks = np.array(quarters, np.uint8).reshape(-1, 2, 2, 4)  # NW NE / SW SE
    names = bundled_names(source)
    return _region(source, "bundled region", opened.attribution, context, blocks, True, streets=names)


def _pack_region(path: str) -> Region:
    from opendiff.errors import SourceError
    from opendiff.open_data.base_map import read_base_map
    from opendiff.open_data.sources import IMAGE_SIZE, IMAGES_AT_ONCE, PackSource

    pack = PackSource(Path(path))
    tiles = pack.covered_tiles()
    blocks = np.empty((len(tiles), MOSAIC_PIXELS, MOSAIC_PIXELS, 4), np.uint8)
    blocks[:] = (*rgb(NO_CLASS), 255)
    if len(tiles) <= MAX_MOSAIC_TILES:
        step = IMAGE_SIZE // MOSAIC_PIXELS
        shape, size = (-1, MOSAIC_PIXELS, step, MOSAIC_PIXELS, step, 3), step * MOSAIC_PIXELS
        for start in range(0, len(tiles), IMAGES_AT_ONCE):
            images, there = pack.images(tiles.iloc[start : start + IMAGES_AT_ONCE])
            means = images[there, :size, :size].reshape(shape).mean(axis=(2, 4))
            blocks[start : start + IMAGES_AT_ONCE][there, ..., :3] = means
    if not len(tiles):
        raise SourceError(
            f"The pack {pack.name} knows nothing about any tile; fetch open data into it first."
        )
    notes: tuple[str, ...] = pack.notes
    streets: Streets | None = None
    try:
        found = read_base_map(pack.root)
        streets = None if found is None else streets_of(found)
        problem = pack.facts.get("base_map_problem")
        notes += (str(problem),) if problem else ()
    except SourceError as error:  # the pack is whole without it
        notes += (str(error),)
    return _region(path, pack.name, pack.attribution, tiles, blocks, False, notes, streets)


def _region(
    source: str,
    name: str,
    attribution: str,
    tiles: Any,
    blocks: np.ndarray,
    has_land_cover: bool,
    notes: tuple[str, ...] = (),
    streets: Streets | None = None,
) -> Region:
    import shapely

    x, y = tiles["x"].to_numpy(), tiles["y"].to_numpy()
    union = shapely.union_all(tiles.geometry.to_numpy(), grid_size=1e-7)
    west, south, east, north = (float(v) for v in union.bounds)
    return Region(
        source=source,
        name=name,
        attribution=attribution,
        x=x,
        y=y,
        outline=shapely.geometry.mapping(union),
        bounds=(west, south, east, north),
        picture=tile_picture(x, y, blocks),
        has_land_cover=has_land_cover,
        notes=notes,
        streets=streets or town_names((west, south, east, north)),
    )
