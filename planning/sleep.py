"""Base-station sleep: which cells are awake in which hour (eq. 14), and what any such plan does on any traffic.

Every strategy ends as awake cells by hour and is judged by one evaluation: `dispatch` decides who serves what,
`energy` what it costs. Strategies: "always-on"; "night", capacity cells asleep in a fixed window, blindly; "threshold",
utilisation with hysteresis; "greedy"; "milp", the neighbour-ring model of `sleep_milp` as `sleep_solve` solves it;
"paper", eq. 14 as published.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from .demand import Demand
from .dispatch import Dispatch, Ring, dispatch
from .energy import Groups
from .errors import InputError, Shortfall, capacity_error
from .network import Network, Shares, tile_shares
from .overlap import LEAST_SHARE, overlap_ring
from .solver import SolveResult

STRATEGIES = ("always-on", "night", "threshold", "greedy", "milp", "paper")
RINGS = ("distance", "overlap")
RISK_QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
UNSERVED_TOLERANCE = 1e-6  # Mbit/s
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class SleepSettings:
    """What the strategies obey.

    night: (first hour asleep, first hour awake again). sleep_below, wake_above: utilisation of the cells that stay or
    are awake. min_up: hours a woken cell stays awake. switch_wh: price of waking a cell, in Wh (wear and handovers,
    not energy; left out of reported energy). offload_w_per_mbps: price of serving traffic away from home, likewise.
    time_limit (seconds) and gap (relative) for the solver. allow_unserved: plan for what can be served, marked.
    """

    night: tuple[int, int] = (0, 6)
    sleep_below: float = 0.5
    wake_above: float = 0.7
    min_up: int = 2
    switch_wh: float = 50.0
    offload_w_per_mbps: float = 0.5
    time_limit: float = 60.0
    gap: float = 0.01
    solver: str = "auto"
    threads: int | None = None
    allow_unserved: bool = False

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
        notes = (
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
        return self.demand.shape[1]

    @property
    def site_names(self) -> list[str]:
        return self.network.sites["site"].tolist()

    def all_awake(self, hours: int | None = None) -> np.ndarray:
        """(groups, hours) counts with every cell awake."""
        return np.repeat(self.groups.count[:, None], hours or self.hours, axis=1)

    def shortfalls(self, unserved: np.ndarray) -> list[Shortfall]:
        """Named site-hours of an (sites, hours) array of missing Mbit/s."""
        names = self.site_names
        return [
            Shortfall(names[s], int(h), float(unserved[s, h]))
            for s, h in np.argwhere(unserved > UNSERVED_TOLERANCE)
        ]


@dataclass(frozen=True)
class SleepEvaluation:
    """What a plan does on a demand. Arrays are by hour; rates in Mbit/s, energy in kWh.

    unserved: traffic that no awake cell in the ring can carry. offloaded: served by another site than its own.
    switches: cells woken over the plan's cycle.
    """

    energy: np.ndarray
    always_on: np.ndarray
    demand: np.ndarray
    served: np.ndarray
    offloaded: np.ndarray
    unserved: np.ndarray
    overloaded_sites: np.ndarray
    asleep_cells: np.ndarray
    switches: int
    worst_site: str | None
    worst_hour: int | None
    worst_missing_mbps: float
    shortfalls: tuple[Shortfall, ...] = field(repr=False, default=())

    @property
    def hours(self) -> int:
        return len(self.energy)

    @property
    def energy_kwh(self) -> float:
        return float(self.energy.sum())

    @property
    def always_on_kwh(self) -> float:
        return float(self.always_on.sum())

    @property
    def saving(self) -> float:
        """Share of the always-on energy that is saved."""
        return 1 - self.energy_kwh / self.always_on_kwh if self.always_on_kwh else 0.0

    @property
    def kwh_per_day(self) -> float:
        return self.energy_kwh / self.hours * 24

    @property
    def demand_mbph(self) -> float:
        """Mbit/s-hours asked for."""
        return float(self.demand.sum())

    @property
    def served_mbph(self) -> float:
        return float(self.served.sum())

    @property
    def offloaded_mbph(self) -> float:
        return float(self.offloaded.sum())

    @property
    def unserved_mbph(self) -> float:
        return float(self.unserved.sum())

    @property
    def unserved_share(self) -> float:
        return self.unserved_mbph / self.demand_mbph if self.demand_mbph else 0.0

    @property
    def overload_hours(self) -> int:
        """Hours in which any site's traffic is not fully served."""
        return int((self.overloaded_sites > 0).sum())

    def record(self) -> dict:
        """The totals as plain numbers."""
        return {
            "energy_kwh": self.energy_kwh,
            "always_on_kwh": self.always_on_kwh,
            "saving": self.saving,
            "demand_mbps_hours": self.demand_mbph,
            "served_mbps_hours": self.served_mbph,
            "offloaded_mbps_hours": self.offloaded_mbph,
            "unserved_mbps_hours": self.unserved_mbph,
            "unserved_share": self.unserved_share,
            "overload_hours": self.overload_hours,
            "switches": self.switches,
            "worst_site": self.worst_site,
            "worst_hour": self.worst_hour,
            "worst_missing_mbps": self.worst_missing_mbps,
        }


