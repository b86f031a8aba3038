"""Spatial-block cross-validation: our models and the references on tiles that none of them has seen, and the figures.

Who generates the tiles: `variants` (the model `default`), `opendiff.paper.evaluation`, `references`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opendiff import metrics
from opendiff.default.cities import night_gaps
from opendiff.encoder.weights import pretrained_trunk
from opendiff.errors import ModelError, SourceError
from opendiff.evaluation.probe import embedding_figures
from opendiff.evaluation.realism import (
    auc_difference,
    copy_figures,
    paired_difference,
    realism_figures,
    tail_figures,
)
from opendiff.evaluation.reference_features import known_image_statistics, reference_features
from opendiff.evaluation.references import held_out, other_days, references
from opendiff.evaluation.splits import BLOCKS, split_data
from opendiff.evaluation.variants import VARIANTS, fit_folds, held_out_default
from opendiff.metrics.sums import sum_figures
from opendiff.open_data.features import with_halo
from opendiff.open_data.sources import OpenData, PackSource
from opendiff.paper.evaluation import PAPER_MODELS, held_out_paper
from opendiff.poi.registration import REACH, register_poi
from opendiff.training_data import TrainingData, read_city, read_training_data
from opendiff.week import HOURS_PER_DAY
from plannerbase.progress import Progress

DEFAULT, PRIOR_ALONE = "default", "default, prior alone"
ORACLE = "the tile's other days (oracle)"
# Endings of a reference's name, by the open data that it is given: the pack's POI as counted; moved to the right tile,
# as our model moves them; and with those of OpenStreetMap beside them, which is all that our model is given.
COUNTED, REGISTERED, SAME_AS_OURS = "", " (registered POI)", " (registered POI and OSM POI)"
KINDS = (COUNTED, REGISTERED, SAME_AS_OURS)


@dataclass(frozen=True)
class Evaluation:
    """report: what is written as JSON. truth (tiles, 168) and ensembles (tiles, samples, 168) of each model are what
    it was made from, relative units; x, y (tiles,) tile numbers."""

    report: dict[str, Any]
    truth: np.ndarray
    ensembles: dict[str, np.ndarray]
    x: np.ndarray
    y: np.ndarray


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
    """Whether a reference looks at what is known of a tile."""
    return name not in ("random tiles", "mean profile")


def evaluate(
    pack: PackSource,
    names: list[str] | None,
    samples: int,
    seed: int,
    progress: Progress | None = None,
    paper_samples: int = 10,
    work: Path | None = None,
    others: Sequence[PackSource] = (),
    device: str = "cpu",
    workers: int = 1,
    split: str = BLOCKS,
) -> Evaluation:
    """Figures of each model by name, with the standard error over folds, and the traffic they were made from.

    Without names it evaluates all but the published method, which takes hours and so has its own number of samples and
    a folder `work` for finished parts; `workers` processes share its folds. `others`: further packs that the model
    default is trained on as well. split: which tiles are held out together (`splits`). Raises ModelError for an unknown
    name.
    """
    known = model_names()
    names = names or [name for name in known if name not in PAPER_MODELS]
    if unknown := [name for name in names if name not in known]:
        raise ModelError(f"There is no model {unknown[0]!r}; choose from: {'; '.join(known)}.")
    if split != BLOCKS and any(name in PAPER_MODELS for name in names):
        raise ModelError("The model paper is evaluated on the pack's own blocks; leave it out, or the split.")
    started = time.perf_counter()
    data = split_data(read_training_data(pack, pretrained_trunk(), progress), split)
    rows = data.has_traffic
    truth, folds = data.series[rows, 0], data.folds[rows]
    if len(np.unique(folds)) < 2:
        raise SourceError(
            f"The pack {pack.name} has traffic in one spatial block only; evaluation needs two."
        )
    ensembles: dict[str, np.ndarray] = {}
    embedding: dict[str, float] = {}
    if chosen := {name: VARIANTS[name] for name in names if name in VARIANTS}:
        further = [read_city(other, pretrained_trunk()) for other in others]
        fits = fit_folds(data, seed, progress, further, device)
        ensembles |= held_out_default(data, fits, chosen, samples, seed, progress, device)
        embedding = embedding_figures(pack, data, fits)
    paper_notes: dict[str, Any] = {}
    if published := [name for name in names if name in PAPER_MODELS]:
        made, paper_notes = held_out_paper(
            pack, published, paper_samples, seed, work, progress, device=device, workers=workers
        )
        ensembles |= made
    ensembles |= held_out_references(pack, data, names, samples, seed, progress)
    if ORACLE in names:
        ensembles[ORACLE] = other_days(truth)
    tiles = data.tiles.iloc[np.flatnonzero(rows)]
    x, y = tiles["x"].to_numpy(), tiles["y"].to_numpy()
    imaged = data.has_imagery[rows]
    patterns = metrics.traffic_patterns(truth)
    scored = {
        "pack": pack.name, "tiles": int(rows.sum()), "tiles_with_imagery": int(imaged.sum()),
        "split": split, "folds": len(np.unique(folds)), "samples": samples, "seed": seed,
        "seconds": round(time.perf_counter() - started, 1),
        "models": {name: score_model(truth, ensembles[name], folds, x, y, imaged, patterns) for name in names},
    }  # fmt: skip
    if DEFAULT in names:
        scored["differences"] = differences(
            truth, ensembles, [name for name in names if name != DEFAULT], folds, data.blocks[rows]
        )
    if embedding:
        scored["embedding"] = embedding
    if paper_notes:
        scored["paper"] = paper_notes
    return Evaluation(scored, truth, {name: ensembles[name] for name in names}, x, y)


def held_out_references(
    pack: PackSource, data: TrainingData, names: list[str], samples: int, seed: int, progress: Progress | None
) -> dict[str, np.ndarray]:
    """Traffic (tiles with traffic, samples, 168) of those references that are in `names`, fitted in the same folds."""
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

    def kept(fold: int) -> np.ndarray:
        return data.kept(fold)[rows]

    for number, name in enumerate(wanted):
        plain, kind = split_name(name)
        ensembles[name] = held_out(references()[plain], features[kind], truth, folds, samples, seed, kept)
        if progress:
            progress(number + 1, len(wanted), "references")
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
        around.osm_places,
    )
    return OpenData(
        data.tiles, data.imagery, data.has_imagery, counts.astype(np.float32), enough, data.osm_poi, data.has_osm_poi,
        data.population, data.has_population, data.attribution, layers=data.layers,
    )  # fmt: skip


def differences(
    truth: np.ndarray,
    ensembles: dict[str, np.ndarray],
    names: list[str],
    folds: np.ndarray,
    blocks: np.ndarray,
) -> dict[str, dict[str, float]]:
    """nCRPS and energy score of each model less that of `default`, over the hours that were measured, with their 95 %
    intervals (`paired_difference`), and of the prior alone how much better its weeks are told from real ones."""
    hours = measured_hours(truth)
    found = {}
    for name in names:
        pair = ensembles[name][:, :, hours], ensembles[DEFAULT][:, :, hours]
        value, low, high = paired_difference(truth[:, hours], *pair, blocks)
        found[name] = {"difference": value, "low": low, "high": high}
        scores = paired_difference(truth[:, hours], *pair, blocks, score=metrics.energy_score)
        found[name] |= dict(zip(("energy", "energy_low", "energy_high"), scores, strict=True))
        if name == PRIOR_ALONE:
            areas = auc_difference(truth, ensembles[name], ensembles[DEFAULT], folds, blocks)
            found[name] |= dict(zip(("auc", "auc_low", "auc_high"), areas, strict=True))
    return found


def measured_hours(truth: np.ndarray) -> np.ndarray:
    """Mask (168,) of the hours that are no gap of the measurement."""
    gaps = night_gaps(truth.reshape(len(truth), -1, HOURS_PER_DAY).mean((0, 1)))
    return ~np.isin(np.arange(truth.shape[1]) % HOURS_PER_DAY, gaps)


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
    scored["figures"] |= sum_figures(truth, ensemble, x, y)
    scored["figures"] |= tail_figures(truth, ensemble) | realism_figures(truth, ensemble, folds)
    scored["figures"] |= copy_figures(truth, ensemble, folds)
    measured = measured_hours(truth)
    if not measured.all():
        # hours of a gap of the measurement are no truth; the figures over all hours stand beside these
        inside = truth[:, measured], ensemble[:, :, measured]
        scored["figures"]["ncrps_measured_hours"] = float(metrics.crps(*inside).mean() / inside[0].mean())
        scored["figures"]["coverage_50_measured_hours"] = float(metrics.coverage(*inside, 0.5).mean())
        scored["figures"]["coverage_90_measured_hours"] = float(metrics.coverage(*inside, 0.9).mean())
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
