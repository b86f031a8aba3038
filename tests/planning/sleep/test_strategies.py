"""Sleep plans against brute force, hand-worked energy, conservation, and their own constraints."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import linregress

from planning.demand import Demand, Scale
from planning.energy import Groups, Prices
from planning.equipment import CAPACITY, COVERAGE, SLEEP_DEPTHS, at_depth
from planning.errors import CapacityError, InputError
from planning.export.power_plot import power_page
from planning.geometry import tile_corner
from planning.network import Network
from planning.network.serving import size_network
from planning.power_fit import fit_power
from planning.sleep import (
    STRATEGIES,
    SleepProblem,
    SleepSettings,
    compare_strategies,
    evaluate,
    group_counts,
    plan_sleep,
    replay,
    risk_curve,
)
from planning.sleep.dispatch import Ring, dispatch
from planning.sleep.overlap import overlap_ring
from planning.sleep.schedule import runs_up, spread_counts
from tests.planning.conftest import make_table


def line_network(sites=2, capacity_cells=1, gap_m=500, seed=None) -> Network:
    """Sites on an east-west line, each with one coverage cell and some capacity cells (one sector)."""
    lon = 115.86 + np.arange(sites) * gap_m / 97_800
    network = Network.from_sites(lon, np.full(sites, 28.68), sectors=1, capacity_layers=capacity_cells)
    if seed is None:
        return network
    rng = np.random.default_rng(seed)  # cells that all differ, so that nothing is aggregated
    cells = network.cells.assign(
        capacity_mbps=network.cells["capacity_mbps"] * rng.uniform(0.5, 1.5, len(network.cells)),
        idle_w=network.cells["idle_w"] * rng.uniform(0.9, 1.3, len(network.cells)),
    )
    return Network(network.sites, cells)


def test_energy_of_eq_13_by_hand():
    """One site, one 4G and one 5G cell carrying 10 and 100 Mbit/s: every term written out."""
    network = line_network(1)
    network = Network(network.sites.assign(bbu_w=300.0, ac_slope=0.2, ac_bias_w=40.0), network.cells)
    groups = Groups.of(network)
    load = np.where(groups.capacity[:, None] == 40, 10.0, 100.0)
    awake = np.ones((2, 1))
    rrus = (192.4 + 1.25 * 10) + (444.9 + 1.0 * 100)
    assert groups.power_w(awake, load)[0, 0] == pytest.approx(1.2 * (300 + rrus) + 40)
    asleep = np.where(groups.capacity[:, None] == 40, 1.0, 0.0)
    assert groups.power_w(asleep, load * asleep)[0, 0] == pytest.approx(
        1.2 * (300 + 192.4 + 12.5 + 64.5) + 40
    )
    # the paper's form: RRU + BBU + air conditioner written apart
    k_m, c_m, b_m = 0.2, 300, 40
    assert rrus + c_m + (k_m * (c_m + rrus) + b_m) == pytest.approx(groups.power_w(awake, load)[0, 0])


def test_a_day_by_hand():
    """Two sites 500 m apart; 100 Mbit/s by day at A needs its 5G cell, 30 Mbit/s at night does not."""
    network = line_network(2)
    demand = np.array([[30.0, 30, 100, 100], [20.0, 20, 20, 20]])
    problem = SleepProblem.of_sites(network, demand)
    plan = plan_sleep(problem, "milp", SleepSettings(min_up=1, switch_wh=0, gap=0))
    table = plan.schedule().pivot(index="cell", columns="hour", values="awake")
    assert table.loc["S001-4G-1"].all() and table.loc["S002-4G-1"].all()
    assert table.loc["S001-5G-1"].tolist() == [False, False, True, True]
    assert not table.loc["S002-5G-1"].any()
    # 4G carries what 5G (1.0 W per Mbit/s against 1.25) does not
    watts = 1.15 * (380 + 192.4 + 64.5 + 1.25 * 30) + 50, 1.15 * (380 + 192.4 + 444.9 + 1.0 * 100) + 50
    other = 1.15 * (380 + 192.4 + 64.5 + 1.25 * 20) + 50
    by_hand = (2 * watts[0] + 2 * watts[1] + 4 * other) / 1000
    assert plan.evaluation.energy_kwh == pytest.approx(by_hand)
    assert plan.solve.objective / 1000 == pytest.approx(by_hand)
    assert plan.evaluation.switches == 1
    full = 8 * (1.15 * (380 + 192.4 + 444.9) + 50) + 1.15 * demand.sum()
    assert plan.evaluation.always_on_kwh == pytest.approx(full / 1000)
    saved = plan.best_cells().iloc[0]
    assert saved["cell"] == "S002-5G-1" and saved["hours_asleep"] == 4
    assert saved["saved_kwh"] == pytest.approx(4 * 1.15 * (444.9 - 64.5) / 1000)


# --- brute force -------------------------------------------------------------------------------------------------


def hour_cost(groups: Groups, ring: Ring, counts, demand, offload_price) -> float:
    """Least W of one hour for given awake counts by SciPy's LP, without standing power; inf where not servable."""
    g, a, s = len(groups.site), len(ring.source), groups.sites
    cost = np.concatenate([groups.factor * groups.slope, np.full(a, offload_price)])
    balance = np.zeros((s, g + a))
    balance[groups.site, np.arange(g)] = 1
    balance[ring.source, g + np.arange(a)] += 1
    balance[ring.target, g + np.arange(a)] -= 1
    sends = np.zeros((s, g + a))
    sends[ring.source, g + np.arange(a)] = 1
    bounds = [(0, c) for c in groups.capacity * counts] + [(0, None)] * a
    answer = linprog(cost, A_ub=sends, b_ub=demand, A_eq=balance, b_eq=demand, bounds=bounds)
    return answer.fun + float(groups.wake_w @ counts) if answer.status == 0 else np.inf


