"""Eq. 15 to the letter: at most one PRB a user, the stated objective, and nothing else.

    max  sum_x B log2(1 + r_xy^z) - tau sum_x gamma_xz

What eq. 15 leaves out, the plan suffers from; `notes_of` says so beside what the plan is worth with the true SINR:

- The sum in its denominator runs over users of the same station, so PRBs of other stations do not interfere. All PRBs
  are then alike, and stations use the lowest numbers, all at the same time.
- Nothing in the objective asks for the demands, though the text does; with one PRB few of them can be met.
- It is an uplink (p_x is the power of user x), with rates by Shannon's bound, which no modulation limits.

As users of a station on one PRB would interfere, each has one of its own: what remains is to assign users to stations
with so many PRBs, a transport problem whose linear program has whole solutions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planning.errors import InputError
from planning.prb.plan import PrbPlan
from planning.prb.problem import PrbProblem, PrbSettings
from planning.prb.sinr import Grid
from planning.solver import Model

NAME = "paper, eq. 15 to the letter"


def solve_literal(problem: PrbProblem, settings: PrbSettings) -> PrbPlan:
    """The best plan by eq. 15, scored with the true SINR as every plan. Raises InputError on the downlink."""
    if not problem.uplink:
        raise InputError("Eq. 15 to the letter is an uplink; choose the uplink or another mode.")
    problem = replace(problem, mapping=None)
    users, stations = problem.gain.shape
    worth = problem.prb_mbps(problem.power_w * problem.gain / problem.noise_w) - settings.tau_mbps
    model = Model("eq. 15", maximise=True)
    x = model.variables("x", (users, stations), upper=1.0)
    model.cost(x, worth)
    user, station = np.indices(x.shape)
    model.rows(user, x, 1.0, upper=1.0, count=users)
    model.rows(station, x, 1.0, upper=float(problem.prbs), count=stations)
    result = model.solve(settings.solver, None, 0.0, settings.threads or 1, settings.seed)
    given = np.where(worth > 0, result.of(x), 0.0) > 0.5
    at = np.where(given.any(axis=1), given.argmax(axis=1), -1)
    uses = np.zeros((users, problem.prbs), bool)
    for s in range(stations):
        mine = np.flatnonzero(at == s)
        uses[mine, np.arange(len(mine))] = True
    plan = PrbPlan.of(NAME, Grid.of(problem, settings.objective, at, uses), settings, solve=result)
    claimed = float(worth[given].sum())
    return replace(plan, how="transport problem", notes=(*plan.notes, *notes_of(plan, claimed)))


def notes_of(plan: PrbPlan, claimed_mbps: float) -> tuple[str, ...]:
    """What eq. 15 says of its plan, and what it leaves out."""
    met = int(plan.met.sum())
    return (
        f"By eq. 15 this plan is worth {claimed_mbps:,.2f} Mbit/s, and none is worth more; with the interference "
        f"between stations, which eq. 15 leaves out, it is worth {plan.objective_mbps:,.2f} Mbit/s.",
        f"The objective does not ask for demands, and each user has at most one PRB: {met} of {len(plan.met)} are met.",
    )
