"""Every strategy against a replay in plain loops: energy, unserved traffic, holes and rules."""

from dataclasses import replace

import numpy as np
import pytest

from planning.sleep import STRATEGIES, SleepSettings, compare_strategies, evaluate, plan_sleep, replay
from planning.sleep.dispatch import dispatch
from planning.sleep.evaluation import Judged
from tests.planning.sleep.making import lawful, line_network, replayed, some_problem

SETTINGS = SleepSettings(allow_unserved=True, time_limit=3, wake_delay_min=0)
CASES = {
    "plain": {},
    "coverage": {"cover_rows": 8, "whole_site": True},
    "some holes": {"cover_rows": 8, "whole_site": True, "max_hole_share": 0.2},
    "radio units": {"network": line_network(3, 2, 2, units=True)},
    "night only": {"window": (22, 6), "boundary": "awake"},
}


def agrees(problem, settings, parts, found) -> None:
    other = replayed(problem, settings, parts)
    wakes = 1000 * found.wake_kwh
    np.testing.assert_allclose(1000 * found.energy - wakes, other["energy_wh"], rtol=1e-6)
    np.testing.assert_allclose(found.unserved, other["unserved"], atol=1e-6 * problem.demand.sum())
    np.testing.assert_allclose(found.hole_km2, other["hole_km2"], atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(2))
def test_every_strategy_agrees_with_the_replay_and_breaks_no_rule(case, seed):
    more = CASES[case]
    problem = some_problem(seed, hours=24, busy=0.95, **more)
    plans, table = compare_strategies(problem, STRATEGIES, SETTINGS)
    assert list(table["strategy"]) == list(STRATEGIES)
    for name, plan in plans.items():
        agrees(problem, SETTINGS, plan.parts, plan.evaluation)
        assert lawful(problem, SETTINGS, plan.parts), name
        limit = problem.cover.max_hole_share * problem.cover.covered_km2
        assert (plan.evaluation.hole_km2 <= limit + 1e-9).all(), name
    none = plans["always-on"].evaluation.unserved_mbps_hours
    for name in ("threshold", "greedy", "milp"):
        assert plans[name].evaluation.energy_kwh <= plans["always-on"].evaluation.energy_kwh + 1e-9
    for name in ("greedy", "milp"):
        assert plans[name].evaluation.unserved_mbps_hours == pytest.approx(none, abs=1e-6)


def test_other_traffic_is_replayed_as_the_rule_says():
    problem = some_problem(5, hours=24)
    plan = plan_sleep(problem, "greedy", SETTINGS)
    week = np.concatenate([problem.demand * f for f in (0.5, 1.0, 1.6)], axis=1)
    found = replay(plan, week)
    days = replace(problem, demand=week)
    parts = np.tile(plan.parts, 3)
    other = replayed(days, SETTINGS, parts)
    np.testing.assert_allclose(1000 * (found.energy - found.wake_kwh), other["energy_wh"], rtol=1e-6)
    np.testing.assert_allclose(found.unserved, other["unserved"], atol=1e-6 * week.sum())
    assert found.switches == 3 * plan.evaluation.switches
    assert found.unserved_mbps_hours > 0  # the third day asks for more than awake cells have


@pytest.mark.parametrize("limit", [0.5, 0.8, 1.0])
def test_no_awake_cell_is_loaded_above_the_limit(limit):
    problem = some_problem(1, busy=0.4)
    settings = replace(SETTINGS, max_load=limit)
    for name in ("greedy", "milp"):
        plan = plan_sleep(problem, name, settings)
        table = plan.schedule()
        assert table["load"].max() <= limit + 1e-9
        assert plan.evaluation.max_load.max() == pytest.approx(table["load"].max())
        assert table["load_mbps"].sum() == pytest.approx(problem.demand.sum())


def test_traffic_above_the_limit_keeps_every_cell_there_awake():
    problem = some_problem(2, busy=0.3)
    hot = problem.demand.copy()
    first = problem.graph.class_sector == 0
    full = problem.groups.capacity_of(problem.all_awake())[0, 0]
    hot[first] = 0
    hot[np.flatnonzero(first)[0]] = 0.9 * full  # own traffic that no other sector can carry
    problem = replace(problem, demand=hot)
    plan = plan_sleep(problem, "milp", SleepSettings(time_limit=3))
    assert not plan.relaxed and plan.evaluation.unserved_mbps_hours == 0
    of_first = np.flatnonzero(problem.network.sector_of_cell == 0)
    assert plan.awake[of_first].all()
    assert any("sectors have more traffic" in note for note in plan.notes)
    assert plan.evaluation.max_load.max() > 0.8


