"""The bound by prices: a concave function of them, in closed form where the states are known; and the plan by hour."""

from dataclasses import replace

import numpy as np
import pytest

from planning.sleep import SleepProblem, SleepSettings
from planning.sleep.hourly_decomposition import plan_by_hour
from planning.sleep.incumbent import Clock, Incumbent, objective_of, serves_all
from planning.sleep.keeper import Keeper
from planning.sleep.lagrangian_bound import PriceSearch, _best_holes
from planning.sleep.offload import OffloadGraph
from planning.sleep.operation import Operation
from planning.sleep.rules import always_on
from planning.sleep.schedule import group_counts
from planning.sleep.sweep import Sweeper
from tests.planning.sleep.making import brute_force, lawful, line_network, some_problem

FREE = SleepSettings(min_up=1, min_off=1, max_wakes=None, gap=0.0, threads=1)
OPERATIONS = {
    "plain": {},
    "ground": {"cover_rows": 5},
    "holes": {"cover_rows": 5, "whole_site": True, "max_hole_share": 0.3},
    "on before and after": {"boundary": "awake"},
}


def priced(problem, seed, scale=3.0):
    rng = np.random.default_rng(seed)
    price = rng.uniform(0, scale, (len(problem.graph.arc_class), problem.hours))
    return price, rng.uniform(0, 200, (len(problem.cover.binding), problem.hours))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_bound_is_concave_and_its_slopes_are_those_that_it_tells(name, seed):
    """Nowhere is it above the plane through any of its points; near a point the plane is the bound."""
    problem = some_problem(seed, line_network(3, 2, 1, seed), hours=5, busy=0.8, **OPERATIONS[name])
    evaluate = PriceSearch.relaxation(problem, FREE).evaluate
    prices = [priced(problem, number, scale) for number, scale in enumerate((1.0, 3.0, 9.0))]
    for price, cover_price in prices:
        value, slack, short, _ = evaluate(price, cover_price)
        for other, other_cover in prices:
            plane = value + (slack * (other - price)).sum() + (short * (other_cover - cover_price)).sum()
            assert evaluate(other, other_cover)[0] <= plane + 1e-6 * abs(plane)
        rng = np.random.default_rng(seed)
        step, step_cover = 1e-6 * rng.random(price.shape), 1e-6 * rng.random(cover_price.shape)
        moved = evaluate(price + step, cover_price + step_cover)[0]
        told = (slack * step).sum() + (short * step_cover).sum()
        assert moved - value == pytest.approx(told, abs=1e-7)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", ["plain", "on before and after"])
def test_without_others_the_bound_is_the_best_plan(name, seed):
    """Sectors whose traffic nobody else may carry: each is planned alone, wake-ups included."""
    problem = some_problem(seed, line_network(2, 1, 1, seed), hours=4, busy=0.8, **OPERATIONS[name])
    home = np.arange(problem.graph.sectors)
    load = problem.by_sector(problem.demand)
    problem = replace(problem, demand=load, graph=OffloadGraph.of_classes(home, [[], []], len(home)))
    settings = replace(FREE, switch_wh=150.0)
    value = PriceSearch.relaxation(problem, settings).evaluate(
        np.zeros((0, 4)), np.zeros((len(problem.cover.binding), 4))
    )[0]
    assert value == pytest.approx(brute_force(problem, settings), rel=1e-9)


