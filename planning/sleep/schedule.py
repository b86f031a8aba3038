"""Cyclic schedules: counts of awake cells as cells and back, and the bookkeeping of minimum up times."""

from __future__ import annotations

import math

import numpy as np

from planning.energy import Groups


def group_counts(groups: Groups, awake: np.ndarray) -> np.ndarray:
    """(cells, hours) bool -> (groups, hours) number of awake cells."""
    out = np.zeros((len(groups.site), awake.shape[1]), np.int64)
    for g, cells in enumerate(groups.cells):
        out[g] = awake[cells].sum(axis=0)
    return out


def to_cells(groups: Groups, counts: np.ndarray) -> np.ndarray:
    """(groups, hours) counts -> (cells, hours) bool, first cells first: the first to wake is the last to sleep."""
    total = sum(len(c) for c in groups.cells)
    awake = np.zeros((total, counts.shape[1]), bool)
    for g, cells in enumerate(groups.cells):
        awake[cells] = np.arange(len(cells))[:, None] < counts[g]
    return awake


def woken(awake: np.ndarray) -> np.ndarray:
    """(cells, hours) bool: awake, but not in the hour before (cyclic)."""
    return awake & ~np.roll(awake, 1, axis=1)


def runs_up(row: np.ndarray) -> list[tuple[int, int]]:
    """Cyclic runs of awake hours as (start, length); none for always or never awake."""
    if row.all() or not row.any():
        return []
    starts = np.flatnonzero(row & ~np.roll(row, 1))
    return [(int(start), int(np.argmin(np.roll(row, -start)))) for start in starts]


def hold(awake: np.ndarray, min_up: int) -> np.ndarray:
    """Keep every woken cell awake for at least min_up hours (cyclic); only ever adds awake hours."""
    if min_up <= 1:
        return awake
    hours = awake.shape[1]
    started, out = woken(awake), awake.copy()
    for k in range(1, min(min_up, hours)):
        out |= np.roll(started, k, axis=1)
    return out


def bridge(groups: Groups, awake: np.ndarray, switch_wh: float) -> np.ndarray:
    """Stay awake through gaps whose saving is below the price of waking again."""
    out = awake.copy()
    for g, cells in enumerate(groups.cells):
        if not groups.wake_w[g] > 0:
            continue
        longest = math.ceil(switch_wh / groups.wake_w[g]) - 1  # hours of sleep that do not pay for a switch
        if longest < 1:
            continue
        for cell in cells:
            for start, length in runs_up(~out[cell]):
                if length <= longest:
                    out[cell, (start + np.arange(length)) % out.shape[1]] = True
    return out


def spread_counts(counts: np.ndarray, cells: int, min_up: int) -> np.ndarray | None:
    """(hours,) counts -> (cells, hours) bool where every cell's own runs last min_up hours, without extra switches.

    None where no such schedule is found: then the count is only feasible with cells that swap roles every day.
    """
    nested = np.arange(cells)[:, None] < counts
    if _holds(nested, min_up):
        return nested
    base = int(counts.min())
    hours = len(counts)
    cut = int(counts.argmin())
    extra = np.roll(counts, -cut) - base
    out = np.zeros((cells, hours), bool)
    out[:base] = True
    queue: list[int] = []  # awake cells, longest awake first
    free = list(range(base, cells))
    for hour in range(hours):
        while len(queue) > extra[hour]:
            free.append(queue.pop(0))
        while len(queue) < extra[hour]:
            queue.append(free.pop(0))
        out[queue, hour] = True
    out = np.roll(out, cut, axis=1)
    return out if _holds(out, min_up) else None


def _holds(awake: np.ndarray, min_up: int) -> bool:
    return all(length >= min_up for row in awake for _, length in runs_up(row))


def cells_of(groups: Groups, counts: np.ndarray, min_up: int) -> tuple[np.ndarray, list[int]]:
    """Awake cells from counts, and the groups without a strict daily schedule for theirs, which stay awake longer."""
    awake = to_cells(groups, counts)
    unsolved = []
    for g in groups.free:
        rows = spread_counts(counts[g], int(groups.count[g]), min_up)
        if rows is None:
            unsolved.append(int(g))
        else:
            awake[groups.cells[g]] = rows
    return (hold(awake, min_up) if unsolved else awake), unsolved
