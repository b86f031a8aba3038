"""A quantity has one colour on every page, whoever paints it."""

import numpy as np
import pytest
from plotly.colors import sample_colorscale

from app.charts.sleep import map_pair
from app.colours import RAMP_ROOT_SCALE, ramp, ramp_top, rgb


def test_charts_of_demand_have_the_colours_of_the_maps():
    steps = np.arange(8) / 7
    of_maps = ramp(100 * steps**2, 100.0)[:, :3]
    assert [tuple(colour) for colour in of_maps] == [rgb(colour) for _, colour in RAMP_ROOT_SCALE]
    between = sample_colorscale(RAMP_ROOT_SCALE, [0.4], colortype="tuple")[0]
    np.testing.assert_allclose(np.array(between) * 255, ramp(np.array([40.0]), 100.0)[0, :3], atol=4)


def test_the_scale_of_colours_is_that_of_the_whole_week():
    week = np.zeros((101, 3))
    week[:, 1] = np.arange(101)
    assert ramp_top(week) == pytest.approx(98)
    assert ramp_top(np.zeros((4, 3))) == 1.0


def test_two_maps_share_the_highest_scale():
    def one(top):
        return {"title": "a · b", "x": np.array([5]), "y": np.array([7]), "mbps": np.array([3.0]), "top": top,
                "site_x": [5.5], "site_y": [7.5], "asleep": np.zeros(1), "names": ["S"]}  # fmt: skip

    figure = map_pair([one(10.0), one(20.0)])
    assert {trace.zmax for trace in figure.data if trace.type == "heatmap"} == {20.0}
