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


def conditioned(
    generator: TrafficGenerator, source: Any, measured: Measurements, tiles: Tiles, conditions: Conditions
) -> ConditionedGenerator:
    """The generator given measured tiles. Raises TableError."""
    from opendiff.conditioned import condition

    return condition(generator, source, measured, tiles, conditions)


def worth(
    plain: TrafficGenerator, told: ConditionedGenerator, conditions: Conditions, seed: int
) -> dict[str, Any]:
    """What `app.widgets.measurements.worth` shows, as JSON holds it."""
    from opendiff.measuring import left_out, measure_next

    measured = told.posterior.measurements
    x, y = (conditions.tiles[axis].to_numpy(np.int64) for axis in ("x", "y"))
    at = told.posterior.rows_of(x, y)
    rows = np.flatnonzero(at >= 0)
    rows = rows[measured.has_traffic[at[rows]]]
    before: list[float] = []
    real: list[float] = []
    if len(rows):
        week = np.tile(measured.traffic[at[rows]], (1, 168 // measured.traffic.shape[1])).sum(axis=0)
        made = plain.generate(conditions.take(rows), 10, seed).median().sum(axis=0)
        before = (made * week.mean() / max(float(made.mean()), 1e-12)).tolist()
        real = week.tolist()
    return {
        "sentence": left_out(told).sentence, "rows": rows.tolist(), "before": before, "measured": real,
        "next": measure_next(told, conditions, NEXT).to_dict("records"),
    }  # fmt: skip
