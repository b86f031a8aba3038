"""Cells' traffic as tiles' by the area that each cell serves, where only places and directions of cells are known.

Each tile is spread over 8 x 8 points, and a point belongs to the nearest antenna, taken a little in front of its site
in the direction of its azimuth. Cells of one site and direction (its carriers) serve the same ground together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plannerbase.numbers import without_zeros
from plannerbase.report import Report
from plannerbase.tile_grid import TILES_ACROSS, tile_corner, tile_position

POINTS = 8  # a side of a tile
AHEAD = 0.25  # of the distance to the nearest other site: how far in front of its site an antenna counts
MAX_AHEAD_M, DEFAULT_AHEAD_M = 300.0, 150.0
SAME_DIRECTION_DEG = 15.0
REACH = (
    2.0  # distances between neighbouring sites: ground farther from all antennas is served by none of them
)
MIN_REACH_M, MAX_REACH_M = 800.0, 6_000.0
MIN_KNOWN = 0.6  # share of a tile's ground whose cells were measured, for the tile to count as measured
M_PER_DEGREE = 111_320.0


@dataclass(frozen=True)
class CellPlaces:
    """name: (cells,) text. lon, lat: (cells,) degrees. azimuth: (cells,) degrees, NaN for all directions. others:
    further columns of the network file, name -> (cells,) text, by which counters may name a cell."""

    name: tuple[str, ...]
    lon: np.ndarray
    lat: np.ndarray
    azimuth: np.ndarray
    others: dict[str, tuple[str, ...]]

    def rows_of(self, names: tuple[str, ...]) -> tuple[np.ndarray, str]:
        """(names,) row of each cell, -1 where the network has none, by the column that knows most of them; and its
        name. A name that several cells have is none of them; numbers are found with and without the zeros before
        them, which spreadsheets drop."""
        best, column = np.full(len(names), -1, np.int64), ""
        for key_of in (_key, _number_key):
            for title, texts in {"the name of the cell": self.name, **self.others}.items():
                table: dict[str, int] = {}
                for row, text in enumerate(texts):
                    key = key_of(text)
                    table[key] = -1 if key in table else row
                found = np.array([table.get(key_of(n), -1) for n in names], np.int64)
                if (found >= 0).sum() > (best >= 0).sum():
                    best, column = found, title
            if (best >= 0).all():
                break
        return best, column


def _key(text: str) -> str:
    return " ".join(str(text).split()).casefold()


def _number_key(text: str) -> str:
    return without_zeros(_key(text))


@dataclass(frozen=True)
class Served:
    """How much of a group's ground lies in each tile: triples group, tile, points, of all ground in reach.

    group: (cells,) number of the group of each cell. x, y: (tiles,).
    """

    group: np.ndarray
    x: np.ndarray
    y: np.ndarray
    of_group: np.ndarray
    of_tile: np.ndarray
    points: np.ndarray


def served_area(places: CellPlaces) -> Served:
    """The ground of each group of cells, on all tiles in reach of any."""
    from scipy.spatial import cKDTree

    centre = float(np.mean(places.lat))
    east = places.lon * M_PER_DEGREE * np.cos(np.radians(centre))
    north = places.lat * M_PER_DEGREE
    sites, site = np.unique(np.round(np.column_stack([east, north]), 0), axis=0, return_inverse=True)
    site = site.reshape(-1)
    spacing = np.full(len(sites), DEFAULT_AHEAD_M / AHEAD)
    if len(sites) > 1:
        spacing = cKDTree(sites).query(sites, k=2)[0][:, 1]
    ahead = np.minimum(AHEAD * spacing, MAX_AHEAD_M)
    turn = np.nan_to_num(places.azimuth % 360.0)
    omni = ~np.isfinite(places.azimuth)
    step = np.round(turn / SAME_DIRECTION_DEG).astype(np.int64) % round(360 / SAME_DIRECTION_DEG)
    key = site * 100 + np.where(omni, 99, step)
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    far = np.where(omni[first], 0.0, ahead[site[first]])
    antenna = sites[site[first]] + far[:, None] * np.column_stack(
        [np.sin(np.radians(turn[first])), np.cos(np.radians(turn[first]))]
    )
    reach = float(np.clip(REACH * np.median(spacing), MIN_REACH_M, MAX_REACH_M))
    x, y = _tiles_around(places.lon, places.lat, reach)
    inside = (np.arange(POINTS) + 0.5) / POINTS
    at_x = (x[:, None, None] + inside[None, :, None] + 0 * inside[None, None, :]).reshape(len(x), -1)
    at_y = (y[:, None, None] + 0 * inside[None, :, None] + inside[None, None, :]).reshape(len(x), -1)
    lon, lat = tile_corner(at_x, at_y)
    ground = np.column_stack(
        [(lon * M_PER_DEGREE * np.cos(np.radians(centre))).ravel(), (lat * M_PER_DEGREE).ravel()]
    )
    distance, nearest = cKDTree(antenna).query(ground)
    served = distance <= reach
    tile = np.repeat(np.arange(len(x)), POINTS**2)
    pair, points = np.unique(nearest[served] * np.int64(len(x)) + tile[served], return_counts=True)
    return Served(group, x, y, pair // len(x), pair % len(x), points)


def _tiles_around(lon: np.ndarray, lat: np.ndarray, reach_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Tiles within reach of a place."""
    x, y = (np.floor(at).astype(np.int64) for at in tile_position(lon, lat))
    side_m = 40_075_016.0 / TILES_ACROSS * float(np.cos(np.radians(np.mean(lat))))
    steps = np.arange(-int(np.ceil(reach_m / side_m)), int(np.ceil(reach_m / side_m)) + 1)
    dx, dy = (s.ravel() for s in np.meshgrid(steps, steps))
    every = np.unique(
        np.column_stack([(x[:, None] + dx).ravel(), (y[:, None] + dy).ravel()]).clip(0, TILES_ACROSS - 1),
        axis=0,
    )
    return every[:, 0], every[:, 1]


