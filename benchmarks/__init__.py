"""Measurements that go with the product: `python -m benchmarks NAME`. One module a benchmark; the figures of each are a
flat JSON object, figure name to number. Heavy imports wait until a benchmark needs them."""

import compileall
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # of the repository

PACKAGES = ("plannerbase", "planning", "opendiff", "app")


def compile_packages() -> None:
    """Compile what is measured, as on installing it: some machines keep no bytecode of what they run."""
    for name in PACKAGES:
        compileall.compile_dir(ROOT / name, quiet=1)
