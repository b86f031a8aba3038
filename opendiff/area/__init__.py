"""From a drawn outline to the zoom-15 tiles that cover it."""

from opendiff.area.area import (
    MAX_TILES,
    Area,
    Tiles,
    read_area,
    read_area_bytes,
    read_tiles,
    tile_frame,
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
    "tiles_covering",
    "tiles_in_csv",
]
