"""The hour of all maps: told by weekday, and typed."""

import pytest

from app.widgets.clock import hour_label, hour_of


def test_hours_are_told_by_weekday():
    assert [hour_label(h) for h in (0, 30, 167)] == ["Mon 00:00", "Tue 06:00", "Sun 23:00"]


@pytest.mark.parametrize(
    ("text", "hour"),
    [("Tue 18", 42), ("tuesday, 18:00", 42), ("sun 0", 144), ("7", 55), ("07:00", 55), ("24", None), ("Tu 5", None),
     ("noon", None), ("", None)],
)  # fmt: skip
def test_an_hour_is_typed_with_its_day_or_of_the_present_day(text, hour):
    assert hour_of(text, 60) == hour  # 60 is Wednesday noon
