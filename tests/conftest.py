"""What the tests of several packages share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The machine is shared: how long an example takes says nothing of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

NANCHANG = Path(__file__).parents[2] / "shared" / "data" / "nanchang"


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
