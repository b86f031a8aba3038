"""Small PRB problems, and a second way to compute what a plan is worth: loops over the formulas."""

import itertools
from dataclasses import replace

import numpy as np

from planning.network import Network
from planning.prb import PrbProblem, Users
from planning.radio import Radio


def toy(users=4, stations=2, seed=0, demand=2.0, prbs=None, spread=0.02, **radio) -> PrbProblem:
    """Users and stations at seeded places in a square of `spread` degrees, demands around `demand` Mbit/s."""
    rng = np.random.default_rng(seed)
    lon, lat = 115.86 + rng.uniform(0, spread, stations), 28.68 + rng.uniform(0, spread, stations)
    network = Network.from_sites(lon, lat)
    drawn = Users(
        115.86 + rng.uniform(0, spread, users),
        28.68 + rng.uniform(0, spread, users),
        rng.uniform(0.3, 1.7, users) * demand,
        1.0,
        0,
        "Toy users.",
    )
    problem = PrbProblem.build(network, drawn, Radio(**{"bandwidth_mhz": 5, "traffic_share": 1.0, **radio}))
    return problem if prbs is None else replace(problem, prbs=prbs)


def slow_rates(problem, owner) -> np.ndarray:
    """(users,) Mbit/s of eq. 15 written as loops. owner: (stations, prbs) user or -1."""
    stations, prbs = owner.shape
    count = {u: int((owner == u).sum()) for u in range(len(problem.gain))}
    rate = np.zeros(len(problem.gain))

    def power(user):
        return problem.power_w / (count[user] if problem.radio.link == "uplink" else 1)

    for s in range(stations):
        for z in range(prbs):
            user = owner[s, z]
            if user < 0:
                continue
            disturbance = 0.0
            for t in range(stations):
                other = owner[t, z]
                if t != s and other >= 0:
                    if problem.radio.link == "uplink":
                        disturbance += power(other) * problem.gain[other, s]
                    else:
                        disturbance += problem.power_w * problem.gain[user, t]
            sinr = power(user) * problem.gain[user, s] / (problem.radio.noise_w + disturbance)
            if problem.mapping is None:
                efficiency = np.log2(1 + sinr)
            else:
                efficiency = float(problem.mapping.layer_efficiency(10 * np.log10(sinr)))
            rate[user] += problem.radio.prb_hz * efficiency / 1e6
    return rate


def allocations(problem, most):
    """Every way to give each station's PRBs to users, PRBs taken as alike: (stations, prbs) user or -1."""
    users, stations = problem.gain.shape
    columns = [
        c
        for c in itertools.product(range(-1, users), repeat=stations)
        if len({u for u in c if u >= 0}) == sum(u >= 0 for u in c)
    ]
    for chosen in itertools.combinations_with_replacement(columns, problem.prbs):
        owner = np.array(chosen).T
        at = [{s for s in range(stations) if (owner[s] == u).any()} for u in range(users)]
        if all(len(a) <= 1 for a in at) and max((owner == u).sum() for u in range(users)) <= most:
            yield owner


def slow_worth(settings, rate, demand) -> float:
    """One user's part of the objective, without the price of its PRBs, for fairness by rate."""
    cap = None if settings.mode == "paper" else settings.cap
    floor = demand if settings.min_mbps is None else min(demand, settings.min_mbps)
    value = rate if cap is None else min(rate, cap * demand)
    if rate < floor * (1 - 1e-6):
        value -= settings.missing_price * (floor - rate + settings.unmet_share * floor)
    return value
