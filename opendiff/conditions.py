"""Conditions: what the model is told of tiles, a few numbers a modality, which the encoder makes from open data."""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from opendiff.area import Tiles, tile_frame
from opendiff.errors import ModelError, SourceError
from opendiff.storage.atomic import replacing
from opendiff.storage.checksums import verify
from opendiff.storage.shipped import CHECKPOINTS
from plannerbase.traffic_arrays import INTENSITIES as INTENSITIES

# Places counted by a map service and by OpenStreetMap are two modalities: the latter knows far fewer, and which ones
# it knows differs from town to town. A tile may have either or both.
MODALITIES: tuple[str, ...] = (
    "imagery", "poi", "osm_poi", "population", "lights", "osm_nodes", "jobs", "activity",
)  # fmt: skip
# Numbers a modality: the embedding of an image; else the log density of the tile, its 3 x 3 and its 5 x 5 window, and
# of places what mix of categories the tile and its 3 x 3 window have.
TOKEN_PARTS: tuple[tuple[int, ...], ...] = ((16,), (3, 10, 6), (3, 6, 4), (3,), (3,), (3,), (3,), (3,))
TOKEN_WIDTHS: tuple[int, ...] = tuple(sum(parts) for parts in TOKEN_PARTS)
TOKENS_WIDTH = sum(TOKEN_WIDTHS)
USUAL_RELIABILITY = 0.8  # of a population raster about which nothing else is known


@dataclass(frozen=True)
class AreaConditions:
    """What every model is told of tiles beside its own arrays, which have a row a tile.

    intensities: (tiles,) each of INTENSITIES as the source itself counts them, NaN where it does not know;
    missing_tiles: how many tiles were asked for and have no open data at all; notes: sentences on what the source
    could not have.
    """

    tiles: Tiles
    _: KW_ONLY
    intensities: dict[str, np.ndarray] = field(default_factory=dict)
    source: str = ""
    attribution: str = ""
    missing_tiles: int = 0
    notes: tuple[str, ...] = ()

    def take(self, rows: np.ndarray) -> Self:
        """The conditions of some rows (an index or a mask)."""
        chosen = np.arange(len(self.tiles))[rows]
        own = {name: value[chosen] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(
            self, tiles=self.tiles.iloc[chosen].reset_index(drop=True),
            intensities={name: values[chosen] for name, values in self.intensities.items()}, **own,
        )  # fmt: skip


@dataclass(frozen=True)
class Conditions(AreaConditions):
    """tokens: (tiles, TOKENS_WIDTH) float32, the modalities side by side, 0 where absent; present: (tiles, modalities)
    bool in the order of MODALITIES; reliability: (tiles,) float32, how far the source's population is borne out by its
    other layers, 0..1 (`opendiff.open_data.sources.reliability`)."""

    tokens: np.ndarray
    present: np.ndarray
    reliability: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))

    def __post_init__(self) -> None:
        if len(self.reliability) != len(self.tiles):
            usual = np.full(len(self.tiles), USUAL_RELIABILITY, np.float32)
            object.__setattr__(self, "reliability", usual)

    def without(self, *modalities: str) -> Conditions:
        """The same tiles with some modalities hidden, to see what each is worth."""
        present = self.present & ~np.isin(MODALITIES, modalities)
        keep = np.repeat(present, TOKEN_WIDTHS, axis=1)
        return replace(self, tokens=np.where(keep, self.tokens, 0).astype(np.float32), present=present)

    def save(self, path: str | Path, **extra: np.ndarray) -> None:
        """Write as safetensors (tokens in half precision), whole or not at all; extra: arrays with a row a tile."""
        tensors = {
            "x": self.tiles["x"].to_numpy(np.int32),
            "y": self.tiles["y"].to_numpy(np.int32),
            "tokens": self.tokens.astype(np.float16),
            "present": self.present.astype(np.uint8),
            "reliability": self.reliability.astype(np.float32),
            **{name: np.ascontiguousarray(values) for name, values in extra.items()},
        }
        heading = {"source": self.source, "attribution": self.attribution}
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata={"conditions": json.dumps(heading)})


def load_conditions(path: str | Path) -> tuple[Conditions, dict[str, np.ndarray]]:
    """Conditions written by `Conditions.save`, and the extra arrays beside them. Raises SourceError."""
    try:
        verify(Path(path), listed=Path(path).parent == CHECKPOINTS)
        with safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            heading = json.loads((file.metadata() or {}).get("conditions", "{}"))
        x, y = tensors.pop("x"), tensors.pop("y")
        tokens, present, trust = (tensors.pop(name) for name in ("tokens", "present", "reliability"))
    except ModelError as error:
        raise SourceError(str(error)) from None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise SourceError(
            f"The conditions {path} cannot be read ({error}); install the files again."
        ) from None
    if tokens.shape != (len(x), TOKENS_WIDTH) or present.shape != (len(x), len(MODALITIES)):
        raise SourceError(f"The conditions {path} do not fit this version; install the files again.")
    conditions = Conditions(
        tile_frame(x, y),
        tokens.astype(np.float32),
        present.astype(bool),
        trust.astype(np.float32),
        source=heading.get("source", ""),
        attribution=heading.get("attribution", ""),
    )
    return conditions, tensors
