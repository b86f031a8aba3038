"""Sweeps over the sites, and the model of one hour among others: against brute force and their own promises."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.sleep import SleepProblem, SleepSettings, evaluate
from planning.sleep.milp import hour_model
from planning.sleep.rules import always_on, greedy
from planning.sleep.schedule import runs_up
from planning.sleep.sweep import sweep
from tests.planning.sleep.making import hour_cost, random_problem


def priced(problem, config, awake) -> float:
    e = evaluate(problem, awake)
    assert e.unserved_mbps_hours == pytest.approx(0, abs=1e-6)
    return (
        1000 * e.energy_kwh
        + config.switch_wh * e.switches
        + config.offload_w_per_mbps * e.offloaded_mbps_hours
    )


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    min_up=st.integers(1, 4),
    whole_site=st.booleans(),
    rule=st.sampled_from([greedy, always_on]),
)
def test_a_sweep_saves_and_breaks_nothing(seed, min_up, whole_site, rule):
    base = random_problem(seed, sites=6, hours=12)
    problem = SleepProblem.of_sites(base.network, base.demand, whole_site=whole_site)
    config = SleepSettings(min_up=min_up)
    before = rule(problem, config)
    after = sweep(problem, config, before, 10.0)
    assert priced(problem, config, after) <= priced(problem, config, before) * (1 + 1e-9)
    assert all(length >= min_up for row in after for _, length in runs_up(row))
    counts = np.stack([after[cells].sum(axis=0) for cells in problem.groups.cells])
    assert (counts >= problem.groups.lowest[:, None]).all()


def test_a_sweep_sends_every_cell_to_sleep_that_is_not_needed():
    problem = random_problem(0, sites=3, hours=6)
    problem = SleepProblem.of_sites(problem.network, np.full((3, 6), 10.0))  # the coverage cells carry it
    swept = sweep(problem, SleepSettings(), always_on(problem, None), 10.0)
    assert (swept == problem.network.cells["is_coverage"].to_numpy(bool)[:, None]).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_an_hour_among_others_equals_brute_force(seed):
    """Energy of the hour, cells woken into and out of it, and the hours that a cell awake too shortly would add."""
    rng = np.random.default_rng(seed)
    problem = random_problem(seed, sites=3, hours=5)
    config = SleepSettings(min_up=3, switch_wh=70.0)
    groups, hour = problem.groups, 2
    free = np.flatnonzero(groups.count > groups.lowest)
    around = rng.integers(groups.lowest[free, None], groups.count[free, None] + 1, (len(free), 5))
    low, high = groups.lowest[free], groups.count[free]
    model, n = hour_model(problem, config, hour, low, high, around, useful_arcs=False)
    answer = model.solve(gap=0)
    best = np.inf
    for counts in itertools.product(*(range(a, b + 1) for a, b in zip(low, high, strict=True))):
        every = groups.lowest.copy()
        every[free] = counts
        value = hour_cost(groups, problem.ring, every, problem.demand[:, hour], config.offload_w_per_mbps)
        for g, count in enumerate(counts):
            row = around[g]
            value += 70.0 * (max(0, count - row[1]) + max(0, row[3] - count))
            lasting = max(min(row[0], row[1]), min(row[1], row[3]), min(row[3], row[4]))
            value += 2 * groups.wake_w[free[g]] * max(0, count - lasting)
        best = min(best, value)
    zero = np.zeros((len(groups.site), 1))
    assert answer.objective == pytest.approx(best + groups.power_w(zero, zero).sum(), rel=1e-9)
    assert len(answer.values[n]) == len(free)
