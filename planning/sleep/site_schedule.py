"""The cheapest schedule of one site's cells, by dynamic programming over the hours (many sites side by side).

A state is how many cells of each free group are awake beyond the fewest that must be.
"""

from __future__ import annotations

import itertools

import numpy as np

MOST_STATES = 128  # of one site; beyond, the dynamic programme would cost more than it is worth
CYCLIC_STATES = 16  # up to here the cycle of hours is closed exactly; beyond, for nothing: still a bound


def states_of(grid: tuple[int, ...]) -> np.ndarray:
    """(states, groups) every combination of counts 0 .. grid[k] - 1, the last group's changing fastest."""
    return np.array(list(itertools.product(*(range(n) for n in grid))), int).reshape(-1, len(grid))


def best_schedule(
    cost: np.ndarray, grid: tuple[int, ...], states: np.ndarray, switch_wh: float
) -> tuple[np.ndarray, np.ndarray]:
    """The cheapest states by hour: values (sites,), state numbers (sites, hours); inf where a state is impossible.

    cost: (sites, hours, states) W. Waking costs switch_wh a cell, also from the last hour to the first.
    """
    sites, hours, number = cost.shape
    if switch_wh == 0 or number == 1 or hours == 1:
        chosen = cost.argmin(axis=2)
        return np.take_along_axis(cost, chosen[:, :, None], axis=2).sum(axis=(1, 2)), chosen
    step = switch_wh * np.maximum(states[None, :, :] - states[:, None, :], 0).sum(axis=2)  # (from, to)
    closed = number <= CYCLIC_STATES
    if closed:  # one run for each first state, side by side
        value = np.where(np.eye(number, dtype=bool), cost[:, 0, None, :], np.inf)  # (sites, first, state)
    else:
        value = cost[:, 0, None, :]
    trail = [value]
    for hour in range(1, hours):
        value = _after_switch(value, grid, switch_wh) + cost[:, hour, None, :]
        trail.append(value)
    if closed:
        value = value + step.T  # from the last state back to the first
    flat = value.reshape(sites, -1)
    best = flat.argmin(axis=1)
    first, last = np.divmod(best, number)
    chosen = np.empty((sites, hours), int)
    chosen[:, -1] = last
    row = np.arange(sites)
    for hour in range(hours - 1, 0, -1):
        before = trail[hour - 1][row, first] + step[:, chosen[:, hour]].T
        chosen[:, hour - 1] = before.argmin(axis=1)
    return flat[row, best], chosen


def _after_switch(value: np.ndarray, grid: tuple[int, ...], switch_wh: float) -> np.ndarray:
    """min over the state before of value + price of the cells woken; one pass a group, as the price is a sum."""
    out = value.reshape(*value.shape[:2], *grid)
    for axis, size in enumerate(grid, start=2):
        ramp = switch_wh * np.arange(size).reshape([-1 if a == axis else 1 for a in range(out.ndim)])
        woken = np.minimum.accumulate(out - ramp, axis=axis) + ramp
        asleep = np.flip(np.minimum.accumulate(np.flip(out, axis), axis=axis), axis)
        out = np.minimum(woken, asleep)
    return out.reshape(value.shape)
