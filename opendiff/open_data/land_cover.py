"""Coarse land cover of a tile's four quarters, read off its image: orientation on a map, not a measurement."""

from __future__ import annotations

import numpy as np

BLOCK_PIXELS = 16  # side, about 70 m at zoom 15
WATER_CONTRAST = 6.0  # grey levels (0-255): calm water is smoother than anything else seen from above
BUILT_CONTRAST = 21.0  # roofs, shadows and streets alternate within a block
VIVID_GREEN = 12.0  # green above the mean of red and blue, grey levels
BRIGHT_RED = 170  # grey levels of red, above which a smooth block is not taken for water
WATER_SHARE, BUILT_SHARE = 0.5, 0.4  # of its blocks that make a quarter water or built


def land_cover(images: np.ndarray) -> np.ndarray:
    """Four letters a tile for its quarters NW, NE, SW, SE: w water, g green or open land, b built.

    images: (tiles, 256, 256, 3) uint8. Returns (tiles,) of dtype U4.
    """
    water, built = _classes(images)
    water_share, built_share = _quarters(water), _quarters(built)
    letters = np.where(water_share >= WATER_SHARE, "w", np.where(built_share >= BUILT_SHARE, "b", "g"))
    return np.array(["".join(row) for row in letters.reshape(len(images), 4)], dtype="U4")


def built_blocks(images: np.ndarray, cells: int) -> np.ndarray:
    """Share of built-up blocks in each of cells x cells parts of a tile, (tiles, cells, cells); cells divides 16."""
    built = _classes(images)[1]
    tiles, rows, columns = built.shape
    return built.reshape(tiles, cells, rows // cells, cells, columns // cells).mean(axis=(2, 4))


def _classes(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which blocks are water and which built-up, (tiles, 16, 16) bool each."""
    tiles, height, width, _ = images.shape
    blocks = images.reshape(
        tiles, height // BLOCK_PIXELS, BLOCK_PIXELS, width // BLOCK_PIXELS, BLOCK_PIXELS, 3
    ).astype(np.float32)
    contrast = blocks.mean(-1).std(axis=(2, 4))
    red, green, blue = np.moveaxis(blocks.mean(axis=(2, 4)), -1, 0)
    vivid = green - (red + blue) / 2
    water = (contrast < WATER_CONTRAST) & (red < BRIGHT_RED)
    return water, (contrast > BUILT_CONTRAST) & (vivid < VIVID_GREEN)


def _quarters(mask: np.ndarray) -> np.ndarray:
    """Share of True in each quarter, (tiles, 2, 2) from (tiles, rows, columns)."""
    tiles, rows, columns = mask.shape
    return mask.reshape(tiles, 2, rows // 2, 2, columns // 2).mean(axis=(2, 4))
