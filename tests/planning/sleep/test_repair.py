"""Counts that do not serve all, completed: what is woken, in which order, and that nothing else changes."""

from dataclasses import replace

import numpy as np
import pytest

from planning.network import Network
from planning.sleep import SleepProblem, SleepSettings
from planning.sleep.keeper import Keeper
from planning.sleep.offload import OffloadGraph
from planning.sleep.repair import repaired, served
from planning.sleep.schedule import group_counts, to_parts
from tests.planning.sleep.making import line_network, some_problem

SETTINGS = SleepSettings(max_load=0.8, allow_unserved=True)
OPERATIONS = {
    "plain": {},
    "ground": {"cover_rows": 6},
    "muting": {"muting": True},
    "order of bands": {"band_order": ("n41", "B3"), "whole_site": True},
}


def unserved(problem, counts):
    return problem.serve(SETTINGS, counts).unserved


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_can_be_served_and_covered_is(name, seed):
    """From all asleep, and from counts by chance: no group loses parts, none has more than there are."""
    problem = some_problem(seed, hours=6, busy=0.7, **OPERATIONS[name])
    groups, every = problem.groups, problem.all_awake()
    rng = np.random.default_rng(seed)
    for counts in (np.zeros_like(every), rng.integers(0, every + 1)):
        out = repaired(problem, SETTINGS, counts)
        assert (out >= np.maximum(counts, problem.least())).all() and (out <= groups.count[:, None]).all()
        possible = unserved(problem, every).sum(axis=0) <= 1e-6
        assert possible.any() and (unserved(problem, out)[:, possible] <= 1e-6).all()
        assert problem.cover.kept(out).all()
        for first, second in problem.pairs.tolist():
            assert (out[second] >= np.minimum(out[first], groups.count[second])).all()
        np.testing.assert_array_equal(repaired(problem, SETTINGS, out), out)


def some_sectors(demand, capacities=(40.0, 100.0, 300.0), arcs=((), ()), requires=None):
    """Two, each with a 4G cell that stays awake and 5G cells, the larger the cheaper its Mbit/s. requires: groups, the
    first of which needs the second."""
    layers = len(capacities) - 1
    network = line_network(2, layers)
    cells = network.cells.assign(
        capacity_mbps=capacities * 2, idle_w=tuple(350.0 + 0.5 * capacity for capacity in capacities) * 2,
        is_coverage=(True, *(False,) * layers) * 2,
    )  # fmt: skip
    graph = OffloadGraph.of_classes(np.array([0, 1]), [list(ends) for ends in arcs], 2)
    problem = SleepProblem.of_classes(Network(network.sites, cells), np.asarray(demand, float), graph)
    return problem if requires is None else replace(problem, requires=np.array(requires))


def test_the_cheapest_mbps_of_the_own_sector_wakes_first():
    """32 Mbit/s fit the 4G cell, 272 with the larger 5G cell, 352 with both."""
    problem = some_sectors([[30.0, 33.0, 271.0, 273.0], [0.0] * 4])
    asleep = np.tile([[1], [0], [0]], (2, 4))
    out = repaired(problem, SETTINGS, asleep)
    assert out[:3].tolist() == [[1, 1, 1, 1], [0, 0, 0, 1], [0, 1, 1, 1]]
    assert (out[3:] == asleep[3:]).all()  # nothing wakes in the sector that is not needed
    left = unserved(problem, asleep)
    np.testing.assert_array_equal(repaired(problem, SETTINGS, asleep, left), out)


def test_neighbours_wake_for_what_the_own_sector_cannot_carry():
    """352 Mbit/s is all that the sector has; the neighbour's 4G cell takes 32 more before its 5G cells are woken."""
    problem = some_sectors([[352.0, 383.0, 385.0], [0.0] * 3], arcs=[[1], []])
    asleep = np.tile([[1], [0], [0]], (2, 3))
    out = repaired(problem, SETTINGS, asleep)
    assert (out[:3] == 1).all()
    assert out[3:].tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 1]]


