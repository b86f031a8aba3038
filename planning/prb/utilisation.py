"""PRB utilisation of a whole network by hour: all traffic, every cell and carrier, and which demand is met.

The load of a cell is the share of its PRBs that its traffic takes at the rates of its users, which depend on the loads
of all other cells: `planning.coverage.loads` finds where both agree. Sectors whose cells are overloaded or busy are hot
spots (`hot_spots`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from plannerbase.counting import counted
from plannerbase.formats import hour_in_prose
from plannerbase.progress import Progress, silent
from planning.coverage import Coverage, NetworkLoads, RadioSettings, coupled_loads
from planning.demand import Demand
from planning.errors import InputError
from planning.network import Network
from planning.radio import Radio
from planning.shared_work import SharedWork

BUSY = 0.7  # load above which operators usually expand a cell (assumed)
DOWNLINK_SHARE = Radio(link="downlink").share  # of the traffic (assumed)
_OVERLOADED = 1 + 1e-3


@dataclass(frozen=True)
class NetworkUtilisation:
    """The downlink of a network in some hours.

    Attributes
    ----------
    coverage : its radio model. x, y : (tiles,) of the demand. hours : of the demand, in order.
    demand_mbps : (tiles, hours) downlink traffic.
    users : (sectors, hours) active users for which a sector is best server.
    loads : of cells, and what is served (`NetworkLoads`).
    sentence : the assumption about traffic.
    """

    coverage: Coverage
    x: np.ndarray
    y: np.ndarray
    hours: tuple[int, ...]
    demand_mbps: np.ndarray
    users: np.ndarray
    loads: NetworkLoads
    sentence: str

    @property
    def network(self) -> Network:
        return self.coverage.network

    @property
    def utilisation(self) -> np.ndarray:
        """(cells, hours) share of PRBs in use, at most the allowed load."""
        return np.minimum(self.loads.load, self.coverage.settings.max_load)

    @cached_property
    def sectors(self) -> pd.DataFrame:
        """A row a sector: sector, site (name), lon, lat, azimuth, cells."""
        sectors, sites = self.network.sectors, self.network.sites
        return pd.DataFrame(
            {
                "sector": sectors["sector"],
                "site": sites["site"].to_numpy(object)[sectors["site"]],
                "lon": sites["lon"].to_numpy()[sectors["site"]],
                "lat": sites["lat"].to_numpy()[sectors["site"]],
                "azimuth": sectors["azimuth"],
                "cells": sectors["cells"],
            }
        )

    def of_sectors(self, cells: np.ndarray) -> np.ndarray:
        """(cells, hours) -> (sectors, hours), summed."""
        out = np.zeros((len(self.sectors), cells.shape[1]))
        np.add.at(out, self.network.sector_of_cell, cells)
        return out

    @cached_property
    def sector_load(self) -> np.ndarray:
        """(sectors, hours) load of the sector's fullest cell."""
        out = np.zeros((len(self.sectors), len(self.hours)))
        np.maximum.at(out, self.network.sector_of_cell, self.loads.load)
        return out

    @cached_property
    def sector_missing_mbps(self) -> np.ndarray:
        """(sectors, hours) traffic beyond the allowed load."""
        return self.of_sectors(self.loads.offered_mbps - self.loads.served_mbps)

    @property
    def sentence_of_all(self) -> str:
        """All hours in words."""
        table = self.by_hour()
        worst = table.loc[table["missing_mbps"].idxmax()]
        demand = table["demand_mbps"].sum()
        served = table["served_mbps"].sum() / demand if demand > 0 else 1.0
        text = (
            f"{counted(len(self.network.sites), 'sites')} with {counted(len(self.network.cells), 'cells')}, "
            f"{counted(len(table), 'hours')}: "
            f"{served:.1%} of the downlink traffic is served, {table['utilisation'].mean():.0%} of PRBs are used on "
            "average"
        )
        if worst["missing_mbps"] > 0:
            text += (
                f"; at {hour_in_prose(int(worst['hour']))} {worst['missing_mbps']:,.1f} Mbit/s are missing, "
                f"{worst['uncovered_mbps']:,.1f} of them for want of coverage"
            )
        return text + f". {self.sentence}"

    def by_hour(self) -> pd.DataFrame:
        """A row an hour: hour, demand_mbps, served_mbps, missing_mbps (uncovered_mbps and overload_mbps), served_share,
        utilisation (mean of cells), busy_cells (load above BUSY), overloaded_cells, users."""
        loads = self.loads
        missing = loads.unserved_mbps.sum(axis=0)
        return pd.DataFrame(
            {
                "hour": self.hours,
                "demand_mbps": self.demand_mbps.sum(axis=0),
                "served_mbps": self.demand_mbps.sum(axis=0) - missing,
                "missing_mbps": missing,
                "uncovered_mbps": loads.uncovered_mbps.sum(axis=0),
                "overload_mbps": loads.overload_mbps.sum(axis=0),
                "served_share": loads.served_share,
                "utilisation": self.utilisation.mean(axis=0),
                "busy_cells": (loads.load > BUSY).sum(axis=0),
                "overloaded_cells": (loads.load > self._limit).sum(axis=0),
                "users": self.users.sum(axis=0),
            }
        )

    @property
    def _limit(self) -> float:
        return self.coverage.settings.max_load * _OVERLOADED

    def cells(self) -> pd.DataFrame:
        """A row a cell and hour: hour, site, sector, cell, band, load, utilisation, offered_mbps, served_mbps."""
        cells, count = self.network.cells, len(self.hours)
        return pd.DataFrame(
            {
                "hour": np.tile(self.hours, len(cells)),
                **{
                    name: np.repeat(cells[name].to_numpy(object), count)
                    for name in ("site", "sector", "cell", "band")
                },
                "load": self.loads.load.ravel(),
                "utilisation": self.utilisation.ravel(),
                "offered_mbps": self.loads.offered_mbps.ravel(),
                "served_mbps": self.loads.served_mbps.ravel(),
            }
        )

    def record(self) -> dict[str, Any]:
        """For provenance."""
        table = self.by_hour()
        return {
            "sentence": self.sentence_of_all,
            "hours": list(self.hours),
            "demand_mbps": float(table["demand_mbps"].mean()),
            "served_mbps": float(table["served_mbps"].mean()),
            "served_share_of_worst_hour": float(table["served_share"].min()),
            "utilisation": float(table["utilisation"].mean()),
            "converged": self.loads.converged,
            "radio": self.coverage.settings.record(),
            "notes": list(self.coverage.notes),
        }

    def hot_spots(self, most: int = 20) -> pd.DataFrame:
        """Sectors with missing traffic or a load above BUSY, those that miss most first, then the fullest.

        A row a sector: sector, site, lon, lat, azimuth, missing_mbps (mean of all hours), worst_hour, worst_load,
        worst_missing_mbps, busy_hours, overloaded_hours, users (at the worst hour); its number is the index.
        """
        missing, load = self.sector_missing_mbps, self.sector_load
        worst = np.where(missing.any(axis=1), missing.argmax(axis=1), load.argmax(axis=1))
        row = np.arange(len(worst))
        table = self.sectors.drop(columns="cells").assign(
            missing_mbps=missing.mean(axis=1),
            worst_hour=np.array(self.hours)[worst],
            worst_load=load[row, worst],
            worst_missing_mbps=missing[row, worst],
            busy_hours=(load > BUSY).sum(axis=1),
            overloaded_hours=(load > self._limit).sum(axis=1),
            users=self.users[row, worst],
        )
        hot = table[table["busy_hours"] > 0]
        return hot.sort_values(["missing_mbps", "worst_load"], ascending=False, kind="stable").head(most)


