"""The load: users come to an end by themselves, and what goes wrong for one of them is told."""

import numpy as np
import pytest
import shapely

from benchmarks.robustness.load import MAX_MINUTES, MAX_SESSIONS, REGION, Load, _outline, measure
from benchmarks.session import Session
from opendiff.area import Area


@pytest.mark.slow
def test_two_users_for_a_moment():
    load = measure(2, 0.1)
    figures = load.figures()
    assert figures["session_errors"] == 0, load.text()
    assert figures["sessions"] == 2 and figures["p95_response_seconds"] > 0 and figures["peak_mb"] > 100


def test_figures_of_what_was_seen():
    load = Load(4, 2.5, seconds=[0.1] * 95 + [9.0] * 5, errors=["user 1: a"], megabytes=[100.0, 300.0, 200.0])
    figures = load.figures()
    assert figures["session_minutes"] == 10 and figures["session_errors"] == 1 and figures["peak_mb"] == 300
    assert 0.1 < figures["p95_response_seconds"] <= 9.0 and "user 1: a" in load.text()


def test_every_drawing_is_an_area_in_the_region():
    rng = np.random.default_rng(0)
    region = shapely.box(*REGION).buffer(0.03)
    for _ in range(200):
        assert region.contains(Area.from_geojson(_outline(rng)).geometry)


def test_load_is_bounded_and_stays_on_this_machine():
    assert MAX_SESSIONS <= 50 and MAX_MINUTES <= 30
    with pytest.raises(AssertionError), Session("http://192.0.2.1/"):
        pass