@dataclass(frozen=True)
class SleepPlan:
    """awake: (cells, hours) bool in the order of network.cells. relaxed: made for the traffic that can be served,
    because all of it cannot. evaluation: on the demand it was planned for."""

    strategy: str
    awake: np.ndarray
    problem: SleepProblem
    settings: SleepSettings
    solve: SolveResult | None
    relaxed: bool
    evaluation: SleepEvaluation
    notes: tuple[str, ...] = ()

    @property
    def network(self) -> Network:
        return self.problem.network

    @property
    def hours(self) -> int:
        return self.awake.shape[1]

    def loads(self) -> np.ndarray:
        """(cells, hours) Mbit/s that each cell carries on the planning demand."""
        groups = self.problem.groups
        counts = group_counts(groups, self.awake)
        served = dispatch(self.problem.demand, groups.capacity_of(counts), self.problem.ring)
        by_group = groups.spread(counts, served.load)
        out = np.zeros(self.awake.shape)
        for g, cells in enumerate(groups.cells):
            out[cells] = self.awake[cells] * (by_group[g] / np.maximum(counts[g], 1))
        return out

    def schedule(self) -> pd.DataFrame:
        """One row a cell and hour: cell, site, hour, awake, load_mbps."""
        cells = self.network.cells
        row, hour = np.indices(self.awake.shape).reshape(2, -1)
        return pd.DataFrame(
            {
                "cell": cells["cell"].to_numpy(object)[row],
                "site": cells["site"].to_numpy(object)[row],
                "hour": hour,
                "awake": self.awake.ravel(),
                "load_mbps": self.loads().ravel(),
            }
        )

    def energy_by_hour(self) -> pd.DataFrame:
        """One row an hour of the planning demand."""
        e = self.evaluation
        return pd.DataFrame(
            {
                "hour": np.arange(e.hours),
                "energy_kwh": e.energy,
                "always_on_kwh": e.always_on,
                "demand_mbps": e.demand,
                "served_mbps": e.served,
                "offloaded_mbps": e.offloaded,
                "unserved_mbps": e.unserved,
                "overloaded_sites": e.overloaded_sites,
                "asleep_cells": e.asleep_cells,
            }
        )

    def best_cells(self) -> pd.DataFrame:
        """Cells by what their sleep saves: standing power only, cooling included, most first."""
        cells = self.network.cells
        groups = self.problem.groups
        per_hour = np.zeros(len(cells))
        for g, rows in enumerate(groups.cells):
            per_hour[rows] = groups.wake_w[g] / 1000
        asleep = (~self.awake).sum(axis=1)
        table = pd.DataFrame(
            {
                "cell": cells["cell"],
                "site": cells["site"],
                "hours_asleep": asleep,
                "saved_kwh": asleep * per_hour,
            }
        )
        return table.sort_values(["saved_kwh", "cell"], ascending=[False, True], ignore_index=True)


