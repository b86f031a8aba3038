"""Multi-positive contrastive learning of the encoder (section 3.2 of the paper): open data only, no traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from opendiff.encoder.backbone import Trunk
from opendiff.encoder.encoder import Encoder
from opendiff.open_data.features import TileFeatures
from opendiff.storage.resume import UNSAVED, TrainingState
from plannerbase.progress import Progress


@dataclass(frozen=True)
class EncoderTraining:
    """Multi-positive contrastive learning of the image projector, beside a head that estimates POI and population."""

    epochs: int = 150  # more make tokens of training tiles tell more of their POI than those of new ones
    learning_rate: float = 4e-3  # the highest of the one-cycle schedule
    weight_decay: float = 0.5
    temperature: float = 0.1  # tau of eq. 6
    input_noise: float = 1.0  # standard deviations of the trunk statistics
    head_weight: float = 4.0  # of the head's loss, against eq. 6


def positive_pairs(features: TileFeatures, rows: np.ndarray, proximity: bool = True) -> np.ndarray:
    """For each of `rows` its positives among `rows`: nearest by POI cosine, by population cosine (eq. 4), and, with
    `proximity`, by distance.

    Returns (rows, rows) bool. A tile without POI or population has no positive by it, and is nobody's.
    """
    count = len(rows)
    positive = np.zeros((count, count), bool)
    x, y = features.tiles["x"].to_numpy()[rows], features.tiles["y"].to_numpy()[rows]
    nearness = -((x[:, None] - x) ** 2.0 + (y[:, None] - y) ** 2.0)
    counts = features.poi[rows, :-1] ** 2  # the features are roots, the last of their sum
    strips = np.exp(features.population[rows, :-2])  # and logarithms, the last two of sum and spread
    ways = (
        (nearness, np.full(count, proximity)),
        (cosine(counts), features.has_poi[rows]),
        (cosine(strips), features.has_population[rows]),
    )
    for similarity, known in ways:
        similarity = np.where(known[None, :], similarity, -np.inf)
        np.fill_diagonal(similarity, -np.inf)
        if known.sum() > 1:
            anchors = np.flatnonzero(known)
            positive[anchors, similarity[anchors].argmax(axis=1)] = True
    return positive


def cosine(vectors: np.ndarray) -> np.ndarray:
    """Cosine similarity of all pairs of rows, (rows, rows); eq. 4."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit @ unit.T


def multi_positive_loss(embedded: Tensor, positive: Tensor, temperature: float) -> Tensor:
    """Eq. 6: mean over anchors of the mean over their positives of -log softmax of the similarity to all others.

    embedded: (rows, width); positive: (rows, rows) bool; anchors without positives are left out.
    """
    unit = functional.normalize(embedded, dim=-1)
    similarity = unit @ unit.T / temperature
    similarity = similarity.masked_fill(torch.eye(len(unit), dtype=torch.bool, device=unit.device), -1e9)
    log_share = functional.log_softmax(similarity, dim=-1)
    count = positive.sum(-1)
    return -((log_share * positive).sum(-1)[count > 0] / count[count > 0]).mean()


def head_targets(features: TileFeatures, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """What the head estimates of `rows`: POI features and the population's sum and spread, (rows, 17) of zero mean and
    unit variance; and the mask (rows,) of the tiles that have both. A modality that no tile has is not asked for."""
    known = [has | ~has.any() for has in (features.has_poi, features.has_population)]
    both = torch.from_numpy((known[0] & known[1])[rows])
    target = torch.from_numpy(np.column_stack([features.poi, features.population[:, -2:]])[rows]).float()
    return (target - target[both].mean(0)) / (target[both].std(0) + 1e-6), both


def train_encoder(
    trunk: Trunk,
    features: TileFeatures,
    views: np.ndarray,
    has_imagery: np.ndarray,
    seed: int = 0,
    training: EncoderTraining = EncoderTraining(),
    progress: Progress | None = None,
    state: TrainingState = UNSAVED,
    proximity: bool = True,
    others: Sequence[TileFeatures] = (),
) -> Encoder:
    """An encoder fitted on the tiles of `features`, without any traffic; `proximity` as of `positive_pairs`. Tiles of
    `others`, further cities, tell the mixes of POI categories only.

    views: (views, tiles, 512) trunk statistics of each tile's image turned and mirrored; the first is as it is. An
    interrupted training goes on from `state`.
    """
    torch.manual_seed(seed)
    encoder = Encoder()
    encoder.trunk = trunk
    encoder.fit_bottlenecks(features, *others)
    rows = np.flatnonzero(has_imagery)
    projector = encoder.image
    plain = torch.from_numpy(views[0, rows])
    projector.input_mean.copy_(plain.mean(0))
    projector.input_std.copy_(plain.std(0) + 1e-6)
    turned = torch.from_numpy(views[:, rows])
    positive = torch.from_numpy(positive_pairs(features, rows, proximity))
    target, counted = head_targets(features, rows)
    head = nn.Linear(projector.output_mean.shape[0], target.shape[1])
    parameters = [*projector.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, weight_decay=training.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, training.learning_rate, total_steps=training.epochs
    )
    projector.train()
    every = torch.arange(len(rows))
    learned = {"projector": projector, "head": head}
    done, _ = state.restore(learned, optimiser, schedule)
    for epoch in range(done, training.epochs):
        view = torch.randint(len(turned), (len(rows),))
        seen = projector.standardise(turned[view, every])
        embedded = projector.layers(seen + training.input_noise * torch.randn_like(seen))
        loss = multi_positive_loss(embedded, positive, training.temperature)
        loss = loss + training.head_weight * functional.smooth_l1_loss(
            head(embedded)[counted], target[counted]
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        state.offer(epoch + 1, learned, optimiser, schedule)
        if progress:
            progress(epoch + 1, training.epochs, "encoder")
    encoder.eval()
    with torch.no_grad():
        embedded = projector.layers(projector.standardise(plain))
        projector.output_mean.copy_(embedded.mean(0))
        projector.output_std.copy_(embedded.std(0) + 1e-6)
    return encoder
