"""Cities that the model has not seen: each left out as a whole, and each by spatial blocks, beside trivial references.

Levels are judged after one scale factor, because the scale of a new city is the user's, and shapes by the hours that
tell working from living: log(14 h / 3 h) and workdays against the weekend. What a tile is estimated at is the mean over
as many samples as a user gets; bands and scores are of independent samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from opendiff import metrics
from opendiff.conditions import MODALITIES, Conditions
from opendiff.default.cities import WORKDAYS, ready
from opendiff.default.model import TrafficModel
from opendiff.default.training import DenoiserTraining, train_cities
from opendiff.encoder import Encoder
from opendiff.encoder.weights import load_encoder
from opendiff.errors import SourceError
from opendiff.generator import TrafficGenerator
from opendiff.metrics.sums import sum_figures
from opendiff.observed import City
from opendiff.open_data.features import TOTALS
from opendiff.open_data.sources import PackSource
from opendiff.training_data import CityData, read_city
from opendiff.week import DAYS, HOURS_PER_DAY
from plannerbase.progress import Progress

DAY_HOUR, NIGHT_HOUR = 14, 3
STEPS = 2  # of the sampler: the path of the closed form is nearly straight
SHOWN_SAMPLES = 20  # of an ensemble as the commands and the app make it
FLOOR = 1e-3  # of the mean: smaller values of a reference are raised to it before their logarithm
GIVEN: dict[str, tuple[str, ...]] = {
    "all layers": MODALITIES,
    "POI and population": ("poi", "population"),
    "OSM POI and population": ("osm_poi", "population"),
    "POI": ("poi",),
    "OSM POI": ("osm_poi",),
    "population": ("population",),
    "population and OSM nodes": ("population", "osm_nodes"),
    "population and lights": ("population", "lights"),
}


def evaluate_cities(
    packs: Sequence[PackSource], samples: int, seed: int, progress: Progress | None = None
) -> dict[str, Any]:
    """Figures of every pack, left out as a whole and by its spatial folds, with the references beside them.

    The closed form of the prior generates; the denoiser changes no level. Raises SourceError with fewer than two packs.
    """
    if len(packs) < 2:
        raise SourceError("Leaving cities out needs at least two packs; give several --data.")
    encoder = load_encoder()
    data = [read_city(pack, encoder.trunk) for pack in packs]
    result: dict[str, Any] = {"samples": samples, "seed": seed, "cities": {}}
    for number, tested in enumerate(data):
        own = encoder_without(encoder, data, tested)
        cities = ready([city.city(own) for city in data])
        others, city = [one for one in cities if one.name != tested.name], cities[number]
        figures: dict[str, Any] = {
            "left out": {},
            "spatial blocks": {},
            "references": references(tested, city),
        }
        model = train_cities(others, seed, denoiser_training=DenoiserTraining(steps=0))
        for name, modalities in GIVEN.items():
            asked = given(city, modalities)
            if asked is not None:
                figures["left out"][name] = judge(city, asked, model, samples, seed)
        if progress:
            progress(number + 1, len(data), "cities left out")
        blocks = held_out_blocks(cities, number, tested.folds, samples, seed)
        figures["spatial blocks"]["all layers"] = judged(city, blocks, new=False)
        if progress:
            progress(number + 1, len(data), "spatial blocks")
        result["cities"][tested.name] = figures
    return result


def encoder_without(encoder: Encoder, data: Sequence[CityData], tested: CityData) -> Encoder:
    """The encoder with its mixes of POI fitted on the other cities; its image projector has seen no traffic anyway."""
    fitted = Encoder()
    fitted.load_state_dict(encoder.state_dict())
    fitted.fit_bottlenecks(*(city.features for city in data if city is not tested))
    return fitted.eval()


def observed(city: City) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the tiles with traffic or, where there is none, people present, and their weeks (tiles, 168)."""
    if city.has_traffic.any():
        rows = np.flatnonzero(city.has_traffic)
        return rows, city.series[rows, 0]
    rows = np.flatnonzero(city.has_presence)
    return rows, city.presence[rows]