def standing_cost(groups: Groups, counts) -> float:
    """W of the sites with any cell awake, where a whole site may sleep."""
    on = np.bincount(groups.site, counts, groups.sites) > 0
    return float(groups.site_w @ on) if groups.site_sleeps else 0.0


def brute_force(problem: SleepProblem, config: SleepSettings) -> float:
    """Least objective over every schedule of single cells (cyclic), min-up times included."""
    groups, hours = problem.groups, problem.hours
    cells = sum(len(c) for c in groups.cells)
    owner = np.empty(cells, int)
    for g, members in enumerate(groups.cells):
        owner[members] = g
    states = []
    for bits in itertools.product([False, True], repeat=cells):
        counts = np.bincount(owner, bits, len(groups.site))
        if (counts >= groups.lowest).all():
            states.append(bits)
    states = np.array(states)
    cost = np.array(
        [
            [
                hour_cost(
                    groups,
                    problem.ring,
                    np.bincount(owner, state, len(groups.site)),
                    problem.demand[:, h],
                    config.offload_w_per_mbps,
                )
                + standing_cost(groups, np.bincount(owner, state, len(groups.site)))
                for state in states
            ]
            for h in range(hours)
        ]
    )
    best = np.inf
    for sequence in itertools.product(range(len(states)), repeat=hours):
        value = cost[np.arange(hours), sequence].sum()
        if value >= best:
            continue
        awake = states[list(sequence)].T
        if any(length < config.min_up for row in awake for _, length in runs_up(row)):
            continue
        switches = (awake & ~np.roll(awake, 1, axis=1)).sum()
        best = min(best, value + config.switch_wh * switches)
    zero = np.zeros((len(groups.site), 1))
    return best + hours * groups.power_w(zero, zero).sum()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("min_up,switch_wh", [(1, 0.0), (2, 60.0), (3, 200.0)])
def test_ring_milp_equals_brute_force(seed, min_up, switch_wh):
    rng = np.random.default_rng(seed)
    network = line_network(2, 1 if seed % 2 else 2, seed=None if seed < 3 else seed)
    hours = 4 if len(network.cells) == 4 else 3
    demand = rng.uniform(0, 1, (2, hours)) * np.array([[300.0], [90.0]])
    problem = SleepProblem.of_sites(network, demand, ring_m=1000)
    config = SleepSettings(min_up=min_up, switch_wh=switch_wh, gap=0, time_limit=30)
    plan = plan_sleep(problem, "milp", config)
    assert plan.solve.status == "optimal"
    assert plan.solve.objective == pytest.approx(brute_force(problem, config), abs=1e-3)
    assert plan.evaluation.unserved_mbps_hours == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_whole_sites_asleep_equal_brute_force(seed):
    demand = np.random.default_rng(seed).uniform(0, 30, (2, 4))
    problem = SleepProblem.of_sites(line_network(2, 1), demand, ring_m=1000, whole_site=True)
    config = SleepSettings(min_up=2, switch_wh=60, gap=0, time_limit=30)
    plan = plan_sleep(problem, "milp", config)
    assert plan.solve.status == "optimal"
    assert plan.solve.objective == pytest.approx(brute_force(problem, config), abs=1e-3)
    assert plan.evaluation.unserved_mbps_hours == 0
    # today's rules keep the coverage cells on all the same
    coverage = problem.network.cells["is_coverage"].to_numpy(bool)
    for rule in ("night", "threshold"):
        assert plan_sleep(problem, rule, config).awake[coverage].all()


