"""The exact program against brute force over every allocation."""

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.coverage.rates import RateMapping
from planning.prb import PrbSettings, solve_prb
from planning.prb.exact import solve_exact
from planning.prb.patterns import Members, PatternPrices, best_patterns
from planning.prb.sinr import Grid
from tests.planning.prb.making import allocations, slow_rates, slow_worth, toy


def brute_force(problem, config) -> float:
    """The best objective over every allocation."""
    best = -np.inf
    for owner in allocations(problem, config.most(problem)):
        rate = slow_rates(problem, owner)
        value = sum(slow_worth(config, r, d) for r, d in zip(rate, problem.demand_mbps, strict=True))
        best = max(best, value - config.tau_mbps * (owner >= 0).sum())
    return best


CASES = [
    (5, 2, 3, "uplink", 0.5, {}),
    (5, 2, 3, "uplink", 2.5, {}),
    (5, 2, 3, "downlink", 2.5, {}),
    (5, 2, 3, "downlink", 8.0, {"cap": None, "min_mbps": 0.4}),
    (4, 2, 3, "uplink", 1.5, {"mode": "paper"}),
    (4, 2, 3, "uplink", 2.0, {"cap": 2.0, "tau_mbps": 0.5}),
    (3, 3, 2, "uplink", 2.0, {"missing_price": 0.5}),
    (3, 1, 3, "downlink", 4.0, {}),
]


@pytest.mark.slow
@pytest.mark.parametrize("users,stations,prbs,link,demand,change", CASES)
@pytest.mark.parametrize("seed", range(2))
def test_exact_equals_brute_force(users, stations, prbs, link, demand, change, seed):
    problem = toy(users, stations, seed, demand, prbs, spread=0.006, link=link)
    config = PrbSettings(gap=0, threads=1, seed=seed, **change)
    plan = solve_prb(problem, config)
    assert plan.objective_mbps == pytest.approx(brute_force(problem, config), rel=1e-6, abs=1e-6)
    assert plan.gap <= 1e-6 and "proven best" in plan.how


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 9999),
    users=st.integers(1, 3),
    prbs=st.integers(1, 3),
    link=st.sampled_from(["uplink", "downlink"]),
    demand=st.floats(0.2, 6),
    mapping=st.sampled_from([None, RateMapping(), RateMapping("shannon")]),
)
def test_exact_needs_no_good_start(seed, users, prbs, link, demand, mapping):
    problem = toy(users, 2, seed, demand, prbs, spread=0.006, link=link)
    problem = replace(problem, mapping=mapping)
    config = PrbSettings(gap=0, threads=1)
    empty = Grid(problem, config.objective)
    found = solve_exact(problem, config, empty, time.perf_counter() + 60)
    best = brute_force(problem, config)
    assert found.grid.score == pytest.approx(best, rel=1e-6, abs=1e-6)
    assert found.bound == pytest.approx(best, rel=1e-6, abs=1e-6)


def test_users_that_stand_for_many_share_the_power_levels():
    problem = toy(3, 2, 1, 4.0, 3, spread=0.006)
    problem = replace(problem, users=replace(problem.users, weight=2.0))
    config = PrbSettings(gap=0, threads=1)
    plan = solve_prb(problem, config)
    empty = solve_exact(problem, config, Grid(problem, config.objective), time.perf_counter() + 60)
    assert plan.gap <= 1e-6 and plan.objective_mbps == pytest.approx(empty.grid.score, rel=1e-6)


def test_the_search_finds_the_best_patterns(monkeypatch):
    problem = toy(4, 3, 3, 2.0, 2, spread=0.006)
    members = Members.build(problem, PrbSettings())
    rng = np.random.default_rng(0)
    count = len(members.user)
    prices = PatternPrices(
        rng.uniform(0, 3, count),
        rng.uniform(0, 0.2, count),
        rng.uniform(0, 0.5, count),
        rng.uniform(0, 2, count),
        0.0,
        np.zeros(count),
        0.0,
    )
    everyone = np.ones(count, bool)
    found = best_patterns(members, everyone, prices, 0.5, 10**6)
    assert found.whole and (np.diff(found.worth) <= 0).all() and found.ceiling == found.worth[0]
    options = [[-1, *np.flatnonzero(members.station == s)] for s in range(3)]
    expected = {}
    for pattern in itertools.product(*options):
        on = [m for m in pattern if m >= 0]
        if not on or len(set(members.user[on])) < len(on):
            continue
        value = 0.0
        for m in on:
            noise = problem.noise_w + sum(members.disturbs[m, o] for o in on if o != m)
            rate = problem.prb_mhz * np.log2(1 + members.signal[m] / noise)
            share = (
                slow_worth(PrbSettings(), members.others[m] + rate, problem.demand_mbps[members.user[m]])
                / members.count[m]
            )
            value += prices.weight[m] * rate + prices.jensen[m] * share - prices.charge[m]
            value += prices.good[m] * (
                rate * members.count[m] >= problem.demand_mbps[members.user[m]] * (1 - 1e-6)
            )
        if value >= 0.5:
            expected[pattern] = value
    assert {tuple(p) for p in found.patterns.tolist()} == set(expected)
    np.testing.assert_allclose(found.worth, [expected[tuple(p)] for p in found.patterns.tolist()])
    monkeypatch.setattr("planning.prb.patterns._MAX_PAIRS", 540)
    some = best_patterns(members, everyone, prices, 0.5, 10**6)
    assert not some.whole and some.ceiling >= found.worth[0] - 1e-9
