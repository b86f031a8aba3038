"""From a drawn outline to the zoom-15 tiles that cover it."""

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
    "Area",
    "Tiles",
    "read_area",
    "read_area_bytes",
    "read_tiles",
    "tile_frame",
    "tile_index",
    "tiles_bounds",
    "tiles_covering",
    "tiles_in_csv",
]