def group_counts(groups: Groups, awake: np.ndarray) -> np.ndarray:
    """(cells, hours) bool -> (groups, hours) number of awake cells."""
    out = np.zeros((len(groups.site), awake.shape[1]), np.int64)
    for g, cells in enumerate(groups.cells):
        out[g] = awake[cells].sum(axis=0)
    return out


def evaluate(problem: SleepProblem, awake: np.ndarray, demand: np.ndarray | None = None) -> SleepEvaluation:
    """Energy and service of awake cells (cells, hours) on demand (sites, hours), by the rules common to all."""
    demand = problem.demand if demand is None else demand
    groups, ring = problem.groups, problem.ring
    counts = group_counts(groups, awake)
    served = dispatch(demand, groups.capacity_of(counts), ring)
    power = groups.power_w(counts, groups.spread(counts, served.load))
    every = problem.all_awake(demand.shape[1])
    reference = dispatch(demand, groups.capacity_of(every), ring)
    always_on = groups.power_w(every, groups.spread(every, reference.load))
    return _evaluation(problem, awake, demand, served, power, always_on)


def _evaluation(problem, awake, demand, served: Dispatch, power, always_on) -> SleepEvaluation:
    missing = served.unserved
    worst = (
        np.unravel_index(missing.argmax(), missing.shape) if (missing > UNSERVED_TOLERANCE).any() else None
    )
    return SleepEvaluation(
        energy=power.sum(axis=0) / 1000,
        always_on=always_on.sum(axis=0) / 1000,
        demand=demand.sum(axis=0),
        served=served.load.sum(axis=0),
        offloaded=served.moved.sum(axis=0),
        unserved=missing.sum(axis=0),
        overloaded_sites=(missing > UNSERVED_TOLERANCE).sum(axis=0),
        asleep_cells=(~awake).sum(axis=0),
        switches=int((awake & ~np.roll(awake, 1, axis=1)).sum()),
        worst_site=None if worst is None else problem.site_names[worst[0]],
        worst_hour=None if worst is None else int(worst[1]),
        worst_missing_mbps=0.0 if worst is None else float(missing[worst]),
        shortfalls=tuple(problem.shortfalls(missing)),
    )


