"""Traffic of an area from open data: conditions in, an ensemble of weeks out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch

from opendiff.area import Tiles
from opendiff.checkpoint import read_checkpoint
from opendiff.conditions import INTENSITIES, TOKEN_WIDTHS, Conditions
from opendiff.denoiser import ConditionMemory
from opendiff.embeddings import EmbeddingCache
from opendiff.encoder import IMAGE_BATCH_ON_GPU, Encoder, Progress
from opendiff.errors import Cancelled, ModelError, OutsideSource, SourceError
from opendiff.features import INTENSITY_UNITS, tile_features, with_halo
from opendiff.model import (
    ROWS_A_CALL_ON_GPU,
    TrafficModel,
    chosen_device,
    condition_tensors,
    load_model,
    rounded,
    rows_a_call,
)
from opendiff.noise import tile_noise
from opendiff.registration import PoiDatum
from opendiff.representation import HOURS, SERIES, WIDTH
from opendiff.shipped import CHECKPOINTS
from opendiff.side_by_side import side_by_side
from opendiff.sources import OpenData
from opendiff.traffic_table import TrafficEnsemble

TILES_A_BATCH = 256  # images and conditions held at once
MAX_SAMPLES = 1000
LEAST_ROWS = 256  # of a call on a GPU; with fewer the CPU is as fast
FIRST_SAMPLES = 4  # of an ensemble that is refined while somebody looks at it
ASSUMPTIONS = (
    "Traffic and users are generated, not measured, in relative units: one scale for all tiles.",
    "The model learned from one week of one city (Nanchang); elsewhere its level is an extrapolation.",
    "Hours 3 and 4 of most days are nearly zero in the training data, a gap of the measurement.",
    "Hour 0 is local midnight of an unknown weekday.",
)

T = TypeVar("T")


class OpenDataSource(Protocol):
    """Anything that knows open data of tiles; see `opendiff.sources.PackSource`."""

    name: str
    attribution: str
    poi_datum: PoiDatum

    def open_data(self, tiles: Tiles, imagery: bool = True) -> OpenData: ...


class ConditionSource(Protocol):
    """Anything that holds conditions of tiles; see `opendiff.demo.DemoSource`."""

    name: str
    attribution: str

    def conditions(self, tiles: Tiles) -> Conditions: ...


def encode_open_data(
    encoder: Encoder,
    source: OpenDataSource,
    tiles: Tiles,
    progress: Progress | None = None,
    cache: EmbeddingCache | None = None,
) -> Conditions:
    """Conditions of tiles from open data; tiles about which nothing is known keep all modalities absent. Embeddings of
    images are taken from `cache` and put there."""
    around = source.open_data(with_halo(tiles), imagery=False)
    features = tile_features(tiles, around, source.poi_datum)
    image_tokens = np.zeros((len(tiles), TOKEN_WIDTHS[0]), np.float32)
    has_imagery = np.zeros(len(tiles), bool)
    for start in range(0, len(tiles), TILES_A_BATCH):
        part = slice(start, start + TILES_A_BATCH)
        try:
            data = source.open_data(tiles.iloc[part])
        except OutsideSource:  # of these tiles; the source knows others of the area or its halo
            continue
        has_imagery[part] = data.has_imagery
        rows = start + np.flatnonzero(data.has_imagery)
        image_tokens[rows] = encoder.image_tokens(data.imagery[data.has_imagery], cache)
        if progress:
            progress(min(start + TILES_A_BATCH, len(tiles)), len(tiles))
    return encoder.tokens(features, image_tokens, has_imagery)


def load_encoder(path: str | Path = CHECKPOINTS / "encoder.safetensors") -> Encoder:
    """The shipped encoder, or another. Raises ModelError."""
    encoder = Encoder()
    checkpoint = read_checkpoint(path, kind="encoder")
    checkpoint.load_into(encoder, "")
    encoder.checksum = checkpoint.checksum
    return encoder.eval()


class TrafficGenerator:
    """A model with its encoder on one device.

    This class serves the model `default`. Another model overrides what it does in its own way: `from_weights`,
    `encode`, `informed` and `weeks`; settings, metadata and the ensemble are the same for all. keep_embeddings: whether
    embeddings of images are kept between runs.
    """

    keep_embeddings = True
    device_note = ""  # what was done because the memory of the device ran out
    _call_rows: int | None = None

    def __init__(
        self,
        model: TrafficModel,
        name: str = "default",
        checksum: str = "",
        device: str = "cpu",
        encoder: Encoder | None = None,
    ):
        self.model, self.name, self.checksum, self.device = model.to(device), name, checksum, device
        self.model.representation = self.model.representation.to(device)
        self._encoder = encoder

    @staticmethod
    def load(
        name: str = "default", device: str = "auto", weights: str | Path | None = None
    ) -> TrafficGenerator:
        """The model `name`, shipped or from the folder `weights`, on "cpu", "cuda" or, with "auto", on a GPU where
        there is one. Raises ModelError."""
        if name not in MODELS:
            raise ModelError(f"There is no model {name!r}; choose one of {', '.join(MODELS)}.")
        device = chosen_device(device)
        if name == "paper":
            from opendiff.paper.generator import PaperGenerator

            return PaperGenerator.from_weights(weights, device)
        return TrafficGenerator.from_weights(weights, device)

    @classmethod
    def from_weights(cls, weights: str | Path | None, device: str) -> TrafficGenerator:
        """The model in the folder `weights`, with the encoder there if it has one; with None the shipped one."""
        folder = CHECKPOINTS if weights is None else Path(weights)
        model, checksum = load_model(folder / MODELS["default"])
        own = folder / "encoder.safetensors"
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

    def conditions(
        self, source: OpenDataSource | ConditionSource, tiles: Tiles, progress: Progress | None = None
    ) -> Conditions:
        """Conditions of those of `tiles` about which the source knows anything.

        Raises SourceError when it knows nothing about any of them.
        """
        known = self.known_conditions(source, tiles, progress)
        if not len(known.tiles):
            raise SourceError(
                f"The source {source.name} has no imagery, POI or population for this area; draw where it has data."
            )
        return known

    def known_conditions(
        self, source: OpenDataSource | ConditionSource, tiles: Tiles, progress: Progress | None = None
    ) -> Conditions:
        """As `conditions`, and without any tile where the source knows nothing."""
        conditions = self.fitting(lambda: self.encode(source, tiles, progress))
        kept = conditions.take(self.informed(conditions))
        return replace(
            kept, source=source.name, attribution=source.attribution, notes=tuple(getattr(source, "notes", ())),
            missing_tiles=len(tiles) - len(kept.tiles),
        )  # fmt: skip

    def encode(
        self, source: OpenDataSource | ConditionSource, tiles: Tiles, progress: Progress | None
    ) -> Conditions:
        """Conditions of all of `tiles`, those included about which nothing is known."""
        if hasattr(source, "conditions"):
            return source.conditions(tiles)
        return encode_open_data(self.encoder, source, tiles, progress, self._embeddings)

    def informed(self, conditions: Conditions) -> np.ndarray:
        """Mask (tiles,) of the tiles about which enough is known to generate them."""
        return conditions.present.any(axis=1)

    def generate(
        self,
        conditions: Conditions,
        samples: int = 20,
        seed: int = 0,
        guidance_scale: float | None = None,
        steps: int | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> TrafficEnsemble:
        """An ensemble of weeks for each tile.

        The noise of a tile's sample depends on (seed, x, y, sample) alone, so neither batch, order nor
        neighbours change it. progress is told (done, total) in tile-weeks; `cancelled` is asked between
        batches and ends the work with Cancelled. guidance_scale is mu of eq. 8, steps the number of midpoint
        steps. Raises ModelError on bad settings.
        """
        return next(
            self.refine(
                conditions, samples, seed, guidance_scale, steps, progress, cancelled, first=max(samples, 1)
            )
        )

    def refine(
        self,
        conditions: Conditions,
        samples: int = 20,
        seed: int = 0,
        guidance_scale: float | None = None,
        steps: int | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
        first: int = FIRST_SAMPLES,
    ) -> Iterator[TrafficEnsemble]:
        """As `generate`, in the order of the samples: the ensemble of the first few, then of twice as many, and so on.

        Each begins with the samples of the one before; the last is what `generate` returns.
        """
        config = self.model.config
        guidance_scale = config.guidance_scale if guidance_scale is None else guidance_scale
        steps = config.steps if steps is None else steps
        check_settings(samples, seed, guidance_scale, steps)
        weeks: list[np.ndarray] = []
        count = len(conditions.tiles)
        begin, end = 0, min(max(first, 1), samples)
        while begin < samples:

            def report(done: int, _: int, before: int = count * begin) -> None:
                progress(before + done, count * samples)

            part = conditions, range(begin, end), seed, guidance_scale, steps
            told = report if progress else None
            made, intensities = self.fitting(lambda: self.weeks(*part, told, cancelled or _never))  # noqa: B023
            weeks.append(made)
            out = np.concatenate(weeks, axis=1) if len(weeks) > 1 else made
            metadata = {
                "unit": "relative", "seed": seed, "model": self.name, "model_checksum": self.checksum,
                "guidance_scale": guidance_scale, "steps": steps, "source": conditions.source,
                "attribution": conditions.attribution, "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "assumptions": list(ASSUMPTIONS), "missing_tiles": conditions.missing_tiles,
                "notes": [*conditions.notes, *filter(None, [self.device_note])],
            }  # fmt: skip
            traffic, users = np.ascontiguousarray(out[:, :, 0]), np.ascontiguousarray(out[:, :, 1])
            yield TrafficEnsemble(conditions.tiles, traffic, users, intensities, metadata)
            begin, end = end, min(2 * end, samples)

    @property
    def rows_a_call(self) -> int:
        """Rows of a network call."""
        return self._call_rows or rows_a_call(self.device)

    def fitting(self, run: Callable[[], T]) -> T:
        """`run()`; where the memory of a GPU runs out again with smaller calls, and at last on the CPU, from then on.

        `device_note` says so. Raises ModelError where the memory of the machine itself runs out.
        """
        while True:
            try:
                return run()
            except torch.OutOfMemoryError:
                pass  # the error holds the tensors that were too many, so it must be gone before the next try
            except (MemoryError, RuntimeError) as error:
                if isinstance(error, RuntimeError) and "can't allocate memory" not in str(error):
                    raise
                raise _out_of_memory() from None
            self._take_less()

    def _take_less(self) -> None:
        if torch.device(self.device).type == "cpu":
            raise _out_of_memory()
        torch.cuda.empty_cache()
        rows = self.rows_a_call // 2
        if rows >= LEAST_ROWS:
            self._call_rows = rows
            if self._encoder is not None:
                self._encoder.image_batch = max(1, rows * IMAGE_BATCH_ON_GPU // ROWS_A_CALL_ON_GPU)
            self.device_note = (
                f"The memory of the GPU ran out, so its calls were made smaller ({rows:,} rows)."
            )
            return
        self._call_rows = None
        self.move("cpu")
        self.device_note = "The memory of the GPU ran out even with small calls, so the CPU was used."

    def move(self, device: str) -> None:
        """Bring model and encoder to another device."""
        self.model, self.device = self.model.to(device), device
        if hasattr(self.model, "representation"):
            self.model.representation = self.model.representation.to(device)
        if self._encoder is not None:
            self._encoder = self._encoder.to(device)
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
        """Traffic and users (tiles, samples, 2, 168) float32 of the samples of these numbers, and intensities (tiles,)
        of the tiles."""
        count = len(conditions.tiles)
        if not count:
            return np.empty((0, len(samples), SERIES, HOURS), np.float32), {}
        call_rows = self.rows_a_call
        tokens, present = condition_tensors(conditions, self.device)
        x, y = (
            torch.from_numpy(conditions.tiles[axis].to_numpy(np.int64)).to(self.device) for axis in ("x", "y")
        )
        memory, estimates = self._remember(tokens, present)
        empty = None
        if guidance_scale:
            nothing = self._remember(tokens[:1] * 0, present[:1] & False)[0]
            empty = nothing.take(torch.zeros(call_rows, dtype=torch.int64, device=self.device))
        rows = count * len(samples)
        out = np.empty((rows, SERIES, HOURS), np.float32)

        @torch.inference_mode()
        def call(start: int) -> int:
            row = torch.arange(start, start + call_rows, device=self.device).clamp_max(rows - 1)
            tile, sample = row // len(samples), samples.start + row % len(samples)
            noise = tile_noise(seed, x[tile], y[tile], sample, WIDTH)
            series = rounded(self.model.sample(memory.take(tile), empty, noise, guidance_scale, steps))
            done = min(start + call_rows, rows)
            out[start:done] = series[: done - start].cpu().numpy()
            return done

        for done in side_by_side(call, range(0, rows, call_rows), self.device):
            if progress:
                progress(done, rows)
            if cancelled():
                raise Cancelled("Generation was cancelled.")
        intensities = known_or_estimated(conditions, estimates)
        return out.reshape(count, len(samples), SERIES, HOURS), intensities

    def _remember(self, tokens: torch.Tensor, present: torch.Tensor) -> tuple[ConditionMemory, np.ndarray]:
        """Condition memory of tiles and estimated log intensities (tiles, 3), in calls of one size."""
        memories, estimates = [], []
        call_rows = self.rows_a_call
        for start in range(0, len(tokens), call_rows):
            row = torch.arange(start, start + call_rows, device=self.device).clamp_max(len(tokens) - 1)
            belief = self.model.prior(tokens[row], present[row])
            kept = torch.arange(min(call_rows, len(tokens) - start), device=self.device)
            memories.append(self.model.remember(tokens[row], present[row], belief).take(kept))
            estimates.append(belief.log_intensity[kept].cpu().numpy())
        return ConditionMemory.join(memories), np.concatenate(estimates)

    def estimate_intensities(self, conditions: Conditions) -> dict[str, np.ndarray]:
        """The model's own estimate of each of INTENSITIES, (tiles,), whatever the source counts."""
        with torch.inference_mode():
            estimates = self._remember(*condition_tensors(conditions, self.device))[1]
        return intensities_of(estimates)


MODELS = {"default": "default.safetensors", "paper": "paper.safetensors"}
SHIPPED = ("default",)


def _out_of_memory() -> ModelError:
    return ModelError("The memory of this machine ran out; generate fewer tiles or samples at a time.")


def _never() -> bool:
    return False


def check_settings(samples: int, seed: int, guidance_scale: float, steps: int) -> None:
    if not 1 <= samples <= MAX_SAMPLES:
        raise ModelError(f"{samples} samples cannot be generated; ask for 1 to {MAX_SAMPLES}.")
    if not 0 <= seed < 2**63:
        raise ModelError(f"The seed {seed} is not usable; choose a whole number from 0 to {2**63 - 1}.")
    if not 0 <= guidance_scale <= 10:
        raise ModelError(
            f"The guidance scale {guidance_scale:g} is not usable; choose a number from 0 to 10."
        )
    if not 1 <= steps <= 1000:
        raise ModelError(f"{steps} steps are not usable; choose 1 to 1000.")


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
