"""The exact program with co-channel interference, free of the symmetry of PRBs.

A member is a user at a station sending at one power on a PRB; a pattern is a set of members, at most one a station,
that share a PRB. The fading is flat, so all PRBs are alike: what matters is how many PRBs carry each pattern (z_p whole)
and how many PRBs each user has at which station (its choice, x_c binary, n_c PRBs).

    max  sum_c v_c + sum_u worth_u(0) (1 - sum of u's x_c) - tau sum_p |p| z_p
    v_c <= the worth of r_c and, at most, of n_c PRBs without interference, both times x_c
    r_c = sum_p z_p rate of its member in p,   sum over p with member m of z_p = sum of n_c x_c,   sum_p z_p <= PRBs

The linear relaxation is solved by its dual, each cut a pattern found by a search over the stations
(`best_patterns`). A pattern or choice whose reduced cost exceeds the distance between this bound and the plan at hand
is in no better plan, and what remains is one small program. Where too many remain, the choices of one user are split
in two (branch and bound).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields, replace

import numpy as np

from .prb_problem import Objective, PrbProblem, PrbSettings
from .solver import Model

_MOST_PATTERNS = 4_000_000  # held at once in the search over stations
_MOST_COLUMNS = 6_000  # patterns of the final program
_EACH = 150  # patterns added at a time
_ROUNDS = 200
_SMOOTH = 0.6
_CLOSE = 0.03  # of the distance to the plan at hand: a relaxation solved so far is solved enough


@dataclass(frozen=True)
class Members:
    """user, station, count: (members,), count the PRBs that the user has in all. signal: (members,) W at the receiver.
    disturbs: (members, members) W that the second causes to the first. others: (members,) Mbit/s of its other PRBs
    without interference."""

    problem: PrbProblem
    objective: Objective
    user: np.ndarray
    station: np.ndarray
    count: np.ndarray
    signal: np.ndarray
    disturbs: np.ndarray
    others: np.ndarray

    @classmethod
    def build(cls, problem: PrbProblem, settings: PrbSettings) -> Members:
        most = 1 if settings.mode == "paper" else problem.prbs
        user, station, count = (a.ravel() for a in np.indices((*problem.gain.shape, most)))
        count = count + 1
        sent = problem.sent(count)
        if problem.uplink:
            disturbs = sent[None, :] * problem.gain[user][:, station].T
        else:
            disturbs = problem.power_w * problem.gain[user][:, station]
        others = problem.rates(user, station, count, 0.0) * (count - 1) / count
        signal = sent * problem.gain[user, station]
        return cls(problem, settings.objective, user, station, count, signal, disturbs, others)

    @property
    def alone(self) -> np.ndarray:
        """(members,) Mbit/s of one PRB without interference."""
        return self.problem.prb_mbps * np.log2(1 + self.signal / self.problem.noise_w)

    def share(self, member: np.ndarray, rate: np.ndarray) -> np.ndarray:
        """Most that one PRB at this rate can contribute to its user's worth."""
        count = self.count[member]
        demand = self.problem.demand_mbps[self.user[member]]
        return self.objective.worth(self.others[member] + rate, demand) / count

    def rates(self, patterns: np.ndarray) -> np.ndarray:
        """(patterns, stations) Mbit/s of each member on one PRB; patterns: (patterns, stations) members or -1."""
        on = patterns >= 0
        noise = np.full(patterns.shape, self.problem.noise_w)
        for s in range(patterns.shape[1]):
            for t in range(patterns.shape[1]):
                if s != t:
                    both = on[:, s] & on[:, t]
                    noise[both, s] += self.disturbs[patterns[both, s], patterns[both, t]]
        return np.where(on, self.problem.prb_mbps * np.log2(1 + self.signal[patterns] / noise), 0.0)


@dataclass(frozen=True)
class Prices:
    """A solution of the dual. weight: (members,) of a Mbit/s; jensen: (members,) of its share of the worth; charge: (members,) of each use, tau included; prb: of a
    PRB; slack: (members,) reduced cost; base: what users are worth at these prices. No plan is worth more than base +
    prb x PRBs."""

    weight: np.ndarray
    jensen: np.ndarray
    charge: np.ndarray
    prb: float
    slack: np.ndarray
    base: float

    def blend(self, other: Prices, share: float) -> Prices:
        """`share` of these prices and the rest of the others."""
        mixed = {
            f.name: share * getattr(self, f.name) + (1 - share) * getattr(other, f.name) for f in fields(self)
        }
        return Prices(**mixed)


