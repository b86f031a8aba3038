"""What a chart tells a screen reader and its table: the numbers that it was made from."""

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.charts import sleep as sleep_charts
from app.charts import spectrum as spectrum_charts
from app.charts import traffic as traffic_charts
from app.charts.numbers import summary, table_of
from app.widgets import accessible


def test_a_week_is_told_by_its_range_and_listed_point_by_point():
    series = np.random.default_rng(0).gamma(2.0, 50.0, (5, 168))
    figure = traffic_charts.week_band(series, 20, "Mbit/s")
    median = np.median(series, axis=0)
    assert f"median {median.min():.1f} to {median.max():.0f}" in summary(figure)
    table = table_of(figure).set_index("series")
    np.testing.assert_allclose(table.loc["median", "traffic (Mbit/s)"], median)
    np.testing.assert_allclose(table.loc["90 % band, lower", "traffic (Mbit/s)"], series.min(axis=0))
    np.testing.assert_array_equal(table.loc["50 % band, upper", "hour of the week"], np.arange(168))


def test_a_schedule_lists_loads_where_cells_are_awake():
    awake = np.array([[True] * 24, [h > 5 for h in range(24)]])
    loads = np.arange(48.0).reshape(2, 24) * awake
    cells = pd.DataFrame({"cell": ["a", "b"], "is_coverage": [False, False], "capacity_mbps": [100.0, 100.0]})
    table = table_of(sleep_charts.schedule(awake, loads, cells, 3))
    assert len(table) == awake.sum()
    mine = table[table["row"] == "b"].set_index("column")["load"]
    assert mine[6] == pytest.approx(0.30) and 5 not in mine.index


def test_bars_and_histograms_are_listed_too():
    values = np.array([1.0, 4.0, 9.0])
    table = table_of(spectrum_charts.sinr(values))
    assert table["SINR (dB)"].tolist() == values.tolist()
    assert summary(spectrum_charts.sinr(values)) == "SINR (dB): 1.00 to 9.00."


def test_the_tables_of_a_page_are_made_once_they_are_asked_for():
    def script():
        import pandas as pd
        import streamlit as st

        from app.widgets import accessible

        def make():
            st.session_state["made"] = st.session_state.get("made", 0) + 1
            return pd.DataFrame({"x": [1, 2]})

        accessible.begin()
        accessible.offer_table("Tiles", make)
        accessible.offered_tables()

    test = AppTest.from_function(script).run()
    assert not test.exception and "made" not in test.session_state
    test.session_state[accessible._OPEN] = True
    test.run()
    assert test.session_state["made"] == 1 and test.dataframe[0].value["x"].tolist() == [1, 2]
