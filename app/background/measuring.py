"""Generation given measurements, and what they are worth, in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from opendiff.area import Tiles
    from opendiff.conditioned import ConditionedGenerator
    from opendiff.conditions import Conditions
    from opendiff.generator import TrafficGenerator
    from opendiff.measurements import Measurements

NEXT = 10
DRAWS = 10  # samples of what was generated without measurements
AT_ONCE = 2000  # tiles


def conditioned(
    generator: TrafficGenerator, source: Any, measured: Measurements, tiles: Tiles, conditions: Conditions
) -> ConditionedGenerator:
    """The generator given measured tiles. Raises TableError."""
    from opendiff.conditioned import condition

    return condition(generator, source, measured, tiles, conditions)


def worth(
    plain: TrafficGenerator, told: ConditionedGenerator, conditions: Conditions, seed: int
) -> dict[str, Any]:
    """What `app.widgets.measurements.worth` shows, as JSON holds it.

    before, measured: (168,) of all measured tiles of the area together. levels_before: (tiles,) weekly means of all
    tiles without measurements, on the scale of the measured ones; levels_measured: of the measured ones (rows).
    """
    from opendiff.measuring import left_out, measure_next

    measured = told.posterior.measurements
    x, y = (conditions.tiles[axis].to_numpy(np.int64) for axis in ("x", "y"))
    at = told.posterior.rows_of(x, y)
    rows = np.flatnonzero(at >= 0)
    rows = rows[measured.has_traffic[at[rows]]]
    found: dict[str, Any] = {
        "sentence": left_out(told).sentence, "rows": rows.tolist(), "before": [], "measured": [],
        "levels_before": [], "levels_measured": [],
        "next": measure_next(told, conditions, NEXT).to_dict("records"),
    }  # fmt: skip
    if not len(rows):
        return found
    weeks = np.tile(measured.traffic[at[rows]], (1, 168 // measured.traffic.shape[1])).astype(float)
    parts = (np.arange(i, min(i + AT_ONCE, len(x))) for i in range(0, len(x), AT_ONCE))
    plain_weeks = np.concatenate([plain.generate(conditions.take(p), DRAWS, seed).median() for p in parts])
    made = plain_weeks[rows].sum(axis=0).astype(float)
    scale = weeks.mean() * len(rows) / max(float(made.mean()), 1e-12)
    return found | {
        "before": (made * scale).tolist(), "measured": weeks.sum(axis=0).tolist(),
        "levels_before": np.round(plain_weeks.mean(axis=1).astype(float) * scale, 5).tolist(),
        "levels_measured": np.round(weeks.mean(axis=1), 5).tolist(),
    }  # fmt: skip
