"""ADAPTIVE: Zhang et al., "Deep transfer learning for city-scale cellular traffic generation through urban knowledge
graph", KDD 2023.

Kept: the generator learns in a source city only (it is KEGAN's); the target city's embedding is smoothed over its
graph and aligned with the source's, by contrast to the centres of the source's traffic clusters and by moments.
Left out: the alignment of POI categories by divergence, because the stations of Beijing come without POI; the graph is
that of the nearest embeddings, because they come without positions. The weeks of the target's training rows say which
cluster a row is drawn to and set the scale of the traffic; the generator never learns from them.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn
from torch.nn import functional

from opendiff.baselines.csdi import descend
from opendiff.baselines.harness import Budget, RootScale, Standard, TileConditions
from opendiff.baselines.ke_gan import Kegan

CLUSTERS, NEIGHBOURS = 8, 8
HIDDEN, TEMPERATURE, MOMENTS_WEIGHT = 64, 0.5, 1.0
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-2


class Adaptive:
    """source: conditions and series of every row of the other city."""

    def __init__(self, source: tuple[TileConditions, np.ndarray]):
        self.source = source

    def fit(self, conditions: TileConditions, series: np.ndarray, seed: int, budget: Budget) -> Self:
        """conditions, series: of the target city, of which no week is learned from (see above)."""
        told, weeks = self.source
        self.kegan = Kegan().fit(told, weeks, seed, budget)
        self.scale = RootScale.of(series[:, 0])
        self.standard = Standard.of(conditions.graph)
        embedding = smoothed(self.standard(conditions.graph).numpy())
        aim = smoothed(self.kegan.standard(told.graph).numpy())
        scaled_source = self.kegan.scale.scaled(weeks[:, 0])
        clusters = KMeans(CLUSTERS, n_init=4, random_state=seed).fit(scaled_source)
        centres = np.stack(
            [aim[clusters.labels_ == number].mean(axis=0) for number in np.unique(clusters.labels_)]
        )
        drawn_to = clusters.predict(self.scale.scaled(series[:, 0]))
        self.align = aligned(embedding, drawn_to, centres, aim, seed, budget)
        return self

    def sample(self, conditions: TileConditions, samples: int, seed: int) -> np.ndarray:
        """Traffic (rows, samples, 168) of the target city, on its own scale."""
        with torch.no_grad():
            told = self.align(torch.from_numpy(smoothed(self.standard(conditions.graph).numpy()))).numpy()
        told = told * self.kegan.standard.deviation + self.kegan.standard.mean
        asked = TileConditions(conditions.vectors, told.astype(np.float32), conditions.groups)
        made = self.kegan.scale.scaled(self.kegan.sample(asked, samples, seed))
        return self.scale.traffic(made)


def smoothed(embedding: np.ndarray) -> np.ndarray:
    """Embedding (rows, width) averaged twice over the nearest rows: a graph convolution without weights (Wu et al.,
    ICML 2019)."""
    neighbours = min(NEIGHBOURS, len(embedding) - 1)
    if neighbours < 1:
        return embedding
    near = NearestNeighbors(n_neighbors=neighbours).fit(embedding).kneighbors(return_distance=False)
    for _ in range(2):
        embedding = 0.5 * embedding + 0.5 * embedding[near].mean(axis=1)
    return embedding.astype(np.float32)


def aligned(
    embedding: np.ndarray,
    drawn_to: np.ndarray,
    centres: np.ndarray,
    aim: np.ndarray,
    seed: int,
    budget: Budget,
) -> nn.Module:
    """A network that takes embeddings (rows, width) of the target near the centre (clusters, other width) that each is
    drawn to, and gives them the mean and deviation of `aim` (source rows, other width)."""
    torch.manual_seed(seed)
    told, label = torch.from_numpy(embedding), torch.from_numpy(drawn_to).long()
    goals, source = torch.from_numpy(centres), torch.from_numpy(aim)
    network = nn.Sequential(
        nn.Linear(told.shape[1], HIDDEN), nn.GELU(), nn.Dropout(0.2), nn.Linear(HIDDEN, source.shape[1])
    )
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(budget.updates):
        moved = network(told)
        contrast = functional.cross_entropy(-torch.cdist(moved, goals) / TEMPERATURE, label)
        descend(contrast + MOMENTS_WEIGHT * moments_apart(moved, source), optimiser)
    return network.eval()


def moments_apart(one: Tensor, other: Tensor) -> Tensor:
    """Mean square difference of the columns' means and deviations."""
    return (one.mean(0) - other.mean(0)).square().mean() + (one.std(0) - other.std(0)).square().mean()
