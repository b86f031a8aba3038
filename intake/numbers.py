"""Numbers in a column of a table from a stranger, to the last digit."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd


def numbers_of(column: pd.Series) -> np.ndarray:
    """The column as (rows,) float64, NaN where it holds no number, or a whole number beyond any float.

    Text becomes the nearest float, so that a number which was written and is read back is the same
    (`pandas.to_numeric` misses the last digit before pandas 3.1).
    """
    try:
        numeric = pd.to_numeric(column, errors="coerce")
    except OverflowError:  # JSON may hold a whole number of 400 digits
        column = column.map(lambda value: None if _beyond_floats(value) else value)
        numeric = pd.to_numeric(column, errors="coerce")
    values = np.array(numeric.to_numpy(float, na_value=np.nan))
    if not pd.api.types.is_numeric_dtype(column.dtype):
        found = ~np.isnan(values)
        values[found] = column.to_numpy(object)[found].astype(float)
    return values


def _beyond_floats(value: object) -> bool:
    return isinstance(value, int) and abs(value) > sys.float_info.max
