"""Power of base stations (eq. 13), vectorised over cells and hours.

    site power = (1 + ac_slope) * (bbu_w + sum of cells) + ac_bias_w
    cell       = idle_w + slope_w_per_mbps * load   when awake
               = off_w                              when off while another carrier keeps its radio unit on
               = sleep_w                            when every carrier of its radio unit is off

Where whole sites may sleep, one with every cell asleep also turns off its BBU and the fixed part of its cooling.

The paper's symbols: k_n = slope_w_per_mbps, b_n = idle_w, c_m = bbu_w, k_m = ac_slope, b_m = ac_bias_w.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from planning.network import Network
from planning.power_states import CARRIER_OFF, MUTED_CAPACITY, MUTING

# cells of a sector and radio unit that agree in all of these have the same power, capacity and reach
_ALIKE = (
    "technology", "capacity_mbps", "idle_w", "slope_w_per_mbps", "sleep_w", "is_coverage", "azimuth", "band",
    "frequency_mhz", "bandwidth_mhz", "beamwidth_deg", "vertical_beamwidth_deg", "height_m", "tilt_deg", "power_dbm",
    "gain_dbi",
)  # fmt: skip
_FIGURES = ("capacity_mbps", "idle_w", "slope_w_per_mbps", "sleep_w")


@dataclass(frozen=True)
class CellGroups:
    """Identical cells of a sector taken together, so that plans count awake cells instead of naming them.

    A cell whose RF channels may be muted has two parts: what is on while it is muted, and the rest (its boost), which
    is on only while the first part is. Parts 0 .. cells - 1 are the cells themselves; the boosts follow.

    Attributes
    ----------
    sector, site : (groups,) int
        Rows of the sector and of the site.
    count : (groups,) int
        Parts of the group.
    capacity : (groups,) float
        Mbit/s of a part at full load.
    idle_w, slope, off_w : (groups,) float
        W of an awake part without load; W per Mbit/s; W of an asleep part while its radio unit is on.
    coverage : (groups,) int
        Parts that the rules of thumb (night window, load threshold) keep awake.
    lowest : (groups,) int
        Parts that every plan keeps awake.
    parts : tuple of (count,) int
        Rows of the parts of each group.
    boost_of : (groups,) int
        Group of the cells whose boosts these are; -1 for cells.
    hub, hub_group : (pairs,) int
        Members of a hub: it is on while any member is. A hub is a radio unit of several carriers, or a site that may
        sleep.
    hub_w : (hubs,) float
        W that the hub draws then, cooling included.
    hub_site : (hubs,) int
    site_of_sector : (sectors,) int
    standing_w : (sites,) float
        W that no plan changes: the BBU with its cooling and the fixed part of the cooling; 0 where the site may sleep.
    ac_slope : (sites,) float
    cells : int
        Cells of the network.
    site_sleeps : bool
    """

    sector: np.ndarray
    site: np.ndarray
    count: np.ndarray
    capacity: np.ndarray
    idle_w: np.ndarray
    slope: np.ndarray
    off_w: np.ndarray
    coverage: np.ndarray
    lowest: np.ndarray
    parts: tuple[np.ndarray, ...]
    boost_of: np.ndarray
    hub: np.ndarray
    hub_group: np.ndarray
    hub_w: np.ndarray
    hub_site: np.ndarray
    site_of_sector: np.ndarray
    standing_w: np.ndarray
    ac_slope: np.ndarray
    cells: int
    site_sleeps: bool = False

    def __getstate__(self) -> dict[str, Any]:
        """Without what can be computed again, and the parts as one array: thousands of short ones take long to send."""
        kept = {one.name: getattr(self, one.name) for one in fields(self)}
        length = np.array([len(rows) for rows in self.parts], int)
        return kept | {"parts": (length, np.concatenate(self.parts) if len(length) else length)}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        length, rows = kept["parts"]
        ends = np.cumsum(length).tolist()
        parts = tuple(rows[a:b] for a, b in pairwise([0, *ends]))
        vars(self).update(kept | {"parts": parts})

    @classmethod
    def of(
        cls,
        network: Network,
        *,
        whole_site: bool = False,
        muting: bool = False,
        never: np.ndarray | None = None,
        capacity_mbps: np.ndarray | None = None,
        apart: np.ndarray | None = None,
    ) -> CellGroups:
        """Group the cells of a network by sector, carrier and radio unit.

        Parameters
        ----------
        whole_site : coverage cells may sleep too, and a site with every cell asleep turns its BBU off.
        muting : RF channels of cells may be muted.
        never : (cells,) bool, cells that are always fully on.
        capacity_mbps : (cells,) at full load, in place of the network's nominal ones.
        apart : (cells,) int, cells with different numbers are never taken together.

        Unless `whole_site`, coverage cells stay awake, and so does the thriftiest cell of a sector without any.
        """
        cells = network.cells
        never = np.zeros(len(cells), bool) if never is None else np.asarray(never, bool)
        if capacity_mbps is not None:
            cells = cells.assign(capacity_mbps=np.asarray(capacity_mbps, float))
        sector, unit = network.sector_of_cell, _shared_units(network)
        alike = [c for c in _ALIKE if c in cells]
        keys = {"_sector": sector, "_unit": unit, "_never": never, "_apart": 0 if apart is None else apart}
        labels = (
            cells[alike].assign(**keys).groupby([*keys, *alike], sort=True, dropna=False).ngroup().to_numpy()
        )
        members = rows_of_each(labels, int(labels.max()) + 1)
        first = np.array([m[0] for m in members])
        count = np.array([len(m) for m in members])
        capacity, idle, slope, sleep = (cells[name].to_numpy(float)[first] for name in _FIGURES)
        own, sectors = sector[first], int(sector.max()) + 1
        role = np.where(cells["is_coverage"].to_numpy(bool)[first], count, 0)
        uncovered = np.bincount(own, role, sectors) == 0
        order = np.lexsort((idle, own))
        thriftiest = order[np.unique(own[order], return_index=True)[1]]  # one a sector
        keeper = thriftiest[uncovered[own[thriftiest]]]
        role[keeper] = 1
        locked = np.where(never[first], count, 0)
        role = np.maximum(role, locked)
        site, sites = network.site_of_cell[first], network.sites
        ac_slope = sites["ac_slope"].to_numpy(float)
        standing = (1 + ac_slope) * sites["bbu_w"].to_numpy(float) + sites["ac_bias_w"].to_numpy(float)
        shared = unit[first]
        off = np.where(shared >= 0, np.maximum(sleep, CARRIER_OFF.left * idle), sleep)
        hub_w = count * (off - sleep) * (1 + ac_slope[site])  # saved where the whole unit is off
        hubs = _hubs(unit=shared, site=site, saved_w=hub_w, site_w=standing if whole_site else None)
        site_of_sector = np.zeros(sectors, int)
        site_of_sector[own] = site
        groups = cls(
            sector=own, site=site, count=count, capacity=capacity, idle_w=idle, slope=slope, off_w=off,
            coverage=role, lowest=locked if whole_site else role, parts=tuple(members),
            boost_of=np.full(len(first), -1), **hubs._asdict(), site_of_sector=site_of_sector,
            standing_w=np.zeros_like(standing) if whole_site else standing, ac_slope=ac_slope, cells=len(cells),
            site_sleeps=whole_site,
        )  # fmt: skip
        return groups._with_boosts(locked) if muting else groups

    def _with_boosts(self, locked: np.ndarray) -> CellGroups:
        """Every cell as two parts, but for those whose muting would save nothing."""
        muted_w = np.maximum(MUTING.left * self.idle_w, self.off_w)
        chosen = np.flatnonzero(self.idle_w > muted_w)
        extra = self.cells + np.cumsum(self.count[chosen]) - self.count[chosen]
        boosts = tuple(e + np.arange(n) for e, n in zip(extra, self.count[chosen], strict=True))
        idle, capacity = self.idle_w.copy(), self.capacity.copy()
        idle[chosen], capacity[chosen] = muted_w[chosen], MUTED_CAPACITY * self.capacity[chosen]
        more = {
            "sector": self.sector[chosen], "site": self.site[chosen], "count": self.count[chosen],
            "capacity": self.capacity[chosen] - capacity[chosen], "idle_w": self.idle_w[chosen] - idle[chosen],
            "slope": self.slope[chosen], "off_w": np.zeros(len(chosen)), "coverage": self.coverage[chosen],
            "lowest": locked[chosen], "boost_of": chosen,
        }  # fmt: skip
        base: dict[str, Any] = {name: getattr(self, name) for name in more}
        base |= {"idle_w": idle, "capacity": capacity}
        joined: dict[str, Any] = {name: np.concatenate([base[name], more[name]]) for name in more}
        return replace(self, **joined, parts=self.parts + boosts)

    def with_few_states(self, most: int) -> tuple[CellGroups, int]:
        """The same with at most so many combinations of awake parts a sector, and how many groups stay awake for it:
        those whose sleep saves least."""
        lowest = self.lowest.copy()
        states = np.ones(self.sectors)
        np.multiply.at(states, self.sector, self.count - lowest + 1)
        locked = 0
        for s in np.flatnonzero(states > most):
            mine = np.flatnonzero((self.sector == s) & (self.count > lowest))
            for g in mine[np.argsort(self.full_saving_w[mine], kind="stable")]:
                if states[s] <= most:
                    break
                if (
                    self.boost_of[g] < 0
                    and (self.boost_of == g).any()
                    and lowest[self.boost_of == g].min() == 0
                ):
                    continue  # its boost saves less and comes first
                states[s] /= self.count[g] - lowest[g] + 1
                lowest[g] = self.count[g]
                locked += 1
                base = self.boost_of[g]
                if base >= 0:  # a boost that is always on keeps its cell on
                    states[s] /= self.count[base] - lowest[base] + 1
                    lowest[base] = self.count[base]
        return replace(self, lowest=lowest, coverage=np.maximum(self.coverage, lowest)), locked

    def only(self, sectors: np.ndarray) -> tuple[CellGroups, np.ndarray]:
        """The groups of some sectors (sectors,) ascending, and their numbers: for capacities and loads.

        Watts that other sectors share, as of sites and hubs, are not those of the smaller groups.
        """
        number = np.full(self.sectors, -1)
        number[sectors] = np.arange(len(sectors))
        kept = np.flatnonzero(number[self.sector] >= 0)
        mine = {
            name: getattr(self, name)[kept]
            for name in ("site", "count", "capacity", "idle_w", "slope", "off_w", "coverage", "lowest")
        }
        none = np.zeros(0, int)
        smaller = replace(
            self, **mine, sector=number[self.sector[kept]], parts=(), boost_of=np.full(len(kept), -1), hub=none,
            hub_group=none, hub_w=np.zeros(0), hub_site=none, site_of_sector=self.site_of_sector[sectors],
        )  # fmt: skip
        return smaller, kept

    @property
    def sectors(self) -> int:
        return len(self.site_of_sector)

    @property
    def sites(self) -> int:
        return len(self.standing_w)

    @property
    def number_of_parts(self) -> int:
        return int(self.count.sum())

    @property
    def free(self) -> np.ndarray:
        """Numbers of the groups of which some part may sleep."""
        return np.flatnonzero(self.count > self.lowest)

    @cached_property
    def group_of_part(self) -> np.ndarray:
        """(parts,) int."""
        out = np.empty(self.number_of_parts, int)
        out[self.members[0]] = np.repeat(np.arange(len(self.count)), self.count)
        return out

    @cached_property
    def place_of_part(self) -> np.ndarray:
        """(parts,) place of each part in its group, from 0."""
        parts, first = self.members
        out = np.empty(self.number_of_parts, int)
        out[parts] = np.arange(len(parts)) - np.repeat(first, self.count)
        return out

    @cached_property
    def members(self) -> tuple[np.ndarray, np.ndarray]:
        """Parts group by group, (parts,) int, and (groups,) where those of each begin."""
        return np.concatenate(self.parts), np.cumsum(self.count) - self.count

    @cached_property
    def cell_of_part(self) -> np.ndarray:
        """(parts,) row of the cell that a part belongs to."""
        out = np.arange(self.number_of_parts)
        for g in np.flatnonzero(self.boost_of >= 0):
            out[self.parts[g]] = self.parts[self.boost_of[g]]
        return out

    @property
    def cell_capacity_mbps(self) -> np.ndarray:
        """(cells,) at full load, all parts of a cell together."""
        return np.bincount(self.cell_of_part, self.capacity[self.group_of_part], self.cells)

    @property
    def factor(self) -> np.ndarray:
        """(groups,) what a watt of a cell costs with its cooling."""
        return 1 + self.ac_slope[self.site]

    @property
    def wake_w(self) -> np.ndarray:
        """(groups,) W that one more awake, idle part costs, cooling included, hubs not."""
        return self.factor * (self.idle_w - self.off_w)

    @property
    def full_saving_w(self) -> np.ndarray:
        """(groups,) W that a part's sleep saves at most: with its share of a radio unit that sleeps with it."""
        members = np.bincount(self.hub, self.count[self.hub_group], len(self.hub_w))
        share = np.zeros(len(self.site))
        np.add.at(share, self.hub_group, self.hub_w[self.hub] / np.maximum(members[self.hub], 1))
        return self.wake_w + share

    @property
    def hubs(self) -> sparse.csr_array:
        """(hubs, groups) 0/1 members."""
        shape = (len(self.hub_w), len(self.site))
        return sparse.csr_array((np.ones(len(self.hub)), (self.hub, self.hub_group)), shape)

    @cached_property
    def _by_sector(self) -> sparse.csr_array:
        shape = (self.sectors, len(self.site))
        return sparse.csr_array((np.ones(len(self.site)), (self.sector, np.arange(len(self.site)))), shape)

    @cached_property
    def _by_site(self) -> sparse.csr_array:
        shape = (self.sites, len(self.site))
        return sparse.csr_array((np.ones(len(self.site)), (self.site, np.arange(len(self.site)))), shape)

    def capacity_of(self, counts: np.ndarray) -> np.ndarray:
        """(sectors, hours) Mbit/s at full load of awake counts (groups, hours)."""
        return self._by_sector @ (self.capacity[:, None] * counts)

    def tiers(self, counts: np.ndarray) -> list[np.ndarray]:
        """(sectors, hours) Mbit/s at full load of the awake parts with the fewest watts per Mbit/s, of these and the
        next ones, and so on up to all; parts with the same are one tier."""
        out, total = [], np.zeros((self.sectors, counts.shape[1]))
        for rank in self._price_ranks:
            for alone in rank:
                total[self.sector[alone]] += self.capacity[alone, None] * counts[alone]
            out.append(total.copy())
        return out

    @cached_property
    def _price_ranks(self) -> list[list[np.ndarray]]:
        """Groups by the place of their watts per Mbit/s among those of their sector; those of one place in arrays with
        at most one group a sector each."""
        price = self.slope * self.factor
        order = np.lexsort((price, self.sector))
        new = np.ones(len(order), bool)
        new[1:] = (self.sector[order][1:] != self.sector[order][:-1]) | (np.diff(price[order]) > 0)
        place = np.cumsum(new) - 1
        first = np.searchsorted(self.sector[order], self.sector[order])
        rank = np.empty(len(order), int)
        rank[order] = place - place[first]
        equals = (np.flatnonzero(rank == r) for r in range(int(rank.max(initial=-1)) + 1))
        return [_apart(rows, self.sector[rows]) for rows in equals]

    def spread(self, counts: np.ndarray, load: np.ndarray, limit: float = 1.0) -> np.ndarray:
        """(groups, hours) Mbit/s of a sector's load (sectors, hours) on its awake parts (groups, hours or 1).

        Fewest watts per Mbit/s first, each up to `limit` of its capacity, then what is left up to all of it.
        """
        rest = load.copy()
        out = np.zeros((len(self.site), load.shape[1]))
        for share in (limit,) if limit >= 1 else (limit, 1.0):
            for merit in self._merit:
                rank = merit[
                    (rest.max(axis=1, initial=0.0) > 0)[self.sector[merit]]
                ]  # of sectors with something left
                sector, before = self.sector[rank], out[rank]
                room = share * self.capacity[rank, None] * counts[rank] - before
                left = rest[sector]
                step = np.clip(left, 0.0, np.maximum(room, 0.0, out=room), out=room)
                out[rank] = before + step
                rest[sector] = left - step
        return out

    @cached_property
    def _merit(self) -> list[np.ndarray]:
        """Groups by their place in the sector's merit order: at most one group a sector in each array."""
        order = np.lexsort((np.arange(len(self.site)), self.slope * self.factor, self.sector))
        rank = np.arange(len(order)) - np.searchsorted(self.sector[order], self.sector[order])
        return [order[rank == r] for r in range(int(rank.max(initial=-1)) + 1)]

    @property
    def load_w(self) -> np.ndarray:
        """(groups,) W per Mbit/s that a group carries, cooling included."""
        return self.factor * self.slope

    def power_w(self, counts: np.ndarray, load: np.ndarray) -> np.ndarray:
        """(sites, hours) W of eq. 13, for awake counts and loads (groups, hours)."""
        parts = self.idle_w[:, None] * counts + self.slope[:, None] * load
        parts += self.off_w[:, None] * (self.count[:, None] - counts)
        total = self._by_site @ (self.factor[:, None] * parts) + self.standing_w[:, None]
        # a radio unit of several carriers off as a whole draws less than its carriers off one by one
        on = (self.hubs @ counts) > 0
        np.add.at(total, self.hub_site, self.hub_w[:, None] * (on - self._hub_counted[:, None]))
        return total

    @cached_property
    def _hub_counted(self) -> np.ndarray:
        """(hubs,) 1 for radio units, whose watts are in off_w already; 0 for sites."""
        return (self.hub_kind == 0).astype(float)

    @property
    def hub_kind(self) -> np.ndarray:
        """(hubs,) 0 for a radio unit, 1 for a site."""
        units = len(self.hub_w) - (self.sites if self.site_sleeps else 0)
        return (np.arange(len(self.hub_w)) >= units).astype(int)


