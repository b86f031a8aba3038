"""The radio model of many candidate sites at once, of which any few may be open: levels are computed once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from planning.coverage import Coverage, PixelGrid, RadioSettings, coupled_loads
from planning.coverage.cells import RadioCells
from planning.coverage.computing import LevelWork
from planning.coverage.levels import Levels
from planning.coverage.serving import INDOORS, OUTDOORS, Serving
from planning.deployment.sizing import DOWNLINK_SHARE, layers_needed
from planning.network import Network, SiteDesign

_MW = np.float32(np.log(10) / 10)  # dBm to the exponent of mW


class _Power(NamedTuple):
    """Stands for the `CarrierLevels` of a carrier: some cells (rows), and their mW on all pixels (rows, pixels)."""

    rows: np.ndarray
    mw: np.ndarray

    @property
    def power_mw(self) -> _Power:
        return self

    def __matmul__(self, active: np.ndarray) -> np.ndarray:
        # not BLAS: its sums depend on the number of threads, and threads that wait for a busy core cost ten times more
        return np.einsum("i,ij->j", active[self.rows], self.mw)


class _Sum(NamedTuple):
    """Stands for the `CarrierLevels` of a carrier whose power at the loads in question, (pixels,) mW, is known."""

    total_mw: np.ndarray

    @property
    def power_mw(self) -> _Sum:
        return self

    def __matmul__(self, active: np.ndarray) -> np.ndarray:
        return self.total_mw


@dataclass(frozen=True)
class CandidateCoverage(Coverage):
    """A coverage that keeps the level of every cell on every pixel, for states in which few cells are awake.

    mw : (cells, pixels) float32 power per resource element at full load. The other attributes are those of `Coverage`;
    its `levels` are empty.
    """

    mw: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32), repr=False)

    @classmethod
    def of_cells(cls, network: Network, grid: PixelGrid, settings: RadioSettings) -> CandidateCoverage:
        """The coverage of a network of few pixels. Raises InputError as `Coverage.of`."""
        cells = RadioCells.of(network, settings)
        level = LevelWork(cells, grid, settings).rsrp_dbm(np.arange(len(grid)), np.arange(len(cells)))
        none = Levels(
            np.zeros(len(grid) + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), len(cells)
        )
        rest = np.zeros((len(grid), cells.carriers), np.float32)
        level *= _MW
        return cls(cells, grid, none, rest, settings, mw=np.exp(level, out=level))

    def _serving(self, awake: np.ndarray) -> Serving:
        count, pixels = self.cells.carriers, len(self.grid)
        server = np.full((count, pixels), -1, np.int32)
        signal = np.zeros((count, pixels), np.float32)
        powers = []
        for number in range(count):
            rows = np.flatnonzero(awake & (self.cells.carrier == number))
            powers.append(_Power(rows, self.mw[rows]))
            self._take(powers[-1], server[number], signal[number])
        return self._made(awake, server, signal, tuple(powers))

    def _take(self, power: _Power, server: np.ndarray, signal: np.ndarray) -> None:
        """Writes the cells that are stronger than the servers of a carrier, (pixels,), into these."""
        if not len(power.rows):
            return
        best = power.mw.argmax(axis=0)
        level = power.mw[best, np.arange(len(best))]
        better = (level > signal) & (level >= 10 ** (self.settings.floor_dbm / 10))
        server[better], signal[better] = power.rows[best][better], level[better]

    def _made(
        self, awake: np.ndarray, server: np.ndarray, signal: np.ndarray, powers: tuple[_Power | _Sum, ...]
    ) -> Serving:
        covered = np.zeros((2, *server.shape), bool)
        for place, limit in (
            (OUTDOORS, self.cells.threshold_dbm),
            (INDOORS, self.cells.indoor_threshold_dbm),
        ):
            covered[place] = (server >= 0) & (signal >= (10 ** (limit / 10)).astype(np.float32)[server])
        return Serving(self.cells, self.settings, powers, self.rest_mw, awake, server, signal, covered)  # type: ignore[arg-type]

    @staticmethod
    def at_loads(serving: Serving, load: np.ndarray) -> Serving:
        """The serving with its interference computed, for these loads (cells,) alone."""
        known = tuple(_Sum(carrier.power_mw @ load) for carrier in serving.carriers)
        return replace(serving, carriers=known)  # type: ignore[arg-type]

    def with_cells(self, serving: Serving, load: np.ndarray, rows: np.ndarray) -> Serving:
        """A serving beside which some more cells (rows) are awake, for these loads (cells,) alone."""
        server, signal, totals = serving.server.copy(), serving.signal_mw.copy(), []
        for number, power in enumerate(serving.carriers):
            mine = _Power(*((r := rows[self.cells.carrier[rows] == number]), self.mw[r]))
            self._take(mine, server[number], signal[number])
            totals.append(_Sum(power.power_mw @ load + mine @ load))
        awake = serving.awake.copy()
        awake[rows] = True
        return self._made(awake, server, signal, tuple(totals))


@dataclass(frozen=True)
class Asked:
    """What sites are sized for and judged by.

    level_mbps : (tiles,) of the hour that is judged. worth : (tiles,) of a Mbit/s that is served there. profile_mbps :
    (tiles, hours) that sites are sized for. mean_mbps : (tiles,). headroom, max_layers : as in
    `planning.deployment.sizing.size_network`.
    """

    level_mbps: np.ndarray
    worth: np.ndarray
    profile_mbps: np.ndarray
    mean_mbps: np.ndarray
    headroom: float
    max_layers: int


@dataclass(frozen=True)
class State:
    """Some open sites by the radio model.

    layers : (sites,) capacity layers of each, 0 for a closed one. load : (cells,). value : what is served, weighed by
    worth. missing_mbps : (tiles,) what is not served. carried_mbps : (sites,).
    """

    layers: np.ndarray
    load: np.ndarray
    value: float
    missing_mbps: np.ndarray
    carried_mbps: np.ndarray

    @property
    def chosen(self) -> np.ndarray:
        """(sites,) bool."""
        return self.layers > 0


class SizedCandidates:
    """Candidate sites with all the cells that they may have: open ones are sized and judged by the radio model.

    The figures are those of `size_network` and `serving.served`, but that sectors are sized for the sum of their tiles'
    quantiles, and that only the pixels of the grid count.
    """

    def __init__(
        self,
        lon: np.ndarray,
        lat: np.ndarray,
        design: SiteDesign,
        grid: PixelGrid,
        radio: RadioSettings,
        asked: Asked,
    ):
        network = Network.from_sites(lon, lat, capacity_layers=asked.max_layers, design=design)
        self.coverage = CandidateCoverage.of_cells(network, grid, radio)
        self.asked = asked
        self.site, self.sector = self.coverage.cells.site, network.sector_of_cell
        self.site_of_sector = network.sectors["site"].to_numpy()
        self.is_coverage = network.cells["is_coverage"].to_numpy(bool)
        number = network.cells.groupby(["sector", "is_coverage"]).cumcount().to_numpy() + 1
        self.layer = np.where(self.is_coverage, 0, number)  # (cells,)
        self.here_mbps = np.bincount(grid.tile, self.coverage.pixel_values(asked.level_mbps), grid.tiles)
        downlink = DOWNLINK_SHARE * self.coverage.pixel_values(asked.level_mbps)
        # (2, pixels) Mbit/s
        self.users = (self.coverage.users_by_place()[:, None] * downlink).astype(np.float32)
        self.worth = asked.worth[grid.tile].astype(np.float32)

    def state(self, chosen: np.ndarray, start: State | None = None) -> State:
        """Some sites, (sites,) bool, at coupled loads. start: one much alike, from whose loads they are sought."""
        layers = self._layers(chosen)
        awake = self._awake(layers)
        load = None if start is None else np.where(awake, start.load, 0.0)
        found = coupled_loads(
            self.coverage, DOWNLINK_SHARE * self.asked.level_mbps, awake[:, None], start=load
        )
        missing = found.unserved_mbps[:, 0] / DOWNLINK_SHARE
        value = float(((self.here_mbps - missing) * self.asked.worth).sum())
        carried = np.bincount(self.site, found.served_mbps[:, 0], len(chosen)) / DOWNLINK_SHARE
        return State(layers, found.load[:, 0], value, missing, carried)

    def estimates(self, state: State, out: int, into: np.ndarray) -> np.ndarray:
        """The value, nearly, of a state in which one site stands elsewhere instead: in each place of `into`.

        The other cells keep their loads in the interference, and those of the site have its layers and the mean load.
        """
        awake = self._awake(state.layers)
        layers = state.layers.copy()
        layers[out] = 0
        rest = self._awake(layers)
        load_of_rest = np.where(rest, np.minimum(state.load, 1), 0.0).astype(np.float32)
        serving = self.coverage.at_loads(self.coverage.serving(rest), load_of_rest)
        found = np.empty(len(into))
        for i, j in enumerate(into.tolist()):
            rows = np.flatnonzero((self.site == j) & (self.layer <= state.layers[out]))
            load = load_of_rest.copy()
            load[rows] = min(1.0, state.load[awake].mean())
            found[i] = self._value(self.coverage.with_cells(serving, load, rows), load)
        return found

    def _value(self, serving: Serving, load: np.ndarray) -> float:
        """What is served where the interfering cells have these loads."""
        rate = serving.rate_mbps(load, held=True)
        time = serving.time_of(rate) * self.users[:, None]
        on, count = serving.server >= 0, len(self.site)
        asked = np.bincount(serving.server[on], time.sum(axis=0)[on], count)
        most = self.coverage.settings.max_load
        kept = most / np.maximum(asked, most)
        carried = ((time * rate).sum(axis=0) * self.worth)[on] * kept[serving.server[on]]
        return float(carried.sum(dtype=float)) / DOWNLINK_SHARE

    def _awake(self, layers: np.ndarray) -> np.ndarray:
        """(cells,) bool."""
        return (layers[self.site] > 0) & (self.layer <= layers[self.site])

    def _layers(self, chosen: np.ndarray) -> np.ndarray:
        """(sites,) capacity layers as `size_network` chooses them, 0 for closed sites."""
        asked, awake = self.asked, self._awake(chosen.astype(int))
        load = np.full(len(awake), min(1.0, 1.0 / (1.0 + asked.headroom)))
        capacity = (
            self.coverage.capacity_mbps(load, awake=awake, tile_values=asked.mean_mbps) / DOWNLINK_SHARE
        )
        peak = self.coverage.sector_shares(awake).apply(asked.profile_mbps).max(axis=1)
        needed = layers_needed(
            peak * (1 + asked.headroom), capacity * awake, self.is_coverage, self.sector, self.site_of_sector,
            asked.max_layers,
        )  # fmt: skip
        return np.where(chosen, needed, 0)
