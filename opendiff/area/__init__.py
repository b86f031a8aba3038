"""From a drawn outline to the zoom-15 tiles that cover it."""

from opendiff.area.any_area import AnyArea, tiles_and_area
from opendiff.area.area import Area, read_area, read_area_bytes
from opendiff.area.tiles import (
    MAX_TILES,
    Tiles,
    read_tiles,
    tile_frame,
    tile_index,
    tiles_bounds,
    tiles_covering,
    tiles_in_csv,
)

__all__ = [
    "MAX_TILES",
    "AnyArea",
    "Area",
    "Tiles",
    "read_area",
    "read_area_bytes",
    "read_tiles",
    "tile_frame",
    "tile_index",
    "tiles_and_area",
    "tiles_bounds",
    "tiles_covering",
    "tiles_in_csv",
]
