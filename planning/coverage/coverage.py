"""The coverage of a network: best servers, levels, SINR, rates and who serves the traffic of which tile."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import ArrayLike

from plannerbase.progress import Progress
from planning.coverage.cells import RadioCells
from planning.coverage.computing import received_levels
from planning.coverage.in_parts import levels_in_parts
from planning.coverage.levels import Levels
from planning.coverage.pixels import PixelGrid
from planning.coverage.serving import INDOORS, OUTDOORS, CarrierLevels, Serving
from planning.coverage.settings import RadioSettings
from planning.coverage.terrain import Terrain
from planning.errors import InputError
from planning.network import Network
from planning.shared_work import SharedWork

if TYPE_CHECKING:
    import plotly.graph_objects as go

DEFAULT_LOAD = 0.5  # of interfering cells where no loads are known (assumed)
_KEPT_STATES = 4  # of which serving cells are kept: a page compares before and after


@dataclass(frozen=True)
class Shares:
    """How tiles are served, as triples: tile row, cell (or sector) row, share of the tile's traffic.

    The shares of a tile sum to what is covered of it, at most 1.
    """

    tile: np.ndarray
    server: np.ndarray
    share: np.ndarray
    servers: int

    def apply(self, values: np.ndarray) -> np.ndarray:
        """(tiles, hours) -> (servers, hours)."""
        out = np.zeros((self.servers, values.shape[1]))
        np.add.at(out, self.server, self.share[:, None] * values[self.tile])
        return out


@dataclass(frozen=True)
class Coverage:
    """Received levels of a network on pixels, and what follows from them.

    Made by `Coverage.of`. Where a method takes `awake` it is (cells,) bool, None for all cells; `load` is (cells,), the
    share of PRBs in use, None for DEFAULT_LOAD everywhere.
    """

    cells: RadioCells
    grid: PixelGrid
    levels: Levels
    rest_mw: np.ndarray
    settings: RadioSettings
    notes: tuple[str, ...] = ()
    _states: OrderedDict[bytes, Serving] = field(default_factory=OrderedDict, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        network: Network,
        x: ArrayLike,
        y: ArrayLike,
        settings: RadioSettings | None = None,
        weights: ArrayLike | None = None,
        terrain: Terrain | None = None,
        progress: Progress | None = None,
        work: SharedWork | None = None,
    ) -> Coverage:
        """The coverage of zoom-15 tiles.

        Parameters
        ----------
        network : its cells; sites outside the tiles serve and interfere as far as they reach.
        x, y : (tiles,) int
        settings : of the radio model.
        weights : (pixels,) where the traffic of a tile stands, see `PixelGrid.with_weights`.
        terrain : elevation and land cover, for ground that is not flat and land cover.
        work : computes the levels part by part, by several processes; None: by the threads of this one.

        Raises
        ------
        InputError
            For an area too large for the pixels, or cells that the models are not made for.
        """
        settings = settings or RadioSettings()
        return cls.on(
            network, PixelGrid.of_tiles(x, y, settings.pixel_m, weights), settings, terrain, progress, work
        )

    @classmethod
    def on(
        cls,
        network: Network,
        grid: PixelGrid,
        settings: RadioSettings | None = None,
        terrain: Terrain | None = None,
        progress: Progress | None = None,
        work: SharedWork | None = None,
    ) -> Coverage:
        """The coverage of the pixels of a grid. Raises InputError, ClusterError."""
        settings = settings or RadioSettings(pixel_m=grid.pixel_m)
        cells = RadioCells.of(network, settings)
        surroundings = None if terrain is None else terrain.prepared(grid, cells, settings)
        if work is None:
            levels, rest = received_levels(cells, grid, settings, surroundings, progress)
        else:
            levels, rest = levels_in_parts(cells, grid, settings, surroundings, work, progress)
        notes = cells.notes + (() if surroundings is None else surroundings.notes)
        return cls(cells, grid, levels, rest, settings, notes)

    @property
    def network(self) -> Network:
        return self.cells.network

    def with_weights(self, weights: ArrayLike) -> Coverage:
        """The same levels, with the traffic of tiles elsewhere in them: (pixels,) >= 0."""
        return replace(self, grid=self.grid.with_weights(weights))

    @cached_property
    def carriers(self) -> tuple[CarrierLevels, ...]:
        return CarrierLevels.split(self.levels, self.cells.carrier, self.cells.carriers)

    def serving(self, awake: np.ndarray | None = None) -> Serving:
        """Who serves each pixel on each carrier, kept for the last few `awake`."""
        mask = np.ones(len(self.cells), bool) if awake is None else np.asarray(awake, bool)
        if mask.shape != (len(self.cells),):
            raise InputError(f"There are {len(self.cells)} cells, but {mask.size} that are awake or asleep.")
        key = np.packbits(mask).tobytes()
        made = self._states.pop(key, None)  # threads may ask at once: each step holds by itself
        if made is None:
            made = self._serving(mask)
        self._states[key] = made
        while len(self._states) > _KEPT_STATES:
            self._states.popitem(last=False)
        return made

    def _serving(self, awake: np.ndarray) -> Serving:
        return Serving.of(self.cells, self.settings, self.carriers, self.rest_mw, awake)

    def __repr__(self) -> str:
        share = self.covered_share()
        return (
            f"Coverage({len(self.cells):,} cells on {self.grid.area_km2:,.1f} km2, pixels of {self.grid.pixel_m:g} m, "
            f"{share[0]:.1%} covered outdoors, {share[1]:.1%} indoors)"
        )

    def to_pandas(self) -> pd.DataFrame:
        """A row a pixel: lon, lat (degrees), rsrp_dbm, sinr_db (all cells at DEFAULT_LOAD), rate_mbps, cell (best
        server, None where none is in reach), covered, covered_indoors."""
        server = self.best_server()
        names = np.array([*self.network.cells["cell"], None], object)
        return pd.DataFrame(
            {
                "lon": self.grid.lon,
                "lat": self.grid.lat,
                "rsrp_dbm": self.rsrp_dbm(),
                "sinr_db": self.sinr_db(),
                "rate_mbps": self.rate_mbps(),
                "cell": names[server],
                "covered": self.covered(),
                "covered_indoors": self.covered(indoors=True),
            }
        )

    def to_geodataframe(self) -> gpd.GeoDataFrame:
        """`to_pandas` with the squares of the pixels, in metres of `grid.crs`."""
        half = self.grid.pixel_m / 2
        east, north = self.grid.east_m, self.grid.north_m
        squares = shapely.box(east - half, north - half, east + half, north + half)
        return gpd.GeoDataFrame(self.to_pandas(), geometry=squares, crs=self.grid.crs)

    def statistics(self) -> pd.Series:
        """Cells, area (km2), covered shares of ground and users, and the median level (dBm) where a cell is heard."""
        out, inside, users = self.covered_share()
        level = self.rsrp_dbm()
        heard = level[np.isfinite(level)]
        known = {
            "cells": len(self.cells), "area_km2": self.grid.area_km2, "covered_outdoors": out,
            "covered_indoors": inside, "covered_users": users,
            "median_rsrp_dbm": float(np.median(heard)) if len(heard) else np.nan,
        }  # fmt: skip
        return pd.Series(known, name="coverage")

    def plot(self, name: str = "rsrp") -> go.Figure:
        """A map of the best server as a plotly figure: "rsrp" (dBm), "sinr" (dB, all cells at DEFAULT_LOAD) or "rate"
        (Mbit/s with all PRBs). `planning.coverage.maps` has more of them. Raises InputError for another name."""
        from planning.figures import raster_figure

        makers: dict[str, tuple[Callable[[], np.ndarray], str]] = {
            "rsrp": (self.rsrp_dbm, "dBm"),
            "sinr": (self.sinr_db, "dB"),
            "rate": (self.rate_mbps, "Mbit/s"),
        }
        if name not in makers:
            raise InputError(f"There is no map {name!r}; choose one of {', '.join(makers)}.")
        make, unit = makers[name]
        values = np.where(self.best_server() >= 0, make(), np.nan)
        raster = np.full(self.grid.shape, np.nan)
        raster[self.grid.row, self.grid.column] = values
        known = values[np.isfinite(values)]
        low, high = np.percentile(known, [2, 98]) if len(known) else (0.0, 1.0)
        return raster_figure(raster, (float(low), float(high)), f"{name.upper()} of the best server", unit)

    # --- maps: a value a pixel ---------------------------------------------------------------------------------------

    def best_server(self, awake: np.ndarray | None = None, carrier: int | None = None) -> np.ndarray:
        """(pixels,) int32 strongest cell, of one carrier where it is given; -1 where none is in reach."""
        serving = self.serving(awake)
        if carrier is not None:
            return serving.server[carrier]
        return _at(serving.server, self._strongest_carrier(serving))

    def rsrp_dbm(self, awake: np.ndarray | None = None, carrier: int | None = None) -> np.ndarray:
        """(pixels,) float32 outdoor level of the best server in dBm, -inf where none is in reach."""
        serving = self.serving(awake)
        return serving.rsrp_dbm[carrier] if carrier is not None else serving.rsrp_dbm.max(axis=0)

    def sinr_db(
        self,
        load: np.ndarray | None = None,
        awake: np.ndarray | None = None,
        carrier: int | None = None,
        indoors: bool = False,
    ) -> np.ndarray:
        """(pixels,) float32 SINR in dB of the best server, -inf where none is in reach."""
        serving = self.serving(awake)
        values = serving.sinr_db(self._load(load))[INDOORS if indoors else OUTDOORS]
        return values[carrier] if carrier is not None else _at(values, self._strongest_carrier(serving))

    def rate_mbps(
        self,
        load: np.ndarray | None = None,
        awake: np.ndarray | None = None,
        carrier: int | None = None,
        indoors: bool = False,
    ) -> np.ndarray:
        """(pixels,) Mbit/s of a user who has all PRBs of its servers, of all carriers together (or of the best, as
        the settings say); 0 without coverage. The load counts for interference alone."""
        rate = self.serving(awake).rate_mbps(self._load(load))[INDOORS if indoors else OUTDOORS]
        if carrier is not None:
            return rate[carrier]
        return rate.max(axis=0) if self.settings.carriers == "best" else rate.sum(axis=0)

    def covered(self, awake: np.ndarray | None = None, indoors: bool = False) -> np.ndarray:
        """(pixels,) bool, whether a cell reaches the threshold of its band plus margin (and building loss)."""
        return self.serving(awake).covered[INDOORS if indoors else OUTDOORS].any(axis=0)

    def servers_at(
        self, lon: float, lat: float, awake: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(cells, dBm) in reach of a place in degrees, strongest first. Raises InputError outside the area."""
        pixel = int(self.grid.pixel_at(lon, lat)[0])
        if pixel < 0:
            raise InputError(f"The place at lon {lon:g}, lat {lat:g} lies outside the area.")
        entries = slice(self.levels.indptr[pixel], self.levels.indptr[pixel + 1])
        cell, level = self.levels.cell[entries], self.levels.rsrp_dbm[entries]
        up = np.ones(len(cell), bool) if awake is None else np.asarray(awake, bool)[cell]
        return cell[up], level[up]

    def covered_users(self, awake: np.ndarray | None = None) -> np.ndarray:
        """(pixels,) share of a pixel's users that is covered, by the settings' share of users indoors."""
        outdoors, indoors = self.users_by_place()
        return outdoors * self.covered(awake) + indoors * self.covered(awake, indoors=True)

    # --- shares ------------------------------------------------------------------------------------------------------

    def pixel_values(self, tile_values: ArrayLike) -> np.ndarray:
        """(pixels,) values of tiles (tiles,), such as Mbit/s or people, spread over their pixels by weight."""
        values = np.asarray(tile_values, float)
        return np.where(self.grid.tile >= 0, values[self.grid.tile], 0.0) * self.grid.weight

    def covered_share(
        self, awake: np.ndarray | None = None, tile_values: ArrayLike | None = None
    ) -> tuple[float, float, float]:
        """Share of the ground, or of what `tile_values` (tiles,) counts, that is covered: outdoors, indoors, and of
        users by the settings' share of indoor users."""
        values = np.ones(len(self.grid)) if tile_values is None else self.pixel_values(tile_values)
        total = values.sum()
        if not total > 0:
            return 0.0, 0.0, 0.0
        out, inside = (float(values[self.covered(awake, indoors)].sum() / total) for indoors in (False, True))
        share = self.settings.indoor_share
        return out, inside, (1 - share) * out + share * inside

    def cell_shares(self, awake: np.ndarray | None = None) -> Shares:
        """Which cell is the best server of which share of a tile's traffic; what no cell covers is left out."""
        server, covered = self.best_server(awake), self.covered(awake)
        return self._shares(np.where(covered, server, -1), len(self.cells))

    def sector_shares(self, awake: np.ndarray | None = None) -> Shares:
        """The same by sector, in the order of `Network.sectors`."""
        server, covered = self.best_server(awake), self.covered(awake)
        sector = self.network.sector_of_cell
        return self._shares(np.where(covered & (server >= 0), sector[server], -1), int(sector.max()) + 1)

    def _shares(self, server: np.ndarray, servers: int) -> Shares:
        inside = (server >= 0) & (self.grid.tile >= 0)
        key = self.grid.tile[inside].astype(np.int64) * servers + server[inside]
        pair, row = np.unique(key, return_inverse=True)
        share = np.bincount(row, self.grid.weight[inside], len(pair))
        return Shares(pair // servers, pair % servers, share, servers)

    # --- capacity ----------------------------------------------------------------------------------------------------

    def spectral_efficiency(
        self,
        load: np.ndarray | None = None,
        awake: np.ndarray | None = None,
        tile_values: ArrayLike | None = None,
    ) -> np.ndarray:
        """(cells,) bit/s/Hz over all layers, of the traffic that each cell serves; NaN for a cell that serves none.

        The mean over a cell's traffic is harmonic: the traffic that it carries by the time that this takes.
        tile_values: (tiles,) relative traffic; None counts every pixel alike.
        """
        carried, time = self._carried(load, awake, tile_values)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(time > 0, 1e6 * carried / time / self.cells.bandwidth_hz, np.nan)

    def capacity_mbps(
        self,
        load: np.ndarray | None = None,
        allowed_load: float = 1.0,
        awake: np.ndarray | None = None,
        tile_values: ArrayLike | None = None,
    ) -> np.ndarray:
        """(cells,) Mbit/s that each cell carries at an allowed load: PRBs x spectral efficiency x layers.

        A cell that serves nothing takes the mean efficiency of its carrier.
        """
        efficiency = self.spectral_efficiency(load, awake, tile_values)
        for carrier in range(self.cells.carriers):
            mine = self.cells.carrier == carrier
            known = efficiency[mine & ~np.isnan(efficiency)]
            efficiency[mine & np.isnan(efficiency)] = known.mean() if len(known) else 0.0
        return allowed_load * self.cells.peak_mbps(efficiency)

    def _carried(
        self, load: np.ndarray | None, awake: np.ndarray | None, tile_values: ArrayLike | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(cells,) traffic and time of each cell."""
        serving = self.serving(awake)
        rate = serving.rate_mbps(self._load(load), held=True)
        values = np.ones(len(self.grid)) if tile_values is None else self.pixel_values(tile_values)
        time = serving.time_of(rate) * self.users_by_place()[:, None, None] * values
        on = serving.server >= 0
        cell = serving.server[on]
        count = len(self.cells)
        carried = np.bincount(cell, (time * rate).sum(axis=0)[on], count)
        return carried, np.bincount(cell, time.sum(axis=0)[on], count)

    def users_by_place(self) -> np.ndarray:
        """(2,) share of users outdoors and indoors."""
        return np.array([1 - self.settings.indoor_share, self.settings.indoor_share])

    def record(self) -> dict[str, Any]:
        """For provenance: settings and pixels."""
        return {
            "settings": self.settings.record(),
            "pixels": len(self.grid),
            "pixel_m": self.grid.pixel_m,
            "area_km2": round(self.grid.area_km2, 3),
            "crs": self.grid.crs,
            "carriers": list(self.cells.bands),
            "notes": list(self.notes),
        }

    def _load(self, load: np.ndarray | None) -> np.ndarray:
        if load is None:
            return np.full(len(self.cells), DEFAULT_LOAD)
        load = np.asarray(load, float)
        if load.shape != (len(self.cells),) or not (load >= 0).all():
            raise InputError(f"Loads must be one number of at least 0 for each of {len(self.cells)} cells.")
        return load

    @staticmethod
    def _strongest_carrier(serving: Serving) -> np.ndarray:
        return serving.signal_mw.argmax(axis=0)


def _at(values: np.ndarray, carrier: np.ndarray) -> np.ndarray:
    """(pixels,) of values (carriers, pixels) at a carrier a pixel."""
    return np.take_along_axis(values, carrier[None], axis=0)[0]
