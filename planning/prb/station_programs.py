"""Downlink plans by exact programs of a few stations at a time, with the sets of sending stations kept.

As long as it is kept which stations send on which PRB, rates do not depend on whom they serve. Who gets the PRBs of one
station, or of two that exchange users, is then a program of its own, with PRBs bundled on which the same stations send:

    max  sum_u worth_u(sum_b rate_ub,s y_ub,s) - tau sum y   over y_ub,s whole,   sum_u y_ub,s <= PRBs of bundle b,
    each user at one of the stations

A PRB that is left free only lowers the interference of others.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from planning.prb.improve import improve
from planning.prb.on_sets import OnSets, Prices
from planning.prb.problem import PrbProblem, PrbSettings
from planning.prb.relaxation import lines
from planning.prb.sinr import Grid
from planning.solver import Model

_SECONDS = 2.0  # of one program, at most
_START_SECONDS = 1.5
_GAP = 1e-3  # relative, of a program
_WEAK = 0.02  # of a user's best rate on a PRB: worse ones are left out
_PATIENCE = 300  # groups of users without gain that end the local search between programs


def start_of(
    on_sets: OnSets,
    prices: Prices,
    settings: PrbSettings,
    deadline: float,
    rng: np.random.Generator | None = None,
) -> Grid:
    """A plan from the sets and stations that the linear program uses.

    rng: draws which sets get the PRBs that rounding leaves; None: those with the largest remainder.
    """
    problem = on_sets.problem
    on = np.zeros((problem.stations, problem.prbs), bool)
    rate = np.zeros(problem.gain.shape)
    for cluster, (prbs, mbps) in zip(on_sets.clusters, on_sets.used(prices, settings.objective), strict=True):
        numbers = np.repeat(np.arange(len(prbs)), _rounded(prbs, problem.prbs, rng))
        on[cluster.stations[:, None], np.arange(len(numbers))] = cluster.on[numbers].T
        rate[:, cluster.stations] = mbps
    station = np.where(rate.any(axis=1), rate.argmax(axis=1), problem.gain.argmax(axis=1))
    grid = Grid(problem, settings.objective)
    owner = grid.owner.copy()
    for s in range(problem.stations):
        seconds = min(_START_SECONDS, (deadline - time.perf_counter()) / (problem.stations - s))
        program = _Program.build(grid, settings, on, np.array([s]), np.flatnonzero(station == s))
        owner[s] = program.solved(settings, max(seconds, 0.05), owner)[s]
    return _grid(problem, settings, owner)


def _rounded(prbs: np.ndarray, total: int, rng: np.random.Generator | None) -> np.ndarray:
    """Whole numbers of PRBs near these, together at most `total`."""
    if rng is None:
        whole = np.floor(prbs + 1e-9).astype(int)
        left = min(total, round(prbs.sum())) - whole.sum()
        whole[np.argsort(whole - prbs, kind="stable")[:left]] += 1
        return whole
    ends = np.cumsum(prbs)
    if not ends[-1] > 0:
        return np.zeros(len(prbs), int)
    at = np.searchsorted(ends, (rng.random() + np.arange(total)) * max(ends[-1], total) / total, side="right")
    return np.bincount(at[at < len(prbs)], minlength=len(prbs))


def refine(
    grid: Grid, settings: PrbSettings, deadline: float, rng: np.random.Generator, enough: float = np.inf
) -> Grid:
    """The grid after local search and programs of stations and pairs of them in turn, until neither gains."""
    problem = grid.problem
    near = problem.gain.T @ (problem.gain / problem.gain.max(axis=1, keepdims=True))
    while time.perf_counter() < deadline and grid.score < enough:
        before = grid.score
        grid = improve(
            grid, settings, min(deadline, time.perf_counter() + 0.3 * (deadline - time.perf_counter())),
            int(rng.integers(2**31)), _PATIENCE, enough,
        )  # fmt: skip
        singles = [np.array([s]) for s in rng.permutation(problem.stations)]
        pairs = [np.array([s, _neighbour(near, s, rng)]) for s in rng.permutation(problem.stations)]
        for stations in singles + (pairs if problem.stations > 1 else []):
            seconds = min(_SECONDS, deadline - time.perf_counter())
            if seconds <= 0.05 or grid.score >= enough:
                break
            again = reassigned(grid, settings, stations, seconds)
            grid = again if again.score > grid.score + 1e-9 else grid
        if grid.score <= before + 1e-9:
            break
    return grid


def _neighbour(near: np.ndarray, station: int, rng: np.random.Generator) -> int:
    """Another station, those that share users with it more often."""
    weight = near[station] + near[:, station]
    weight[station] = 0.0
    return int(rng.choice(len(weight), p=weight / weight.sum()))


def reassigned(grid: Grid, settings: PrbSettings, stations: np.ndarray, seconds: float) -> Grid:
    """The grid with the PRBs of these stations assigned again, to their users and to those that nobody serves."""
    users = np.flatnonzero(np.isin(grid.station, stations) | (grid.station < 0))
    if not len(users):
        return grid
    program = _Program.build(grid, settings, grid.owner >= 0, stations, users)
    return _grid(grid.problem, settings, program.solved(settings, seconds, grid.owner))


def _grid(problem: PrbProblem, settings: PrbSettings, owner: np.ndarray) -> Grid:
    station, uses = np.full(len(problem.gain), -1), np.zeros((len(problem.gain), problem.prbs), bool)
    at, prb = np.nonzero(owner >= 0)
    station[owner[at, prb]] = at
    uses[owner[at, prb], prb] = True
    return Grid.of(problem, settings.objective, station, uses)


@dataclass(frozen=True)
class _Program:
    """The program of some stations and users. bundle: (prbs,) of each PRB. slot_bundle, slot_station: (slots,) the
    bundles of each station. user, slot: (terms,) of y, numbers of its variables."""

    model: Model
    users: np.ndarray
    stations: np.ndarray
    bundle: np.ndarray
    slot_bundle: np.ndarray
    slot_station: np.ndarray
    user: np.ndarray
    slot: np.ndarray
    y: np.ndarray

    @classmethod
    def build(
        cls, grid: Grid, settings: PrbSettings, on: np.ndarray, stations: np.ndarray, users: np.ndarray
    ) -> _Program:
        """on: (stations, prbs) bool, who sends where, whatever the grid says."""
        problem, count = grid.problem, len(users)
        sends, bundle, size = np.unique(on, axis=1, return_inverse=True, return_counts=True)
        of, at = np.nonzero(sends[stations].T)  # bundle and station of each slot
        total = problem.power_w * (problem.gain[users] @ sends.astype(float))
        own = problem.power_w * problem.gain[users][:, stations]
        heard = np.maximum(total[:, of] - own[:, at], 0.0)
        rate = problem.prb_mbps(own[:, at] / (problem.noise_w + heard))  # (users, slots)
        user, slot = np.nonzero((rate > 0) & (rate >= _WEAK * rate.max(axis=1, keepdims=True, initial=0.0)))
        rate = rate[user, slot]
        row = np.arange(count)
        model = Model("prb stations", maximise=True)
        y = model.variables("y", len(user), upper=size[of[slot]].astype(float), integer=True)
        x = model.variables("x", (count, len(stations)), upper=1.0, integer=True)
        reached = model.variables("rate", count)
        met = model.variables("met", count, upper=1.0, integer=True)
        v = model.variables("v", count, lower=-np.inf)
        model.cost(v, 1.0)
        model.cost(y, -settings.tau_mbps)
        if len(y):
            model.rows(slot, y, 1.0, upper=size[of].astype(float), count=len(of))
        model.rows(
            np.append(user, row), np.append(y, reached), np.append(rate, -np.ones(count)), 0.0, 0.0, count
        )
        model.rows(np.repeat(row, len(stations)), x.ravel(), 1.0, upper=1.0, count=count)
        most = float(settings.most(problem))
        link = user * len(stations) + at[slot]
        model.rows(
            np.append(link, np.arange(x.size)), np.append(y, x.ravel()),
            np.append(np.ones(len(y)), np.full(x.size, -most)), upper=0.0, count=x.size,
        )  # fmt: skip
        slopes, offsets, floor, fixed = lines(settings.objective, problem.demand_mbps[users])
        model.rows(np.append(row, row), np.append(reached, met), np.append(np.ones(count), -floor), lower=0.0)
        for slope, offset in zip(slopes, offsets, strict=True):
            model.rows(
                np.tile(row, 3), np.concatenate([v, reached, met]),
                np.concatenate([np.ones(count), np.full(count, -slope), -fixed]), upper=offset,
            )  # fmt: skip
        mine = (grid.owner[stations[at[slot]]] == users[user, None]) & (bundle == of[slot, None])
        given = mine.sum(axis=1)
        got = np.bincount(user, given * rate, count)
        meets = (got >= floor).astype(float)
        worth = np.min(slopes[:, None] * got + offsets, axis=0) + fixed * meets
        there = (grid.station[users][:, None] == stations).astype(float)
        model.start(
            np.concatenate([y, x.ravel(), reached, met, v]),
            np.concatenate([given, there.ravel(), got, meets, worth]),
        )
        return cls(model, users, stations, bundle, of, at, user, slot, y)

    def solved(self, settings: PrbSettings, seconds: float, owner: np.ndarray) -> np.ndarray:
        """owner: (stations, prbs) user or -1, with the rows of these stations as the program's solution gives them."""
        result = self.model.solve(
            settings.solver, seconds, max(_GAP, settings.gap), settings.threads or 1, settings.seed
        )
        if not result.has_solution:
            return owner
        out = owner.copy()
        out[self.stations] = -1
        number = result.of(self.y).astype(int)
        for slot in range(len(self.slot_bundle)):
            terms = np.flatnonzero((self.slot == slot) & (number > 0))
            given = np.repeat(self.users[self.user[terms]], number[terms])
            prbs = np.flatnonzero(self.bundle == self.slot_bundle[slot])[: len(given)]
            out[self.stations[self.slot_station[slot]], prbs] = given
        return out
