"""Eq. 14 as published, against brute force and by hand."""

import itertools

import numpy as np
import pytest

from planning.sleep import (
    SleepProblem,
    SleepSettings,
    group_counts,
    plan_sleep,
)
from tests.planning.sleep.making import line_network


@pytest.mark.parametrize("seed", range(4))
def test_paper_mode_equals_brute_force(seed):
    """Eq. 14: every subset of up to 8 cells, the cheapest whose capacity covers the global demand."""
    rng = np.random.default_rng(seed)
    network = line_network(4, 1, seed=None if seed < 2 else seed)
    demand = rng.uniform(5, 150, (4, 3))
    problem = SleepProblem.of_sites(network, demand)
    plan = plan_sleep(problem, "paper", SleepSettings(gap=0))
    groups = problem.groups
    best = 0.0
    for hour in range(3):
        total = demand[:, hour].sum()
        costs = []
        for bits in itertools.product([0, 1], repeat=len(groups.site)):
            awake = np.array(bits)
            if groups.capacity @ awake < total:
                continue
            rest, watts = total, groups.wake_w @ awake
            for g in np.argsort(groups.factor * groups.slope, kind="stable"):
                load = min(rest, groups.capacity[g] * awake[g])
                watts += groups.factor[g] * groups.slope[g] * load
                rest -= load
            costs.append(watts)
        zero = np.zeros((len(groups.site), 1))
        best += min(costs) + groups.power_w(zero, zero).sum()
    assert plan.solve.objective == pytest.approx(best, rel=1e-6)
    capacity = np.array([groups.capacity @ c for c in group_counts(groups, plan.awake).T])
    assert (capacity >= demand.sum(axis=0) - 1e-6).all()


def test_paper_mode_by_hand():
    """Two sites of 40 + 400 Mbit/s, 430 asked for anywhere: one cell of each kind is enough, and the thriftiest way."""
    problem = SleepProblem.of_sites(line_network(2), np.array([[215.0], [215.0]]))
    plan = plan_sleep(problem, "paper", SleepSettings(gap=0, min_up=1))
    rrus = (444.9 + 400 * 1.0) + (192.4 + 30 * 1.25) + 64.5 + 33.9
    by_hand = 1.15 * (2 * 380 + rrus) + 2 * 50
    assert plan.solve.objective == pytest.approx(by_hand)
    assert plan.awake.sum() == 2
