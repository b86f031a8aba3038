"""Sleep as mixed-integer programs in PuLP.

Ring model, per site s, hour h, group of identical cells g (N_g cells, capacity C_g), cyclic hours:

    min  sum_h [ sum_g factor_g ((idle_g - sleep_g) n_gh + slope_g t_gh) + price * sum_a f_ah + switch * sum_g u_gh ]
    s.t. sum_{g in s} t_gh = d_sh - sum_{a out of s} f_ah + sum_{a into s} f_ah        traffic is conserved
         t_gh <= C_g n_gh                                                             capacity
         sum_{a out of s} f_ah <= d_sh                                                a site moves its own traffic
         u_gh >= n_gh - n_g,h-1 ;  sum_{k < min_up} u_g,h-k <= n_gh                   minimum up time
         lowest_g <= n_gh <= N_g integer                                              coverage cells stay awake
         d_sh - sum_{a out of s} f_ah <= C0_s + sum_g min(C_g, d_sh - C0_s) n_gh      tight link

with C0_s the capacity that never sleeps. The tight link says that beyond it a site's own traffic needs whole cells:
one awake cell carries at most what is asked of it, which closes most of the relaxation's gap.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .dispatch import dispatch
from .energy import Groups
from .errors import InfeasibleError
from .sleep_rules import greedy, hold, spread_counts, to_cells
from .solver import Model, SolveResult


def ring_plan(problem, settings) -> tuple[np.ndarray, SolveResult, tuple[str, ...]]:
    """(cells, hours) bool, the solver's answer, notes."""
    groups = problem.groups
    start = greedy(problem, settings)
    result, counts = _solve_ring(problem, groups, settings, start)
    awake, open_groups = _cells_of(groups, counts, settings.min_up)
    notes: tuple[str, ...] = ()
    if open_groups:
        # counts of identical cells can hide a schedule that only works if cells swap roles from day to day:
        # model those few cells one by one, which is exact
        split = _split(groups, open_groups)
        result_2, counts = _solve_ring(problem, split, settings, start)
        if result_2.has_solution:
            awake_2, still_open = _cells_of(split, counts, settings.min_up)
            if not still_open:
                awake, result, open_groups = awake_2, result_2, []
    if open_groups:
        awake = hold(groups, awake, settings.min_up)
        notes = (
            f"{len(open_groups)} groups of cells were kept awake longer than the optimum to hold min-up times.",
        )
    return awake, result, notes


def _solve_ring(problem, groups: Groups, settings, start_awake) -> tuple[SolveResult, np.ndarray]:
    model, n = ring_model(problem, groups, settings, start_awake)
    result = model.solve(settings.solver, settings.time_limit, settings.gap, settings.threads)
    if not result.has_solution:
        if result.status == "infeasible":
            raise InfeasibleError("No sleep schedule satisfies the constraints; lower the minimum up time.")
        raise InfeasibleError(
            f"The solver found no sleep schedule within {settings.time_limit:g} s; "
            "raise the time limit or choose greedy."
        )
    counts = np.repeat(groups.lowest[:, None], problem.hours, axis=1)
    free = np.flatnonzero(groups.count > groups.lowest)
    counts[free] = np.round(result.values[n]).astype(int)
    return result, counts


