"""The scale: totals that must come out, and the sentence that says so."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.demand import Demand, Scale
from planning.errors import InputError
from planning.traffic import TrafficTable
from tests.planning.conftest import make_table


def gb_per_day(demand: Demand) -> float:
    """GB a day of the area: the mean rate, Mbit/s -> GB/day by hand (86,400 s, 8,000 Mbit a GB)."""
    return demand.mbps.astype(float).mean(axis=1).sum() / demand.hours * 86400 / 8000


def test_subscribers_scale_gives_their_volume(table):
    demand = Demand.build(table, Scale.subscribers(table, 4000, 12))
    assert gb_per_day(demand) == pytest.approx(table.area_km2 * 4000 * 12 / 30, rel=1e-5)
    active = demand.users.astype(float).sum(axis=0).mean()
    assert active == pytest.approx(table.area_km2 * 4000 * 0.1, rel=1e-5)
    assert "4,000 subscribers per km2 x 12 GB" in demand.scale.sentence and "(given)" in demand.scale.sentence
    assert "subscribers per km2 and GB per month assumed" in Scale.subscribers(table).sentence


def test_a_daily_total_and_a_busy_hour_are_met(table):
    assert gb_per_day(Demand.build(table, Scale.daily_total(table, 777.0))) == pytest.approx(777, rel=1e-5)
    demand = Demand.build(table, Scale.busy_hour(table, 950.0))
    assert demand.mbps.astype(float).mean(axis=1).sum(axis=0).max() == pytest.approx(950, rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0.05, 1.0))
def test_a_known_total_does_not_depend_on_the_covered_share_but_tiles_do(share):
    whole = make_table(2, 2, 1, 24)
    shares = np.array([share, 1, 1, 1])
    part = make_table(2, 2, 1, 24, covered_share=shares)
    demand = Demand.build(part, Scale.daily_total(part, 100))
    assert gb_per_day(demand) == pytest.approx(100, rel=1e-4)
    unit = Scale("x", 1.0, 1.0, "x")
    ratio = Demand.build(part, unit).mbps / Demand.build(whole, unit).mbps
    np.testing.assert_allclose(ratio[:, 0, 0], shares, rtol=1e-5)


def test_profiles_are_quantiles_over_samples_and_days(demand):
    assert demand.profile(24, 0.9).shape == (12, 24)
    by_hand = np.quantile(demand.mbps[3, :, 5::24], 0.9)  # 3 samples x 7 days at hour 5
    assert demand.profile(24, 0.9)[3, 5] == pytest.approx(by_hand)
    assert demand.quantile(0.5)[2, 100] == pytest.approx(np.median(demand.mbps[2, :, 100]))
    np.testing.assert_allclose(demand.sample(1).profile(168), demand.mbps[:, 1])
    assert 12 <= demand.busy_hour(24) <= 18
    assert (demand.profile(24, 0.9) >= demand.profile(24, 0.1)).all()


def test_missing_users_follow_the_traffic(table):
    plain = TrafficTable.from_arrays(table.x, table.y, table.traffic)
    demand = Demand.build(plain, Scale.subscribers(plain))
    ratio = demand.users / demand.mbps
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-4)


def test_a_table_in_mbps_needs_no_scale(table):
    stated = TrafficTable.from_arrays(table.x, table.y, table.traffic, metadata={"unit": "Mbit/s"})
    np.testing.assert_allclose(Demand.build(stated).mbps, table.traffic)
    with pytest.raises(InputError, match="does not state"):
        Scale.measured(table)


def test_scales_and_quantiles_without_sense_are_refused(table, demand):
    for bad in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="above 0"):
            Scale.daily_total(table, bad)
    empty = TrafficTable.from_arrays([1], [1], np.zeros((1, 24)))
    with pytest.raises(InputError, match="no traffic at all"):
        Scale.subscribers(empty)
    with pytest.raises(InputError, match="quantile"):
        demand.profile(24, 1.5)
    with pytest.raises(InputError, match="24 or 168"):
        demand.profile(48)
    with pytest.raises(InputError, match="no sample"):
        demand.sample(9)


def test_a_rate_floor_asks_for_it_for_every_active_user(demand: Demand):
    floor = 2 * float((demand.mbps / demand.users).mean())
    asked = demand.with_rate_floor(floor)
    assert (asked.mbps >= demand.mbps).all() and (asked.mbps >= demand.users * floor * (1 - 1e-6)).all()
    lifted = asked.mbps > demand.mbps
    np.testing.assert_allclose(asked.mbps[lifted], demand.users[lifted] * floor, rtol=1e-6)
    assert lifted.any() and demand.with_rate_floor(0) is demand
    with pytest.raises(InputError, match="rate floor"):
        demand.with_rate_floor(-1)