def exact_by_counts(problem: SleepProblem, config: SleepSettings) -> float:
    """Least objective over all counts of awake cells, by dynamic programming over the cycle; no minimum up time."""
    groups = problem.groups
    choices = [range(low, high + 1) for low, high in zip(groups.lowest, groups.count, strict=True)]
    states = np.array(list(itertools.product(*choices)))
    price = config.offload_w_per_mbps
    cost = np.array(
        [[hour_cost(groups, problem.ring, s, d, price) for s in states] for d in problem.demand.T]
    )
    switch = config.switch_wh * np.maximum(states[None] - states[:, None], 0).sum(axis=2)
    best = np.inf
    for first in range(len(states)):
        value = np.where(np.arange(len(states)) == first, cost[0], np.inf)
        for hour in range(1, problem.hours):
            value = (value[:, None] + switch).min(axis=0) + cost[hour]
        best = min(best, (value + switch[:, first]).min())
    zero = np.zeros((len(groups.site), 1))
    return best + problem.hours * groups.power_w(zero, zero).sum()


@pytest.mark.slow
@pytest.mark.parametrize("alike", [False, True])
def test_twelve_cells_equal_the_exact_optimum(alike):
    """Four sites with a coverage and two capacity cells; `alike`: all sites and hours equal, so that plans tie."""
    demand = np.random.default_rng(8).uniform(10, 500, (4, 4))
    if alike:
        demand[:] = 260.0
    problem = SleepProblem.of_sites(line_network(4, 2), demand, ring_m=1000, max_neighbours=2)
    config = SleepSettings(min_up=1, switch_wh=90, gap=0)
    plan = plan_sleep(problem, "milp", config)
    assert len(problem.network.cells) == 12 and plan.solve.status == "optimal"
    assert plan.solve.objective == pytest.approx(exact_by_counts(problem, config), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("whole_site", [False, True])
def test_hour_by_hour_the_gap_is_true(seed, whole_site, monkeypatch):
    """The way of large plans on a small one: the exact optimum lies between its bound and its plan."""
    exact = plan_sleep(small_city(seed, whole_site), "milp", SleepSettings(gap=0, min_up=1, time_limit=60))
    monkeypatch.setattr("planning.sleep.ring_plan.SMALL", 0)
    monkeypatch.setattr("planning.sleep.ring_plan.LARGE", 0)
    problem = small_city(seed, whole_site)
    plan = plan_sleep(problem, "milp", SleepSettings(gap=0, min_up=1))
    assert plan.solve.solver.endswith("by hour")
    assert plan.solve.bound <= exact.solve.objective * (1 + 1e-9)
    assert exact.solve.objective <= plan.solve.objective * (1 + 1e-9)
    assert plan.solve.gap == pytest.approx(1 - plan.solve.bound / plan.solve.objective)
    assert plan.solve.gap < (0.1 if whole_site else 0.02)
    e = plan.evaluation
    priced = 1000 * e.energy_kwh + 50 * e.switches + 0.5 * e.offloaded_mbps_hours
    assert plan.solve.objective == pytest.approx(priced, rel=1e-9) and e.unserved_mbps_hours == 0


@pytest.mark.slow
def test_a_plan_goes_on_from_an_earlier_one():
    """Without time to search, the plan is the earlier one where that serves the demand, else greedy's."""
    problem = random_problem(11)
    best = plan_sleep(problem, "milp", SleepSettings(gap=0.02))
    hurried = SleepSettings(gap=0, time_limit=1e-6)
    again = plan_sleep(problem, "milp", hurried, earlier=best.awake)
    np.testing.assert_array_equal(again.awake, best.awake)
    more = replace(problem, demand=1.15 * problem.demand)
    again = plan_sleep(more, "milp", hurried, earlier=best.awake)
    assert again.evaluation.unserved_mbps_hours == pytest.approx(0, abs=1e-6)
    np.testing.assert_array_equal(again.awake, plan_sleep(more, "greedy", hurried).awake)


def small_city(seed, whole_site) -> SleepProblem:
    problem = random_problem(seed, sites=4, hours=6)
    return SleepProblem.of_sites(problem.network, 0.6 * problem.demand, whole_site=whole_site)


@pytest.mark.parametrize("seed", range(4))
def test_paper_mode_equals_brute_force(seed):
    """Eq. 14: every subset of up to 8 cells, the cheapest whose capacity covers the global demand."""
    rng = np.random.default_rng(seed)
    network = line_network(4, 1, seed=None if seed < 2 else seed)
    demand = rng.uniform(5, 150, (4, 3))
    problem = SleepProblem.of_sites(network, demand)
    plan = plan_sleep(problem, "paper", SleepSettings(gap=0))
    groups = problem.groups
    best = 0.0
    for hour in range(3):
        total = demand[:, hour].sum()
        costs = []
        for bits in itertools.product([0, 1], repeat=len(groups.site)):
            awake = np.array(bits)
            if groups.capacity @ awake < total:
                continue
            rest, watts = total, groups.wake_w @ awake
            for g in np.argsort(groups.factor * groups.slope, kind="stable"):
                load = min(rest, groups.capacity[g] * awake[g])
                watts += groups.factor[g] * groups.slope[g] * load
                rest -= load
            costs.append(watts)
        zero = np.zeros((len(groups.site), 1))
        best += min(costs) + groups.power_w(zero, zero).sum()
    assert plan.solve.objective == pytest.approx(best, rel=1e-6)
    capacity = np.array([groups.capacity @ c for c in group_counts(groups, plan.awake).T])
    assert (capacity >= demand.sum(axis=0) - 1e-6).all()


def test_identical_cells_that_would_have_to_swap_roles_are_split():
    """Counts 2,1,1 with a minimum up time of 2 only work if the two cells take turns from day to day."""
    assert spread_counts(np.array([1, 2, 1, 1]), 2, 2) is None
    rows = spread_counts(np.array([0, 1, 2, 2, 1, 0]), 2, 3)
    assert rows.sum(axis=0).tolist() == [0, 1, 2, 2, 1, 0]
    assert all(length == 3 for row in rows for _, length in runs_up(row))
    network = line_network(1, 2)
    demand = np.array([[430.0, 700, 430, 430]])
    problem = SleepProblem.of_sites(network, demand)
    config = SleepSettings(min_up=2, switch_wh=10, gap=0)
    plan = plan_sleep(problem, "milp", config)
    assert plan.solve.objective == pytest.approx(brute_force(problem, config), abs=1e-3)


# --- service -----------------------------------------------------------------------------------------------------


def least_unserved(demand, capacity, ring) -> float:
    s, a = len(demand), len(ring.source)
    cost = -np.ones(s + a)
    places = np.zeros((s, s + a))
    owners = np.zeros((s, s + a))
    places[np.arange(s), np.arange(s)] = owners[np.arange(s), np.arange(s)] = 1
    places[ring.target, s + np.arange(a)] = 1
    owners[ring.source, s + np.arange(a)] = 1
    answer = linprog(cost, A_ub=np.vstack([places, owners]), b_ub=np.concatenate([capacity, demand]))
    return float(demand.sum() + answer.fun)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), sites=st.integers(1, 9), neighbours=st.integers(0, 3))
