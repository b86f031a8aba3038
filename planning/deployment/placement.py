"""Where inside a tile the sites go. Pure geometry, always the same for the same input.

Rule: n sites of a tile stand on a lattice of round(sqrt(n)) rows, each row equally spaced, mirrored so that the
pattern is centred. Where the area covers the tile only in part and its outline is known, a site whose lattice point
lies outside moves to the nearest free point of a 16 x 16 grid that lies inside.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import ArrayLike
from shapely.geometry import shape

from planning.geometry import GeoJson, tile_corner

_GRID = 16  # points along the side of a tile


def lattice(n: int) -> np.ndarray:
    """(n, 2) points in the unit square, x east and y south."""
    if n == 0:
        return np.zeros((0, 2))
    rows = max(1, round(n**0.5))
    sizes = [n // rows + (r < n % rows) for r in range(rows)]
    points = [((i + 0.5) / size, (r + 0.5) / rows) for r, size in enumerate(sizes) for i in range(size)]
    return np.array(points)


def place(
    x: ArrayLike, y: ArrayLike, counts: ArrayLike, area: GeoJson | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(lon, lat, tile row) of every site; counts: (tiles,) sites per tile; area: GeoJSON geometry or None."""
    counts = np.asarray(counts, int)
    used = np.flatnonzero(counts)
    if not len(used):
        return np.zeros(0), np.zeros(0), np.zeros(0, int)
    tile = np.repeat(used, counts[used])
    unit = np.concatenate([lattice(counts[t]) for t in used])
    outline = outline_of(area)
    if outline is not None:
        shapely.prepare(outline)
        inside = _inside(outline, np.asarray(x)[tile], np.asarray(y)[tile], unit)
        for t in np.unique(tile[~inside]):
            mine = np.flatnonzero(tile == t)
            unit[mine] = _moved(
                outline, int(np.asarray(x)[t]), int(np.asarray(y)[t]), unit[mine], inside[mine]
            )
    lon, lat = tile_corner(np.asarray(x)[tile] + unit[:, 0], np.asarray(y)[tile] + unit[:, 1])
    return lon, lat, tile


def outline_of(area: GeoJson | None) -> shapely.Geometry | None:
    """The area as a valid geometry in degrees; None where it is not known."""
    if not area:
        return None
    try:
        geometry = shape(area.get("geometry", area))
    except (AttributeError, KeyError, TypeError, ValueError, shapely.errors.ShapelyError):
        return None  # metadata of a foreign file: the tiles themselves still say where the area is
    return geometry if geometry.is_valid and not geometry.is_empty and geometry.area > 0 else None


def _inside(outline: shapely.Geometry, x: ArrayLike, y: ArrayLike, unit: np.ndarray) -> np.ndarray:
    return shapely.contains_xy(outline, *tile_corner(x + unit[:, 0], y + unit[:, 1]))


def _moved(outline: shapely.Geometry, x: int, y: int, unit: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(n, 2) points in the unit square, those outside the outline moved to free points of the grid inside it."""
    step = (np.arange(_GRID) + 0.5) / _GRID
    grid = np.stack(np.meshgrid(step, step, indexing="ij"), axis=-1).reshape(-1, 2)
    grid = grid[_inside(outline, np.full(len(grid), x), np.full(len(grid), y), grid)]
    if not len(grid):
        return unit  # a sliver thinner than the grid: the lattice point is as good as any
    out = unit.copy()
    free = np.ones(len(grid), bool)
    for i in np.flatnonzero(~inside):
        if not free.any():
            free[:] = True
        distance = np.where(free, ((grid - unit[i]) ** 2).sum(axis=1), np.inf)
        nearest = int(distance.argmin())
        out[i] = grid[nearest]
        free[nearest] = False
    return out
