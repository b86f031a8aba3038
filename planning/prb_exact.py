"""The exact program with co-channel interference, free of the symmetry of PRBs.

The fading is flat, so all PRBs are alike: what matters is how many PRBs carry each pattern p (z_p whole) and which of
its members m each user is (x_m binary): its station and its number of PRBs n_m.

    max  sum_m v_m + sum_u worth_u(0) (1 - sum of u's x_m) - tau sum_p |p| z_p
    v_m <= worth of r_m, times x_m;   v_m <= sum over p with m of z_p worth((n_m - 1) quiet_m + rate_pm) / n_m
    r_m = sum_p z_p rate_pm;   sum over p with m of z_p = n_m x_m;   sum_p z_p <= PRBs

The second bound on v_m is Jensen's: no PRB can add more than its part of what it would make of the others at their
best. It is exact for one PRB, and is what makes the linear relaxation tight. The relaxation is solved by its dual,
each cut a pattern (`best_patterns`). A pattern or member whose reduced cost exceeds the distance between this bound and
the plan at hand is in no better plan; what remains is one small program. Where too many remain, the members of one
user are split in two (branch and bound).
"""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import dataclass, field, replace

import numpy as np

from .prb_patterns import Members, Prices, best_patterns
from .prb_problem import MET, Objective, PrbProblem, PrbSettings
from .prb_sinr import Grid
from .solver import Model, SolveResult

_MOST_NEAR = 60_000  # patterns that may be in a better plan, held at once
_MOST_COLUMNS = 5_000  # patterns of the final program
_FEW = 800  # patterns that need no tighter relaxation
_TRIED = 1_500  # patterns of the program that looks for a better plan
_EACH = 150  # patterns added at a time
_ROUNDS = 200
_SMOOTH = 0.6  # weight of the best prices against the newest
_CLOSE = 0.03  # of the distance to the plan at hand: a relaxation solved so far is solved enough


