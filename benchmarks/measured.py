"""What measured tiles are worth: Seoul with weights that never saw it, a fold of Nanchang, time, reading counters."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.operator_export import write_export
from benchmarks.tables import markdown
from opendiff.errors import OpenDiffError

if TYPE_CHECKING:
    from opendiff.default.model import TrafficModel
    from opendiff.default.prior import PriorPrediction
    from opendiff.observed import City

SUMMARY = "measured tiles: how far they teach a city, how long conditioning takes, and how counters are read"
DATA = Path(__file__).parents[2] / "shared" / "data"
COUNTS, DRAWS = (5, 10, 20, 50, 100), 10
PARTS = ("seoul", "helsinki", "nanchang", "time", "read")
FOLD_COUNTS = (5, 10, 20, 50)
BAND = 1.6449
CELLS, QUICK_CELLS = 2000, 60
READ = """
import json, sys, time
from pathlib import Path
from plannerbase.counters import read_counters

start, clock = time.process_time(), time.perf_counter()
counters = read_counters(Path(sys.argv[1]), "counters.csv")
# not ru_maxrss, in which a process keeps that of its parent
status = Path("/proc/self/status").read_text()
peak = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
print(json.dumps({
    "seconds": time.perf_counter() - clock, "processor_seconds": time.process_time() - start,
    "peak_mb": peak / 1000, "report": list(counters.report),
}))
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", type=Path, default=DATA if DATA.is_dir() else None, metavar="DIR",
        help="folder with the packs nanchang, seoul and helsinki (default: the one beside the repository)",
    )  # fmt: skip
    parser.add_argument("--only", choices=PARTS, action="append", help="a part alone")