@pytest.mark.parametrize(("sent", "marginal"), [(100.0, 1.0), (330.0, 5.0)])
def test_at_the_price_of_the_dearest_cell_in_use_the_bound_is_exact(sent, marginal):
    """Cells that never sleep: of 4G, 40 Mbit/s at 5 W per Mbit/s, and of 5G, 400 at 1. What one sector cannot carry
    goes to the other, on the same site, whose 5G cell has 310 Mbit/s for it."""
    network = line_network(1, 1, 2)
    graph = OffloadGraph.of_classes(np.array([0, 1]), [[1], []], 2)
    demand = np.array([[440 * 0.8 + sent] * 2, [10.0] * 2])
    problem = SleepProblem.of_classes(
        network, demand, graph, None, Operation(never=np.ones(4, bool), whole_site=True)
    )
    settings = replace(FREE, max_load=0.8, offload_w_per_mbps=0.1)
    awake = always_on(problem, settings)
    value, _, _, counts = PriceSearch.relaxation(problem, settings).evaluate(
        np.full((1, 2), 1.15 * marginal), np.zeros((0, 2))
    )
    assert value == pytest.approx(objective_of(problem, settings, awake), rel=1e-9)
    assert (counts == 1).all()
    assert (
        PriceSearch.relaxation(problem, settings).evaluate(
            np.full((1, 2), 1.15 * marginal + 0.5), np.zeros((0, 2))
        )[0]
        <= value + 1e-9
    )


def test_the_dearest_ground_a_km2_may_go_uncovered():
    cover = some_problem(0, cover_rows=3, whole_site=True, max_hole_share=0.5).cover
    cover = replace(
        cover, area_km2=np.array([2.0, 1.0, 4.0]), binding=np.arange(3), covered_km2=10.0, max_hole_share=0.4
    )
    holes = _best_holes(cover, np.array([[6.0, 0.0], [5.0, 2.0], [4.0, 4.0]]))
    np.testing.assert_allclose(holes, [[1, 0], [1, 1], [0.25, 0.75]])
    assert PriceSearch.worth_of_holes(cover, np.array([[6.0], [5.0], [4.0]])) == pytest.approx(12.0)
    assert PriceSearch.worth_of_holes(replace(cover, max_hole_share=0.0), np.ones((3, 1))) == 0
    assert PriceSearch.worth_of_holes(cover, np.zeros((0, 1))) == 0


@pytest.mark.parametrize("seed", range(3))
def test_steps_raise_the_bound_and_never_above_the_best_plan(seed):
    problem = some_problem(seed, line_network(3, 1, 1, seed), hours=3, cover_rows=2 * (seed % 2), busy=0.6)
    best = brute_force(problem, FREE)
    search, bounds = PriceSearch(problem, FREE), []
    clock = Clock(60)
    for _ in range(6):
        bounds.append(search.best.bound)
        search.run(15, best, clock.until(1.0))
    assert (np.diff(bounds) >= 0).all() and bounds[-1] <= best * (1 + 1e-9)
    assert best - search.best.bound <= 0.02 * best
    groups = problem.groups
    assert (search.best.counts >= 0).all() and (search.best.counts <= groups.count[:, None] + 1e-9).all()
    steps = search.steps
    search.run(5, best, clock.begun)  # no time is left
    assert search.steps == steps


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("seed", range(2))
def test_the_plan_by_hour_is_lawful_and_close_to_the_best(name, seed):
    problem = some_problem(seed, line_network(2, 1, 1, seed), hours=3, busy=0.5, **OPERATIONS[name])
    settings = replace(FREE, gap=1e-3)
    keeper = Keeper(problem, settings)
    awake = always_on(problem, settings)
    found = Incumbent(awake, objective_of(problem, settings, awake))
    search = PriceSearch(problem, settings)
    search.run(40, found.objective, Clock(60).until(1.0))
    found.bound = search.best.bound
    seen, is_close = [], found.gap <= settings.gap
    plan_by_hour(
        problem, settings, search.best, found, Clock(60), keeper, Sweeper(problem, settings, keeper),
        lambda *told: seen.append(told),
    )  # fmt: skip
    best = brute_force(problem, settings)
    assert best * (1 - 1e-9) <= found.objective <= 1.03 * best
    assert found.objective == pytest.approx(objective_of(problem, settings, found.awake))
    assert lawful(problem, settings, found.awake) and serves_all(problem, settings, found.awake)
    assert (group_counts(problem.groups, found.awake) >= problem.least()).all()
    assert bool(seen) != is_close and all(0 <= done < total == 3 for done, total, _ in seen)
