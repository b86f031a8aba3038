"""`python -m opendiff bundle`: the bundled region, from a pack."""

from __future__ import annotations

import argparse
from pathlib import Path

from opendiff.commands.parsers import Commands


def add_command(commands: Commands) -> None:
    parser = commands.add_parser(
        "bundle", help="build the bundled region from a pack with the shipped weights"
    )
    parser.add_argument("--data", required=True, type=Path, metavar="PACK")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from opendiff.demo import build_demo
    from opendiff.generator import TrafficGenerator
    from opendiff.open_data.sources import PackSource
    from opendiff.storage.checksums import write_checksums
    from opendiff.storage.shipped import CHECKPOINTS

    write_checksums(CHECKPOINTS)  # of weights that have just been put there
    count = build_demo(TrafficGenerator.from_weights(None, "cpu"), PackSource(options.data))
    write_checksums(CHECKPOINTS)
    print(f"{count} tiles in {CHECKPOINTS}")
