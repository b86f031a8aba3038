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
        """whole: with whole numbers; least: only plans worth so much."""
        objective = members.objective
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
            slopes, offsets, floor, fixed = lines(objective, demand[members.user[many]])
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
