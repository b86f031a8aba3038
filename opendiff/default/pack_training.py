"""The stages that `python -m opendiff train` runs on a pack; an interrupted one goes on where it was."""

from __future__ import annotations

from pathlib import Path

from opendiff.default.model import FILE
from opendiff.default.training import train_model
from opendiff.encoder import weights as encoder_weights
from opendiff.encoder.weights import load_encoder, pretrained_trunk
from opendiff.open_data.sources import PackSource
from opendiff.progress import Report
from opendiff.storage.checkpoint import write_checkpoint
from opendiff.storage.resume import TrainingState, fingerprint
from opendiff.training_data import read_training_data


def train_encoder_on(
    pack: PackSource, out: Path, seed: int, command: str, report: Report | None = None
) -> Path:
    """Fit the encoder on all tiles of the pack with imagery or POI; returns the file of its weights."""
    trunk = pretrained_trunk()
    data = read_training_data(pack, trunk, report)
    rows = data.has_imagery | data.features.has_poi
    path = out / encoder_weights.FILE
    state = TrainingState(path.with_suffix(".state"), fingerprint(seed, data.views[:, rows]))
    encoder = data.encoder(trunk, rows, seed, report, state)
    write_checkpoint(path, encoder.state_dict(), {"model": "encoder", "command": command})
    state.finish()
    return path


def train_sampler_on(
    pack: PackSource, out: Path, seed: int, command: str, device: str = "cpu", report: Report | None = None
) -> Path:
    """Fit the model on all tiles of the pack with traffic, by the encoder in `out` or else the shipped one; returns the
    file of its weights."""
    data = read_training_data(pack, pretrained_trunk(), report, turned=False)
    own = out / encoder_weights.FILE
    conditions = data.conditions(load_encoder(own) if own.is_file() else load_encoder())
    rows = data.has_traffic
    path = out / FILE
    key = fingerprint(seed, conditions.tokens[rows], data.series[rows])
    state = TrainingState(path.with_suffix(".state"), key)
    model = train_model(
        conditions.take(rows), data.series[rows], data.log_intensities[rows], data.blocks[rows], seed,
        device=device, report=report, state=state,
    )  # fmt: skip
    model.save(path, {"command": command})
    state.finish()
    return path
