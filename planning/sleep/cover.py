"""Coverage that a plan has to keep: sets of cells of which one must be awake, from the pixels that they reach.

A pixel is covered while a cell that reaches it above the threshold of its band is awake. Pixels reached by the same
groups of cells are one row. Pixels with a cell that never sleeps need no row; pixels that only one group reaches make
that group stay awake.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from planning.coverage.levels import Levels
from planning.coverage.pixels import PixelGrid
from planning.energy import CellGroups
from planning.power_states import MUTED_LOSS_DB

ALWAYS, NEVER = -1, -2  # rows of pixels that a cell covers that never sleeps, and of those that none covers
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Cover:
    """What has to stay covered.

    Attributes
    ----------
    sets : (rows, groups) 0/1
        Groups of which one awake part covers the row.
    area_km2 : (rows,) float
    traffic : (rows,) float
        Share of the network's mean traffic on the row.
    covered_km2 : float
        Ground that is covered with everything on.
    binding : (n,) int
        Rows that imply all others where no hole is allowed; else all of them.
    max_hole_share : float
        Share of `covered_km2` that a plan may leave uncovered in an hour.
    pixel_row : (pixels,) int or None
        Row of each pixel, ALWAYS or NEVER.
    """

    sets: sparse.csr_array
    area_km2: np.ndarray
    traffic: np.ndarray
    covered_km2: float
    binding: np.ndarray
    max_hole_share: float = 0.0
    pixel_row: np.ndarray | None = None

    @classmethod
    def none(cls, groups: int) -> Cover:
        """Nothing has to be kept."""
        no = np.zeros(0)
        return cls(sparse.csr_array((0, groups)), no, no, 0.0, np.zeros(0, int))

    @property
    def rows(self) -> int:
        return len(self.area_km2)

    @property
    def budget_km2(self) -> float:
        """Ground that may be uncovered in an hour."""
        return self.max_hole_share * self.covered_km2

    def bound_sets(self) -> sparse.csr_array:
        """(binding rows, groups) 0/1."""
        return self.sets[self.binding]

    def holes(self, counts: np.ndarray) -> np.ndarray:
        """(rows, hours) bool: rows without an awake cell, for awake counts (groups, hours)."""
        return (self.sets @ (counts > 0).astype(float)) < 0.5

    def hole_km2(self, counts: np.ndarray) -> np.ndarray:
        """(hours,) ground that is covered with everything on and is not now."""
        return self.area_km2 @ self.holes(counts)

    def kept(self, counts: np.ndarray) -> np.ndarray:
        """(hours,) bool: whether the holes are within the budget."""
        return self.hole_km2(counts) <= self.budget_km2 + _ROUNDING

    def repaired(self, groups: CellGroups, counts: np.ndarray) -> np.ndarray:
        """Counts (groups, hours) with parts added until the holes are within the budget, most ground a watt first."""
        out = counts.copy()
        price = np.maximum(groups.full_saving_w, 1.0)
        for hour in np.flatnonzero(~self.kept(out)):
            while True:
                holes = self.holes(out[:, [hour]])[:, 0]
                open_ = float(self.area_km2 @ holes)
                if open_ <= self.budget_km2 + _ROUNDING:
                    break
                gain = self.sets.T @ (self.area_km2 * holes)
                g = int((gain / price).argmax())
                while g >= 0:  # a boost needs its cell
                    out[g, hour] = max(out[g, hour], 1)
                    g = int(groups.boost_of[g])
        return out


def cover_of(
    reach: Levels,
    spare_db: np.ndarray,
    grid: PixelGrid,
    groups: CellGroups,
    tile_mbps: np.ndarray,
    max_hole_share: float = 0.0,
) -> tuple[Cover, CellGroups]:
    """The rows of a network's pixels, and its groups with those kept awake that alone reach some ground.

    Parameters
    ----------
    reach : entries of cells that reach a pixel.
    spare_db : (entries,) level beyond what is needed there.
    tile_mbps : (tiles,) mean traffic.
    """
    group = _group_of_entry(reach, spare_db, groups)
    pixel = reach.pixel.astype(np.int64)
    pixels, number = len(grid), len(groups.site)
    pair = np.sort(pixel * number + group)
    pair = pair[np.diff(pair, prepend=-1) > 0]
    pixel, group = pair // number, pair % number
    weight = grid.weight * np.where(grid.tile >= 0, tile_mbps[np.maximum(grid.tile, 0)], 0.0)
    weight = weight / max(float(weight.sum()), 1e-300)
    pixel_row = np.full(pixels, NEVER)
    pixel_row[pixel] = ALWAYS
    covered_km2 = float((pixel_row == ALWAYS).sum()) * grid.pixel_m**2 / 1e6
    always = np.zeros(pixels, bool)
    always[pixel[groups.lowest[group] > 0]] = True
    open_ = ~always[pixel]
    pixel, group = pixel[open_], group[open_]
    row_of, sets = _unique_sets(pixel, group, pixels, number)
    has = row_of >= 0
    pixel_row[has] = row_of[has]
    area = np.bincount(row_of[has], minlength=sets.shape[0]) * grid.pixel_m**2 / 1e6
    traffic = np.bincount(row_of[has], weight[has], sets.shape[0])
    cover = Cover(sets, area, traffic, covered_km2, np.arange(sets.shape[0]), max_hole_share, pixel_row)
    return presolved(cover, groups)


def presolved(cover: Cover, groups: CellGroups) -> tuple[Cover, CellGroups]:
    """Rows of one group turned into cells that stay awake, and implied rows left out, where no hole is allowed."""
    if cover.max_hole_share > 0 or not cover.rows:
        return cover, groups
    sets = cover.sets
    lowest = groups.lowest.copy()
    single = np.diff(sets.indptr) == 1
    lowest[sets.indices[sets.indptr[:-1][single]]] = np.maximum(
        lowest[sets.indices[sets.indptr[:-1][single]]], 1
    )
    base = groups.boost_of[(groups.boost_of >= 0) & (lowest > 0)]
    lowest[base] = np.maximum(lowest[base], 1)
    met = (sets @ (lowest > 0).astype(float)) > 0.5
    left = np.flatnonzero(~met)
    part = sets[left]
    size = np.diff(part.indptr)
    common = (part @ part.T).tocoo()
    implied = (common.data >= size[common.row] - 0.5) & (size[common.col] > size[common.row])
    binding = np.setdiff1d(left, left[common.col[implied]])
    return replace(cover, binding=binding), replace(
        groups, lowest=lowest, coverage=np.maximum(groups.coverage, lowest)
    )


def _group_of_entry(reach: Levels, spare_db: np.ndarray, groups: CellGroups) -> np.ndarray:
    """(entries,) group of the part that reaches: the cell's first part where it does so muted, else its boost."""
    group = groups.group_of_part[reach.cell]
    boosts = np.flatnonzero(groups.boost_of >= 0)
    if not len(boosts):
        return group
    boost_of_group = np.full(len(groups.site), -1)
    boost_of_group[groups.boost_of[boosts]] = boosts
    boost = boost_of_group[group]
    return np.where((spare_db < MUTED_LOSS_DB) & (boost >= 0), boost, group)


