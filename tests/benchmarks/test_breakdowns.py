"""Faults of the machine are survived; `python -m benchmarks robust` injects more of them."""

import pytest

from benchmarks.breakdowns import all_faults, inject

FAULTS = all_faults(quick=True)
QUICK = [name for name in FAULTS if "two processes" not in name]  # those take long to start
SLOW = ["scenario: two processes", "embeddings: two processes"]


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_it_is_survived(name):
    assert inject(FAULTS[name]) is None


def test_a_fault_that_is_not_survived_is_told():
    def lost(folder):
        raise OSError("gone")

    assert inject(lost) == "OSError: gone" and inject(lambda folder: "it is lost") == "it is lost"