def given(city: City, modalities: tuple[str, ...]) -> Conditions | None:
    """The conditions of the observed tiles with these modalities only; None where the city lacks one of them."""
    rows, _ = observed(city)
    asked = city.conditions.take(rows)
    if modalities != MODALITIES and not all(
        asked.present[:, MODALITIES.index(name)].any() for name in modalities
    ):
        return None
    return asked.without(*(name for name in MODALITIES if name not in modalities))


def judge(city: City, asked: Conditions, model: TrafficModel, samples: int, seed: int) -> dict[str, float]:
    """Figures of what a model makes of conditions of the observed tiles, where it is told anything."""
    rows, _ = observed(city)
    known = np.asarray(asked.present.any(axis=1))
    made = Made.blank(len(rows), samples)
    made.fill(known, model, asked.take(known), seed)
    return judged(city, made, new=True)


@dataclass(frozen=True)
class Made:
    """What was generated of tiles, NaN where nothing was asked: ensemble (tiles, samples, 168) of independent samples,
    which is scored, and shown (tiles, SHOWN, 168), as a user gets it, whose mean is the estimate of a tile."""

    ensemble: np.ndarray
    shown: np.ndarray

    @staticmethod
    def blank(tiles: int, samples: int) -> Made:
        """For so many tiles and samples."""
        hours = DAYS * HOURS_PER_DAY
        return Made(
            *(np.full((tiles, count, hours), np.nan, np.float32) for count in (samples, SHOWN_SAMPLES))
        )

    def fill(self, rows: np.ndarray, model: TrafficModel, asked: Conditions, seed: int) -> None:
        """Generate the tiles `rows` (a mask) from their conditions."""
        for mirrored, out in ((False, self.ensemble), (True, self.shown)):
            generator = TrafficGenerator(model, mirrored=mirrored)
            out[rows] = generator.generate(asked, out.shape[1], seed, steps=STEPS).traffic


def held_out_blocks(cities: Sequence[City], number: int, folds: np.ndarray, samples: int, seed: int) -> Made:
    """What is generated of the observed tiles of a city, each by a fit that has not seen its fold."""
    city = cities[number]
    rows, _ = observed(city)
    made = Made.blank(len(rows), samples)
    for fold in np.unique(folds[rows]):
        known = [one.hiding(folds == fold) if one is city else one for one in cities]
        model = train_cities(known, seed, denoiser_training=DenoiserTraining(steps=0))
        test = folds[rows] == fold
        made.fill(test, model, city.conditions.take(rows[test]), seed)
    return made


def judged(city: City, made: Made, new: bool) -> dict[str, float]:
    """Figures of what was made of the observed tiles; new: the model has not seen the city.

    The unit of a new city is unknown, in every sample another, so each is scaled to the true total; the hours of a
    city whose profile is unknown, because it is new or shows people present, are judged after one factor an hour.
    """
    rows, weeks = observed(city)
    known = np.isfinite(made.ensemble).all(axis=(1, 2))
    truth, ensemble, shown = (part[known].astype(float) for part in (weeks, made.ensemble, made.shown))
    ensemble *= truth.mean() / ensemble.mean(axis=(0, 2) if new else None, keepdims=True)
    if new or not city.has_traffic.any():
        level = ensemble.mean(axis=2, keepdims=True)
        ensemble *= truth.mean(axis=0) / ensemble.mean(axis=(0, 1))
        ensemble *= level / ensemble.mean(axis=2, keepdims=True)
    level, levels = truth.mean(axis=1), ensemble.mean(axis=2)
    figures = {
        "tiles": float(known.sum()),
        "level_r2": scaled_r2(np.log(level), np.log(shown.mean(axis=2)).mean(axis=1)),
        "level_r2_independent": scaled_r2(np.log(level), np.log(levels).mean(axis=1)),
        "level_ncrps": float(metrics.crps(level[:, None], levels[..., None]).mean() / level.mean()),
        "level_coverage_90": float(metrics.coverage(level[:, None], levels[..., None], 0.9).mean()),
    }
    tiles = city.conditions.tiles.iloc[rows[known]]
    figures |= sum_figures(truth, ensemble, tiles["x"].to_numpy(), tiles["y"].to_numpy())
    if new:  # true by the scale
        figures = {name: value for name, value in figures.items() if not name.startswith("total_")}
    for name, contrast in (("day_night", day_night), ("weekend", weekend)):
        true = contrast(truth)
        of_samples = contrast(shown.reshape(-1, shown.shape[2])).reshape(shown.shape[:2])
        told = np.isfinite(of_samples)
        guess = np.where(told, of_samples, 0).sum(axis=1) / told.sum(axis=1).clip(1)
        usable = np.isfinite(true) & told.any(axis=1)
        if name == "weekend" and city.has_traffic.any() and not city.has_presence.any():
            continue  # nobody knows its weekdays
        figures[f"{name}_r2"] = scaled_r2(true[usable], guess[usable])
        figures[f"{name}_correlation"] = float(np.corrcoef(true[usable], guess[usable])[0, 1])
    return figures


