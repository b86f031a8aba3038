"""Faults of the machine are survived; `python -m benchmarks robust` injects many more of them."""

import pytest

from benchmarks.robustness.breakdowns import DAMAGE, all_faults, inject
from benchmarks.robustness.victim import KINDS

FAULTS = all_faults()
NEED_A_PROCESS = (
    "scenario: killed while writing, 1",
    "scenario: disk full",
    "pack: read-only folder",
    "embeddings: two processes",
)
IN_THIS_ONE = [f"{name}: {how}" for name in KINDS for how in DAMAGE]
OTHERS = [name for name in FAULTS if name.startswith(("solver", "GPU", "fetched"))]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NEED_A_PROCESS, *IN_THIS_ONE, *OTHERS])
def test_it_is_survived(name):
    assert inject(FAULTS[name]) is None


def test_every_kind_of_file_and_every_fault_of_a_provider_is_in_the_list():
    assert len(FAULTS) > 110 and sum(name.startswith("provider") for name in FAULTS) == 60
    for name in KINDS:
        assert {f"{name}: disk full", f"{name}: read-only folder", f"{name}: killed while writing, 2"} <= set(
            FAULTS
        )


def test_a_fault_that_is_not_survived_is_told():
    def lost(folder):
        raise OSError("gone")

    assert inject(lost) == "OSError: gone" and inject(lambda folder: "it is lost") == "it is lost"
