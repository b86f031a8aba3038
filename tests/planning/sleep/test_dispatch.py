"""Dispatch against a maximum flow by SciPy's LP."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from planning.sleep.dispatch import Ring, dispatch


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
