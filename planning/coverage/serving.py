"""Who serves each pixel on each carrier with some cells awake, and at which SINR and rate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from planning.coverage.cells import RadioCells
from planning.coverage.levels import Levels
from planning.coverage.rates import TABLE_LOW_DB, efficiency_at, efficiency_table
from planning.coverage.settings import RadioSettings
from planning.distinct import distinct

OUTDOORS, INDOORS = 0, 1  # first axis of arrays by kind of user


def _mw(level_dbm: np.ndarray) -> np.ndarray:
    """float32 of float32 dBm."""
    return (10 ** (level_dbm.astype(np.float64) / 10)).astype(np.float32)


@dataclass(frozen=True)
class CarrierLevels:
    """The levels of one carrier's cells, and the same as a matrix of powers."""

    levels: Levels

    @cached_property
    def power_mw(self) -> csr_matrix:
        """(pixels, cells), per resource element at full load. Made when first asked for: maps of servers need none."""
        own = self.levels
        return csr_matrix((_mw(own.rsrp_dbm), own.cell, own.indptr), shape=(own.pixels, own.cells))

    @classmethod
    def split(cls, levels: Levels, carrier: np.ndarray, carriers: int) -> tuple[CarrierLevels, ...]:
        """One for each carrier; carrier: (cells,) number."""
        of_entry = carrier[levels.cell]
        return tuple(cls(levels.subset(of_entry == number)) for number in range(carriers))


@dataclass(frozen=True)
class Serving:
    """The serving cells while some cells are awake.

    Attributes
    ----------
    server : (carriers, pixels) int32 strongest awake cell of the carrier, -1 where none is in reach.
    signal_mw : (carriers, pixels) its power per resource element, 0 without a server.
    covered : (2, carriers, pixels) bool: outdoors and indoors, whether it reaches its band's threshold plus margin.
    """

    cells: RadioCells
    settings: RadioSettings
    carriers: tuple[CarrierLevels, ...]
    rest_mw: np.ndarray
    awake: np.ndarray
    server: np.ndarray
    signal_mw: np.ndarray
    covered: np.ndarray

    @classmethod
    def of(
        cls,
        cells: RadioCells,
        settings: RadioSettings,
        carriers: tuple[CarrierLevels, ...],
        rest_mw: np.ndarray,
        awake: np.ndarray | None = None,
    ) -> Serving:
        awake = np.ones(len(cells), bool) if awake is None else np.asarray(awake, bool)
        pixels, every = len(rest_mw), bool(awake.all())
        server = np.full((len(carriers), pixels), -1, np.int32)
        signal = np.zeros((len(carriers), pixels), np.float32)
        covered = np.zeros((2, len(carriers), pixels), bool)
        for number, carrier in enumerate(carriers):
            entry = carrier.levels.best_entry(None if every else awake)
            found = np.flatnonzero(entry >= 0)
            own = carrier.levels.cell[entry[found]]
            level = carrier.levels.rsrp_dbm[entry[found]]
            server[number, found] = own
            signal[number, found] = _mw(level)
            covered[OUTDOORS, number, found] = level >= cells.threshold_dbm[own]
            covered[INDOORS, number, found] = level >= cells.indoor_threshold_dbm[own]
        return cls(cells, settings, carriers, rest_mw, awake, server, signal, covered)

    @cached_property
    def rsrp_dbm(self) -> np.ndarray:
        """(carriers, pixels) float32 level of the servers, -inf without one."""
        with np.errstate(divide="ignore"):
            return 10 * np.log10(self.signal_mw)

    def interference_mw(self, load: np.ndarray) -> np.ndarray:
        """(carriers, pixels) float32 power per resource element of all cells but the server, each weighted by its load.

        Cells that are no server of a pixel on record (`rest_mw`) count with the mean load of their carrier.
        """
        cells = self.cells
        active = (np.clip(load, 0, 1) * self.awake).astype(np.float32)
        number = np.bincount(cells.carrier, minlength=cells.carriers)
        mean = np.bincount(cells.carrier, active, cells.carriers) / np.maximum(number, 1)
        total = np.stack([c.power_mw @ active for c in self.carriers])
        total += self.rest_mw.T * mean[:, None].astype(np.float32)
        if not np.array_equal(cells.overlap, np.eye(cells.carriers)):
            total = cells.overlap.astype(np.float32) @ total
        total -= self.signal_mw * active[self.server]  # no server: the signal is 0
        return np.maximum(total, 0, out=total)

    def sinr(self, load: np.ndarray) -> np.ndarray:
        """(2, carriers, pixels) float32 linear SINR outdoors and indoors, 0 without a server.

        A building weakens signal and interference alike, so that noise counts more indoors.
        """
        return self.signal_mw / (self._noise_mw + self.interference_mw(load))

    def sinr_db(self, load: np.ndarray) -> np.ndarray:
        """(2, carriers, pixels) float32, -inf without a server."""
        with np.errstate(divide="ignore"):
            return 10 * np.log10(self.sinr(load))

    def rate_mbps(self, load: np.ndarray, held: bool = False) -> np.ndarray:
        """(2, carriers, pixels) float32 rate of a user who has all PRBs of the server, 0 where it does not cover.

        held: users whose SINR is too low keep the lowest rate, and do not leave the cell. Loads need this: were users
        to leave a loaded network, it would no longer be loaded.
        """
        table, offset, bandwidth = self._rate_table
        settings = self.settings
        lowest = max(settings.rates.min_sinr_db, settings.lte_rates.min_sinr_db) if held else TABLE_LOW_DB
        return efficiency_at(table, self.sinr(load), offset, lowest) * bandwidth

    @cached_property
    def _noise_mw(self) -> np.ndarray:
        """(2, carriers, pixels) noise, indoors as it counts against levels outdoors."""
        noise = 10 ** (self.cells.noise_dbm / 10)[:, None]
        through = np.where(self.server >= 0, 10 ** (self.cells.indoor_db / 10)[self.server], 1.0)
        return np.stack([noise * np.ones_like(through), noise * through]).astype(np.float32)

    @cached_property
    def _rate_table(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Efficiencies of every kind of cell one after another; (carriers, pixels) where that of the server begins;
        (2, carriers, pixels) its MHz where it covers, else 0."""
        cells, settings = self.cells, self.settings
        first, kind = distinct(cells.lte, cells.layers)
        tables = [
            efficiency_table(settings.lte_rates if lte else settings.rates, int(layers))
            for lte, layers in zip(cells.lte[first], cells.layers[first], strict=True)
        ]
        begin = np.cumsum([0, *(len(t) for t in tables[:-1])]).astype(np.int32)[kind]
        megahertz = (cells.bandwidth_hz / 1e6).astype(np.float32)
        return np.concatenate(tables), begin[self.server], megahertz[self.server] * self.covered

    def time_of(self, rate_mbps: np.ndarray) -> np.ndarray:
        """(2, carriers, pixels) share of its server's time that 1 Mbit/s of a user takes on each carrier.

        "aggregated": carriers work together for the same time; "best": the carrier with the highest rate alone. 0 where
        nothing serves.
        """
        if self.settings.carriers == "best":
            best = rate_mbps.argmax(axis=1)
            weight = (np.arange(rate_mbps.shape[1])[None, :, None] == best[:, None, :]) & (rate_mbps > 0)
        else:
            weight = rate_mbps > 0
        together = (weight * rate_mbps).sum(axis=1, keepdims=True)
        return weight / np.where(together > 0, together, np.float32(np.inf))
