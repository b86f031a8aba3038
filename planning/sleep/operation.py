"""Rules of operation: which cells may sleep when, and what must stay covered."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shapely

from planning.energy import CellGroups
from planning.errors import InputError
from planning.network import Network

BOUNDARIES = ("cyclic", "awake")


@dataclass(frozen=True)
class Operation:
    """Rules of operation that say which cells may sleep when.

    Attributes
    ----------
    whole_site : coverage cells may sleep too, and a site with every cell asleep turns its BBU off.
    muting : RF channels of cells may be muted.
    never : (cells,) bool, cells that are always fully on; None: none.
    window : (first hour, last hour) of the day in which cells may sleep, the last excluded; None: all.
    band_order : bands in the order in which they go to sleep in a sector; a cell is awake only while those of the later
        bands are.
    max_hole_share : share of the covered ground that may lose coverage in an hour, 0..1.
    boundary : "cyclic", or "awake": every cell is on before the first hour and after the last.
    """

    whole_site: bool = False
    muting: bool = False
    never: np.ndarray | None = None
    window: tuple[int, int] | None = None
    band_order: tuple[str, ...] = ()
    max_hole_share: float = 0.0
    boundary: str = "cyclic"

    def validate(self, network: Network) -> None:
        """Raises InputError."""
        if self.boundary not in BOUNDARIES:
            raise InputError(f"Unknown boundary {self.boundary!r}; choose one of {', '.join(BOUNDARIES)}.")
        if not 0 <= self.max_hole_share <= 1:
            raise InputError(
                f"The share of ground that may lose coverage must be 0 to 1, not {self.max_hole_share:g}."
            )
        if self.window is not None and not all(0 <= h <= 24 for h in self.window):
            raise InputError(f"The hours in which cells may sleep must be 0 to 24, not {self.window}.")
        if self.never is not None and np.shape(self.never) != (len(network.cells),):
            raise InputError("The list of cells that never sleep must have one value a cell.")
        named = self.band_order and "band" in network.cells
        known = set(network.cells["band"].astype(str)) if named else set()
        for band in self.band_order:
            if band not in known:
                raise InputError(
                    f"No cell has the band {band!r}; the network has {', '.join(sorted(known))}."
                )
        if len(set(self.band_order)) < len(self.band_order):
            raise InputError("The order of the bands names a band twice.")

    def groups(self, network: Network, capacity_mbps: np.ndarray | None = None) -> CellGroups:
        """The cells of a network under these rules."""
        apart = np.arange(len(network.cells)) if self.band_order else None
        return CellGroups.of(
            network, whole_site=self.whole_site, muting=self.muting, never=self.never, capacity_mbps=capacity_mbps,
            apart=apart,
        )  # fmt: skip

    def requires(self, network: Network, groups: CellGroups) -> np.ndarray:
        """(pairs, 2) groups of which the first is awake only while the second is."""
        boosts = np.flatnonzero(groups.boost_of >= 0)
        pairs = [np.stack([boosts, groups.boost_of[boosts]], axis=1)]
        if self.band_order:
            rank = {band: i for i, band in enumerate(self.band_order)}
            first = np.array([rows[0] for rows in groups.parts])[groups.boost_of < 0]
            of_group = (
                pd.Series(network.cells["band"].astype(str).to_numpy()[first]).map(rank).to_numpy(float)
            )
            for sector in range(groups.sectors):
                mine = np.flatnonzero((groups.sector == sector) & (groups.boost_of < 0))
                ranks = of_group[mine]
                levels = np.unique(ranks[np.isfinite(ranks)])
                for now, later in itertools.pairwise(levels):
                    a, b = np.meshgrid(mine[ranks == now], mine[ranks == later])
                    pairs.append(np.stack([a.ravel(), b.ravel()], axis=1))
        return np.concatenate(pairs).astype(int)

    def may_sleep(self, groups: CellGroups, hours: int) -> np.ndarray | None:
        """(groups, hours) bool; None where any hour will do."""
        if self.window is None:
            return None
        first, last = self.window
        hour = np.arange(hours) % 24
        inside = (hour >= first) & (hour < last) if first < last else (hour >= first) | (hour < last)
        return np.broadcast_to(inside, (len(groups.site), hours))


def never(network: Network, names: Sequence[str] = (), areas: Sequence[Any] = ()) -> np.ndarray | None:
    """(cells,) bool: cells of these names or sites, and of sites in these areas; None without either. Raises
    InputError."""
    if not names and not areas:
        return None
    return never_sleeping(network, names) | never_in(network, areas)


def never_sleeping(network: Network, names: Sequence[str]) -> np.ndarray:
    """(cells,) bool: the cells of these names and of these sites. Raises InputError for a name that is neither."""
    cells = network.cells["cell"].astype(str)
    sites = network.cells["site"].astype(str)
    known = set(cells) | set(sites)
    for name in names:
        if name not in known:
            raise InputError(
                f"The list of those that never sleep names {name!r}, which is no cell and no site."
            )
    return (cells.isin(names) | sites.isin(names)).to_numpy(bool)


def never_in(network: Network, areas: Sequence[Any]) -> np.ndarray:
    """(cells,) bool: the cells of sites in these areas (shapely geometries in degrees)."""
    points = shapely.points(network.sites["lon"].to_numpy(float), network.sites["lat"].to_numpy(float))
    inside = np.zeros(len(points), bool)
    for area in areas:
        inside |= shapely.covers(area, points)
    return inside[network.site_of_cell]
