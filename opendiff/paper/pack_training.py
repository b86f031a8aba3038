"""The stages that `python -m opendiff train --model paper` runs on a pack; an interrupted one goes on where it was.

Those of `default`: `opendiff.default.pack_training`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from opendiff.open_data.sources import PackSource
from opendiff.paper import encoder as image_encoder
from opendiff.paper import model as paper_model
from opendiff.paper.data import read_paper_data
from opendiff.paper.encoder import (
    EncoderConfig,
    EncoderTraining,
    load_image_encoder,
    train_image_encoder,
)
from opendiff.paper.training import SamplerTraining, train_paper_model
from opendiff.storage.resume import TrainingState, fingerprint
from plannerbase.progress import Progress


def train_encoder_on(
    pack: PackSource,
    out: Path,
    seed: int,
    command: str,
    pixels: int | None = None,
    epochs: int | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Path:
    """Fit the image encoder on all tiles of the pack with imagery; returns the file of its weights."""
    config = EncoderConfig() if pixels is None else EncoderConfig(pixels=pixels)
    training = EncoderTraining() if epochs is None else replace(EncoderTraining(), epochs=epochs)
    data = read_paper_data(pack, config.pixels)
    rows = np.flatnonzero(data.has_imagery)
    images, features = data.images[torch.from_numpy(rows)], data.features.take(rows)
    key = fingerprint(config, training, seed, device, images, features.poi, features.population)
    path = out / image_encoder.FILE
    state = TrainingState(path.with_suffix(".state"), key)
    encoder, history = train_image_encoder(images, features, seed, config, training, device, state, progress)
    encoder.save(path, {"command": command, "loss_and_chance": history})
    state.finish()
    return path


def train_sampler_on(
    pack: PackSource,
    out: Path,
    seed: int,
    command: str,
    epochs: int | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Path:
    """Fit the sampler on all tiles of the pack with traffic, by the encoder in `out`; returns the file of its
    weights. Raises ModelError where there is no encoder."""
    encoder = load_image_encoder(out / image_encoder.FILE)
    training = SamplerTraining() if epochs is None else replace(SamplerTraining(), epochs=epochs)
    data = read_paper_data(pack, encoder.config.pixels)
    rows = data.has_traffic
    imaged = data.has_imagery[rows]
    condition = np.zeros((rows.sum(), encoder.config.width), np.float32)
    condition[imaged] = encoder.embed(data.images[torch.from_numpy(rows & data.has_imagery)])
    key = fingerprint(training, seed, device, condition, imaged, data.series[rows])
    path = out / paper_model.FILE
    state = TrainingState(path.with_suffix(".state"), key)
    model, history = train_paper_model(
        condition,
        imaged,
        data.series[rows],
        seed,
        training=training,
        device=device,
        state=state,
        progress=progress,
    )
    model.save(path, {"command": command, "loss": history})
    state.finish()
    return path
