"""Whose traffic may be carried where: pixels taken together by the sectors that reach them.

A pixel belongs to the sector of its strongest cell. Other sectors can carry its traffic where every one of their cells
reaches it above the threshold of its band, so that any of them may do it, and the strongest of them is hardly weaker
than the pixel's own: users are moved by cell offsets of a few dB, and where those are larger the own cell drowns the
other one. Pixels of a sector with the same other
sectors are one class. Rare classes are merged into a class whose sectors all of their pixels have too: what is planned
on the classes holds on the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import sparse

from planning.coverage.levels import Levels
from planning.coverage.pixels import PixelGrid
from planning.energy import listed_rows_of_each, rows_of_each
from planning.errors import InputError

MAX_CLASSES = 6  # of a sector, beside the one that no other sector reaches
MAX_NEIGHBOURS = 6  # sectors that may carry traffic of one
OFFLOAD_DB = 6.0  # assumed: largest cell individual offset in use (TS 38.331 allows up to 24 dB)
_SECOND_CHOICE = 0.25  # worth of each further sector that reaches a class, beside 1 for the first


class ArcEnds(NamedTuple):
    """Arcs as lists, for loops over single ones. source, target: class and sector of each arc. out_of, into: arcs of
    each class and into each sector."""

    source: list[int]
    target: list[int]
    out_of: list[list[int]]
    into: list[list[int]]


@dataclass(frozen=True)
class OffloadGraph:
    """Classes of traffic and the sectors that may carry them.

    Attributes
    ----------
    class_sector : (classes,) int
        Home sector of each class, ascending; within a sector the classes with the fewest other sectors come first.
    arc_class, arc_target : (arcs,) int
        Other sectors that may carry a class, in the order in which they are asked: classes with the fewest first, of a
        class the sector first that reaches most of its home's traffic.
    sectors : int
    """

    class_sector: np.ndarray
    arc_class: np.ndarray
    arc_target: np.ndarray
    sectors: int

    @property
    def classes(self) -> int:
        return len(self.class_sector)

    @property
    def arc_source(self) -> np.ndarray:
        """(arcs,) home sector of each arc's class."""
        return self.class_sector[self.arc_class]

    @cached_property
    def by_sector(self) -> sparse.csr_array:
        """(sectors, classes) 0/1."""
        shape = (self.sectors, self.classes)
        return sparse.csr_array((np.ones(self.classes), (self.class_sector, np.arange(self.classes))), shape)

    @cached_property
    def turn(self) -> np.ndarray:
        """(arcs,) int from 0: arcs of one number may be asked together, as no two of them share a class or a target."""
        free_class, free_target = [0] * self.classes, [0] * self.sectors
        turn = np.empty(len(self.arc_class), int)
        for arc, (k, t) in enumerate(zip(self.arc_class.tolist(), self.arc_target.tolist(), strict=True)):
            turn[arc] = free_class[k] = free_target[t] = max(free_class[k], free_target[t]) + 1
        return turn - 1

    @cached_property
    def ends(self) -> ArcEnds:
        """Made when first asked for, as few plans need it."""
        return ArcEnds(
            self.arc_class.tolist(),
            self.arc_target.tolist(),
            listed_rows_of_each(self.arc_class, self.classes),
            listed_rows_of_each(self.arc_target, self.sectors),
        )

    def arcs_at(self, ends: np.ndarray, rows: int) -> sparse.csr_array:
        """(rows, arcs) 0/1: the arcs with each end, for sums over them."""
        arcs = np.arange(len(ends))
        return sparse.csr_array((np.ones(len(ends)), (ends, arcs)), (rows, len(ends)))

    @classmethod
    def alone(cls, sectors: int) -> OffloadGraph:
        """No sector carries another's traffic: one class each."""
        none = np.zeros(0, int)
        return cls(np.arange(sectors), none, none, sectors)

    @classmethod
    def of_classes(cls, class_sector: np.ndarray, others: list[list[int]], sectors: int) -> OffloadGraph:
        """From the home sector of each class and the other sectors that may carry it, the first asked first.

        Classes must come by sector, those with the fewest other sectors first.
        """
        pairs = [(len(mine), rank, k, t) for k, mine in enumerate(others) for rank, t in enumerate(mine)]
        arcs = np.array(sorted(pairs), int).reshape(-1, 4)
        return cls(np.asarray(class_sector, int), arcs[:, 2], arcs[:, 3], sectors)


@dataclass(frozen=True)
class ClassShares:
    """How the traffic of tiles falls on classes: share (classes, tiles), at most 1 a tile."""

    share: sparse.csr_array

    def apply(self, tiles: np.ndarray) -> np.ndarray:
        """(tiles, hours) -> (classes, hours)."""
        return self.share @ tiles


