"""`python -m opendiff bundle`: a bundled region, from a pack."""

from __future__ import annotations

import argparse
from pathlib import Path

from opendiff.commands.parsers import Commands
from plannerbase.counting import counted


def add_command(commands: Commands) -> None:
    parser = commands.add_parser("bundle", help="build a bundled region from a pack with the shipped weights")
    parser.add_argument("--data", required=True, type=Path, metavar="PACK")
    parser.add_argument("--region", default="nanchang", metavar="NAME", help="its name (default: nanchang)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from opendiff.demo import build_demo, region_name
    from opendiff.generator import TrafficGenerator
    from opendiff.open_data.sources import PackSource
    from opendiff.storage.checksums import write_checksums
    from opendiff.storage.shipped import CHECKPOINTS

    write_checksums(CHECKPOINTS)  # of weights that have just been put there
    region = region_name(f"demo:{options.region}")
    count = build_demo(TrafficGenerator.from_weights(None, "cpu"), PackSource(options.data), region)
    write_checksums(CHECKPOINTS)
    print(f"{counted(count, 'tiles')} in {CHECKPOINTS}")
