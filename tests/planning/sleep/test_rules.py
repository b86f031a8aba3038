"""The rules by hand."""

import numpy as np
import pytest

from planning.sleep import (
    SleepProblem,
    SleepSettings,
    plan_sleep,
)
from tests.planning.sleep.making import awake_5g, line_network, random_problem


def test_threshold_with_hysteresis_by_hand():
    """One site of 40 + 400 Mbit/s: its 5G cell sleeps below 0.5 x 40 = 20 and wakes above 0.7 x 40 = 28 Mbit/s."""
    problem = SleepProblem.of_sites(line_network(1), np.array([[10.0, 25, 30, 25, 25, 15]]))
    plan = plan_sleep(problem, "threshold", SleepSettings(min_up=1))
    assert awake_5g(plan) == [False, False, True, True, True, False]


def test_greedy_by_hand():
    """A site alone wakes its 5G cell when its coverage cell's 40 Mbit/s do not suffice; held for three hours."""
    problem = SleepProblem.of_sites(line_network(1), np.array([[10.0, 45, 30, 30, 30, 30]]))
    plan = plan_sleep(problem, "greedy", SleepSettings(min_up=1, switch_wh=0))
    assert awake_5g(plan) == [False, True, False, False, False, False]
    held = plan_sleep(problem, "greedy", SleepSettings(min_up=3, switch_wh=0))
    assert awake_5g(held) == [False, True, True, True, False, False]


def test_greedy_wakes_ring_by_ring_and_lets_the_rest_sleep():
    """Site 1 can only help site 0 by handing its own traffic on to site 2; nobody further is needed."""
    demand = np.full((12, 1), 5.0)
    demand[0], demand[1] = 840, 400  # a site carries 440: 40 of its coverage cell, 400 of its 5G cell
    problem = SleepProblem.of_sites(line_network(12), demand, ring_m=600)
    plan = plan_sleep(problem, "greedy", SleepSettings(min_up=1))
    assert plan.evaluation.unserved_mbps_hours == pytest.approx(0, abs=1e-6)
    schedule = plan.schedule()
    awake_5g = schedule[schedule["awake"] & schedule["cell"].str.contains("5G")]["site"]
    assert sorted(awake_5g) == ["S001", "S002", "S003"]


def test_night_by_hand():
    problem = SleepProblem.of_sites(line_network(1), np.full((1, 24), 10.0))
    plan = plan_sleep(problem, "night", SleepSettings(night=(1, 5)))
    assert awake_5g(plan) == [not 1 <= hour < 5 for hour in range(24)]
    # 4 h x 1.15 x (444.9 - 64.5) W are saved; 10 Mbit/s then cost 1.25 instead of 1.0 W per Mbit/s
    saved = plan.evaluation.always_on_kwh - plan.evaluation.energy_kwh
    assert saved == pytest.approx(4 * 1.15 * (444.9 - 64.5 - 10 * 0.25) / 1000)


def test_night_window_wraps_midnight():
    problem = random_problem(2, sites=2)
    awake = plan_sleep(problem, "night", SleepSettings(night=(22, 5))).awake
    capacity = ~problem.network.cells["is_coverage"].to_numpy()
    asleep = ~awake[capacity].any(axis=0)
    assert np.flatnonzero(asleep).tolist() == [0, 1, 2, 3, 4, 22, 23]
