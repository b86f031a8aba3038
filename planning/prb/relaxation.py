"""The linear relaxation of the exact program (`exact`), by its dual: each cut a pattern.

With `line_km` the dual of v_m <= line k (see `lines`), `jensen_m` of the sum of shares, `weight_m` of r_m, `good_m`,
`served_m` and `reached_m` of the three limits on met_m, `use_m` of the PRBs that a member has, `choice_u` of one member
a user, and `prb` of the PRBs that there are, the dual is

    min  sum_u choice_u + PRBs * prb
    s.t. sum_k line_km + jensen_m = 1                                                          v_m, free
         weight_m - reached_m - sum_k slope_k line_km >= 0                                     r_m
         served_m + floor_m reached_m + good_m - fixed_m sum_k line_km >= 0                    met_m
         choice_u - n_m use_m - served_m - sum_k offset_km line_km >= 0                        x_m of user u
         prb + sum over m in p of (use_m - rate_pm weight_m - share_pm jensen_m - good_pm good_m) >= -tau |p|    z_p
         choice_u >= worth_u(0),   use free,   all others >= 0
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np

from planning.prb.patterns import Members, PatternPrices, best_patterns
from planning.prb.problem import MET, Objective, PrbSettings
from planning.solver import Model

_EACH = 150  # patterns added at a time
_ROUNDS = 200  # of column generation, at most
_CLOSED = 1e9  # reduced cost of members that are not allowed
_SMOOTH = 0.6  # weight of the best prices against the newest
_CLOSE = 0.03  # of the distance to the plan at hand: a relaxation solved so far is solved enough


def lines(objective: Objective, demand: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Worth as the least of some lines, and a jump: slopes (lines,), offsets (lines, users), and (users,) the rate
    `floor` that meets the demand and what doing so adds, `fixed`.

    For met = 1 where rate >= floor and 0 elsewhere, worth = min over k of slopes[k] rate + offsets[k] + fixed met.
    """
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

    def solve(self, allowed: np.ndarray, target: float) -> tuple[PatternPrices, float]:
        """The dual over the open choices. Stops early when its bound is below `target` or the time is over."""
        active = np.flatnonzero(self.within(allowed))
        best: PatternPrices | None = None
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

    def _bound(self, prices: PatternPrices) -> float:
        return prices.base + prices.prb * self.members.problem.prbs

    def within(self, allowed: np.ndarray) -> np.ndarray:
        """(patterns,) bool: those of allowed members alone."""
        return np.asarray(np.where(self.patterns >= 0, allowed[self.patterns], True).all(axis=1))

    def _master(self, allowed: np.ndarray, active: np.ndarray) -> PatternPrices:
        """The dual with the cuts of the active patterns alone."""
        members, settings = self.members, self.settings
        problem, demand = members.problem, members.problem.demand_mbps
        open_ = np.flatnonzero(allowed)
        user, n = members.user[open_], members.count[open_]
        slopes, offsets, floor, fixed = lines(settings.objective, demand[user])
        model = Model("prb patterns dual")
        # of a single PRB the share is exact, so that no line is needed
        line = model.variables("line", (len(slopes), len(open_)), upper=np.where(n > 1, np.inf, 0.0))
        jensen, weight, good = (
            model.variables(name, len(allowed), upper=np.where(allowed, np.inf, 0.0))
            for name in ("jensen", "weight", "good")
        )
        use = model.variables("use", len(allowed), lower=-np.inf)
        served, reached = (model.variables(name, len(open_)) for name in ("served", "reached"))
        choice = model.variables("choice", len(demand), lower=settings.objective.worth(0.0, demand))
        prb = model.variables("prb", 1)
        model.cost(choice, 1.0)
        model.cost(prb, float(problem.prbs))
        row, ones = np.arange(len(open_)), np.ones(len(open_))
        rows = np.tile(row, len(slopes))  # of every line
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
            np.concatenate([ones, floor, ones, -np.tile(fixed, len(slopes))]),
            lower=0.0,
        )
        model.rows(
            np.concatenate([row, row, row, rows]),
            np.concatenate([choice[user], use[open_], served, line.ravel()]),
            np.concatenate([ones, -n, -ones, -offsets.ravel()]),
            lower=0.0,
        )
        self._add_cuts(model, active, prb, use, weight, jensen, good)
        result = model.solve(settings.solver, None, 0.0, settings.threads or 1)
        value = result.of(np.arange(model.size[0]))
        slack = np.full(len(allowed), _CLOSED)
        slack[open_] = (
            value[choice[user]] - n * value[use[open_]] - value[served] - (offsets * value[line]).sum(axis=0)
        )
        return PatternPrices(
            value[weight],
            value[jensen],
            value[good],
            value[use] + settings.tau_mbps,
            float(value[prb][0]),
            slack,
            value[choice].sum(),
        )

    def _add_cuts(
        self,
        model: Model,
        active: np.ndarray,
        prb: np.ndarray,
        use: np.ndarray,
        weight: np.ndarray,
        jensen: np.ndarray,
        good: np.ndarray,
    ) -> None:
        """The dual's rows of z_p for the active patterns."""
        members = self.members
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
            lower=-self.settings.tau_mbps * (patterns >= 0).sum(axis=1),
            count=len(patterns),
        )
