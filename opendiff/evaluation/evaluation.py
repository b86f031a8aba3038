"""Spatial-block cross-validation: our models and the references on tiles that none of them has seen.

For each fold the encoder is fitted on the open data, and the model on the traffic, of the other folds only.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from opendiff import metrics
from opendiff.conditions import MODALITIES, TOKEN_WIDTHS, Conditions
from opendiff.default.model import TrafficModel
from opendiff.default.training import train_model
from opendiff.errors import ModelError, SourceError
from opendiff.evaluation.probe import level_r2
from opendiff.evaluation.reference_features import image_statistics, known_image_statistics
from opendiff.evaluation.reference_features import tile_features as reference_features
from opendiff.evaluation.references import held_out, other_days, references
from opendiff.generator import TrafficGenerator
from opendiff.open_data.features import with_halo
from opendiff.open_data.sources import OpenData, PackSource
from opendiff.paper.evaluation import PAPER_MODELS, held_out_paper
from opendiff.poi.registration import REACH, register_poi
from opendiff.progress import Report
from opendiff.training_data import TrainingData, pretrained_trunk, read_training_data

ORACLE = "the tile's other days (oracle)"
# What open data a reference is given: the pack's POI as counted; moved to the right tile, as our model moves them; and
# with those of OpenStreetMap beside them, which is all that our model is given.
COUNTED, REGISTERED, SAME_AS_OURS = "", " (registered POI)", " (registered POI and OSM POI)"
KINDS = (COUNTED, REGISTERED, SAME_AS_OURS)


@dataclass(frozen=True)
class Variant:
    """One way to ask the `default` model: with which modalities, whose condition and how much guidance."""

    modalities: tuple[str, ...] = MODALITIES
    shuffled: bool = False
    corrected: bool = True  # False: the closed form of the prior alone, without what the denoiser learned
    guidance_scale: float = 0.0


@dataclass(frozen=True)
class Evaluation:
    """report: what is written as JSON. truth (tiles, 168) and ensembles (tiles, samples, 168) of each model are what
    it was made from, relative units; x, y (tiles,) tile numbers."""

    report: dict[str, Any]
    truth: np.ndarray
    ensembles: dict[str, np.ndarray]
    x: np.ndarray
    y: np.ndarray


VARIANTS: dict[str, Variant] = {
    "default": Variant(),
    "default, prior alone": Variant(corrected=False),
    "default, guidance 0.5": Variant(guidance_scale=0.5),
    "default, another tile's condition": Variant(shuffled=True),
    "default, no condition": Variant(modalities=()),
    "default, imagery only": Variant(modalities=("imagery",)),
    "default, POI only": Variant(modalities=("poi",)),
    "default, OSM POI only": Variant(modalities=("osm_poi",)),
    "default, population only": Variant(modalities=("population",)),
    "default, imagery and POI": Variant(modalities=("imagery", "poi")),
    "default, imagery and OSM POI": Variant(modalities=("imagery", "osm_poi")),
    "default, imagery and population": Variant(modalities=("imagery", "population")),
    "default, POI and population": Variant(modalities=("poi", "population")),
    "default, imagery, POI and population": Variant(modalities=("imagery", "poi", "population")),
    "default, imagery, OSM POI and population": Variant(modalities=("imagery", "osm_poi", "population")),
}


def model_names() -> list[str]:
    """Everything that `evaluate` can evaluate."""
    plain = list(references())
    informed = [name + kind for kind in KINDS[1:] for name in plain if needs_features(name)]
    return [*VARIANTS, *PAPER_MODELS, *plain, *informed, ORACLE]


def split_name(name: str) -> tuple[str, str]:
    """The reference and the kind of open data that a name stands for."""
    kind = next((kind for kind in KINDS[1:] if name.endswith(kind)), COUNTED)
    return name.removesuffix(kind), kind


def needs_features(name: str) -> bool:
    return name not in ("random tiles", "mean profile")


def evaluate(
    pack: PackSource,
    names: list[str] | None,
    samples: int,
    seed: int,
    report: Report | None = None,
    paper_samples: int = 10,
    work: Path | None = None,
) -> Evaluation:
    """Figures of each model by name, with the standard error over folds, and the traffic they were made from.

    Without names it evaluates all but the published method, which takes hours and so has its own number of samples
    and a folder `work` for finished parts. Raises ModelError for an unknown name.
    """
    known = model_names()
    names = names or [name for name in known if name not in PAPER_MODELS]
    if unknown := [name for name in names if name not in known]:
        raise ModelError(f"There is no model {unknown[0]!r}; choose from: {'; '.join(known)}.")
    started = time.perf_counter()
    data = read_training_data(pack, pretrained_trunk(), report)
    rows = data.has_traffic
    truth, folds = data.series[rows, 0], data.folds[rows]
    if len(np.unique(folds)) < 2:
        raise SourceError(
            f"The pack {pack.name} has traffic in one spatial block only; evaluation needs two."
        )
    ensembles: dict[str, np.ndarray] = {}
    embedding: dict[str, float] = {}
    if chosen := {name: VARIANTS[name] for name in names if name in VARIANTS}:
        fits = fit_folds(data, seed, report)
        ensembles |= held_out_default(data, fits, chosen, samples, seed, report)
        embedding = embedding_figures(pack, data, fits)
    paper_notes: dict[str, Any] = {}
    if published := [name for name in names if name in PAPER_MODELS]:
        made, paper_notes = held_out_paper(pack, published, paper_samples, seed, work, report)
        ensembles |= made
    ensembles |= held_out_references(pack, data, names, samples, seed, report)
    if ORACLE in names:
        ensembles[ORACLE] = other_days(truth)
    tiles = data.tiles.iloc[np.flatnonzero(rows)]
    x, y = tiles["x"].to_numpy(), tiles["y"].to_numpy()
    imaged = data.has_imagery[rows]
    patterns = metrics.traffic_patterns(truth)
    scored = {
        "pack": pack.name, "tiles": int(rows.sum()), "tiles_with_imagery": int(imaged.sum()),
        "folds": len(np.unique(folds)), "samples": samples, "seed": seed,
        "seconds": round(time.perf_counter() - started, 1),
        "models": {name: score_model(truth, ensembles[name], folds, x, y, imaged, patterns) for name in names},
    }  # fmt: skip
    if embedding:
        scored["embedding"] = embedding
    if paper_notes:
        scored["paper"] = paper_notes
    return Evaluation(scored, truth, {name: ensembles[name] for name in names}, x, y)


@dataclass(frozen=True)
class FoldFit:
    """The model fitted without a fold, and conditions of all tiles by an encoder fitted without it."""

    fold: int
    model: TrafficModel
    conditions: Conditions


def fit_folds(data: TrainingData, seed: int, report: Report | None = None) -> list[FoldFit]:
    """One fit a fold that holds traffic."""
    every = np.unique(data.folds[data.has_traffic])
    fits = []
    for number, fold in enumerate(every):
        others = data.folds != fold
        conditions = data.conditions(data.encoder(pretrained_trunk(), others, seed))
        train = data.has_traffic & others
        model = train_model(
            conditions.take(train), data.series[train], data.log_intensities[train], data.blocks[train], seed
        )
        fits.append(FoldFit(int(fold), model, conditions))
        if report:
            report("fits", number + 1, len(every))
    return fits


def held_out_default(
    data: TrainingData,
    fits: list[FoldFit],
    variants: dict[str, Variant],
    samples: int,
    seed: int,
    report: Report | None = None,
) -> dict[str, np.ndarray]:
    """Traffic (tiles with traffic, samples, 168) of each variant, every tile by the fit that has not seen its fold."""
    rows = data.has_traffic
    place = np.cumsum(rows) - 1
    ensembles = {
        name: np.zeros((rows.sum(), samples, data.series.shape[-1]), np.float32) for name in variants
    }
    for number, fit in enumerate(fits):
        test = rows & (data.folds == fit.fold)
        generators = {
            True: TrafficGenerator(fit.model),
            False: TrafficGenerator(without_correction(fit.model)),
        }
        for name, variant in variants.items():
            asked = vary(fit.conditions.take(test), variant, seed)
            generator = generators[variant.corrected]
            generated = generator.generate(asked, samples, seed, variant.guidance_scale)
            ensembles[name][place[test]] = generated.traffic
        if report:
            report("folds", number + 1, len(fits))
    return ensembles


def embedding_figures(pack: PackSource, data: TrainingData, fits: list[FoldFit]) -> dict[str, float]:
    """R² of the log level from the imagery embedding, frozen, and from statistics of colour and texture, on the tiles
    that have imagery and traffic."""
    rows = np.flatnonzero(data.has_traffic & data.has_imagery)
    folds = data.folds[rows]
    if len(np.unique(folds)) < 2:
        return {}
    level = data.series[rows, 0].mean(axis=1)
    log_level = metrics.log_level(data.series[rows, 0], metrics.LEVEL_FLOOR * level.mean())
    held = [fit for fit in fits if (folds == fit.fold).any()]
    width = TOKEN_WIDTHS[MODALITIES.index("imagery")]
    embedding = {fit.fold: fit.conditions.tokens[rows, :width] for fit in held}
    images = pack.open_data(data.tiles.iloc[rows].reset_index(drop=True)).imagery
    statistics = image_statistics(images)
    return {
        "tiles": len(rows),
        "embedding_level_r2": level_r2(embedding, log_level, folds),
        "colour_and_texture_level_r2": level_r2(dict.fromkeys(embedding, statistics), log_level, folds),
    }


def without_correction(model: TrafficModel) -> TrafficModel:
    """The same model with a denoiser that adds nothing to the closed form."""
    plain = copy.deepcopy(model)
    for layer in (plain.denoiser.level_out, plain.denoiser.day_out):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return plain


def vary(conditions: Conditions, variant: Variant, seed: int) -> Conditions:
    """The conditions as the variant asks for them; a shuffled one gives every tile another tile's."""
    hidden = [name for name in MODALITIES if name not in variant.modalities]
    changed = conditions.without(*hidden)
    if not variant.shuffled:
        return changed
    order = np.random.default_rng(seed).permutation(len(changed.tiles))
    giver = np.empty_like(order)
    giver[order] = np.roll(order, 1)  # one cycle through all tiles, so that none keeps its own
    swapped = changed.take(giver)
    return Conditions(changed.tiles, swapped.tokens, swapped.present, intensities=swapped.intensities)


