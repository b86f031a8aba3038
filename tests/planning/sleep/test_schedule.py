"""The limits on switching, run by run: what is added, and that nothing more is."""

from itertools import pairwise

import numpy as np
import pytest

from planning.sleep import SleepSettings
from planning.sleep.keeper import Keeper
from planning.sleep.schedule import fill_gaps, hold, limit_wakes, woken
from tests.planning.sleep.making import line_network, some_problem

HOURS = 24


def some_rows(seed, rows=40):
    return np.random.default_rng(seed).random((rows, HOURS)) < np.linspace(0.05, 0.95, rows)[:, None]


def gaps_of(row, before=None, after=None):
    """Hours of each gap that ends with a wake-up, as lists; before None: the row is cyclic."""
    if before is None:
        if row.all() or not row.any():
            return []
        first = int(np.argmax(row))
        turned = [*((first + np.arange(len(row))) % len(row)).tolist(), first]
        states = [bool(row[h]) for h in turned]
    else:
        turned = [-1, *range(len(row)), *([] if after is None else [len(row)])]
        states = [bool(before), *row.tolist(), *([] if after is None else [bool(after)])]
    gaps, gap = [], []
    for hour, state in zip(turned, states, strict=True):
        if state:
            gaps += [gap] if gap else []
            gap = []
        else:
            gap = [*gap, hour]
    return gaps


@pytest.mark.parametrize("at_least", [1, 2, 3, 7])
def test_what_wakes_stays_awake_so_long(at_least):
    rows = some_rows(0)
    for row, held in zip(rows, hold(rows, at_least), strict=True):
        starts = [h for h in range(HOURS) if row[h] and not row[h - 1]]
        wanted = {(s + k) % HOURS for s in starts for k in range(at_least)} | set(np.flatnonzero(row))
        assert set(np.flatnonzero(held)) == wanted
    ends = rows[:, 0]  # with a state before the first hour: no wake-up there, and nothing comes round the end
    for row, held in zip(rows, hold(rows, at_least, ends), strict=True):
        starts = [h for h in range(1, HOURS) if row[h] and not row[h - 1]]
        wanted = {s + k for s in starts for k in range(at_least) if s + k < HOURS} | set(np.flatnonzero(row))
        assert set(np.flatnonzero(held)) == wanted


@pytest.mark.parametrize("at_least", [1, 2, 3, 7])
def test_gaps_that_are_too_short_are_filled_and_no_others(at_least):
    rows = some_rows(1)
    before, after = np.ones(len(rows), bool), np.random.default_rng(2).random(len(rows)) < 0.5
    for given in ((None, None), (before, after)):
        for n, filled in enumerate(fill_gaps(rows, at_least, *given)):
            ends = () if given[0] is None else (given[0][n], given[1][n])
            short = {h for gap in gaps_of(rows[n], *ends) if len(gap) < at_least for h in gap}
            assert set(np.flatnonzero(filled)) == short | set(np.flatnonzero(rows[n]))


@pytest.mark.parametrize("most", [1, 2, 4])
def test_wake_ups_beyond_the_limit_are_given_up_at_the_shortest_gaps(most):
    rows = some_rows(3)
    before, after = np.ones(len(rows), bool), np.ones(len(rows), bool)
    for given in ((None, None), (before, after)):
        for n, kept in enumerate(limit_wakes(rows, most, *given)):
            ends = () if given[0] is None else (True, True)
            lengths = sorted(len(gap) for gap in gaps_of(rows[n], *ends))
            assert (kept | ~rows[n]).all()
            assert (kept & ~rows[n]).sum() == sum(lengths[: max(0, len(lengths) - most)])
            assert len(gaps_of(kept, *ends)) == min(len(lengths), most)


def test_a_part_that_is_awake_after_the_last_hour_wakes_into_it():
    rows = some_rows(4)
    before, after = rows[:, 5], rows[:, 9]
    counted = woken(rows, before, after).sum(axis=1)
    for n, row in enumerate(rows):
        states = [before[n], *row, after[n]]
        assert counted[n] == sum(b and not a for a, b in pairwise(states))


@pytest.mark.parametrize(
    ("asleep", "broken"),
    [
        ([1, 2, 10, 11], []),  # at each limit
        ([1, 2, 10, 11, 16, 17], ["wake-ups a day"]),
        ([1], ["minimum off-time"]),
        ([1, 2, 5, 6], ["minimum on-time"]),
        ([1, 2, 3, 5], ["minimum off-time", "minimum on-time"]),
    ],
)
def test_limits_that_a_schedule_breaks_are_named(asleep, broken):
    problem = some_problem(0, line_network(1, 1, seed=1), hours=HOURS)
    keeper = Keeper(problem, SleepSettings(min_up=3, min_off=2, max_wakes=2))
    free = int(np.flatnonzero(~keeper.must[:, 0])[0])
    awake = np.ones((problem.groups.number_of_parts, HOURS), bool)
    awake[free, asleep] = False
    assert keeper.broken(awake) == broken
    assert keeper.broken(keeper.keep(awake)) == []
    awake[:] = True
    awake[keeper.must[:, 0], 3:6] = False
    assert keeper.broken(awake) == ["cells that must be awake"]
