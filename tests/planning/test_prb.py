"""Radio against closed values; PRB plans against brute force, a second way to compute SINR, and their constraints."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.errors import InputError
from planning.network import Network
from planning.prb import (
    PrbProblem,
    PrbSettings,
    Users,
    _choose,
    draw_users,
    round_robin,
    solve_prb,
    true_sinr,
)
from planning.radio import Radio, dbm_to_w, los_probability, path_loss_db, prb_count

from .conftest import make_table


def toy(users=4, stations=2, seed=0, demand=2.0, **radio) -> PrbProblem:
    rng = np.random.default_rng(seed)
    lon, lat = 115.86 + rng.uniform(0, 0.02, stations), 28.68 + rng.uniform(0, 0.02, stations)
    network = Network.from_sites(lon, lat)
    drawn = Users(
        115.86 + rng.uniform(0, 0.02, users),
        28.68 + rng.uniform(0, 0.02, users),
        rng.uniform(0.3, 1.7, users) * demand,
        1.0,
        0,
        "Toy users.",
    )
    return PrbProblem.build(network, drawn, Radio(**{"bandwidth_mhz": 5, "traffic_share": 1.0, **radio}))


def with_prbs(problem: PrbProblem, prbs: int, monkeypatch) -> PrbProblem:
    """The same problem with fewer PRBs than any real channel, for brute force."""
    monkeypatch.setattr(PrbProblem, "prbs", property(lambda self: prbs))
    return problem


# --- radio -------------------------------------------------------------------------------------------------------


def test_path_loss_at_hand_worked_points():
    # UMa LOS, 100 m, 3.5 GHz, 25 m and 1.5 m: d3D = sqrt(100^2 + 23.5^2) = 102.724; before the breakpoint (560 m)
    d3 = np.sqrt(100**2 + 23.5**2)
    assert path_loss_db(100, 3.5, "UMa", "LOS") == pytest.approx(28 + 22 * np.log10(d3) + 20 * np.log10(3.5))
    assert path_loss_db(100, 3.5, "UMa", "LOS") == pytest.approx(83.14, abs=0.01)
    assert path_loss_db(100, 3.5, "UMa", "NLOS") == pytest.approx(
        13.54 + 39.08 * np.log10(d3) + 10.881, abs=1e-3
    )
    # past the breakpoint: 4 x 24 x 0.5 x 3.5e9 / 3e8 = 560 m
    far = np.hypot(2000, 23.5)
    by_hand = 28 + 40 * np.log10(far) + 10.881 - 9 * np.log10(560**2 + 23.5**2)
    assert path_loss_db(2000, 3.5, "UMa", "LOS") == pytest.approx(by_hand, abs=1e-3)
    d3 = np.hypot(50, 8.5)
    assert path_loss_db(50, 28, "UMi", "LOS", 10) == pytest.approx(
        32.4 + 21 * np.log10(d3) + 28.943, abs=1e-3
    )
    assert path_loss_db(50, 28, "UMi", "NLOS", 10) == pytest.approx(
        22.4 + 35.3 * np.log10(d3) + 21.3 * np.log10(28), abs=1e-3
    )


@pytest.mark.parametrize("environment", ["UMa", "UMi"])
def test_path_loss_is_continuous_at_the_breakpoint_and_grows(environment):
    height = 25 if environment == "UMa" else 10
    point = 4 * (height - 1) * 0.5 * 2.6e9 / 3e8
    near, far = path_loss_db([point - 1e-6, point + 1e-6], 2.6, environment, "LOS", height)
    assert far - near == pytest.approx(0, abs=0.2)
    metres = np.geomspace(10, 5000, 400)
    for condition in ("LOS", "NLOS"):
        assert (np.diff(path_loss_db(metres, 2.6, environment, condition, height)) > -1e-9).all()
    los = path_loss_db(metres, 2.6, environment, "LOS", height)
    assert (path_loss_db(metres, 2.6, environment, "NLOS", height) >= los).all()
    chance = los_probability(metres, environment)
    assert chance[0] == 1 and (np.diff(chance) <= 0).all() and chance[-1] > 0


def test_prb_counts_noise_and_power():
    assert [prb_count(b, 30) for b in (5, 20, 50, 100)] == [11, 51, 133, 273]
    assert [prb_count(b, 15) for b in (5, 10, 20, 50)] == [25, 52, 106, 270]
    radio = Radio(link="downlink")
    # -174 dBm/Hz over 360 kHz with 9 dB
    assert 10 * np.log10(radio.noise_w) + 30 == pytest.approx(-174 + 55.563 + 9, abs=1e-3)
    assert dbm_to_w(23) == pytest.approx(0.19953, abs=1e-5) and dbm_to_w(30) == 1
    for change, message in [
        ({"carrier_ghz": 0}, "carrier"),
        ({"link": "sidelink"}, "link"),
        ({"environment": "Mars"}, "environment"),
        ({"bandwidth_mhz": 7}, "bandwidth"),
        ({"scs_khz": 45}, "subcarrier"),
        ({"user_height_m": 40}, "height"),
        ({"traffic_share": 0}, "share"),
        ({"condition": "fog"}, "condition"),
    ]:
        with pytest.raises(InputError, match=message):
            Radio(**change).validate()


def test_shadowing_is_seeded_and_has_its_spread():
    metres = np.full((400, 30), 500.0)
    plain = Radio().gains(metres)
    drawn = Radio(shadowing=True, seed=3).gains(metres)
    np.testing.assert_array_equal(drawn, Radio(shadowing=True, seed=3).gains(metres))
    db = 10 * np.log10(drawn / plain)
    assert db.std() == pytest.approx(6.0, rel=0.05) and db.mean() == pytest.approx(0, abs=0.2)
    mixed = Radio(condition="drawn", seed=1).gains(metres)
    assert (mixed > plain).mean() == pytest.approx(los_probability(500, "UMa"), abs=0.02)


# --- users -------------------------------------------------------------------------------------------------------


def test_users_carry_all_traffic_and_stay_in_their_tiles(demand):
    hour = demand.busy_hour(168)
    users = draw_users(demand, hour, 50, seed=1)
    assert len(users.lon) == 50
    assert users.demand_mbps.sum() == pytest.approx(demand.profile(None)[:, hour].sum())
    active = demand.profile(None, 0.5, "users")[:, hour].sum()
    assert users.weight == pytest.approx(round(active) / 50) and "each standing for" in users.sentence
    np.testing.assert_array_equal(users.lon, draw_users(demand, hour, 50, seed=1).lon)
    assert not np.array_equal(users.lon, draw_users(demand, hour, 50, seed=2).lon)
    few = draw_users(demand, hour, 100_000)
    assert few.weight == 1 and len(few.lon) == round(active) and "standing" not in few.sentence
    with pytest.raises(InputError, match="no hour 168"):
        draw_users(demand, 168)
    with pytest.raises(InputError, match="number of users"):
        draw_users(demand, 3, 0)


def test_users_of_a_partly_covered_tile_are_inside_the_area():
    from shapely.geometry import box, mapping

    from planning.demand import Demand
    from planning.geometry import tile_corner

    table = make_table(1, 1, 1, 24, covered_share=[0.25])
    west, north = tile_corner(table.x[0], table.y[0])
    east, south = tile_corner(table.x[0] + 1, table.y[0] + 1)
    table.metadata["area"] = mapping(box(west, (north + south) / 2, (west + east) / 2, north))
    users = draw_users(Demand.build(table), 12, 80)
    assert (users.lon <= (west + east) / 2).all() and (users.lat >= (north + south) / 2).all()


# --- plans -------------------------------------------------------------------------------------------------------


def slow_sinr(problem, station, uses):
    """The interference sum of eq. 15 written as loops: users of the same PRB, received at the user's station."""
    out = np.zeros(uses.shape)
    for u, z in np.argwhere(uses):
        power = {
            x: problem.power_w / (max(uses[x].sum(), 1) if problem.radio.link == "uplink" else 1)
            for x in range(len(uses))
        }
        signal = power[u] * problem.gain[u, station[u]]
        disturbance = 0.0
        for x in range(len(uses)):
            if x != u and uses[x, z]:
                if problem.radio.link == "uplink":
                    disturbance += power[x] * problem.gain[x, station[u]]
                else:
                    disturbance += power[x] * problem.gain[u, station[x]]
        out[u, z] = signal / (problem.radio.noise_w + disturbance)
    return out


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 9999), link=st.sampled_from(["uplink", "downlink"]))
def test_true_sinr_equals_the_sum_written_out(seed, link):
    problem = toy(5, 3, seed, link=link)
    rng = np.random.default_rng(seed)
    station = rng.integers(0, 3, 5)
    uses = np.zeros((5, problem.prbs), bool)
    for z in range(problem.prbs):  # one user a station and PRB
        for s in range(3):
            mine = np.flatnonzero(station == s)
            if len(mine) and rng.random() < 0.7:
                uses[rng.choice(mine), z] = True
    sinr, _ = true_sinr(problem, station, uses)
    np.testing.assert_allclose(sinr, slow_sinr(problem, station, uses), rtol=1e-6)