def ring_model(problem, groups: Groups, settings, start_awake=None) -> tuple[Model, np.ndarray]:
    """The model and the numbers of its count variables (free groups, hours)."""
    demand, ring = problem.demand, problem.ring
    sites, hours = demand.shape
    arcs = len(ring.source)
    hour = np.arange(hours)
    free = np.flatnonzero(groups.count > groups.lowest)
    model = Model("sleep")
    n = model.variables(
        "n", (len(free), hours), groups.lowest[free, None], groups.count[free, None], integer=True
    )
    t = model.variables("t", (len(groups.site), hours), 0, (groups.capacity * groups.count)[:, None])
    f = model.variables("f", (arcs, hours), 0, demand[ring.source])
    u = model.variables("u", (len(free), hours), 0, (groups.count - groups.lowest)[free, None])

    model.cost(n, groups.wake_w[free, None])
    model.cost(t, (groups.factor * groups.slope)[:, None])
    model.cost(f, settings.offload_w_per_mbps)
    model.cost(u, settings.switch_wh)
    asleep = groups.power_w(np.repeat(groups.count[:, None] * 0, hours, axis=1), np.zeros(t.shape)).sum()
    fixed = np.setdiff1d(np.arange(len(groups.site)), free)
    model.constant = float(asleep + (groups.wake_w[fixed] * groups.lowest[fixed]).sum() * hours)

    site_hour = np.arange(sites)[:, None] * hours + hour
    # traffic is conserved
    model.rows(
        np.concatenate(
            [site_hour[groups.site].ravel(), site_hour[ring.source].ravel(), site_hour[ring.target].ravel()]
        ),
        np.concatenate([t.ravel(), f.ravel(), f.ravel()]),
        np.concatenate([np.ones(t.size), np.ones(f.size), -np.ones(f.size)]),
        demand.ravel(),
        demand.ravel(),
        count=sites * hours,
    )
    # capacity of the groups that may sleep; the others are bounded by t's own bounds
    row = np.arange(n.size)
    model.rows(
        np.concatenate([row, row]),
        np.concatenate([t[free].ravel(), n.ravel()]),
        np.concatenate([np.ones(n.size), np.repeat(-groups.capacity[free], hours)]),
        upper=0.0,
        count=n.size,
    )
    sends = np.bincount(ring.source, minlength=sites) > 1
    rank = np.cumsum(sends) - 1
    several = np.flatnonzero(sends[ring.source])
    model.rows(
        (rank[ring.source[several]][:, None] * hours + hour).ravel(),
        f[several].ravel(),
        1.0,
        upper=demand[sends].ravel(),
        count=int(sends.sum()) * hours,
    )
    _tight_links(model, groups, ring, demand, free, n, f)
    # switching
    before = np.roll(n, 1, axis=1)
    if hours > 1:
        model.rows(
            np.tile(row, 3),
            np.concatenate([u.ravel(), n.ravel(), before.ravel()]),
            np.concatenate([np.ones(n.size), -np.ones(n.size), np.ones(n.size)]),
            lower=0.0,
            count=n.size,
        )
    if settings.min_up > 1 and hours > 1:
        reach = min(settings.min_up, hours)
        back = [np.roll(u, k, axis=1).ravel() for k in range(reach)]
        model.rows(
            np.tile(row, reach + 1),
            np.concatenate([*back, n.ravel()]),
            np.concatenate([np.ones(reach * n.size), -np.ones(n.size)]),
            upper=0.0 - np.zeros(n.size),
            count=n.size,
        )
    if start_awake is not None:
        _start(model, problem, groups, free, start_awake, n, t, f, u)
    return model, n


def _tight_links(model, groups: Groups, ring, demand, free, n, f) -> None:
    always = np.bincount(groups.site, groups.capacity * groups.lowest, groups.sites)
    beyond = demand - always[:, None]
    sites, hours = np.nonzero(beyond > 1e-9)
    if not len(sites):
        return
    number = np.full(demand.shape, -1)
    number[sites, hours] = np.arange(len(sites))
    out_rows = number[ring.source]
    group_rows = number[groups.site[free]]
    used_f, used_n = out_rows >= 0, group_rows >= 0
    gain = np.minimum(groups.capacity[free, None], beyond[groups.site[free]])
    # n counts from its lower bound: cells that never sleep are in `always` already
    shift = np.zeros(len(sites))
    np.add.at(shift, group_rows[used_n], (gain * groups.lowest[free, None])[used_n])
    model.rows(
        np.concatenate([out_rows[used_f], group_rows[used_n]]),
        np.concatenate([f[used_f], n[used_n]]),
        np.concatenate([np.ones(used_f.sum()), gain[used_n]]),
        lower=beyond[sites, hours] + shift,
        count=len(sites),
    )


def _start(model, problem, groups: Groups, free, awake, n, t, f, u) -> None:
    counts = np.stack([awake[c].sum(axis=0) for c in groups.cells])
    served = dispatch(problem.demand, groups.capacity_of(counts), problem.ring)
    if (served.unserved > 1e-6).any():
        return
    load = groups.spread(counts, served.load)
    model.start(n, counts[free].ravel())
    model.start(t, load.ravel())
    model.start(f, served.moved.ravel())
    model.start(u, np.maximum(counts - np.roll(counts, 1, axis=1), 0)[free].ravel())


