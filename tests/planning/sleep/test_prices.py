"""The bound by prices against dynamic programming by hand, brute force and the exact optimum."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.sleep import SleepProblem, SleepSettings, plan_sleep
from planning.sleep.prices import price_bound
from planning.sleep.site_schedule import best_schedule
from tests.planning.sleep.making import line_network, random_problem


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("grid", [(3,), (2, 3)])
def test_the_schedule_of_a_site_equals_brute_force(seed, grid):
    rng = np.random.default_rng(seed)
    states = np.array(list(itertools.product(*(range(n) for n in grid))))
    cost = rng.uniform(0, 100, (2, 4, len(states)))
    value, chosen = best_schedule(cost, grid, states, 30.0)
    for site in range(2):

        def total(path, site=site):
            counts = states[list(path)]
            woken = np.maximum(counts - np.roll(counts, 1, axis=0), 0).sum()
            return cost[site, np.arange(4), list(path)].sum() + 30.0 * woken

        best = min(map(total, itertools.product(range(len(states)), repeat=4)))
        assert value[site] == pytest.approx(best)
        assert total(chosen[site]) == pytest.approx(best)


def test_a_cycle_too_long_to_close_is_bounded_from_below():
    """Beyond CYCLIC_STATES the step from the last hour to the first is free: never more than the closed cycle."""
    rng = np.random.default_rng(0)
    grid = (3, 3, 2)
    states = np.array(list(itertools.product(*(range(n) for n in grid))))
    cost = rng.uniform(0, 100, (1, 3, len(states)))
    value, chosen = best_schedule(cost, grid, states, 25.0)
    woken = np.maximum(np.diff(states[chosen[0]], axis=0), 0).sum()
    assert value[0] == pytest.approx(cost[0, np.arange(3), chosen[0]].sum() + 25.0 * woken)


def test_one_site_alone_is_solved_by_the_bound():
    problem = SleepProblem.of_sites(line_network(1, 2), np.array([[30.0, 300, 700, 500, 80]]))
    config = SleepSettings(min_up=1, switch_wh=80, gap=0)
    exact = plan_sleep(problem, "milp", config).solve.objective
    assert price_bound(problem, config, exact + 1, 5.0).bound == pytest.approx(exact, rel=1e-9)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), whole_site=st.booleans(), offload=st.sampled_from([0.0, 0.5, 3.0]))
def test_no_plan_is_below_the_bound(seed, whole_site, offload):
    base = random_problem(seed, sites=3, hours=5)
    problem = SleepProblem.of_sites(base.network, base.demand, whole_site=whole_site)
    config = SleepSettings(min_up=1, gap=0, offload_w_per_mbps=offload, time_limit=30)
    exact = plan_sleep(problem, "milp", config).solve.objective
    bound = price_bound(problem, config, 1.02 * exact, 2.0)
    assert bound.bound <= exact * (1 + 1e-9)
    assert bound.bound >= exact * 0.8  # and says something
    assert (bound.price >= 0).all()
    assert (bound.counts <= problem.groups.count[:, None] + 1e-9).all()


def test_sites_with_too_many_states_get_no_bound():
    problem = SleepProblem.of_sites(line_network(1, 8, seed=1), np.full((1, 3), 50.0))
    assert price_bound(problem, SleepSettings(), 1e9, 1.0) is None
