"""What the parts of one sector can do in an hour, and the cheapest sequence of it by dynamic programming.

A state is how many parts of each free group are awake beyond the fewest that must be. Sectors whose free groups have
the same numbers of parts are looked at together.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

MAX_STATES = 128  # of a sector; beyond, the dynamic programme would cost more than it is worth
_DENSE = 200_000  # sums of states before and after that are looked at one by one
MAX_CYCLIC_STATES = 16  # up to here the cycle of hours is closed exactly; beyond, for nothing: still a bound


def states_of(grid: tuple[int, ...]) -> np.ndarray:
    """(states, groups) every combination of counts 0 .. grid[k] - 1, the last group's changing fastest."""
    listed = list(itertools.product(*(range(n) for n in grid)))
    return np.array(listed, int).reshape(math.prod(grid), len(grid))


def best_schedule(
    cost: np.ndarray,
    grid: tuple[int, ...],
    states: np.ndarray,
    wake_wh: np.ndarray,
    before: np.ndarray | None = None,
    after: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The cheapest states by hour.

    Parameters
    ----------
    cost : (sectors, hours, states) W, inf where a state is impossible.
    wake_wh : (sectors, groups) Wh of waking a part.
    before, after : (sectors,) state before the first hour and after the last; None: the last hour is before the first.

    Returns
    -------
    Values (sectors,) and state numbers (sectors, hours).
    """
    sectors, hours, number = cost.shape
    ends = before is not None and after is not None
    if number == 1 or not wake_wh.any() or (hours == 1 and not ends):
        chosen = cost.argmin(axis=2)
        return np.take_along_axis(cost, chosen[:, :, None], axis=2).sum(axis=(1, 2)), chosen
    gained = np.maximum(states[None, :, :] - states[:, None, :], 0)  # (from, to, groups)
    step = np.einsum("ftg,sg->sft", gained, wake_wh)  # (sectors, from, to)
    row = np.arange(sectors)
    closed = not ends and number <= MAX_CYCLIC_STATES
    if closed:  # one run for each first state, side by side
        value = np.where(np.eye(number, dtype=bool), cost[:, 0, None, :], np.inf)  # (sectors, first, state)
    else:
        value = cost[:, 0, None, :]
        if ends:
            value = value + step[row, before][:, None, :]
    trail = [value]
    few = value.size * number <= _DENSE
    for hour in range(1, hours):
        if few:
            value = (value[:, :, :, None] + step[:, None]).min(axis=2) + cost[:, hour, None, :]
        else:
            value = _after_switch(value, grid, wake_wh) + cost[:, hour, None, :]
        trail.append(value)
    if closed:
        value = value + step.transpose(0, 2, 1)  # from the last state back to the first
    elif ends:
        value = value + step[row, :, after][:, None, :]
    flat = value.reshape(sectors, -1)
    best = flat.argmin(axis=1)
    first, last = np.divmod(best, number)
    chosen = np.empty((sectors, hours), int)
    chosen[:, -1] = last
    for hour in range(hours - 1, 0, -1):
        earlier = trail[hour - 1][row, first] + step[row, :, chosen[:, hour]]
        chosen[:, hour - 1] = earlier.argmin(axis=1)
    return flat[row, best], chosen


def _after_switch(value: np.ndarray, grid: tuple[int, ...], wake_wh: np.ndarray) -> np.ndarray:
    """min over the state before of value + price of the parts woken; one pass a group, as the price is a sum."""
    out = value.reshape(*value.shape[:2], *grid)
    for axis, size in enumerate(grid, start=2):
        shape = [1] * out.ndim
        shape[0], shape[axis] = len(wake_wh), size
        ramp = (wake_wh[:, axis - 2, None] * np.arange(size)).reshape(shape)
        if size == 2:
            low, high = np.take(out, [0], axis), np.take(out, [1], axis)
            price = np.take(ramp, [1], axis)
            out = np.concatenate([np.minimum(low, high), np.minimum(high, low + price)], axis)
            continue
        woken = np.minimum.accumulate(out - ramp, axis=axis) + ramp
        asleep = np.flip(np.minimum.accumulate(np.flip(out, axis), axis=axis), axis)
        out = np.minimum(woken, asleep)
    return out.reshape(value.shape)
