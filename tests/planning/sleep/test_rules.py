"""The rules of thumb, whatever solver there is: which cells they put to sleep, and when."""

from dataclasses import replace

import numpy as np
import pytest

from planning.sleep import SleepSettings
from planning.sleep.rules import night, threshold
from tests.planning.sleep.making import line_network, some_problem

FREE = {"min_up": 1, "min_off": 1, "max_wakes": None}


@pytest.mark.parametrize(("window", "hours"), [((1, 5), {1, 2, 3, 4}), ((22, 2), {22, 23, 0, 1})])
def test_the_night_begins_with_its_first_hour_and_ends_before_its_last(window, hours):
    problem = some_problem(0, line_network(2, 2, seed=1), hours=24)
    awake = night(problem, SleepSettings(night=window, **FREE))
    groups = problem.groups
    may_sleep = (groups.count > groups.coverage)[groups.group_of_part]
    assert awake[~may_sleep].all()
    for row in awake[may_sleep]:
        assert set(np.flatnonzero(~row)) == hours


@pytest.mark.parametrize("seed", range(3))
def test_the_threshold_puts_the_biggest_saver_per_mbps_to_sleep_first_and_as_many_as_the_load_allows(seed):
    """Cells that all differ, in one sector: replayed hour by hour from the loads that the settings name."""
    problem = some_problem(seed, line_network(1, 3, seed=seed), hours=24, busy=0.9)
    # from a rising hour on, at whose beginning it matters what slept the night before
    problem = replace(problem, demand=np.roll(problem.demand, -7, axis=1))
    settings = SleepSettings(sleep_below=0.4, wake_above=0.6, **FREE)
    groups, load = problem.groups, problem.by_sector(problem.demand)[0]
    free = np.flatnonzero(groups.count > groups.coverage)
    order = free[np.argsort(-groups.full_saving_w[free] / groups.capacity[free])]
    left = groups.capacity.sum() - np.concatenate([[0.0], np.cumsum(groups.capacity[order])])
    asleep, expected = 0, np.zeros(24, int)
    for turn in range(48):
        demand = load[turn % 24]
        before = asleep
        while asleep and demand > settings.wake_above * left[asleep]:
            asleep -= 1
        while asleep >= before and asleep < len(order) and demand < settings.sleep_below * left[asleep + 1]:
            asleep += 1
        expected[turn % 24] = asleep
    awake = threshold(problem, settings)[[groups.parts[g][0] for g in order]]
    np.testing.assert_array_equal((~awake).sum(axis=0), expected)
    assert (
        np.diff(awake.astype(int), axis=0) >= 0
    ).all()  # the last of the order sleep only where the first do
    assert len(set(expected)) > 1
