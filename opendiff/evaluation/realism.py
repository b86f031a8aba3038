"""Whether single generated weeks look like real ones, and whether the busy end of an ensemble is right.

Medians and bands of an ensemble may be good while each of its weeks is like no real one: a classifier that tells real
weeks from generated ones, and quantiles over tiles of what planners size networks by, judge the weeks themselves.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import roc_auc_score

from opendiff import metrics
from opendiff.default.cities import fill_gaps
from opendiff.metrics.structure import autocorrelation
from opendiff.week import DAYS, HOURS_PER_DAY
from plannerbase.bands import quantile_of_samples

TREES = 200
DRAWS = 4  # generated weeks a tile that are told from the real one, in turn
LEAF = 3  # weeks in a leaf of a tree, at least
QUANTILES = (0.05, 0.5, 0.95)
SILENT = 1e-3  # of a week's mean: an hour below it counts as zero
QUIET = 0.1  # of a week's mean: below it an hour is quiet
QUINTILES = 5


def summaries(weeks: np.ndarray) -> dict[str, np.ndarray]:
    """29 numbers of each week, by name; weeks (rows, 168), any unit, each divided by its mean first."""
    weeks = np.asarray(weeks, float)
    week = weeks / np.maximum(weeks.mean(axis=1, keepdims=True), 1e-12)
    days = week.reshape(-1, DAYS, HOURS_PER_DAY)
    profile, total = days.mean(axis=1), days.mean(axis=2)
    rest = (days - profile[:, None]).reshape(len(week), -1)
    jump = np.diff(week, axis=1)
    centred = week - week.mean(axis=1, keepdims=True)  # 0 where a week is silent
    spread = np.maximum(centred.std(axis=1), 1e-9)
    of_rest = np.maximum(rest.std(axis=1), 1e-9)
    lagged = autocorrelation(week, HOURS_PER_DAY)
    power = np.abs(np.fft.rfft(centred, axis=1)) ** 2
    power /= np.maximum(power.sum(axis=1, keepdims=True), 1e-9)
    found = {
        "peak/mean": week.max(axis=1), "least/mean": week.min(axis=1), "spread": spread,
        "skewness": (centred**3).mean(axis=1) / spread**3, "kurtosis": (centred**4).mean(axis=1) / spread**4,
        "largest jump": np.abs(jump).max(axis=1), "mean jump": np.abs(jump).mean(axis=1),
        "jump of jumps": np.abs(np.diff(jump, axis=1)).mean(axis=1),
        "same-hour variation": np.sqrt((days.var(axis=1) / np.maximum(profile, 0.05) ** 2).mean(axis=1)),
        "lag 1": lagged[:, 0], "lag 2": lagged[:, 1], "lag 12": lagged[:, 11], "lag 24": lagged[:, 23],
        "share of zeros": (week < SILENT).mean(axis=1), "share of quiet hours": (week < QUIET).mean(axis=1),
        "largest day": total.max(axis=1), "least day": total.min(axis=1), "spread of days": total.std(axis=1),
        "night": profile[:, :6].mean(axis=1), "morning": profile[:, 6:12].mean(axis=1),
        "evening": profile[:, 18:].mean(axis=1), "profile's peak": profile.max(axis=1),
        "spread of the rest": of_rest, "kurtosis of the rest": (rest**4).mean(axis=1) / of_rest**4,
        "largest of the rest": rest.max(axis=1), "lag 1 of the rest": autocorrelation(rest, 1)[:, 0],
        "power of a day": power[:, DAYS], "power of half a day": power[:, 2 * DAYS],
        "power above": power[:, 4 * DAYS :].sum(axis=1),
    }  # fmt: skip
    return {name: np.asarray(values) for name, values in found.items()}


def _told(weeks: np.ndarray) -> np.ndarray:
    """`summaries` of weeks (rows, 168) side by side, (rows, 29)."""
    return np.column_stack(list(summaries(weeks).values()))


def root_shapes(weeks: np.ndarray) -> np.ndarray:
    """Square roots of weeks (rows, 168) divided by their means."""
    weeks = np.asarray(weeks, float)
    return np.asarray(np.sqrt(weeks / np.maximum(weeks.mean(axis=1, keepdims=True), 1e-12)))


def two_sample_auc(real: np.ndarray, made: np.ndarray, folds: np.ndarray) -> float:
    """Area under the curve of extra-trees that tell real numbers (tiles, any) from made ones of the same tiles.

    Trained on the other folds (tiles,) and judged on the held-out one: 0.5 where nothing tells them apart, 1 where
    everything does.
    """
    score, label, of_row = two_sample_scores(real, made, folds), _labels(real), np.tile(folds, 2)
    parts = [roc_auc_score(label[of_row == fold], score[of_row == fold]) for fold in np.unique(folds)]
    return float(np.mean(parts))


def two_sample_scores(real: np.ndarray, made: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Probability (2 * tiles,) of being made that extra-trees fitted on the other folds give the real numbers (tiles,
    any), then the made ones."""
    score = np.empty(2 * len(real))
    both, label, of_row = np.vstack([real, made]), _labels(real), np.tile(folds, 2)
    for fold in np.unique(folds):
        test = of_row == fold
        trees = ExtraTreesClassifier(TREES, min_samples_leaf=LEAF, random_state=0)
        score[test] = trees.fit(both[~test], label[~test]).predict_proba(both[test])[:, 1]
    return score