def replay(plan: SleepPlan, traffic: Demand | np.ndarray) -> SleepEvaluation:
    """The plan on traffic it was not made on: a Demand on the same tiles or elsewhere, or (sites, hours) Mbit/s.

    A plan of 24 hours repeats every day. The samples of an ensemble follow one another, each a full period.
    """
    problem = plan.problem
    if isinstance(traffic, Demand):
        shares = tile_shares(problem.network, traffic.x, traffic.y)
        load = np.concatenate(
            [shares.apply(traffic.mbps[:, s].astype(float)) for s in range(traffic.samples)], axis=1
        )
    else:
        load = np.asarray(traffic, float)
        if load.ndim != 2 or load.shape[0] != len(problem.network.sites):
            raise InputError(
                f"The traffic must be ({len(problem.network.sites)} sites, hours), not {load.shape}."
            )
    if load.shape[1] % plan.hours:
        raise InputError(
            f"A plan of {plan.hours} hours can only be replayed on whole periods of it, not on {load.shape[1]} hours."
        )
    awake = np.tile(plan.awake, load.shape[1] // plan.hours)
    return evaluate(problem, awake, load)


def plan_sleep(
    problem: SleepProblem,
    strategy: str = "milp",
    settings: SleepSettings | None = None,
    progress: Progress | None = None,
    earlier: np.ndarray | None = None,
) -> SleepPlan:
    """Make a plan by one of STRATEGIES; earlier: awake cells (cells, hours) that "milp" may begin from.

    Raises CapacityError, naming sites, hours and missing Mbit/s, when the demand cannot be served even with every
    cell awake; with settings.allow_unserved the plan is made for what can be served and marked `relaxed`.
    """
    from . import sleep_paper, sleep_rules, sleep_solve

    settings = settings or SleepSettings()
    settings.validate(problem.hours)
    if strategy not in STRATEGIES:
        raise InputError(f"Unknown sleep strategy {strategy!r}; choose one of {', '.join(STRATEGIES)}.")
    everything = problem.groups.capacity_of(problem.all_awake())
    missing = dispatch(problem.demand, everything, problem.ring).unserved
    relaxed = bool((missing > UNSERVED_TOLERANCE).any())
    if relaxed and not settings.allow_unserved:
        raise capacity_error(
            problem.shortfalls(missing),
            "add cells or sites there, lower the quantile, or allow unserved traffic",
        )
    # what nobody can serve is taken out of the plan's demand, not out of its evaluation
    servable = replace(problem, demand=np.maximum(problem.demand - missing, 0.0)) if relaxed else problem
    solve, notes = None, ()
    if progress:
        progress(0, 1, strategy)
    if strategy == "milp":
        awake, solve, notes = sleep_solve.ring_plan(servable, settings, progress, earlier)
    elif strategy == "paper":
        awake, solve, notes = sleep_paper.paper_plan(servable, settings)
    else:
        rule = {
            "always-on": sleep_rules.always_on,
            "night": sleep_rules.night,
            "threshold": sleep_rules.threshold,
            "greedy": sleep_rules.greedy,
        }[strategy]
        awake = rule(servable, settings)
    if progress:
        progress(1, 1, strategy)
    return SleepPlan(strategy, awake, problem, settings, solve, relaxed, evaluate(problem, awake), notes)


def compare_strategies(
    problem: SleepProblem,
    strategies: Sequence[str] = STRATEGIES,
    settings: SleepSettings | None = None,
    held_out: Demand | np.ndarray | None = None,
    progress: Progress | None = None,
    earlier: np.ndarray | None = None,
) -> tuple[dict[str, SleepPlan], pd.DataFrame]:
    """Every strategy on the same demand, judged alike; with `held_out`, also replayed on it (columns replay_*).

    earlier: as in `plan_sleep`.
    """
    plans, rows = {}, []
    for number, strategy in enumerate(strategies):
        plan = plan_sleep(problem, strategy, settings, _part(progress, number, len(strategies)), earlier)
        plans[strategy] = plan
        row = {"strategy": strategy, **plan.evaluation.record()}
        row["status"] = "rule" if plan.solve is None else plan.solve.status
        row["gap"] = None if plan.solve is None else plan.solve.gap
        row["relaxed"] = plan.relaxed
        if held_out is not None:
            other = replay(plan, held_out)
            row.update({f"replay_{k}": v for k, v in other.record().items()})
        rows.append(row)
    if progress:
        progress(len(strategies), len(strategies), "done")
    return plans, pd.DataFrame(rows)


def _part(progress: Progress | None, number: int, parts: int, fine: int = 100) -> Progress | None:
    """The progress of one of several equal parts, told as part of the whole."""
    if progress is None:
        return None
    return lambda done, total, what: progress(
        fine * number + fine * done // max(total, 1), fine * parts, what
    )


def risk_curve(
    network: Network,
    demand: Demand,
    held_out: Demand,
    quantiles: Sequence[float],
    strategy: str = "greedy",
    settings: SleepSettings | None = None,
    progress: Progress | None = None,
    **around,
) -> pd.DataFrame:
    """What saving costs in service: a plan for each reserve quantile of `demand`, replayed on `held_out`.

    around: further arguments of `SleepProblem.build`. Columns: quantile, saving (of the always-on energy on the
    held-out traffic, 0..1), unserved_share (0..1), overload_hours, worst_missing_mbps. Raises as `plan_sleep` does.
    """
    rows = []
    for done, quantile in enumerate(quantiles):
        if progress:
            progress(done, len(quantiles), f"reserve at {quantile:g}")
        problem = SleepProblem.build(network, demand, quantile=quantile, **around)
        other = replay(plan_sleep(problem, strategy, settings), held_out)
        names = ("saving", "unserved_share", "overload_hours", "worst_missing_mbps")
        rows.append({"quantile": quantile} | {name: other.record()[name] for name in names})
    if progress:
        progress(len(quantiles), len(quantiles), "done")
    return pd.DataFrame(rows)
