"""Sleep as mixed-integer programs: the whole plan, or one hour of it between two others.

Ring model, per site s, hour h, group of identical cells g (N_g cells, capacity C_g), cyclic hours:

    min  sum_h [ sum_g factor_g ((idle_g - sleep_g) n_gh + slope_g t_gh) + price * sum_a f_ah + switch * sum_g u_gh ]
    s.t. sum_{g in s} t_gh = d_sh - sum_{a out of s} f_ah + sum_{a into s} f_ah        traffic is conserved
         t_gh <= C_g n_gh                                                             capacity
         sum_{a out of s} f_ah <= d_sh                                                a site moves its own traffic
         u_gh >= n_gh - n_g,h-1 ;  sum_{k < min_up} u_g,h-k <= n_gh                   minimum up time
         lowest_g <= n_gh <= N_g integer                                              coverage cells stay awake
         d_sh - sum_{a out of s} f_ah <= C0_s + sum_g min(C_g, d_sh - C0_s) n_gh      tight link

    and, where whole sites may sleep (lowest_g = 0), + site_s z_sh in the objective with n_gh <= N_g z_sh, z_sh binary,

with factor_g what a watt costs with its cooling, price the settings' offload_w_per_mbps, switch their switch_wh, a the
arcs of the ring and C0_s the capacity that never sleeps. n and u exist only for free groups, N_g > lowest_g.

The tight link says that beyond C0_s a site's own traffic needs whole cells: one awake cell carries at most what is
asked of it, which closes most of the relaxation's gap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from planning.energy import Groups
from planning.sleep.dispatch import Ring, dispatch
from planning.sleep.problem import UNSERVED_MBPS, SleepProblem, SleepSettings
from planning.solver import Model


@dataclass(frozen=True)
class _Parts:
    """A model under construction; n, t, f, u: numbers of its variables, as in the program above."""

    model: Model
    groups: Groups
    ring: Ring
    demand: np.ndarray
    free: np.ndarray
    n: np.ndarray  # (free groups, hours)
    t: np.ndarray  # (groups, hours)
    f: np.ndarray  # (arcs, hours)
    u: np.ndarray  # (free groups, hours); (free groups, 0) where nothing switches

    @property
    def hours(self) -> int:
        return self.demand.shape[1]


def ring_model(
    problem: SleepProblem,
    settings: SleepSettings,
    start: np.ndarray | None = None,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
) -> tuple[Model, np.ndarray]:
    """The model and the numbers of its count variables (free groups, hours).

    start: (groups, hours) awake counts to begin from. low, high: (free groups, hours) limits tighter than the groups'.
    """
    groups, demand, ring = problem.groups, problem.demand, problem.ring
    hours, free = problem.hours, groups.free
    model = Model("sleep")
    n = model.variables(
        "n",
        (len(free), hours),
        groups.lowest[free, None] if low is None else low,
        groups.count[free, None] if high is None else high,
        integer=True,
    )
    t = model.variables("t", (len(groups.site), hours), 0, (groups.capacity * groups.count)[:, None])
    f = model.variables("f", (len(ring.source), hours), 0, demand[ring.source])
    switched = hours if hours > 1 else 0  # one hour for ever is never switched
    u = model.variables("u", (len(free), switched), 0, (groups.count - groups.lowest)[free, None])
    parts = _Parts(model, groups, ring, demand, free, n, t, f, u)

    model.cost(n, groups.wake_w[free, None])
    model.cost(t, (groups.factor * groups.slope)[:, None])
    model.cost(f, settings.offload_w_per_mbps)
    model.cost(u, settings.switch_wh)
    model.constant = _decided_wh(parts)
    _conserve_traffic(parts)
    _limit_capacity(parts)
    _limit_sending(parts)
    _tight_links(parts)
    z = _sleeping_sites(parts) if groups.site_sleeps else None
    if switched:
        _count_switches(parts)
        _hold_up_times(parts, settings.min_up)
    if start is not None:
        _start(parts, start)
        if z is not None:
            model.start(z, (groups.site_sum(start) > 0).ravel())
    return model, n


def ring_model_size(problem: SleepProblem) -> int:
    """Number of variables of the whole model."""
    groups = problem.groups
    return (2 * len(groups.free) + len(groups.site) + len(problem.ring.source)) * problem.hours


def hour_model(
    problem: SleepProblem,
    settings: SleepSettings,
    hour: int,
    low: np.ndarray,
    high: np.ndarray,
    around: np.ndarray,
    start: np.ndarray | None = None,
    useful_arcs: bool = True,
) -> tuple[Model, np.ndarray]:
    """One hour among others whose counts are known: its own energy, and the cells woken into it and out of it.

    low, high: (free groups,) counts. around: (free groups, hours) counts; those of this hour are not looked at. Cells
    that would be awake too shortly here pay for the hours that their minimum up time adds. start: (groups,) counts.
    useful_arcs: leave out arcs from sites that need no help at `low`. Returns the model and the numbers of its count
    variables (free groups,).

    To the ring model of the hour are added, for each group whose count is open (low < high), three variables that are
    at least 0:

        into   >= n - n_before     at the price of a switch
        out_of >= n_after - n      likewise, for the cells that the next hour then wakes
        short  >= n - lasting      at (min_up - 1) hours of an idle cell, lasting as in `_lasting`
    """
    groups = problem.groups
    free = groups.free
    demand, ring = problem.demand[:, [hour]], problem.ring
    if useful_arcs:
        awake = groups.lowest.copy()
        awake[free] = low
        needy = demand[:, 0] > groups.capacity_of(awake[:, None])[:, 0]
        kept = needy[ring.source]
        ring = Ring(ring.source[kept], ring.target[kept], ring.metres[kept], ring.sites)
    alone = replace(problem, demand=demand, ring=ring)
    start = None if start is None else start[:, None]
    model, n = ring_model(alone, settings, start, low[:, None], high[:, None])
    open_ = np.flatnonzero(low < high)  # what is decided switches at a price that is decided, too
    most = (groups.count - groups.lowest)[free][open_]
    around = around[open_]
    before, after = around[:, hour - 1], around[:, (hour + 1) % problem.hours]
    lasting = _lasting(around, hour, settings.min_up)
    dear = groups.wake_w[free][open_] * (min(settings.min_up, problem.hours) - 1)
    # each: at least sign * n + offset, and its price
    extra = (
        ("into", 1.0, -before, settings.switch_wh),
        ("out_of", -1.0, after, settings.switch_wh),
        ("short", 1.0, -lasting, dear),
    )
    row = np.arange(len(open_))
    for name, sign, offset, price in extra:
        woken = model.variables(name, len(open_), 0, most)
        model.cost(woken, price)
        model.rows(
            np.tile(row, 2),
            np.concatenate([woken, n[open_, 0]]),
            np.repeat([1.0, -sign], len(open_)),
            lower=offset,
            count=len(open_),
        )
        if start is not None:
            model.start(woken, np.maximum(sign * start[free, 0][open_] + offset, 0))
    return model, n[:, 0]


def _lasting(counts: np.ndarray, hour: int, min_up: int) -> np.ndarray:
    """(groups,) most cells awake in the hour as part of min_up hours in a row, by the other hours' counts."""
    hours = counts.shape[1]
    if min_up <= 1 or hours < min_up:
        return counts.max(axis=1) if min_up > 1 else np.full(len(counts), np.iinfo(np.int32).max)
    windows = []
    for first in range(hour - min_up + 1, hour + 1):
        others = [h % hours for h in range(first, first + min_up) if h != hour]
        windows.append(counts[:, others].min(axis=1))
    return np.max(windows, axis=0)


