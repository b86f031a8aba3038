"""Command line: `python -m opendiff`. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from opendiff.commands import benchmark, evaluate, fetch, generate, train
from opendiff.errors import OpenDiffError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; exit status 0, or 2 with one line on standard error for bad input."""
    options = build_parser().parse_args(_box_is_no_option(sys.argv[1:] if arguments is None else arguments))
    try:
        options.run(options)
    except OpenDiffError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"cancelled; {options.kept}", file=sys.stderr)
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m opendiff", description="Hourly mobile traffic of any area from open data."
    )
    parser.set_defaults(kept="nothing was written")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("generate", help="traffic of an area, as an ensemble of weeks")
    generate.add_options(command)
    command.set_defaults(run=generate.run_generate)
    command = commands.add_parser(
        "fetch", help="open data of an area into a pack", description=fetch.DESCRIPTION
    )
    fetch.add_options(command)
    command.set_defaults(run=fetch.run_fetch, kept="what is fetched is kept")
    command = commands.add_parser("train", help="train the encoder or the sampler on a pack with traffic")
    train.add_options(command)
    command.set_defaults(run=train.run_train)
    command = commands.add_parser(
        "evaluate", help="spatial-block cross-validation against reference generators"
    )
    evaluate.add_options(command)
    command.set_defaults(run=evaluate.run_evaluate)
    command = commands.add_parser(
        "benchmark",
        help="the paper's tables: baselines, ablations, controllability",
        description=benchmark.DESCRIPTION,
    )
    benchmark.add_options(command)
    command.set_defaults(run=benchmark.run_benchmark, kept="what is finished is kept in --work")
    command = commands.add_parser(
        "bundle", help="build the bundled region from a pack with the shipped weights"
    )
    command.add_argument("--data", required=True, type=Path, metavar="PACK")
    command.set_defaults(run=run_bundle)
    command = commands.add_parser("info", help="versions, weights and devices")
    command.set_defaults(run=run_info)
    return parser


def run_bundle(options: argparse.Namespace) -> None:
    from opendiff.demo import build_demo
    from opendiff.generator import TrafficGenerator
    from opendiff.open_data.sources import PackSource
    from opendiff.storage.checksums import write_checksums
    from opendiff.storage.shipped import CHECKPOINTS

    count = build_demo(TrafficGenerator.from_weights(None, "cpu"), PackSource(options.data))
    write_checksums(CHECKPOINTS)
    print(f"{count} tiles in {CHECKPOINTS}")


def run_info(options: argparse.Namespace) -> None:
    import platform

    import torch

    from opendiff.area import tiles_bounds
    from opendiff.demo import DemoSource
    from opendiff.generator import SHIPPED, TrafficGenerator
    from opendiff.storage.checksums import file_checksum
    from opendiff.storage.shipped import CHECKPOINTS

    print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"CUDA device: {torch.cuda.get_device_name() if torch.cuda.is_available() else 'none'}")
    for path in sorted(CHECKPOINTS.glob("*.safetensors")):
        print(f"{path.name}  {path.stat().st_size / 1e6:.2f} MB  {file_checksum(path)}")
    for name in SHIPPED:
        model = TrafficGenerator.load(name, "cpu").model
        count = sum(parameter.numel() for parameter in model.parameters())
        print(
            f"model {name}: {count:,} parameters, {model.config.steps} steps, "
            f"guidance scale {model.config.guidance_scale:g}"
        )
    tiles = DemoSource().covered_tiles()
    print(
        f"bundled region: {len(tiles)} tiles, {','.join(f'{v:.3f}' for v in tiles_bounds(tiles))} (W,S,E,N)"
    )


def _box_is_no_option(arguments: list[str]) -> list[str]:
    """argparse takes a box that begins with a minus (west of Greenwich) for an option; a space before it
    helps."""
    return [f" {text}" if text[:1] == "-" and text.count(",") == 3 else text for text in arguments]
