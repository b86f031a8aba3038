"""The data sets of the tables: a pack, with spatial folds, or stations with an embedding, with random folds."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from opendiff.baselines.graph_embedding import embed_tiles
from opendiff.baselines.harness import HOURS, TileConditions
from opendiff.encoder.contrastive import train_encoder
from opendiff.encoder.weights import pretrained_trunk
from opendiff.errors import SourceError
from opendiff.open_data.features import MIX_WIDTH, TOTALS, TileFeatures, tile_features, with_halo
from opendiff.open_data.sources import PackSource
from opendiff.storage.resume import fingerprint
from opendiff.storage.work_folder import WorkFolder
from opendiff.training_data import (
    TrainingData,
    read_training_data,
    spatial_blocks,
    spatial_folds,
)
from plannerbase.progress import Progress

ALL = "all"
ELEMENTS = ("No-Geo", "No-Human", "No-POI")  # what Table 3 takes away
STATION_FOLDS = 3  # a fold less is a fit of each model less
CLIP = 3e7  # traffic of the stations of Beijing was clipped there
ENCODER_SEED = 0  # one encoder a fold for all models and seeds


@dataclass(frozen=True)
class City:
    """series: (rows, series, 168), traffic and perhaps users; folds: (rows,); conditions: for each set of elements and
    fold the conditions of all rows, by an encoder that has not seen the fold."""

    name: str
    split: str
    series: np.ndarray
    folds: np.ndarray
    conditions: dict[str, dict[int, TileConditions]]

    @property
    def truth(self) -> np.ndarray:
        """Traffic (rows, 168)."""
        return self.series[:, 0]

    def part(self, folds: int, rows_a_fold: int) -> City:
        """The first `rows_a_fold` rows of each of the first `folds` folds."""
        first = [np.flatnonzero(self.folds == fold)[:rows_a_fold] for fold in np.unique(self.folds)[:folds]]
        rows = np.sort(np.concatenate(first))
        conditions = {
            element: {fold: told.take(rows) for fold, told in by_fold.items()}
            for element, by_fold in self.conditions.items()
        }
        split = f"the first {rows_a_fold} rows of the first {folds} of {self.split}"
        return replace(
            self, split=split, series=self.series[rows], folds=self.folds[rows], conditions=conditions
        )


def read_city(
    path: Path,
    elements: tuple[str, ...] = (),
    folder: WorkFolder | None = None,
    progress: Progress | None = None,
) -> City:
    """A pack, or the stations in a .npz file (`read_stations`). elements: those of ELEMENTS that a table takes away,
    which stations do not tell apart. Raises SourceError."""
    if Path(path).suffix == ".npz":
        return read_stations(Path(path))
    return read_pack(PackSource(path), elements, folder or WorkFolder(None), progress)


def read_stations(path: Path) -> City:
    """Stations with traffic and an embedding: arrays bs_record (stations, 168) and bs_kge (stations, any), or traffic,
    poi (stations, categories) and usable. Raises SourceError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if "bs_record" in file:
                traffic, told = file["bs_record"] / CLIP, file["bs_kge"]
            else:
                rows = file["usable"].astype(bool)
                traffic, told = file["traffic"][rows], np.sqrt(file["poi"][rows])
                traffic = traffic / traffic.max()
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise SourceError(
            f"The stations {path} cannot be read ({error}); give an .npz with bs_record and bs_kge, or with traffic, "
            "poi and usable."
        ) from None
    if traffic.ndim != 2 or traffic.shape[1] != HOURS or len(told) != len(traffic):
        raise SourceError(f"The stations {path} have no week of {HOURS} hours each; give one row a station.")
    heard = traffic.mean(axis=1) > 0
    traffic, told = traffic[heard].astype(np.float32), told[heard].astype(np.float32)
    folds = np.random.default_rng(0).permutation(len(traffic)) % STATION_FOLDS
    conditions = TileConditions(told, told, np.arange(len(traffic)))
    by_fold = {fold: conditions for fold in range(STATION_FOLDS)}
    split = f"{STATION_FOLDS} random folds"
    return City(path.stem, split, traffic[:, None], folds, {ALL: by_fold})


