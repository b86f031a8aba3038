"""The hour of all maps: told by weekday, and typed."""

import pytest
from streamlit.testing.v1 import AppTest

from app.widgets.clock import hour_label, hour_of
from plannerbase import formats


def test_hours_are_told_by_weekday():
    assert [hour_label(h) for h in (0, 30, 167)] == ["Mon 00:00", "Tue 06:00", "Sun 23:00"]


@pytest.mark.parametrize(
    ("text", "hour"),
    [("Tue 18", 42), ("tuesday, 18:00", 42), ("sun 0", 144), ("7", 55), ("07:00", 55), ("24", None), ("Tu 5", None),
     ("noon", None), ("", None)],
)  # fmt: skip
def test_an_hour_is_typed_with_its_day_or_of_the_present_day(text, hour):
    assert hour_of(text, 60) == hour  # 60 is Wednesday noon


@pytest.mark.parametrize(
    ("style", "text", "hour"),
    [("de", "Di 18", 42), ("de", "Tue 18", 42), ("fr", "mar. 18:00", 42), ("fr", "dimanche 0", 144),
     ("es", "mié 6", 54), ("zh", "周二 18", 42), ("zh", "星期日 1", 145), ("ja", "火 18", 42), ("de", "xx 18", None)],
)  # fmt: skip
def test_the_day_may_be_typed_in_the_language_of_the_session_or_in_english(style, text, hour):
    with formats.using(formats.STYLES[style]):
        assert hour_of(text, 60) == hour


def test_weekdays_are_told_in_the_language_of_the_session():
    with formats.using(formats.STYLES["de"]):
        assert [hour_label(h) for h in (0, 30, 167)] == ["Mo 00:00", "Di 06:00", "So 23:00"]


def test_every_run_but_its_own_tells_the_browser_where_the_slider_stands():
    def page():
        import streamlit as st

        from app.state.workspace import workspace
        from app.widgets.clock import hour_control

        hour_control(workspace())
        st.button("Again")

    test = AppTest.from_function(page, default_timeout=60).run()
    for _ in range(2):  # as when one run follows another at once
        assert test.select_slider[0].proto.set_value and test.select_slider[0].value == 20
        test.button[-1].click().run()
    test.select_slider[0].set_value(33).run()
    assert test.select_slider[0].value == 33 and not test.select_slider[0].proto.set_value
    test.button[-1].click().run()
    assert test.select_slider[0].proto.set_value and test.select_slider[0].value == 33
