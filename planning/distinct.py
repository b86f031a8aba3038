"""Distinct rows of several columns, as `numpy.unique` finds them along an axis, in a tenth of its time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def ascending(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(groups,) the distinct ones of values (rows,), ascending, and (rows,) the group of each: as `numpy.unique` with
    `return_inverse`, at once where they are so already."""
    new = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=new[1:])
    if (values[1:] >= values[:-1]).all():
        return (values, np.arange(len(values))) if new.all() else (values[new], np.cumsum(new) - 1)
    distinct_values, group = np.unique(values, return_inverse=True)
    return distinct_values, group


def distinct(*columns: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """(groups,) the first row of each distinct combination, ascending by the first column, then the second, and so on,
    and (rows,) its group. columns: each (rows,), numbers without NaN."""
    values = [np.asarray(column) for column in columns]
    order = np.lexsort(values[::-1])
    new = np.zeros(len(order), bool)
    new[:1] = True
    for column in values:
        ordered = column[order]
        new[1:] |= ordered[1:] != ordered[:-1]
    group = np.empty(len(order), int)
    group[order] = np.cumsum(new) - 1
    return order[new], group