def read_pack(
    pack: PackSource, elements: tuple[str, ...], folder: WorkFolder, progress: Progress | None
) -> City:
    """The tiles of a pack with traffic; conditions are the tokens of the encoder of `default`, with one flag a
    modality. The graph's embedding knows POI, population and adjacency."""
    tiles = pack.all_tiles()
    features = tile_features(tiles, pack.open_data(with_halo(tiles), imagery=False), pack.poi_datum)
    traffic, users, rows = pack.traffic(tiles)
    folds = spatial_folds(pack, tiles)
    if len(np.unique(folds[rows])) < 2:
        raise SourceError(
            f"The pack {pack.name} has traffic in fewer than two spatial blocks; take a larger one."
        )
    key = fingerprint(
        features.poi,
        features.osm_poi,
        features.population,
        rows,
        folds,
        ENCODER_SEED,
        tiles[["x", "y"]].to_numpy(),
    )
    data: TrainingData | None = None
    vectors = {}
    for element in (ALL, *elements):
        found = folder.read(f"tokens-{element}", key)
        if found is None:
            data = data or read_training_data(pack, pretrained_trunk(), progress)
            found = {str(f): tokens_without(data, element, f) for f in np.unique(folds[rows])}, None
            folder.write(f"tokens-{element}", key, *found)
        vectors[element] = found[0]
    graph = embed_tiles(
        tiles["x"].to_numpy(), tiles["y"].to_numpy(), features.poi[:, :-1],
        np.where(features.has_population, features.population_total, np.nan),
    )  # fmt: skip
    groups = spatial_blocks(tiles)[rows]
    conditions = {
        element: {
            int(fold): TileConditions(values[rows], graph[rows], groups) for fold, values in by_fold.items()
        }
        for element, by_fold in vectors.items()
    }
    series = np.stack([traffic, users], axis=1)[rows].astype(np.float32)
    split = f"{len(np.unique(folds[rows]))} spatial folds"
    return City(pack.name, split, series, folds[rows], conditions)


def tokens_without(data: TrainingData, element: str, fold: int) -> np.ndarray:
    """Tokens of all tiles and a flag a modality (tiles, 44), by an encoder that has seen neither the fold nor the
    element."""
    features, others = hidden(data.features, element), data.folds != fold
    encoder = train_encoder(
        pretrained_trunk(), features.take(others), data.views[:, others], data.has_imagery[others], ENCODER_SEED,
        proximity=element != "No-Geo",
    )  # fmt: skip
    told = encoder.tokens(features, encoder.project(data.views[0]), data.has_imagery)
    return np.hstack([told.tokens, told.present]).astype(np.float32)


def hidden(features: TileFeatures, element: str) -> TileFeatures:
    """The features without an element: what lies around a tile, its population, or its POI."""

    def blank(*names: str) -> dict[str, np.ndarray]:
        return {name: np.zeros_like(getattr(features, name)) for name in names}

    taken = {
        ALL: (),
        "No-Geo": ("poi_around", "osm_poi_around", "population_around"),
        "No-Human": ("population", "population_around", "has_population"),
        "No-POI": ("poi", "poi_around", "has_poi", "osm_poi", "osm_poi_around", "has_osm_poi"),
    }[element]
    totals, mixes = features.totals.copy(), [features.poi_mix.copy(), features.osm_mix.copy()]
    if element == "No-Geo":
        totals[:, :, 1:] = totals[:, :, :1]  # a window that tells no more than the tile
        for mix in mixes:
            mix[:, MIX_WIDTH:] = 0
    gone = {"No-Human": ("population",), "No-POI": ("poi", "osm_poi")}.get(element, ())
    totals[:, [TOTALS.index(name) for name in gone]] = np.nan
    return replace(features, **blank(*taken), totals=totals, poi_mix=mixes[0], osm_mix=mixes[1])
