"""Distinct rows are those of numpy.unique."""

import numpy as np
import pytest

from planning.distinct import distinct


@pytest.mark.parametrize("rows", [1, 7, 500])
def test_distinct_rows_are_those_of_numpy(rows):
    rng = np.random.default_rng(rows)
    columns = [rng.integers(0, 4, rows), rng.choice([-1.5, 0.0, 2.25], rows), rng.random(rows) < 0.5]
    stacked = np.column_stack([np.asarray(c, float) for c in columns])
    kept, first, group = np.unique(stacked, axis=0, return_index=True, return_inverse=True)
    mine, of_row = distinct(*columns)
    np.testing.assert_array_equal(mine, first)
    np.testing.assert_array_equal(of_row, group.ravel())
    np.testing.assert_array_equal(stacked[mine], kept)
