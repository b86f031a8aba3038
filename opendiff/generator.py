"""Traffic of an area from open data by the model `default`, and the way to any model by its name.

Open data -> conditions (`encode`) -> an ensemble of weeks (`generate` of the base class, which asks `weeks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from opendiff.area import Tiles
from opendiff.base_generator import TILES_PER_BATCH, ConditionSource, EnsembleGenerator, OpenDataSource
from opendiff.conditions import INTENSITIES, TOKEN_WIDTHS, Conditions
from opendiff.default import card
from opendiff.default.denoiser import ConditionCache
from opendiff.default.model import (
    FILE,
    ROWS_PER_CALL_ON_GPU,
    TrafficModel,
    condition_tensors,
    load_model,
    rows_a_call,
)
from opendiff.default.prior import NEW_CITY, PriorPrediction
from opendiff.default.world import World
from opendiff.device import chosen_device, rounded, side_by_side
from opendiff.encoder import IMAGE_BATCH_ON_GPU, Encoder
from opendiff.encoder import weights as encoder_weights
from opendiff.encoder.embeddings import EmbeddingCache
from opendiff.encoder.weights import load_encoder
from opendiff.errors import Cancelled, ModelError, OutsideSource
from opendiff.open_data.features import INTENSITY_UNITS, tile_features, with_halo
from opendiff.paper.generator import PaperGenerator
from opendiff.storage.shipped import CHECKPOINTS
from opendiff.week import HOURS, SERIES
from plannerbase.progress import Progress

MODELS = ("default", "paper")
# figures of `python -m opendiff evaluate --cities` (checkpoints/README.md)
EXTRAPOLATED = (
    "{new} of {tiles} tiles lie outside the cities that the model learned from ({cities}), so their traffic is "
    "extrapolated. In cities that were left out, residents and places explained 61 to 88 % of the variance of the log "
    "level, residents alone 1 to 74 %; the scale is the user's to state."
)
SHIPPED = ("default",)  # of them, those whose weights come with the product


def encode_open_data(
    encoder: Encoder,
    source: OpenDataSource,
    tiles: Tiles,
    progress: Progress | None = None,
    cache: EmbeddingCache | None = None,
) -> Conditions:
    """Conditions of tiles from open data; tiles about which nothing is known keep all modalities absent.

    Embeddings of images are taken from `cache` and put there. Raises SourceError.
    """
    around = source.open_data(with_halo(tiles), imagery=False)
    features = tile_features(tiles, around, source.poi_datum)
    image_tokens = np.zeros((len(tiles), TOKEN_WIDTHS[0]), np.float32)
    has_imagery = np.zeros(len(tiles), bool)
    for start in range(0, len(tiles), TILES_PER_BATCH):
        part = slice(start, start + TILES_PER_BATCH)
        try:
            data = source.open_data(tiles.iloc[part])
        except OutsideSource:  # of these tiles; the source knows others of the area or its halo
            continue
        has_imagery[part] = data.has_imagery
        rows = start + np.flatnonzero(data.has_imagery)
        image_tokens[rows] = encoder.image_tokens(data.imagery[data.has_imagery], cache)
        if progress:
            progress(min(start + TILES_PER_BATCH, len(tiles)), len(tiles), "encode")
    return encoder.tokens(features, image_tokens, has_imagery)


class TrafficGenerator(EnsembleGenerator[Conditions]):
    """The model `default` with its encoder; `TrafficGenerator.load` opens any model by its name.

    keep_embeddings: whether embeddings of images are kept between runs, in the user's cache folder; mirrored: whether
    samples 2k and 2k + 1 are mirror images under one style (`world.tiles_own`), which steadies means; independent ones
    are for scores that take them as such, as the fair CRPS does.
    """

    model: TrafficModel
    _encoder: Encoder | None
    keep_embeddings = True

    def __init__(
        self,
        model: TrafficModel,
        name: str = "default",
        checksum: str = "",
        device: str = "cpu",
        encoder: Encoder | None = None,
        mirrored: bool = True,
    ):
        self.model, self.name, self.checksum, self._encoder = model, name, checksum, encoder
        self.mirrored = mirrored
        self.move(device)

    @staticmethod
    def load(
        name: str = "default", device: str = "auto", weights: str | Path | None = None
    ) -> EnsembleGenerator[Any]:
        """The model `name`, shipped or from the folder `weights`, on "cpu", "cuda" or, with "auto", on a GPU where
        there is one. Raises ModelError."""
        if name not in MODELS:
            raise ModelError(f"There is no model {name!r}; choose one of {', '.join(MODELS)}.")
        device = chosen_device(device)
        if name == "paper":
            return PaperGenerator.from_weights(weights, device)
        return TrafficGenerator.from_weights(weights, device)

    @classmethod
    def from_weights(cls, weights: str | Path | None, device: str) -> TrafficGenerator:
        """The model in the folder `weights`, with the encoder there if it has one; with None the shipped one."""
        folder = CHECKPOINTS if weights is None else Path(weights)
        model, checksum = load_model(folder / FILE)
        own = folder / encoder_weights.FILE
        encoder = load_encoder(own).to(device) if weights is not None and own.is_file() else None
        return cls(model, "default", checksum, device, encoder)

    @cached_property
    def _embeddings(self) -> EmbeddingCache | None:
        checksum = self.encoder.checksum
        if not (self.keep_embeddings and checksum):
            return None
        return EmbeddingCache.of_weights(checksum, TOKEN_WIDTHS[0])

    @property
    def encoder(self) -> Encoder:
        """Read when first needed: the bundled region ships conditions and needs none."""
        if self._encoder is None:
            self._encoder = load_encoder().to(self.device)
        return self._encoder

    @property
    def encoder_checksum(self) -> str:
        return self.encoder.checksum

    @property
    def rows_a_call(self) -> int:
        return self._call_rows or rows_a_call(self.device)

    def encode(
        self, source: OpenDataSource | ConditionSource, tiles: Tiles, progress: Progress | None
    ) -> Conditions:
        """Conditions of all of `tiles`, those included about which nothing is known."""
        if hasattr(source, "conditions"):
            return source.conditions(tiles)
        return encode_open_data(self.encoder, source, tiles, progress, self._embeddings)

    def known_conditions(
        self, source: OpenDataSource | ConditionSource, tiles: Tiles, progress: Progress | None = None
    ) -> Conditions:
        """As the base class says, with a note where the level is an extrapolation."""
        known = super().known_conditions(source, tiles, progress)
        x, y = condition_tensors(known)[3:]
        new = int((self.model.prior.city_of(x.to(self.device), y.to(self.device)) == NEW_CITY).sum())
        note = EXTRAPOLATED.format(
            new=new,
            tiles=len(known.tiles),
            cities=", ".join(name.title() for name in self.model.config.cities),
        )
        return replace(known, notes=(*known.notes, note)) if new else known

    def informed(self, conditions: Conditions) -> np.ndarray:
        """Mask (tiles,) of the tiles about which enough is known to generate them."""
        return np.asarray(conditions.present.any(axis=1))

    def shrink(self, rows: int) -> None:
        super().shrink(rows)
        if self._encoder is not None:
            self._encoder.image_batch = max(1, rows * IMAGE_BATCH_ON_GPU // ROWS_PER_CALL_ON_GPU)

    def move(self, device: str) -> None:
        super().move(device)
        self.model.representation = self.model.representation.to(device)
        if self._encoder is not None:
            self._encoder.image_batch = None

    @torch.inference_mode()
    def weeks(
        self,
        conditions: Conditions,
        samples: range,
        seed: int,
        guidance_scale: float,
        steps: int,
        progress: Progress | None,
        cancelled: Callable[[], bool],
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """As the base class says; intensities as the source counts them, and the model's estimate where it does not."""
        count = len(conditions.tiles)
        if not count:
            return np.empty((SERIES, 0, len(samples), HOURS), np.float32), {}
        call_rows = self.rows_a_call
        asked = condition_tensors(conditions, self.device)
        x, y = asked[3:]
        memory, prediction = self._precompute_kv(*asked)
        empty = self._precompute_kv(asked[0] * 0, asked[1] & False, *asked[2:])[0] if guidance_scale else None
        numbers = torch.arange(samples.start, samples.stop, device=self.device) * (1 if self.mirrored else 2)
        world = World.of(seed, x, y, numbers)
        rows = count * len(samples)
        out = np.empty((SERIES, rows, HOURS), np.float32)
        asked_weeks = card.Asked(seed, x, y, numbers, memory, prediction, world)
        if torch.device(self.device).type == "cuda" and empty is None:
            calls = card.weeks(self.model, asked_weeks, steps, call_rows, out)
        else:
            plain_weeks = card.plain_weeks(self.model, asked_weeks, steps)

            def series(tile: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
                if empty is None:
                    here = torch.arange(int(tile[0]), int(tile[-1]) + 1)
                    folded = card.folded_memory(self.model, memory.take(here), card.TILES_PER_FOLD_ON_CPU)
                    return plain_weeks(tile, sample, folded.take(tile - tile[0]))
                noise, style = card.drawn(self.model, asked_weeks, tile, sample)
                told, nothing = memory.take(tile), empty.take(tile)
                return rounded(self.model.sample(told, nothing, noise, guidance_scale, steps, style))

            calls = self._calls(series, len(samples), out)
        follow_calls(calls, rows, progress, cancelled)
        self.add_note(*card.faults(self.device))
        intensities = known_or_estimated(conditions, prediction.log_intensity.cpu().numpy())
        return out.reshape(SERIES, count, len(samples), HOURS), intensities

    def _calls(
        self, series: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], samples: int, out: np.ndarray
    ) -> Iterator[int]:
        """Fill out (2, tiles * samples, 168) in calls of one size, and tell after each how many rows are done.

        series: rounded series (rows, 2, 168) from the index of each row's tile and sample, (rows,) each.
        """
        rows, call_rows = out.shape[1], self.rows_a_call

        @torch.inference_mode()
        def call(start: int) -> int:
            row = torch.arange(start, start + call_rows, device=self.device).clamp_max(rows - 1)
            made = series(row // samples, row % samples)
            done = min(start + call_rows, rows)
            out[:, start:done] = made[: done - start].transpose(0, 1).cpu().numpy()
            return done

        return side_by_side(call, range(0, rows, call_rows), self.device)

    def _precompute_kv(
        self,
        tokens: torch.Tensor,
        present: torch.Tensor,
        reliability: torch.Tensor,
        x: torch.Tensor,
        y: torch.Tensor,
    ) -> tuple[ConditionCache, PriorPrediction]:
        """Condition memory of tiles, and what the prior believes of them, in calls of one size."""
        memories, predictions = [], []
        call_rows = self.rows_a_call
        for start in range(0, len(tokens), call_rows):
            row = torch.arange(start, start + call_rows, device=self.device).clamp_max(len(tokens) - 1)
            prediction = self.model.prior(tokens[row], present[row], reliability[row], x[row], y[row])
            kept = torch.arange(min(call_rows, len(tokens) - start), device=self.device)
            memories.append(self.model.precompute_kv(tokens[row], present[row], prediction).take(kept))
            predictions.append(prediction.take(kept))
        return ConditionCache.join(memories), PriorPrediction.join(predictions)

    def estimate_intensities(self, conditions: Conditions) -> dict[str, np.ndarray]:
        """The model's own estimate of each of INTENSITIES, (tiles,), whatever the source counts."""
        with torch.inference_mode():
            prediction = self._precompute_kv(*condition_tensors(conditions, self.device))[1]
        return intensities_of(prediction.log_intensity.cpu().numpy())


def follow_calls(
    calls: Iterator[int], rows: int, progress: Progress | None, cancelled: Callable[[], bool]
) -> None:
    """Run calls that tell how many of `rows` are done. Raises Cancelled."""
    for done in calls:
        if progress:
            progress(done, rows, "generate")
        if cancelled():
            raise Cancelled("Generation was cancelled.")


def intensities_of(log_intensity: np.ndarray) -> dict[str, np.ndarray]:
    """Each of INTENSITIES, (tiles,), from what the prior estimates: log1p(intensity / INTENSITY_UNITS), (tiles, 3)."""
    values = np.maximum(np.expm1(log_intensity), 0.0) * INTENSITY_UNITS
    return dict(zip(INTENSITIES, values.T, strict=True))


def known_or_estimated(conditions: Conditions, log_intensity: np.ndarray) -> dict[str, np.ndarray]:
    """Intensities as the source counts them, and the model's estimate where it does not."""
    estimated = intensities_of(log_intensity.astype(np.float64))
    missing = np.full(len(conditions.tiles), np.nan)
    own = {name: conditions.intensities.get(name, missing) for name in INTENSITIES}
    return {name: np.where(np.isfinite(own[name]), own[name], estimated[name]) for name in INTENSITIES}