def test_dispatch_serves_as_much_as_a_max_flow(seed, sites, neighbours):
    rng = np.random.default_rng(seed)
    ring = Ring.of(rng.uniform(0, 2000, (sites, 2)), 1200, neighbours)
    demand = rng.uniform(0, 100, (sites, 3)) * (rng.random((sites, 3)) < 0.8)
    capacity = rng.uniform(0, 110, (sites, 3)) * (rng.random((sites, 3)) < 0.8)
    out = dispatch(demand, capacity, ring)
    np.testing.assert_allclose(out.load.sum(0) + out.unserved.sum(0), demand.sum(0), atol=1e-6)
    assert (out.load <= capacity + 1e-6).all() and (out.moved >= -1e-9).all() and (out.unserved >= 0).all()
    sent = np.zeros_like(demand)
    np.add.at(sent, ring.source, out.moved)
    taken = np.zeros_like(demand)
    np.add.at(taken, ring.target, out.moved)
    np.testing.assert_allclose(out.load, demand - out.unserved - sent + taken, atol=1e-6)
    for hour in range(3):
        least = least_unserved(demand[:, hour], capacity[:, hour], ring)
        assert out.unserved[:, hour].sum() == pytest.approx(least, abs=1e-5)


def random_problem(seed, sites=7, hours=24) -> SleepProblem:
    rng = np.random.default_rng(seed)
    lon = 115.86 + rng.uniform(0, 0.02, sites)
    lat = 28.68 + rng.uniform(0, 0.02, sites)
    network = Network.from_sites(lon, lat, capacity_layers=rng.integers(1, 3, sites))
    day = 0.55 + 0.45 * np.sin((np.arange(hours) % 24 - 9) / 24 * 2 * np.pi)
    peak = network.capacity_mbps * rng.uniform(0.02, 0.8, sites)
    return SleepProblem.of_sites(network, peak[:, None] * day * rng.uniform(0.8, 1.2, (sites, hours)))


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


