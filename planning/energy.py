"""Power of base stations (eq. 13), vectorised over sites and hours.

    site power = (1 + ac_slope) * (bbu_w + sum of RRUs) + ac_bias_w
    RRU        = idle_w + slope_w_per_mbps * load   when awake, sleep_w when asleep

Where whole sites may sleep, one with every cell asleep also turns off its BBU and the fixed part of its cooling.

The paper's symbols: k_n = slope_w_per_mbps, b_n = idle_w, c_m = bbu_w, k_m = ac_slope, b_m = ac_bias_w.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from planning.errors import InputError
from planning.network import Network

HOURS_A_YEAR = 8760
CO2_KG_PER_KWH = 0.5306  # China, 2023 grid mean, Ministry of Ecology and Environment; editable


@dataclass(frozen=True)
class Groups:
    """Identical cells of a site taken together: (groups,) arrays; cells holds the members' rows in the network.

    coverage: cells that today's rules keep awake. lowest: cells that a plan must keep awake: the same, or none where
    `site_sleeps`, i.e. whole sites may sleep.
    """

    site: np.ndarray
    count: np.ndarray
    capacity: np.ndarray
    idle_w: np.ndarray
    slope: np.ndarray
    sleep_w: np.ndarray
    coverage: np.ndarray
    lowest: np.ndarray
    cells: tuple[np.ndarray, ...]
    bbu_w: np.ndarray  # (sites,)
    ac_slope: np.ndarray  # (sites,)
    ac_bias_w: np.ndarray  # (sites,)
    site_sleeps: bool = False

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


@dataclass(frozen=True)
class PowerFit:
    """RRU power = idle_w + slope_w_per_mbps * load, fitted to measurements (eq. 13). load_mbps, residual_w: (rows,) of
    the measurements used; r2: share of the variance explained."""

    slope_w_per_mbps: float
    idle_w: float
    r2: float
    load_mbps: np.ndarray
    residual_w: np.ndarray

    @property
    def sentence(self) -> str:
        return (
            f"{self.idle_w:,.1f} W idle and {self.slope_w_per_mbps:.4g} W per Mbit/s from {len(self.load_mbps)} "
            f"measurements, R2 {self.r2:.3f}, residuals {self.residual_w.std():.2g} W (standard deviation)."
        )


def fit_power(measured: pd.DataFrame) -> PowerFit:
    """Linear regression of an RRU's power from columns load_mbps, power_w; rows without numbers are left out.

    Raises InputError where a column is missing or the loads do not differ.
    """
    missing = [c for c in ("load_mbps", "power_w") if c not in measured]
    if missing:
        raise InputError(
            f"The measurements lack the column{'s' * (len(missing) > 1)} {', '.join(missing)}; give a table with "
            "load_mbps and power_w."
        )
    load = pd.to_numeric(measured["load_mbps"], errors="coerce").to_numpy(float)
    power = pd.to_numeric(measured["power_w"], errors="coerce").to_numpy(float)
    good = np.isfinite(load) & np.isfinite(power)
    load, power = load[good], power[good]
    if len(load) < 3 or np.ptp(load) == 0:
        raise InputError("A regression needs at least 3 measurements at different loads.")
    slope, intercept = np.polyfit(load, power, 1)
    residual = power - (slope * load + intercept)
    spread = ((power - power.mean()) ** 2).sum()
    r2 = 1 - (residual**2).sum() / spread if spread > 0 else 1.0
    return PowerFit(float(slope), float(intercept), float(r2), load, residual)
