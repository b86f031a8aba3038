"""References of the British National Grid against published positions and the plain formula of its squares."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plannerbase.grid_references import grid_references
from plannerbase.positions import positions_of
from plannerbase.report import Report
from plannerbase.text import Refused


def test_the_point_of_the_ordnance_survey_lies_where_it_is_published():
    # TG 51409 13177, 52 39' 28.72" N 1 42' 57.79" E in WGS-84
    table = pd.DataFrame({"Site": ["Caister"], "Grid Reference": ["TG 51409 13177"]})
    lon, lat, used = positions_of(table, Report())
    assert used == {"ngr": "Grid Reference"}
    assert lat[0] == pytest.approx(52 + 39 / 60 + 28.72 / 3600, abs=1e-4)  # some metres: the datum's shift
    assert lon[0] == pytest.approx(1 + 42 / 60 + 57.79 / 3600, abs=1e-4)


@given(
    east=st.integers(0, 699_999),
    north=st.integers(0, 1_299_999),
    digits=st.integers(1, 5),
    form=st.integers(0, 3),
)
def test_references_come_back_as_their_squares(east, north, digits, form):
    # letters by counting squares of 500 and of 100 km from the north-west, as on the map
    column, row = east // 100_000, 19 - north // 100_000  # of 25 each, south-west is 10, 19
    letters = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c != "I"]
    name = letters[5 * (row // 5) + (column + 10) // 5] + letters[5 * (row % 5) + (column + 10) % 5]
    side = 10 ** (5 - digits)
    x, y = (f"{v % 100_000 // side:0{digits}d}" for v in (east, north))
    text = (f"{name}{x}{y}", f"{name} {x} {y}", f" {name.lower()} {x}{y} ", f"{name} {x},{y}")[form]
    found = grid_references([text])
    assert [v[0] for v in found] == [east // side * side + side / 2, north // side * side + side / 2, side]


@pytest.mark.parametrize(
    "text", ["", "TQ", "TI 300 800", "TQ 3008 804", "TQ 300808", "AA 300 800", "51.5, -0.1", "TQ123"]
)
def test_what_is_no_reference_has_no_position(text):
    expected = text == "TQ 300808"  # three digits each, written together
    assert np.isfinite(grid_references([text])[0])[0] == expected


def test_coarse_references_are_told_and_none_at_all_is_refused():
    report = Report()
    table = pd.DataFrame({"NGR": ["TQ 30 80", "nowhere", "TQ 30080 80430"]})
    lon, _, _ = positions_of(table, report)
    assert np.isfinite(lon).tolist() == [True, False, True]
    assert any("squares of 1,000 m" in entry.text for entry in report.entries)
    with pytest.raises(Refused, match=r"no reference of the British National Grid.*first: nowhere"):
        positions_of(table.iloc[[1]], Report())