def _labels(real: np.ndarray) -> np.ndarray:
    return np.repeat([0, 1], len(real))


def realism_figures(truth: np.ndarray, ensemble: np.ndarray, folds: np.ndarray) -> dict[str, float]:
    """Figures by name; truth (tiles, 168), ensemble (tiles, samples, 168), folds (tiles,).

    `auc_summaries` and `auc_root_shapes` (`two_sample_auc`), and for the shown summaries the quantiles over tiles,
    real and generated: `{name}_{real|made}_{5|50|95}`. The gap hours of the truth are filled in both alike, so that
    nothing is told by a fault of the measurement.
    """
    filled, hours = fill_gaps(truth)
    made = [fill_hours(ensemble[:, draw], hours) for draw in range(min(DRAWS, ensemble.shape[1]))]
    known = _told(filled)
    told = [_told(weeks) for weeks in made]
    figures = {
        "auc_summaries": float(np.mean([two_sample_auc(known, part, folds) for part in told])),
        "auc_root_shapes": float(
            np.mean([two_sample_auc(root_shapes(filled), root_shapes(weeks), folds) for weeks in made])
        ),
    }
    names = list(summaries(filled[:1]))
    for name in ("peak/mean", "kurtosis", "largest jump", "same-hour variation", "lag 24", "share of zeros"):
        column = names.index(name)
        for kind, values in (("real", known[:, column]), ("made", np.concatenate(told)[:, column])):
            for share, value in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True):
                figures[f"{name}_{kind}_{100 * share:.0f}"] = float(value)
    return figures


def fill_hours(weeks: np.ndarray, hours: list[int]) -> np.ndarray:
    """Weeks (tiles, 168) with these hours of every day filled as gaps of a measurement are."""
    return fill_gaps(weeks, hours)[0] if hours else weeks


def copy_figures(truth: np.ndarray, ensemble: np.ndarray, folds: np.ndarray) -> dict[str, float]:
    """How near single weeks come to a week that was trained on: `nearest_{made|real}_{5|50}`, quantiles over tiles of
    the distance (root of the mean square over the hours of root shapes) from a generated, and from the real week, of
    a tile to the nearest real week of another fold. Copies would lie nearer than real weeks do."""
    filled, hours = fill_gaps(truth)
    real, made = root_shapes(filled), root_shapes(fill_hours(ensemble[:, 0], hours))
    figures: dict[str, float] = {}
    for kind, weeks in (("made", made), ("real", real)):
        nearest = np.empty(len(weeks))
        for fold in np.unique(folds):
            test = folds == fold
            apart = np.square(weeks[test, None] - real[None, ~test]).mean(axis=2)
            nearest[test] = np.sqrt(apart.min(axis=1))
        figures |= {f"nearest_{kind}_{share}": float(np.quantile(nearest, share / 100)) for share in (5, 50)}
    return figures