def test_time_limit_gives_the_start_plan_and_not_optimal():
    problem = random_problem(1, sites=60)
    plan = plan_sleep(problem, "milp", SleepSettings(time_limit=0.05, gap=0, min_up=3))
    assert plan.solve.status == "feasible" and plan.solve.gap != 0
    greedy = plan_sleep(problem, "greedy", SleepSettings(min_up=3))
    assert plan.evaluation.unserved_mbps_hours == 0
    assert plan.evaluation.energy_kwh <= greedy.evaluation.energy_kwh * 1.02


def test_settings_are_checked():
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


def awake_5g(plan) -> list[bool]:
    """The hours of the first site's 5G cell."""
    table = plan.schedule().pivot(index="cell", columns="hour", values="awake")
    return table.loc["S001-5G-1"].tolist()


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


def test_night_by_hand():
    problem = SleepProblem.of_sites(line_network(1), np.full((1, 24), 10.0))
    plan = plan_sleep(problem, "night", SleepSettings(night=(1, 5)))
    assert awake_5g(plan) == [not 1 <= hour < 5 for hour in range(24)]
    # 4 h x 1.15 x (444.9 - 64.5) W are saved; 10 Mbit/s then cost 1.25 instead of 1.0 W per Mbit/s
    saved = plan.evaluation.always_on_kwh - plan.evaluation.energy_kwh
    assert saved == pytest.approx(4 * 1.15 * (444.9 - 64.5 - 10 * 0.25) / 1000)


def test_paper_mode_by_hand():
    """Two sites of 40 + 400 Mbit/s, 430 asked for anywhere: one cell of each kind is enough, and the thriftiest way."""
    problem = SleepProblem.of_sites(line_network(2), np.array([[215.0], [215.0]]))
    plan = plan_sleep(problem, "paper", SleepSettings(gap=0, min_up=1))
    rrus = (444.9 + 400 * 1.0) + (192.4 + 30 * 1.25) + 64.5 + 33.9
    by_hand = 1.15 * (2 * 380 + rrus) + 2 * 50
    assert plan.solve.objective == pytest.approx(by_hand)
    assert plan.awake.sum() == 2


def test_night_window_wraps_midnight():
    problem = random_problem(2, sites=2)
    awake = plan_sleep(problem, "night", SleepSettings(night=(22, 5))).awake
    capacity = ~problem.network.cells["is_coverage"].to_numpy()
    asleep = ~awake[capacity].any(axis=0)
    assert np.flatnonzero(asleep).tolist() == [0, 1, 2, 3, 4, 22, 23]


def test_a_rate_floor_asks_for_it_for_every_active_user(demand: Demand):
    floor = 2 * float((demand.mbps / demand.users).mean())
    asked = demand.with_rate_floor(floor)
    assert (asked.mbps >= demand.mbps).all() and (asked.mbps >= demand.users * floor * (1 - 1e-6)).all()
    lifted = asked.mbps > demand.mbps
    np.testing.assert_allclose(asked.mbps[lifted], demand.users[lifted] * floor, rtol=1e-6)
    assert lifted.any() and demand.with_rate_floor(0) is demand
    with pytest.raises(InputError, match="rate floor"):
        demand.with_rate_floor(-1)


