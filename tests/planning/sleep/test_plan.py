"""What a plan does on the traffic that it was made for and on other traffic."""

import numpy as np
import pytest

from planning.demand import Demand
from planning.deployment.sizing import size_network
from planning.errors import InputError
from planning.network import Network
from planning.sleep import (
    SleepProblem,
    SleepSettings,
    evaluate,
    plan_sleep,
    replay,
)
from tests.planning.sleep.making import random_problem


@pytest.mark.slow
def test_replay_on_more_traffic_says_where_it_fails():
    problem = random_problem(5)
    plan = plan_sleep(problem, "milp")
    again = replay(plan, problem.demand)
    assert again.energy_kwh == pytest.approx(plan.evaluation.energy_kwh) and again.overload_hours == 0
    week = replay(plan, np.tile(problem.demand, 7))
    assert week.hours == 168 and week.energy_kwh == pytest.approx(7 * again.energy_kwh)
    assert week.switches == 7 * again.switches and week.kwh_per_day == pytest.approx(again.energy_kwh)
    tight = replay(plan, problem.demand * 1.6)
    assert (
        tight.unserved_mbps_hours > 0 and tight.overload_hours > 0 and tight.worst_site in problem.site_names
    )
    worst = (
        tight.shortfalls[0]
        if len(tight.shortfalls) == 1
        else max(tight.shortfalls, key=lambda s: s.missing_mbps)
    )
    assert worst.missing_mbps == pytest.approx(tight.worst_missing_mbps)
    with pytest.raises(InputError, match="whole periods"):
        replay(plan, problem.demand[:, :7])
    with pytest.raises(InputError, match="sites, hours"):
        replay(plan, problem.demand[:2])


@pytest.mark.slow
def test_a_plan_from_an_ensemble_is_replayed_on_its_samples(demand: Demand):
    sizing = size_network(Network.from_sites(demand.lon, demand.lat), demand, max_layers=8)
    problem = SleepProblem.build(sizing.network, demand, hours=24, quantile=0.9)
    plan = plan_sleep(problem, "milp", SleepSettings(gap=0.005))
    one = replay(plan, demand.sample(0))
    every = replay(plan, demand)
    assert one.hours == 168 and every.hours == 3 * 168
    assert one.demand_mbps_hours == pytest.approx(demand.sample(0).mbps.sum(), rel=1e-5)
    assert 0 < one.saving < 1 and one.unserved_share < 0.02
    assert any("assumed" in note for note in problem.notes)


def test_with_every_cell_asleep_nothing_is_served():
    problem = random_problem(2, sites=3)
    nobody = np.zeros((len(problem.network.cells), 24), bool)
    e = evaluate(problem, nobody)
    assert (
        e.served_mbps_hours == 0
        and e.unserved_share == pytest.approx(1)
        and e.asleep_cells[0] == nobody.shape[0]
    )
