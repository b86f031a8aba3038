"""The ring model against brute force, hand-worked energy and its own bound."""

from dataclasses import replace

import numpy as np
import pytest

from planning.sleep import (
    SleepProblem,
    SleepSettings,
    plan_sleep,
)
from planning.sleep.schedule import runs_up, spread_counts
from tests.planning.sleep.making import brute_force, exact_by_counts, line_network, random_problem


def test_a_day_of_two_sites_by_hand():
    """Two sites 500 m apart; 100 Mbit/s by day at A needs its 5G cell, 30 Mbit/s at night does not."""
    network = line_network(2)
    demand = np.array([[30.0, 30, 100, 100], [20.0, 20, 20, 20]])
    problem = SleepProblem.of_sites(network, demand)
    plan = plan_sleep(problem, "milp", SleepSettings(min_up=1, switch_wh=0, gap=0))
    table = plan.schedule().pivot(index="cell", columns="hour", values="awake")
    assert table.loc["S001-4G-1"].all() and table.loc["S002-4G-1"].all()
    assert table.loc["S001-5G-1"].tolist() == [False, False, True, True]
    assert not table.loc["S002-5G-1"].any()
    # 4G carries what 5G (1.0 W per Mbit/s against 1.25) does not
    watts = 1.15 * (380 + 192.4 + 64.5 + 1.25 * 30) + 50, 1.15 * (380 + 192.4 + 444.9 + 1.0 * 100) + 50
    other = 1.15 * (380 + 192.4 + 64.5 + 1.25 * 20) + 50
    by_hand = (2 * watts[0] + 2 * watts[1] + 4 * other) / 1000
    assert plan.evaluation.energy_kwh == pytest.approx(by_hand)
    assert plan.solve.objective / 1000 == pytest.approx(by_hand)
    assert plan.evaluation.switches == 1
    full = 8 * (1.15 * (380 + 192.4 + 444.9) + 50) + 1.15 * demand.sum()
    assert plan.evaluation.always_on_kwh == pytest.approx(full / 1000)
    saved = plan.best_cells().iloc[0]
    assert saved["cell"] == "S002-5G-1" and saved["hours_asleep"] == 4
    assert saved["saved_kwh"] == pytest.approx(4 * 1.15 * (444.9 - 64.5) / 1000)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("min_up,switch_wh", [(1, 0.0), (2, 60.0), (3, 200.0)])
def test_ring_milp_equals_brute_force(seed, min_up, switch_wh):
    rng = np.random.default_rng(seed)
    network = line_network(2, 1 if seed % 2 else 2, seed=None if seed < 3 else seed)
    hours = 4 if len(network.cells) == 4 else 3
    demand = rng.uniform(0, 1, (2, hours)) * np.array([[300.0], [90.0]])
    problem = SleepProblem.of_sites(network, demand, ring_m=1000)
    config = SleepSettings(min_up=min_up, switch_wh=switch_wh, gap=0, time_limit=30)
    plan = plan_sleep(problem, "milp", config)
    assert plan.solve.status == "optimal"
    assert plan.solve.objective == pytest.approx(brute_force(problem, config), abs=1e-3)
    assert plan.evaluation.unserved_mbps_hours == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_whole_sites_asleep_equal_brute_force(seed):
    demand = np.random.default_rng(seed).uniform(0, 30, (2, 4))
    problem = SleepProblem.of_sites(line_network(2, 1), demand, ring_m=1000, whole_site=True)
    config = SleepSettings(min_up=2, switch_wh=60, gap=0, time_limit=30)
    plan = plan_sleep(problem, "milp", config)
    assert plan.solve.status == "optimal"
    assert plan.solve.objective == pytest.approx(brute_force(problem, config), abs=1e-3)
    assert plan.evaluation.unserved_mbps_hours == 0
    # today's rules keep the coverage cells on all the same
    coverage = problem.network.cells["is_coverage"].to_numpy(bool)
    for rule in ("night", "threshold"):
        assert plan_sleep(problem, rule, config).awake[coverage].all()


