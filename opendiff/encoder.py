"""The encoder: open data of tiles -> condition tokens.

Imagery goes through a frozen trunk and a projector that is trained by multi-positive contrastive learning
(eq. 4-6 of the paper). POI, population and the neighbourhood go through linear bottlenecks. Each modality
gives a token of its own, so any of them may be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor, nn

from opendiff.backbone import STAGES, Trunk
from opendiff.conditions import INTENSITIES, MODALITIES, TOKEN_WIDTHS, Conditions
from opendiff.features import NEIGHBOURHOOD_WIDTH, POI_WIDTH, POPULATION_WIDTH, TileFeatures

TAPPED_STAGES = (1, 2, 3, 4)
IMAGE_FEATURES = 2 * sum(STAGES[stage][-1] for stage in TAPPED_STAGES)  # mean and deviation of each channel
IMAGE_BATCH = 4  # small batches stay in the cache: three times the images a second of 32
Progress = Callable[[int, int], None]  # (done, total)
Report = Callable[[str, int, int], None]  # (what, done, total)


class Bottleneck(nn.Module):
    """Centre, then project on the leading principal directions, which keep their relative scale.

    `standardised` gives every input the same weight and the first direction unit variance. Without it inputs keep
    their own scale: log counts of POI tell more of traffic than anything else, and a larger token is noised and
    shrunk less by what comes after.
    """

    def __init__(self, inputs: int, outputs: int, standardised: bool = True):
        super().__init__()
        self.standardised = standardised
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("directions", torch.zeros(inputs, outputs))

    def forward(self, values: Tensor) -> Tensor:
        return (values - self.mean) @ self.directions

    def fit(self, values: np.ndarray) -> None:
        """values: (rows, inputs)."""
        mean = values.mean(axis=0)
        scale = values.std(axis=0) + 1e-6 if self.standardised else np.ones(values.shape[1])
        _, singular, directions = np.linalg.svd((values - mean) / scale, full_matrices=False)
        leading = singular[0] / np.sqrt(len(values)) if self.standardised else 1.0
        outputs = self.directions.shape[1]
        self.mean.copy_(torch.from_numpy(mean))
        self.directions.copy_(torch.from_numpy(directions[:outputs].T / scale[:, None] / leading))


class ImageProjector(nn.Module):
    """Trunk statistics (rows, 512) -> image token (rows, 16) of zero mean and unit variance over the training
    tiles."""

    def __init__(self, hidden: int = 64, dropout: float = 0.5):
        super().__init__()
        self.register_buffer("input_mean", torch.zeros(IMAGE_FEATURES))
        self.register_buffer("input_std", torch.ones(IMAGE_FEATURES))
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(IMAGE_FEATURES, hidden),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, TOKEN_WIDTHS[0]),
        )
        self.register_buffer("output_mean", torch.zeros(TOKEN_WIDTHS[0]))
        self.register_buffer("output_std", torch.ones(TOKEN_WIDTHS[0]))

    def standardise(self, features: Tensor) -> Tensor:
        return (features - self.input_mean) / self.input_std

    def forward(self, features: Tensor) -> Tensor:
        return (self.layers(self.standardise(features)) - self.output_mean) / self.output_std


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = Trunk(TAPPED_STAGES)
        self.image = ImageProjector()
        self.poi = Bottleneck(POI_WIDTH, TOKEN_WIDTHS[1], standardised=False)
        self.population = Bottleneck(POPULATION_WIDTH, TOKEN_WIDTHS[2])
        self.neighbourhood = Bottleneck(NEIGHBOURHOOD_WIDTH, TOKEN_WIDTHS[3])

    def image_features(self, images: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """Trunk statistics (images, 512) float32 of images (images, 256, 256, 3) uint8."""
        features = np.zeros((len(images), IMAGE_FEATURES), np.float32)
        starts = range(0, len(images), IMAGE_BATCH)

        def run(start: int) -> int:
            part = slice(start, start + IMAGE_BATCH)
            features[part] = self._trunk_statistics(images[part])
            return min(start + IMAGE_BATCH, len(images))

        for done in _side_by_side(run, starts, self.image.input_mean.device):
            if progress:
                progress(done, len(images))
        return features

    @torch.inference_mode()
    def _trunk_statistics(self, images: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(images).to(self.image.input_mean.device)
        batch = batch.permute(0, 3, 1, 2).float() / 127.5 - 1
        maps = self.trunk(batch.contiguous(memory_format=torch.channels_last))
        statistics = [part for m in maps for part in (m.mean((2, 3)), m.std((2, 3)))]
        return torch.cat(statistics, dim=1).cpu().numpy()

    @torch.inference_mode()
    def tokens(
        self, features: TileFeatures, image_features: np.ndarray, has_imagery: np.ndarray
    ) -> Conditions:
        """Conditions of the tiles of `features`; image_features (tiles, 512) counts where has_imagery
        (tiles,)."""
        device = self.image.input_mean.device

        def run(module: nn.Module, values: np.ndarray) -> np.ndarray:
            return module(torch.from_numpy(values).float().to(device)).cpu().numpy()

        present = np.column_stack(
            [has_imagery, features.has_poi, features.has_population, features.has_neighbourhood]
        )
        tokens = [
            run(self.image, image_features),
            run(self.poi, features.poi),
            run(self.population, features.population),
            run(self.neighbourhood, features.neighbourhood),
        ]
        tokens = [np.where(present[:, [m]], tokens[m], 0) for m in range(len(MODALITIES))]
        intensities = dict(zip(INTENSITIES, features.intensities().T, strict=True))
        # Half precision is what a demo region ships in, so every source gets it: one tile, one condition.
        half = np.concatenate(tokens, axis=1).astype(np.float16).astype(np.float32)
        return Conditions(features.tiles, half, present, intensities)


def _side_by_side(run: Callable[[int], int], starts: range, device: torch.device) -> Iterator[int]:
    """`run` of each start, in order. On a CPU several at once with one thread each, because small batches leave
    threads that share one of them mostly waiting for each other."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1 or len(starts) < 2:
        yield from map(run, starts)
        return
    try:
        with ThreadPoolExecutor(threads, "trunk", lambda: torch.set_num_threads(1)) as pool:
            yield from pool.map(run, starts)
    finally:
        torch.set_num_threads(threads)  # torch keeps the last number for threads that are still to come