def held_out_references(
    pack: PackSource, data: TrainingData, names: list[str], samples: int, seed: int, report: Report | None
) -> dict[str, np.ndarray]:
    """Traffic of the references fitted in the same folds: on the pack's POI as counted, and on registered
    ones."""
    rows = data.has_traffic
    truth, folds = data.series[rows, 0], data.folds[rows]
    wanted = [name for name in names if split_name(name)[0] in references()]
    if not wanted:
        return {}
    tiles = data.tiles.iloc[np.flatnonzero(rows)].reset_index(drop=True)
    counted = pack.open_data(tiles)
    moved = registered(pack, counted)
    statistics = known_image_statistics(counted)
    features = {
        COUNTED: reference_features(counted, statistics=statistics),
        REGISTERED: reference_features(moved, statistics=statistics),
        SAME_AS_OURS: reference_features(moved, osm_poi=True, statistics=statistics),
    }
    ensembles = {}
    for number, name in enumerate(wanted):
        plain, kind = split_name(name)
        ensembles[name] = held_out(references()[plain], features[kind], truth, folds, samples, seed)
        if report:
            report("references", number + 1, len(wanted))
    return ensembles


def registered(pack: PackSource, data: OpenData) -> OpenData:
    """The same open data with POI counts moved to the imagery's grid, as our own model sees them."""
    around = pack.open_data(with_halo(data.tiles, REACH), imagery=False)
    known = around.has_poi
    x, y = (around.tiles[axis].to_numpy()[known] for axis in ("x", "y"))
    counts, enough = register_poi(
        data.tiles["x"].to_numpy(),
        data.tiles["y"].to_numpy(),
        x,
        y,
        around.poi[known].astype(float),
        pack.poi_datum,
    )
    return OpenData(
        data.tiles, data.imagery, data.has_imagery, counts.astype(np.float32), enough, data.osm_poi, data.has_osm_poi,
        data.population, data.has_population, data.attribution,
    )  # fmt: skip


