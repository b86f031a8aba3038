"""What all models share in generating: conditions, ensembles, calls that fit the memory.

The models themselves are in `opendiff.generator` and `opendiff.paper.generator`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import torch

from opendiff.area import Tiles
from opendiff.conditions import AreaConditions, Conditions
from opendiff.errors import ModelError, SourceError
from opendiff.open_data.sources import OpenData
from opendiff.poi.registration import PoiDatum
from opendiff.traffic_table import TrafficEnsemble
from plannerbase.progress import Progress

TILES_PER_BATCH = 256  # images and conditions held at once
MAX_SAMPLES = 1000
MIN_ROWS = 256  # of a call on a GPU; with fewer the CPU is as fast
ASSUMPTIONS = (
    "Traffic and users are generated, not measured, in relative units: one scale for all tiles.",
    "The model learned traffic from one week of one city (Nanchang), and where people are at which hour from two more; "
    "elsewhere its level is an extrapolation.",
    "Hour 0 is Monday, local midnight. Days differ by what two cities tell of workdays and weekends.",
)

T = TypeVar("T")
C = TypeVar("C", bound=AreaConditions)


class OpenDataSource(Protocol):
    """Anything that knows open data of tiles; see `opendiff.open_data.sources.PackSource`.

    It may have `notes` as well, sentences on what it could not have, which go into the traffic table.
    """

    @property
    def name(self) -> str: ...

    @property
    def attribution(self) -> str: ...

    @property
    def poi_datum(self) -> PoiDatum: ...

    def open_data(self, tiles: Tiles, imagery: bool = True) -> OpenData: ...


class ConditionSource(Protocol):
    """Anything that holds conditions of tiles; see `opendiff.demo.DemoSource`."""

    @property
    def name(self) -> str: ...

    @property
    def attribution(self) -> str: ...

    def conditions(self, tiles: Tiles) -> Conditions: ...


class SamplerSettings(Protocol):
    """What a model samples with unless it is told otherwise."""

    @property
    def steps(self) -> int: ...

    @property
    def guidance_scale(self) -> float: ...


class Movable(Protocol):
    """A torch module, as far as it is moved between devices."""

    def to(self, device: str, /) -> Self: ...


class Model(Movable, Protocol):
    """A torch module that holds how it samples."""

    @property
    def config(self) -> SamplerSettings: ...

    def parameters(self) -> Iterator[torch.nn.Parameter]: ...


class EnsembleGenerator(ABC, Generic[C]):
    """A model with its encoder on one device.

    A model says in its own way how it makes conditions (`encode`), which tiles it can generate (`informed`) and what
    the weeks are (`weeks`); settings, metadata and the ensemble are the same for all. checksum: of the model's weights
    file, "" where they are in no file; device_note: what was done because the
    memory of the device ran out or its kernels failed.
    """

    model: Model
    name: str
    checksum: str
    device: str
    device_note = ""
    _encoder: Movable | None = None
    _call_rows: int | None = None  # None: what the model takes on its device; less where its memory ran out

    @property
    @abstractmethod
    def encoder_checksum(self) -> str:
        """Of the encoder's weights file, "" where they are in no file."""

    @property
    @abstractmethod
    def rows_a_call(self) -> int:
        """Rows (tile and sample) of a network call."""

    @abstractmethod
    def encode(self, source: OpenDataSource | ConditionSource, tiles: Tiles, progress: Progress | None) -> C:
        """Conditions of all of `tiles`, those included about which nothing is known. Raises SourceError."""

    @abstractmethod
    def informed(self, conditions: C) -> np.ndarray:
        """Mask (tiles,) of the tiles about which enough is known to generate them."""

    @abstractmethod
    def weeks(
        self,
        conditions: C,
        samples: range,
        seed: int,
        guidance_scale: float,
        steps: int,
        progress: Progress | None,
        cancelled: Callable[[], bool],
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Traffic and users (2, tiles, samples, 168) float32 of the samples of these numbers, and intensities (tiles,)
        of the tiles. Raises Cancelled."""

    def conditions(
        self, source: OpenDataSource | ConditionSource, tiles: Tiles, progress: Progress | None = None
    ) -> C:
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
    ) -> C:
        """As `conditions`, and without any tile where the source knows nothing."""
        conditions = self.within_memory(lambda: self.encode(source, tiles, progress))
        kept = conditions.take(self.informed(conditions))
        return replace(
            kept, source=source.name, attribution=source.attribution, notes=tuple(getattr(source, "notes", ())),
            missing_tiles=len(tiles) - len(kept.tiles),
        )  # fmt: skip

    def generate(
        self,
        conditions: C,
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
        batches and ends the work with Cancelled. guidance_scale is mu of the paper's eq. 8, steps the number of the
        sampler's steps (None: the model's own). Raises ModelError on bad settings.
        """
        config = self.model.config
        guidance_scale = config.guidance_scale if guidance_scale is None else guidance_scale
        steps = config.steps if steps is None else steps
        check_settings(samples, seed, guidance_scale, steps)
        make = partial(
            self.weeks, conditions, range(samples), seed, guidance_scale, steps, progress, cancelled or _never
        )
        (traffic, users), intensities = self.within_memory(make)
        metadata = self._metadata(conditions, seed, guidance_scale, steps)
        return TrafficEnsemble(conditions.tiles, traffic, users, intensities, metadata)

    def _metadata(self, conditions: C, seed: int, guidance_scale: float, steps: int) -> dict[str, Any]:
        """What a traffic table says of how it was made."""
        return {
            "unit": "relative", "seed": seed, "model": self.name, "model_checksum": self.checksum,
            "guidance_scale": guidance_scale, "steps": steps, "source": conditions.source,
            "attribution": conditions.attribution, "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "assumptions": list(ASSUMPTIONS), "missing_tiles": conditions.missing_tiles,
            "notes": [*conditions.notes, *filter(None, [self.device_note])],
        }  # fmt: skip

    def within_memory(self, run: Callable[[], T]) -> T:
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
        if rows >= MIN_ROWS:
            self.shrink(rows)
            self.device_note = (
                f"The memory of the GPU ran out, so its calls were made smaller ({rows:,} rows)."
            )
            return
        self._call_rows = None
        self.move("cpu")
        self.device_note = "The memory of the GPU ran out even with small calls, so the CPU was used."

    def add_note(self, *sentences: str) -> None:
        """Say something in `device_note` that it does not say yet."""
        new = [sentence for sentence in sentences if sentence not in self.device_note]
        self.device_note = " ".join(filter(None, [self.device_note, *new]))

    def shrink(self, rows: int) -> None:
        """Make network calls of `rows` rows from now on."""
        self._call_rows = rows

    def move(self, device: str) -> None:
        """Bring model and encoder to another device."""
        self.model, self.device = self.model.to(device), device
        if self._encoder is not None:
            self._encoder = self._encoder.to(device)


def _out_of_memory() -> ModelError:
    return ModelError("The memory of this machine ran out; generate fewer tiles or samples at a time.")


def _never() -> bool:
    return False


def check_settings(samples: int, seed: int, guidance_scale: float, steps: int) -> None:
    """Raises ModelError for a setting with which nothing can be generated."""
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
