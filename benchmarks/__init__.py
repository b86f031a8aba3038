"""Measurements that go with the product: `python -m benchmarks NAME`. One module a benchmark; the figures of each are a
flat JSON object, figure name to number. Heavy imports wait until a benchmark needs them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # of the repository
