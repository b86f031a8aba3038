"""Runs a table: every model on every city and seed, each row by a fit that has not seen its fold; then its figures."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

import opendiff
from opendiff import metrics
from opendiff.baselines.cities import City
from opendiff.baselines.harness import Budget, TileConditions
from opendiff.baselines.models import CSDI, DEFAULT, ON_REQUEST, PUBLISHED, TABLES, TRANSFER, Entry
from opendiff.errors import ModelError
from opendiff.processes import in_processes
from opendiff.storage.resume import fingerprint
from opendiff.storage.work_folder import WorkFolder
from plannerbase.progress import Progress

FOUR = ("jsd", "mae", "rmse", "crps")  # the paper's figures
FIGURES = (
    *FOUR, "ncrps", "nmae", "nrmse", "shape_mae", "shape_rmse", "shape_crps", "coverage_50", "coverage_90", "level_r2"
)  # fmt: skip
ORACLE = "true level x random shape (oracle)"


@dataclass(frozen=True)
class Settings:
    """What every model of a table is run with."""

    seeds: tuple[int, ...] = (0, 1, 2)
    samples: int = 10
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        if not self.seeds or self.samples < 1:
            raise ModelError("A table needs at least one seed and one sample; ask for more.")


@dataclass(frozen=True)
class Made:
    """Weeks (rows, samples, 168) of each reported row of an entry, and the CPU seconds that all of them took."""

    ensembles: dict[str, np.ndarray]
    seconds: float


def run_table(
    table: int,
    cities: list[City],
    settings: Settings,
    folder: WorkFolder,
    progress: Progress | None = None,
    names: list[str] | None = None,
    workers: int = 1,
) -> dict[str, Any]:
    """The figures of a table by city, with what they were made with; without names all of its models. workers:
    processes in which folds are made side by side.

    Raises ModelError for names that the table does not know and for data sets of one name.
    """
    entries = chosen(table, names)
    if len({city.name for city in cities}) < len(cities):
        raise ModelError("Two data sets have the same name; rename one of their files.")
    started = time.perf_counter()
    found: dict[str, dict[int, dict[str, Made]]] = {
        city.name: {seed: {} for seed in settings.seeds} for city in cities
    }
    folds = [
        fold
        for seed in settings.seeds
        for city in cities
        for name, entry in entries.items()
        if possible(entry, name, city, cities)
        for fold in folds_of(name, entry, city, cities, seed)
    ]
    parts = in_processes(partial(held_out, table=table, settings=settings, folder=folder), folds, workers)
    for number, (fold, (weeks, seconds)) in enumerate(zip(folds, parts, strict=True)):
        of_seed = found[fold.city][fold.seed]
        made = of_seed.get(fold.name, Made({}, 0.0))
        for row, values in weeks.items():
            shape = len(fold.test), settings.samples, values.shape[-1]
            made.ensembles.setdefault(row, np.zeros(shape, np.float32))[fold.test] = values
        of_seed[fold.name] = Made(made.ensembles, made.seconds + seconds)
        if progress:
            progress(number + 1, len(folds), f"table {table}")
    judge = by_pattern if table == 2 else judged
    return {
        "table": table, "seeds": list(settings.seeds), "samples": settings.samples,
        "budget": asdict(settings.budget), "versions": versions(),
        "seconds": round(time.perf_counter() - started, 1),
        "left_out": [name for name in TABLES[table] if name not in entries],
        "cities": {
            city.name: judge(table, city, found[city.name], settings)
            | {"not_possible": [name for name in entries if not possible(entries[name], name, city, cities)]}
            for city in cities
        },
    }  # fmt: skip


def chosen(table: int, names: list[str] | None) -> dict[str, Entry]:
    """The entries of a table under these names; without names all but those on request.

    Raises ModelError for a name it does not know, and where what eq. 12 compares with is left out.
    """
    known = TABLES[table]
    if unknown := [name for name in names or () if name not in known]:
        raise ModelError(f"Table {table} has no model {unknown[0]!r}; choose from: {'; '.join(known)}.")
    entries = {
        name: entry for name, entry in known.items() if name in (names or known.keys() - set(ON_REQUEST))
    }
    if table in (3, 4) and not {CSDI, PUBLISHED, DEFAULT} & set(known) <= set(entries):
        raise ModelError(f"Eq. 12 of table {table} compares with CSDI and OpenDiff; leave --model out.")
    return entries


def possible(entry: Entry, name: str, city: City, cities: list[City]) -> bool:
    """Whether a city has what an entry needs: elements to take away, another city to learn in."""
    return entry.element in city.conditions and (name != TRANSFER or len(cities) > 1)


def versions() -> dict[str, str]:
    """What the figures were made with: they go into the report."""
    return {
        "opendiff": opendiff.__version__, "python": platform.python_version(), "torch": torch.__version__,
        "numpy": np.__version__, "threads": str(torch.get_num_threads()),
    }  # fmt: skip


@dataclass(frozen=True)
class Fold:
    """A model of a table on the rows of a city outside a fold: conditions and series of all rows, which of them are the
    fold's (rows,) bool, and another city where the model learns from one."""

    name: str
    city: str
    seed: int
    fold: int
    conditions: TileConditions
    series: np.ndarray
    test: np.ndarray
    other: City | None


