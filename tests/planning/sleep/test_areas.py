"""Sleep plans area by area: the same for any workers, bounded as a whole, sound at the seams."""

import os
import pickle
import signal
from dataclasses import replace
from functools import partial

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plannerbase.workers import local_workers, work_here
from planning.errors import ClusterError, InputError
from planning.geometry import cut_in_halves
from planning.shared_work import SharedWork, work_folder
from planning.sleep import SleepSettings, plan_sleep
from planning.sleep.areas import Cut
from planning.sleep.in_areas import bound_of, optimise_in_areas
from planning.sleep.incumbent import objective_of, serves_all
from planning.sleep.keeper import Keeper
from planning.sleep.lagrangian_bound import PriceSearch
from planning.sleep.milp import ring_model
from planning.sleep.optimise import optimise

from .making import brute_force, line_network, replayed, some_problem

HERE = SharedWork()
QUICK = SleepSettings(gap=0.02)


def line_problem(seed=3, sites=8, hours=24, **more):
    """Sectors along a line whose traffic the sites beside them can carry, so that a cut has seams."""
    return some_problem(seed, line_network(sites, 2, 1, seed), hours=hours, busy=0.5, **more)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 5))
def test_a_cut_holds_each_site_once(sites, most, seed):
    places = np.random.default_rng(seed).uniform(0, 1e4, (sites, 2)).round(-3)
    number = cut_in_halves(places, most)
    size = np.bincount(number)
    assert size.min() >= 1 and size.max() <= most and size.sum() == sites
    if sites > most:
        assert size.min() >= most // 4


def test_the_cores_hold_every_sector_part_and_arc_of_the_network():
    problem = line_problem(cover_rows=6)
    areas = Cut(problem, 2)
    assert len(areas) == 4
    sectors = np.concatenate([area.sectors[area.core] for area in areas])
    parts = np.concatenate([area.parts[area.core_parts] for area in areas])
    sends = np.concatenate([area.arcs[area.core[area.problem.graph.arc_source]] for area in areas])
    assert sorted(sectors) == list(range(problem.groups.sectors))
    assert sorted(parts) == list(range(problem.groups.number_of_parts))
    assert sorted(sends) == list(range(len(problem.graph.arc_class)))
    for area in areas:
        small, whole = area.problem.groups, problem.groups
        for g, rows in enumerate(small.parts):
            assert (area.parts[rows] == whole.parts[area.groups[g]]).all()
        np.testing.assert_array_equal(small.capacity, whole.capacity[area.groups])
        np.testing.assert_array_equal(area.problem.demand, problem.demand[area.classes])


