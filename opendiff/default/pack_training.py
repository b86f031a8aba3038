"""The stages that `python -m opendiff train` runs on packs; an interrupted one goes on where it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from opendiff.default.model import FILE
from opendiff.default.training import train_cities
from opendiff.encoder import weights as encoder_weights
from opendiff.encoder.contrastive import train_encoder
from opendiff.encoder.weights import load_encoder, pretrained_trunk
from opendiff.errors import SourceError
from opendiff.open_data.sources import PackSource
from opendiff.storage.checkpoint import write_checkpoint
from opendiff.storage.resume import TrainingState, fingerprint
from opendiff.training_data import read_city, read_training_data
from plannerbase.progress import Progress


def train_encoder_on(
    packs: Sequence[PackSource], out: Path, seed: int, command: str, progress: Progress | None = None
) -> Path:
    """Fit the encoder: image tokens on all tiles of the first pack with imagery or POI, mixes of POI on all packs.
    Returns the file of its weights."""
    trunk = pretrained_trunk()
    data = read_training_data(packs[0], trunk, progress)
    others = [read_city(pack, trunk).features for pack in packs[1:]]
    rows = data.has_imagery | data.features.has_poi
    path = out / encoder_weights.FILE
    part = data.features.take(rows)
    mixes = [city.poi_mix for city in (part, *others)]
    state = TrainingState(path.with_suffix(".state"), fingerprint(seed, data.views[:, rows], *mixes))
    encoder = train_encoder(
        trunk,
        part,
        data.views[:, rows],
        data.has_imagery[rows],
        seed,
        progress=progress,
        state=state,
        others=others,
    )
    write_checkpoint(path, encoder.state_dict(), {"model": "encoder", "command": command})
    state.finish()
    return path


def train_sampler_on(
    packs: Sequence[PackSource],
    out: Path,
    seed: int,
    command: str,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Path:
    """Fit the model on all tiles of the packs with traffic or people present, by the encoder in `out` or else the
    shipped one; returns the file of its weights. Raises SourceError."""
    own = out / encoder_weights.FILE
    encoder = load_encoder(own) if own.is_file() else load_encoder()
    cities = []
    for number, pack in enumerate(packs):
        cities.append(read_city(pack, encoder.trunk).city(encoder))
        if progress:
            progress(number + 1, len(packs), "packs")
    if not any(city.has_traffic.any() for city in cities):
        raise SourceError("None of the packs has traffic.parquet; training needs one that has.")
    path = out / FILE
    told = (part for city in cities for part in (city.conditions.tokens, city.series, city.presence))
    key = fingerprint(seed, *(np.nan_to_num(part) for part in told))
    state = TrainingState(path.with_suffix(".state"), key)
    model = train_cities(cities, seed, device=device, progress=progress, state=state)
    model.save(path, {"command": command})
    state.finish()
    return path
