"""Strategies side by side: each keeps its own constraints, and all are judged alike."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.demand import Demand, Scale
from planning.deployment.sizing import size_network
from planning.errors import CapacityError, InputError
from planning.network import Network
from planning.sleep import (
    STRATEGIES,
    SleepProblem,
    SleepSettings,
    compare_strategies,
    group_counts,
    plan_sleep,
    replay,
    risk_curve,
)
from planning.sleep.schedule import runs_up
from tests.planning.conftest import make_table
from tests.planning.sleep.making import line_network, random_problem


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), min_up=st.integers(1, 5), strategy=st.sampled_from(STRATEGIES))
def test_no_plan_breaks_its_own_constraints(seed, min_up, strategy):
    problem = random_problem(seed, sites=4)
    config = SleepSettings(min_up=min_up, gap=0.02, time_limit=10)
    plan = plan_sleep(problem, strategy, config)
    e = plan.evaluation
    np.testing.assert_allclose(e.served + e.unserved, e.demand, rtol=1e-9, atol=1e-6)
    counts = group_counts(problem.groups, plan.awake)
    if strategy != "paper":
        assert (counts >= problem.groups.lowest[:, None]).all()  # coverage cells never sleep
    if strategy not in ("night", "paper"):
        assert e.unserved_mbps_hours == pytest.approx(0, abs=1e-6)
    if strategy in ("milp", "greedy", "threshold"):
        assert all(length >= min_up for row in plan.awake for _, length in runs_up(row))
    if strategy == "milp":
        # the evaluation and the model agree on energy, prices aside
        prices = config.switch_wh * e.switches + config.offload_w_per_mbps * e.offloaded_mbps_hours
        assert plan.solve.bound <= plan.solve.objective * (1 + 1e-9)
        assert plan.solve.bound / 1000 <= e.energy_kwh + prices / 1000 + 1e-6
    loads = plan.loads()
    assert (loads <= plan.network.cells["capacity_mbps"].to_numpy()[:, None] + 1e-6).all()
    assert (loads[~plan.awake] == 0).all()
    np.testing.assert_allclose(loads.sum(axis=0), e.served, rtol=1e-9)


@pytest.mark.slow
def test_strategies_are_compared_alike_and_milp_saves_most_of_those_that_serve_all():
    problem = random_problem(3)
    plans, table = compare_strategies(
        problem, settings=SleepSettings(gap=0.002), held_out=problem.demand * 1.05
    )
    assert table["strategy"].tolist() == list(STRATEGIES) and set(plans) == set(STRATEGIES)
    row = table.set_index("strategy")
    assert row.loc["always-on", "saving"] == 0
    for rule in ("threshold", "greedy"):
        assert row.loc["milp", "energy_kwh"] <= row.loc[rule, "energy_kwh"] * 1.002
    # eq. 14 ignores where traffic is: never dearer than the ring model, and it leaves traffic unserved here
    assert plans["paper"].solve.objective <= plans["milp"].solve.objective + 1e-6
    assert (table["replay_demand_mbps_hours"] > table["demand_mbps_hours"]).all()
    assert row.loc["milp", "status"] == "optimal" and row.loc["greedy", "status"] == "rule"


def test_demand_beyond_all_capacity_names_sites_hours_and_mbps():
    network = line_network(3, 1)
    demand = np.full((3, 4), 50.0)
    demand[1, 2] = 5000.0
    problem = SleepProblem.of_sites(network, demand)
    with pytest.raises(CapacityError, match=r"S002 at hour 2.*Mbit/s") as caught:
        plan_sleep(problem, "milp")
    (short,) = caught.value.shortfalls
    assert (short.name, short.hour) == ("S002", 2)
    assert short.missing_mbps == pytest.approx(5000 - 440 - 2 * 390)
    relaxed = plan_sleep(problem, "milp", SleepSettings(allow_unserved=True))
    assert relaxed.relaxed and relaxed.evaluation.unserved_mbps_hours == pytest.approx(short.missing_mbps)


def test_a_site_without_coverage_cell_keeps_one_awake():
    network = line_network(2, 2)
    network = Network(network.sites, network.cells.assign(is_coverage=False))
    plan = plan_sleep(SleepProblem.of_sites(network, np.full((2, 4), 1.0)), "milp")
    assert group_counts(plan.problem.groups, plan.awake).sum(axis=0).tolist() == [2, 2, 2, 2]


def test_settings_out_of_range_are_refused():
    problem = random_problem(1, sites=2)
    for change, message in [
        ({"night": (0, 30)}, "night window"),
        ({"sleep_below": 0.8}, "thresholds"),
        ({"min_up": 0}, "minimum up time"),
        ({"switch_wh": -1}, "prices"),
        ({"time_limit": 0}, "time limit"),
        ({"gap": 1.0}, "relative gap"),
    ]:
        with pytest.raises(InputError, match=message):
            plan_sleep(problem, "milp", replace(SleepSettings(), **change))
    with pytest.raises(InputError, match="Unknown sleep strategy"):
        plan_sleep(problem, "hibernate")
    with pytest.raises(InputError, match="at least 0"):
        SleepProblem.of_sites(problem.network, problem.demand * np.nan)


def test_risk_curve_is_the_replay_of_each_reserve():
    """Each row is a replay made by hand, and a higher reserve leaves no more unserved."""
    table = make_table(3, 3, 6, 168)
    demand = Demand.build(table, Scale.daily_total(table, 30_000))
    planned, unseen = replace(demand, mbps=demand.mbps[:, :-1], users=None), demand.sample(5)
    sites = size_network(Network.from_sites(planned.lon, planned.lat), planned).network
    curve = risk_curve(sites, planned, unseen, (0.5, 0.9, 1.0))
    for row in curve.to_dict("records"):
        problem = SleepProblem.build(sites, planned, 24, row["quantile"])
        other = replay(plan_sleep(problem, "greedy"), unseen)
        assert row["saving"] == other.saving and row["unserved_share"] == other.unserved_share
    assert curve["unserved_share"].is_monotonic_decreasing