def test_sites_that_reach_the_same_ground_take_over():
    """Sites on a line, 1 km apart, over a strip of tiles: with 1.2 km a neighbour reaches more than half of the ground
    of the site beside it, and nothing of the next; counted point by point."""
    x, y = np.arange(26900, 26914), np.full(14, 13675)
    lon, lat = tile_corner(x[:, None] + (np.arange(8) + 0.5) / 8, 13675.5 + np.zeros((14, 8)))
    network = Network.from_sites(np.linspace(lon.min(), lon.max(), 4), np.full(4, lat.mean()))
    apart = np.linalg.norm(np.diff(network.metres(), axis=0), axis=1)[0]
    ring = overlap_ring(network, x, y, 1.2 * apart, 6)
    assert set(zip(ring.source.tolist(), ring.target.tolist(), strict=True)) == {
        (a, b) for a in range(4) for b in range(4) if abs(a - b) == 1
    }
    np.testing.assert_allclose(ring.metres, apart, rtol=1e-6)
    assert len(overlap_ring(network, x, y, 0.4 * apart, 6).source) == 0
    assert len(overlap_ring(network, x, y, 1.2 * apart, 0).source) == 0


def test_equipment_figures_are_replaced_where_they_are_named():
    network = line_network(2, 1)
    table = pd.DataFrame({"equipment": ["5G 100 MHz 64T 200 W"], "idle_w": [300.0], "sleep_w": [np.nan]})
    changed = network.with_equipment(table).equipment().set_index("equipment")
    before = network.equipment().set_index("equipment")
    assert changed.loc["5G 100 MHz 64T 200 W", "idle_w"] == 300 and changed["cells"].tolist() == [2, 2]
    assert (changed["sleep_w"] == before["sleep_w"]).all()
    assert changed.loc["4G 20 MHz 8T 20 W", "idle_w"] == before.loc["4G 20 MHz 8T 20 W", "idle_w"]
    for wrong, message in [
        (table.assign(equipment="6G"), "no equipment '6G'"),
        (table.assign(idle_w="many"), "not a number"),
        (table.assign(idle_w=10.0), "more asleep than awake"),
        (table[["idle_w"]], "column equipment"),
    ]:
        with pytest.raises(InputError, match=message):
            network.with_equipment(wrong)


def test_depths_of_sleep_cut_the_standing_power():
    """OpenGiuliaSLS: symbol shutdown 34 %, carrier shutdown 47 %, dormancy 62.3 % of P0, 90 W for 4G."""
    asleep = {depth: at_depth(COVERAGE, depth).sleep_w for depth in SLEEP_DEPTHS}
    assert asleep == {"symbol shutdown": 59.4, "carrier shutdown": 47.7, "dormancy": 33.9}
    assert at_depth(CAPACITY, "dormancy").sleep_w == CAPACITY.sleep_w
    with pytest.raises(InputError, match="sleep depth"):
        at_depth(COVERAGE, "hibernation")


def test_power_regression_is_that_of_scipy():
    rng = np.random.default_rng(0)
    load = np.linspace(0, 400, 50)
    power = 445 + 0.9 * load + rng.normal(0, 5, 50)
    fit, known = fit_power(pd.DataFrame({"load_mbps": load, "power_w": power})), linregress(load, power)
    assert fit.slope_w_per_mbps == pytest.approx(known.slope) and fit.idle_w == pytest.approx(known.intercept)
    assert fit.r2 == pytest.approx(known.rvalue**2) and abs(fit.residual_w.sum()) < 1e-9
    assert "R2" in fit.sentence and "residual (W)" in power_page(fit)
    with pytest.raises(InputError, match="lack the column"):
        fit_power(pd.DataFrame({"load": [1]}))
    with pytest.raises(InputError, match="at least 3"):
        fit_power(pd.DataFrame({"load_mbps": [1, 1, 1], "power_w": [1, 2, 3]}))


def test_cost_and_co2_of_a_year():
    assert Prices(0.7).of(10) == {"kwh": 10, "co2_kg": pytest.approx(5.306), "cost": pytest.approx(7)}
    assert "cost" not in Prices().of(10)
    said = Prices(0.5, 0.4).sentence(24.0, 24)  # one kWh an hour
    assert "8,760 kWh" in said and "4,380 in money" in said and "3.5 t" in said and "given" in said
    assert "A year of such weeks" in Prices(0.5, 0.4).sentence(168.0, 168) and "such days" in said
    assert "assumed" in Prices().sentence(1.0, 24) and "money" not in Prices().sentence(1.0, 24)
    with pytest.raises(InputError, match="at least 0"):
        Prices(-1.0)


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


def test_evaluate_counts_every_cell():
    problem = random_problem(2, sites=3)
    nobody = np.zeros((len(problem.network.cells), 24), bool)
    e = evaluate(problem, nobody)
    assert (
        e.served_mbps_hours == 0
        and e.unserved_share == pytest.approx(1)
        and e.asleep_cells[0] == nobody.shape[0]
    )


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
