"""Stations and numbers of PRBs at a given interference, as a mixed-integer program, and the interference itself.

    max  sum_u worth_u(0) + sum_usn (worth_usn - worth_u(0) - tau n) w_usn
    s.t. sum_sn w_usn <= 1 for each user u,   sum_un n w_usn <= PRBs for each station s,   w binary

with worth_usn of user u with n PRBs of station s at this interference. The options (u, s, n) of the program are those
that `solve_dual` found on its way to the best prices, and those near them.
"""

from __future__ import annotations

import time

import numpy as np

from planning.errors import InfeasibleError
from planning.prb.bound import Options, Priced, solve_dual
from planning.prb.problem import PrbProblem, PrbSettings
from planning.prb.sinr import Grid
from planning.solver import Model, SolveResult

_MAX_OPTIONS, _OPTIONS_PER_USER = 12_000, 30


def choose(
    problem: PrbProblem, settings: PrbSettings, interference: np.ndarray, seconds: float
) -> tuple[np.ndarray, np.ndarray, SolveResult]:
    """(users,) station, -1 for none, and number of PRBs of the best plan at this interference, and the answer of the
    solver, its bound that of the whole program."""
    deadline = time.perf_counter() + seconds
    options = Options(problem, settings.objective, settings.most(problem), interference)
    priced = solve_dual(options, settings, time.perf_counter() + 0.5 * seconds)
    columns = _near(options, priced)
    user, station, size = columns.T
    count = options.sizes[size]
    model = Model("prb", maximise=True)
    w = model.variables("w", len(columns), upper=1, integer=True)
    model.constant = float(options.nothing.sum())
    gained = options.values[user, station, size] - options.nothing[user] - settings.tau_mbps * count
    model.cost(w, gained)
    model.rows(user, w, 1.0, upper=1.0, count=len(problem.gain))
    model.rows(station, w, count, upper=float(problem.prbs), count=problem.stations)
    model.start(w, _greedy(problem, user, station, count, gained))
    left = max(1.0, deadline - time.perf_counter())
    result = model.solve(settings.solver, left, max(settings.gap, 1e-3), settings.threads or 1)
    if not result.has_solution:
        raise InfeasibleError(f"The solver found no allocation within {left:.1f} s; raise the time limit.")
    chosen = np.flatnonzero(result.of(w) > 0.5)
    picked, number = np.full(len(problem.gain), -1), np.zeros(len(problem.gain), int)
    picked[user[chosen]] = station[chosen]
    number[user[chosen]] = count[chosen]
    return picked, number, result


def _near(options: Options, priced: Priced) -> np.ndarray:
    """The options found and, while there is room, those that cost least against their user's best."""
    users = len(options.values)
    cost = (options.objective.tau_mbps + priced.price)[:, None] * options.sizes
    best = options.best(priced.price, options.values)[0]
    short = best[:, None, None] - (options.values - cost)
    short[(options.values <= options.nothing[:, None, None])] = np.inf
    room = min(_MAX_OPTIONS, _OPTIONS_PER_USER * users, short.size)
    flat = np.argpartition(short.ravel(), room - 1)[:room]
    flat = flat[np.isfinite(short.ravel()[flat])]
    found = np.ravel_multi_index(priced.options.T, options.values.shape) if len(priced.options) else flat[:0]
    return np.stack(np.unravel_index(np.union1d(flat, found), options.values.shape), axis=1)


def _greedy(
    problem: PrbProblem, user: np.ndarray, station: np.ndarray, size: np.ndarray, value: np.ndarray
) -> np.ndarray:
    """A first solution: options by worth per PRB, one a user, while the station has PRBs left."""
    taken = np.zeros(len(value))
    served = np.zeros(len(problem.demand_mbps), bool)
    left = np.full(problem.stations, problem.prbs)
    for option in np.argsort(-value / size, kind="stable").tolist():
        who, where, prbs = user[option], station[option], size[option]
        if not served[who] and prbs <= left[where] and value[option] > 0:
            taken[option] = 1.0
            served[who] = True
            left[where] -= prbs
    return taken


def usual_interference(problem: PrbProblem) -> np.ndarray:
    """(users, stations) W per PRB to begin with: half of what neighbours on every PRB would cause.

    Uplink: the mean over each other station's own users of what arrives here, at full power on one PRB shared over
    the PRBs such a user typically has; downlink: what the other stations' PRBs send to the user.
    """
    if not problem.uplink:
        return 0.5 * problem.power_w * (problem.gain.sum(axis=1, keepdims=True) - problem.gain)
    best = problem.gain.argmax(axis=1)
    per_prb = problem.sent(max(1.0, problem.prbs * problem.stations / len(problem.gain) / 2))
    arriving = np.zeros((problem.stations, problem.stations))
    for station in np.unique(best):
        arriving[station] = per_prb * problem.gain[best == station].mean(axis=0)
    np.fill_diagonal(arriving, 0.0)
    return np.broadcast_to(0.5 * arriving.sum(axis=0), problem.gain.shape)


def found_interference(grid: Grid, before: np.ndarray) -> np.ndarray:
    """(users, stations) W per PRB for the next round: what the plan caused, averaged with what was assumed."""
    out = before.copy()
    station, prb = np.nonzero(grid.owner >= 0)
    user, met = grid.owner[station, prb], grid.interference[station, prb]
    if grid.problem.uplink:
        used = np.bincount(station, minlength=grid.problem.stations)
        mean = np.bincount(station, met, grid.problem.stations) / np.maximum(used, 1)
        out[:, used > 0] = 0.5 * (out[:, used > 0] + mean[used > 0])
    own = np.bincount(user, met, len(out))
    served = np.flatnonzero(grid.count)
    out[served, grid.station[served]] = own[served] / grid.count[served]
    return out
