"""What a pack with traffic offers for training and for judging: features, series, and spatial folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opendiff.area import Tiles
from opendiff.conditions import Conditions
from opendiff.encoder import IMAGE_FEATURES, Encoder
from opendiff.encoder.backbone import Trunk
from opendiff.encoder.contrastive import train_encoder
from opendiff.errors import SourceError
from opendiff.observed import City
from opendiff.open_data.features import INTENSITY_UNITS, TileFeatures, tile_features, with_halo
from opendiff.open_data.sources import OpenData, PackSource
from opendiff.storage.resume import UNSAVED, TrainingState
from plannerbase.progress import Progress

VIEWS = 8  # four rotations, each also mirrored
BLOCK_TILES = 3  # side of a spatial block, for packs that name no folds
TILES_PER_BATCH = 256  # images held at once
FOLDS = 5  # for packs that name none


@dataclass(frozen=True)
class TrainingData:
    """All tiles of a pack, row for row: features, trunk statistics of the turned images (views, tiles, 512),
    series (tiles, 2, 168) with NaN where unmeasured, log intensities (tiles, 3), spatial folds (tiles,) and the spatial
    blocks (tiles,) that they are made of. buffer: tiles around a held-out one that are kept from training as well."""

    tiles: Tiles
    features: TileFeatures
    views: np.ndarray
    has_imagery: np.ndarray
    series: np.ndarray
    has_traffic: np.ndarray
    log_intensities: np.ndarray
    folds: np.ndarray
    blocks: np.ndarray
    buffer: int = 0

    def kept(self, fold: int) -> np.ndarray:
        """Mask (tiles,) of the tiles that are trained on where a fold is held out."""
        out = self.folds == fold
        if self.buffer:
            x, y = (self.tiles[axis].to_numpy() for axis in ("x", "y"))
            apart = [np.abs(axis[:, None] - axis[out]) for axis in (x, y)]
            out = (np.maximum(*apart) <= self.buffer).any(axis=1)
        return np.asarray(~out)

    def encoder(
        self,
        trunk: Trunk,
        rows: np.ndarray,
        seed: int,
        progress: Progress | None = None,
        state: TrainingState = UNSAVED,
        others: Sequence[TileFeatures] = (),
    ) -> Encoder:
        """An encoder fitted on some rows, and on the features of other cities."""
        part = self.features.take(rows)
        views, has_imagery = self.views[:, rows], self.has_imagery[rows]
        return train_encoder(
            trunk, part, views, has_imagery, seed, progress=progress, state=state, others=others
        )

    def conditions(self, encoder: Encoder) -> Conditions:
        """Conditions of all tiles by an encoder."""
        return encoder.tokens(self.features, encoder.project(self.views[0]), self.has_imagery)


@dataclass(frozen=True)
class CityData:
    """All tiles of a pack as a training city: features, image tokens' inputs, and what was observed.

    statistics: (tiles, 512) trunk statistics of the images; series, presence, folds, blocks as in `City`.
    """

    name: str
    features: TileFeatures
    statistics: np.ndarray
    has_imagery: np.ndarray
    series: np.ndarray
    presence: np.ndarray
    folds: np.ndarray
    blocks: np.ndarray

    def city(self, encoder: Encoder) -> City:
        """The city with conditions by an encoder."""
        conditions = encoder.tokens(self.features, encoder.project(self.statistics), self.has_imagery)
        intensities = np.log1p(self.features.intensities() / INTENSITY_UNITS)
        return City(self.name, conditions, self.series, self.presence, intensities, self.blocks)


def read_city(pack: PackSource, trunk: Trunk) -> CityData:
    """What a pack tells as a training city. Raises SourceError where it has neither traffic nor people present."""
    tiles = pack.all_tiles()
    features = tile_features(tiles, pack.open_data(with_halo(tiles), imagery=False), pack.poi_datum)
    traffic, users, has_traffic = pack.traffic(tiles)
    presence = pack.presence(tiles)
    if not has_traffic.any() and not np.isfinite(presence).all(axis=1).any():
        raise SourceError(
            f"The pack {pack.name} has neither traffic.parquet nor presence.parquet; training needs one."
        )
    encoder = Encoder()
    encoder.trunk = trunk
    statistics = np.zeros((len(tiles), IMAGE_FEATURES), np.float32)
    has_imagery = np.zeros(len(tiles), bool)
    for start in range(0, len(tiles), TILES_PER_BATCH):
        part = tiles.iloc[start : start + TILES_PER_BATCH].reset_index(drop=True)
        data = pack.open_data(part)
        rows = start + np.flatnonzero(data.has_imagery)
        has_imagery[rows] = True
        statistics[rows] = encoder.image_features(data.imagery[data.has_imagery])
    return CityData(
        pack.name, features, statistics, has_imagery, np.stack([traffic, users], axis=1), presence,
        spatial_folds(pack, tiles), spatial_blocks(tiles),
    )  # fmt: skip


def read_training_data(
    pack: PackSource, trunk: Trunk, progress: Progress | None = None, turned: bool = True
) -> TrainingData:
    """All that training needs; without `turned`, which only the encoder learns from, images are seen as they are.

    Raises SourceError when the pack has no traffic or no imagery.
    """
    data, features, series, has_traffic = read_measured(pack)
    encoder = Encoder()
    encoder.trunk = trunk
    views = np.zeros((VIEWS if turned else 1, len(data.tiles), IMAGE_FEATURES), np.float32)
    for view in range(len(views)):
        views[view, data.has_imagery] = encoder.image_features(turn(data.imagery[data.has_imagery], view))
        if progress:
            progress(view + 1, len(views), "image features")
    return TrainingData(
        data.tiles, features, views, data.has_imagery, series, has_traffic,
        np.log1p(features.intensities() / INTENSITY_UNITS), spatial_folds(pack, data.tiles),
        spatial_blocks(data.tiles),
    )  # fmt: skip


def read_measured(pack: PackSource) -> tuple[OpenData, TileFeatures, np.ndarray, np.ndarray]:
    """Open data and features of all tiles of a pack, series (tiles, 2, 168) of traffic and users, NaN where unmeasured,
    and the mask (tiles,) of the measured ones. Raises SourceError when the pack has no traffic or no imagery."""
    tiles = pack.all_tiles()
    features = tile_features(tiles, pack.open_data(with_halo(tiles), imagery=False), pack.poi_datum)
    data = pack.open_data(tiles)
    traffic, users, has_traffic = pack.traffic(tiles)
    if not has_traffic.any() or not data.has_imagery.any():
        raise SourceError(f"The pack {pack.name} lacks traffic.parquet or imagery; training needs both.")
    return data, features, np.stack([traffic, users], axis=1), has_traffic


def turn(images: np.ndarray, view: int) -> np.ndarray:
    """Images (n, height, width, 3) rotated by a quarter turn `view` % 4 times, mirrored from view 4 on."""
    turned = np.rot90(images, view % 4, axes=(1, 2))
    return np.ascontiguousarray(turned[:, :, ::-1] if view >= 4 else turned)


def spatial_folds(pack: PackSource, tiles: Tiles) -> np.ndarray:
    """The pack's folds, or its blocks dealt out in a fixed random order."""
    try:
        return pack.folds(tiles)
    except SourceError:
        block = spatial_blocks(tiles)
        return np.random.default_rng(0).permutation(block.max() + 1)[block] % FOLDS


def spatial_blocks(tiles: Tiles) -> np.ndarray:
    """Number 0, 1, ... of the block of BLOCK_TILES x BLOCK_TILES tiles each tile lies in, (tiles,); blocks are laid
    out from the north-western corner."""
    x, y = tiles["x"].to_numpy(), tiles["y"].to_numpy()
    block = np.stack([(x - x.min()) // BLOCK_TILES, (y - y.min()) // BLOCK_TILES], axis=1)
    return np.unique(block, axis=0, return_inverse=True)[1].reshape(-1)
