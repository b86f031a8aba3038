"""What awake cells do on a demand: `dispatch` decides who serves what, `energy` what it costs. One rule for all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from planning.errors import Shortfall
from planning.sleep.dispatch import Dispatch, dispatch
from planning.sleep.problem import UNSERVED_MBPS, SleepProblem
from planning.sleep.schedule import group_counts, woken


@dataclass(frozen=True)
class SleepEvaluation:
    """What a plan does on a demand. Arrays are (hours,); rates in Mbit/s, their sums in Mbit/s-hours, energy in kWh."""

    energy: np.ndarray
    always_on: np.ndarray  # energy of the same traffic with every cell awake
    demand: np.ndarray
    served: np.ndarray
    offloaded: np.ndarray  # served by another site than its own
    unserved: np.ndarray  # no awake cell in the ring can carry it
    overloaded_sites: np.ndarray  # number of sites with unserved traffic
    asleep_cells: np.ndarray  # number
    switches: int  # cells woken over the plan's cycle
    worst_site: str | None  # with the most missing Mbit/s in an hour, None where nothing is missing
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
    def demand_mbps_hours(self) -> float:
        """What is asked for."""
        return float(self.demand.sum())

    @property
    def served_mbps_hours(self) -> float:
        return float(self.served.sum())

    @property
    def offloaded_mbps_hours(self) -> float:
        return float(self.offloaded.sum())

    @property
    def unserved_mbps_hours(self) -> float:
        return float(self.unserved.sum())

    @property
    def unserved_share(self) -> float:
        return self.unserved_mbps_hours / self.demand_mbps_hours if self.demand_mbps_hours else 0.0

    @property
    def overload_hours(self) -> int:
        """Hours in which any site's traffic is not fully served."""
        return int((self.overloaded_sites > 0).sum())

    def record(self) -> dict[str, Any]:
        """The totals as plain numbers."""
        return {
            "energy_kwh": self.energy_kwh,
            "always_on_kwh": self.always_on_kwh,
            "saving": self.saving,
            "demand_mbps_hours": self.demand_mbps_hours,
            "served_mbps_hours": self.served_mbps_hours,
            "offloaded_mbps_hours": self.offloaded_mbps_hours,
            "unserved_mbps_hours": self.unserved_mbps_hours,
            "unserved_share": self.unserved_share,
            "overload_hours": self.overload_hours,
            "switches": self.switches,
            "worst_site": self.worst_site,
            "worst_hour": self.worst_hour,
            "worst_missing_mbps": self.worst_missing_mbps,
        }


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


def _evaluation(
    problem: SleepProblem,
    awake: np.ndarray,
    demand: np.ndarray,
    served: Dispatch,
    power: np.ndarray,
    always_on: np.ndarray,
) -> SleepEvaluation:
    missing = served.unserved
    worst = np.unravel_index(missing.argmax(), missing.shape) if (missing > UNSERVED_MBPS).any() else None
    return SleepEvaluation(
        energy=power.sum(axis=0) / 1000,
        always_on=always_on.sum(axis=0) / 1000,
        demand=demand.sum(axis=0),
        served=served.load.sum(axis=0),
        offloaded=served.moved.sum(axis=0),
        unserved=missing.sum(axis=0),
        overloaded_sites=(missing > UNSERVED_MBPS).sum(axis=0),
        asleep_cells=(~awake).sum(axis=0),
        switches=int(woken(awake).sum()),
        worst_site=None if worst is None else problem.site_names[worst[0]],
        worst_hour=None if worst is None else int(worst[1]),
        worst_missing_mbps=0.0 if worst is None else float(missing[worst]),
        shortfalls=tuple(problem.shortfalls(missing)),
    )
