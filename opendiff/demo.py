"""The bundled region: conditions of Nanchang's tiles, so that the product works with no data and no network.

It holds what the encoder made of open data, estimates of the model and a coarse land cover, never open data itself.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np

from opendiff.area import Tiles, tile_index, tiles_bounds
from opendiff.conditions import INTENSITIES, MODALITIES, TOKENS_WIDTH, Conditions, load_conditions
from opendiff.errors import OutsideSource
from opendiff.open_data.land_cover import land_cover
from opendiff.open_data.sources import PackSource
from opendiff.storage.shipped import CHECKPOINTS

if TYPE_CHECKING:
    from opendiff.generator import TrafficGenerator

FILE = CHECKPOINTS / "demo_region.safetensors"
UNKNOWN_COVER = "????"
ATTRIBUTION = (
    "Imagery (c) Esri, Maxar, Earthstar Geographics; population (c) WorldPop; "
    "POI of a map service and of (c) OpenStreetMap contributors (ODbL)"
)


class DemoSource:
    """The conditions that ship with the product."""

    name = "demo"

    def __init__(self, path: Path = FILE):
        self._conditions, self._extra = _load(path)
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
                "around Nanchang; draw inside it or choose another source."
            )
        inside = row >= 0
        tokens = np.zeros((len(tiles), TOKENS_WIDTH), np.float32)
        present = np.zeros((len(tiles), len(MODALITIES)), bool)
        tokens[inside], present[inside] = known.tokens[row[inside]], known.present[row[inside]]
        return Conditions(tiles, tokens, present, source=self.name, attribution=self.attribution)

    def context(self) -> gpd.GeoDataFrame:
        """The region's tiles with `land_cover` (four letters for the quarters NW, NE, SW, SE: water, green,
        built or ?) and the model's estimates of POI, business POI and population intensity."""
        frame = self._conditions.tiles.copy()
        frame["land_cover"] = [bytes(letters).decode("ascii") for letters in self._extra["land_cover"]]
        for name in INTENSITIES:
            frame[name] = self._extra[name].astype(float)
        return frame


def build_demo(generator: TrafficGenerator, pack: PackSource, path: Path = FILE) -> int:
    """Write the bundled region from a pack; returns its number of tiles, which are those with any open data."""
    tiles = pack.covered_tiles()
    conditions = generator.conditions(pack, tiles)
    estimates = generator.estimate_intensities(conditions)
    data = pack.open_data(conditions.tiles)
    cover = np.full(len(conditions.tiles), UNKNOWN_COVER)
    cover[data.has_imagery] = land_cover(data.imagery[data.has_imagery])
    letters = np.array([list(text.encode("ascii")) for text in cover], np.uint8)
    shipped = Conditions(
        conditions.tiles,
        conditions.tokens,
        conditions.present,
        source=DemoSource.name,
        attribution=ATTRIBUTION,
    )
    shipped.save(
        path, land_cover=letters, **{name: values.astype(np.float32) for name, values in estimates.items()}
    )
    return len(tiles)


@lru_cache(maxsize=1)
def _load(path: Path) -> tuple[Conditions, dict[str, np.ndarray]]:
    return load_conditions(path)
