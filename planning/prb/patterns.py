"""Patterns: sets of users that share a PRB, at most one a station, and the search for the best of them.

A member is a user at a station that has a number of PRBs in all, hence a power on each; a pattern is a set of members.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from planning.prb.problem import MET, Objective, PrbProblem, PrbSettings

_MAX_PAIRS = 6_000_000  # patterns x pairs of stations at once in the search over stations


@dataclass(frozen=True)
class Members:
    """What users may be: each member is one user at one station with a number of PRBs in all."""

    problem: PrbProblem
    objective: Objective
    user: np.ndarray  # (members,)
    station: np.ndarray  # (members,)
    count: np.ndarray  # (members,) PRBs in all
    signal: np.ndarray  # (members,) W at the receiver
    disturbs: np.ndarray  # (members, members) W that the second causes to the first
    others: np.ndarray  # (members,) Mbit/s of its other PRBs at their best, at first without interference

    @classmethod
    def build(cls, problem: PrbProblem, settings: PrbSettings) -> Members:
        """Every user at every station with every number of PRBs that the settings allow."""
        most = settings.most(problem)
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
        return self.problem.prb_mbps(self.signal / self.problem.noise_w)

    def share(self, member: np.ndarray, rate: np.ndarray) -> np.ndarray:
        """Most that one PRB at this rate can contribute to its user's worth."""
        count = self.count[member]
        demand = self.problem.demand_mbps[self.user[member]]
        return self.objective.worth(self.others[member] + rate, demand) / count

    def tightened(self, patterns: np.ndarray) -> Members:
        """Members whose other PRBs are at best as good as the best of these patterns makes them."""
        best = np.zeros(len(self.user))
        on = patterns >= 0
        np.maximum.at(best, patterns[on], self.rates(patterns)[on])
        return replace(self, others=np.minimum(self.others, (self.count - 1) * best))

    def good(self, member: np.ndarray, rate: np.ndarray) -> np.ndarray:
        """Whether one PRB at this rate reaches its even part of the user's minimum: one of them must."""
        floor = self.objective.floor(self.problem.demand_mbps[self.user[member]])
        return rate * self.count[member] >= floor * MET

    def rates(self, patterns: np.ndarray) -> np.ndarray:
        """(patterns, stations) Mbit/s of each member on one PRB; patterns: (patterns, stations) members or -1."""
        on = patterns >= 0
        noise = np.full(patterns.shape, self.problem.noise_w)
        for s in range(patterns.shape[1]):
            for t in range(patterns.shape[1]):
                if s != t:
                    both = on[:, s] & on[:, t]
                    noise[both, s] += self.disturbs[patterns[both, s], patterns[both, t]]
        return np.where(on, self.problem.prb_mbps(self.signal[patterns] / noise), 0.0)


@dataclass(frozen=True)
class PatternPrices:
    """A solution of the dual that `relaxation` writes out. No plan is worth more than base + prb * PRBs."""

    weight: np.ndarray  # (members,) of a Mbit/s
    jensen: np.ndarray  # (members,) of a PRB's share of the worth
    good: np.ndarray  # (members,) of a PRB with an even part of the minimum
    charge: np.ndarray  # (members,) of each use of a PRB, tau included
    prb: float  # of a PRB
    slack: np.ndarray  # (members,) reduced cost
    base: float  # what users are worth at these prices

    def blend(self, other: PatternPrices, share: float) -> PatternPrices:
        """`share` of these prices and the rest of the others."""
        mixed = {
            f.name: share * getattr(self, f.name) + (1 - share) * getattr(other, f.name) for f in fields(self)
        }
        return PatternPrices(**mixed)


@dataclass(frozen=True)
class Found:
    """Patterns, best first, with their worth. ceiling: no pattern is worth more. whole: all that were asked for."""

    patterns: np.ndarray
    worth: np.ndarray
    ceiling: float
    whole: bool


def best_patterns(
    members: Members, allowed: np.ndarray, prices: PatternPrices, least: float, most: int
) -> Found:
    """At most `most` patterns of allowed members worth at least `least` at these prices.

    Worth: sum over members of what they are worth at their rates. Built station by station; a part is given up when
    even without further interference the stations to come cannot lift it to `least`.
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
    patterns, worth = np.full((1, problem.stations), -1), np.zeros(1)
    ceiling, whole = -np.inf, True
    for step, s in enumerate(order):
        rest = hope[order[step + 1 :]].sum()
        mine = np.flatnonzero((members.station == s) & (alone + hope.sum() - hope[s] >= least))
        room = max(1, _MAX_PAIRS // (problem.stations**2 * (len(mine) + 1)))
        if len(patterns) > room:
            rank = np.argsort(-worth, kind="stable")
            ceiling, whole = max(ceiling, float(worth[rank[room]]) + hope[s] + rest), False
            patterns = patterns[rank[:room]]
        grown = np.repeat(patterns, len(mine), axis=0)
        grown[:, s] = np.tile(mine, len(patterns))
        twice = np.zeros(len(grown), bool)
        for t in order[:step]:
            other = grown[:, t]
            twice |= (other >= 0) & (members.user[other] == members.user[grown[:, s]])
        patterns = np.concatenate([patterns, grown[~twice]])
        worth = worth_of(members, patterns, prices)
        keep = worth + rest >= least
        patterns, worth = patterns[keep], worth[keep]
    some = (patterns >= 0).any(axis=1)
    patterns, worth = patterns[some], worth[some]
    ceiling = max(ceiling, float(worth.max(initial=-np.inf)))
    if len(patterns) > most:
        top = np.argpartition(-worth, most - 1)[:most]
        patterns, worth, whole = patterns[top], worth[top], False
    best = np.argsort(-worth, kind="stable")
    return Found(patterns[best], worth[best], ceiling, whole)


def _value(members: Members, member: np.ndarray, rate: np.ndarray, prices: PatternPrices) -> np.ndarray:
    """What members are worth on a PRB at these rates."""
    return (
        prices.weight[member] * rate
        + prices.jensen[member] * members.share(member, rate)
        + prices.good[member] * members.good(member, rate)
        - prices.charge[member]
    )


def worth_of(members: Members, patterns: np.ndarray, prices: PatternPrices) -> np.ndarray:
    """(patterns,) what patterns are worth at these prices, the price of the PRB itself aside."""
    value = _value(members, patterns, members.rates(patterns), prices)
    return np.where(patterns >= 0, value, 0.0).sum(axis=1)