def brute_value(problem, interference, config) -> float:
    """Best value of the program at fixed interference over every station and number of PRBs of every user."""
    users, stations, prbs = len(problem.demand_mbps), problem.stations, problem.prbs
    most = 1 if config.mode == "paper" else prbs
    cap = None if config.mode == "paper" else config.cap
    choices = [(None, 0)] + [(s, k) for s in range(stations) for k in range(1, most + 1)]
    best = 0.0
    for picks in itertools.product(choices, repeat=users):
        used = [sum(k for s, k in picks if s == y) for y in range(stations)]
        if max(used) > prbs:
            continue
        value = 0.0
        for user, (s, k) in enumerate(picks):
            if k:
                power = problem.power_w / k if problem.radio.link == "uplink" else problem.power_w
                sinr = power * problem.gain[user, s] / (problem.radio.noise_w + interference[user, s])
                rate = k * problem.radio.prb_hz * np.log2(1 + sinr) / 1e6
                demand = problem.demand_mbps[user]
                value += (rate if cap is None else min(rate, cap * demand)) - config.tau_mbps * k
                value += 10 * (min(rate, demand) + (demand if rate >= demand * (1 - 1e-6) else 0))
        best = max(best, value)
    return best


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("link", ["uplink", "downlink"])
@pytest.mark.parametrize("mode,cap", [("default", 1.0), ("default", None), ("paper", None)])
def test_program_equals_brute_force(seed, link, mode, cap, monkeypatch):
    problem = with_prbs(toy(4, 2, seed, demand=1.5, link=link), 3, monkeypatch)
    config = PrbSettings(mode=mode, cap=cap, gap=0)
    interference = problem.usual_interference()
    _, _, result, exact = _choose(problem, interference, config, 10)
    assert exact and result.status == "optimal"
    assert result.objective == pytest.approx(brute_value(problem, interference, config), rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 9999),
    link=st.sampled_from(["uplink", "downlink"]),
    mode=st.sampled_from(["default", "paper", "round robin"]),
    demand=st.sampled_from([0.2, 2.0, 20.0]),
)
def test_no_plan_breaks_its_constraints(seed, link, mode, demand):
    problem = toy(9, 3, seed, demand, link=link)
    if mode == "round robin":
        plan = round_robin(problem)
    else:
        plan = solve_prb(problem, PrbSettings(mode=mode, time_limit=8))
    grid = plan.prb_map()
    assert sum(len(p) for p in plan.prbs) == (grid >= 0).sum()  # no PRB of a station serves two users
    for user, (station, prbs) in enumerate(zip(plan.station, plan.prbs, strict=True)):
        assert (len(prbs) == 0) == (station < 0)
        if len(prbs):
            assert (grid[station, prbs] == user).all()
        assert mode != "paper" or len(prbs) <= 1
    # the score again, from the map alone
    uses = np.zeros((9, problem.prbs), bool)
    for user, prbs in enumerate(plan.prbs):
        uses[user, prbs] = True
    rate = problem.radio.prb_hz * np.log2(1 + slow_sinr(problem, plan.station, uses)).sum(axis=1) / 1e6
    np.testing.assert_allclose(plan.rate_mbps, rate, rtol=1e-6, atol=1e-9)
    counted = rate if plan.cap is None else np.minimum(rate, plan.cap * problem.demand_mbps)
    assert plan.objective_mbps == pytest.approx(counted.sum() - plan.tau_mbps * uses.sum(), rel=1e-6)
    if plan.bound_mbps is not None:
        assert plan.objective_mbps <= plan.bound_mbps * (1 + 1e-6) + 1e-6
    assert len(plan.unmet) == (~plan.met).sum()
    np.testing.assert_array_equal(plan.utilisation <= 1, True)
    table = plan.assignment()
    assert len(table) == 9 and table["prb_count"].sum() == plan.used_prbs
    assert plan.stations()["used_prbs"].sum() == plan.used_prbs


