"""What a pack offers to the published method: shrunk images, features that choose positives, traffic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from opendiff.area import Tiles
from opendiff.open_data.features import TileFeatures
from opendiff.open_data.sources import PackSource
from opendiff.paper.encoder import IMAGES_PER_CALL, shrink
from opendiff.training_data import read_measured, spatial_folds


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
    """What the published method is trained on; pixels: side of its images. Raises SourceError when the pack has no
    traffic or no imagery."""
    data, features, series, has_traffic = read_measured(pack)
    images = torch.cat(
        [
            shrink(data.imagery[start : start + IMAGES_PER_CALL], pixels)
            for start in range(0, len(data.tiles), IMAGES_PER_CALL)
        ]
    )
    return PaperData(
        data.tiles, features, images, data.has_imagery, series, has_traffic, spatial_folds(pack, data.tiles),
    )  # fmt: skip
