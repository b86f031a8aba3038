"""The `default` model on tiles that it has not seen: fitted without each fold, and asked in several ways.

For each fold the encoder is fitted on the open data, and the model on the traffic, of the other folds only.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from opendiff.conditions import MODALITIES, Conditions
from opendiff.default.model import TrafficModel
from opendiff.default.training import train_model
from opendiff.encoder.weights import pretrained_trunk
from opendiff.evaluation.resampled import GENERATED, REAL_WEEKS, RESIDUALS, resampled
from opendiff.generator import TrafficGenerator
from opendiff.training_data import CityData, TrainingData
from plannerbase.progress import Progress


@dataclass(frozen=True)
class Variant:
    """One way to ask the `default` model: with which modalities, whose condition and how much guidance; shapes: its own
    or put together from real weeks (`opendiff.evaluation.resampled`)."""

    modalities: tuple[str, ...] = MODALITIES
    shuffled: bool = False
    corrected: bool = True  # False: the closed form of the prior alone, without what the denoiser learned
    guidance_scale: float = 0.0
    shapes: str = GENERATED


VARIANTS: dict[str, Variant] = {
    "default": Variant(),
    "default, prior alone": Variant(corrected=False),
    "default's level x random real weeks": Variant(corrected=False, shapes=REAL_WEEKS),
    "default, residuals of real weeks": Variant(corrected=False, shapes=RESIDUALS),
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
    "default, POI, OSM POI and population": Variant(modalities=("poi", "osm_poi", "population")),
    "default, imagery, POI and population": Variant(modalities=("imagery", "poi", "population")),
    "default, imagery, OSM POI and population": Variant(modalities=("imagery", "osm_poi", "population")),
}


@dataclass(frozen=True)
class FoldFit:
    """The model fitted without a fold, and conditions of all tiles by an encoder fitted without it."""

    fold: int
    model: TrafficModel
    conditions: Conditions


def fit_folds(
    data: TrainingData,
    seed: int,
    progress: Progress | None = None,
    others: Sequence[CityData] = (),
    device: str = "cpu",
) -> list[FoldFit]:
    """One fit a fold that holds traffic; `others`: further cities that are trained on as a whole."""
    every = np.unique(data.folds[data.has_traffic])
    fits = []
    for number, fold in enumerate(every):
        kept = data.kept(fold)
        known = [city.features for city in others]
        encoder = data.encoder(pretrained_trunk(), kept, seed, others=known)
        conditions = data.conditions(encoder)
        model = train_model(
            conditions.take(kept), data.series[kept], data.log_intensities[kept], data.blocks[kept], seed,
            others=[city.city(encoder) for city in others], device=device,
        )  # fmt: skip
        fits.append(FoldFit(int(fold), model, conditions))
        if progress:
            progress(number + 1, len(every), "fits")
    return fits


def held_out_default(
    data: TrainingData,
    fits: list[FoldFit],
    variants: dict[str, Variant],
    samples: int,
    seed: int,
    progress: Progress | None = None,
    device: str = "cpu",
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
            # the fair CRPS takes samples as independent
            True: TrafficGenerator(fit.model, device=device, mirrored=False),
            False: TrafficGenerator(without_correction(fit.model), device=device, mirrored=False),
        }
        for name, variant in variants.items():
            asked = vary(fit.conditions.take(test), variant, seed)
            generator = generators[variant.corrected]
            generated = generator.generate(asked, samples, seed, variant.guidance_scale)
            made = generated.traffic
            if variant.shapes != GENERATED:
                rng = np.random.default_rng((seed, number))
                known = rows & data.kept(fit.fold)
                told = fit.conditions.take(known)
                made = resampled(variant.shapes, made, fit.model, asked, told, data.series[known], rng)
            ensembles[name][place[test]] = made
        if progress:
            progress(number + 1, len(fits), "folds")
    return ensembles


def without_correction(model: TrafficModel) -> TrafficModel:
    """The same model with a denoiser that adds nothing to the closed form."""
    plain = copy.deepcopy(model)
    nn.init.zeros_(plain.denoiser.day_out.weight)
    nn.init.zeros_(plain.denoiser.day_out.bias)
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
