"""A few sites of a network with the traffic around them, small enough to be planned PRB by PRB."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from planning.demand import Demand
from planning.errors import InputError
from planning.geometry import local_metres, tile_corner
from planning.network import Network

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

MAX_SITES = 10  # up to which a downlink plan's bound sees all interference
_GRID = 16  # places a side of a tile, by which its traffic is divided


@dataclass(frozen=True)
class Cluster:
    """network: of its sites. demand: of the tiles around, each with the share of its traffic that is nearest to one of
    the sites."""

    network: Network
    demand: Demand
    _tree: cKDTree
    _member: np.ndarray
    _origin: tuple[float, float]

    @classmethod
    def of(cls, network: Network, demand: Demand, lon: float, lat: float, sites: int = 7) -> Cluster:
        """The sites nearest to a place in degrees. Raises InputError for a number that makes no sense, and where they
        have no traffic."""
        from scipy.spatial import cKDTree

        if not 1 <= sites <= MAX_SITES:
            raise InputError(f"A cluster has 1 to {MAX_SITES} sites, not {sites}.")
        if not (abs(lon) <= 180 and abs(lat) <= 85):
            raise InputError(f"The place at lon {lon:g}, lat {lat:g} lies outside the map.")
        origin = (float(lon), float(lat))
        places = network.metres(origin)
        tree = cKDTree(places)
        member = np.zeros(len(places), bool)
        member[np.argsort(np.hypot(*places.T), kind="stable")[:sites]] = True
        step = (np.arange(_GRID) + 0.5) / _GRID
        at_x, at_y = (v.ravel() for v in np.meshgrid(step, step))
        share = np.empty(demand.tiles)
        for tile in range(demand.tiles):
            near = tree.query(
                local_metres(*tile_corner(demand.x[tile] + at_x, demand.y[tile] + at_y), origin)
            )[1]
            share[tile] = member[near].mean()
        own = share > 0
        if not (own.any() and (demand.mbps[own] > 0).any()):
            raise InputError(
                "No traffic of the area is nearest to these sites; pick a place inside the area."
            )
        part = share[own, None, None].astype(np.float32)
        around = replace(
            demand,
            x=demand.x[own],
            y=demand.y[own],
            mbps=demand.mbps[own] * part,
            users=demand.users[own] * part,
            covered_share=demand.covered_share[own] * share[own],
            intensities={name: values[own] for name, values in demand.intensities.items()},
        )
        return cls(network.only(member), around, tree, member, origin)

    def inside(self, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        """(places,) bool, whether the nearest site is one of the cluster."""
        near = self._tree.query(local_metres(lon, lat, self._origin))[1]
        return np.asarray(self._member[near])
