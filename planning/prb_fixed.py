"""Stations and numbers of PRBs at a given interference, as a mixed-integer program by column generation.

One binary a user, station and number of PRBs; a user takes at most one of them, a station has so many PRBs. Its dual
prices the PRBs of each station: any prices mu >= 0 bound what every plan is worth at this interference from above,

    sum_s mu_s PRBs_s + sum_u max(worth_u(0), max over s, n of worth_u(rate_usn) - (tau + mu_s) n).

The dual is solved by cutting planes; the options that it found, with those near them, are those of the program.
At no interference at all the bound holds for every plan whatever.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from .errors import InfeasibleError
from .prb_problem import PrbProblem, PrbSettings
from .solver import Model, SolveResult

_MOST_VALUES = 6_000_000  # users x stations x sizes held at once; beyond, sizes are bundled
_MOST_OPTIONS = 12_000
_CLOSE = 2e-4  # relative distance at which the dual counts as solved


@dataclass(frozen=True)
class Priced:
    """The dual, solved. price: (stations,) Mbit/s a PRB. bound: no plan is worth more. options: (user, station,
    size) columns that met a price on the way."""

    price: np.ndarray
    bound: float
    options: np.ndarray


class Options:
    """Worth of every user, station and number of PRBs. values: (users, stations, sizes) without tau; sizes:
    (sizes,). With more than `_MOST_VALUES` numbers, sizes stand for all up to the next, at the next one's worth, so
    that what they bound stays bounded."""

    def __init__(self, problem: PrbProblem, settings: PrbSettings, interference: np.ndarray | float = 0.0):
        self.problem, self.objective = problem, settings.objective
        most = 1 if settings.mode == "paper" else problem.prbs
        pairs = problem.gain.size
        sizes = np.arange(1, most + 1)
        if pairs * most > _MOST_VALUES:
            sizes = np.unique(np.geomspace(1, most, max(8, _MOST_VALUES // pairs)).astype(int))
        self.sizes = sizes
        self.bundled = len(sizes) < most
        user, station = np.indices(problem.gain.shape)
        at = np.broadcast_to(np.asarray(interference, float), problem.gain.shape)[..., None]
        demand = problem.demand_mbps[:, None, None]

        def worth(count):
            return self.objective.worth(problem.rates(user[..., None], station[..., None], count, at), demand)

        self.values = worth(sizes)
        self.optimistic = worth(np.append(sizes[1:] - 1, most)) if self.bundled else self.values
        self.nothing = self.objective.worth(0.0, problem.demand_mbps)

    def best(self, price: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(users,) best net worth at these prices, its station and index of size; station -1 for nothing."""
        cost = (self.objective.tau_mbps + price)[:, None] * self.sizes
        users = len(self.nothing)
        net = (values - cost).reshape(users, -1)
        at = net.argmax(axis=1)
        best = net[np.arange(users), at]
        station, size = np.divmod(at, len(self.sizes))
        none = best <= self.nothing
        return np.where(none, self.nothing, best), np.where(none, -1, station), size

    def bound(self, price: np.ndarray) -> float:
        """What no plan at this interference exceeds, by weak duality."""
        return float(price.sum() * self.problem.prbs + self.best(price, self.optimistic)[0].sum())


