"""What a sleep plan is made for: cells, ring and demand, and the settings that the strategies obey."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from planning.demand import Demand
from planning.energy import Groups
from planning.errors import InputError, Shortfall
from planning.network import Network
from planning.network.serving import Shares, tile_shares
from planning.sleep.dispatch import Ring
from planning.sleep.overlap import LEAST_SHARE, overlap_ring

RINGS = ("distance", "overlap")
UNSERVED_MBPS = 1e-6  # less is rounding


@dataclass(frozen=True)
class SleepSettings:
    """What the strategies obey, and how long a solver may take."""

    night: tuple[int, int] = (0, 6)  # first hour asleep, first hour awake again
    sleep_below: float = 0.5  # utilisation of the cells that would stay awake, below which one goes to sleep
    wake_above: float = 0.7  # utilisation of the awake cells, above which one is woken
    min_up: int = 2  # hours that a woken cell stays awake
    switch_wh: float = (
        50.0  # price of waking a cell: wear and handovers, not energy, so left out of what is reported
    )
    offload_w_per_mbps: float = 0.5  # price of serving traffic away from home, likewise
    time_limit: float = 60.0  # seconds
    gap: float = 0.01  # relative, between plan and bound, at which to stop
    solver: str = "auto"
    threads: int | None = None  # None: as many as there are cores
    allow_unserved: bool = False  # plan for what can be served, marked, instead of refusing

    def validate(self, hours: int) -> None:
        """Raises InputError for a setting outside its range."""
        if not all(0 <= h <= 24 for h in self.night):
            raise InputError(f"The night window must be two hours between 0 and 24, not {self.night}.")
        if not 0 <= self.sleep_below < self.wake_above <= 1:
            raise InputError(
                f"The thresholds must satisfy 0 <= sleep below < wake above <= 1, not {self.sleep_below:g} and "
                f"{self.wake_above:g}."
            )
        if not 1 <= self.min_up <= hours:
            raise InputError(f"The minimum up time must be 1 to {hours} hours, not {self.min_up}.")
        if self.switch_wh < 0 or self.offload_w_per_mbps < 0:
            raise InputError("The prices of switching and of offloading must be at least 0.")
        if not self.time_limit > 0:
            raise InputError(f"The time limit must be above 0 seconds, not {self.time_limit:g}.")
        if not 0 <= self.gap < 1:
            raise InputError(f"The relative gap must be between 0 and 1, not {self.gap:g}.")


@dataclass(frozen=True)
class SleepProblem:
    """Cells, ring and demand of a sleep plan.

    demand: (sites, hours) Mbit/s at the planning quantile; hours repeat cyclically. shares: tiles to sites, to
    lay other traffic on the same sites (None for a problem made from site demand).
    """

    network: Network
    groups: Groups
    ring: Ring
    demand: np.ndarray
    quantile: float | None = None
    shares: Shares | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def build(
        cls,
        network: Network,
        demand: Demand,
        hours: int | None = 24,
        quantile: float = 0.9,
        ring_m: float = 2000.0,
        max_neighbours: int = 6,
        whole_site: bool = False,
        ring: str = "distance",
    ) -> SleepProblem:
        """Plan for the `quantile` of the ensemble: a typical day (24) or the table's hours (168).

        ring_m, max_neighbours: a site's traffic may be taken over by its nearest sites within ring_m metres (ring
        "distance"), or by those that reach most of its ground within ring_m metres, at least half ("overlap").
        whole_site: the MILP and greedy may put every cell of a site to sleep, and its BBU with them.
        """
        shares = tile_shares(network, demand.x, demand.y)
        load = shares.profile(demand, hours, quantile)
        problem = cls.of_sites(network, load, ring_m, max_neighbours, whole_site)
        if ring not in RINGS:
            raise InputError(f"Unknown ring {ring!r}; choose one of {', '.join(RINGS)}.")
        if ring == "overlap":
            problem = replace(problem, ring=overlap_ring(network, demand.x, demand.y, ring_m, max_neighbours))
        helpers = (
            f"sites within {ring_m:,.0f} m"
            if ring == "distance"
            else f"sites that reach at least {LEAST_SHARE:.0%} of its ground within {ring_m:,.0f} m"
        )
        over = "samples and days" if load.shape[1] == 24 and demand.hours > 24 else "samples"
        notes: tuple[str, ...] = (
            f"Planned for the {100 * quantile:g} % quantile over {over}, {load.shape[1]} hours, repeated cyclically.",
            f"Traffic goes to the nearest site; up to {max_neighbours} {helpers} may take it over.",
            "Cells of a site share its traffic, those with the fewest watts per Mbit/s first.",
            demand.scale.sentence,
        )
        if whole_site:
            notes += (
                "Whole sites may sleep: assumed that their BBU and fixed cooling turn off with the last cell, and that "
                "neighbours within the radius cover their area.",
            )
        return replace(problem, quantile=quantile, shares=shares, notes=notes)

    @classmethod
    def of_sites(
        cls,
        network: Network,
        load: np.ndarray,
        ring_m: float = 2000.0,
        max_neighbours: int = 6,
        whole_site: bool = False,
    ) -> SleepProblem:
        """A problem from demand per site (sites, hours) that is already at hand."""
        load = np.asarray(load, float)
        if load.ndim != 2 or load.shape[0] != len(network.sites):
            raise InputError(f"The demand must be ({len(network.sites)} sites, hours), not {load.shape}.")
        if not (np.isfinite(load) & (load >= 0)).all():
            raise InputError("The demand of the sites must be finite and at least 0.")
        if not ring_m >= 0 or max_neighbours < 0:
            raise InputError("The ring's radius and its number of neighbours must be at least 0.")
        return cls(
            network, Groups.of(network, whole_site), Ring.of(network.metres(), ring_m, max_neighbours), load
        )

    @property
    def hours(self) -> int:
        """Of the plan's cycle."""
        return self.demand.shape[1]

    @property
    def site_names(self) -> list[str]:
        """In the order of the demand's rows."""
        return self.network.sites["site"].tolist()

    def all_awake(self, hours: int | None = None) -> np.ndarray:
        """(groups, hours) counts with every cell awake."""
        return np.repeat(self.groups.count[:, None], hours or self.hours, axis=1)

    def shortfalls(self, unserved: np.ndarray) -> list[Shortfall]:
        """Named site-hours of an (sites, hours) array of missing Mbit/s."""
        names = self.site_names
        return [
            Shortfall(names[s], int(h), float(unserved[s, h]))
            for s, h in np.argwhere(unserved > UNSERVED_MBPS)
        ]