def hourly_cost(problem: SleepProblem, settings: SleepSettings, counts: np.ndarray) -> float:
    """The objective in Wh without the price of switching, for awake counts (groups, hours) that serve all demand."""
    groups = problem.groups
    served = dispatch(problem.demand, groups.capacity_of(counts), problem.ring)
    energy = groups.power_w(counts, groups.spread(counts, served.load)).sum()
    return float(energy + settings.offload_w_per_mbps * served.moved.sum())


# --- parts of the ring model -------------------------------------------------------------------------------------


def _decided_wh(parts: _Parts) -> float:
    """Energy that no variable changes: everything asleep, and the idle power of groups that never sleep."""
    groups, hours = parts.groups, parts.hours
    asleep = groups.power_w(
        np.repeat(groups.count[:, None] * 0, hours, axis=1), np.zeros(parts.t.shape)
    ).sum()
    fixed = np.setdiff1d(np.arange(len(groups.site)), parts.free)
    return float(asleep + (groups.wake_w[fixed] * groups.lowest[fixed]).sum() * hours)


def _conserve_traffic(parts: _Parts) -> None:
    sites, hours = parts.demand.shape
    t, f, ring = parts.t, parts.f, parts.ring
    row = np.arange(sites)[:, None] * hours + np.arange(hours)  # (sites, hours)
    parts.model.rows(
        np.concatenate([row[parts.groups.site].ravel(), row[ring.source].ravel(), row[ring.target].ravel()]),
        np.concatenate([t.ravel(), f.ravel(), f.ravel()]),
        np.concatenate([np.ones(t.size), np.ones(f.size), -np.ones(f.size)]),
        parts.demand.ravel(),
        parts.demand.ravel(),
        count=sites * hours,
    )


