"""What the parts of one sector can do in an hour, and the cheapest sequence of it by dynamic programming.

A state is how many parts of each free group are awake beyond the fewest that must be. Sectors whose free groups have
the same numbers of parts are looked at together.
"""

from __future__ import annotations

import itertools
import math
from operator import add

import numpy as np

MAX_STATES = 128  # of a sector; beyond, the dynamic programme would cost more than it is worth
_FEW_STATES = 4  # of one sector alone, up to which lists are quicker than arrays
_DENSE = 20_000  # sums of states before and after that are looked at one by one
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
    if sectors == 1 and number <= _FEW_STATES and not ends:
        least, states_by_hour = _best_cycle(cost[0].tolist(), _wake_steps(states, wake_wh)[:, :, 0].tolist())
        return np.array([least]), np.array([states_by_hour])
    row = np.arange(sectors)
    closed = not ends and number <= MAX_CYCLIC_STATES
    by_hour = np.ascontiguousarray(cost.transpose(1, 2, 0))  # (hours, states, sectors): long rows
    # value: (states, first states, sectors)
    if closed:  # one run for each first state, side by side
        value = np.where(np.eye(number, dtype=bool)[:, :, None], by_hour[0][:, None], np.inf)
    else:
        value = by_hour[0][:, None].copy()
        if ends:
            value += _wake_wh(states[before].T[:, None], states.T[:, :, None], wake_wh)[:, None]
    trail = [value]
    steps = None  # (from, to, sectors)
    if number * value.size <= _DENSE:
        steps = _wake_steps(states, wake_wh)
    for hour in range(1, hours):
        if steps is not None:
            value = (value[:, None] + steps[:, :, None]).min(axis=0) + by_hour[hour][:, None]
        else:
            value = _after_switch(value, grid, wake_wh) + by_hour[hour][:, None]
        trail.append(value)
    if closed:  # from the last state back to the first
        value = value + _wake_steps(states, wake_wh)
    elif ends:
        value = value + _wake_wh(states.T[:, :, None], states[after].T[:, None], wake_wh)[:, None]
    flat = value.reshape(-1, sectors)
    best = flat.argmin(axis=0)
    last, first = np.divmod(best, value.shape[1])
    chosen = np.empty((sectors, hours), int)
    chosen[:, -1] = last
    for hour in range(hours - 1, 0, -1):
        if steps is not None:
            price = steps[:, chosen[:, hour], row]
        else:
            into = states[chosen[:, hour]].T[:, None]  # (groups, 1, sectors)
            price = _wake_wh(states.T[:, :, None], into, wake_wh)
        earlier = trail[hour - 1][:, first, row] + price
        chosen[:, hour - 1] = earlier.argmin(axis=0)
    return flat[best, row], chosen


def _best_cycle(cost: list[list[float]], steps: list[list[float]]) -> tuple[float, list[int]]:
    """`best_schedule` of one sector over a cycle of hours, by the same sums in the same order.

    Few states are done before NumPy has looked at its arguments. cost: W by hour and state; steps: Wh from a state to
    another.
    """
    states = range(len(steps))
    into = list(zip(*steps, strict=True))  # Wh into a state, from each
    # by state and first state
    value = [[cost[0][s] if s == f else math.inf for f in states] for s in states]
    trail = [value]
    for row in cost[1:]:
        by_first = list(zip(*value, strict=True))
        value = [[min(map(add, before, into[s])) + row[s] for before in by_first] for s in states]
        trail.append(value)
    flat = [value[s][f] + steps[s][f] for s in states for f in states]
    best = min(flat)
    last, first = divmod(flat.index(best), len(steps))
    chosen = [last]
    for value in trail[-2::-1]:
        earlier = [value[s][first] + steps[s][chosen[-1]] for s in states]
        chosen.append(earlier.index(min(earlier)))
    return best, chosen[::-1]


def _wake_steps(states: np.ndarray, wake_wh: np.ndarray) -> np.ndarray:
    """(from, to, sectors) Wh of going from one state to another."""
    return _wake_wh(states.T[:, :, None, None], states.T[:, None, :, None], wake_wh)


def _wake_wh(before: np.ndarray, after: np.ndarray, wake_wh: np.ndarray) -> np.ndarray:
    """(..., sectors) Wh of going from counts before to counts after, both (groups, ..., sectors or 1)."""
    out: np.ndarray | float = 0.0
    for group, price in enumerate(wake_wh.T):
        out = out + np.maximum(after[group] - before[group], 0) * price
    return np.asarray(out)


def _after_switch(value: np.ndarray, grid: tuple[int, ...], wake_wh: np.ndarray) -> np.ndarray:
    """min over the state before of value (states, first states, sectors) + price of the parts woken; one pass a group,
    as the price is a sum."""
    out = value.reshape(*grid, *value.shape[1:])
    for axis, size in enumerate(grid):
        if size == 1:
            continue
        price = wake_wh[:, axis]
        by_count = np.moveaxis(out, axis, 0)
        best = np.empty(out.shape)
        into = np.moveaxis(best, axis, 0)
        into[0] = by_count[0]
        for count in range(1, size):
            np.minimum(by_count[count], into[count - 1] + price, out=into[count])
        for count in range(size - 2, -1, -1):
            np.minimum(into[count], into[count + 1], out=into[count])
        out = best
    return out.reshape(value.shape)