def test_an_area_is_made_when_it_is_asked_for_and_sent_whole():
    areas = Cut(line_problem(cover_rows=6, muting=True), 2)
    assert len(areas) == 4 and not areas._made
    area = areas[2]
    assert list(areas._made) == [2] and areas[2] is area
    back = pickle.loads(pickle.dumps(area))
    for name in ("sites", "sectors", "groups", "parts", "classes", "arcs", "rows", "core"):
        np.testing.assert_array_equal(getattr(back, name), getattr(area, name))
    settings = SleepSettings()
    counts = area.problem.all_awake()
    for one, other in zip(
        vars(back.problem.serve(settings, counts)).values(),
        vars(area.problem.serve(settings, counts)).values(), strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(one, other)
    with pytest.raises(IndexError):
        areas[4]


@pytest.mark.parametrize("more", [{}, {"muting": True}, {"whole_site": True, "max_hole_share": 0.3}])
@pytest.mark.parametrize("sites_per_area", [1, 3])
def test_the_bound_in_parts_is_that_of_the_whole_network(more, sites_per_area):
    """At any prices, and whatever the cut."""
    problem = line_problem(5, 6, cover_rows=8, **more)
    rng = np.random.default_rng(0)
    price = rng.uniform(0, 3, (len(problem.graph.arc_class), problem.hours))
    cover_price = rng.uniform(0, 100, (len(problem.cover.binding), problem.hours))
    whole = PriceSearch.relaxation(problem, QUICK).evaluate(price, cover_price)[0]
    with HERE.run("test") as run:
        parts = bound_of(problem, QUICK, Cut(problem, sites_per_area), price, cover_price, run)
    assert parts == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_is_below_the_best_of_all_plans(seed):
    problem = some_problem(seed, line_network(3, 1, 1, seed), hours=3, cover_rows=2 * (seed % 2), busy=0.6)
    settings = SleepSettings(min_up=1, min_off=1, max_wakes=None, gap=0.0)
    best = brute_force(problem, settings)
    awake, outcome, _ = optimise_in_areas(problem, settings, HERE, sites_per_area=1)
    assert outcome.bound <= best * (1 + 1e-9) <= outcome.objective * (1 + 2e-9)
    assert objective_of(problem, settings, awake) == pytest.approx(outcome.objective)


@pytest.mark.slow
@pytest.mark.parametrize("more", [{}, {"cover_rows": 10, "whole_site": True}, {"boundary": "awake"}])
def test_the_bound_is_below_the_optimum_of_highs(more):
    problem = line_problem(7, 4, 12, **more)
    settings = SleepSettings(gap=0.0)
    model, _ = ring_model(problem, settings)
    optimum = model.solve("auto", 60.0, 1e-6, 1)
    _, outcome, _ = optimise_in_areas(problem, settings, HERE, sites_per_area=1)
    assert optimum.status == "optimal"
    assert outcome.bound <= optimum.objective * (1 + 1e-6)
    assert outcome.objective >= optimum.objective * (1 - 1e-6)
    assert outcome.objective <= 1.1 * optimum.objective


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("more", [{}, {"cover_rows": 12, "whole_site": True},
                                  {"cover_rows": 12, "whole_site": True, "max_hole_share": 0.2}])  # fmt: skip
def test_the_joined_plan_serves_all_traffic_and_keeps_ground_and_limits(seed, more):
    problem = line_problem(seed, **more)
    settings = SleepSettings(gap=0.03)
    awake, outcome, notes = optimise_in_areas(problem, settings, HERE, sites_per_area=2)
    found = replayed(problem, settings, awake)  # in plain loops
    assert found["unserved"].max() <= 1e-5
    assert found["hole_km2"].max() <= problem.cover.budget_km2 + 1e-9
    assert serves_all(problem, settings, awake)
    assert not Keeper(problem, settings).broken(awake)
    assert outcome.bound <= outcome.objective and 0 <= outcome.gap < 0.2
    assert "4 areas" in notes[0]


def test_one_area_is_planned_as_without_workers():
    problem = line_problem()
    awake, outcome, notes = optimise_in_areas(problem, QUICK, HERE)
    plain, alone, noted = optimise(problem, QUICK)
    np.testing.assert_array_equal(awake, plain)
    assert (outcome.objective, outcome.bound, notes) == (alone.objective, alone.bound, noted)


def test_a_network_beyond_capacity_is_planned_for_what_fits():
    problem = line_problem(2)
    problem.demand[:, 9] *= 8.0
    plan = plan_sleep(problem, "milp", SleepSettings(gap=0.03, allow_unserved=True), work=HERE)
    assert plan.relaxed
    every = problem.serve(plan.settings, problem.all_awake(), beyond=True).unserved.sum()
    assert plan.evaluation.unserved_mbps_hours == pytest.approx(every, rel=1e-6)


# --- who does the work, and where it is kept -------------------------------------------------------------------------


def planned(problem, work, progress=None):
    return optimise_in_areas(problem, SleepSettings(gap=0.03), work, progress, sites_per_area=1)


@pytest.fixture(scope="module")
def alone():
    """What one process plans."""
    return planned(line_problem(), HERE)


def same(left, right) -> None:
    np.testing.assert_array_equal(left[0], right[0])
    assert (left[1].objective, left[1].bound, left[2]) == (right[1].objective, right[1].bound, right[2])


def out_of_order(function, tasks):
    """As several workers deliver."""
    return reversed(list(work_here(function, tasks)))


def test_whoever_delivers_first_the_plan_is_the_same(alone):
    """The workers of a plan that are processes are those of the killed one, below."""
    same(planned(line_problem(), SharedWork(out_of_order)), alone)


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(tmp_path, alone):
    problem, killed = line_problem(), []

    def kill_one(done, total, what):
        if done and not killed:
            children = psutil.Process().children(recursive=True)
            workers = [c for c in children if any("spawn_main" in text for text in c.cmdline())]
            assert len(workers) == 2
            os.kill(workers[0].pid, signal.SIGKILL)
            killed.append(workers[0].pid)

    with local_workers(2, threads=1) as workers:
        same(planned(problem, SharedWork(workers, tmp_path / "work"), kill_one), alone)
    assert killed


def stops_after(count, function, tasks):
    for done, found in enumerate(work_here(function, tasks)):
        if done == count:
            raise KeyboardInterrupt
        yield found


def test_a_stopped_run_goes_on_where_it_was(tmp_path, alone):
    problem, folder, seen = line_problem(), tmp_path / "work", []
    with pytest.raises(KeyboardInterrupt):
        planned(problem, SharedWork(partial(stops_after, 3), folder))
    kept = sorted(folder.glob("sleep-*/*.npz"))
    assert len(kept) == 3
    kept[1].write_bytes(kept[1].read_bytes()[:100])  # a disk may damage what was whole
    resumed = planned(problem, SharedWork(folder=folder), lambda *told: seen.append(told))
    assert seen[0][:2] == (2, 8)
    same(resumed, alone)
    again = planned(problem, SharedWork(partial(stops_after, 0), folder))  # nothing is left to do
    same(again, resumed)


@pytest.mark.slow
def test_the_work_of_another_run_is_neither_taken_nor_touched(tmp_path):
    folder, small = tmp_path / "work", {"sites": 4, "hours": 6}
    planned(line_problem(**small), SharedWork(folder=folder))
    same(
        planned(line_problem(4, **small), SharedWork(folder=folder)), planned(line_problem(4, **small), HERE)
    )
    loose = optimise_in_areas(
        line_problem(**small), replace(QUICK, max_load=0.7), SharedWork(folder=folder), sites_per_area=1
    )
    assert len(list(folder.iterdir())) == 3 and loose[1].bound > 0
    with pytest.raises(InputError, match="cannot be made"):
        planned(line_problem(**small), SharedWork(folder=tmp_path / "no" / "work"))
    with work_folder(tmp_path / "sleep", "sleep", "0"):
        pass
    with pytest.raises(InputError, match="another run"), work_folder(tmp_path / "sleep", "sleep", "1"):
        pass
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("42")
    with pytest.raises(InputError, match="something else"), work_folder(tmp_path / "mine", "sleep", "0"):
        pass
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_two_processes_do_not_share_a_folder(tmp_path):
    with work_folder(tmp_path / "sleep", "sleep", "0"):
        with (
            pytest.raises(ClusterError, match="Another process"),
            work_folder(tmp_path / "sleep", "sleep", "0"),
        ):
            pass
