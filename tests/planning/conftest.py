"""Small seeded traffic tables made here, and the real one where the data folder is at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from planning.demand import Demand, Scale
from planning.traffic import TrafficTable

X0, Y0 = 26926, 13655


def make_table(columns=4, rows=3, samples=3, hours=168, seed=0, intensities=True, **kwargs) -> TrafficTable:
    """A table with a day-night curve, a bright centre and some noise; tiles in a block near (28.68 N, 115.86 E)."""
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(X0 + np.arange(columns), Y0 + np.arange(rows), indexing="ij")
    x, y = x.ravel(), y.ravel()
    hour = np.arange(hours)
    day = 1.1 + np.sin((hour % 24 - 9) / 24 * 2 * np.pi)
    level = rng.lognormal(0, 0.7, len(x))
    noise = rng.gamma(20, 1 / 20, (len(x), samples, hours))
    traffic = level[:, None, None] * day * noise
    users = traffic * rng.uniform(0.8, 1.2, (len(x), 1, 1))
    weights = {
        "poi": level * rng.uniform(0.5, 2, len(x)),
        "business_poi": level * rng.uniform(0.2, 3, len(x)),
        "population": rng.uniform(0.5, 2, len(x)),
    }
    return TrafficTable.from_arrays(
        x, y, traffic, users, intensities=weights if intensities else None, **kwargs
    )


@pytest.fixture
def table() -> TrafficTable:
    return make_table()


@pytest.fixture
def demand(table) -> Demand:
    return Demand.build(table, Scale.subscribers(table))


@pytest.fixture
def real_traffic() -> Path:
    """Path of the Nanchang traffic table; it may not be copied into the repository."""
    path = Path(__file__).resolve().parents[3] / "shared" / "data" / "nanchang" / "traffic.parquet"
    if not path.is_file():
        if os.environ.get("CI"):
            pytest.fail(f"the data folder is missing: {path}")
        pytest.skip("needs the Nanchang pack beside the repository (shared/data/nanchang)")
    return path