def _limit_capacity(parts: _Parts) -> None:
    """Of the groups that may sleep; the others are bounded by t's own bounds."""
    n, free = parts.n, parts.free
    row = np.arange(n.size)
    parts.model.rows(
        np.concatenate([row, row]),
        np.concatenate([parts.t[free].ravel(), n.ravel()]),
        np.concatenate([np.ones(n.size), np.repeat(-parts.groups.capacity[free], parts.hours)]),
        upper=0.0,
        count=n.size,
    )


def _limit_sending(parts: _Parts) -> None:
    """A site moves its own traffic: of one arc alone f's own bound says so."""
    (sites, hours), source = parts.demand.shape, parts.ring.source
    sends = np.bincount(source, minlength=sites) > 1
    rank = np.cumsum(sends) - 1
    several = np.flatnonzero(sends[source])
    parts.model.rows(
        (rank[source[several]][:, None] * hours + np.arange(hours)).ravel(),
        parts.f[several].ravel(),
        1.0,
        upper=parts.demand[sends].ravel(),
        count=int(sends.sum()) * hours,
    )


def _count_switches(parts: _Parts) -> None:
    n, u = parts.n, parts.u
    parts.model.rows(
        np.tile(np.arange(n.size), 3),
        np.concatenate([u.ravel(), n.ravel(), np.roll(n, 1, axis=1).ravel()]),
        np.concatenate([np.ones(n.size), -np.ones(n.size), np.ones(n.size)]),
        lower=0.0,
        count=n.size,
    )


def _hold_up_times(parts: _Parts, min_up: int) -> None:
    if min_up <= 1:
        return
    n, reach = parts.n, min(min_up, parts.hours)
    woken = [np.roll(parts.u, k, axis=1).ravel() for k in range(reach)]
    parts.model.rows(
        np.tile(np.arange(n.size), reach + 1),
        np.concatenate([*woken, n.ravel()]),
        np.concatenate([np.ones(reach * n.size), -np.ones(n.size)]),
        upper=0.0,
        count=n.size,
    )


def _tight_links(parts: _Parts) -> None:
    groups, demand, free = parts.groups, parts.demand, parts.free
    always = np.bincount(groups.site, groups.capacity * groups.lowest, groups.sites)
    beyond = demand - always[:, None]
    sites, hours = np.nonzero(beyond > 1e-9)
    if not len(sites):
        return
    number = np.full(demand.shape, -1)
    number[sites, hours] = np.arange(len(sites))
    out_rows = number[parts.ring.source]
    group_rows = number[groups.site[free]]
    used_f, used_n = out_rows >= 0, group_rows >= 0
    gain = np.minimum(groups.capacity[free, None], beyond[groups.site[free]])
    # n counts from its lower bound: cells that never sleep are in `always` already
    shift = np.zeros(len(sites))
    np.add.at(shift, group_rows[used_n], (gain * groups.lowest[free, None])[used_n])
    parts.model.rows(
        np.concatenate([out_rows[used_f], group_rows[used_n]]),
        np.concatenate([parts.f[used_f], parts.n[used_n]]),
        np.concatenate([np.ones(used_f.sum()), gain[used_n]]),
        lower=beyond[sites, hours] + shift,
        count=len(sites),
    )


def _sleeping_sites(parts: _Parts) -> np.ndarray:
    """(sites, hours) variables z: 1 while any cell of the site is awake."""
    model, groups, free, n = parts.model, parts.groups, parts.free, parts.n
    z = model.variables("z", (groups.sites, n.shape[1]), 0, 1, integer=True)
    model.cost(z, groups.site_w[:, None])
    row = np.arange(n.size)
    model.rows(
        np.tile(row, 2),
        np.concatenate([n.ravel(), z[groups.site[free]].ravel()]),
        np.concatenate([np.ones(n.size), np.repeat(-groups.count[free].astype(float), n.shape[1])]),
        upper=0.0,
        count=n.size,
    )
    return z


def _start(parts: _Parts, counts: np.ndarray) -> None:
    """Begin from awake counts (groups, hours), where they serve all demand."""
    model, groups = parts.model, parts.groups
    served = dispatch(parts.demand, groups.capacity_of(counts), parts.ring)
    if (served.unserved > UNSERVED_MBPS).any():
        return
    load = groups.spread(counts, served.load)
    model.start(parts.n, counts[parts.free].ravel())
    model.start(parts.t, load.ravel())
    model.start(parts.f, served.moved.ravel())
    if parts.u.size:
        model.start(parts.u, np.maximum(counts - np.roll(counts, 1, axis=1), 0)[parts.free].ravel())
