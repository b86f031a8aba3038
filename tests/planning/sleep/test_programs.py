"""The program against brute force, for every rule of operation; its bound; its ways for large networks."""

import numpy as np
import pytest

from planning.sleep import SleepProblem, SleepSettings, plan_sleep
from planning.sleep.milp import ring_model
from planning.sleep.offload import OffloadGraph
from tests.planning.sleep.making import brute_force, holes_of, lawful, line_network, some_problem

EXACT = {"gap": 0.0, "time_limit": 30.0, "allow_unserved": True}
RULES = {
    "plain": ({}, {}),
    "minimum times": ({}, {"min_up": 2, "min_off": 3}),
    "one wake-up a day": ({}, {"max_wakes": 1, "min_up": 1, "min_off": 1}),
    "dear wake-ups": ({}, {"switch_wh": 400.0, "wake_delay_min": 30.0}),
    "all on before and after": ({"boundary": "awake"}, {}),
    "hours of the night": ({"window": (1, 3)}, {"min_up": 1}),
    "whole sites": ({"whole_site": True}, {}),
    "muting": ({"muting": True}, {}),
    "order of bands": ({"band_order": ("n41", "B3"), "whole_site": True}, {}),
    "never": ({"never": np.array([False, True, False, False])}, {}),
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", RULES)
def test_the_program_equals_brute_force(name, seed):
    operation, more = RULES[name]
    network = line_network(1 if name == "muting" else 2, 1, seed=seed)
    problem = some_problem(seed, network, hours=3 if operation else 4, single=True, **operation)
    settings = SleepSettings(**{"min_up": 1, "min_off": 1, "max_wakes": None, **more, **EXACT})
    plan = plan_sleep(problem, "milp", settings)
    assert plan.solve.objective == pytest.approx(brute_force(problem, settings), abs=1e-3)
    # the program's own costs, not only the plan that it chose, are those of the evaluation
    assert plan.solve.bound == pytest.approx(plan.solve.objective, rel=1e-6)
    assert lawful(problem, settings, plan.parts)


@pytest.mark.parametrize("taker", range(3))
def test_cells_carry_the_traffic_of_others_in_merit_order_and_up_to_their_room(taker):
    """Three sectors, each a 4G cell of 40 Mbit/s (5 W per Mbit/s) and a 5G cell of 400 (1 W per Mbit/s). The 5G cells
    of two sleep, whose 4G cells are full; the third takes the rest of both, in two hours. Watts in closed form."""
    network, settings = line_network(3, 1), SleepSettings(offload_w_per_mbps=0.1)
    limit, senders = settings.max_load, [s for s in range(3) if s != taker]
    graph = OffloadGraph.of_classes(np.arange(3), [[taker] if s in senders else [] for s in range(3)], 3)
    counts = np.ones((6, 2), int)
    counts[[2 * s + 1 for s in senders]] = 0

    def watts(*sent):
        demand = np.full((3, 2), 10.0)
        demand[senders] = 40 * limit + np.array(sent) / 2
        problem = SleepProblem.of_classes(network, demand, graph)
        model, _ = ring_model(problem, settings, low=counts, high=counts)
        result = model.solve("highs", 10.0, 0.0, 1)
        return result.objective if result.has_solution else np.inf

    cooled = 1.15
    cheap = 400 * limit - 10  # Mbit/s that the taker's 5G cell has for others
    expected = (cheap + 90) * (cooled * 1 + 0.1) + 30 * (cooled * 5 + 0.1)
    assert watts(cheap + 30, 90) - watts(0, 0) == pytest.approx(expected, abs=1e-4)
    assert watts(90, cheap + 30) - watts(0, 0) == pytest.approx(expected, abs=1e-4)
    whole = cheap + 40 * limit
    assert np.isfinite(watts(whole - 1, 0)) and np.isfinite(watts(0, whole - 1))
    assert watts(whole + 1, 0) == watts(0, whole + 1) == np.inf


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_coverage_is_kept_at_least_cost(seed, share):
    network = line_network(2, 1, seed=seed)
    problem = some_problem(
        seed, network, hours=2, cover_rows=4, single=True, busy=0.2, whole_site=True, max_hole_share=share
    )
    settings = SleepSettings(min_up=1, min_off=1, **EXACT)
    plan = plan_sleep(problem, "milp", settings)
    assert plan.solve.objective == pytest.approx(brute_force(problem, settings), abs=1e-3)
    assert (holes_of(problem, plan.parts) <= share * problem.cover.covered_km2 + 1e-9).all()


@pytest.mark.parametrize("seed", range(2))
def test_a_radio_unit_of_two_carriers_sleeps_with_the_last(seed):
    network = line_network(1, 2, seed=seed, units=True)
    problem = some_problem(seed, network, hours=4)
    settings = SleepSettings(min_up=1, min_off=1, **EXACT)
    plan = plan_sleep(problem, "milp", settings)
    assert plan.solve.objective == pytest.approx(brute_force(problem, settings), abs=1e-3)
    states = plan.states()
    pair = np.flatnonzero(~network.cells["is_coverage"].to_numpy(bool))
    one_on = plan.awake[pair].sum(axis=0) == 1
    assert np.isin("carrier off", states[pair][:, one_on]) if one_on.any() else True
    assert not (states[pair][:, one_on] == "deep sleep").any()


@pytest.mark.slow
@pytest.mark.parametrize("operation", [{}, {"muting": True}, {"whole_site": True}, {"boundary": "awake"}])
@pytest.mark.parametrize("seed", range(2))
def test_the_way_of_large_networks_lies_between_bound_and_optimum(seed, operation, monkeypatch):
    problem = some_problem(seed, hours=8, cover_rows=6, **operation)
    settings = SleepSettings(min_up=1, min_off=1, max_wakes=None, **EXACT)
    exact = plan_sleep(problem, "milp", settings)
    monkeypatch.setattr("planning.sleep.optimise.SMALL", 0)
    monkeypatch.setattr("planning.sleep.optimise.LARGE", 0)
    plan = plan_sleep(problem, "milp", settings)
    assert plan.solve.bound <= exact.solve.objective * (1 + 1e-9)
    assert exact.solve.bound <= plan.solve.objective * (1 + 1e-9)
    assert plan.solve.gap < 0.1
    assert lawful(problem, settings, plan.parts)
    e = plan.evaluation
    priced = 1000 * e.energy_kwh + settings.offload_w_per_mbps * e.offloaded_mbps_hours
    assert plan.solve.objective == pytest.approx(priced, rel=1e-9) and e.unserved_mbps_hours == 0


def test_a_plan_goes_on_from_an_earlier_one():
    problem = some_problem(3, hours=24)
    best = plan_sleep(problem, "milp", SleepSettings(gap=0.02, allow_unserved=True))
    hurried = SleepSettings(gap=0, time_limit=1e-6, allow_unserved=True)
    again = plan_sleep(problem, "milp", hurried, earlier=best.parts)
    # a plan that no bound proves is not called optimal, and its gap is unknown, not 0
    assert again.solve.status == "feasible" and again.solve.bound is None and again.solve.gap is None
    assert "optimal" not in again.how
    objective, bound = best.solve.objective, best.solve.bound
    assert (
        best.solve.gap == pytest.approx((objective - bound) / objective, abs=1e-9) and 0 < bound <= objective
    )
    assert again.evaluation.energy_kwh <= best.evaluation.energy_kwh * (1 + 1e-9)


def test_sites_without_cells_that_may_sleep_need_no_program():
    """E1: a 4G-only site has one state of no columns."""
    network = line_network(2, [0, 0])
    plan = plan_sleep(some_problem(0, network, busy=0.5), "milp", SleepSettings())
    assert plan.how == "No program had to be solved." and plan.awake.all()
    mixed = some_problem(0, line_network(3, [0, 2, 0]), busy=0.5)
    assert plan_sleep(mixed, "milp", SleepSettings()).evaluation.unserved_mbps_hours == 0
