"""Schedules on their way out and back, ranges over an ensemble, and the verdict."""

import json

import numpy as np
import pandas as pd
import pytest

from planning.errors import InputError
from planning.sleep import SleepSettings, plan_sleep
from planning.sleep.ranges import verdict
from planning.sleep.windows import read_schedule, schedule_json, windows
from tests.planning.sleep.making import line_network, some_problem

QUICK = SleepSettings(time_limit=2, allow_unserved=True)


@pytest.mark.parametrize("rules", [{}, {"muting": True, "boundary": "awake"}])
def test_a_schedule_comes_back_from_its_json(rules):
    plan = plan_sleep(some_problem(1, **rules), "greedy", QUICK)
    awake, muted = read_schedule(schedule_json(plan), plan.network)
    np.testing.assert_array_equal(awake, plan.awake)
    np.testing.assert_array_equal(muted, plan.muted)
    told = json.loads(schedule_json(plan))
    assert {w["energySavingState"] for c in told["cells"] for w in c["energySavingSchedule"]} == {
        "isEnergySaving"
    }
    other = line_network(1)
    with pytest.raises(InputError, match="no cell"):
        read_schedule(schedule_json(plan), other)
    with pytest.raises(InputError, match="no sleep schedule"):
        read_schedule(b"{}", other)


def test_windows_hold_every_hour_asleep_once():
    plan = plan_sleep(some_problem(2), "greedy", QUICK)
    table = windows(plan)
    hours = table.groupby("cell")["hours"].sum()
    for cell, row in zip(plan.network.cells["cell"], ~plan.awake, strict=True):
        assert hours.get(cell, 0) == row.sum()
    woken = table[table["wake_at"] != ""].iloc[0]
    hour, minute = map(int, woken["wake_at"].split(":"))
    assert (60 * hour + minute + 5) % 1440 == 60 * int(woken["to"][:2])


def test_the_verdict_takes_the_saver_that_serves():
    rows = []
    for name, saving, unserved in (("always-on", 0, 0), ("greedy", 0.2, 5e-4), ("milp", 0.3, 0.01)):
        for figure, value in (
            ("saving", saving),
            ("unserved_by_sleep", unserved),
            ("saved_kwh_per_day", 100 * saving),
        ):
            of = dict.fromkeys(("mean", "p10", "p90", "held_out"), value)
            rows.append({"strategy": name, "figure": figure, **of})
    ranges = pd.DataFrame(rows)
    found = verdict(ranges)
    assert (
        found.strategy == "greedy" and "Recommended: Greedy" in found.sentence and "20.0%" in found.sentence
    )
    assert verdict(ranges, enough=1e-5).strategy == "always-on"
