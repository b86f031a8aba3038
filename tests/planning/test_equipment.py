"""Depths of sleep against the figures of their source."""

import pytest

from planning.equipment import CAPACITY, COVERAGE, SLEEP_DEPTHS, at_depth
from planning.errors import InputError


def test_depths_of_sleep_cut_the_standing_power():
    """OpenGiuliaSLS: symbol shutdown 34 %, carrier shutdown 47 %, dormancy 62.3 % of P0, 90 W for 4G."""
    asleep = {depth: at_depth(COVERAGE, depth).sleep_w for depth in SLEEP_DEPTHS}
    assert asleep == {"symbol shutdown": 59.4, "carrier shutdown": 47.7, "dormancy": 33.9}
    assert at_depth(CAPACITY, "dormancy").sleep_w == CAPACITY.sleep_w
    with pytest.raises(InputError, match="sleep depth"):
        at_depth(COVERAGE, "hibernation")