def tiles_of_cells(
    places: CellPlaces, rows: np.ndarray, values: np.ndarray, report: Report | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y (tiles,) and the values (tiles, hours) of tiles of which most ground is served by measured cells.

    Parameters
    ----------
    rows : (measured,) row in `places` of each measured cell.
    values : (measured, hours), such as Mbit/s, NaN where a cell was not measured.
    """
    report = report if report is not None else Report()
    served = served_area(places)
    groups = int(served.group.max()) + 1
    known = np.isfinite(values).all(axis=1)
    mine = served.group[rows[known]]
    total = np.zeros((groups, values.shape[1]))
    np.add.at(total, mine, values[known])
    measured = np.bincount(mine, minlength=groups)
    cells = np.bincount(served.group, minlength=groups)
    part = (measured > 0) & (measured < cells)
    if part.any():
        report.assumed(
            "directions of sites have carriers that were not measured: they carry as much as the measured ones",
            int(part.sum()),
        )
    total *= np.where(measured > 0, cells / np.maximum(measured, 1), 0)[:, None]
    ground = np.bincount(served.of_group, served.points, groups)
    share = served.points / ground[served.of_group]
    told = measured[served.of_group] > 0
    tiles = len(served.x)
    found = np.zeros((tiles, values.shape[1]))
    np.add.at(found, served.of_tile[told], share[told, None] * total[served.of_group[told]])
    covered = np.bincount(served.of_tile[told], served.points[told], tiles) / POINTS**2
    whole = covered >= MIN_KNOWN
    if (~whole & (covered > 0)).any():
        report.left_out(
            f"tiles left out: less than {MIN_KNOWN:.0%} of their ground is served by measured cells",
            int((~whole & (covered > 0)).sum()),
        )
    lost = ground == 0
    if (lost & (measured > 0)).any():
        report.left_out(
            "directions of sites serve no ground of their own", int((lost & (measured > 0)).sum())
        )
    return served.x[whole], served.y[whole], found[whole] / covered[whole, None]
