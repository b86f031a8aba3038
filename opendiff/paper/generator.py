"""Traffic of an area by the model `paper`: imagery in, an ensemble of weeks out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from opendiff.area import Tiles
from opendiff.base_generator import TILES_PER_BATCH, ConditionSource, EnsembleGenerator, OpenDataSource
from opendiff.conditions import INTENSITIES, AreaConditions
from opendiff.device import rounded, side_by_side
from opendiff.errors import Cancelled, ModelError, SourceError
from opendiff.open_data.features import tile_features, with_halo
from opendiff.paper import encoder as image_encoder
from opendiff.paper import model as paper_model
from opendiff.paper.encoder import ImageEncoder, load_image_encoder, shrink
from opendiff.paper.model import PaperModel, Rows, load_paper_model, rows_a_call
from opendiff.week import HOURS, SERIES
from plannerbase.progress import Progress


@dataclass(frozen=True)
class ImageConditions(AreaConditions):
    """embedding: (tiles, 128) float32 of each tile's image, 0 where absent; present: (tiles,) bool; known: (tiles,)
    bool, whether the source has imagery, POI or population."""

    embedding: np.ndarray
    present: np.ndarray
    known: np.ndarray


class PaperGenerator(EnsembleGenerator[ImageConditions]):
    """The model `paper` with its image encoder on one device; `encoder` may be missing where conditions are at hand."""

    model: PaperModel
    _encoder: ImageEncoder | None

    def __init__(
        self, model: PaperModel, checksum: str = "", device: str = "cpu", encoder: ImageEncoder | None = None
    ):
        self.model, self.name, self.checksum, self.device = model.to(device), "paper", checksum, device
        self._encoder = encoder

    @property
    def rows_a_call(self) -> int:
        return self._call_rows or rows_a_call(self.device)

    @classmethod
    def from_weights(cls, weights: str | Path | None, device: str) -> PaperGenerator:
        """The model and encoder in the folder `weights`. Raises ModelError."""
        if weights is None:
            raise ModelError(
                "The model paper is too large to ship; train it with `python -m opendiff train encoder --model paper "
                "--data PACK --out DIR`, then `train sampler` likewise, and name its folder with --weights DIR."
            )
        encoder = load_image_encoder(Path(weights) / image_encoder.FILE).to(device)
        model, checksum = load_paper_model(Path(weights) / paper_model.FILE)
        return cls(model, checksum, device, encoder)

    @property
    def encoder_checksum(self) -> str:
        return "" if self._encoder is None else self._encoder.checksum

    def encode(
        self, source: OpenDataSource | ConditionSource, tiles: Tiles, progress: Progress | None
    ) -> ImageConditions:
        """Raises SourceError where the source has no imagery of any tile."""
        if hasattr(source, "conditions"):
            raise SourceError(
                f"The source {source.name} holds no imagery, which the model paper needs; name the folder of an "
                "offline data package that has it."
            )
        if self._encoder is None:
            raise ModelError(
                "This model came without its image encoder; load it from the folder that training made."
            )
        embedding = np.zeros((len(tiles), self.model.config.denoiser.condition_width), np.float32)
        present, known = np.zeros(len(tiles), bool), np.zeros(len(tiles), bool)
        for start in range(0, len(tiles), TILES_PER_BATCH):
            part = slice(start, start + TILES_PER_BATCH)
            data = source.open_data(tiles.iloc[part])
            present[part] = data.has_imagery
            known[part] = data.has_imagery | data.has_poi | data.has_population
            planes = shrink(data.imagery[data.has_imagery], self._encoder.config.pixels)
            embedding[np.flatnonzero(present[part]) + start] = self._encoder.embed(planes)
            if progress:
                progress(min(start + TILES_PER_BATCH, len(tiles)), len(tiles), "encode")
        if not present.any():
            raise SourceError(
                f"The source {source.name} has no imagery for this area, which the model paper needs; draw where it "
                "has some."
            )
        around = source.open_data(with_halo(tiles), imagery=False)
        counted = tile_features(tiles, around, source.poi_datum).intensities()
        return ImageConditions(
            tiles, embedding, present, known, intensities=dict(zip(INTENSITIES, counted.T, strict=True))
        )

    def informed(self, conditions: ImageConditions) -> np.ndarray:
        """A tile without imagery is generated without condition, if anything else says that it is there."""
        return conditions.known

    @torch.inference_mode()
    def weeks(
        self,
        conditions: ImageConditions,
        samples: range,
        seed: int,
        guidance_scale: float,
        steps: int,
        progress: Progress | None,
        cancelled: Callable[[], bool],
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """As the base class says; of the intensities, those that the source knows for every tile.

        For a tile without imagery both terms of eq. 8 are the same, so it is worth one pass, not two.
        """
        if steps != self.model.config.steps:
            raise ModelError(
                f"The model paper takes {self.model.config.steps} steps, not {steps}; leave the number of steps out."
            )
        out = np.empty((SERIES, len(conditions.tiles), len(samples), HOURS), np.float32)
        rows = out.reshape(SERIES, -1, HOURS)
        done = 0
        for has_condition in (True, False):
            (tiles,) = np.nonzero(conditions.present == has_condition)
            for row, weeks in self._weeks_of(
                conditions, tiles, samples, seed, guidance_scale if has_condition else 0.0
            ):
                rows[:, row] = weeks.swapaxes(0, 1)
                done += len(row)
                if progress:
                    progress(done, rows.shape[1], "generate")
                if cancelled():
                    raise Cancelled("Generation was cancelled.")
        known = {name: v for name, v in conditions.intensities.items() if np.isfinite(v).all()}
        return out, known

    def _weeks_of(
        self, conditions: ImageConditions, tiles: np.ndarray, samples: range, seed: int, guidance_scale: float
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Batches of (rows of the table, series (rows, 2, 168)) for some tiles, in calls of one size."""
        told = torch.from_numpy(np.where(conditions.present[:, None], conditions.embedding, 0)).float()
        x, y = (torch.from_numpy(conditions.tiles[axis].to_numpy(np.int64)) for axis in ("x", "y"))
        call_rows = self.rows_a_call
        empty = self.model.precompute_kv(torch.zeros(call_rows, told.shape[1], device=self.device))
        count = len(samples)
        every = torch.from_numpy((tiles[:, None] * count + np.arange(count)).reshape(-1))

        @torch.inference_mode()
        def call(start: int) -> tuple[np.ndarray, np.ndarray]:
            row = every[torch.arange(start, start + call_rows).clamp_max(len(every) - 1)]
            tile, sample = row // count, samples.start + row % count
            memory = self.model.precompute_kv(told[tile].to(self.device))
            if guidance_scale:
                memory = memory.followed_by(empty)
            rows = Rows(seed, *(part.to(self.device) for part in (x[tile], y[tile], sample)))
            series = rounded(self.model.sample(memory, rows, guidance_scale))
            kept = min(call_rows, len(every) - start)
            return row[:kept].numpy(), series[:kept].cpu().numpy()

        return side_by_side(call, range(0, len(every), call_rows), self.device)
