"""Loads of cells and interference among them, by hour: each depends on the other, so their fixed point is sought."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from plannerbase.progress import Progress, silent
from planning.coverage.coverage import Coverage
from planning.coverage.serving import Serving
from planning.errors import InputError

TOLERANCE = 5e-3  # of a load; above 2, loads need not be as steady
MAX_ITERATIONS = 100
_CHUNK = 4  # hours that start one from the other's loads
_MEMORY = 4  # iterations that the next one is extrapolated from
_SHIFT = 0.02  # loads are sought as log(load + _SHIFT), in which small and large ones matter alike


@dataclass(frozen=True)
class NetworkLoads:
    """The network by hour.

    Attributes
    ----------
    load : (cells, hours) share of PRBs in use that the cell's traffic asks for; above 1 it cannot be served whole.
    offered_mbps : (cells, hours) traffic for which the cell is server. served_mbps : what of it is within the allowed
        load.
    uncovered_mbps, overload_mbps : (tiles, hours) traffic where no cell covers, and beyond the allowed load of cells.
    iterations : (hours,) int. converged : whether loads were steady to TOLERANCE in every hour.
    """

    load: np.ndarray
    offered_mbps: np.ndarray
    served_mbps: np.ndarray
    uncovered_mbps: np.ndarray
    overload_mbps: np.ndarray
    iterations: np.ndarray
    converged: bool

    @property
    def unserved_mbps(self) -> np.ndarray:
        """(tiles, hours) traffic that is not served."""
        return self.uncovered_mbps + self.overload_mbps

    @property
    def served_share(self) -> np.ndarray:
        """(hours,) share of all traffic that is served."""
        unserved = self.unserved_mbps.sum(axis=0)
        total = self.served_mbps.sum(axis=0) + unserved
        return np.where(total > 0, 1 - unserved / np.where(total > 0, total, 1.0), 1.0)


def coupled_loads(
    coverage: Coverage,
    demand_mbps: np.ndarray,
    awake: np.ndarray | None = None,
    progress: Progress | None = None,
    start: np.ndarray | None = None,
) -> NetworkLoads:
    """The fixed point of cell loads (Siomina and Yuan 2012, eq. 5), hour by hour.

    The load of a cell is the time that its traffic takes at the rates of its pixels; the rates follow from the SINR,
    in which every other cell interferes in proportion to its load, at most 1. A user's carriers work for the same time
    (carrier aggregation). The mapping is a standard interference function (but for the steps of the CQI tables): its
    fixed point is unique and found from any start.

    Parameters
    ----------
    coverage : with pixels on the tiles of the demand.
    demand_mbps : (tiles, hours) Mbit/s of each tile.
    awake : (cells, hours) bool; None for all cells in all hours.
    start : (cells,) loads to start from, such as those of a similar network; 0 by default.

    References
    ----------
    I. Siomina, D. Yuan: Analysis of cell load coupling for LTE network planning and optimization. IEEE Transactions
    on Wireless Communications 11(6), 2012.
    """
    demand = np.asarray(demand_mbps, float)
    if demand.ndim == 1:
        demand = demand[:, None]
    if demand.shape[0] != coverage.grid.tiles or not (np.isfinite(demand) & (demand >= 0)).all():
        raise InputError(
            f"The demand must be a number of at least 0 for each of the {coverage.grid.tiles} tiles and every hour."
        )
    hours, cells = demand.shape[1], len(coverage.cells)
    up = np.ones((cells, hours), bool) if awake is None else np.asarray(awake, bool)
    if up.shape != (cells, hours):
        raise InputError(f"The plan must say of {cells} cells in {hours} hours whether they are awake.")
    if start is not None and np.shape(start) != (cells,):
        raise InputError(f"The loads to start from must be one number for each of {cells} cells.")
    progress = progress or silent
    problem = _Problem(coverage)
    coverage.serving(up[:, 0])  # what is made once is made before threads ask for it
    found: list[tuple] = []
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 8)) as pool:
        chunks = [
            pool.submit(
                problem.hours, demand[:, begin : begin + _CHUNK], up[:, begin : begin + _CHUNK], start
            )
            for begin in range(0, hours, _CHUNK)
        ]
        try:
            for chunk in chunks:
                progress(len(found), hours, "loads of cells")
                found += chunk.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    load, offered, served, uncovered, overload = (np.stack([f[i] for f in found], axis=1) for i in range(5))
    iterations = np.array([f[5] for f in found])
    return NetworkLoads(load, offered, served, uncovered, overload, iterations, all(f[6] for f in found))


class _Problem:
    """The pixels that have traffic, as users outdoors and indoors."""

    def __init__(self, coverage: Coverage):
        self.coverage = coverage
        self.place = coverage.users_by_place()[:, None]
        self.tile = np.maximum(coverage.grid.tile, 0)

    def hours(self, demand: np.ndarray, awake: np.ndarray, start: np.ndarray | None) -> list[tuple]:
        """The results of `solved` for some hours, (tiles, hours) and (cells, hours)."""
        found: list[tuple] = []
        start = np.zeros(len(self.coverage.cells)) if start is None else start
        for hour in range(demand.shape[1]):
            found.append(self.solved(demand[:, hour], awake[:, hour], start))
            start = found[-1][0]
        return found

    def solved(
        self, demand: np.ndarray, awake: np.ndarray, start: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, int, bool]:
        coverage = self.coverage
        serving = coverage.serving(awake)
        users = (self.place * coverage.pixel_values(demand)).astype(np.float32)  # (2, pixels) Mbit/s
        load = np.where(awake, start, 0.0)
        iteration, steps = 0, _Extrapolation()
        while True:
            iteration += 1
            rate = serving.rate_mbps(load, held=True)
            time = serving.time_of(rate) * users[:, None]
            after = self._by_cell(serving, time)
            change = float(np.abs(np.minimum(after, 2) - np.minimum(load, 2)).max(initial=0.0))
            if change < TOLERANCE or iteration == MAX_ITERATIONS:
                break
            load = steps.next(load, after)
        load = after
        settled = change < TOLERANCE
        offered = self._by_cell(serving, time * rate)
        limit = coverage.settings.max_load
        kept = np.where(load > limit, limit / np.maximum(load, limit), 1.0)
        lost = np.where(serving.server >= 0, 1 - kept[serving.server], 0.0)  # (carriers, pixels)
        beyond = (time * rate * lost).sum(axis=(0, 1))
        none = (users * (rate.max(axis=1) <= 0)).sum(axis=0)
        inside = coverage.grid.tile >= 0
        uncovered, overload = (
            np.bincount(self.tile, values * inside, coverage.grid.tiles) for values in (none, beyond)
        )
        return load, offered, offered * kept, uncovered, overload, iteration, settled

    def _by_cell(self, serving: Serving, values: np.ndarray) -> np.ndarray:
        """(cells,) sums of values (2, carriers, pixels) by server."""
        total = values.sum(axis=0)
        on = serving.server >= 0
        return np.bincount(serving.server[on], total[on], len(self.coverage.cells))


class _Extrapolation:
    """Anderson's acceleration of a fixed-point iteration (Walker and Ni 2011), on log(load + _SHIFT)."""

    def __init__(self) -> None:
        self.places: list[np.ndarray] = []
        self.residuals: list[np.ndarray] = []

    def next(self, load: np.ndarray, after: np.ndarray) -> np.ndarray:
        """The loads to try next, from some loads and what the mapping makes of them."""
        place = np.log(load + _SHIFT)
        residual = np.log(after + _SHIFT) - place
        self.places = [*self.places[-_MEMORY:], place]
        self.residuals = [*self.residuals[-_MEMORY:], residual]
        step = residual
        if len(self.places) > 1:
            places, residuals = np.diff(self.places, axis=0), np.diff(self.residuals, axis=0)
            square = residuals @ residuals.T
            square += 1e-8 * np.trace(square) * np.eye(len(square)) + 1e-30 * np.eye(len(square))
            step = residual - np.linalg.solve(square, residuals @ residual) @ (places + residuals)
        return np.maximum(np.exp(np.minimum(place + step, 8.0)) - _SHIFT, 0.0)
