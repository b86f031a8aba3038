"""Schedules: counts of awake parts as parts and back, and the limits on switching."""

from __future__ import annotations

import numpy as np

from planning.energy import CellGroups


def group_counts(groups: CellGroups, awake: np.ndarray) -> np.ndarray:
    """(parts, hours) bool -> (groups, hours) number of awake parts."""
    parts, first = groups.members
    out = np.zeros((len(groups.site), awake.shape[1]), np.int64)
    for place in range(int(groups.count.max(initial=0))):
        has = np.flatnonzero(groups.count > place)
        out[has] += awake[parts[first[has] + place]]
    return out


def to_parts(groups: CellGroups, counts: np.ndarray) -> np.ndarray:
    """(groups, hours) counts -> (parts, hours) bool, first parts first: the first to wake is the last to sleep."""
    return groups.place_of_part[:, None] < counts[groups.group_of_part]


def before_of(awake: np.ndarray, before: np.ndarray | None) -> np.ndarray:
    """(parts, hours) bool: awake in the hour before. before: (parts,) the state before the first hour; None: cyclic."""
    out = np.roll(awake, 1, axis=1)
    if before is not None:
        out[:, 0] = before
    return out


def woken(awake: np.ndarray, before: np.ndarray | None = None, after: np.ndarray | None = None) -> np.ndarray:
    """(parts, hours) how often a part is woken: into the hour, and in the last hour also into the state `after`."""
    out = (awake & ~before_of(awake, before)).astype(np.int8)
    if after is not None:
        out[:, -1] += after & ~awake[:, -1]
    return out


def runs_up(row: np.ndarray) -> list[tuple[int, int]]:
    """Cyclic runs of awake hours as (start, length); none for always or never awake."""
    if row.all() or not row.any():
        return []
    starts = np.flatnonzero(row & ~np.roll(row, 1))
    return [(int(start), int(np.argmin(np.roll(row, -start)))) for start in starts]


def hold(awake: np.ndarray, min_up: int, before: np.ndarray | None = None) -> np.ndarray:
    """Keep every woken part awake for at least min_up hours; only ever adds awake hours."""
    if min_up <= 1:
        return awake
    hours = awake.shape[1]
    started, out = awake & ~before_of(awake, before), awake.copy()
    for k in range(1, min(min_up, hours)):
        shifted = np.roll(started, k, axis=1)
        if before is not None:
            shifted[:, :k] = False
        out |= shifted
    return out


def fill_gaps(
    awake: np.ndarray, min_off: int, before: np.ndarray | None = None, after: np.ndarray | None = None
) -> np.ndarray:
    """Stay awake through gaps shorter than min_off hours; only ever adds awake hours."""
    if min_off <= 1:
        return awake
    hours = awake.shape[1]
    out = awake.copy()
    if before is None:
        for length in range(1, min(min_off, hours)):
            # a gap of this length: awake, then asleep `length` times, then awake
            starts = np.roll(out, 1, axis=1) & np.roll(out, -length, axis=1)
            for k in range(length):
                starts &= ~np.roll(out, -k, axis=1)
            for k in range(length):
                out |= np.roll(starts, k, axis=1)
        return out
    end = np.zeros(len(awake), bool) if after is None else after
    padded = np.concatenate([before[:, None], out, end[:, None]], axis=1)
    for length in range(1, min(min_off, hours + 1)):
        width = hours - length + 1
        starts = padded[:, :width] & padded[:, length + 1 : length + 1 + width]
        for k in range(1, length + 1):
            starts &= ~padded[:, k : k + width]
        for k in range(1, length + 1):
            padded[:, k : k + width] |= starts
    return padded[:, 1:-1]


def limit_wakes(
    awake: np.ndarray, most: int, before: np.ndarray | None = None, after: np.ndarray | None = None
) -> np.ndarray:
    """Stay awake through the shortest gaps of a day until no part is woken more than `most` times in it.

    A day is 24 hours from the first hour on; a gap belongs to the day in which it ends. Only ever adds awake hours.
    """
    hours = awake.shape[1]
    count = woken(awake, before, after)
    days = -(-hours // 24)
    by_day = np.stack([count[:, 24 * d : 24 * d + 24].sum(axis=1) for d in range(days)], axis=1)
    if not (by_day > most).any():
        return awake
    out = awake.copy()
    for part in np.flatnonzero((by_day > most).any(axis=1)):
        row = out[part]
        ends = (
            (None, None)
            if before is None
            else (bool(before[part]), None if after is None else bool(after[part]))
        )
        while True:
            gaps = _gaps(row, *ends)
            day_of = [min(wake, hours - 1) // 24 for wake, _ in gaps]
            excess = np.bincount(day_of, minlength=days) > most
            if not excess.any():
                break
            length, wake = min((n, w) for (w, n), day in zip(gaps, day_of, strict=True) if excess[day])
            row[(wake - 1 - np.arange(length)) % hours] = True
    return out


def _gaps(row: np.ndarray, before: bool | None, after: bool | None) -> list[tuple[int, int]]:
    """Gaps that end with a wake-up, as (hour of the wake-up, hours asleep); before None: cyclic."""
    if before is None:
        return [((start + length) % len(row), length) for start, length in runs_up(~row)]
    gaps, length = [], 0
    for hour, state in enumerate([*row.tolist(), *([] if after is None else [after])]):
        if state and length:
            gaps.append((hour, length))
        length = 0 if state else length + 1
    return gaps
