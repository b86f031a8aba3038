"""The linear relaxation of the exact program (`exact`), by its dual: each cut a pattern."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np

from planning.prb.patterns import Members, Prices, best_patterns
from planning.prb.problem import MET, Objective, PrbSettings
from planning.solver import Model

_EACH = 150  # patterns added at a time
_ROUNDS = 200
_SMOOTH = 0.6  # weight of the best prices against the newest
_CLOSE = 0.03  # of the distance to the plan at hand: a relaxation solved so far is solved enough


def lines(objective: Objective, demand: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
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


@dataclass
class Relaxation:
    """Column generation; the patterns met so far serve all nodes."""

    members: Members
    settings: PrbSettings
    deadline: float
    patterns: np.ndarray = field(init=False)
    rates: np.ndarray = field(init=False)
    _numbers: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
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
                found = best_patterns(self.members, allowed, prices, prb + 1e-7, _EACH)
                # with PRBs priced at the best pattern's worth every cut holds, so that this is a bound
                prices = replace(prices, prb=max(prb, found.ceiling))
                if best is None or self._bound(prices) < self._bound(best):
                    best = prices
                fresh = np.setdiff1d(self.add(found.patterns), active)
                if len(fresh):
                    break
            assert best is not None  # the first prices are taken
            lowest, bound = self._bound(master), self._bound(best)
            close = max(1e-6 * max(1.0, abs(bound)), _CLOSE * (lowest - target))
            if bound <= lowest + close or bound < target or time.perf_counter() > self.deadline:
                break
            if not len(fresh):
                break
            active = np.union1d(active, fresh)
        assert best is not None
        return best, self._bound(best)

    def _bound(self, prices: Prices) -> float:
        return prices.base + prices.prb * self.members.problem.prbs

    def within(self, allowed: np.ndarray) -> np.ndarray:
        return np.asarray(np.where(self.patterns >= 0, allowed[self.patterns], True).all(axis=1))

    def _master(self, allowed: np.ndarray, active: np.ndarray) -> Prices:
        members, settings = self.members, self.settings
        problem, demand = members.problem, members.problem.demand_mbps
        open_ = np.flatnonzero(allowed)
        user, n = members.user[open_], members.count[open_]
        slopes, offsets, floor, fixed = lines(settings.objective, demand[user])
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
        v = result.of(np.arange(model.size[0]))
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
