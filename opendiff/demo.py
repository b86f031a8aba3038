"""The bundled regions: conditions of tiles of two cities, so that the product works with no data and no network.

They hold what the encoder made of open data, in coarse steps, estimates of the model and a coarse land cover, never
open data itself. `demo` is the first region, `demo:NAME` any by its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np

from opendiff.area import Tiles, tile_index, tiles_bounds
from opendiff.conditions import (
    INTENSITIES,
    MODALITIES,
    TOKEN_PARTS,
    TOKENS_WIDTH,
    Conditions,
    load_conditions,
)
from opendiff.errors import OutsideSource, SourceError
from opendiff.open_data.land_cover import land_cover
from opendiff.open_data.sources import PackSource
from opendiff.storage.shipped import CHECKPOINTS

if TYPE_CHECKING:
    from opendiff.generator import TrafficGenerator

FILE = CHECKPOINTS / "demo_region.safetensors"
UNKNOWN_COVER = "????"
NAME = "demo"
# Steps in which numbers of the open data are told in a bundled region: log densities as classes of a factor of 1.65,
# mixes of categories of a quarter of their spread. It moves a level by 6 %.
TOTAL_CLASS, MIX_CLASS = 0.5, 0.25


@dataclass(frozen=True)
class BundledRegion:
    """A region that ships with the product: what it is called, its file, whom to credit, and where it lies."""

    label: str
    file: Path
    attribution: str


REGIONS: dict[str, BundledRegion] = {
    "nanchang": BundledRegion(
        "Nanchang, China",
        FILE,
        "Imagery (c) Esri, Maxar, Earthstar Geographics; population (c) WorldPop; "
        "POI of a map service and of (c) OpenStreetMap contributors (ODbL); night lights: VIIRS, NASA/NOAA",
    ),
    "seoul": BundledRegion(
        "Seoul, South Korea",
        CHECKPOINTS / "demo_region_seoul.safetensors",
        "Residents, jobs and facilities: open data of the city of Seoul; (c) OpenStreetMap contributors (ODbL); "
        "night lights: VIIRS, NASA/NOAA",
    ),
}


def is_bundled(source: str) -> bool:
    """Whether a name of a source means a bundled region."""
    return source == NAME or source.startswith(f"{NAME}:")


def region_name(source: str) -> str:
    """The key in REGIONS of a source called `demo` or `demo:NAME`. Raises SourceError."""
    name = source.partition(":")[2] or next(iter(REGIONS))
    if name not in REGIONS:
        raise SourceError(
            f"There is no bundled region {name!r}; choose one of {', '.join(f'{NAME}:{one}' for one in REGIONS)}."
        )
    return name


def source_name(region: str) -> str:
    """How a bundled region is called as a source: the first one `demo`, others `demo:NAME`."""
    return NAME if region == next(iter(REGIONS)) else f"{NAME}:{region}"


class DemoSource:
    """The conditions of a bundled region that ship with the product. Raises SourceError."""

    def __init__(self, source: str = NAME):
        region = region_name(source)
        self.name, self._region = source_name(region), REGIONS[region]
        self._conditions, self._extra = _load(self._region.file)
        self.attribution = self._conditions.attribution

    def covered_tiles(self) -> Tiles:
        """Every tile of the region."""
        return self._conditions.tiles

    def conditions(self, tiles: Tiles) -> Conditions:
        """Conditions of `tiles`, absent where the region does not reach. Raises OutsideSource where it reaches none."""
        known = self._conditions
        row = tile_index(known.tiles).get_indexer(tile_index(tiles))
        if not (row >= 0).any():
            west, south, east, north = tiles_bounds(known.tiles)
            raise OutsideSource(
                f"The area has no tile in the bundled region, which covers "
                f"{west:.3f},{south:.3f},{east:.3f},{north:.3f} (W,S,E,N) "
                f"in {self._region.label}; draw inside it or choose another source."
            )
        inside = row >= 0
        tokens = np.zeros((len(tiles), TOKENS_WIDTH), np.float32)
        present = np.zeros((len(tiles), len(MODALITIES)), bool)
        tokens[inside], present[inside] = known.tokens[row[inside]], known.present[row[inside]]
        trust = np.full(len(tiles), known.reliability.mean(), np.float32)
        return Conditions(tiles, tokens, present, trust, source=self.name, attribution=self.attribution)

    def context(self) -> gpd.GeoDataFrame:
        """The region's tiles with `land_cover` (four letters for the quarters NW, NE, SW, SE: water, green,
        built or ?) and the model's estimates of POI, business POI and population intensity."""
        frame = self._conditions.tiles.copy()
        frame["land_cover"] = [bytes(letters).decode("ascii") for letters in self._extra["land_cover"]]
        for name in INTENSITIES:
            frame[name] = self._extra[name].astype(float)
        return frame


def build_demo(generator: TrafficGenerator, pack: PackSource, region: str = "nanchang") -> int:
    """Write a bundled region from a pack; returns its number of tiles, which are those with any open data."""
    place = REGIONS[region]
    tiles = pack.covered_tiles()
    known = generator.conditions(pack, tiles)
    shipped = Conditions(
        known.tiles, coarse(known.tokens), known.present, known.reliability, source=source_name(region),
        attribution=place.attribution,
    )  # fmt: skip
    estimates = generator.estimate_intensities(shipped)
    data = pack.open_data(known.tiles)
    cover = np.full(len(known.tiles), UNKNOWN_COVER)
    cover[data.has_imagery] = land_cover(data.imagery[data.has_imagery])
    letters = np.array([list(text.encode("ascii")) for text in cover], np.uint8)
    shipped.save(
        place.file, land_cover=letters,
        **{name: values.astype(np.float32) for name, values in estimates.items()},
    )  # fmt: skip
    return len(tiles)


def coarse(tokens: np.ndarray) -> np.ndarray:
    """Tokens (tiles, TOKENS_WIDTH) in classes, from which no count can be read; embeddings of images stay."""
    steps = []
    for name, parts in zip(MODALITIES, TOKEN_PARTS, strict=True):
        steps += (
            [0.0] * parts[0] if name == "imagery" else [TOTAL_CLASS] * parts[0] + [MIX_CLASS] * sum(parts[1:])
        )
    step = np.array(steps)
    rounded = np.round(tokens / np.where(step > 0, step, 1)) * step
    return np.where(step > 0, rounded, tokens).astype(np.float32)


@lru_cache(maxsize=len(REGIONS))
def _load(path: Path) -> tuple[Conditions, dict[str, np.ndarray]]:
    return load_conditions(path)
