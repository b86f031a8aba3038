"""How much of each unit square of a grid a polygon covers, exactly and without one overlay a square.

As in anti-aliased drawing of outlines: each side of the polygon is split where it crosses the grid. A piece that rises
by dy in a square covers dy times the part of that square right of it, and dy of every square further right in its row;
sums over a closed outline leave the covered area of each square. The work is proportional to the squares that the
outline crosses and those it encloses, whatever the number of its corners.
"""

import numpy as np
import shapely

MAX_PIECES = 5_000_000  # of the sides of an outline


def crossings(outline: shapely.Geometry) -> int:
    """Into how many pieces, about, the grid splits the sides of the outline."""
    _, start, end = _sides(outline)
    return int(np.abs(np.floor(end) - np.floor(start)).sum()) + len(start)


def unit_square_shares(
    outline: shapely.Polygon | shapely.MultiPolygon, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | int:
    """Corner x, y (int64) of the unit squares that a valid outline covers and their covered shares (0..1).

    Shares may be off by some 1e-12; squares that are only touched may come with such a share. When there are more than
    `most` squares, only their number is returned and nothing is built.
    """
    origin, start, end = _sides(outline)
    column, row, rise, right = _pieces(start, end)
    order = np.lexsort((column, row))
    column, row, rise, right = (v[order] for v in (column, row, rise, right))
    first = np.flatnonzero(np.concatenate([[True], (np.diff(column) != 0) | (np.diff(row) != 0)]))
    column, row = column[first], row[first]
    rise, right = np.add.reduceat(rise, first), np.add.reduceat(right, first)
    # the rise of a closed outline sums to zero in each row, so one running sum serves all rows
    passed = np.cumsum(rise)
    share = np.abs(passed - rise + right)
    gap = np.where(np.diff(row, append=row[-1] + 1) == 0, np.diff(column, append=0) - 1, 0)
    gap[np.abs(passed) < 0.5] = 0  # between crossed squares all are enclosed or none
    if len(column) + gap.sum() > most:
        return int(len(column) + gap.sum())
    within = np.arange(gap.sum()) - np.repeat(np.cumsum(gap) - gap, gap)
    column = np.concatenate([column, np.repeat(column, gap) + 1 + within])
    row = np.concatenate([row, np.repeat(row, gap)])
    share = np.concatenate([share, np.ones(gap.sum())])
    return column + origin[0], row + origin[1], np.minimum(share, 1)


def _sides(outline: shapely.Geometry) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Integer origin (2,) and both ends (sides, 2) of all sides, relative to it; shells and holes turn oppositely."""
    rings = shapely.get_rings(shapely.orient_polygons(shapely.get_parts(outline)))
    corners, ring = shapely.get_coordinates(rings, return_index=True)
    origin = np.floor(corners.min(axis=0))
    corners = corners - origin
    side = ring[1:] == ring[:-1]
    return origin.astype(np.int64), corners[:-1][side], corners[1:][side]


def _pieces(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Column, row, rise and rise times the part of the square to the right, of the pieces of all sides."""
    sides, places = [np.arange(len(start))] * 2, [np.zeros(len(start)), np.ones(len(start))]
    for axis in (0, 1):
        low, high = np.floor(np.minimum(start, end)[:, axis]), np.floor(np.maximum(start, end)[:, axis])
        lines = (high - low).astype(np.int64)  # grid lines low + 1 ... high
        crossed = np.repeat(np.arange(len(start)), lines)
        number = np.arange(lines.sum()) - np.repeat(np.cumsum(lines) - lines, lines)
        line = low[crossed] + 1 + number
        sides.append(crossed)
        places.append((line - start[crossed, axis]) / (end - start)[crossed, axis])
    side, at = np.concatenate(sides), np.clip(np.concatenate(places), 0, 1)
    order = np.lexsort((at, side))
    side, at = side[order], at[order]
    point = start[side] + at[:, None] * (end - start)[side]
    point[at == 1] = end[side[at == 1]]
    same = side[1:] == side[:-1]
    begin, finish = point[:-1][same], point[1:][same]
    middle = (begin + finish) / 2
    square = np.floor(middle)
    rise = finish[:, 1] - begin[:, 1]
    return *square.astype(np.int64).T, rise, rise * (1 - (middle[:, 0] - square[:, 0]))
