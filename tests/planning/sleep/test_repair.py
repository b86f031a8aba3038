"""Counts that do not serve all, completed: what is woken, in which order, and that nothing else changes."""

import numpy as np
import pytest

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


def two_sectors(demand, arcs):
    """Each with a 4G cell of 40 Mbit/s that stays awake, a 5G cell of 100 (the dearer Mbit/s) and one of 300."""
    network = line_network(2, 2)
    cells = network.cells.assign(
        capacity_mbps=[40.0, 100.0, 300.0] * 2, idle_w=[200.0, 400.0, 450.0] * 2, is_coverage=[True, False, False] * 2
    )  # fmt: skip
    network = type(network)(network.sites, cells)
    graph = OffloadGraph.of_classes(np.array([0, 1]), arcs, 2)
    return SleepProblem.of_classes(network, np.asarray(demand, float), graph)


def test_the_cheapest_mbps_of_the_own_sector_wakes_first():
    """32 Mbit/s fit the 4G cell, 272 with the larger 5G cell, 352 with both."""
    problem = two_sectors([[30.0, 33.0, 271.0, 273.0], [0.0] * 4], [[], []])
    asleep = np.tile([[1], [0], [0]], (2, 4))
    out = repaired(problem, SETTINGS, asleep)
    assert out[:3].tolist() == [[1, 1, 1, 1], [0, 0, 0, 1], [0, 1, 1, 1]]
    assert (out[3:] == asleep[3:]).all()  # nothing wakes in the sector that is not needed
    left = unserved(problem, asleep)
    np.testing.assert_array_equal(repaired(problem, SETTINGS, asleep, left), out)


def test_neighbours_wake_for_what_the_own_sector_cannot_carry():
    """352 Mbit/s is all that the sector has; the neighbour's 4G cell takes 32 more before its 5G cells are woken."""
    problem = two_sectors([[352.0, 383.0, 385.0], [0.0] * 3], [[1], []])
    asleep = np.tile([[1], [0], [0]], (2, 3))
    out = repaired(problem, SETTINGS, asleep)
    assert (out[:3] == 1).all()
    assert out[3:].tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 1]]


def test_only_hours_beyond_capacity_have_all_awake():
    problem = two_sectors([[10.0, 9000.0, 300.0], [0.0] * 3], [[], []])
    asleep = np.tile([[1], [0], [0]], (2, 3))
    out = repaired(problem, SETTINGS, asleep)
    assert (out[:, 1] == 1).all() and out[:, 0].tolist() == asleep[:, 0].tolist()
    assert out[:, 2].tolist() == [1, 1, 1, 1, 0, 0]


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
