"""Bounds against brute force over every allocation, and against plans that brute force cannot reach."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.coverage.rates import RateMapping
from planning.prb import PrbSettings, solve_prb
from planning.prb import on_sets as on_sets_module
from planning.prb.bounds import DEMANDS, SERVED, Bounds, fewest_prbs
from planning.prb.improve import replace_users
from planning.prb.on_sets import OnSets, clusters_of
from planning.prb.sinr import Grid
from planning.prb.station_programs import reassigned, refine, start_of
from tests.planning.prb.making import allocations, slow_rates, slow_worth, toy

MAPPINGS = (None, RateMapping(), RateMapping("shannon"))
SETTINGS = PrbSettings(threads=1, gap=0.0)


def every_plan(problem, config) -> np.ndarray:
    """(plans, 4) objective, Mbit/s served, demands met, PRBs used of every allocation."""
    rows, demand = [], problem.demand_mbps
    for owner in allocations(problem, config.most(problem)):
        rate, used = slow_rates(problem, owner), (owner >= 0).sum()
        worth = sum(slow_worth(config, r, d) for r, d in zip(rate, demand, strict=True))
        met = (rate >= demand * (1 - 1e-6)).sum()
        rows.append((worth - config.tau_mbps * used, np.minimum(rate, demand).sum(), met, used))
    return np.array(rows, float)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 9999),
    users=st.integers(1, 4),
    prbs=st.integers(1, 2),
    link=st.sampled_from(["uplink", "downlink"]),
    mode=st.sampled_from(["default", "paper"]),
    demand=st.floats(0.2, 6),
    mapping=st.sampled_from(MAPPINGS),
    change=st.sampled_from([{}, {"cap": None}, {"min_mbps": 0.4}, {"tau_mbps": 0.6}, {"missing_price": 0.2}]),
)
def test_no_plan_exceeds_the_bounds(seed, users, prbs, link, mode, demand, mapping, change):
    problem = replace(toy(users, 2, seed, demand, prbs, spread=0.006, link=link), mapping=mapping)
    config = replace(SETTINGS, mode=mode, **change)
    plans = every_plan(problem, config)
    best = plans.max(axis=0)
    bounds = Bounds.of(problem, config, np.inf)
    branched = bounds.branched(config, -np.inf, time.perf_counter() + 5)
    assert bounds.objective_mbps >= branched.objective_mbps >= best[0] - 1e-6
    assert bounds.served_mbps >= best[1] - 1e-6
    assert bounds.met >= best[2]
    for served, used in plans[:: max(1, len(plans) // 5), [1, 3]]:
        least = fewest_prbs(problem, config, served, int(used), bounds.on_sets, np.inf)
        assert least <= plans[plans[:, 1] >= served - 1e-9, 3].min()


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 9999),
    link=st.sampled_from(["uplink", "downlink"]),
    demand=st.sampled_from([0.5, 3.0, 20.0]),
    mapping=st.sampled_from(MAPPINGS),
    size=st.integers(1, 3),
)
def test_no_larger_plan_exceeds_the_bounds_of_clusters(seed, link, demand, mapping, size):
    problem = replace(toy(6, 3, seed, demand, link=link, spread=0.01), mapping=mapping)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_sets_module, "_MAX_CLUSTER", size)
        bounds = Bounds.of(problem, SETTINGS, np.inf)
    if link == "downlink":
        assert max(len(c.stations) for c in bounds.on_sets.clusters) <= size
    rng = np.random.default_rng(seed)
    for _ in range(4):
        grid = Grid(problem, SETTINGS.objective)
        grid = replace_users(grid, rng.permutation(6), 3, problem.prbs)
        demand = problem.demand_mbps
        assert grid.score <= bounds.objective_mbps + 1e-6
        assert np.minimum(grid.rate, demand).sum() <= bounds.served_mbps + 1e-6
        assert (grid.rate >= demand * (1 - 1e-6)).sum() <= bounds.met


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 9999), demand=st.floats(0.5, 8), mapping=st.sampled_from(MAPPINGS))
def test_the_dual_is_the_linear_program(seed, demand, mapping):
    """The on-set program written out over all sets, with another model and solver."""
    from scipy.optimize import linprog

    problem = replace(toy(4, 3, seed, demand, 5, spread=0.006, link="downlink"), mapping=mapping)
    program = OnSets.of(problem, SETTINGS)
    (cluster,) = program.clusters
    sets, stations, users = cluster.rate.shape
    served = program.solve(SERVED, np.inf).bound
    # variables: z (sets), y (sets x stations x users), counted rate (users)
    y_of = sets + np.arange(sets * stations * users).reshape(sets, stations, users)
    count = y_of.max() + 1 + users
    rows, limits = [], []

    def row(columns, values, limit):
        line = np.zeros(count)
        line[columns] = values
        rows.append(line)
        limits.append(limit)

    row(np.arange(sets), 1.0, problem.prbs)
    for a in range(sets):
        for s in range(stations):
            columns = np.append(y_of[a, s], a)
            row(columns, np.append(np.ones(users), -1.0 if cluster.on[a, s] else 0.0), 0.0)
    for u in range(users):
        row(np.append(y_of[:, :, u].ravel(), count - users + u),
            np.append(-cluster.rate[:, :, u].ravel(), 1.0), 0.0)  # fmt: skip
    cost = np.zeros(count)
    cost[-users:] = -1.0
    bounds = [(0, None)] * (count - users) + [(0, d) for d in problem.demand_mbps]
    expected = -linprog(cost, np.array(rows), limits, bounds=bounds).fun
    assert served == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert served >= expected - 1e-6


def test_interference_lowers_the_bound_of_a_crowded_downlink():
    problem = toy(12, 3, 4, 20.0, 11, spread=0.004, link="downlink")
    bounds = Bounds.of(problem, SETTINGS, np.inf)
    quiet = Bounds.of(replace(problem, radio=replace(problem.radio, link="uplink")), SETTINGS, np.inf)
    assert bounds.on_sets is not None and quiet.on_sets is None
    whole = bounds.branched(SETTINGS, -np.inf, time.perf_counter() + 3)
    assert whole.objective_mbps < bounds.objective_mbps - 1e-3  # demands are met or not
    plan = solve_prb(problem, replace(SETTINGS, time_limit=3, exact_size=0))
    assert "linear program of sending stations" in plan.how
    assert plan.served_mbps <= plan.served_bound_mbps < 0.9 * problem.demand_mbps.sum()
    assert plan.used_prbs >= plan.prbs_bound > 0 and plan.met.sum() <= plan.met_bound
    assert "No plan serves more" in plan.bounds_sentence


def test_clusters_keep_together_what_disturbs_most():
    problem = toy(30, 4, 1)
    gain = np.full((30, 4), 1e-14)
    for user in range(30):  # 0 and 2 disturb each other, 1 and 3 do
        gain[user, user % 4], gain[user, (user + 2) % 4] = 1e-10, 1e-11
    parts = clusters_of(replace(problem, gain=gain), 2)
    assert sorted(tuple(p.tolist()) for p in parts) == [(0, 2), (1, 3)]
    assert [len(p) for p in clusters_of(problem, 4)] == [4]
    assert [len(p) for p in clusters_of(problem, 1)] == [1] * 4


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 9999), demand=st.floats(1, 10), mapping=st.sampled_from(MAPPINGS))
def test_programs_of_stations_only_improve_and_are_the_best_of_their_kind(seed, demand, mapping):
    problem = replace(toy(5, 2, seed, demand, 3, spread=0.006, link="downlink"), mapping=mapping)
    config = SETTINGS
    grid = replace_users(Grid(problem, config.objective), np.arange(5), 2, 3)
    again = reassigned(grid, config, np.arange(2), 20)
    assert again.score >= grid.score - 1e-6
    # no allocation in which stations send where the first one did, as many on each kind of PRB, is better
    kinds = sorted(map(tuple, (grid.owner >= 0).T.tolist()))
    best = max(
        sum(
            slow_worth(config, r, d)
            for r, d in zip(slow_rates(problem, owner), problem.demand_mbps, strict=True)
        )
        - config.tau_mbps * (owner >= 0).sum()
        for owner in allocations(problem, 3)
        if sorted(map(tuple, (owner >= 0).T.tolist())) == kinds
    )
    assert again.score >= best - 2e-3 * max(1.0, abs(best))  # the gap that programs ask for


def test_a_start_from_the_program_is_near_its_bound_where_prbs_are_many():
    problem = toy(8, 3, 2, 10.0, bandwidth_mhz=40, spread=0.006, link="downlink")
    program = OnSets.of(problem, SETTINGS)
    prices = program.solve(SETTINGS.objective, np.inf)
    rng = np.random.default_rng(0)
    for draw in (None, rng):
        grid = start_of(program, prices, SETTINGS, time.perf_counter() + 5, draw)
        served = np.minimum(grid.rate, problem.demand_mbps).sum()
        assert served >= 0.9 * program.solve(SERVED, np.inf).bound
    better = refine(grid, SETTINGS, time.perf_counter() + 2, rng)
    assert better.score >= grid.score - 1e-9


def test_demands_are_counted_where_they_are_met():
    demand = np.array([2.0, 5.0])
    assert DEMANDS.worth(np.array([2.0, 4.9]), demand).tolist() == [1.0, 0.0]
    assert SERVED.worth(np.array([3.0, 4.9]), demand).tolist() == [2.0, 4.9]