def _shared_units(network: Network) -> np.ndarray:
    """(cells,) number of the radio unit where it has several carriers, -1 where it is the cell's own."""
    if "radio_unit" not in network.cells:
        return np.full(len(network.cells), -1)
    # names of radio units are those of a site
    names = network.cells["site"].astype(str) + "\n" + network.cells["radio_unit"].astype(str)
    number, _ = names.factorize()
    return np.where(np.bincount(number)[number] > 1, number, -1)


class _Hubs(NamedTuple):
    """The fields of `CellGroups` of these names."""

    hub: np.ndarray
    hub_group: np.ndarray
    hub_w: np.ndarray
    hub_site: np.ndarray


def _hubs(*, unit: np.ndarray, site: np.ndarray, saved_w: np.ndarray, site_w: np.ndarray | None) -> _Hubs:
    """Radio units first, then sites where they may sleep.

    unit, site: (groups,) rows; saved_w: (groups,) W that the whole unit saves; site_w: (sites,) W, None where no site
    may sleep.
    """
    shared = np.flatnonzero(unit >= 0)
    units, hub = np.unique(unit[shared], return_inverse=True)
    hub_w = np.bincount(hub, saved_w[shared], len(units))
    hub_site = np.zeros(len(units), int)
    hub_site[hub] = site[shared]
    group = shared
    if site_w is not None:
        hub = np.concatenate([hub, len(units) + site])
        group = np.concatenate([group, np.arange(len(site))])
        hub_w = np.concatenate([hub_w, site_w])
        hub_site = np.concatenate([hub_site, np.arange(len(site_w))])
    return _Hubs(hub, group, hub_w, hub_site)


