"""Depths of sleep: shares of idle power that were measured."""

import pytest

from planning.equipment import CAPACITY, COVERAGE, SLEEP_DEPTHS, at_depth
from planning.errors import InputError


def test_depths_of_sleep_are_shares_of_idle_power():
    assert at_depth(COVERAGE, "deep sleep").sleep_w == round(0.2 * 192.4, 1) == COVERAGE.sleep_w
    assert at_depth(CAPACITY, "carrier off").sleep_w == round(0.35 * 444.9, 1)
    assert set(SLEEP_DEPTHS) == {"deep sleep", "carrier off"}
    with pytest.raises(InputError, match="sleep depth"):
        at_depth(COVERAGE, "hibernation")
