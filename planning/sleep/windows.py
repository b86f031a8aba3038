"""Energy-saving windows of cells: from and to which hour a cell is in which state."""

from __future__ import annotations

import numpy as np
import pandas as pd

from planning.sleep.plan import ON, SleepPlan

COLUMNS = ("site", "cell", "band", "state", "from_hour", "to_hour", "hours")


def windows(plan: SleepPlan) -> pd.DataFrame:
    """One row for each run of hours in which a cell is not fully on, in the order of cells and hours.

    Returns
    -------
    DataFrame
        site, cell, band, state (as in `SleepPlan.states`), from_hour (first hour in the state), to_hour (first hour no
        longer in it, below from_hour for a window over the end of a cyclic plan), hours. A cell that never leaves the
        state has from_hour 0 and to_hour the hours of the plan.
    """
    states, hours = plan.states(), plan.hours
    cyclic = plan.problem.cyclic
    cells = plan.network.cells
    rows = []
    for cell in np.flatnonzero((states != ON).any(axis=1)):
        row = states[cell]
        starts = np.flatnonzero(row != (np.roll(row, 1) if cyclic else np.r_[[None], row[:-1]]))
        if not len(starts):
            starts = np.array([0])
        ends = np.r_[starts[1:], starts[0] + hours if cyclic else hours]
        for start, end in zip(starts, ends, strict=True):
            if row[start] == ON:
                continue
            to = int(end) if end <= hours else int(end) - hours
            name = tuple(cells[column].iloc[cell] for column in ("site", "cell", "band"))
            rows.append((*name, row[start], int(start), to, int(end - start)))
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(
        ["site", "cell", "from_hour"], ignore_index=True, kind="stable"
    )
