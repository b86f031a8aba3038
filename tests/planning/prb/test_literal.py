"""Eq. 15 to the letter, against brute force over who is where on which PRB."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from planning.coverage.rates import RateMapping
from planning.errors import InputError
from planning.prb import PrbSettings, solve_prb
from tests.planning.prb.making import slow_rates, toy

LITERAL = PrbSettings(mode="literal", threads=1)


def eq_15(problem, tau, station, prb) -> float:
    """The objective of the paper: interference of users of the same station on the same PRB, and no other."""
    total = 0.0
    for u, (s, z) in enumerate(zip(station, prb, strict=True)):
        if s < 0:
            continue
        others = sum(
            problem.power_w * problem.gain[v, s]
            for v in range(len(station))
            if v != u and station[v] == s and prb[v] == z
        )
        sinr = problem.power_w * problem.gain[u, s] / (problem.radio.noise_w + others)
        total += problem.radio.prb_hz / 1e6 * np.log2(1 + sinr) - tau
    return total


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tau", [0.05, 2.5])
def test_the_plan_is_the_best_by_eq_15(seed, tau):
    problem = toy(4, 2, seed, 2.0, 2, spread=0.03)
    ways = [(-1, -1), *itertools.product(range(2), range(2))]
    best = max(eq_15(problem, tau, *zip(*way, strict=True)) for way in itertools.product(ways, repeat=4))
    plan = solve_prb(replace(problem, mapping=RateMapping()), replace(LITERAL, tau_mbps=tau))
    prb = [p[0] if len(p) else -1 for p in plan.prbs]
    claimed = eq_15(problem, tau, plan.station.tolist(), prb)
    assert claimed == pytest.approx(best, rel=1e-9)
    assert f"worth {claimed:,.2f} Mbit/s" in plan.notes[1]
    rate = slow_rates(problem, plan.prb_map())  # with the interference that eq. 15 leaves out
    np.testing.assert_allclose(plan.rate_mbps, rate, rtol=1e-9)
    assert plan.objective_mbps == pytest.approx(rate.sum() - tau * plan.used_prbs)
    assert plan.objective_mbps <= claimed + 1e-9


def test_more_users_than_prbs_leave_some_without():
    plan = solve_prb(toy(9, 2, 0, 1.0, 3), LITERAL)
    assert plan.used_prbs == 6 and (plan.station < 0).sum() == 3
    assert "does not ask for demands" in plan.notes[2]


def test_eq_15_is_an_uplink():
    with pytest.raises(InputError, match="is an uplink"):
        solve_prb(toy(link="downlink"), LITERAL)
