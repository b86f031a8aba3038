"""`python -m opendiff train`: the encoder or the sampler of a model, on a pack with traffic."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from opendiff.commands.parsers import Commands
from opendiff.errors import OpenDiffError
from opendiff.progress import StageBars


def add_command(commands: Commands) -> None:
    parser = commands.add_parser("train", help="train the encoder or the sampler on a pack with traffic")
    parser.add_argument("part", choices=("encoder", "sampler"))
    parser.add_argument("--model", choices=("default", "paper"), default="default")
    parser.add_argument("--data", required=True, type=Path, metavar="PACK")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the weights")
    parser.add_argument("--epochs", type=int, default=None, help="of the model paper (default: the model's)")
    parser.add_argument(
        "--pixels", type=int, default=None, help="image side that the encoder of the model paper sees"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    from opendiff.default.training import train_model
    from opendiff.generator import load_encoder
    from opendiff.open_data.sources import PackSource
    from opendiff.storage.checkpoint import write_checkpoint
    from opendiff.storage.checksums import write_checksums
    from opendiff.storage.resume import TrainingState, fingerprint
    from opendiff.training_data import pretrained_trunk, read_training_data

    if options.model == "paper":
        return train_paper(options)
    if options.epochs is not None or options.pixels is not None:
        raise OpenDiffError(
            "--epochs and --pixels belong to --model paper; leave them out or name that model."
        )
    pack = PackSource(options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    bar = StageBars()
    started = time.perf_counter()
    trunk = pretrained_trunk()
    data = read_training_data(pack, trunk, bar, turned=options.part == "encoder")
    command = f"python -m opendiff train {options.part} --data {pack.name} --seed {options.seed}"
    if options.part == "encoder":
        path = options.out / "encoder.safetensors"
        rows = data.has_imagery | data.features.has_poi
        state = TrainingState(path.with_suffix(".state"), fingerprint(options.seed, data.views[:, rows]))
        encoder = data.encoder(trunk, rows, options.seed, bar, state)
        write_checkpoint(path, encoder.state_dict(), {"model": "encoder", "command": command})
    else:
        own = options.out / "encoder.safetensors"
        encoder = load_encoder(own) if own.is_file() else load_encoder()
        conditions = data.conditions(encoder)
        rows = data.has_traffic
        path = options.out / "default.safetensors"
        key = fingerprint(options.seed, conditions.tokens[rows], data.series[rows])
        state = TrainingState(path.with_suffix(".state"), key)
        model = train_model(
            conditions.take(rows), data.series[rows], data.log_intensities[rows], data.blocks[rows], options.seed,
            device="cpu" if options.device == "auto" else options.device, report=bar, state=state,
        )  # fmt: skip
        model.save(path, {"command": command})
    state.finish()
    write_checksums(options.out)
    print(f"{path}, {time.perf_counter() - started:.0f} s")


def train_paper(options: argparse.Namespace) -> None:
    from opendiff.open_data.sources import PackSource
    from opendiff.paper.pack_training import train_encoder_on, train_sampler_on
    from opendiff.storage.checksums import write_checksums

    if options.epochs is not None and options.epochs < 1:
        raise OpenDiffError(f"{options.epochs} epochs are not usable; choose at least 1.")
    if options.part == "sampler" and options.pixels is not None:
        raise OpenDiffError("--pixels is a matter of the encoder; the sampler takes the encoder as it is.")
    pack = PackSource(options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    device = "cpu" if options.device == "auto" else options.device
    command = (
        f"python -m opendiff train {options.part} --model paper --data {pack.name} --seed {options.seed}"
    )
    settings = {"epochs": options.epochs, "device": device, "report": StageBars()}
    if options.part == "encoder":
        path = train_encoder_on(pack, options.out, options.seed, command, options.pixels, **settings)
    else:
        path = train_sampler_on(pack, options.out, options.seed, command, **settings)
    write_checksums(options.out)
    print(f"{path}, {time.perf_counter() - started:.0f} s")
