"""Received levels of the cells within reach of each pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Levels:
    """RSRP of cells on pixels, outdoors, in compressed rows: a row a pixel, strongest cell first.

    Attributes
    ----------
    indptr : (pixels + 1,) int64
        Entries of pixel p are `indptr[p] : indptr[p + 1]`.
    cell : (entries,) int32
        Row of the cell in the network's table.
    rsrp_dbm : (entries,) float32
        Level per resource element at full transmit power, with antenna gains, path loss and tuning, without margins
        and building loss. Falls within a row.
    cells : int
        Cells of the network.
    """

    indptr: np.ndarray
    cell: np.ndarray
    rsrp_dbm: np.ndarray
    cells: int

    @property
    def pixels(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def pixel(self) -> np.ndarray:
        """(entries,) int32 pixel of each entry."""
        return np.repeat(np.arange(self.pixels, dtype=np.int32), np.diff(self.indptr))

    def subset(self, keep: np.ndarray) -> Levels:
        """Some entries, (entries,) bool."""
        before = np.concatenate([[0], np.cumsum(keep)])
        return replace(self, indptr=before[self.indptr], cell=self.cell[keep], rsrp_dbm=self.rsrp_dbm[keep])

    def above(self, minimum_dbm: float | np.ndarray) -> Levels:
        """The entries of at least a level: one for all, or (cells,) one for each cell (such as the threshold of its
        band plus margins)."""
        limit = np.broadcast_to(np.asarray(minimum_dbm, np.float32), (self.cells,))
        return self.subset(self.rsrp_dbm >= limit[self.cell])

    def best_entry(self, awake: np.ndarray | None = None) -> np.ndarray:
        """(pixels,) int64 entry of the strongest cell among `awake` (cells,) bool, -1 where none is in reach."""
        if awake is None:
            first = self.indptr[:-1]
            return np.where(np.diff(self.indptr) > 0, first, -1)
        usable = np.flatnonzero(np.asarray(awake, bool)[self.cell])
        pixel = self.pixel[usable]
        first = np.ones(len(usable), bool)
        first[1:] = pixel[1:] != pixel[:-1]
        out = np.full(self.pixels, -1, np.int64)
        out[pixel[first]] = usable[first]
        return out

    def best_server(self, awake: np.ndarray | None = None) -> np.ndarray:
        """(pixels,) int32 row of the strongest cell among `awake` (cells,) bool (None: all), -1 where none is in
        reach. Cells of one band alone: pass those of the band as `awake`."""
        entry = self.best_entry(awake)
        return self._taken(self.cell, entry, -1).astype(np.int32)

    def best_rsrp_dbm(self, awake: np.ndarray | None = None) -> np.ndarray:
        """(pixels,) float32 level of the best server, -inf where there is none."""
        return self._taken(self.rsrp_dbm, self.best_entry(awake), -np.inf).astype(np.float32)

    def _taken(self, values: np.ndarray, entry: np.ndarray, missing: float) -> np.ndarray:
        if not len(values):
            return np.full(len(entry), missing)
        return np.where(entry >= 0, values[np.maximum(entry, 0)], missing)
