"""`python -m opendiff train`: the encoder or the sampler of a model, on a pack with traffic."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from opendiff.commands.parsers import Commands
from opendiff.errors import OpenDiffError
from plannerbase.progress import StageBars

if TYPE_CHECKING:
    from opendiff.open_data.sources import PackSource


def add_command(commands: Commands) -> None:
    parser = commands.add_parser("train", help="train the encoder or the sampler on a pack with traffic")
    parser.add_argument("part", choices=("encoder", "sampler"))
    parser.add_argument("--model", choices=("default", "paper"), default="default")
    parser.add_argument(
        "--data", required=True, action="append", type=Path, metavar="PACK",
        help="a pack with traffic; the model default takes several, of which others may have people present instead",
    )  # fmt: skip
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the weights")
    parser.add_argument("--epochs", type=int, default=None, help="of the model paper (default: the model's)")
    parser.add_argument(
        "--pixels", type=int, default=None, help="image side that the encoder of the model paper sees"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from opendiff.open_data.sources import PackSource
    from opendiff.storage.checksums import write_checksums

    check_options(options)
    packs = [PackSource(path) for path in options.data]
    if options.model == "paper" and len(packs) > 1:
        raise OpenDiffError("The model paper is trained on one pack; give one --data.")
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    path = train_paper(packs[0], options) if options.model == "paper" else train_default(packs, options)
    write_checksums(options.out)
    print(f"{path}, {time.perf_counter() - started:.0f} s")


def check_options(options: argparse.Namespace) -> None:
    """Raises OpenDiffError for options that do not belong to the model or its part."""
    if options.model != "paper":
        if options.epochs is not None or options.pixels is not None:
            raise OpenDiffError(
                "--epochs and --pixels belong to --model paper; leave them out or name that model."
            )
        return
    if options.epochs is not None and options.epochs < 1:
        raise OpenDiffError(f"{options.epochs} epochs are not usable; choose at least 1.")
    if options.part == "sampler" and options.pixels is not None:
        raise OpenDiffError("--pixels is a matter of the encoder; the sampler takes the encoder as it is.")


def train_default(packs: list[PackSource], options: argparse.Namespace) -> Path:
    from opendiff.default.pack_training import train_encoder_on, train_sampler_on

    named = " ".join(f"--data {pack.name}" for pack in packs)
    command = f"python -m opendiff train {options.part} {named} --seed {options.seed}"
    if options.part == "encoder":  # which learns on the CPU, whatever the device
        return train_encoder_on(packs, options.out, options.seed, command, StageBars())
    return train_sampler_on(packs, options.out, options.seed, command, _training_device(options), StageBars())


def train_paper(pack: PackSource, options: argparse.Namespace) -> Path:
    from opendiff.paper.pack_training import train_encoder_on, train_sampler_on

    command = (
        f"python -m opendiff train {options.part} --model paper --data {pack.name} --seed {options.seed}"
    )
    place = pack, options.out, options.seed, command
    settings = {"epochs": options.epochs, "device": _training_device(options), "progress": StageBars()}
    if options.part == "encoder":
        return train_encoder_on(*place, options.pixels, **settings)
    return train_sampler_on(*place, **settings)


def _training_device(options: argparse.Namespace) -> str:
    """The CPU unless a GPU is asked for by name: only there weights can be made again bit for bit."""
    return "cpu" if options.device == "auto" else options.device
