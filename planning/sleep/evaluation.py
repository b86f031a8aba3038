"""What awake cells do on a demand: `dispatch` decides who serves what, `energy` what it costs. One rule for all."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from planning.errors import Shortfall
from planning.sleep.problem import UNSERVED_MBPS, Room, SleepProblem
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
    return Judged(problem, settings, awake).on(demand, reference)


class Judged:
    """Awake parts (parts, plan's hours) that are judged on one demand after the other: what no traffic changes is
    computed once."""

    def __init__(self, problem: SleepProblem, settings: SleepSettings, awake: np.ndarray):
        self.problem, self.awake = problem, awake
        groups = problem.groups
        once = group_counts(groups, awake)
        wakes = woken(awake, problem.before, problem.after)
        self.carrying = Carrying(problem, settings, once)
        self.every = Carrying(problem, settings, groups.count[:, None])
        self.wake_w = problem.wake_wh(settings)[groups.group_of_part] @ wakes
        self.hole_km2 = problem.cover.hole_km2(once)
        self.asleep = (~awake[: groups.cells]).sum(axis=0)
        self.muted = _muted(problem, awake).sum(axis=0)
        self.wakes = int(wakes[: groups.cells].sum())

    @cached_property
    def sector_names(self) -> tuple[str, ...]:
        """In the order of the sectors' numbers."""
        return tuple(self.problem.sector_names)

    def on(self, demand: np.ndarray | None = None, reference: Carried | None = None) -> SleepEvaluation:
        """As `evaluate`."""
        problem = self.problem
        demand = problem.demand if demand is None else demand
        periods = demand.shape[1] // self.awake.shape[1]
        carried = self.carrying.on(demand)
        every = self.every.on(demand) if reference is None else reference
        return self._found(demand, carried, every, periods)

    def _found(self, demand: np.ndarray, carried: Carried, every: Carried, periods: int) -> SleepEvaluation:
        problem = self.problem
        wake_w = np.tile(self.wake_w, periods)
        unserved = carried.unserved
        sector, hour = np.nonzero(unserved > UNSERVED_MBPS)
        missing = unserved[sector, hour]
        worst = int(missing.argmax()) if len(missing) else None  # the first of equal ones
        names = self.sector_names if len(missing) else ()
        sector = carried.sectors[sector]
        holes = np.tile(self.hole_km2, periods)
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
            asleep_cells=np.tile(self.asleep, periods),
            muted_cells=np.tile(self.muted, periods),
            hole_km2=holes,
            hole_share=holes / max(problem.cover.covered_km2, _TINY)
            if problem.cover.covered_km2
            else 0.0 * holes,
            switches=self.wakes * periods,
            worst_sector=None if worst is None else names[sector[worst]],
            worst_hour=None if worst is None else int(hour[worst]),
            worst_missing_mbps=0.0 if worst is None else float(missing[worst]),
            short=Short(names, sector, hour, missing),
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
    every = Carrying(problem, settings, problem.groups.count[:, None])
    return every.on(problem.demand if demand is None else demand)


class Carrying:
    """Awake counts (groups, hours or 1) and what they carry of one demand after the other. Groups whose sectors carry
    nothing cost what they cost idle."""

    def __init__(self, problem: SleepProblem, settings: SleepSettings, counts: np.ndarray):
        self.problem, self.settings, self.counts = problem, settings, counts
        self._room: dict[tuple[int, int], Room] = {}

    @cached_property
    def idle_w(self) -> np.ndarray:
        """(hours,) W without any traffic."""
        # hour by hour, so that equal counts have equal sums however many hours they are told for
        by_site = self.problem.groups.power_w(self.counts, np.zeros((1, 1)))
        return np.ascontiguousarray(by_site.T).sum(axis=1)

    def on(self, demand: np.ndarray) -> Carried:
        """Counts of fewer hours than the demand (classes, hours) are repeated."""
        problem, most = self.problem, self.settings.max_load
        part, groups, _ = problem.part_of(np.asarray(demand.any(axis=1)))
        hours = demand.shape[1]
        watts, served, offloaded, above_limit, max_load = np.zeros((5, hours))
        load_w = groups.load_w
        missing: list[tuple[slice, np.ndarray]] = []
        for now, mine, found in problem.served_by_day(self.settings, self.counts, demand, self._room):
            load = groups.spread(mine, found.load, most)
            watts[now] = load_w @ load
            served[now] = found.load.sum(axis=0)
            busy = np.flatnonzero(load.any(axis=1))
            use = load[busy] / np.maximum(groups.capacity[busy, None] * mine[busy], _TINY)
            above_limit[now] = ((use > most + 1e-9) * mine[busy]).sum(axis=0)
            max_load[now] = use.max(axis=0, initial=0.0)
            if not found.at_home:
                offloaded[now] = found.moved.sum(axis=0)
                missing.append((now, part.graph.by_sector @ found.unserved))
        short = np.zeros(len(part.sectors), bool)
        for _, lack in missing:
            short |= lack.any(axis=1)
        unserved = np.zeros((int(short.sum()), hours))
        for now, lack in missing:
            unserved[:, now] = lack[short]
        watts += np.tile(self.idle_w, hours // self.counts.shape[1])
        return Carried(
            part.sectors[short], unserved, watts, served, offloaded, above_limit.astype(int), max_load
        )


def _muted(problem: SleepProblem, awake: np.ndarray) -> np.ndarray:
    """(cells, hours) bool: awake without its boost."""
    groups = problem.groups
    cells = groups.cells
    out = np.zeros((cells, awake.shape[1]), bool)
    owner = groups.cell_of_part[cells:]
    out[owner] = awake[owner] & ~awake[cells:]
    return out