@pytest.mark.slow
@pytest.mark.parametrize("alike", [False, True])
def test_twelve_cells_equal_the_exact_optimum(alike):
    """Four sites with a coverage and two capacity cells; `alike`: all sites and hours equal, so that plans tie."""
    demand = np.random.default_rng(8).uniform(10, 500, (4, 4))
    if alike:
        demand[:] = 260.0
    problem = SleepProblem.of_sites(line_network(4, 2), demand, ring_m=1000, max_neighbours=2)
    config = SleepSettings(min_up=1, switch_wh=90, gap=0)
    plan = plan_sleep(problem, "milp", config)
    assert len(problem.network.cells) == 12 and plan.solve.status == "optimal"
    assert plan.solve.objective == pytest.approx(exact_by_counts(problem, config), rel=1e-9)


def small_city(seed, whole_site) -> SleepProblem:
    problem = random_problem(seed, sites=4, hours=6)
    return SleepProblem.of_sites(problem.network, 0.6 * problem.demand, whole_site=whole_site)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("whole_site", [False, True])
def test_hour_by_hour_the_optimum_lies_between_bound_and_plan(seed, whole_site, monkeypatch):
    """The way of large plans on a small one: the exact optimum lies between its bound and its plan."""
    exact = plan_sleep(small_city(seed, whole_site), "milp", SleepSettings(gap=0, min_up=1, time_limit=60))
    monkeypatch.setattr("planning.sleep.ring_plan.SMALL", 0)
    monkeypatch.setattr("planning.sleep.ring_plan.LARGE", 0)
    problem = small_city(seed, whole_site)
    plan = plan_sleep(problem, "milp", SleepSettings(gap=0, min_up=1))
    assert plan.solve.solver.endswith("by hour")
    assert plan.solve.bound <= exact.solve.objective * (1 + 1e-9)
    assert exact.solve.objective <= plan.solve.objective * (1 + 1e-9)
    assert plan.solve.gap == pytest.approx(1 - plan.solve.bound / plan.solve.objective)
    assert plan.solve.gap < (0.1 if whole_site else 0.02)
    e = plan.evaluation
    priced = 1000 * e.energy_kwh + 50 * e.switches + 0.5 * e.offloaded_mbps_hours
    assert plan.solve.objective == pytest.approx(priced, rel=1e-9) and e.unserved_mbps_hours == 0


@pytest.mark.slow
def test_a_plan_goes_on_from_an_earlier_one():
    """Without time to search, the plan is the earlier one where that serves the demand, else greedy's."""
    problem = random_problem(11)
    best = plan_sleep(problem, "milp", SleepSettings(gap=0.02))
    hurried = SleepSettings(gap=0, time_limit=1e-6)
    again = plan_sleep(problem, "milp", hurried, earlier=best.awake)
    np.testing.assert_array_equal(again.awake, best.awake)
    more = replace(problem, demand=1.15 * problem.demand)
    again = plan_sleep(more, "milp", hurried, earlier=best.awake)
    assert again.evaluation.unserved_mbps_hours == pytest.approx(0, abs=1e-6)
    np.testing.assert_array_equal(again.awake, plan_sleep(more, "greedy", hurried).awake)


def test_identical_cells_that_would_have_to_swap_roles_are_split():
    """Counts 2,1,1 with a minimum up time of 2 only work if the two cells take turns from day to day."""
    assert spread_counts(np.array([1, 2, 1, 1]), 2, 2) is None
    rows = spread_counts(np.array([0, 1, 2, 2, 1, 0]), 2, 3)
    assert rows.sum(axis=0).tolist() == [0, 1, 2, 2, 1, 0]
    assert all(length == 3 for row in rows for _, length in runs_up(row))
    network = line_network(1, 2)
    demand = np.array([[430.0, 700, 430, 430]])
    problem = SleepProblem.of_sites(network, demand)
    config = SleepSettings(min_up=2, switch_wh=10, gap=0)
    plan = plan_sleep(problem, "milp", config)
    assert plan.solve.objective == pytest.approx(brute_force(problem, config), abs=1e-3)


def test_time_limit_gives_the_start_plan_and_not_optimal():
    problem = random_problem(1, sites=60)
    plan = plan_sleep(problem, "milp", SleepSettings(time_limit=0.05, gap=0, min_up=3))
    assert plan.solve.status == "feasible" and plan.solve.gap != 0
    greedy = plan_sleep(problem, "greedy", SleepSettings(min_up=3))
    assert plan.evaluation.unserved_mbps_hours == 0
    assert plan.evaluation.energy_kwh <= greedy.evaluation.energy_kwh * 1.02