def _cells_of(groups: Groups, counts: np.ndarray, min_up: int) -> tuple[np.ndarray, list[int]]:
    """Awake cells from counts, and the groups whose counts have no strict daily schedule."""
    awake = to_cells(groups, counts)
    unsolved = []
    for g in np.flatnonzero(groups.count > groups.lowest):
        rows = spread_counts(counts[g], int(groups.count[g]), min_up)
        if rows is None:
            unsolved.append(int(g))
        else:
            awake[groups.cells[g]] = rows
    return awake, unsolved


def _split(groups: Groups, chosen: list[int]) -> Groups:
    """The same cells with the chosen groups taken apart into single cells."""
    owner, cells, lowest = [], [], []
    for g, members in enumerate(groups.cells):
        parts = [members[i : i + 1] for i in range(len(members))] if g in set(chosen) else [members]
        for i, part in enumerate(parts):
            owner.append(g)
            cells.append(part)
            lowest.append(groups.lowest[g] if len(parts) == 1 else int(i < groups.lowest[g]))
    owner = np.array(owner)
    return replace(
        groups,
        site=groups.site[owner],
        count=np.array([len(c) for c in cells]),
        capacity=groups.capacity[owner],
        idle_w=groups.idle_w[owner],
        slope=groups.slope[owner],
        sleep_w=groups.sleep_w[owner],
        lowest=np.array(lowest),
        cells=tuple(cells),
    )


def paper_plan(problem, settings) -> tuple[np.ndarray, SolveResult, tuple[str, ...]]:
    """Eq. 14 as published: min energy s.t. alpha_n t_n <= c_n and sum_n alpha_n t_n >= sum_n s_n, each hour alone.

    Any cell may carry any traffic and any cell may sleep; BBUs and their cooling run on. The published objective
    charges nothing for an asleep RRU; ours charges its sleep power, as for every other strategy (set it to 0 for the
    formula to the letter). Identical cells of the whole network are one integer, so the model is exact and small.
    """
    groups = problem.groups
    demand = problem.demand.sum(axis=0)
    hours = problem.hours
    figures = np.stack([groups.capacity, groups.wake_w, groups.factor * groups.slope], axis=1)
    kinds, kind = np.unique(figures.round(9), axis=0, return_inverse=True)
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
        np.concatenate([np.ones(n.size), np.repeat(-kinds[:, 0], hours)]),
        upper=0.0,
        count=n.size,
    )
    model.rows(np.tile(np.arange(hours), len(kinds)), t.ravel(), 1.0, lower=demand, count=hours)
    # the published model looks at one hour at a time; all hours in one model are the same, as nothing couples them
    result = model.solve(settings.solver, settings.time_limit, min(settings.gap, 1e-6), settings.threads)
    if not result.has_solution:
        raise InfeasibleError(
            f"The solver found no schedule for eq. 14 within {settings.time_limit:g} s; raise the time limit."
        )
    counts = np.round(result.values[n]).astype(int)
    awake = _place_kinds(problem, groups, kind, counts)
    note = "Eq. 14 as published lets any cell serve any traffic: the evaluation shows what its ring cannot serve."
    return awake, result, (note,)


def _place_kinds(problem, groups: Groups, kind: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Which cells of each kind are awake: those of the sites with the most traffic per awake Mbit/s (eq. 14 leaves it
    open, as all are equal to it)."""
    out = np.zeros((len(groups.site), counts.shape[1]), int)
    for hour in range(counts.shape[1]):
        need = problem.demand[:, hour].copy()
        for k in np.argsort([-groups.capacity[kind == j][0] for j in range(len(counts))], kind="stable"):
            mine = np.flatnonzero(kind == k)
            for _ in range(counts[k, hour]):
                open_groups = mine[out[mine, hour] < groups.count[mine]]
                g = open_groups[np.argmax(need[groups.site[open_groups]])]
                out[g, hour] += 1
                need[groups.site[g]] -= groups.capacity[g]
    return to_cells(groups, out)
