"""What the tests of several packages share."""

import gc
import os
import random
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# The machine is shared: how long an example takes says nothing of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# GPU kernels run by Triton's interpreter on a machine without a GPU, where Triton is installed.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# What the imports of all tests leave behind stays: no collection has to walk through it, neither while they run nor
# when Streamlit collects all garbage after every run of a page (half a second each).
gc.disable()

NANCHANG = Path(__file__).parents[2] / "shared" / "data" / "nanchang"


@pytest.fixture(autouse=True)
def own_main():
    """Streamlit's tests of pages leave a page as the main module, which a process that is spawned later would run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


def pytest_addoption(parser):
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="files, and tests in a file, in an order by chance"
    )


def pytest_collection_modifyitems(config, items):
    # A browser on a busy machine may miss a moment: what timed out is tried once more, and the summary names it.
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=["TimeoutError"]))
    files = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    seed = config.getoption("--shuffle")
    if seed is None:
        items[:] = [item for tests in sorted(files.values(), key=_turn) for item in tests]
        return
    order = random.Random(seed)
    shuffled = list(files.values())
    order.shuffle(shuffled)
    items[:] = [item for tests in shuffled for item in order.sample(tests, len(tests))]


def pytest_collection_finish():
    gc.enable()
    gc.collect()
    gc.freeze()


def _turn(tests):
    """Long files first, so that no process is left with one of them at the end: of a browser, slow, and the rest."""
    marks = {mark.name for item in tests for mark in item.iter_markers()}
    return next((turn for turn, name in enumerate(("browser", "slow")) if name in marks), 2)


@pytest.fixture(scope="session")
def nanchang_pack() -> Path:
    """The folder of the Nanchang pack, which lies beside the repository; in CI it must be there."""
    if not (NANCHANG / "tiles.parquet").is_file():
        if os.environ.get("CI") == "true":
            pytest.fail(
                f"The Nanchang pack is missing at {NANCHANG}; CI must not skip the tests on real data."
            )
        pytest.skip(f"needs the Nanchang pack at {NANCHANG}")
    return NANCHANG