def best_patterns(
    members: Members, allowed: np.ndarray, prices: Prices, least: float, most: int
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Patterns of allowed members worth at least `least` at these prices, best first, with their worth, and whether
    these are all.

    Worth: sum over members of weight x rate - charge. Built station by station; a part is given up when even without
    further interference the stations to come cannot lift it to `least`. most: patterns returned.
    """
    problem = members.problem
    alone = np.where(
        allowed,
        _value(members, np.arange(len(members.user)), members.alone, prices),
        -np.inf,
    )
    hope = np.zeros(problem.stations)
    np.maximum.at(hope, members.station, alone)
    order = np.argsort(-hope, kind="stable")
    patterns = np.full((1, problem.stations), -1)
    worth = np.zeros(1)
    whole = True
    for step, s in enumerate(order):
        rest = hope[order[step + 1 :]].sum()
        mine = np.flatnonzero((members.station == s) & (alone + hope.sum() - hope[s] >= least))
        if len(patterns) * (len(mine) + 1) > _MOST_PATTERNS:
            whole = False
            patterns = patterns[np.argsort(-worth)[: max(1, _MOST_PATTERNS // (len(mine) + 1))]]
        grown = np.repeat(patterns, len(mine), axis=0)
        grown[:, s] = np.tile(mine, len(patterns))
        twice = np.zeros(len(grown), bool)
        for t in order[:step]:
            other = grown[:, t]
            twice |= (other >= 0) & (members.user[other] == members.user[grown[:, s]])
        patterns = np.concatenate([patterns, grown[~twice]])
        worth = _worth(members, patterns, prices)
        keep = worth + rest >= least
        patterns, worth = patterns[keep], worth[keep]
    some = (patterns >= 0).any(axis=1)
    patterns, worth = patterns[some], worth[some]
    if len(patterns) > most:
        top = np.argpartition(-worth, most - 1)[:most]
        patterns, worth, whole = patterns[top], worth[top], False
    best = np.argsort(-worth, kind="stable")
    return patterns[best], worth[best], whole


def _value(members: Members, member: np.ndarray, rate: np.ndarray, prices: Prices) -> np.ndarray:
    """What members are worth on a PRB at these rates."""
    return (
        prices.weight[member] * rate
        + prices.jensen[member] * members.share(member, rate)
        - prices.charge[member]
    )


def _worth(members: Members, patterns: np.ndarray, prices: Prices) -> np.ndarray:
    value = _value(members, patterns, members.rates(patterns), prices)
    return np.where(patterns >= 0, value, 0.0).sum(axis=1)


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
        active = np.flatnonzero(self._within(allowed))
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

    def _within(self, allowed: np.ndarray) -> np.ndarray:
        return np.where(self.patterns >= 0, allowed[self.patterns], True).all(axis=1)

    def _master(self, allowed: np.ndarray, active: np.ndarray) -> Prices:
        members, settings = self.members, self.settings
        problem, demand = members.problem, members.problem.demand_mbps
        slopes, offsets = settings.objective.concave(demand)
        open_ = np.flatnonzero(allowed)
        user, n, k = members.user[open_], members.count[open_], len(slopes)
        model = Model("prb patterns dual")
        # of a single PRB the share is exact, so that no line is needed
        line = model.variables("line", (k, len(open_)), upper=np.where(n > 1, np.inf, 0.0))
        jensen = model.variables("jensen", len(allowed), upper=np.where(allowed, np.inf, 0.0))
        weight = model.variables("weight", len(allowed), upper=np.where(allowed, np.inf, 0.0))
        use = model.variables("use", len(allowed), lower=-np.inf)
        choice = model.variables("choice", len(demand), lower=settings.objective.worth(0.0, demand))
        prb = model.variables("prb", 1)
        model.cost(choice, 1.0)
        model.cost(prb, float(problem.prbs))
        row, ones = np.arange(len(open_)), np.ones(len(open_))
        rows = np.tile(row, k)
        model.rows(np.append(rows, row), np.append(line.ravel(), jensen[open_]), 1.0, 1.0, 1.0, len(open_))
        model.rows(
            np.concatenate([row, rows]),
            np.concatenate([weight[open_], line.ravel()]),
            np.concatenate([ones, -np.repeat(slopes, len(open_))]),
            lower=0.0,
        )
        model.rows(
            np.concatenate([row, row, rows]),
            np.concatenate([choice[user], use[open_], line.ravel()]),
            np.concatenate([ones, -n, -offsets[:, user].ravel()]),
            lower=0.0,
        )
        patterns, rates = self.patterns[active], self.rates[active]
        row, at = np.nonzero(patterns >= 0)
        member, rate = patterns[row, at], rates[row, at]
        model.rows(
            np.concatenate([np.arange(len(patterns)), row, row, row]),
            np.concatenate([np.repeat(prb, len(patterns)), use[member], weight[member], jensen[member]]),
            np.concatenate([np.ones(len(patterns)), np.ones(len(row)), -rate, -members.share(member, rate)]),
            lower=-settings.tau_mbps * (patterns >= 0).sum(axis=1),
            count=len(patterns),
        )
        result = model.solve(settings.solver, None, 0.0, settings.threads or 1)
        v = result.values
        slack = np.full(len(allowed), 1e9)  # closed
        slack[open_] = v[choice[user]] - n * v[use[open_]] - (offsets[:, user] * v[line]).sum(axis=0)
        return Prices(
            v[weight], v[jensen], v[use] + settings.tau_mbps, float(v[prb][0]), slack, v[choice].sum()
        )
