"""What no plan can exceed: prices of PRBs, by weak duality.

At a given interference a plan picks for each user at most one station and number of PRBs, and a station has so many
PRBs. Any prices mu >= 0 bound what every such plan is worth from above,

    sum_s mu_s PRBs_s + sum_u max(worth_u(0), max over s, n of worth_u(rate_usn) - (tau + mu_s) n),

and the best prices are found by cutting planes. At no interference at all this bounds every plan whatever.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from planning.prb.problem import Objective, PrbProblem, PrbSettings
from planning.solver import Model

_MAX_VALUES = 6_000_000  # users x stations x sizes held at once; beyond, sizes are bundled
_MANY_PAIRS = 1000  # users x stations from which the program is dear, so that more steps go before it
_CLOSE = 1e-4  # relative distance at which the dual counts as solved


@dataclass(frozen=True)
class Priced:
    """The dual, solved. price: (stations,) Mbit/s a PRB. bound: no plan is worth more. options: (user, station,
    size) columns that met a price on the way."""

    price: np.ndarray
    bound: float
    options: np.ndarray


class Options:
    """Worth of every user, station and number of PRBs. values: (users, stations, sizes) without tau; sizes:
    (sizes,). With more than `_MAX_VALUES` numbers, sizes stand for all up to the next, at the next one's worth, so
    that what they bound stays bounded."""

    def __init__(
        self, problem: PrbProblem, objective: Objective, most: int, interference: np.ndarray | float = 0.0
    ):
        self.problem, self.objective = problem, objective
        pairs = problem.gain.size
        sizes = np.arange(1, most + 1)
        if pairs * most > _MAX_VALUES:
            sizes = np.unique(np.geomspace(1, most, max(8, _MAX_VALUES // pairs)).astype(int))
        self.sizes = sizes
        self.bundled = len(sizes) < most
        users, stations = problem.gain.shape
        user, station = np.arange(users)[:, None, None], np.arange(stations)[:, None]
        at = np.broadcast_to(np.asarray(interference, float), problem.gain.shape)[..., None]
        demand = problem.demand_mbps[:, None, None]

        def rates(count: np.ndarray) -> np.ndarray:
            return problem.rates(user, station, count, at)

        self.values = self.objective.worth(rates(sizes), demand)
        self.optimistic = self.values
        if self.bundled:  # by rates of tables, more PRBs at less power each can carry less
            best = np.full((*problem.gain.shape, len(sizes)), -np.inf)
            ends = np.append(sizes[1:], most + 1)
            for step, (first, end) in enumerate(zip(sizes.tolist(), ends.tolist(), strict=True)):
                for count in range(first if problem.mapping else end - 1, end):
                    np.maximum(best[..., step], rates(np.array([count]))[..., 0], out=best[..., step])
            self.optimistic = self.objective.worth(best, demand)
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

    def slack(self, price: np.ndarray) -> np.ndarray:
        """(users, stations, sizes) by how much each option is worth less than its user's best at these prices: no plan
        with it is worth more than the bound less this."""
        net = self.optimistic - (self.objective.tau_mbps + price)[:, None] * self.sizes
        return self.best(price, self.optimistic)[0][:, None, None] - net

    def bound(self, price: np.ndarray) -> float:
        """What no plan at this interference exceeds, by weak duality."""
        return float(price.sum() * self.problem.prbs + self.best(price, self.optimistic)[0].sum())


def solve_dual(
    options: Options, settings: PrbSettings, deadline: float, rounds: int = 40, steps: int | None = None
) -> Priced:
    """Prices of PRBs by cutting planes, each cut the best option of a user at the prices before.

    steps: of the search for first prices.

    min  PRBs sum_s mu_s + sum_u v_u
    s.t. v_u + n mu_s >= worth_usn - tau n   for the options (u, s, n) found,   v_u >= worth_u(0),   mu >= 0
    """
    problem = options.problem
    users, stations, prbs = len(problem.gain), problem.stations, problem.prbs
    price = _subgradient(options, steps or (60 if users * stations > _MANY_PAIRS else 20))
    best_bound, best_price = options.bound(price), price
    zero = options.bound(np.zeros(stations))
    if zero <= best_bound:
        best_bound, best_price = zero, np.zeros(stations)
    found: dict[tuple[int, int, int], None] = {}

    def cut(at: np.ndarray) -> None:
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
        price = np.maximum(result.of(mu), 0.0)
        bound = options.bound(price)
        if bound < best_bound:
            best_bound, best_price = bound, price
        if (
            best_bound - result.reached <= _CLOSE * max(abs(best_bound), 1.0)
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