@dataclass
class Relaxation:
    """Column generation; the patterns met so far serve all nodes."""

    members: Members
    settings: PrbSettings
    deadline: float
    patterns: np.ndarray = field(init=False)
    rates: np.ndarray = field(init=False)
    _numbers: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self):
        self.patterns = np.zeros((0, self.members.problem.stations), int)
        self.rates = np.zeros(self.patterns.shape)

    def add(self, patterns: np.ndarray) -> np.ndarray:
        """Keep patterns; returns their numbers."""
        new = []
        numbers = np.empty(len(patterns), int)
        for i, pattern in enumerate(patterns):
            key = pattern.tobytes()
            if key not in self._numbers:
                self._numbers[key] = len(self._numbers)
                new.append(i)
            numbers[i] = self._numbers[key]
        self.patterns = np.concatenate([self.patterns, patterns[new]])
        self.rates = np.concatenate([self.rates, self.members.rates(patterns[new])])
        return numbers

    def solve(self, allowed: np.ndarray, target: float) -> tuple[Prices, float]:
        """The dual over the open choices. Stops early when its bound is below `target` or the time is over."""
        active = np.flatnonzero(self.within(allowed))
        best: Prices | None = None
        for _ in range(_ROUNDS):
            master = self._master(allowed, active)
            fresh = np.zeros(0, int)
            for share in (_SMOOTH, 0.0):  # between the best prices and the newest, which swing
                prices = master if best is None or not share else best.blend(master, share)
                prb = prices.prb
                found, worth, _ = best_patterns(self.members, allowed, prices, prb + 1e-7, _EACH)
                # with PRBs priced at the best pattern's worth every cut holds, so that this is a bound
                prices = replace(prices, prb=max(prb, float(worth[0]) if len(worth) else 0.0))
                if best is None or self._bound(prices) < self._bound(best):
                    best = prices
                fresh = np.setdiff1d(self.add(found), active)
                if len(fresh):
                    break
            lowest, bound = self._bound(master), self._bound(best)
            close = max(1e-6 * max(1.0, abs(bound)), _CLOSE * (lowest - target))
            if bound <= lowest + close or bound < target or time.perf_counter() > self.deadline:
                break
            if not len(fresh):
                break
            active = np.union1d(active, fresh)
        return best, self._bound(best)

    def _bound(self, prices: Prices) -> float:
        return prices.base + prices.prb * self.members.problem.prbs

    def within(self, allowed: np.ndarray) -> np.ndarray:
        return np.where(self.patterns >= 0, allowed[self.patterns], True).all(axis=1)

    def _master(self, allowed: np.ndarray, active: np.ndarray) -> Prices:
        members, settings = self.members, self.settings
        problem, demand = members.problem, members.problem.demand_mbps
        open_ = np.flatnonzero(allowed)
        user, n = members.user[open_], members.count[open_]
        slopes, offsets, floor, fixed = _lines(settings.objective, demand[user])
        k = len(slopes)
        model = Model("prb patterns dual")
        # of a single PRB the share is exact, so that no line is needed
        line = model.variables("line", (k, len(open_)), upper=np.where(n > 1, np.inf, 0.0))
        jensen = model.variables("jensen", len(allowed), upper=np.where(allowed, np.inf, 0.0))
        weight = model.variables("weight", len(allowed), upper=np.where(allowed, np.inf, 0.0))
        good = model.variables("good", len(allowed), upper=np.where(allowed, np.inf, 0.0))
        use = model.variables("use", len(allowed), lower=-np.inf)
        served, reached = (model.variables(name, len(open_)) for name in ("served", "reached"))
        choice = model.variables("choice", len(demand), lower=settings.objective.worth(0.0, demand))
        prb = model.variables("prb", 1)
        model.cost(choice, 1.0)
        model.cost(prb, float(problem.prbs))
        row, ones = np.arange(len(open_)), np.ones(len(open_))
        rows = np.tile(row, k)
        model.rows(np.append(rows, row), np.append(line.ravel(), jensen[open_]), 1.0, 1.0, 1.0, len(open_))
        model.rows(
            np.concatenate([row, row, rows]),
            np.concatenate([weight[open_], reached, line.ravel()]),
            np.concatenate([ones, -ones, -np.repeat(slopes, len(open_))]),
            lower=0.0,
        )
        model.rows(
            np.concatenate([row, row, row, rows]),
            np.concatenate([served, reached, good[open_], line.ravel()]),
            np.concatenate([ones, floor, ones, -np.tile(fixed, k)]),
            lower=0.0,
        )
        model.rows(
            np.concatenate([row, row, row, rows]),
            np.concatenate([choice[user], use[open_], served, line.ravel()]),
            np.concatenate([ones, -n, -ones, -offsets.ravel()]),
            lower=0.0,
        )
        patterns, rates = self.patterns[active], self.rates[active]
        row, at = np.nonzero(patterns >= 0)
        member, rate = patterns[row, at], rates[row, at]
        model.rows(
            np.concatenate([np.arange(len(patterns)), row, row, row, row]),
            np.concatenate(
                [np.repeat(prb, len(patterns)), use[member], weight[member], jensen[member], good[member]]
            ),
            np.concatenate(
                [
                    np.ones(len(patterns) + len(row)),
                    -rate,
                    -members.share(member, rate),
                    -members.good(member, rate).astype(float),
                ]
            ),
            lower=-settings.tau_mbps * (patterns >= 0).sum(axis=1),
            count=len(patterns),
        )
        result = model.solve(settings.solver, None, 0.0, settings.threads or 1)
        v = result.values
        slack = np.full(len(allowed), 1e9)  # closed
        slack[open_] = v[choice[user]] - n * v[use[open_]] - v[served] - (offsets * v[line]).sum(axis=0)
        return Prices(
            v[weight],
            v[jensen],
            v[good],
            v[use] + settings.tau_mbps,
            float(v[prb][0]),
            slack,
            v[choice].sum(),
        )


