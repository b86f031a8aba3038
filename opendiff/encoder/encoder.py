"""The encoder: open data of tiles -> condition tokens.

Imagery goes through a frozen trunk (`backbone`) and a projector that is trained by multi-positive contrastive learning
(eq. 4-6 of the paper, `contrastive`). Counts of the tile and of the tiles around it are told as log densities in
physical units, the mix of POI categories through linear bottlenecks. Each modality gives a token of its own, so any of
them may be missing.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from opendiff.conditions import INTENSITIES, TOKEN_PARTS, TOKEN_WIDTHS, Conditions
from opendiff.device import side_by_side
from opendiff.encoder.backbone import STAGES, Trunk
from opendiff.encoder.embeddings import EmbeddingCache, image_key
from opendiff.open_data.features import MIX_WIDTH, TOTALS, TileFeatures
from plannerbase.progress import Progress

TAPPED_STAGES = (1, 2, 3, 4)
IMAGE_FEATURES = 2 * sum(STAGES[stage][-1] for stage in TAPPED_STAGES)  # mean and deviation of each channel
TOTAL_CENTRE = 4.0  # of the log densities, so that tokens lie about 0
TOKEN_ROWS = 256  # tiles a call of projector and bottlenecks
IMAGE_BATCH = 4  # small batches stay in the cache: three times the images a second of 32
IMAGE_BATCH_ON_GPU = 128


class LinearBottleneck(nn.Module):
    """Principal components: centre, then project on the leading directions, which keep their relative scale; the first
    gets unit variance."""

    mean: Tensor
    directions: Tensor

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("directions", torch.zeros(inputs, outputs))

    def forward(self, values: Tensor) -> Tensor:
        return (values - self.mean) @ self.directions

    def fit(self, values: np.ndarray) -> None:
        """values: (rows, inputs); without rows the token stays 0."""
        if not len(values):
            return
        mean = values.mean(axis=0)
        _, singular, directions = np.linalg.svd(values - mean, full_matrices=False)
        leading = max(singular[0] / np.sqrt(len(values)), 1e-6)
        directions = directions[: self.directions.shape[1]].T / leading
        self.mean.copy_(torch.from_numpy(mean))
        self.directions[:, : directions.shape[1]].copy_(torch.from_numpy(directions))


class Bottlenecks(nn.Module):
    """What mix of categories a tile and its window have, from their log densities side by side."""

    def __init__(self, inputs: int, around: int, widths: tuple[int, ...]):
        super().__init__()
        self.inputs = inputs
        self.own = LinearBottleneck(inputs, widths[0])
        self.around = LinearBottleneck(around, widths[1])

    def forward(self, mix: Tensor) -> Tensor:
        """(rows, sum of widths) of mix (rows, inputs + around)."""
        return torch.cat([self.own(mix[:, : self.inputs]), self.around(mix[:, self.inputs :])], dim=-1)

    def fit(self, mix: np.ndarray) -> None:
        """mix: (rows, inputs + around)."""
        self.own.fit(mix[:, : self.inputs])
        self.around.fit(mix[:, self.inputs :])


class ImageProjector(nn.Module):
    """Trunk statistics (rows, 512) -> image tokens (rows, 16), zero mean and unit variance over the training tiles."""

    input_mean: Tensor
    input_std: Tensor
    output_mean: Tensor
    output_std: Tensor

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
        """Each statistic to zero mean and unit variance over the training tiles."""
        return (features - self.input_mean) / self.input_std

    def forward(self, features: Tensor) -> Tensor:
        return (self.layers(self.standardise(features)) - self.output_mean) / self.output_std


class Encoder(nn.Module):
    """Trunk, projector and bottlenecks. checksum: of the weights file, "" where the weights are in no file."""

    def __init__(self) -> None:
        super().__init__()
        self.checksum = ""
        self.image_batch: int | None = None  # None: what the device takes; less where its memory ran out
        self.trunk = Trunk(TAPPED_STAGES)
        self.image = ImageProjector()
        self.poi = Bottlenecks(MIX_WIDTH, MIX_WIDTH, TOKEN_PARTS[1][1:])
        self.osm_poi = Bottlenecks(MIX_WIDTH, MIX_WIDTH, TOKEN_PARTS[2][1:])

    def fit_bottlenecks(self, *cities: TileFeatures) -> None:
        """Fit everything that needs no gradient, each modality on the tiles of all cities that have it."""
        self.poi.fit(np.concatenate([city.poi_mix[city.has_poi] for city in cities]))
        self.osm_poi.fit(np.concatenate([city.osm_mix[city.has_osm_poi] for city in cities]))

    def image_features(self, images: np.ndarray, progress: Progress | None = None) -> np.ndarray:
        """Trunk statistics (images, 512) float32 of images (images, 256, 256, 3) uint8."""
        features = np.zeros((len(images), IMAGE_FEATURES), np.float32)
        device = self.image.input_mean.device
        batch = self.image_batch or (IMAGE_BATCH if device.type == "cpu" else IMAGE_BATCH_ON_GPU)
        starts = range(0, len(images), batch)

        def run(start: int) -> int:
            # always a whole batch: one of another size may round otherwise, and an image must not depend on the others
            row = np.minimum(np.arange(start, start + batch), len(images) - 1)
            done = min(start + batch, len(images))
            features[start:done] = self._trunk_statistics(images[row])[: done - start]
            return done

        for done in side_by_side(run, starts, device):
            if progress:
                progress(done, len(images), "image features")
        return features

    @torch.inference_mode()
    def _trunk_statistics(self, images: np.ndarray) -> np.ndarray:
        """Mean and standard deviation of every channel of the tapped stages, (images, 512)."""
        batch = torch.from_numpy(images).to(self.image.input_mean.device)
        batch = batch.permute(0, 3, 1, 2).float() / 127.5 - 1  # 0..255 to -1..1
        maps = self.trunk(batch.contiguous(memory_format=torch.channels_last))
        statistics = [part for plane in maps for part in (plane.mean((2, 3)), plane.std((2, 3)))]
        return torch.cat(statistics, dim=1).cpu().numpy()

    def image_tokens(self, images: np.ndarray, cache: EmbeddingCache | None = None) -> np.ndarray:
        """Image tokens (images, 16) float32 of images (images, 256, 256, 3) uint8, those that `cache` knows from it."""
        keys = [] if cache is None else [image_key(image) for image in images]
        known = cache.read(keys) if cache else {}
        new = np.array([row for row in range(len(images)) if not keys or keys[row] not in known], int)
        tokens = np.zeros((len(images), TOKEN_WIDTHS[0]), np.float32)
        if len(new):
            tokens[new] = self.project(self.image_features(images[new]))
        if cache and len(new):
            cache.write({keys[row]: tokens[row] for row in new})
        for row, key in enumerate(keys):
            if key in known:
                tokens[row] = known[key]
        return tokens

    @torch.inference_mode()
    def project(self, image_features: np.ndarray) -> np.ndarray:
        """Image tokens (images, 16) float32 of trunk statistics (images, 512)."""
        return self._run(self.image, image_features)

    @torch.inference_mode()
    def tokens(self, features: TileFeatures, image_tokens: np.ndarray, has_imagery: np.ndarray) -> Conditions:
        """Conditions of the tiles of `features`; image_tokens (tiles, 16) counts where has_imagery (tiles,)."""
        totals = features.totals - TOTAL_CENTRE
        known = np.asarray(np.isfinite(totals).all(axis=2))
        counted = {
            "poi": features.has_poi,
            "osm_poi": features.has_osm_poi,
            "population": features.has_population,
        }
        for number, name in enumerate(TOTALS):
            known[:, number] &= counted.get(name, True)
        present = np.column_stack([has_imagery, known])
        mixes = {
            "poi": self._run(self.poi, features.poi_mix), "osm_poi": self._run(self.osm_poi, features.osm_mix),
        }  # fmt: skip
        tokens = [image_tokens]
        for number, name in enumerate(TOTALS):
            tokens.append(
                np.column_stack([totals[:, number], mixes[name]] if name in mixes else [totals[:, number]])
            )
        tokens = [np.where(present[:, [number]], token, 0) for number, token in enumerate(tokens)]
        intensities = dict(zip(INTENSITIES, features.intensities().T, strict=True))
        # Half precision is what the bundled region ships in, so every source gets it: one tile, one condition.
        half = np.concatenate(tokens, axis=1).astype(np.float16).astype(np.float32)
        trust = features.reliability.astype(np.float32)
        return Conditions(features.tiles, half, present, trust, intensities=intensities)

    def _run(self, module: nn.Module, *values: np.ndarray) -> np.ndarray:
        """Output (rows, width) of a module for inputs (rows, ...), in calls of one size: products of matrices of
        another shape may round otherwise, and a tile's tokens must not depend on the others."""
        device = self.image.input_mean.device
        inputs = [torch.from_numpy(part).float() for part in values]
        rows = len(inputs[0])
        parts = []
        for start in range(0, rows, TOKEN_ROWS):
            row = torch.arange(start, start + TOKEN_ROWS).clamp_max(rows - 1)
            parts.append(module(*(part[row].to(device) for part in inputs))[: rows - start].cpu())
        return torch.cat(parts).numpy()
