"""PRB plans: constraints, scores by loops over the formulas, bounds, baselines, reasons."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.errors import InputError
from planning.prb import BASELINES, PrbSettings, Users, baseline, compared, solve_prb
from planning.prb.bound import Options, solve_dual
from planning.prb.fixed import _near, choose, found_interference, usual_interference
from planning.prb.improve import improve, improve_in_stages, replace_users
from planning.prb.relaxation import lines
from planning.prb.sinr import Grid, rates_of, score, true_sinr
from tests.planning.prb.making import slow_rates, slow_worth, toy

SETTINGS = PrbSettings(threads=1, time_limit=3, exact_size=0)


def random_grid(problem, seed, objective=SETTINGS.objective) -> Grid:
    """Any allocation: each user at some station, each PRB of a station with one of them or free."""
    rng = np.random.default_rng(seed)
    users, stations = problem.gain.shape
    station = rng.integers(0, stations, users)
    uses = np.zeros((users, problem.prbs), bool)
    for z in range(problem.prbs):
        for s in range(stations):
            mine = np.flatnonzero(station == s)
            if len(mine) and rng.random() < 0.7:
                uses[rng.choice(mine), z] = True
    return Grid.of(problem, objective, station, uses)


# --- scoring -----------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 9999), link=st.sampled_from(["uplink", "downlink"]))
def test_rates_equal_the_sum_written_out(seed, link):
    problem = toy(5, 3, seed, link=link)
    grid = random_grid(problem, seed)
    expected = slow_rates(problem, grid.owner)
    np.testing.assert_allclose(grid.rate, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(rates_of(problem, grid.station, grid.uses), expected, rtol=1e-9, atol=1e-12)
    interference = true_sinr(problem, grid.station, grid.uses)[1].sum()
    assert interference == pytest.approx(grid.interference[grid.owner >= 0].sum(), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 9999), link=st.sampled_from(["uplink", "downlink"]))
def test_a_grid_changed_step_by_step_equals_one_made_at_once(seed, link):
    problem = toy(6, 3, seed, link=link)
    grid, rng = random_grid(problem, seed), np.random.default_rng(seed)
    for user in rng.integers(0, 6, 8).tolist():
        grid.remove(user)
        prbs = rng.choice(problem.prbs, int(rng.integers(1, 5)), replace=False)
        grid.place(user, int(rng.integers(3)), prbs)  # may take PRBs from others
    fresh = Grid.of(problem, grid.objective, grid.station, grid.uses)
    np.testing.assert_allclose(grid.rate, fresh.rate, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(grid.owner, fresh.owner)
    np.testing.assert_array_equal(grid.count, fresh.count)
    np.testing.assert_array_equal(grid.station, fresh.station)
    assert grid.score == pytest.approx(fresh.score)


@pytest.mark.parametrize("fairness", ["rate", "proportional"])
@pytest.mark.parametrize("cap", [1.0, 2.0, None])
def test_counted_rate_is_concave_and_follows_the_logarithm(fairness, cap):
    objective = PrbSettings(fairness=fairness, cap=cap).objective
    rate = np.linspace(0, 30, 4001)
    counted = objective.counted(rate, 10.0)
    assert counted[0] == 0 and (np.diff(counted) >= -1e-12).all() and (np.diff(counted, 2) <= 1e-9).all()
    at = objective.counted(np.array([0.5, 2.0, 10.0]), 10.0)
    if fairness == "proportional":
        log = 10 * np.log(1 + np.array([0.05, 0.2, 1.0]) / 0.05) / np.log(21)
        np.testing.assert_allclose(at, log, rtol=1e-9)  # exact at the points of the broken line
        assert (counted[rate <= 10] <= 10 * np.log(1 + rate[rate <= 10] / 0.5) / np.log(21) + 1e-9).all()
    else:
        np.testing.assert_allclose(at, [0.5, 2.0, 10.0])
        assert counted[-1] == pytest.approx(30 if cap is None else 10 * cap)
    slopes, offsets, floor, met_adds = lines(objective, np.array([10.0]))
    by_lines = (slopes[:, None] * rate + offsets).min(axis=0) + met_adds * (rate >= floor)
    np.testing.assert_allclose(
        by_lines, objective.worth(rate, 10.0), atol=1e-4
    )  # a demand counts as met from 1 - 1e-6


# --- fixed interference and bounds -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("link", ["uplink", "downlink"])
@pytest.mark.parametrize("change", [{}, {"cap": None}, {"mode": "paper"}, {"fairness": "proportional"}])
def test_fixed_program_equals_brute_force(seed, link, change):
    """Over every station and number of PRBs of every user, at the same interference."""
    import itertools

    problem = toy(4, 2, seed, 1.5, 3, link=link)
    config = replace(SETTINGS, gap=0.0, **change)
    interference = usual_interference(problem)
    _, _, result = choose(problem, config, interference, 20)
    counts = range(1, config.most(problem) + 1)
    picks = [(None, 0)] + [(s, k) for s in range(2) for k in counts]
    best = -np.inf
    for chosen in itertools.product(picks, repeat=4):
        if max(sum(k for s, k in chosen if s == y) for y in range(2)) > 3:
            continue
        value = 0.0
        for user, (s, k) in enumerate(chosen):
            rate = problem.rates(user, s, k, interference[user, s]) if k else 0.0
            value += float(config.objective.worth(rate, problem.demand_mbps[user])) - config.tau_mbps * k
        best = max(best, value)
    assert result.objective == pytest.approx(best, rel=1.1e-3)  # the gap that `choose` asks for
    options = Options(problem, config.objective, config.most(problem), interference)
    priced = solve_dual(options, config, np.inf)
    assert priced.bound >= best - 1e-6
    for price in (np.zeros(2), np.array([0.3, 1.0]), priced.price * 1.5):  # whatever the prices are
        assert options.bound(price) >= best - 1e-6


def test_bundled_sizes_bound_from_above(monkeypatch):
    problem = toy(12, 3, 2, 6.0, bandwidth_mhz=20)
    exact = solve_dual(Options(problem, SETTINGS.objective, problem.prbs), SETTINGS, np.inf).bound
    monkeypatch.setattr("planning.prb.bound._MAX_VALUES", 400)
    options = Options(problem, SETTINGS.objective, problem.prbs)
    assert options.bundled
    assert exact - 1e-6 <= solve_dual(options, SETTINGS, np.inf).bound <= exact + 0.1 * abs(exact) + 1


def test_interference_found_is_that_of_the_plan():
    problem = toy(6, 3, 0)
    grid = random_grid(problem, 1)
    found = found_interference(grid, np.zeros(problem.gain.shape))
    for user in np.flatnonzero(grid.count):
        mine = grid.owner[grid.station[user]] == user
        assert found[user, grid.station[user]] == pytest.approx(
            grid.interference[grid.station[user], mine].mean()
        )


# --- plans -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 9999),
    link=st.sampled_from(["uplink", "downlink"]),
    way=st.sampled_from(["default", "paper", *BASELINES]),
    demand=st.sampled_from([0.2, 2.0, 20.0]),
)
def test_no_plan_breaks_its_constraints(seed, link, way, demand):
    problem = toy(9, 3, seed, demand, link=link)
    if way in BASELINES:
        config = SETTINGS
        plan = baseline(problem, way, config)
    else:
        config = replace(SETTINGS, mode=way, time_limit=1)
        plan = solve_prb(problem, config)
    grid = plan.prb_map()
    assert sum(len(p) for p in plan.prbs) == (grid >= 0).sum()  # no PRB of a station serves two users
    for user, (station, prbs) in enumerate(zip(plan.station, plan.prbs, strict=True)):
        assert (len(prbs) == 0) == (station < 0)
        if len(prbs):
            assert (grid[station, prbs] == user).all()
        assert way != "paper" or len(prbs) <= 1
    # the score again, from the map alone
    rate = slow_rates(problem, grid)
    np.testing.assert_allclose(plan.rate_mbps, rate, rtol=1e-6, atol=1e-9)
    worth = sum(slow_worth(config, r, d) for r, d in zip(rate, problem.demand_mbps, strict=True))
    assert plan.objective_mbps == pytest.approx(worth - config.tau_mbps * (grid >= 0).sum(), rel=1e-6)
    if plan.bound_mbps is not None:
        assert plan.objective_mbps <= plan.bound_mbps + 1e-6
        assert plan.met.sum() <= plan.met_bound
    assert len(plan.unmet) == (~plan.met).sum()
    table = plan.assignment()
    assert len(table) == 9 and table["prb_count"].sum() == plan.used_prbs
    assert (table["why_not"].isna() == table["met"]).all()
    assert plan.stations()["used_prbs"].sum() == plan.used_prbs
    assert plan.served_mbps + np.maximum(problem.demand_mbps - rate, 0).sum() == pytest.approx(
        problem.demand_mbps.sum()
    )


def test_a_drawn_user_that_stands_for_many_has_their_power():
    """10 users in one place on 20 PRBs: each has 2, at half its power; on 5 PRBs five of them transmit in full."""
    one = toy(1, 1, 4)
    ten = replace(one, users=Users(one.users.lon, one.users.lat, one.users.demand_mbps, 10.0, 0, ""))
    assert ten.rates(0, 0, 20, 0.0) == pytest.approx(10 * one.rates(0, 0, 2, 0.0))
    assert ten.rates(0, 0, 5, 0.0) == pytest.approx(5 * one.rates(0, 0, 1, 0.0))
    rate = rates_of(ten, np.zeros(1, int), np.ones((1, ten.prbs), bool))
    assert rate[0] == pytest.approx(float(ten.rates(0, 0, ten.prbs, 0.0)))


@pytest.mark.parametrize("link", ["uplink", "downlink"])
def test_light_demand_is_met_and_no_rule_is_better(link):
    problem = toy(12, 3, 5, demand=0.4, bandwidth_mhz=20, link=link)
    plan = solve_prb(problem, SETTINGS)
    assert plan.met.all() and plan.unmet == () and plan.missing_mbps == 0 and plan.unserved == 0
    assert plan.gap < 0.01
    rules = [baseline(problem, name, SETTINGS) for name in BASELINES]
    assert all(plan.objective_mbps >= rule.objective_mbps for rule in rules)
    table = compared([plan, *rules])
    assert table["strategy"].tolist() == ["optimised", *BASELINES] and (table["users"] == 12).all()
    assert "12 of 12 demands met" in plan.sentence


@pytest.mark.slow
def test_heavy_demand_is_served_better_than_by_any_rule():
    problem = toy(16, 4, 3, demand=6.0, prbs=12, bandwidth_mhz=20, spread=0.008)
    plan = solve_prb(problem, SETTINGS)
    for name in BASELINES:
        assert plan.objective_mbps > baseline(problem, name, SETTINGS).objective_mbps + 1


@pytest.mark.parametrize("link", ["uplink", "downlink"])
def test_no_rule_is_better_even_where_there_is_no_time(link):
    problem = toy(30, 6, 2, demand=8.0, link=link, spread=0.01)
    plan = solve_prb(problem, replace(SETTINGS, time_limit=1e-3))
    assert all(plan.objective_mbps >= baseline(problem, name, SETTINGS).objective_mbps for name in BASELINES)


def test_rules_deal_as_they_say():
    problem = toy(10, 2, 1, demand=30.0, prbs=11)
    deal = baseline(problem, "round-robin")
    np.testing.assert_array_equal(
        deal.station[deal.station >= 0], problem.metres.argmin(axis=1)[deal.station >= 0]
    )
    for s in range(2):  # nobody's demand is met, so PRBs are dealt evenly
        counts = [len(p) for p, at in zip(deal.prbs, deal.station, strict=True) if at == s]
        assert sum(counts) == 11 and max(counts) - min(counts) <= 1
    greedy = baseline(toy(10, 1, 1, demand=30.0, prbs=5), "best-sinr")
    best = greedy.problem.gain[:, 0].argmax()
    assert len(greedy.prbs[best]) == 5
    fair = baseline(toy(10, 1, 1, demand=30.0, prbs=10), "proportional-fair")
    assert [len(p) for p in fair.prbs] == [1] * 10
    with pytest.raises(InputError, match="Unknown baseline"):
        baseline(problem, "luck")


@pytest.mark.slow
def test_proportional_fairness_helps_the_weak():
    problem = toy(8, 2, 6, demand=12.0, prbs=11, spread=0.008)
    by_rate = solve_prb(problem, replace(SETTINGS, cap=None, min_mbps=0.0))
    fair = solve_prb(problem, replace(SETTINGS, cap=None, min_mbps=0.0, fairness="proportional"))
    assert fair.rate_mbps.min() > by_rate.rate_mbps.min()
    assert np.log(fair.rate_mbps + 0.1).sum() > np.log(by_rate.rate_mbps + 0.1).sum()
    assert fair.rate_mbps.sum() <= by_rate.rate_mbps.sum() * 1.02
    floor = solve_prb(problem, replace(SETTINGS, cap=None, min_mbps=1.0))
    assert (floor.rate_mbps >= 1.0 - 1e-5).sum() >= (by_rate.rate_mbps >= 1.0).sum()


def test_a_demand_beyond_power_is_named_with_its_best_rate():
    problem = toy(3, 1, 1, demand=0.3)
    problem = replace(problem, demand_mbps=np.array([0.3, 5000.0, 0.3]))
    plan = solve_prb(problem, SETTINGS)
    assert plan.met.tolist() == [True, False, True] and plan.unserved == 0
    (sentence,) = plan.unmet
    assert sentence.startswith("User 1 asks for 5,000.00") and "power is the limit" in sentence
    assert f"it could get {problem.rates(1, 0, problem.prbs, 0.0):,.2f}" in sentence


def test_a_crowded_station_blames_the_prbs():
    plan = solve_prb(toy(30, 1, 2, demand=6.0), SETTINGS)
    assert any("PRBs are the limit: 11 of 11 are in use at S001" in sentence for sentence in plan.unmet)
    assert plan.utilisation[0] == 1 and plan.unserved is not None


def test_two_that_disturb_each_other_blame_interference():
    """Two users between two stations on the one PRB that both have: alone each could be served."""
    problem = toy(2, 2, 0, demand=1.0, prbs=1)
    gain = np.array([[1.0, 0.5], [0.5, 1.0]]) * 1e-10
    problem = replace(problem, gain=gain)
    alone = float(problem.rates(0, 0, 1, 0.0))
    problem = replace(problem, demand_mbps=np.full(2, 0.9 * alone))
    grid = Grid.of(problem, SETTINGS.objective, np.arange(2), np.ones((2, 1), bool))
    from planning.prb.plan import reasons

    for sentence in reasons(grid, SETTINGS):
        assert f"could get {alone:,.2f}" in sentence and "interference is the limit" in sentence


def test_settings_out_of_range_are_refused():
    problem = toy()
    for change, message in [
        ({"mode": "magic"}, "PRB mode"),
        ({"fairness": "none"}, "fairness"),
        ({"tau_mbps": -1}, "penalty"),
        ({"cap": 0.5}, "capped"),
        ({"min_mbps": -1}, "minimum rate"),
        ({"missing_price": -1}, "price of a missing"),
        ({"rounds": 0}, "round"),
        ({"time_limit": 0}, "time limit"),
    ]:
        with pytest.raises(InputError, match=message):
            solve_prb(problem, PrbSettings(**change))


def test_score_is_worth_less_prbs():
    problem = toy(5, 2, 3)
    grid = random_grid(problem, 3)
    by_hand = sum(slow_worth(SETTINGS, r, d) for r, d in zip(grid.rate, problem.demand_mbps, strict=True))
    by_hand -= SETTINGS.tau_mbps * grid.count.sum()
    assert score(problem, SETTINGS.objective, grid.rate, int(grid.count.sum())) == pytest.approx(by_hand)


@pytest.mark.slow
@pytest.mark.parametrize("link", ["uplink", "downlink"])
def test_a_plan_made_again_is_no_worse_than_the_one_before(link):
    """What-if: another price of a PRB and hardly any time; the last plan, scored anew, is the least that comes out."""
    problem = toy(12, 4, seed=5, demand=3.0, prbs=25, link=link)
    before = solve_prb(problem, PrbSettings(time_limit=3))
    settings = PrbSettings(tau_mbps=0.2, time_limit=0.05, rounds=1)
    uses = np.zeros((12, 25), bool)
    for row, prbs in zip(uses, before.prbs, strict=True):
        row[prbs] = True
    again = solve_prb(problem, settings, earlier=before)
    kept = score(problem, settings.objective, rates_of(problem, before.station, uses), int(uses.sum()))
    assert again.objective_mbps >= kept - 1e-9
    paper = solve_prb(
        problem, PrbSettings(mode="paper", time_limit=0.1), earlier=before
    )  # does not fit, is left aside
    assert max(map(len, paper.prbs)) <= 1


@pytest.mark.slow
def test_a_crowded_uplink_is_searched_without_the_jump_of_demands_first():
    objective = SETTINGS.objective
    direct, staged, demand = [], [], 0.0
    for seed in range(3):
        problem = toy(24, 4, seed, demand=3.0, prbs=20, spread=0.01, link="uplink")
        first = replace_users(Grid(problem, objective), np.arange(24), 5, 20)
        direct.append(improve(first, SETTINGS, np.inf, seed, 0).score)
        found = improve_in_stages(first, SETTINGS, np.inf, seed, 0)
        assert found.objective is first.objective and found.score >= first.score
        rate = slow_rates(problem, found.owner)
        assert found.score == pytest.approx(score(problem, objective, rate, int(found.count.sum())))
        staged.append(found.score)
        demand += problem.demand_mbps.sum()
    assert sum(staged) > sum(direct) + 0.1 * demand


@pytest.mark.parametrize("link", ["downlink", "uplink"])
def test_what_a_user_without_prbs_would_hear_is_that_of_plain_loops(link):
    """At every station, its idle PRBs included: what the owners at the other stations send, or those stations do."""
    problem = toy(6, 3, 5, prbs=4, link=link)
    grid = random_grid(problem, 5)
    (silent, *_) = np.flatnonzero(grid.count == 0)
    assert (grid.owner < 0).any()
    for station in range(3):
        expected = np.zeros(4)
        for prb in range(4):
            for other in set(range(3)) - {station}:
                owner = grid.owner[other, prb]
                if owner >= 0 and link == "uplink":
                    expected[prb] += grid.sent[owner] * problem.gain[owner, station]
                elif owner >= 0:
                    expected[prb] += problem.power_w * problem.gain[silent, other]
        np.testing.assert_allclose(grid.heard(silent, station), expected, rtol=1e-9, atol=1e-30)


def test_of_many_options_those_nearest_to_the_best_are_kept(monkeypatch):
    monkeypatch.setattr("planning.prb.fixed._OPTIONS_PER_USER", 1)
    objective = SimpleNamespace(tau_mbps=0.0)
    best = SimpleNamespace(
        objective=objective, sizes=np.array([1]), nothing=np.zeros(1), values=np.array([[[5.0], [9.0], [7.0]]]),
        best=lambda price, values: (np.array([9.0]),),
    )  # fmt: skip
    priced = SimpleNamespace(price=np.zeros(3), options=np.zeros((0, 3), int))
    assert _near(best, priced).tolist() == [[0, 1, 0]]