def _lines(objective: Objective, demand: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(lines,) slopes and (lines, users) offsets above the worth of an unmet demand, and (users,) the rate that meets
    it and what doing so adds."""
    floor = objective.floor(demand)
    fixed = objective.missing_price * objective.unmet_share * floor
    slopes, offsets = objective.slopes, objective.offsets[:, None] * demand
    return (
        np.concatenate([slopes, slopes + objective.missing_price]),
        np.concatenate([offsets, offsets - objective.missing_price * floor]) - fixed,
        floor * MET,
        fixed,
    )


@dataclass(frozen=True)
class Program:
    """The program over some members and patterns. model: with z, x the numbers of its variables by pattern, member."""

    members: Members
    member: np.ndarray
    patterns: np.ndarray
    model: Model
    z: np.ndarray
    x: np.ndarray

    @classmethod
    def build(
        cls,
        relaxation: Relaxation,
        allowed: np.ndarray,
        patterns: np.ndarray,
        whole: bool,
        least: float = -np.inf,
    ) -> Program:
        """whole: with whole numbers; least: only plans worth so much."""
        members, objective = relaxation.members, relaxation.members.objective
        problem, demand = members.problem, members.problem.demand_mbps
        member = np.flatnonzero(allowed)
        user, n = members.user[member], members.count[member]
        nothing = objective.worth(0.0, demand)
        model = Model("prb patterns", maximise=True)
        z = model.variables("z", len(patterns), upper=float(problem.prbs), integer=whole)
        x = model.variables("x", len(member), upper=1.0, integer=whole)
        v = model.variables("v", len(member), lower=-np.inf)
        model.constant = float(nothing.sum())
        model.cost(v, 1.0)
        model.cost(x, -nothing[user])
        on = patterns >= 0
        model.cost(z, -objective.tau_mbps * on.sum(axis=1))
        if np.isfinite(least):
            model.rows(
                np.zeros(len(z) + 2 * len(x), int),
                np.concatenate([z, v, x]),
                np.concatenate([-objective.tau_mbps * on.sum(axis=1), np.ones(len(v)), -nothing[user]]),
                lower=least - nothing.sum(),
            )
        model.rows(user, x, 1.0, upper=1.0, count=len(demand))
        model.rows(np.zeros(len(z), int), z, 1.0, upper=float(problem.prbs))
        place = np.full(len(allowed), -1)
        place[member] = np.arange(len(member))
        pattern, at = np.nonzero(on)
        who, rate = patterns[pattern, at], members.rates(patterns)[pattern, at]
        row, ones, count = np.arange(len(member)), np.ones(len(member)), len(member)
        model.rows(
            np.append(place[who], row),
            np.append(z[pattern], x),
            np.append(np.ones(len(who)), -n),
            0.0,
            0.0,
            count,
        )
        model.rows(
            np.append(place[who], row),
            np.append(z[pattern], v),
            np.append(members.share(who, rate), -ones),
            lower=0.0,
            count=count,
        )
        several = np.flatnonzero(n > 1)  # of a single PRB the share is exact
        if len(several):
            many, row, ones = member[several], np.arange(len(several)), np.ones(len(several))
            slopes, offsets, floor, fixed = _lines(objective, demand[members.user[many]])
            r = model.variables("r", len(several))
            met = model.variables("met", len(several), upper=1.0, integer=whole)
            place[member] = -1
            place[many] = row
            mine = np.flatnonzero(place[who] >= 0)
            at, over = place[who[mine]], z[pattern[mine]]
            good = members.good(who[mine], rate[mine]).astype(float)
            size = len(several)
            model.rows(np.append(at, row), np.append(over, r), np.append(rate[mine], -ones), 0.0, count=size)
            model.rows(np.append(at, row), np.append(over, met), np.append(good, -ones), 0.0, count=size)
            model.rows(np.tile(row, 2), np.append(x[several], met), np.append(ones, -ones), lower=0.0)
            model.rows(np.tile(row, 2), np.append(r, met), np.append(ones, -floor), lower=0.0)
            for slope, offset in zip(slopes, offsets, strict=True):
                model.rows(
                    np.tile(row, 4),
                    np.concatenate([v[several], r, x[several], met]),
                    np.concatenate([ones, -slope * ones, -offset, -fixed]),
                    upper=0.0,
                )
        return cls(members, member, patterns, model, z, x)

    def solve(self, settings: PrbSettings, seconds: float) -> SolveResult:
        return self.model.solve(
            settings.solver, max(seconds, 0.1), settings.gap, settings.threads or 1, settings.seed
        )

    def grid(self, values: np.ndarray) -> Grid:
        """The plan of a solution: its patterns on one PRB after the other."""
        problem = self.members.problem
        grid_of = np.repeat(self.patterns, values[self.z].astype(int), axis=0)  # (prbs used, stations)
        station, uses = np.full(len(problem.gain), -1), np.zeros((len(problem.gain), problem.prbs), bool)
        prb, at = np.nonzero(grid_of >= 0)
        user = self.members.user[grid_of[prb, at]]
        station[user] = at
        uses[user, prb] = True
        return Grid.of(problem, self.members.objective, station, uses)


@dataclass(frozen=True)
class Exact:
    """grid: the best plan. bound: no plan is worth more. nodes: of the search."""

    grid: Grid
    bound: float
    nodes: int


def solve_exact(problem: PrbProblem, settings: PrbSettings, start: Grid, deadline: float) -> Exact:
    """The best plan there is, or the best found until `deadline` (of time.perf_counter) with its bound."""
    members = Members.build(problem, settings)
    relaxation = Relaxation(members, settings, deadline)
    grid, nodes, unproven = start, 0, -np.inf
    number = itertools.count()
    heap = [(-np.inf, next(number), np.ones(len(members.user), bool), members)]
    while heap:
        known, _, allowed, members = heapq.heappop(heap)
        if -known <= _enough(grid, settings):
            break
        if time.perf_counter() > deadline:
            unproven = max(unproven, -known)
            break
        nodes += 1
        relaxation.members, bound, before = members, -known, np.inf
        while True:
            prices, lower = relaxation.solve(allowed, _enough(grid, settings))
            bound = min(bound, lower)
            if bound <= _enough(grid, settings):
                break
            grid, allowed, patterns, whole = _narrow(relaxation, allowed, prices, bound, grid, deadline)
            if whole and (len(patterns) <= _FEW or len(patterns) > 0.7 * before):
                break
            if not whole or time.perf_counter() > deadline:
                break
            before = len(patterns)
            relaxation.members = relaxation.members.tightened(patterns)
        if bound <= _enough(grid, settings):
            continue
        if whole and len(patterns) <= _MOST_COLUMNS:
            found, proven = _finish(relaxation, allowed, patterns, bound, grid, deadline)
            grid = max(grid, found, key=lambda g: g.score) if found else grid
            unproven = max(unproven, proven)
            continue
        for part in _split(relaxation, allowed, patterns[:_MOST_COLUMNS], deadline):
            heapq.heappush(heap, (-bound, next(number), part, relaxation.members))
    return Exact(grid, max(unproven, grid.score), nodes)


def _enough(grid: Grid, settings: PrbSettings) -> float:
    """A bound at which the plan counts as proven."""
    return grid.score + settings.gap * abs(grid.score) + 1e-7


def _narrow(relaxation, allowed, prices, bound, grid, deadline):
    """(plan, members, patterns, whole): what can still be in a better plan than `grid`, which may itself get better on
    the way; whole is False where there are more patterns than are held."""
    for attempt in (True, False):
        left = bound - grid.score
        near = allowed & (prices.slack <= left)
        patterns, _, whole = best_patterns(relaxation.members, near, prices, prices.prb - left, _MOST_NEAR)
        if len(patterns) <= _MOST_COLUMNS or not attempt:
            break
        # a better plan to compare with leaves fewer
        seconds = min(2.0, 0.2 * (deadline - time.perf_counter()))
        program = Program.build(relaxation, near, patterns[:_TRIED], True)
        result = program.solve(relaxation.settings, seconds)
        if not result.has_solution or (found := program.grid(result.values)).score <= grid.score:
            break
        grid = found
    return grid, near, patterns, whole


def _finish(relaxation, allowed, patterns, bound, grid, deadline) -> tuple[Grid | None, float]:
    """A better plan of these patterns, and the bound of what could not be proven (-inf where all was)."""
    if not len(patterns):
        return None, -np.inf
    relaxation.members = relaxation.members.tightened(patterns)
    program = Program.build(relaxation, allowed, patterns, True, least=grid.score)
    result = program.solve(relaxation.settings, deadline - time.perf_counter())
    found = program.grid(result.values) if result.has_solution else None
    if result.status in ("optimal", "infeasible"):
        return found, -np.inf
    return found, bound if result.bound is None else min(bound, result.bound)


def _split(relaxation, allowed, patterns, deadline) -> list[np.ndarray]:
    """Two halves of the members: by the station or number of PRBs of the user that the relaxation leaves most open."""
    members = relaxation.members
    program = Program.build(relaxation, allowed, patterns, False)
    result = program.solve(relaxation.settings, deadline - time.perf_counter())
    x = np.zeros(len(allowed))
    if result.has_solution:
        x[program.member] = result.values[program.x]
    users = len(members.problem.gain)
    open_ = np.bincount(members.user, x * (1 - x), users)
    options = np.bincount(members.user[allowed], minlength=users)
    user = int(np.where(options > 1, open_ + 1e-6 * options, -1.0).argmax())
    mine = np.flatnonzero(allowed & (members.user == user))
    by_station = np.bincount(members.station[mine], x[mine] + 1e-9, members.problem.stations)
    if (by_station > 0.05).sum() > 1 or len(np.unique(members.count[mine])) == 1:
        first = members.station[mine] == by_station.argmax()
        if first.all():
            first = np.arange(len(mine)) < len(mine) // 2
    else:
        mean = (x[mine] @ members.count[mine]) / x[mine].sum() if x[mine].sum() > 0.05 else 1.0
        counts = np.unique(members.count[mine])
        first = members.count[mine] <= min(max(mean, counts[0]), counts[-2])
    parts = [allowed.copy(), allowed.copy()]
    parts[0][mine[~first]] = False
    parts[1][mine[first]] = False
    return parts
