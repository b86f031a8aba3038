"""What no plan exceeds: objective, served Mbit/s and demands met, and the fewest PRBs that serve as much.

Uplink: without interference (`bound`). Downlink: with interference (`on_sets`), or without where that says more, as it
knows that numbers of PRBs are whole.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from planning.prb.bound import Options, solve_dual
from planning.prb.on_sets import OnSets, Prices
from planning.prb.problem import MET, Objective, PrbProblem, PrbSettings, Values

# prices of a PRB at which the fewest PRBs are bounded, of the Mbit/s that a PRB serves in the plan
_PRB_PRICES = (0.6, 0.3, 0.9, 0.15)
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Bounds:
    """objective_mbps, served_mbps, met: no plan exceeds them. on_sets, prices: the downlink's linear program and its
    best prices, None on the uplink."""

    objective_mbps: float
    served_mbps: float
    met: int
    on_sets: OnSets | None = None
    prices: Prices | None = None

    @classmethod
    def of(
        cls, problem: PrbProblem, settings: PrbSettings, deadline: float, owner: np.ndarray | None = None
    ) -> Bounds:
        """As good as can be had until `deadline` (of time.perf_counter).

        owner: (stations, prbs) user or -1 of a plan to begin from.
        """
        most = settings.most(problem)
        quiet = [
            solve_dual(Options(problem, objective, most), settings, deadline).bound
            for objective in (settings.objective, SERVED, DEMANDS)
        ]
        on_sets, prices = None, None
        if not problem.uplink:
            on_sets = OnSets.of(problem, settings)
            if owner is not None:
                on_sets.learn(owner)
            left = deadline - time.perf_counter()
            prices = on_sets.solve(settings.objective, time.perf_counter() + 0.7 * left)
            loud = [prices.bound, *(on_sets.solve(o, deadline).bound for o in (SERVED, DEMANDS))]
            quiet = np.minimum(quiet, loud).tolist()
        demand = float(problem.demand_mbps.sum())
        return cls(quiet[0], min(quiet[1], demand), int(np.floor(quiet[2] + _ROUNDING)), on_sets, prices)

    def branched(self, settings: PrbSettings, enough: float, deadline: float) -> Bounds:
        """With the objective's bound after branch and bound on the demands that are met (downlink)."""
        if self.on_sets is None or self.prices is None:
            return self
        bound = self.on_sets.branched(settings.objective, self.prices, enough, deadline)
        return replace(self, objective_mbps=min(self.objective_mbps, bound))


class _Demands(Objective):
    """Worth 1 where the demand is met."""

    def worth(self, rate: Values, demand: Values) -> np.ndarray:
        return (np.asarray(rate) >= np.asarray(demand) * MET).astype(float)

    def jump(self, demand: Values) -> np.ndarray:
        return np.ones_like(np.asarray(demand, float))


def served_less_prbs(tau_mbps: float) -> Objective:
    """Mbit/s served, each user's up to its demand, less a price for each PRB."""
    return Objective(tau_mbps, np.array([1.0, 0.0]), np.array([0.0, 1.0]), 0.0, 0.0, 0.0)


SERVED = served_less_prbs(0.0)
DEMANDS = _Demands(0.0, np.zeros(1), np.zeros(1), None, 0.0, 0.0)


def fewest_prbs(
    problem: PrbProblem,
    settings: PrbSettings,
    served_mbps: float,
    used_prbs: int,
    on_sets: OnSets | None,
    deadline: float,
) -> int:
    """PRBs that any plan takes to serve so much: at any price t, PRBs >= (served - max of (served - t PRBs)) / t."""
    if used_prbs == 0:
        return 0
    most = settings.most(problem)

    def bound(objective: Objective) -> float:
        quiet = solve_dual(Options(problem, objective, most), settings, deadline).bound
        return quiet if on_sets is None else min(quiet, on_sets.solve(objective, deadline).bound)

    least = 0.0
    for share in _PRB_PRICES:
        tau = share * served_mbps / used_prbs
        if not tau > 0 or (time.perf_counter() > deadline and least > 0):
            break
        least = max(least, (served_mbps - bound(served_less_prbs(tau))) / tau)
    return int(min(used_prbs, np.ceil(least - _ROUNDING)))