def test_a_drawn_user_that_stands_for_many_has_their_power():
    """10 users in one place on 20 PRBs: each has 2, at half its power; on 5 PRBs five of them transmit in full."""
    one = toy(1, 1, 4)
    ten = PrbProblem(
        **{**one.__dict__, "users": Users(one.users.lon, one.users.lat, one.users.demand_mbps, 10.0, 0, "")}
    )
    assert ten.rates(0, 0, 20, 0.0) == pytest.approx(10 * one.rates(0, 0, 2, 0.0))
    assert ten.rates(0, 0, 5, 0.0) == pytest.approx(5 * one.rates(0, 0, 1, 0.0))
    uses = np.ones((1, ten.prbs), bool)
    sinr, _ = true_sinr(ten, np.zeros(1, int), uses)
    rate = ten.radio.prb_hz * np.log2(1 + sinr).sum() / 1e6
    assert rate == pytest.approx(float(ten.rates(0, 0, ten.prbs, 0.0)))


def test_light_demand_is_met_with_fewer_prbs_than_round_robin_needs():
    problem = toy(12, 3, 5, demand=0.4, bandwidth_mhz=20)
    plan, baseline = solve_prb(problem), round_robin(problem)
    assert plan.met.all() and plan.unmet == () and plan.unserved_mbps == 0
    assert plan.objective_mbps >= baseline.objective_mbps
    assert plan.met.sum() >= baseline.met.sum()
    assert "12 of 12 demands met" in plan.sentence