def network_utilisation(
    network: Network,
    demand: Demand,
    hours: Sequence[int],
    settings: RadioSettings | None = None,
    quantile: float = 0.5,
    downlink_share: float = DOWNLINK_SHARE,
    progress: Progress | None = None,
    work: SharedWork | None = None,
    coverage: Coverage | None = None,
) -> NetworkUtilisation:
    """Loads of all cells in these hours of the demand.

    Parameters
    ----------
    settings : of the radio model.
    quantile : of the ensemble.
    downlink_share : of the traffic.
    work : computes received levels by several processes.
    coverage : of the network on the demand's tiles, where it is known already, instead of `settings`.

    Raises
    ------
    InputError
        For no hours, hours that the demand lacks, and a share outside 0 to 1.
    """
    report = progress or silent
    chosen = tuple(int(h) for h in hours)
    if not chosen:
        raise InputError("Give at least one hour.")
    wrong = [h for h in chosen if not 0 <= h < demand.hours]
    if wrong:
        raise InputError(f"There is no hour {wrong[0]}; the traffic has the hours 0..{demand.hours - 1}.")
    if not 0 < downlink_share <= 1:
        raise InputError(
            f"The share of the downlink must lie above 0 and at most at 1, not {downlink_share:g}."
        )
    if coverage is None:
        coverage = Coverage.of(network, demand.x, demand.y, settings, progress=report, work=work)
    mbps = demand.profile(None, quantile)[:, chosen] * downlink_share
    users = demand.profile(None, quantile, "users")[:, chosen]
    loads = _loads(coverage, mbps, report)
    served = coverage.sector_shares().apply(users)
    sentence = f"{downlink_share:.0%} of the traffic is taken to be downlink. {demand.scale.sentence}"
    return NetworkUtilisation(coverage, demand.x, demand.y, chosen, mbps, served, loads, sentence)


def _loads(coverage: Coverage, mbps: np.ndarray, report: Progress) -> NetworkLoads:
    """`coupled_loads` with the hours shared out to the processors, each of which goes through its own in order."""
    hours = mbps.shape[1]
    parts = np.array_split(np.arange(hours), min(os.cpu_count() or 1, hours))
    coverage.serving()  # made once, before threads need it, and so are the powers
    _ = [carrier.power_mw for carrier in coverage.carriers]
    lock, done = threading.Lock(), [0]

    def part(mine: np.ndarray) -> NetworkLoads:
        def progress(step: int, steps: int, what: str) -> None:
            with lock:
                report(done[0], hours, what)
                done[0] += 1

        return coupled_loads(coverage, mbps[:, mine], progress=progress)

    with ThreadPoolExecutor(len(parts)) as pool:
        found = list(pool.map(part, parts))
    arrays = ("load", "offered_mbps", "served_mbps", "uncovered_mbps", "overload_mbps", "iterations")
    joined = {name: np.concatenate([getattr(f, name) for f in found], axis=-1) for name in arrays}
    return NetworkLoads(**joined, converged=all(f.converged for f in found))
