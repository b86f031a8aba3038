"""The best sleep plan so far, while `ring_plan` looks for a better one."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from planning.sleep.dispatch import dispatch
from planning.sleep.milp import hourly_cost
from planning.sleep.problem import UNSERVED_MBPS, SleepProblem, SleepSettings
from planning.sleep.schedule import group_counts, woken
from planning.sleep.sweep import sweep
from planning.solver import relative_gap

SWEEPING_SHARE = 0.1  # of the time that is left


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


@dataclass
class Incumbent:
    """The best plan so far and what no plan is better than. awake: (cells, hours) bool. objective, bound: Wh over the
    plan's hours. build_seconds, solver: of the programs that were solved on the way."""

    awake: np.ndarray
    objective: float
    bound: float
    build_seconds: float = 0.0
    solver: str = ""

    @property
    def gap(self) -> float:
        """Relative; infinite without a bound."""
        found = relative_gap(self.objective, self.bound)
        return float("inf") if found is None else found

    def take(self, awake: np.ndarray, objective: float) -> None:
        """This plan instead, where it is better."""
        if objective < self.objective:
            self.awake, self.objective = awake, objective

    def improve(
        self, problem: SleepProblem, settings: SleepSettings, awake: np.ndarray, clock: Clock
    ) -> None:
        """Take a plan or what sweeps over the sites make of it."""
        self.take(awake, objective_of(problem, settings, awake))
        swept = sweep(problem, settings, awake, SWEEPING_SHARE * max(clock.left, 0.0))
        self.take(swept, objective_of(problem, settings, swept))


def objective_of(problem: SleepProblem, settings: SleepSettings, awake: np.ndarray) -> float:
    """Wh of awake cells by the common dispatch rule, in the objective of `milp.ring_model`."""
    counts = group_counts(problem.groups, awake)
    return hourly_cost(problem, settings, counts) + settings.switch_wh * float(woken(awake).sum())


def serves_all(problem: SleepProblem, awake: np.ndarray) -> bool:
    """Whether all demand is served with at least the cells that must be awake."""
    groups = problem.groups
    counts = group_counts(groups, awake)
    capacity = groups.capacity_of(counts)
    enough = (counts >= groups.lowest[:, None]).all()
    return bool(enough and (dispatch(problem.demand, capacity, problem.ring).unserved <= UNSERVED_MBPS).all())
