"""How good an ensemble is for areas: sums over neighbouring tiles, the total of all, and its busy hour.

Tiles may each be calibrated while their sums are not, because what a model is wrong about is shared.
"""

import numpy as np
from scipy.sparse import csr_array

from opendiff.metrics.scores import checked, coverage, energy_score
from plannerbase.bands import band

NEIGHBOURS = (4, 9, 16, 36)


def neighbour_sets(x: np.ndarray, y: np.ndarray, count: int) -> np.ndarray:
    """Rows (tiles, count) of each tile and its nearest others, by distance, then by order; none beyond the tiles."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    squared = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    return np.argsort(squared, axis=1, kind="stable")[:, : min(count, len(x))]


def sum_figures(truth: np.ndarray, ensemble: np.ndarray, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Coverage and width of 90 % intervals of weekly sums, by name.

    `sum{k}_coverage_90` and `sum{k}_width_90` (divided by the mean true sum) over k neighbouring tiles, k in
    NEIGHBOURS; `busy{k}_coverage_90` and `busy{k}_width_90` of the largest hour of such areas; the same of `total` (all
    tiles) and `busy_hour` (the largest hour of the total), whose coverage is 0 or 1, and `total_hours_coverage_90`, the
    share of the hours of the total inside; `level_energy`, the energy score of the levels of all tiles as one vector,
    divided by the root mean square of the truth. truth (tiles, hours), ensemble (tiles, samples, hours).
    """
    truth, ensemble = checked(truth, ensemble)
    level, levels = truth.mean(axis=1), ensemble.mean(axis=2)
    figures: dict[str, float] = {}
    for count in NEIGHBOURS:
        rows = neighbour_sets(x, y, count)
        figures |= _interval(f"sum{count}", level[rows].sum(axis=1), levels[rows].sum(axis=1))
        figures |= _interval(f"busy{count}", *busy_hours(truth, ensemble, rows))
    total, totals = truth.sum(axis=0), ensemble.sum(axis=0)
    figures |= _interval("total", total.mean(keepdims=True), totals.mean(axis=1)[None])
    figures |= _interval("busy_hour", total.max(keepdims=True), totals.max(axis=1)[None])
    figures["total_hours_coverage_90"] = float(coverage(total[:, None], totals.T[..., None], 0.9).mean())
    figures["level_energy"] = float(
        energy_score(level[None], levels.T[None]).mean() / np.sqrt(np.square(level).mean())
    )
    return figures


def busy_hours(truth: np.ndarray, ensemble: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest hour of the sum over the tiles of each area, rows (areas, tiles of it): of the truth (areas,) and of each
    sample (areas, samples)."""
    areas, count = rows.shape
    starts = np.arange(0, areas * count + 1, count)
    member = csr_array((np.ones(areas * count), rows.reshape(-1), starts), shape=(areas, len(truth)))
    peaks = [(member @ ensemble[:, sample]).max(axis=1) for sample in range(ensemble.shape[1])]
    return (member @ truth).max(axis=1), np.stack(peaks, axis=1)


def _interval(name: str, truth: np.ndarray, samples: np.ndarray) -> dict[str, float]:
    """Coverage and width of the 90 % interval of values (rows,), samples (rows, samples)."""
    low, high = band(samples, 0.9, axis=1)
    inside = coverage(truth[:, None], samples[..., None], 0.9).mean()
    return {
        f"{name}_coverage_90": float(inside),
        f"{name}_width_90": float((high - low).mean() / truth.mean()),
    }
