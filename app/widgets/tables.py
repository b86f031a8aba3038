"""Tables of a page, whose numbers are written as the user's place writes them."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from plannerbase import formats

MAX_WRITTEN = 20_000  # cells that are written here; the browser writes the numbers of larger tables


def show_table(
    table: pd.DataFrame,
    digits: Mapping[str, int] | None = None,
    percents: Collection[str] = (),
    where: Any = st,
    **options: Any,
) -> None:
    """Show a table. Sorting in it goes by the numbers, whatever they are written like.

    digits: column to digits behind the decimal separator; other floating-point columns have up to six significant
    digits, and whole numbers, which may be names, no separators. percents: columns with a number of per cent.
    options: further arguments of `st.dataframe`.
    """
    shown: Any = table.reset_index(drop=True)
    if table.size <= MAX_WRITTEN and table.columns.is_unique:
        shown = shown.style.format(_writers(shown, digits or {}, percents), na_rep=formats.MISSING)
    else:
        floats = table.select_dtypes("floating").columns
        localized = st.column_config.NumberColumn(format="localized")
        options["column_config"] = dict.fromkeys(floats, localized)
    where.dataframe(shown, hide_index=True, width="stretch", **options)


def _writers(
    table: pd.DataFrame, digits: Mapping[str, int], percents: Collection[str]
) -> dict[str, Callable[[Any], str]]:
    """By column, what writes its numbers."""
    found: dict[str, Callable[[Any], str]] = {}
    for name in table.columns:
        if name in percents:
            found[name] = partial(_percent, digits=digits.get(name, 1))
        elif name in digits:
            found[name] = partial(_number, digits=digits[name])
        elif pd.api.types.is_float_dtype(table[name]):
            found[name] = _general
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _percent(value: Any, digits: int) -> str:
    return formats.percent(float(value) / 100, digits) if _is_number(value) else str(value)


def _number(value: Any, digits: int) -> str:
    return formats.number(float(value), digits) if _is_number(value) else str(value)


def _general(value: Any) -> str:
    return formats.general(float(value)) if _is_number(value) else str(value)
