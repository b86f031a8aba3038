"""Numbers out of columns of text."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plannerbase.numbers import numbers_of, without_zeros


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=20))
def test_a_float_that_is_written_comes_back_as_it_was(values):
    assert numbers_of(pd.Series([repr(v) for v in values])).tolist() == values


@given(st.lists(st.text(max_size=8) | st.none(), min_size=1, max_size=20))
def test_any_text_becomes_a_number_or_nothing(texts):
    for text, value in zip(texts, numbers_of(pd.Series(texts, dtype=object)), strict=True):
        assert np.isnan(value) or float(text) == value


@pytest.mark.parametrize("column", [[1, 2], [1.5, np.nan], [True, False], pd.array([1, None], "Int64")])
def test_columns_of_numbers_stay_as_they_are(column):
    expected = [np.nan if pd.isna(v) else float(v) for v in column]
    np.testing.assert_array_equal(numbers_of(pd.Series(column)), expected)


def test_numbers_with_spaces_and_numbers_among_words():
    np.testing.assert_array_equal(
        numbers_of(pd.Series([" 1.25 ", "north", "", 3, None], dtype=object)),
        [1.25, np.nan, np.nan, 3, np.nan],
    )


def test_a_whole_number_beyond_any_float_is_none():
    column = pd.Series([10**400, -(10**400), 1, "2.5", "north", None], dtype=object)
    np.testing.assert_array_equal(numbers_of(column), [np.nan, np.nan, 1, 2.5, np.nan, np.nan])


def test_names_of_digits_lose_the_zeros_that_spreadsheets_drop():
    names = ["007", "7", "000", "0", "", "A07", "0x7"]
    assert [without_zeros(name) for name in names] == ["7", "7", "0", "0", "", "A07", "0x7"]
