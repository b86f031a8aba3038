"""The sleep model exactly as the paper publishes it (eq. 14): one balance for the whole network."""

from __future__ import annotations

import numpy as np

from planning.energy import CellGroups
from planning.errors import InfeasibleError
from planning.sleep.problem import SleepProblem
from planning.sleep.rules import allowed
from planning.sleep.settings import SleepSettings
from planning.solver import Model, SolveResult

MAX_GAP = 1e-3  # relative, of eq. 14: cells of which no two are alike leave many near-optimal choices


def paper_plan(
    problem: SleepProblem, settings: SleepSettings
) -> tuple[np.ndarray, SolveResult, tuple[str, ...]]:
    """Eq. 14 as published: min energy s.t. alpha_n t_n <= c_n and sum_n alpha_n t_n >= sum_n s_n, each hour alone.

    Any cell may carry any traffic and any cell may sleep; BBUs and their cooling run on. The published objective
    charges nothing for an asleep RRU; ours charges its sleep power, as for every other strategy (set it to 0 for the
    formula to the letter). Identical cells of the whole network are one integer, so the model is exact and small: for
    kinds k of N_k cells with capacity C_k,

        min  sum_kh wake_k n_kh + factor_k slope_k t_kh
        s.t. t_kh <= C_k n_kh,   sum_k t_kh >= sum_s d_sh,   0 <= n_kh <= N_k integer,   t >= 0

    Returns (parts, hours) bool, the outcome of the solver, notes. Raises InfeasibleError where
    no plan was found in time.
    """
    groups = problem.groups
    demand = problem.demand.sum(axis=0)
    usable = settings.max_load
    hours = problem.hours
    figures = np.stack([groups.capacity, groups.wake_w, groups.factor * groups.slope], axis=1)
    kinds, kind = np.unique(figures.round(9), axis=0, return_inverse=True)  # (kinds, 3), (groups,)
    kind = kind.ravel()
    total = np.bincount(kind, groups.count, len(kinds)).astype(int)
    model = Model("sleep paper")
    n = model.variables("n", (len(kinds), hours), 0, total[:, None], integer=True)
    t = model.variables("t", (len(kinds), hours), 0, (kinds[:, 0] * total)[:, None])
    model.cost(n, kinds[:, 1][:, None])
    model.cost(t, kinds[:, 2][:, None])
    model.constant = float(
        groups.power_w(np.zeros((len(groups.site), 1)), np.zeros((len(groups.site), 1))).sum() * hours
    )
    row = np.arange(n.size)
    model.rows(
        np.concatenate([row, row]),
        np.concatenate([t.ravel(), n.ravel()]),
        np.concatenate([np.ones(n.size), np.repeat(-usable * kinds[:, 0], hours)]),
        upper=0.0,
        count=n.size,
    )
    model.rows(np.tile(np.arange(hours), len(kinds)), t.ravel(), 1.0, lower=demand, count=hours)
    # the published model looks at one hour at a time; all hours in one model are the same, as nothing couples them
    result = model.solve(settings.solver, settings.time_limit, min(settings.gap, MAX_GAP), settings.threads)
    if not result.has_solution:
        raise InfeasibleError(
            f"The solver found no schedule for eq. 14 within {settings.time_limit:g} s; raise the time limit."
        )
    counts = np.round(result.of(n)).astype(int)
    awake = allowed(problem, settings, _place_kinds(problem, groups, kind, counts))
    note = (
        "Eq. 14 as published lets any cell serve any traffic: the evaluation shows what the sectors in reach cannot "
        "serve. Cells that coverage and the rules of operation need are awake beside those that it chose; objective "
        "and gap are of eq. 14 alone."
    )
    return awake, result, (note,)


def _place_kinds(
    problem: SleepProblem, groups: CellGroups, kind: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Which parts of each kind are awake: those of the sectors with the most traffic per awake Mbit/s (eq. 14 leaves it
    open, as all are equal to it)."""
    out = np.zeros((len(groups.site), counts.shape[1]), int)
    for hour in range(counts.shape[1]):
        need = problem.by_sector(problem.demand)[:, hour]
        for k in np.argsort([-groups.capacity[kind == j][0] for j in range(len(counts))], kind="stable"):
            mine = np.flatnonzero(kind == k)
            for _ in range(counts[k, hour]):
                open_groups = mine[out[mine, hour] < groups.count[mine]]
                g = open_groups[np.argmax(need[groups.sector[open_groups]])]
                out[g, hour] += 1
                need[groups.sector[g]] -= groups.capacity[g]
    return out