def score_model(
    truth: np.ndarray,
    ensemble: np.ndarray,
    folds: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    imaged: np.ndarray,
    patterns: np.ndarray,
) -> dict[str, Any]:
    """Figures over all tiles with their standard errors over folds, and over the tiles with imagery alone.

    Controllability (Table 2 of the paper) compares one sample a tile with true tiles of its traffic pattern and of
    others.
    """
    scored = score_folds(truth, ensemble, folds, x, y)
    scored["figures"] |= metrics.controllability(truth, ensemble[:, 0], patterns)
    scored["samples"] = ensemble.shape[1]
    if len(np.unique(folds[imaged])) > 1:
        scored["with_imagery"] = score_folds(
            truth[imaged], ensemble[imaged], folds[imaged], x[imaged], y[imaged]
        )
    return scored


def score_folds(
    truth: np.ndarray, ensemble: np.ndarray, folds: np.ndarray, x: np.ndarray, y: np.ndarray
) -> dict[str, Any]:
    """Figures over all tiles, and their standard error from the spread over folds."""
    figures = metrics.score(truth, ensemble, x, y)
    parts = [metrics.score(truth[folds == fold], ensemble[folds == fold]) for fold in np.unique(folds)]
    errors = {
        name: float(np.std([part[name] for part in parts], ddof=1) / np.sqrt(len(parts))) for name in parts[0]
    }
    return {"figures": {name: float(value) for name, value in figures.items()}, "standard_errors": errors}
