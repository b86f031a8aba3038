"""Power of base stations (eq. 13), vectorised over sites and hours.

    site power = (1 + ac_slope) * (bbu_w + sum of RRUs) + ac_bias_w
    RRU        = idle_w + slope_w_per_mbps * load   when awake, sleep_w when asleep

Where whole sites may sleep, one with every cell asleep also turns off its BBU and the fixed part of its cooling.

The paper's symbols: k_n = slope_w_per_mbps, b_n = idle_w, c_m = bbu_w, k_m = ac_slope, b_m = ac_bias_w.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planning.errors import InputError
from planning.network import Network

HOURS_A_YEAR = 8760
CO2_KG_PER_KWH = 0.5306  # China, 2023 grid mean, Ministry of Ecology and Environment; editable


@dataclass(frozen=True)
class Groups:
    """Identical cells of a site taken together, so that plans count awake cells instead of naming them."""

    site: np.ndarray  # (groups,) row of the site
    count: np.ndarray  # (groups,) cells
    capacity: np.ndarray  # (groups,) Mbit/s of a cell
    idle_w: np.ndarray  # (groups,) of an awake cell without load
    slope: np.ndarray  # (groups,) W per Mbit/s
    sleep_w: np.ndarray  # (groups,) of an asleep cell
    coverage: np.ndarray  # (groups,) cells that today's rules keep awake
    lowest: np.ndarray  # (groups,) cells that a plan must keep awake: the same, or none where `site_sleeps`
    cells: tuple[np.ndarray, ...]  # of each group: the cells' rows in the network
    bbu_w: np.ndarray  # (sites,)
    ac_slope: np.ndarray  # (sites,)
    ac_bias_w: np.ndarray  # (sites,)
    site_sleeps: bool = False  # whether whole sites may sleep

    @classmethod
    def of(cls, network: Network, whole_site: bool = False) -> Groups:
        """Group the network's cells. Coverage cells stay awake; a site without any keeps its thriftiest cell awake.

        whole_site: plans may put every cell of a site to sleep.
        """
        cells = network.cells
        site = network.site_of_cell
        figures = ["capacity_mbps", "idle_w", "slope_w_per_mbps", "sleep_w", "is_coverage"]
        table = cells[figures].assign(row_site=site, kind=cells["technology"].astype(str))
        number = table.groupby(["row_site", "kind", *figures], sort=True).ngroup().to_numpy()
        members = tuple(rows_of_each(number, int(number.max()) + 1))
        first = np.array([m[0] for m in members])
        count = np.array([len(m) for m in members])
        coverage = np.where(cells["is_coverage"].to_numpy(bool)[first], count, 0)
        idle = cells["idle_w"].to_numpy(float)[first]
        covered = np.bincount(site[first], coverage, len(network.sites)) > 0
        for s in np.flatnonzero(~covered):
            mine = np.flatnonzero(site[first] == s)
            coverage[mine[idle[mine].argmin()]] = 1
        sites = network.sites
        return cls(
            site[first],
            count,
            cells["capacity_mbps"].to_numpy(float)[first],
            idle,
            cells["slope_w_per_mbps"].to_numpy(float)[first],
            cells["sleep_w"].to_numpy(float)[first],
            coverage,
            np.zeros_like(coverage) if whole_site else coverage,
            members,
            sites["bbu_w"].to_numpy(float),
            sites["ac_slope"].to_numpy(float),
            sites["ac_bias_w"].to_numpy(float),
            whole_site,
        )

    @property
    def sites(self) -> int:
        """How many, with or without cells that may sleep."""
        return len(self.bbu_w)

    @property
    def free(self) -> np.ndarray:
        """Numbers of the groups of which some cell may sleep."""
        return np.flatnonzero(self.count > self.lowest)

    @property
    def factor(self) -> np.ndarray:
        """(groups,) what a watt in the RRU costs with its cooling."""
        return 1 + self.ac_slope[self.site]

    @property
    def wake_w(self) -> np.ndarray:
        """(groups,) W that one more awake, idle cell costs, cooling included."""
        return self.factor * (self.idle_w - self.sleep_w)

    @property
    def site_w(self) -> np.ndarray:
        """(sites,) W of the BBU with its cooling and the fixed part of the cooling."""
        return (1 + self.ac_slope) * self.bbu_w + self.ac_bias_w

    def site_sum(self, values: np.ndarray) -> np.ndarray:
        """(groups, hours) -> (sites, hours)."""
        out = np.zeros((self.sites, values.shape[1]))
        np.add.at(out, self.site, values)
        return out

    def capacity_of(self, awake: np.ndarray) -> np.ndarray:
        """(sites, hours) Mbit/s of awake counts (groups, hours)."""
        return self.site_sum(self.capacity[:, None] * awake)

    def spread(self, awake: np.ndarray, load: np.ndarray) -> np.ndarray:
        """(groups, hours) Mbit/s: a site's load (sites, hours) on its awake cells, fewest watts per Mbit/s first."""
        rest = load.copy()
        out = np.zeros(awake.shape)
        for rank in self._merit:
            room = self.capacity[rank, None] * awake[rank]
            out[rank] = np.minimum(rest[self.site[rank]], room)
            rest[self.site[rank]] -= out[rank]
        return out

    @property
    def _merit(self) -> list[np.ndarray]:
        """Groups by their place in the site's merit order: at most one group a site in each array."""
        order = np.lexsort((np.arange(len(self.site)), self.slope, self.site))
        site = self.site[order]
        start = np.searchsorted(site, site)
        rank = np.arange(len(site)) - start
        return [order[rank == r] for r in range(int(rank.max()) + 1)] if len(rank) else []

    def power_w(self, awake: np.ndarray, load: np.ndarray) -> np.ndarray:
        """(sites, hours) W of eq. 13, for awake counts and loads (groups, hours)."""
        rru = self.idle_w[:, None] * awake + self.slope[:, None] * load
        rru += self.sleep_w[:, None] * (self.count[:, None] - awake)
        on = self.site_sum(awake) > 0 if self.site_sleeps else 1.0
        return (1 + self.ac_slope[:, None]) * self.site_sum(rru) + self.site_w[:, None] * on