def test_only_hours_beyond_capacity_have_all_awake():
    problem = some_sectors([[10.0, 9000.0, 300.0], [0.0] * 3])
    asleep = np.tile([[1], [0], [0]], (2, 3))
    out = repaired(problem, SETTINGS, asleep)
    assert (out[:, 1] == 1).all() and out[:, 0].tolist() == asleep[:, 0].tolist()
    assert out[:, 2].tolist() == [1, 1, 1, 1, 0, 0]


def test_what_a_cell_needs_wakes_with_it_and_counts():
    """The largest cell needs the smallest: both together carry 320 Mbit/s, so the one of 200 stays asleep."""
    problem = some_sectors([[40.0, 340.0], [0.0] * 2], (40.0, 100.0, 200.0, 300.0), requires=[[3, 1]])
    asleep = np.tile([[1], [0], [0], [0]], (2, 2))
    out = repaired(problem, SETTINGS, asleep)
    assert out[:4].tolist() == [[1, 1], [1, 1], [0, 0], [1, 1]]
    quiet = replace(problem, demand=0 * problem.demand)
    np.testing.assert_array_equal(repaired(quiet, SETTINGS, asleep), asleep)
    awake = asleep.copy()
    awake[3, 0] = 1
    assert repaired(quiet, SETTINGS, awake)[:4, 0].tolist() == [1, 1, 0, 1]


def test_what_a_cell_needs_and_has_is_left_as_it_is():
    problem = some_sectors([[170.0], [0.0]], (40.0, 100.0, 200.0, 300.0), requires=[[3, 1]])
    out = repaired(problem, SETTINGS, np.array([[1], [1], [0], [0]] * 2))
    assert out[:4, 0].tolist() == [1, 1, 0, 1]


def test_what_is_known_to_be_unserved_is_taken_for_these_counts_alone():
    problem = some_sectors([[30.0, 33.0], [0.0] * 2])
    asleep = np.tile([[1], [0], [0]], (2, 2))
    np.testing.assert_array_equal(repaired(problem, SETTINGS, asleep, 0 * problem.demand), asleep)
    out = repaired(problem, SETTINGS, 0 * asleep, problem.demand)  # the 4G cells may not sleep
    assert out[:3].tolist() == [[1, 1], [0, 0], [0, 1]]


def test_where_repair_does_not_help_everything_is_awake_in_the_hours_that_need_it(monkeypatch):
    monkeypatch.setattr("planning.sleep.repair.repaired", lambda problem, settings, counts, left=None: counts)
    problem = some_sectors([[30.0, 33.0, 20.0], [0.0] * 3])
    settings = SleepSettings(min_up=1, min_off=1, max_wakes=None, max_load=0.8)
    before = to_parts(problem.groups, np.tile([[1], [0], [0]], (2, 3)))
    after = served(problem, settings, Keeper(problem, settings), before)
    assert after[:, 1].all() and (after[:, [0, 2]] == before[:, [0, 2]]).all()


@pytest.mark.parametrize("seed", range(4))
def test_a_plan_is_completed_within_its_limits(seed):
    problem = some_problem(seed, hours=24, busy=0.9)
    settings = SleepSettings(min_up=3, min_off=2, max_wakes=2, allow_unserved=True)
    keeper, every = Keeper(problem, settings), problem.all_awake()
    before = keeper.keep(to_parts(problem.groups, np.tile(problem.least().min(axis=1)[:, None], 24)))
    after = served(problem, settings, keeper, before)
    assert (after >= before).all() and not keeper.broken(after)
    counts = group_counts(problem.groups, after)
    possible = problem.serve(settings, every).unserved.sum(axis=0) <= 1e-6
    assert (problem.serve(settings, counts).unserved[:, possible] <= 1e-6).all()
    assert not after.all() or not possible.all()
    assert served(problem, settings, keeper, after) is after or not possible.all()