def run(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """The report in words and tables, and its figures by name."""
    parts = options.only or PARTS
    figures: dict[str, float] = {}
    if {"seoul", "helsinki", "nanchang"} & set(parts):
        if options.data is None:
            raise OpenDiffError("There are no packs beside the repository; name their folder with --data.")
        data = _cities(options.data, quick=options.quick)
        if "seoul" in parts:
            figures |= seoul(data, quick=options.quick)
        if "helsinki" in parts and not options.quick:
            figures |= levels_of("helsinki", *left_out_fit(data, "helsinki"), COUNTS[:4], range(DRAWS))
        if "nanchang" in parts:
            figures |= nanchang_fold(data, quick=options.quick)
    if "time" in parts:
        figures |= seconds(quick=options.quick)
    if "read" in parts:
        with tempfile.TemporaryDirectory() as folder:
            figures |= reading(Path(folder), QUICK_CELLS if options.quick else CELLS)
    table = pd.DataFrame(figures.items(), columns=["figure", "value"])
    text = markdown(table, {"value": ".4g"})
    return text, figures


def _cities(folder: Path, quick: bool) -> list:
    from opendiff.encoder.weights import load_encoder
    from opendiff.open_data.sources import PackSource
    from opendiff.training_data import read_city

    encoder = load_encoder()
    names = ("nanchang", "seoul") if quick else ("nanchang", "seoul", "helsinki")
    return [read_city(PackSource(folder / name), encoder.trunk) for name in names]


def left_out_fit(data: list, name: str, fold: int | None = None) -> tuple[TrafficModel, City]:
    """The closed form fitted without a city, or without one of its folds, and the city as that fit sees it."""
    from opendiff.default.cities import ready
    from opendiff.default.training import DenoiserTraining, train_cities
    from opendiff.encoder.weights import load_encoder
    from opendiff.evaluation.cities import encoder_without

    tested = next(city for city in data if city.name == name)
    encoder = load_encoder() if fold is not None else encoder_without(load_encoder(), data, tested)
    cities = ready([city.city(encoder) for city in data])
    city = next(one for one in cities if one.name == name)
    known = [
        one.hiding(tested.folds == fold) if one is city and fold is not None else one
        for one in cities
        if one is not city or fold is not None
    ]
    return train_cities(known, 0, denoiser_training=DenoiserTraining(steps=0)), city


def prediction_of(model: TrafficModel, city: City, rows: np.ndarray) -> PriorPrediction:
    """The prediction of some tiles of a city before anything is measured."""
    from opendiff.default.prior_fit import believed

    return believed(model.prior, city.conditions.take(rows))


def seoul(data: list, quick: bool = False) -> dict[str, float]:
    """Levels and hours of Seoul. The priors of the scales were chosen on the first draws: others come beside them."""
    model, city = left_out_fit(data, "seoul")
    counts, draws = (COUNTS[:2], 2) if quick else (COUNTS, DRAWS)
    figures = levels_of("seoul", model, city, counts, range(draws))
    if not quick:
        figures |= levels_of("seoul_other", model, city, counts, range(DRAWS, 2 * DRAWS))
    return figures | hours_of_seoul(model, city, quick)


def levels_of(
    prefix: str, model: TrafficModel, city: City, counts: Sequence[int], draws: Sequence[int]
) -> dict[str, float]:
    """Level R² after one scale of the tiles that were not measured, and the share of them in the 90 % band.

    draws: seeds of the measured tiles.
    """
    import torch

    from opendiff.default.conditioning import posterior
    from opendiff.evaluation.cities import observed, scaled_r2
    from opendiff.measurements import Measurements

    rows, weeks = observed(city)
    prediction = prediction_of(model, city, rows)
    tiles = city.conditions.tiles.iloc[rows]
    x, y = (tiles[axis].to_numpy(np.int64) for axis in ("x", "y"))
    true = np.log(weeks.mean(axis=1))
    figures = {f"{prefix}_r2_k0": scaled_r2(true, prediction.level[:, 0].double().numpy())}
    for count in counts:
        found = []
        for draw in draws:
            told = np.random.default_rng(draw).permutation(len(rows))[:count]
            told = told[np.lexsort((y[told], x[told]))]
            rest = np.setdiff1d(np.arange(len(rows)), told)
            measured = Measurements.of(x[told], y[told], weeks[told])
            made = posterior(model, prediction.take(torch.from_numpy(told)), measured)
            mean, deviation = made.log_level(prediction.take(torch.from_numpy(rest)), x[rest], y[rest])
            error = true[rest] - mean
            before = scaled_r2(true[rest], prediction.level[rest, 0].double().numpy())
            absolute = 1 - np.square(error).mean() / true[rest].var()
            found.append(
                (scaled_r2(true[rest], mean), absolute, (np.abs(error) <= BAND * deviation).mean(), before)
            )
        r2, absolute, band, before = np.mean(found, axis=0)
        band_name = f"band90_k{count}" if prefix == "seoul" else f"{prefix}_band90_k{count}"
        figures |= {
            f"{prefix}_r2_k{count}": float(r2), f"{prefix}_r2_absolute_k{count}": float(absolute),
            band_name: float(band), f"{prefix}_r2_none_same_tiles_k{count}": float(before),
        }  # fmt: skip
    return figures


def hours_of_seoul(model: TrafficModel, city: City, quick: bool) -> dict[str, float]:
    """R² of log(14 h / 3 h) over tiles that were not measured, and the mean error of the area's hourly profile."""
    import torch

    from opendiff.conditioned import ConditionedGenerator
    from opendiff.default.conditioning import posterior
    from opendiff.evaluation.cities import day_night, observed, scaled_r2
    from opendiff.generator import TrafficGenerator
    from opendiff.measurements import Measurements

    rows, weeks = observed(city)
    prediction, asked = prediction_of(model, city, rows), city.conditions.take(rows)
    x, y = (asked.tiles[axis].to_numpy(np.int64) for axis in ("x", "y"))
    figures: dict[str, float] = {}
    for count in (20,) if quick else (10, 20, 100):
        found = []
        for draw in range(1 if quick else 4):
            told = np.random.default_rng(draw).permutation(len(rows))[:count]
            told = told[np.lexsort((y[told], x[told]))]
            rest = np.setdiff1d(np.arange(len(rows)), told)
            generator = ConditionedGenerator(model)
            measured = Measurements.of(x[told], y[told], weeks[told])
            generator.posterior = posterior(model, prediction.take(torch.from_numpy(told)), measured)
            real, part = weeks[rest], []
            for made in (generator, TrafficGenerator(model)):
                middle = np.median(
                    made.generate(asked.take(rest), 20, 0, steps=2).traffic.astype(float), axis=1
                )
                true, guess = day_night(real), day_night(middle)
                usable = np.isfinite(true) & np.isfinite(guess)
                profile, own = middle.mean(axis=0), real.mean(axis=0)
                error = np.abs(profile / profile.mean() - own / own.mean()).mean()
                part += [scaled_r2(true[usable], guess[usable]), error]
            found.append(part)
        r2, error, r2_none, error_none = np.mean(found, axis=0)
        figures |= {
            f"seoul_day_night_r2_k{count}": float(r2), f"seoul_profile_error_k{count}": float(error),
            f"seoul_day_night_r2_none_k{count}": float(r2_none),
            f"seoul_profile_error_none_k{count}": float(error_none),
        }  # fmt: skip
    return figures


def nanchang_fold(data: list, quick: bool = False) -> dict[str, float]:
    """nCRPS of one fold of Nanchang, some of its tiles measured, on the others."""
    import torch

    from opendiff import metrics
    from opendiff.conditioned import ConditionedGenerator
    from opendiff.default.conditioning import posterior
    from opendiff.generator import TrafficGenerator
    from opendiff.measurements import Measurements

    tested = next(city for city in data if city.name == "nanchang")
    fold = int(np.unique(tested.folds[np.isfinite(tested.series).all(axis=(1, 2))])[0])
    model, city = left_out_fit(data, "nanchang", fold)
    rows = np.flatnonzero(city.has_traffic & (tested.folds == fold))
    prediction = prediction_of(model, city, rows)
    tiles = city.conditions.tiles.iloc[rows]
    x, y = (tiles[axis].to_numpy(np.int64) for axis in ("x", "y"))
    weeks, samples = city.series[rows].astype(float), 20
    asked = city.conditions.take(rows)
    plain = TrafficGenerator(model)
    without = plain.generate(asked, samples, 0, steps=2).traffic.astype(float)
    figures = {"nanchang_fold_tiles": float(len(rows))}
    for count in FOLD_COUNTS[:1] if quick else FOLD_COUNTS:
        if count >= len(rows):
            continue
        found = []
        for draw in range(1 if quick else 5):
            told = np.random.default_rng(draw).permutation(len(rows))[:count]
            told = told[np.lexsort((y[told], x[told]))]
            rest = np.setdiff1d(np.arange(len(rows)), told)
            generator = ConditionedGenerator(model)
            generator.posterior = posterior(
                model, prediction.take(torch.from_numpy(told)),
                Measurements.of(x[told], y[told], weeks[told, 0], weeks[told, 1]),
            )  # fmt: skip
            made = generator.generate(asked.take(rest), samples, 0, steps=2).traffic.astype(float)
            real = weeks[rest, 0]
            found.append([metrics.crps(real, m).mean() / real.mean() for m in (made, without[rest])])
        conditioned, before = np.mean(found, axis=0)
        figures |= {
            f"nanchang_ncrps_k{count}": float(conditioned),
            f"nanchang_ncrps_none_k{count}": float(before),
        }
    return figures


def seconds(quick: bool = False) -> dict[str, float]:
    """How much longer 1,000 tiles take where 200 of them are measured; processor seconds, which other work does not
    change, and the worst error of a measured tile's mean level."""
    from opendiff.area import tile_frame
    from opendiff.conditioned import condition
    from opendiff.demo import DemoSource
    from opendiff.generator import TrafficGenerator
    from opendiff.measurements import MBPS, Measurements

    size, known = (60, 12) if quick else (1000, 200)
    source = DemoSource()
    generator = TrafficGenerator.load("default", "cpu")
    own = source.conditions(tile_frame(*_demo_tiles(source)))
    repeats = -(-size // len(own.tiles))
    x = np.concatenate([own.tiles["x"].to_numpy() + 100 * k for k in range(repeats)])[:size]
    y = np.tile(own.tiles["y"].to_numpy(), repeats)[:size]
    asked = own.take(np.arange(size) % len(own.tiles))
    order = np.lexsort((y, x))
    asked = _at(asked.take(order), x[order], y[order])
    rng = np.random.default_rng(0)
    told = np.sort(rng.permutation(size)[:known])
    weeks = generator.generate(asked.take(told), 1, 7).traffic[:, 0].astype(float)
    level = 200 * rng.lognormal(0, 0.5, known)[:, None]
    measured = Measurements.of(
        asked.tiles["x"].to_numpy()[told], asked.tiles["y"].to_numpy()[told],
        weeks / weeks.mean(axis=1, keepdims=True) * level, unit=MBPS,
    )  # fmt: skip

    class Held:
        name, attribution = "repeated", ""

        @staticmethod
        def conditions(tiles):
            row = {key: i for i, key in enumerate(zip(asked.tiles["x"], asked.tiles["y"], strict=True))}
            return asked.take(np.array([row[key] for key in zip(tiles["x"], tiles["y"], strict=True)]))

    generator.generate(asked.take(np.arange(20)), 2, 0)  # warm
    start, clock = time.process_time(), time.perf_counter()
    generator.generate(asked, 20, 0)
    plain, plain_clock = time.process_time() - start, time.perf_counter() - clock
    start, clock = time.process_time(), time.perf_counter()
    ensemble = condition(generator, Held(), measured, asked.tiles, asked).generate(asked, 20, 0)
    own_time, own_clock = time.process_time() - start, time.perf_counter() - clock
    made = ensemble.traffic[told].astype(float).mean(axis=(1, 2))
    order = np.lexsort((asked.tiles["y"].to_numpy()[told], asked.tiles["x"].to_numpy()[told]))
    error = np.abs(made[order] / level[order, 0] - 1).max()
    return {
        "seconds_1000_without": plain, "seconds_1000_200": own_time - plain,
        "clock_seconds_1000_200": own_clock - plain_clock, "measured_level_worst_error": float(error),
    }  # fmt: skip


def _demo_tiles(source: object) -> tuple[np.ndarray, np.ndarray]:
    from opendiff.area import Area, tiles_covering

    tiles = tiles_covering(Area.from_box(115.80, 28.60, 116.0, 28.75))
    known = source.conditions(tiles)  # type: ignore[attr-defined]
    rows = known.present.any(axis=1)
    return known.tiles["x"].to_numpy()[rows], known.tiles["y"].to_numpy()[rows]


def _at(conditions, x: np.ndarray, y: np.ndarray):
    from dataclasses import replace

    from opendiff.area import tile_frame

    return replace(conditions, tiles=tile_frame(x, y))


def reading(folder: Path, cells: int) -> dict[str, float]:
    """Seconds and memory of reading a made export, in a process of its own, and whether each fault is told."""
    export, _, faults = write_export(folder, cells)
    command = [sys.executable, "-c", READ, str(export)]  # a process that reads and does nothing else
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    found = json.loads(done.stdout)
    told = " ".join(found["report"])
    named = "hours without", "doubled rows", "below 0", "another time zone"
    return {
        "read_2000_cells_seconds": found["seconds"], "read_processor_seconds": found["processor_seconds"],
        "read_peak_mb": found["peak_mb"], "read_rows": float(faults.rows),
        "read_faults_named": float(sum(words in told for words in named)), "read_faults": float(len(named)),
    }  # fmt: skip