def rows_of_each(number: np.ndarray, count: int) -> list[np.ndarray]:
    """For each of 0 .. count - 1, the rows that have this number, in their order."""
    order = np.argsort(number, kind="stable")
    return np.split(order, np.searchsorted(number[order], np.arange(1, count)))


@dataclass(frozen=True)
class Prices:
    """What a kWh stands for. tariff: money a kWh in the user's own currency; None leaves cost out, as no default would
    be right. kg_per_kwh: CO2 of the grid. Raises InputError for a negative figure."""

    tariff: float | None = None
    kg_per_kwh: float = CO2_KG_PER_KWH

    def __post_init__(self) -> None:
        if (self.tariff is not None and not self.tariff >= 0) or not self.kg_per_kwh >= 0:
            raise InputError("The tariff and the CO2 of a kWh must be at least 0.")

    def of(self, kwh: float) -> dict[str, float]:
        """kwh, co2_kg and, where there is a tariff, cost."""
        figures = {"kwh": kwh, "co2_kg": kwh * self.kg_per_kwh}
        return figures if self.tariff is None else figures | {"cost": kwh * self.tariff}

    def sentence(self, saved_kwh: float, hours: int) -> str:
        """What a saving of a plan of `hours` (a day or a week) comes to in a year of such, with what is assumed."""
        year = self.of(saved_kwh / hours * HOURS_A_YEAR)
        cost = "" if self.tariff is None else f", {year['cost']:,.0f} in money at {self.tariff:g} a kWh"
        source = "assumed: China's grid mean of 2023" if self.kg_per_kwh == CO2_KG_PER_KWH else "given"
        such = "days" if hours <= 24 else "weeks"
        return (
            f"A year of such {such} saves {year['kwh']:,.0f} kWh{cost}, and {year['co2_kg'] / 1000:,.1f} t of CO2 at "
            f"{self.kg_per_kwh:g} kg a kWh ({source})."
        )