def tail_figures(truth: np.ndarray, ensemble: np.ndarray) -> dict[str, float]:
    """How the busy end is covered: `peaks_above_95` and `levels_above_99`, shares of the true weekly peaks and levels
    above those quantiles of their samples; `peak_coverage_90`; and `coverage_90_quintile{1..5}`, of the levels of
    tiles from the quietest fifth to the busiest by the expected level (by the true one they would be selected on the
    error)."""
    level, levels = truth.mean(axis=1), ensemble.mean(axis=2)
    peak, peaks = truth.max(axis=1), ensemble.max(axis=2)
    above = lambda value, samples, share: float(  # noqa: E731
        (value > quantile_of_samples(samples, share, axis=1)).mean()
    )
    inside = metrics.coverage(level[:, None], levels[..., None], 0.9)[:, 0]
    rank = np.argsort(np.argsort(np.median(levels, axis=1), kind="stable"), kind="stable")
    quintile = rank * QUINTILES // len(rank)
    figures = {
        "peaks_above_95": above(peak, peaks, 0.95), "levels_above_99": above(level, levels, 0.99),
        "peak_coverage_90": float(metrics.coverage(peak[:, None], peaks[..., None], 0.9).mean()),
    }  # fmt: skip
    for number in range(QUINTILES):
        chosen = inside[quintile == number]
        figures[f"coverage_90_quintile{number + 1}"] = float(chosen.mean()) if len(chosen) else float("nan")
    return figures


def paired_difference(
    truth: np.ndarray,
    one: np.ndarray,
    other: np.ndarray,
    blocks: np.ndarray,
    draws: int = 2000,
    seed: int = 0,
    score: Callable[[np.ndarray, np.ndarray], np.ndarray] = metrics.crps,
) -> tuple[float, float, float]:
    """nCRPS of an ensemble less that of another, and its 95 % interval, by a bootstrap of whole spatial blocks.

    truth (tiles, hours), ensembles (tiles, samples, hours), blocks (tiles,); score: another score of truth and
    ensemble than the CRPS, of tiles or of tiles and hours. Both are judged on the same tiles, so what makes tiles
    hard or easy for both cancels (Kunsch 1989 of blocks).
    """
    gain = (score(truth, one) - score(truth, other)).reshape(len(truth), -1).mean(axis=1)
    _, block = np.unique(blocks, return_inverse=True)
    count = block.max() + 1
    total = np.bincount(block, gain, count), np.bincount(block, truth.mean(axis=1), count)
    chosen = np.random.default_rng(seed).integers(0, count, (draws, count))
    drawn = total[0][chosen].sum(axis=1) / total[1][chosen].sum(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(total[0].sum() / total[1].sum()), float(low), float(high)


def auc_difference(
    truth: np.ndarray,
    one: np.ndarray,
    other: np.ndarray,
    folds: np.ndarray,
    blocks: np.ndarray,
    draws: int = 300,
    seed: int = 0,
) -> tuple[float, float, float]:
    """How much better weeks of an ensemble (tiles, samples, 168) are told from real ones than those of another, by
    their summaries, and its 95 % interval, by the same bootstrap: the pooled area under the curve, mean over
    DRAWS weeks."""
    filled, hours = fill_gaps(truth)
    known = _told(filled)
    count = min(DRAWS, one.shape[1], other.shape[1])

    def scores(ensemble: np.ndarray) -> list[np.ndarray]:
        weeks = [_told(fill_hours(ensemble[:, draw], hours)) for draw in range(count)]
        return [two_sample_scores(known, week, folds) for week in weeks]

    label, pairs = _labels(truth), list(zip(scores(one), scores(other), strict=True))
    _, block = np.unique(blocks, return_inverse=True)
    rng, found = np.random.default_rng(seed), []
    for draw in range(draws + 1):
        chosen = rng.integers(0, block.max() + 1, block.max() + 1)
        times = np.bincount(chosen, minlength=block.max() + 1)[block] if draw else np.ones(len(truth))
        weight = np.tile(times, 2)
        found.append(
            np.mean(
                [
                    roc_auc_score(label, a, sample_weight=weight)
                    - roc_auc_score(label, b, sample_weight=weight)
                    for a, b in pairs
                ]
            )
        )
    low, high = np.quantile(found[1:], (0.025, 0.975))
    return float(found[0]), float(low), float(high)
