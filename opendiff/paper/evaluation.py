"""The published method on tiles that neither its encoder nor its sampler has seen, fold by fold.

A fold takes an encoder, a sampler and 400 network calls a week, so every finished part is kept in a work folder.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from opendiff.base_generator import check_settings
from opendiff.errors import ModelError
from opendiff.open_data.sources import PackSource
from opendiff.paper.data import PaperData, read_paper_data
from opendiff.paper.encoder import EncoderConfig, EncoderTraining, train_image_encoder
from opendiff.paper.generator import ImageConditions, PaperGenerator
from opendiff.paper.model import PaperConfig, PaperModel
from opendiff.paper.training import SamplerTraining, train_paper_model
from opendiff.processes import in_processes
from opendiff.storage.resume import fingerprint
from opendiff.storage.work_folder import WorkFolder
from opendiff.week import HOURS
from plannerbase.progress import Progress

PAPER, UNGUIDED, SHUFFLED = "paper", "paper, guidance 0", "paper, another tile's condition"
PAPER_MODELS = (PAPER, UNGUIDED, SHUFFLED)
TILES_PER_PART = 8  # generated between two writes to the work folder


@dataclass(frozen=True)
class PaperSettings:
    """All that a fit of the published method depends on, beside data and seed."""

    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    encoder_training: EncoderTraining = field(default_factory=EncoderTraining)
    model: PaperConfig = field(default_factory=PaperConfig)
    sampler_training: SamplerTraining = field(default_factory=SamplerTraining)


def held_out_paper(
    pack: PackSource,
    names: list[str],
    samples: int,
    seed: int,
    work: Path | None = None,
    progress: Progress | None = None,
    settings: PaperSettings = PaperSettings(),
    device: str = "cpu",
    workers: int = 1,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Traffic (tiles with traffic, samples, 168) of those of PAPER_MODELS that are in `names`, every tile by a model
    that has not seen its fold; and how training went: for each fold the loss of the encoder beside what it is by
    chance, and that of the sampler.

    Tiles are in the order of the pack's `all_tiles`. work: a folder; what was finished there before is not done again.
    workers: processes that share the folds.
    """
    if unknown := [name for name in names if name not in PAPER_MODELS]:
        raise ModelError(f"There is no model {unknown[0]!r}; choose from: {'; '.join(PAPER_MODELS)}.")
    check_settings(samples, seed, settings.model.guidance_scale, settings.model.steps)
    data = read_paper_data(pack, settings.encoder.pixels)
    folder = WorkFolder(work)
    rows = data.has_traffic
    place = np.cumsum(rows) - 1
    ensembles = {name: np.zeros((rows.sum(), samples, data.series.shape[-1]), np.float32) for name in names}
    notes: dict[str, Any] = {"settings": asdict(settings), "folds": {}}
    every = np.unique(data.folds[rows]).tolist()
    alone = partial(
        _of_fold, data=data, names=names, samples=samples, seed=seed, settings=settings, folder=folder, device=device,
        progress=progress if workers == 1 else None,
    )  # fmt: skip
    for number, (fold, (made, losses)) in enumerate(
        zip(every, in_processes(alone, every, workers), strict=True)
    ):
        notes["folds"][str(fold)] = losses
        test = place[rows & (data.folds == fold)]
        for name in names:
            ensembles[name][test] = made[name]
        if progress:
            progress(number + 1, len(every), "folds")
    return ensembles, notes