def day_night(weeks: np.ndarray) -> np.ndarray:
    """log(14 h / 3 h) of weeks (tiles, 168), (tiles,); NaN where an hour is silent."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(
            weeks[:, DAY_HOUR::HOURS_PER_DAY].mean(axis=1) / weeks[:, NIGHT_HOUR::HOURS_PER_DAY].mean(axis=1)
        )
    return np.where(np.isfinite(ratio), ratio, np.nan)


def weekend(weeks: np.ndarray) -> np.ndarray:
    """Log ratio of workdays to the weekend of weeks (tiles, 168) that begin on a Monday, (tiles,)."""
    days = weeks.reshape(len(weeks), DAYS, HOURS_PER_DAY).mean(axis=2)
    return np.log(days[:, :WORKDAYS].mean(axis=1) / days[:, WORKDAYS:].mean(axis=1))


def scaled_r2(truth: np.ndarray, guess: np.ndarray) -> float:
    """R² of a logarithm after one factor."""
    return metrics.r2(truth - truth.mean(), guess - guess.mean())


def references(data: CityData, city: City) -> dict[str, float]:
    """Level R² after one scale of what counts without a model, and of extra-trees that know the city (a ceiling)."""
    rows, weeks = observed(city)
    log_level = np.log(weeks.mean(axis=1))
    density = np.expm1(data.features.totals[rows, :, 0])
    columns = {name: density[:, TOTALS.index(name)] for name in ("population", "poi", "osm_poi", "jobs")}
    found = {"equal": 0.0}
    sets = {
        "residents": columns["population"], "residents + jobs": columns["population"] + columns["jobs"],
        "POI total": columns["poi"], "root of POI total": np.sqrt(columns["poi"]),
        "OSM POI total": columns["osm_poi"], "root of OSM POI total": np.sqrt(columns["osm_poi"]),
    }  # fmt: skip
    for name, values in sets.items():
        known = np.isfinite(values)
        if known.sum() > 1:
            floor = FLOOR * values[known].mean()
            found[name] = scaled_r2(log_level[known], np.log(np.maximum(values[known], floor)))
    features = np.column_stack(
        [data.features.totals[rows].reshape(len(rows), -1), data.features.poi_mix[rows]]
    )
    features = np.nan_to_num(features, nan=-1.0)
    guess = np.empty_like(log_level)
    for fold in np.unique(data.folds[rows]):
        test = data.folds[rows] == fold
        trees = ExtraTreesRegressor(300, min_samples_leaf=3, max_features=1 / 3, random_state=0)
        guess[test] = trees.fit(features[~test], log_level[~test]).predict(features[test])
    found["extra-trees inside the city (ceiling)"] = scaled_r2(log_level, guess)
    return found
