"""What a pack offers to the published method: shrunk images, features that choose positives, traffic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from opendiff.area import Tiles
from opendiff.errors import SourceError
from opendiff.open_data.features import TileFeatures, tile_features, with_halo
from opendiff.open_data.sources import PackSource
from opendiff.paper.encoder import IMAGES_A_CALL, shrink
from opendiff.training_data import spatial_folds


@dataclass(frozen=True)
class PaperData:
    """All tiles of a pack, row for row.

    images: (tiles, 3, pixels, pixels) float32 in 0..255, 0 where `has_imagery` is False; series: (tiles, 2, 168)
    traffic and users, relative units, NaN where `has_traffic` is False; folds: (tiles,) spatial folds.
    """

    tiles: Tiles
    features: TileFeatures
    images: Tensor
    has_imagery: np.ndarray
    series: np.ndarray
    has_traffic: np.ndarray
    folds: np.ndarray


def read_paper_data(pack: PackSource, pixels: int) -> PaperData:
    """Raises SourceError when the pack has no traffic or no imagery."""
    tiles = pack.all_tiles()
    features = tile_features(tiles, pack.open_data(with_halo(tiles), imagery=False), pack.poi_datum)
    traffic, users, has_traffic = pack.traffic(tiles)
    data = pack.open_data(tiles)
    if not has_traffic.any() or not data.has_imagery.any():
        raise SourceError(f"The pack {pack.name} lacks traffic.parquet or imagery; training needs both.")
    images = torch.cat(
        [
            shrink(data.imagery[start : start + IMAGES_A_CALL], pixels)
            for start in range(0, len(tiles), IMAGES_A_CALL)
        ]
    )
    return PaperData(
        tiles, features, images, data.has_imagery, np.stack([traffic, users], axis=1), has_traffic,
        spatial_folds(pack, tiles),
    )  # fmt: skip