def _apart(rows: np.ndarray, number: np.ndarray) -> list[np.ndarray]:
    """The rows in arrays in which no number, (rows,), comes twice; of one number in their order."""
    order = np.argsort(number, kind="stable")
    place = np.empty(len(rows), int)
    place[order] = np.arange(len(rows)) - np.searchsorted(number[order], number[order])
    return [rows[place == p] for p in range(int(place.max(initial=-1)) + 1)]


def rows_of_each(number: np.ndarray, count: int) -> list[np.ndarray]:
    """For each of 0 .. count - 1, the rows that have this number, in their order."""
    order, bounds = _ordered(number, count)
    return [order[a:b] for a, b in pairwise(bounds)]  # np.split takes far longer


def listed_rows_of_each(number: np.ndarray, count: int) -> list[list[int]]:
    """`rows_of_each` as lists, for loops over single rows."""
    order, bounds = _ordered(number, count)
    rows = order.tolist()
    return [rows[a:b] for a, b in pairwise(bounds)]


def _ordered(number: np.ndarray, count: int) -> tuple[np.ndarray, list[int]]:
    """(rows,) ascending by their number, and where those of each of 0 .. count - 1 begin and the last ones end."""
    order = np.argsort(number, kind="stable")
    ends = np.searchsorted(number[order], np.arange(1, count)).tolist()
    return order, [0, *ends, len(order)] if count else []