def test_muting_changes_power_and_capacity_as_stated():
    problem = some_problem(0, line_network(1, 1), hours=2, muting=True)
    groups = problem.groups
    parts = np.ones((groups.number_of_parts, 2), bool)
    on = evaluate(problem, SETTINGS, parts, 0 * problem.demand)
    parts[groups.cells :] = False
    muted = evaluate(problem, SETTINGS, parts, 0 * problem.demand)
    cells = problem.network.cells
    saved = 1.15 * 0.4 * cells["idle_w"].sum()
    assert (on.energy[0] - muted.energy[0]) * 1000 == pytest.approx(saved)
    assert muted.muted_cells.tolist() == [2, 2] and muted.asleep_cells.tolist() == [0, 0]
    half = groups.capacity_of(np.array([[1], [1], [0], [0]]))[0, 0]
    assert half == pytest.approx(0.5 * cells["capacity_mbps"].sum())


def test_own_traffic_stays_at_home_and_chains_carry_the_rest():
    from planning.sleep.offload import OffloadGraph

    graph = OffloadGraph.of_classes(np.array([0, 1, 2, 3, 4]), [[2, 3], [3, 4], [], [], []], 5)
    demand = np.array([[10.0], [10.0], [1.0], [0.0], [0.0]])
    served = dispatch(demand, np.array([[2.0], [4.0], [5.0], [8.0], [2.0]]), graph)
    assert served.home[:, 0].tolist() == [2, 4, 1, 0, 0]
    # 0 sends 4 to its first choice and 4 to the second; what 1 cannot send stays unserved only where no chain helps
    assert served.unserved.sum() == 0 and served.load[:, 0].tolist() == [2, 4, 5, 8, 2]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_sectors_without_traffic_cost_what_they_cost_idle(seed):
    problem = some_problem(seed, line_network(8, 2, 2), busy=1.3)
    quiet = (
        problem.graph.class_sector >= 4
    )  # few classes have traffic: the others are left out of the dispatch
    problem = replace(problem, demand=np.where(quiet[:, None], 0.0, problem.demand))
    assert 2 * problem.demand.any(axis=1).sum() <= problem.graph.classes
    plan = plan_sleep(problem, "greedy", SETTINGS)
    agrees(problem, SETTINGS, plan.parts, plan.evaluation)
    days = np.tile(problem.demand, 3) * np.repeat([0.3, 0.9, 1.5], 24)
    found = replay(plan, days)
    other = replayed(replace(problem, demand=days), SETTINGS, np.tile(plan.parts, 3))
    np.testing.assert_allclose(1000 * (found.energy - found.wake_kwh), other["energy_wh"], rtol=1e-6)
    np.testing.assert_allclose(found.unserved, other["unserved"], atol=1e-6 * days.sum())
    missing = sum(shortfall.missing_mbps for shortfall in found.shortfalls)
    assert missing == pytest.approx(found.unserved_mbps_hours, abs=1e-3)
    worst = max(found.shortfalls, key=lambda s: s.missing_mbps, default=None)
    assert (worst and worst.name) == found.worst_sector and (worst and worst.hour) == found.worst_hour


def test_a_plan_is_judged_on_one_demand_after_the_other_as_on_each_alone():
    problem = some_problem(5, line_network(6, 2, 2), busy=1.2)
    plan = plan_sleep(problem, "greedy", SETTINGS)
    judged = Judged(problem, SETTINGS, plan.parts)
    for factor in (0.4, 1.3, 0.0, 1.0):
        week = factor * np.tile(problem.demand, 7) * np.repeat(np.linspace(0.3, 1.5, 7), 24)
        alone, one_of_many = evaluate(problem, SETTINGS, plan.parts, week), judged.on(week)
        assert one_of_many.record() == alone.record()
        np.testing.assert_array_equal(one_of_many.energy, alone.energy)
        # hours do not depend on their neighbours
        day = judged.on(week[:, 48:72])
        np.testing.assert_array_equal(day.unserved, alone.unserved[48:72])
        np.testing.assert_array_equal(day.always_on, alone.always_on[48:72])
