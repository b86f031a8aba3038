"""Covering area by area: sound at the seams, bounded as a whole, the same for any workers."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from plannerbase.workers import work_here
from planning.deployment.covering import CoveringProblem
from planning.deployment.covering_areas import colours, cover_in_areas
from planning.deployment.covering_search import greedy
from planning.geometry import cut_in_halves
from planning.shared_work import SharedWork

HERE = SharedWork()
LIMITS = {
    "number": {"sites": 10},
    "budget": {"sites": None, "budget": 18.0, "cost": np.arange(80) % 3 + 1.0},
    "apart": {"sites": 10, "min_distance_m": 500.0, "forced": np.arange(80) % 50 == 7},
    "closed": {"sites": 8, "forbidden": np.arange(80) % 3 == 0},
}


def instance(seed, limits="number", points=150, candidates=80) -> tuple[CoveringProblem, np.ndarray]:
    """A strip of 8 x 3 km, so that a cut has seams."""
    rng = np.random.default_rng(seed)
    side = np.array([8000.0, 3000.0])
    need = rng.lognormal(0, 1, points).round(2)
    places = rng.random((candidates, 2)) * side
    capacity = rng.uniform(0.5, 1.5, candidates) * need.sum() / 12
    problem = CoveringProblem.build(
        rng.random((points, 2)) * side, need, places, 700.0, capacity, **LIMITS[limits]
    )
    return problem, places


def optimum(problem) -> float:
    """Of the program, by SciPy's HiGHS."""
    arcs, count = len(problem.point), problem.candidates
    rows, upper = [], []
    for i in range(len(problem.need)):
        rows.append(np.concatenate([problem.point == i, np.zeros(count)]))
        upper.append(problem.need[i])
    for j in range(count):
        rows.append(
            np.concatenate([problem.candidate == j, np.where(np.arange(count) == j, -problem.capacity, 0)])
        )
        upper.append(0.0)
    rows.append(np.concatenate([np.zeros(arcs), np.ones(count)]))
    upper.append(problem.sites)
    found = milp(
        -np.concatenate([np.ones(arcs), np.zeros(count)]),
        constraints=LinearConstraint(np.array(rows), -np.inf, upper),
        integrality=np.concatenate([np.zeros(arcs), np.ones(count)]),
        bounds=Bounds(0, np.concatenate([problem.need[problem.point], np.ones(count)])),
        options={"mip_rel_gap": 1e-6},
    )
    return -found.fun


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few exchanges an area."""
    monkeypatch.setattr("planning.deployment.covering_areas.SHAKES", 6)


def planned(problem, places, work=HERE):
    return cover_in_areas(problem, places, work, gap=0.0, candidates_per_area=20)


@pytest.mark.parametrize("limits", LIMITS)
def test_a_plan_in_areas_keeps_every_limit_and_is_no_worse_than_greedy(limits):
    problem, places = instance(1, limits)
    plan, start = planned(problem, places), greedy(problem)
    assert problem.allows(plan.chosen)
    served, _ = problem.serve(plan.chosen)  # one maximum flow of the whole
    assert plan.served_mbps == pytest.approx(served) and served >= problem.serve(start)[0]
    assert plan.served_mbps <= plan.solve.bound <= problem.need.sum() * (1 + 1e-12)
    assert "areas" in plan.solve.solver


@pytest.mark.slow
def test_the_bound_is_above_the_optimum_and_the_plan_close_to_it():
    problem, places = instance(2)
    best, plan = optimum(problem), planned(problem, places)
    assert plan.served_mbps <= best * (1 + 1e-6) and plan.solve.bound >= best * (1 - 1e-6)
    assert plan.served_mbps >= 0.98 * best
    assert plan.solve.bound <= 1.02 * best


@pytest.mark.parametrize("limits", ["number", "apart"])
def test_areas_of_a_colour_have_nothing_in_common(limits):
    problem, places = instance(3, limits)
    area = cut_in_halves(places, 15)
    groups = colours(problem, area)
    assert sorted(number for group in groups for number in group) == list(range(int(area.max()) + 1))
    assert any(len(group) > 1 for group in groups)
    for group in groups:
        ground = [np.unique(problem.point[area[problem.candidate] == number]) for number in group]
        near = [set(problem.candidate[np.isin(problem.point, mine)]) for mine in ground]
        assert len(np.concatenate(ground)) == len(np.unique(np.concatenate(ground)))
        assert sum(map(len, near)) == len(set().union(*near))
        of_pair = area[problem.conflicts]
        assert not (np.isin(of_pair, group).all(axis=1) & (of_pair[:, 0] != of_pair[:, 1])).any()


def out_of_order(function, tasks):
    """As several workers deliver."""
    return reversed(list(work_here(function, tasks)))


def stops_after(count, function, tasks):
    for done, found in enumerate(work_here(function, tasks)):
        if done == count:
            raise KeyboardInterrupt
        yield found


def same(one, other) -> None:
    np.testing.assert_array_equal(one.chosen, other.chosen)
    assert (one.served_mbps, one.solve.bound) == (other.served_mbps, other.solve.bound)


@pytest.mark.slow
def test_who_does_the_work_and_where_it_stopped_change_nothing(tmp_path):
    problem, places = instance(4)
    alone = planned(problem, places)
    same(planned(problem, places, SharedWork(out_of_order)), alone)
    folder = tmp_path / "work"
    with pytest.raises(KeyboardInterrupt):
        planned(problem, places, SharedWork(partial(stops_after, 1), folder))
    assert len(list(folder.glob("deploy-*/*.npz"))) == 1
    same(planned(problem, places, SharedWork(folder=folder)), alone)
    same(
        planned(problem, places, SharedWork(partial(stops_after, 0), folder)), alone
    )  # nothing is left to do
    other = replace(problem, capacity=2 * problem.capacity)
    assert planned(other, places, SharedWork(folder=folder)).served_mbps > alone.served_mbps
