"""What awake cells do on a demand: `dispatch` decides who serves what, `energy` what it costs. One rule for all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from planning.errors import Shortfall
from planning.sleep.problem import UNSERVED_MBPS, SleepProblem
from planning.sleep.schedule import group_counts, woken
from planning.sleep.settings import SleepSettings

GB_PER_MBPS_HOUR = 3600 / 8000  # decimal gigabytes
_TINY = 1e-12


@dataclass(frozen=True)
class Short:
    """Unserved traffic: names of all sectors, and (n,) sector, hour and Mbit/s."""

    names: tuple[str, ...]
    sector: np.ndarray
    hour: np.ndarray
    mbps: np.ndarray


@dataclass(frozen=True)
class SleepEvaluation:
    """What a plan does on a demand. Arrays are (hours,); rates in Mbit/s, their sums in Mbit/s-hours, energy in kWh.

    energy includes that of wake-ups (wake_kwh). offloaded: served by another sector than its own. unserved: no awake
    cell can carry it. overloaded_sectors: with unserved traffic. above_limit: cells above the load limit, because the
    demand does not fit otherwise. max_load: highest load of an awake cell, share of its PRBs. hole_km2: ground that is
    covered with everything on and is not in the hour; hole_share: of that ground.
    """

    energy: np.ndarray
    always_on: np.ndarray  # energy of the same traffic with every cell awake
    always_on_unserved: np.ndarray  # traffic that every cell awake could not serve either
    wake_kwh: np.ndarray
    demand: np.ndarray
    served: np.ndarray
    offloaded: np.ndarray
    unserved: np.ndarray
    overloaded_sectors: np.ndarray
    above_limit: np.ndarray
    max_load: np.ndarray
    asleep_cells: np.ndarray
    muted_cells: np.ndarray
    hole_km2: np.ndarray
    hole_share: np.ndarray
    switches: int  # cells woken over the hours
    worst_sector: str | None  # with the most missing Mbit/s in an hour, None where nothing is missing
    worst_hour: int | None
    worst_missing_mbps: float
    short: Short = field(repr=False)

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """Sectors and hours with unserved traffic, sector by sector."""
        short = self.short
        rows = zip(short.sector.tolist(), short.hour.tolist(), short.mbps.tolist(), strict=True)
        return tuple(Shortfall(short.names[s], h, lack) for s, h, lack in rows)

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
    def unserved_by_sleep(self) -> float:
        """Share of the demand that is unserved and would not be with every cell awake."""
        more = self.unserved_mbps_hours - float(self.always_on_unserved.sum())
        return max(more, 0.0) / self.demand_mbps_hours if self.demand_mbps_hours else 0.0

    @property
    def overload_hours(self) -> int:
        """Hours in which any sector's traffic is not fully served."""
        return int((self.overloaded_sectors > 0).sum())

    @property
    def kwh_per_gb(self) -> float:
        """Energy a GB served (ETSI ES 203 228 has its inverse)."""
        return self.energy_kwh / max(self.served_mbps_hours * GB_PER_MBPS_HOUR, _TINY)

    @property
    def mbit_per_j(self) -> float:
        """Data volume served a joule: the energy efficiency of a mobile network of ETSI ES 203 228, clause 5.3."""
        return self.served_mbps_hours / max(self.energy_kwh * 1000, _TINY)

    def record(self) -> dict[str, Any]:
        """The totals as plain numbers."""
        return {
            "hours": self.hours,
            "energy_kwh": self.energy_kwh,
            "always_on_kwh": self.always_on_kwh,
            "wake_kwh": float(self.wake_kwh.sum()),
            "saving": self.saving,
            "kwh_per_gb": self.kwh_per_gb,
            "mbit_per_j": self.mbit_per_j,
            "demand_mbps_hours": self.demand_mbps_hours,
            "served_mbps_hours": self.served_mbps_hours,
            "offloaded_mbps_hours": self.offloaded_mbps_hours,
            "unserved_mbps_hours": self.unserved_mbps_hours,
            "unserved_share": self.unserved_share,
            "unserved_by_sleep": self.unserved_by_sleep,
            "overload_hours": self.overload_hours,
            "max_load": float(self.max_load.max(initial=0.0)),
            "worst_hole_share": float(self.hole_share.max(initial=0.0)),
            "switches": self.switches,
            "worst_sector": self.worst_sector,
            "worst_hour": self.worst_hour,
            "worst_missing_mbps": self.worst_missing_mbps,
        }