def solve_dual(options: Options, settings: PrbSettings, deadline: float, rounds: int = 40) -> Priced:
    """Prices of PRBs by cutting planes, each cut the best option of a user at the prices before."""
    problem = options.problem
    users, stations, prbs = len(problem.gain), problem.stations, problem.prbs
    price = _subgradient(options, 60 if users * stations > 1000 else 20)
    best_bound, best_price = options.bound(price), price
    zero = options.bound(np.zeros(stations))
    if zero <= best_bound:
        best_bound, best_price = zero, np.zeros(stations)
    found: dict[tuple[int, int, int], None] = {}

    def cut(at):
        _, station, size = options.best(at, options.values)
        for user in np.flatnonzero(station >= 0).tolist():
            found[user, int(station[user]), int(size[user])] = None

    for scale in (0.0, 0.5, 0.8, 1.0, 1.25, 2.0):
        cut(scale * best_price)
    for _ in range(rounds):
        columns = np.array(list(found), int).reshape(-1, 3)
        user, station, size = columns.T
        model = Model("prb prices")
        mu = model.variables("mu", stations)
        v = model.variables("v", users, lower=options.nothing)
        model.cost(mu, float(prbs))
        model.cost(v, 1.0)
        if len(columns):
            row = np.arange(len(columns))
            count = options.sizes[size]
            model.rows(
                np.concatenate([row, row]),
                np.concatenate([v[user], mu[station]]),
                np.concatenate([np.ones(len(row)), count.astype(float)]),
                lower=options.values[user, station, size] - options.objective.tau_mbps * count,
            )
        result = model.solve(settings.solver, None, 0.0, settings.threads or 1)
        price = np.maximum(result.values[mu], 0.0)
        bound = options.bound(price)
        if bound < best_bound:
            best_bound, best_price = bound, price
        if (
            best_bound - result.objective <= _CLOSE * max(abs(best_bound), 1.0)
            or time.perf_counter() > deadline
        ):
            break
        before = len(found)
        cut(price)
        cut(0.5 * (price + best_price))  # between the last and the best: dampens swings
        if len(found) == before:
            break
    return Priced(best_price, best_bound, np.array(list(found), int).reshape(-1, 3))


def _subgradient(options: Options, steps: int) -> np.ndarray:
    """Prices to begin with: raised where more PRBs are asked for than there are."""
    price = np.zeros(options.problem.stations)
    prbs = options.problem.prbs
    best, best_price = np.inf, price
    step = 0.5
    for _ in range(steps):
        value, station, size = options.best(price, options.values)
        total = float(price.sum() * prbs + value.sum())
        if total < best:
            best, best_price = total, price
        else:
            step *= 0.8
        asked = np.bincount(
            station[station >= 0], options.sizes[size[station >= 0]], options.problem.stations
        )
        price = np.maximum(price + step * (asked / prbs - 1) * (0.1 + price), 0.0)
    return best_price


def choose(
    problem: PrbProblem, settings: PrbSettings, interference: np.ndarray, seconds: float
) -> tuple[np.ndarray, np.ndarray, SolveResult]:
    """(users,) station, -1 for none, and number of PRBs of the best plan at this interference, and the answer of the
    solver, its bound that of the whole program."""
    deadline = time.perf_counter() + seconds
    options = Options(problem, settings, interference)
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
    chosen = np.flatnonzero(result.values > 0.5)
    picked, number = np.full(len(problem.gain), -1), np.zeros(len(problem.gain), int)
    picked[user[chosen]] = station[chosen]
    number[user[chosen]] = count[chosen]
    return picked, number, result


def _near(options: Options, priced: Priced) -> np.ndarray:
    """The options found and, while there is room, those that cost least against their user's best."""
    users, stations, sizes = options.values.shape
    cost = (options.objective.tau_mbps + priced.price)[:, None] * options.sizes
    best = options.best(priced.price, options.values)[0]
    short = best[:, None, None] - (options.values - cost)
    short[(options.values <= options.nothing[:, None, None])] = np.inf
    room = min(_MOST_OPTIONS, 30 * users, short.size)
    flat = np.argpartition(short.ravel(), room - 1)[:room]
    flat = flat[np.isfinite(short.ravel()[flat])]
    found = np.ravel_multi_index(priced.options.T, options.values.shape) if len(priced.options) else flat[:0]
    return np.stack(np.unravel_index(np.union1d(flat, found), options.values.shape), axis=1)


def _greedy(problem, user, station, size, value) -> np.ndarray:
    """A first solution: options by worth per PRB, one a user, while the station has PRBs left."""
    taken = np.zeros(len(value))
    done = np.zeros(len(problem.demand_mbps), bool)
    left = np.full(problem.stations, problem.prbs)
    for option in np.argsort(-value / size, kind="stable").tolist():
        u, s, k = user[option], station[option], size[option]
        if not done[u] and k <= left[s] and value[option] > 0:
            taken[option] = 1.0
            done[u] = True
            left[s] -= k
    return taken
