"""The workspace says what a result no longer fits, and demand is the traffic times the stated scale."""

from dataclasses import replace

import numpy as np
import pytest

from app.state.inputs import ScaleChoice
from app.state.results import Made
from app.state.slots import Slot
from app.state.workspace import Workspace
from tests.app.making import X0, Y0, box_of_tiles, ensemble


def test_fresh_results_fit(space):
    space.network = Made("network", space.basis("traffic", "scale"))
    space.sleep = Made("plans", space.basis("traffic", "scale", "network"))
    assert all(space.outdated(made) is None for made in (space.traffic, space.network, space.sleep))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda s: setattr(s, "area", box_of_tiles(X0, Y0, X0, Y0)), "area"),
        (lambda s: setattr(s, "source", "demo"), "area"),
        (lambda s: setattr(s, "scale", ScaleChoice(per_km2=1000)), "scale"),
        (lambda s: setattr(s, "network", Made("other", s.basis("traffic"))), "network"),
        (lambda s: setattr(s, "traffic", Made(s.traffic.value, s.basis("area"))), "traffic"),
    ],
)
def test_a_change_is_told_and_nothing_is_deleted(space, change, word):
    space.network = Made("network", space.basis("traffic", "scale"))
    space.sleep = made = Made("plans", space.basis("traffic", "scale", "network"))
    change(space)
    assert word in space.outdated(made)
    assert space.sleep is made


def test_only_the_chosen_kind_of_scale_counts(space):
    made = Made("x", space.basis("scale"))
    space.scale = replace(space.scale, busy_mbps=1.0)
    assert space.outdated(made) is None
    space.scale = replace(space.scale, kind="busy hour")
    assert space.outdated(made)


def test_renaming_the_area_changes_no_result(space):
    space.rename_area("New name")
    assert space.area.name == "New name" and space.outdated(space.traffic) is None


def test_demand_follows_the_scale(space):
    gb_a_month = 5000 * 20 * space.traffic_table().area_km2
    mean_mbps = space.demand().mbps.sum(axis=0).mean()
    assert mean_mbps == pytest.approx(gb_a_month * 8000 / (30 * 86400), rel=1e-4)
    space.scale = ScaleChoice(kind="daily total", gb_per_day=1080.0)
    assert space.demand().mbps.sum(axis=0).mean() == pytest.approx(1080 * 8000 / 86400, rel=1e-4)


def test_the_scale_is_worked_out_once_until_it_or_the_traffic_changes(space):
    first = space.stated_scale()
    assert space.stated_scale() is first
    space.scale = ScaleChoice(gb_per_month=10.0)
    half = space.stated_scale()
    assert half.mbps_per_unit == pytest.approx(first.mbps_per_unit / 2)
    space.traffic = Made(ensemble(space.tiles, space.area), {})
    assert space.stated_scale() is not half


def test_demand_is_of_the_covered_part(space):
    tiles = space.tiles.assign(covered_share=np.linspace(0.1, 1, len(space.tiles)))
    other = Workspace(source=space.source)
    other.traffic = Made(ensemble(tiles, space.area), {})
    demand, scale = other.demand(), other.stated_scale()
    expected = (
        other.traffic.value.traffic * tiles["covered_share"].to_numpy()[:, None, None] * scale.mbps_per_unit
    )
    np.testing.assert_allclose(demand.mbps, expected, rtol=1e-5)


def test_a_cached_value_is_built_once_a_key():
    space, slot, other, built = Workspace(), Slot(), Slot(), []
    for key in (1, 1, 2, 2):
        space.cached(slot, key, lambda: built.append(None))
    assert len(built) == 2
    assert space.cached(other, 2, lambda: "another place") == "another place"
    assert space.cached(slot.part("a"), 2, lambda: "a") == "a" == space.last_cached(slot.part("a"))
    assert space.last_cached(slot.part("b")) is None and slot.part("a") is not other.part("a")