def evaluate(
    problem: SleepProblem,
    settings: SleepSettings,
    awake: np.ndarray,
    demand: np.ndarray | None = None,
    reference: Carried | None = None,
) -> SleepEvaluation:
    """Energy and service of awake parts (parts, plan's hours) on demand (classes, hours), by the rules common to all.

    The plan is repeated as often as the hours ask for. Cells are loaded up to the limit, and above only with traffic
    that does not fit anywhere otherwise. reference: `all_awake` of the demand, where it is at hand.
    """
    demand = problem.demand if demand is None else demand
    groups = problem.groups
    hours = demand.shape[1]
    periods = hours // awake.shape[1]
    once = group_counts(groups, awake)
    carried = _carried(problem, settings, once, demand)
    every = _carried(problem, settings, groups.count[:, None], demand) if reference is None else reference
    wakes = woken(awake, problem.before, problem.after)
    wake_w = np.tile(problem.wake_wh(settings)[groups.group_of_part] @ wakes, periods)
    unserved = carried.unserved
    sector, hour = np.nonzero(unserved > UNSERVED_MBPS)
    missing = unserved[sector, hour]
    worst = int(missing.argmax()) if len(missing) else None  # the first of equal ones
    names = problem.sector_names if len(missing) else []
    sector = carried.sectors[sector]
    cells = groups.cells
    holes = np.tile(problem.cover.hole_km2(once), periods)
    muted = _muted(problem, awake)
    return SleepEvaluation(
        energy=(carried.watts + wake_w) / 1000,
        always_on=every.watts / 1000,
        always_on_unserved=every.unserved.sum(axis=0),
        wake_kwh=wake_w / 1000,
        demand=demand.sum(axis=0),
        served=carried.served,
        offloaded=carried.offloaded,
        unserved=unserved.sum(axis=0),
        overloaded_sectors=(unserved > UNSERVED_MBPS).sum(axis=0),
        above_limit=carried.above_limit,
        max_load=carried.max_load,
        asleep_cells=np.tile((~awake[:cells]).sum(axis=0), periods),
        muted_cells=np.tile(muted.sum(axis=0), periods),
        hole_km2=holes,
        hole_share=holes / max(problem.cover.covered_km2, _TINY)
        if problem.cover.covered_km2
        else 0.0 * holes,
        switches=int(wakes[:cells].sum()) * periods,
        worst_sector=None if worst is None else names[sector[worst]],
        worst_hour=None if worst is None else int(hour[worst]),
        worst_missing_mbps=0.0 if worst is None else float(missing[worst]),
        short=Short(tuple(names), sector, hour, missing),
    )


@dataclass(frozen=True)
class Carried:
    """What awake counts carry of a demand. sectors: (n,) numbers; unserved: (n, hours) of them, no other sector has
    any; the others (hours,)."""

    sectors: np.ndarray
    unserved: np.ndarray
    watts: np.ndarray
    served: np.ndarray
    offloaded: np.ndarray
    above_limit: np.ndarray
    max_load: np.ndarray


def all_awake(problem: SleepProblem, settings: SleepSettings, demand: np.ndarray | None = None) -> Carried:
    """What every cell awake carries of a demand (classes, hours): the same for all plans."""
    return _carried(
        problem, settings, problem.groups.count[:, None], problem.demand if demand is None else demand
    )


def _carried(
    problem: SleepProblem, settings: SleepSettings, counts: np.ndarray, demand: np.ndarray
) -> Carried:
    """counts: (groups, hours), repeated as often as the hours of the demand ask for. Groups whose sectors carry nothing
    cost what they cost idle."""
    part, groups, _ = problem.part_of(np.asarray(demand.any(axis=1)))
    hours = demand.shape[1]
    unserved = np.zeros((len(part.sectors), hours))
    watts, served, offloaded, above_limit, max_load = np.zeros((5, hours))
    for now, mine, found in problem.served_by_day(settings, counts, demand):
        load = groups.spread(mine, found.load, settings.max_load)
        use = load / np.maximum(groups.capacity[:, None] * mine, _TINY)
        unserved[:, now] = part.graph.by_sector @ found.unserved
        watts[now] = groups.load_w @ load
        served[now] = found.load.sum(axis=0)
        offloaded[now] = found.moved.sum(axis=0)
        above_limit[now] = ((use > settings.max_load + 1e-9) * mine).sum(axis=0)
        max_load[now] = use.max(axis=0, initial=0.0)
    # hour by hour, so that equal counts have equal sums however many hours they are told for
    idle = np.ascontiguousarray(problem.groups.power_w(counts, np.zeros((1, 1))).T).sum(axis=1)
    watts += np.tile(idle, hours // counts.shape[1])
    return Carried(part.sectors, unserved, watts, served, offloaded, above_limit.astype(int), max_load)


def _muted(problem: SleepProblem, awake: np.ndarray) -> np.ndarray:
    """(cells, hours) bool: awake without its boost."""
    groups = problem.groups
    cells = groups.cells
    out = np.zeros((cells, awake.shape[1]), bool)
    owner = groups.cell_of_part[cells:]
    out[owner] = awake[owner] & ~awake[cells:]
    return out
