"""Allocations by rule, to compare with: round robin, best SINR, proportional fair.

Each station deals its PRBs one by one to users that still want more, as their rates are at the interference of the deal
before; the deal is repeated with the interference that it caused, and the best deal is kept. Each station begins at
another PRB, so that few users meet while there is room. Scored as every plan: with the true SINR.
"""

from __future__ import annotations

import numpy as np

from planning.errors import InputError
from planning.prb.fixed import found_interference, usual_interference
from planning.prb.plan import PrbPlan
from planning.prb.problem import PrbProblem, PrbSettings
from planning.prb.sinr import Grid

BASELINES = ("round-robin", "best-sinr", "proportional-fair")
_DEALS = 6


def baseline(problem: PrbProblem, name: str, settings: PrbSettings | None = None) -> PrbPlan:
    """The plan of a rule of BASELINES."""
    settings = settings or PrbSettings()
    return PrbPlan.of(name, dealt(problem, name, settings), settings, how="by rule")


def dealt(problem: PrbProblem, name: str, settings: PrbSettings) -> Grid:
    """The best deal of a rule. Raises InputError for an unknown one."""
    if name not in BASELINES:
        raise InputError(f"Unknown baseline {name!r}; choose one of {', '.join(BASELINES)}.")
    interference, grids = usual_interference(problem), []
    for _ in range(_DEALS):
        grids.append(_deal(problem, name, settings, interference))
        interference = found_interference(grids[-1], interference)
    return max(grids, key=lambda grid: grid.score)


def _deal(problem: PrbProblem, name: str, settings: PrbSettings, interference: np.ndarray) -> Grid:
    users = np.arange(len(problem.gain))
    most = settings.most(problem)
    if name == "round-robin":
        station = problem.metres.argmin(axis=1)
    else:
        station = (problem.gain / (problem.noise_w + interference)).argmax(axis=1)
    met = interference[users, station]
    uses = np.zeros((len(users), problem.prbs), bool)
    count, rate = np.zeros(len(users), int), np.zeros(len(users))
    for s in range(problem.stations):
        mine = np.flatnonzero(station == s)
        first = s * problem.prbs // problem.stations
        one = np.zeros(len(users))  # Mbit/s of a PRB; on the downlink n of them carry n times as much
        one[mine] = problem.rates(mine, s, 1, met[mine])
        for prb in (first + np.arange(problem.prbs)) % problem.prbs:
            wants = mine[(rate[mine] < problem.demand_mbps[mine]) & (count[mine] < most)]
            if not len(wants):
                break
            if name == "round-robin":
                user = wants[count[wants].argmin()]
            elif name == "best-sinr":
                user = wants[(problem.gain[wants, s] / (problem.noise_w + met[wants])).argmax()]
            else:
                if problem.uplink:
                    then = problem.rates(wants, s, count[wants] + 1, met[wants])
                else:
                    then = (count[wants] + 1) * one[wants]
                user = wants[((then - rate[wants]) / np.maximum(rate[wants], 1e-3)).argmax()]
            uses[user, prb] = True
            count[user] += 1
            if problem.uplink:
                rate[user] = problem.rates(user, s, count[user], met[user])
            else:
                rate[user] = count[user] * one[user]
    return Grid.of(problem, settings.objective, station, uses)