def folds_of(name: str, entry: Entry, city: City, cities: list[City], seed: int) -> list[Fold]:
    """The folds of a city for an entry."""
    other = next((one for one in cities if one is not city), None) if name == TRANSFER else None
    return [
        Fold(
            name, city.name, seed, fold, city.conditions[entry.element][fold], city.series, city.folds == fold, other
        )
        for fold in np.unique(city.folds).tolist()
    ]  # fmt: skip


def held_out(
    fold: Fold, table: int, settings: Settings, folder: WorkFolder
) -> tuple[dict[str, np.ndarray], float]:
    """Weeks (rows of the fold, samples, 168) by reported row, and the CPU seconds that they took; those in the folder
    are not made again."""
    entry, told, test = TABLES[table][fold.name], fold.conditions, fold.test
    source = [] if fold.other is None else [fold.other.series]
    key = fingerprint(
        opendiff.__version__, fold.name, fold.fold, fold.seed, settings.samples, settings.budget,
        told.vectors, told.graph, told.groups, fold.series, test, *source, *entry.rows,
    )  # fmt: skip
    part = f"{fold.city}-{fold.name.replace(' ', '-').replace(',', '')}-{fold.seed}-{fold.fold}"
    kept = folder.read(part, key)
    if kept is None:
        began = time.process_time()
        model = entry.make(fold.other).fit(told.take(~test), fold.series[~test], fold.seed, settings.budget)
        weeks = {
            row: ask(model).sample(told.take(test), settings.samples, fold.seed)
            for row, ask in entry.rows.items()
        }
        kept = weeks, time.process_time() - began
        folder.write(part, key, *kept)
    return kept


def oracle(city: City, samples: int, seed: int) -> np.ndarray:
    """The true level of each row times shapes of random rows of other folds: what is left when the level is known."""
    level = city.truth.mean(axis=1, keepdims=True)
    shapes = city.truth / np.maximum(level, 1e-12)
    rng, made = np.random.default_rng(seed), np.zeros((len(level), samples, city.truth.shape[1]), np.float32)
    for fold in np.unique(city.folds):
        test = city.folds == fold
        drawn = rng.choice(np.flatnonzero(~test), (test.sum(), samples))
        made[test] = shapes[drawn] * level[test][:, None]
    return made