def offload_graph(
    reach: Levels,
    best: np.ndarray,
    grid: PixelGrid,
    sector_of_cell: np.ndarray,
    tile_mbps: np.ndarray,
    *,
    max_neighbours: int = MAX_NEIGHBOURS,
    max_classes: int = MAX_CLASSES,
    offload_db: float = OFFLOAD_DB,
) -> tuple[OffloadGraph, ClassShares, np.ndarray]:
    """The classes of a network's pixels.

    Parameters
    ----------
    reach : entries of cells above the threshold of their band.
    best : (pixels,) strongest cell of each pixel, above its threshold or not; -1 where there is none.
    sector_of_cell : (cells,) int
    tile_mbps : (tiles,) mean traffic, by which pixels are weighted.
    offload_db : how much weaker than the strongest cell of a pixel that of another sector may be.

    Returns
    -------
    The graph, how tiles fall on its classes, and (pixels,) class of each pixel, -1 where no cell is.
    """
    if max_neighbours < 0 or max_classes < 1 or not offload_db >= 0:
        raise InputError(
            "The number of other sectors and the dB that they may be weaker must be at least 0, that of classes 1."
        )
    sectors = int(sector_of_cell.max()) + 1
    own = np.where(best >= 0, sector_of_cell[np.maximum(best, 0)], -1)
    weight = grid.weight * np.where(grid.tile >= 0, tile_mbps[np.maximum(grid.tile, 0)], 0.0)
    mask, neighbours = _masks(
        reach, own, weight, sector_of_cell, sectors, min(max_neighbours, 16), offload_db
    )
    served = np.flatnonzero(own >= 0)
    key = own[served].astype(np.int64) << 16 | mask[served]
    kinds, kind = np.unique(key, return_inverse=True)
    kind_weight = np.bincount(kind, weight[served] + 1e-12, len(kinds))
    chosen = np.empty(len(kinds), np.int64)  # the mask that each kind is merged into
    of_sector = rows_of_each((kinds >> 16).astype(int), sectors)
    for rows in of_sector:
        chosen[rows] = _merged((kinds[rows] & 0xFFFF).astype(np.int64), kind_weight[rows], max_classes)
    sector = (kinds >> 16).astype(np.int64)
    # a class a sector that no other reaches is always there
    all_sector = np.concatenate([np.arange(sectors), sector])
    all_mask = np.concatenate([np.zeros(sectors, np.int64), chosen])
    bits = _popcount(all_mask)
    _, first, number = np.unique(
        all_sector << 32 | bits << 16 | all_mask, return_index=True, return_inverse=True
    )
    class_sector, class_mask = all_sector[first], all_mask[first]
    others = [
        [neighbours[s][r] for r in range(len(neighbours[s])) if m >> r & 1]
        for s, m in zip(class_sector.tolist(), class_mask.tolist(), strict=True)
    ]
    graph = OffloadGraph.of_classes(class_sector, others, sectors)
    pixel_class = np.full(len(own), -1)
    pixel_class[served] = number[sectors:][kind]
    laid = np.flatnonzero((pixel_class >= 0) & (grid.tile >= 0))
    share = sparse.coo_array(
        (grid.weight[laid], (pixel_class[laid], grid.tile[laid])), (graph.classes, grid.tiles)
    ).tocsr()
    return graph, ClassShares(share), pixel_class


def _masks(
    reach: Levels,
    own: np.ndarray,
    weight: np.ndarray,
    sector_of_cell: np.ndarray,
    sectors: int,
    most: int,
    offload_db: float,
) -> tuple[np.ndarray, list[list[int]]]:
    """(pixels,) bits of the other sectors that reach a pixel with every cell, by rank in the list of its own sector;
    and that list for each sector: at most `most`, those that reach most traffic first."""
    pair = reach.pixel.astype(np.int64) * sectors + sector_of_cell[reach.cell]
    pair, entry, cells = np.unique(pair, return_inverse=True, return_counts=True)
    level = np.full(len(pair), -np.inf)
    np.maximum.at(level, entry, reach.rsrp_dbm)
    pixel, sector = pair // sectors, pair % sectors
    whole = (cells == np.bincount(sector_of_cell, minlength=sectors)[sector]) & (own[pixel] >= 0)
    whole &= (sector != own[pixel]) & (level >= reach.best_rsrp_dbm()[pixel] - offload_db)
    pixel, sector = pixel[whole], sector[whole]
    arc = own[pixel].astype(np.int64) * sectors + sector
    arcs, number = np.unique(arc, return_inverse=True)
    reached = np.bincount(number, weight[pixel] + 1e-12, len(arcs))
    source, target = arcs // sectors, arcs % sectors
    order = np.lexsort((target, -reached, source))
    rank = np.empty(len(arcs), int)
    rank[order] = np.arange(len(arcs)) - np.searchsorted(source[order], source[order])
    neighbours: list[list[int]] = [[] for _ in range(sectors)]
    for a in order[rank[order] < most]:
        neighbours[source[a]].append(int(target[a]))
    kept = rank[number] < most
    bits = np.zeros(len(own), np.int64)
    np.bitwise_or.at(bits, pixel[kept], np.int64(1) << rank[number][kept])
    return bits, neighbours


def _merged(masks: np.ndarray, weight: np.ndarray, most: int) -> np.ndarray:
    """For each mask of a sector a subset of it, out of at most `most` that are worth most, or 0."""
    if not masks.any():
        return np.zeros(len(masks), np.int64)
    if (masks > 0).sum() <= most:
        return masks
    single = np.int64(1) << np.flatnonzero([(masks >> r & 1).any() for r in range(16)])
    candidates = np.unique(np.concatenate([masks[masks > 0], single]))
    fits = (candidates[:, None] & ~masks[None, :]) == 0  # (candidates, masks)
    worth = np.where(fits, 1 + _SECOND_CHOICE * (_popcount(candidates)[:, None] - 1), 0.0)
    best, out = np.zeros(len(masks)), np.zeros(len(masks), np.int64)
    for _ in range(most):
        gain = (np.maximum(worth - best, 0.0) * weight).sum(axis=1)
        top = int(gain.argmax())
        if gain[top] <= 0:
            break
        better = worth[top] > best
        out[better], best[better] = candidates[top], worth[top][better]
    return out


def _popcount(values: np.ndarray) -> np.ndarray:
    return np.stack([values >> r & 1 for r in range(16)]).sum(axis=0)
