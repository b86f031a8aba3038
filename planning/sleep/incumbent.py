"""The best sleep plan so far, while `optimise` looks for a better one."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from planning.sleep.problem import UNSERVED_MBPS, SleepProblem
from planning.sleep.schedule import group_counts, woken
from planning.sleep.settings import SleepSettings
from planning.solver import relative_gap


class Clock:
    """A time limit in seconds, from now on."""

    def __init__(self, limit: float):
        self.begun, self.limit = time.perf_counter(), limit

    @property
    def spent(self) -> float:
        return time.perf_counter() - self.begun

    @property
    def left(self) -> float:
        return self.limit - self.spent

    def until(self, share: float) -> float:
        """The perf_counter at which a share of the time that is left is over."""
        return time.perf_counter() + share * max(self.left, 0.0)


@dataclass
class Incumbent:
    """The best plan so far and what no plan is better than. awake: (parts, hours) bool. objective, bound: Wh over the
    plan's hours. build_seconds, solver: of the programs that were solved on the way."""

    awake: np.ndarray
    objective: float
    bound: float = -np.inf
    build_seconds: float = 0.0
    solver: str = ""

    @property
    def gap(self) -> float:
        """Relative; infinite without a bound."""
        found = relative_gap(self.objective, self.bound) if np.isfinite(self.bound) else None
        return float("inf") if found is None else found

    def take(self, awake: np.ndarray, objective: float) -> bool:
        """This plan instead, where it is better."""
        if objective < self.objective:
            self.awake, self.objective = awake, objective
            return True
        return False


def objective_of(problem: SleepProblem, settings: SleepSettings, awake: np.ndarray) -> float:
    """Wh of awake parts as they run by the common rule, in the objective of `milp.ring_model`; inf where they do not
    serve all demand."""
    groups = problem.groups
    counts = group_counts(groups, awake)
    served = problem.serve(settings, counts)
    if (served.unserved > UNSERVED_MBPS).any():
        return float("inf")
    energy = groups.power_w(counts, groups.spread(counts, served.load, settings.max_load)).sum()
    wakes = problem.wake_wh(settings)[groups.group_of_part] @ woken(awake, problem.before, problem.after).sum(
        axis=1
    )
    return float(energy + settings.offload_w_per_mbps * served.moved.sum() + wakes)


def serves_all(problem: SleepProblem, settings: SleepSettings, awake: np.ndarray) -> bool:
    """Whether all demand is served and all ground covered that has to be."""
    counts = group_counts(problem.groups, awake)
    served = bool((problem.serve(settings, counts).unserved <= UNSERVED_MBPS).all())
    return served and bool(problem.cover.kept(counts).all())