def _unique_sets(
    pixel: np.ndarray, group: np.ndarray, pixels: int, groups: int
) -> tuple[np.ndarray, sparse.csr_array]:
    """(pixels,) row of each pixel's set of groups, -1 without one, and the sets (rows, groups)."""
    rng = np.random.default_rng(0)
    # two sums of random numbers stand for a set: they collide with a chance of 2^-100
    first, second = (rng.integers(1, 2**62, groups, dtype=np.int64) for _ in range(2))
    row_of = np.full(pixels, -1)
    if not len(pixel):
        return row_of, sparse.csr_array((0, groups))
    start = np.flatnonzero(np.r_[True, pixel[1:] != pixel[:-1]])
    with np.errstate(over="ignore"):
        sums = np.stack([np.add.reduceat(first[group], start), np.add.reduceat(second[group], start)], axis=1)
    _, where, row = np.unique(sums, axis=0, return_index=True, return_inverse=True)
    row_of[pixel[start]] = row.ravel()
    length = np.diff(np.r_[start, len(pixel)])[where]
    indices = np.concatenate([group[start[w] : start[w] + n] for w, n in zip(where, length, strict=True)])
    indptr = np.r_[0, np.cumsum(length)]
    return row_of, sparse.csr_array((np.ones(len(indices)), indices, indptr), (len(where), groups))
