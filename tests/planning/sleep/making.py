"""Small sleep problems, and other ways to their optimum: brute force, dynamic programming, SciPy's LP."""

import itertools

import numpy as np
from scipy.optimize import linprog

from planning.energy import Groups
from planning.network import Network
from planning.sleep import (
    SleepProblem,
    SleepSettings,
)
from planning.sleep.dispatch import Ring
from planning.sleep.schedule import runs_up


def line_network(sites=2, capacity_cells=1, gap_m=500, seed=None) -> Network:
    """Sites on an east-west line, each with one coverage cell and some capacity cells (one sector)."""
    lon = 115.86 + np.arange(sites) * gap_m / 97_800
    network = Network.from_sites(lon, np.full(sites, 28.68), sectors=1, capacity_layers=capacity_cells)
    if seed is None:
        return network
    rng = np.random.default_rng(seed)  # cells that all differ, so that nothing is aggregated
    cells = network.cells.assign(
        capacity_mbps=network.cells["capacity_mbps"] * rng.uniform(0.5, 1.5, len(network.cells)),
        idle_w=network.cells["idle_w"] * rng.uniform(0.9, 1.3, len(network.cells)),
    )
    return Network(network.sites, cells)


def random_problem(seed, sites=7, hours=24) -> SleepProblem:
    rng = np.random.default_rng(seed)
    lon = 115.86 + rng.uniform(0, 0.02, sites)
    lat = 28.68 + rng.uniform(0, 0.02, sites)
    network = Network.from_sites(lon, lat, capacity_layers=rng.integers(1, 3, sites))
    day = 0.55 + 0.45 * np.sin((np.arange(hours) % 24 - 9) / 24 * 2 * np.pi)
    peak = network.capacity_mbps * rng.uniform(0.02, 0.8, sites)
    return SleepProblem.of_sites(network, peak[:, None] * day * rng.uniform(0.8, 1.2, (sites, hours)))


def hour_cost(groups: Groups, ring: Ring, counts, demand, offload_price) -> float:
    """Least W of one hour for given awake counts by SciPy's LP, without standing power; inf where not servable."""
    g, a, s = len(groups.site), len(ring.source), groups.sites
    cost = np.concatenate([groups.factor * groups.slope, np.full(a, offload_price)])
    balance = np.zeros((s, g + a))
    balance[groups.site, np.arange(g)] = 1
    balance[ring.source, g + np.arange(a)] += 1
    balance[ring.target, g + np.arange(a)] -= 1
    sends = np.zeros((s, g + a))
    sends[ring.source, g + np.arange(a)] = 1
    bounds = [(0, c) for c in groups.capacity * counts] + [(0, None)] * a
    answer = linprog(cost, A_ub=sends, b_ub=demand, A_eq=balance, b_eq=demand, bounds=bounds)
    return answer.fun + float(groups.wake_w @ counts) if answer.status == 0 else np.inf


def standing_cost(groups: Groups, counts) -> float:
    """W of the sites with any cell awake, where a whole site may sleep."""
    on = np.bincount(groups.site, counts, groups.sites) > 0
    return float(groups.site_w @ on) if groups.site_sleeps else 0.0


def brute_force(problem: SleepProblem, config: SleepSettings) -> float:
    """Least objective over every schedule of single cells (cyclic), min-up times included."""
    groups, hours = problem.groups, problem.hours
    cells = sum(len(c) for c in groups.cells)
    owner = np.empty(cells, int)
    for g, members in enumerate(groups.cells):
        owner[members] = g
    states = []
    for bits in itertools.product([False, True], repeat=cells):
        counts = np.bincount(owner, bits, len(groups.site))
        if (counts >= groups.lowest).all():
            states.append(bits)
    states = np.array(states)
    cost = np.array(
        [
            [
                hour_cost(
                    groups,
                    problem.ring,
                    np.bincount(owner, state, len(groups.site)),
                    problem.demand[:, h],
                    config.offload_w_per_mbps,
                )
                + standing_cost(groups, np.bincount(owner, state, len(groups.site)))
                for state in states
            ]
            for h in range(hours)
        ]
    )
    best = np.inf
    for sequence in itertools.product(range(len(states)), repeat=hours):
        value = cost[np.arange(hours), sequence].sum()
        if value >= best:
            continue
        awake = states[list(sequence)].T
        if any(length < config.min_up for row in awake for _, length in runs_up(row)):
            continue
        switches = (awake & ~np.roll(awake, 1, axis=1)).sum()
        best = min(best, value + config.switch_wh * switches)
    zero = np.zeros((len(groups.site), 1))
    return best + hours * groups.power_w(zero, zero).sum()


def exact_by_counts(problem: SleepProblem, config: SleepSettings) -> float:
    """Least objective over all counts of awake cells, by dynamic programming over the cycle; no minimum up time."""
    groups = problem.groups
    choices = [range(low, high + 1) for low, high in zip(groups.lowest, groups.count, strict=True)]
    states = np.array(list(itertools.product(*choices)))
    price = config.offload_w_per_mbps
    cost = np.array(
        [[hour_cost(groups, problem.ring, s, d, price) for s in states] for d in problem.demand.T]
    )
    switch = config.switch_wh * np.maximum(states[None] - states[:, None], 0).sum(axis=2)
    best = np.inf
    for first in range(len(states)):
        value = np.where(np.arange(len(states)) == first, cost[0], np.inf)
        for hour in range(1, problem.hours):
            value = (value[:, None] + switch).min(axis=0) + cost[hour]
        best = min(best, (value + switch[:, first]).min())
    zero = np.zeros((len(groups.site), 1))
    return best + problem.hours * groups.power_w(zero, zero).sum()


def awake_5g(plan) -> list[bool]:
    """The hours of the first site's 5G cell."""
    table = plan.schedule().pivot(index="cell", columns="hour", values="awake")
    return table.loc["S001-5G-1"].tolist()
