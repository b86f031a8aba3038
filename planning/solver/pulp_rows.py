"""Expressions and constraints of PuLP 3.3 or 4.x from index arrays."""

from __future__ import annotations

import math

import numpy as np
import pulp

PULP_MAJOR = int(pulp.__version__.split(".")[0])


def expression(pairs: list[tuple[pulp.LpVariable, float]]) -> pulp.LpAffineExpression:
    """A linear expression from (variable, coefficient) pairs, by the fast way of either PuLP."""
    if PULP_MAJOR >= 4:
        return pulp.LpAffineExpression.from_list(pairs)
    return pulp.LpAffineExpression(pairs)


def add_rows(
    problem: pulp.LpProblem,
    variables: list[pulp.LpVariable],
    row: np.ndarray,
    column: np.ndarray,
    value: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
) -> None:
    """Append constraints from triples, summing doubled entries."""
    count = len(lower)
    key = row.astype(np.int64) * len(variables) + column
    unique, inverse = np.unique(key, return_inverse=True)
    coefficient = np.bincount(inverse, weights=value, minlength=len(unique))
    columns = (unique % len(variables)).tolist()
    ends = np.searchsorted(unique, np.arange(1, count + 1) * len(variables)).tolist()
    coefficients = coefficient.tolist()
    lower, upper = lower.tolist(), upper.tolist()
    begin = 0
    for i in range(count):
        end = ends[i]
        pairs = [(variables[c], a) for c, a in zip(columns[begin:end], coefficients[begin:end], strict=True)]
        begin = end
        if lower[i] == upper[i]:
            problem += expression(pairs) == lower[i]
            continue
        if math.isfinite(lower[i]):
            problem += expression(pairs) >= lower[i]
        if math.isfinite(upper[i]):
            problem += expression(pairs) <= upper[i]
