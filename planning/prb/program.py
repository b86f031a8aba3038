"""The exact program (`exact`) over the members and patterns that can be in a better plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planning.prb.patterns import Members
from planning.prb.problem import PrbSettings
from planning.prb.relaxation import lines
from planning.prb.sinr import Grid
from planning.solver import Model, SolveResult


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
        members: Members,
        allowed: np.ndarray,
        patterns: np.ndarray,
        whole: bool,
        least: float = -np.inf,
    ) -> Program:
        """allowed: (members,) bool; patterns: (patterns, stations) members or -1. whole: with whole numbers, else their
        linear relaxation. least: only plans worth so much."""
        objective, problem = members.objective, members.problem
        member = np.flatnonzero(allowed)
        user, count = members.user[member], members.count[member]
        nothing = objective.worth(0.0, problem.demand_mbps)
        model = Model("prb patterns", maximise=True)
        z = model.variables("z", len(patterns), upper=float(problem.prbs), integer=whole)
        x = model.variables("x", len(member), upper=1.0, integer=whole)
        v = model.variables("v", len(member), lower=-np.inf)
        tau = objective.tau_mbps * (patterns >= 0).sum(axis=1)
        model.constant = float(nothing.sum())
        model.cost(v, 1.0)
        model.cost(x, -nothing[user])
        model.cost(z, -tau)
        if np.isfinite(least):
            model.rows(
                np.zeros(len(z) + 2 * len(x), int),
                np.concatenate([z, v, x]),
                np.concatenate([-tau, np.ones(len(v)), -nothing[user]]),
                lower=least - nothing.sum(),
            )
        model.rows(user, x, 1.0, upper=1.0, count=len(problem.demand_mbps))
        model.rows(np.zeros(len(z), int), z, 1.0, upper=float(problem.prbs))
        uses = _Uses.of(members, patterns)
        place = np.full(len(allowed), -1)
        place[member] = row = np.arange(len(member))
        model.rows(  # a member has all its PRBs
            np.append(place[uses.member], row),
            np.append(z[uses.pattern], x),
            np.append(np.ones(len(uses.member)), -count),
            0.0,
            0.0,
            len(member),
        )
        model.rows(  # and is worth no more than the sum of their shares, which is exact for a single PRB
            np.append(place[uses.member], row),
            np.append(z[uses.pattern], v),
            np.append(members.share(uses.member, uses.rate), -np.ones(len(member))),
            lower=0.0,
            count=len(member),
        )
        several = count > 1
        if several.any():
            _limit_worth(model, members, member[several], uses, z, x[several], v[several], whole)
        return cls(members, member, patterns, model, z, x)

    def solve(self, settings: PrbSettings, seconds: float) -> SolveResult:
        """The solver's answer after at most so many seconds."""
        return self.model.solve(
            settings.solver, max(seconds, 0.1), settings.gap, settings.threads or 1, settings.seed
        )

    def grid(self, result: SolveResult) -> Grid:
        """The plan of a solution: its patterns on one PRB after the other."""
        problem = self.members.problem
        grid_of = np.repeat(self.patterns, result.of(self.z).astype(int), axis=0)  # (prbs used, stations)
        station, uses = np.full(len(problem.gain), -1), np.zeros((len(problem.gain), problem.prbs), bool)
        prb, at = np.nonzero(grid_of >= 0)
        user = self.members.user[grid_of[prb, at]]
        station[user] = at
        uses[user, prb] = True
        return Grid.of(problem, self.members.objective, station, uses)


@dataclass(frozen=True)
class _Uses:
    """(uses,) arrays: which pattern has which member, at how many Mbit/s on its PRB."""

    pattern: np.ndarray
    member: np.ndarray
    rate: np.ndarray

    @classmethod
    def of(cls, members: Members, patterns: np.ndarray) -> _Uses:
        pattern, station = np.nonzero(patterns >= 0)
        return cls(pattern, patterns[pattern, station], members.rates(patterns)[pattern, station])


def _limit_worth(
    model: Model,
    members: Members,
    several: np.ndarray,
    uses: _Uses,
    z: np.ndarray,
    x: np.ndarray,
    v: np.ndarray,
    whole: bool,
) -> None:
    """Members with several PRBs are worth no more than the worth of their rate r, by `lines`.

    several: their numbers; x, v: (several,) variables. met_m, 1 where the demand is met:

        r_m = sum_p z_p rate_pm;   met_m <= sum_p z_p good_pm;   met_m <= x_m;   floor_m met_m <= r_m
        v_m <= slope_k r_m + offset_km x_m + fixed_m met_m       for every line k
    """
    size = len(several)
    row, ones = np.arange(size), np.ones(size)
    slopes, offsets, floor, fixed = lines(
        members.objective, members.problem.demand_mbps[members.user[several]]
    )
    r = model.variables("r", size)
    met = model.variables("met", size, upper=1.0, integer=whole)
    place = np.full(len(members.user), -1)
    place[several] = row
    mine = np.flatnonzero(place[uses.member] >= 0)
    member, rate = uses.member[mine], uses.rate[mine]
    at, over = place[member], z[uses.pattern[mine]]
    good = members.good(member, rate).astype(float)
    model.rows(np.append(at, row), np.append(over, r), np.append(rate, -ones), 0.0, count=size)
    model.rows(np.append(at, row), np.append(over, met), np.append(good, -ones), 0.0, count=size)
    model.rows(np.tile(row, 2), np.append(x, met), np.append(ones, -ones), lower=0.0)
    model.rows(np.tile(row, 2), np.append(r, met), np.append(ones, -floor), lower=0.0)
    for slope, offset in zip(slopes, offsets, strict=True):
        model.rows(
            np.tile(row, 4),
            np.concatenate([v, r, x, met]),
            np.concatenate([ones, -slope * ones, -offset, -fixed]),
            upper=0.0,
        )