def test_a_demand_that_cannot_be_met_is_named_with_its_best_rate():
    problem = toy(3, 1, 1, demand=0.3)
    greedy = PrbProblem(**{**problem.__dict__, "demand_mbps": np.array([0.3, 5000.0, 0.3])})
    plan = solve_prb(greedy)
    assert plan.met.tolist() == [True, False, True]
    (sentence,) = plan.unmet
    assert sentence.startswith("User 1 asks for 5,000.00") and "power is the limit" in sentence
    best = greedy.rates(1, 0, greedy.prbs, 0.0)
    assert f"it would get {best:,.2f}" in sentence


def test_crowded_station_blames_the_prbs():
    problem = toy(30, 1, 2, demand=6.0, bandwidth_mhz=5)
    plan = solve_prb(problem)
    assert any("PRBs are the limit" in sentence for sentence in plan.unmet)
    assert plan.utilisation[0] > 0.5


def test_ladder_and_bound_for_many_users():
    problem = toy(150, 6, 3, demand=4.0, bandwidth_mhz=100)
    plan = solve_prb(problem, PrbSettings(rounds=1, time_limit=10))
    assert plan.objective_mbps <= plan.bound_mbps * (1 + 1e-6)
    assert plan.bound_mbps <= problem.demand_mbps.sum() * (1 + 1e-6)
    assert any("ladder" in note for note in plan.notes)


def test_settings_are_checked():
    problem = toy()
    for change, message in [
        ({"mode": "magic"}, "PRB mode"),
        ({"tau_mbps": -1}, "penalty"),
        ({"cap": 0.5}, "capped"),
        ({"rounds": 0}, "round"),
        ({"time_limit": 0}, "time limit"),
    ]:
        with pytest.raises(InputError, match=message):
            solve_prb(problem, PrbSettings(**change))