def judged(table: int, city: City, found: dict[int, dict[str, Made]], settings: Settings) -> dict[str, Any]:
    """Mean and deviation over seeds of each figure of each row; the lead of `default`; eq. 12 in Tables 3 and 4."""
    figures: dict[str, list[dict[str, float]]] = {}
    rows: dict[str, list[np.ndarray]] = {}
    seconds: dict[str, float] = {}
    for seed, by_name in found.items():
        if table in (1, 6):
            by_name = by_name | {ORACLE: Made({ORACLE: oracle(city, settings.samples, seed)}, 0.0)}
        for made in by_name.values():
            for row, ensemble in made.ensembles.items():
                scored = metrics.score(city.truth, ensemble)
                figures.setdefault(row, []).append({name: scored[name] for name in FIGURES})
                rows.setdefault(row, []).append(row_figures(city.truth, ensemble))
                seconds[row] = seconds.get(row, 0.0) + made.seconds
    models = {
        row: {
            "mean": {f: float(np.mean([one[f] for one in several])) for f in FIGURES},
            "deviation": {f: deviation([one[f] for one in several]) for f in FIGURES},
            "cpu_seconds": round(seconds[row], 1),
        }
        for row, several in figures.items()
    }
    out = {"rows": len(city.folds), "split": city.split, "models": models}
    means = {row: np.mean(several, axis=0) for row, several in rows.items() if row != ORACLE}
    if DEFAULT in means and len(means) > 1:
        out["lead"] = lead(means, city)
    if table in (3, 4):
        out["degradation"] = {
            row: degradation(models, row) for row in models if row not in (CSDI, PUBLISHED, DEFAULT)
        }
    return out


def deviation(values: list[float]) -> float | None:
    """Standard deviation over seeds; None of a single one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def row_figures(truth: np.ndarray, ensemble: np.ndarray) -> np.ndarray:
    """The paper's four figures of each row, (rows, 4)."""
    median = np.median(ensemble, axis=1)
    return np.column_stack(
        [
            metrics.jsd(truth, median),
            metrics.mae(truth, median),
            metrics.rmse(truth, median),
            metrics.crps(truth, ensemble).mean(axis=1),
        ]
    )


def lead(means: dict[str, np.ndarray], city: City) -> dict[str, dict[str, Any]]:
    """For each of the four figures the best other row, by how much `default` is behind it (negative: ahead), and the
    standard error of that difference over folds."""
    found = {}
    for number, figure in enumerate(FOUR):
        best = min((row for row in means if row != DEFAULT), key=lambda row: means[row][:, number].mean())
        apart = means[DEFAULT][:, number] - means[best][:, number]
        by_fold = [apart[city.folds == fold].mean() for fold in np.unique(city.folds)]
        error = float(np.std(by_fold, ddof=1) / np.sqrt(len(by_fold)))
        found[figure] = {"best_other": best, "behind": float(apart.mean()), "standard_error": error}
    return found


def degradation(models: dict[str, Any], row: str) -> dict[str, float | None]:
    """Eq. 12 in per cent: the share of OpenDiff's lead over CSDI that a row loses; None where there is no lead."""
    whole = DEFAULT if row.startswith(DEFAULT) else PUBLISHED
    found: dict[str, float | None] = {}
    for figure in FOUR:
        whole_value, csdi = models[whole]["mean"][figure], models[CSDI]["mean"][figure]
        lost = models[row]["mean"][figure] - whole_value
        found[figure] = 100 * lost / (csdi - whole_value) if csdi > whole_value else None
    return found


def by_pattern(
    table: int, city: City, found: dict[int, dict[str, Made]], settings: Settings
) -> dict[str, Any]:
    """JSD (mean and deviation over seeds) by traffic pattern of what is generated under its conditions, one week a row,
    against true rows of the pattern and of others."""
    patterns = metrics.traffic_patterns(city.truth)
    models: dict[str, dict[str, Any]] = {}
    every: dict[str, list[dict[int, tuple[float, float]]]] = {}
    for by_name in found.values():
        for made in by_name.values():
            for row, ensemble in made.ensembles.items():
                apart = metrics.pattern_distances(city.truth, ensemble[:, 0], patterns)
                every.setdefault(row, []).append(apart)
    for row, several in every.items():
        models[row] = {
            str(pattern): {
                "same": float(np.mean([one[pattern][0] for one in several])),
                "others": float(np.mean([one[pattern][1] for one in several])),
                "deviation": deviation([one[pattern][0] for one in several]),
            }
            for pattern in several[0]
        }
    size = {str(pattern): int((patterns == pattern).sum()) for pattern in np.unique(patterns) if pattern >= 0}
    return {"rows": len(city.folds), "split": city.split, "patterns": size, "models": models}