def _of_fold(
    fold: int,
    data: PaperData,
    names: list[str],
    samples: int,
    seed: int,
    settings: PaperSettings,
    folder: WorkFolder,
    device: str,
    progress: Progress | None,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Traffic (tiles of the fold with traffic, samples, 168) by name, by models that have not seen it; and losses."""
    model, conditions, losses = fit_without(data, fold, seed, settings, folder, progress, device)
    generator = PaperGenerator(model, device=device)
    tested = data.has_traffic & (data.folds == fold)
    made = {name: np.zeros((tested.sum(), samples, HOURS), np.float32) for name in names}
    for has_image in (True, False):
        part = data.has_imagery[tested] == has_image
        for name in names:
            asked = conditions.take(tested & (data.has_imagery == has_image))
            asked = shuffled(asked, seed) if name == SHUFFLED else asked
            # without imagery guidance changes nothing, so the variants share these parts of the work folder
            guided = has_image and name != UNGUIDED
            scale = settings.model.guidance_scale if guided else 0.0
            made[name][part] = _generated(generator, asked, samples, seed, scale, folder, progress)
    return made, losses


def fit_without(
    data: PaperData,
    fold: int,
    seed: int,
    settings: PaperSettings,
    folder: WorkFolder,
    progress: Progress | None = None,
    device: str = "cpu",
) -> tuple[PaperModel, ImageConditions, dict[str, Any]]:
    """The model fitted without a fold, conditions of all tiles by an encoder fitted without it, and both losses."""
    others = data.folds != fold
    embedding, encoder_losses, encoder_key = _embeddings(
        data, others, seed, settings, folder, progress, device
    )
    known = data.has_imagery | data.features.has_poi | data.features.has_population
    conditions = ImageConditions(data.tiles, embedding, data.has_imagery, known)

    train = data.has_traffic & others
    key = fingerprint(
        encoder_key, settings.model, settings.sampler_training, seed, embedding, data.series[train], train
    )
    found = folder.read("sampler", key)
    if found is None:
        state = folder.training("sampler", key)
        model, losses = train_paper_model(
            embedding[train], data.has_imagery[train], data.series[train], seed, settings.model,
            settings.sampler_training, state=state, progress=progress, device=device,
        )  # fmt: skip
        found = {name: value.cpu().numpy() for name, value in model.state_dict().items()}, losses
        folder.write("sampler", key, *found)
        state.finish()
    weights, sampler_losses = found
    model = PaperModel(settings.model)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return model.eval(), conditions, {"encoder": encoder_losses, "sampler": sampler_losses}


def _embeddings(
    data: PaperData,
    others: np.ndarray,
    seed: int,
    settings: PaperSettings,
    folder: WorkFolder,
    progress: Progress | None,
    device: str,
) -> tuple[np.ndarray, Any, str]:
    """Embeddings (tiles, 128) of all tiles by an encoder fitted on `others` (tiles,) bool, 0 without imagery; how its
    training went; and the key of all that they were made from."""
    rows = np.flatnonzero(data.has_imagery & others)
    images, features = data.images[torch.from_numpy(rows)], data.features.take(rows)
    key = fingerprint(
        settings.encoder, settings.encoder_training, seed, rows, images, features.poi, features.population
    )
    found = folder.read("encoder", key)
    if found is None:
        state = folder.training("encoder", key)
        encoder, history = train_image_encoder(
            images, features, seed, settings.encoder, settings.encoder_training, device, state, progress
        )
        embedding = np.zeros((len(data.tiles), settings.encoder.width), np.float32)
        embedding[data.has_imagery] = encoder.embed(data.images[torch.from_numpy(data.has_imagery)])
        found = {"embedding": embedding}, history
        folder.write("encoder", key, *found)
        state.finish()
    return found[0]["embedding"], found[1], key


def shuffled(conditions: ImageConditions, seed: int) -> ImageConditions:
    """Every tile with imagery told the embedding of another: one cycle through all of them."""
    (present,) = np.nonzero(conditions.present)
    order = np.random.default_rng(seed).permutation(present)
    embedding = conditions.embedding.copy()
    embedding[order] = conditions.embedding[np.roll(order, 1)]
    return replace(conditions, embedding=embedding)


def _generated(
    generator: PaperGenerator,
    conditions: ImageConditions,
    samples: int,
    seed: int,
    guidance_scale: float,
    folder: WorkFolder,
    progress: Progress | None,
) -> np.ndarray:
    """Traffic (tiles, samples, 168), in parts of which each is kept when it is done."""
    count = len(conditions.tiles)
    traffic = np.zeros((count, samples, HOURS), np.float32)
    key = fingerprint(
        asdict(generator.model.config),
        *(value.cpu() for _, value in sorted(generator.model.state_dict().items())),
        conditions.embedding, conditions.present, conditions.tiles[["x", "y"]].to_numpy(), samples, seed,
        guidance_scale,
    )  # fmt: skip
    found = folder.read("weeks", key)
    done = 0
    if found is not None:
        traffic, done = found[0]["traffic"], found[1]
    # a call has one size, so a part fills at least one
    tiles_a_part = max(TILES_PER_PART, generator.rows_a_call // samples)
    while done < count:
        part = np.arange(done, min(done + tiles_a_part, count))
        traffic[part] = generator.generate(conditions.take(part), samples, seed, guidance_scale).traffic
        done += len(part)
        folder.write("weeks", key, {"traffic": traffic}, done)
        if progress:
            progress(done, count, "weeks")
    return traffic
