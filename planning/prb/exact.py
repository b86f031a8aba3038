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
from dataclasses import dataclass, replace

import numpy as np

from planning.prb.bound import Options, solve_dual
from planning.prb.patterns import Members, PatternPrices, best_patterns
from planning.prb.problem import PrbProblem, PrbSettings
from planning.prb.program import Program
from planning.prb.relaxation import Relaxation
from planning.prb.sinr import Grid

_MAX_NEAR = 60_000  # patterns that may be in a better plan, held at once
_MAX_COLUMNS = 5_000  # patterns of the final program
_FEW = 800  # patterns that need no tighter relaxation
_LITTLE_FEWER = 0.7  # of the patterns: tightening again gains too little
_TRIED = 1_500  # patterns of the program that looks for a better plan to compare with
_SEEK_SECONDS, _SEEK_SHARE = 2.0, 0.2  # that it may take at most, and of the time that is left


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
    options = Options(problem, settings.objective, settings.most(problem))
    quiet = solve_dual(options, settings, deadline)
    # what is in no better plan without interference is in none with it
    near = options.slack(quiet.price) <= quiet.bound - grid.score + 1e-9
    heap = [(-quiet.bound, next(number), near.ravel(), members)]  # best bound first
    while heap:
        known, _, allowed, members = heapq.heappop(heap)
        if -known <= _enough(grid, settings):
            break
        if time.perf_counter() > deadline:
            unproven = max(unproven, -known)
            break
        nodes += 1
        relaxation.members = members
        node = _narrowed(relaxation, allowed, -known, grid, deadline, nodes == 1)
        grid = node.grid
        if node.bound <= _enough(grid, settings):
            continue
        if node.whole and len(node.patterns) <= _MAX_COLUMNS:
            found, proven = _finish(relaxation, node, deadline)
            grid = max(grid, found, key=lambda g: g.score) if found else grid
            unproven = max(unproven, proven)
        elif not _open(relaxation.members, node.allowed).any():  # nothing to split, and too much to list
            unproven = max(unproven, node.bound)
        else:
            for part in _split(relaxation, node.allowed, node.patterns[:_MAX_COLUMNS], deadline):
                heapq.heappush(heap, (-node.bound, next(number), part, relaxation.members))
    return Exact(grid, max(unproven, grid.score), nodes)


@dataclass(frozen=True)
class _Node:
    """What is left of a part of the search. grid: the best plan so far. allowed: (members,) bool and patterns: what can
    still be in a better one; whole: False where there are more patterns than these. bound: of the part's plans."""

    grid: Grid
    allowed: np.ndarray
    patterns: np.ndarray
    whole: bool
    bound: float


def _narrowed(
    relaxation: Relaxation, allowed: np.ndarray, bound: float, grid: Grid, deadline: float, seek: bool
) -> _Node:
    """The relaxation, solved again with members that are tightened to the patterns left, as long as that leaves fewer;
    `relaxation.members` are then those."""
    node, before = _Node(grid, allowed, np.zeros((0, 0), int), False, bound), np.inf
    while True:
        prices, relaxed = relaxation.solve(node.allowed, _enough(node.grid, relaxation.settings))
        node = replace(node, bound=min(node.bound, relaxed))
        if node.bound <= _enough(node.grid, relaxation.settings):
            return node
        node = _narrow(relaxation, node, prices, deadline, seek)
        left = len(node.patterns)
        if not node.whole or left <= _FEW or left > _LITTLE_FEWER * before or time.perf_counter() > deadline:
            return node
        before = left
        relaxation.members = relaxation.members.tightened(node.patterns)


def _open(members: Members, allowed: np.ndarray) -> np.ndarray:
    """(users,) whether more than one member is allowed."""
    return np.bincount(members.user[allowed], minlength=len(members.problem.gain)) > 1


def _enough(grid: Grid, settings: PrbSettings) -> float:
    """A bound at which the plan counts as proven."""
    return grid.score + settings.gap * abs(grid.score) + 1e-7


def _narrow(relaxation: Relaxation, node: _Node, prices: PatternPrices, deadline: float, seek: bool) -> _Node:
    """The node with the members and patterns that can still be in a better plan, by their reduced costs; its plan may
    itself get better on the way where `seek` asks for it."""
    grid = node.grid
    for attempt in (seek, False):
        left = node.bound - grid.score
        near = node.allowed & (prices.slack <= left)
        found = best_patterns(relaxation.members, near, prices, prices.prb - left, _MAX_NEAR)
        if len(found.patterns) <= _MAX_COLUMNS or not attempt:
            break
        # a better plan to compare with leaves fewer
        seconds = min(_SEEK_SECONDS, _SEEK_SHARE * (deadline - time.perf_counter()))
        program = Program.build(relaxation.members, near, found.patterns[:_TRIED], True)
        result = program.solve(relaxation.settings, seconds)
        if not result.has_solution or (better := program.grid(result)).score <= grid.score:
            break
        grid = better
    return _Node(grid, near, found.patterns, found.whole, node.bound)


def _finish(relaxation: Relaxation, node: _Node, deadline: float) -> tuple[Grid | None, float]:
    """A better plan of the node's patterns, and the bound of what could not be proven (-inf where all was)."""
    if not len(node.patterns):
        return None, -np.inf
    relaxation.members = relaxation.members.tightened(node.patterns)
    program = Program.build(relaxation.members, node.allowed, node.patterns, True, least=node.grid.score)
    result = program.solve(relaxation.settings, deadline - time.perf_counter())
    found = program.grid(result) if result.has_solution else None
    if result.status in ("optimal", "infeasible"):
        return found, -np.inf
    return found, node.bound if result.bound is None else min(node.bound, result.bound)


def _split(
    relaxation: Relaxation, allowed: np.ndarray, patterns: np.ndarray, deadline: float
) -> list[np.ndarray]:
    """Two halves of the members: by the station or number of PRBs of the user that the relaxation leaves most open."""
    members = relaxation.members
    program = Program.build(relaxation.members, allowed, patterns, False)
    result = program.solve(relaxation.settings, deadline - time.perf_counter())
    x = np.zeros(len(allowed))
    if result.has_solution:
        x[program.member] = result.of(program.x)
    users = len(members.problem.gain)
    open_ = np.bincount(members.user, x * (1 - x), users)
    user = int(np.where(_open(members, allowed), open_, -1.0).argmax())
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
