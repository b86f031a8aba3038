"""Numbers in a column of a table from a stranger, to the last digit."""

from __future__ import annotations

import math
import re
import sys

import numpy as np
import pandas as pd

_NUMBER = re.compile(
    r"([-+]?\d[\d.,\s'_]*(?:e[-+]?\d+)?)\s*(?:[°º%]|[a-zµ]{1,6}(?:/[a-z]{1,3})?)?", re.IGNORECASE
)
_SIGNS = str.maketrans(
    {"−": "-", "–": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'", "，": ",", "．": "."}
)


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


def written_numbers(column: pd.Series, grouped: bool | None = None) -> np.ndarray:
    """As `numbers_of`, and what people and spreadsheets write: a decimal comma, thousands with a comma, point, space
    or apostrophe between, a sign after the number, and a unit, degree or percent sign behind it.

    grouped: whether a comma with three digits behind it stands between thousands ("1,234"); None: it does where every
    comma of the column has such groups behind it and some value shows a decimal point.
    """
    values = numbers_of(column)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return values
    text = column.astype("string").str.strip().to_numpy(dtype=object, na_value="")
    missing = np.flatnonzero(np.isnan(values) & (text != ""))
    if not len(missing):
        return values
    words = [_NUMBER.fullmatch(str(text[i]).translate(_SIGNS)) for i in missing]
    found = [w[1] for w in words if w]
    comma_groups = all(re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", n) for n in found if "," in n)
    if grouped is None:
        grouped = any("." in str(t) for t in text)
    for i, word in zip(missing, words, strict=True):
        if word:
            values[i] = _number(word[1], comma_groups and grouped)
    return values


def without_zeros(name: str) -> str:
    """A name without the zeros that spreadsheets drop: "7" of "007", "0" of "000"; other names as they are."""
    return (name.lstrip("0") or "0") if name.isdecimal() else name


def _number(text: str, comma_groups: bool) -> float:
    """The number in a text of digits, points, commas and spaces."""
    text = re.sub(r"[\s'_]", "", text)
    if "," in text and "." in text:
        last = max(text.rfind(","), text.rfind("."))
        text = re.sub("[,.]", "", text[:last]) + "." + text[last + 1 :]
    elif text.count(",") > 1 or ("," in text and comma_groups):
        text = text.replace(",", "")
    elif text.count(".") > 1:
        text = text.replace(".", "")
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return math.nan


def _beyond_floats(value: object) -> bool:
    return isinstance(value, int) and abs(value) > sys.float_info.max
