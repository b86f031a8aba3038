"""Figures as people of a place write them, against examples of Unicode CLDR."""

from datetime import datetime

import pytest

from plannerbase import formats

NARROW, FIXED = "\u202f", "\u00a0"
# style -> 1234567.891 with two digits, 1234, 0.1234 in per cent with one digit, a day
EXAMPLES = {
    "en-US": ("1,234,567.89", "1,234", "12.3%", "Nov 08, 2026"),
    "en-GB": ("1,234,567.89", "1,234", "12.3%", "08 Nov 2026"),
    "de": ("1.234.567,89", "1.234", f"12,3{FIXED}%", "08.11.2026"),
    "fr": (f"1{NARROW}234{NARROW}567,89", f"1{NARROW}234", f"12,3{NARROW}%", "08/11/2026"),
    "es": ("1.234.567,89", "1234", f"12,3{FIXED}%", "08/11/2026"),
    "pt": ("1.234.567,89", "1.234", "12,3%", "08/11/2026"),
    "zh": ("1,234,567.89", "1,234", "12.3%", "2026/11/08"),
    "ja": ("1,234,567.89", "1,234", "12.3%", "2026/11/08"),
    "iso": (f"1{NARROW}234{NARROW}567.89", f"1{NARROW}234", f"12.3{NARROW}%", "2026-11-08"),
}


@pytest.mark.parametrize("name", formats.STYLES)
def test_each_style_writes_as_its_place_does(name):
    large, thousand, share, day = EXAMPLES[name]
    with formats.using(formats.STYLES[name]):
        assert formats.number(1234567.891, 2) == large
        assert formats.number(1234) == thousand
        assert formats.percent(0.1234, 1) == share
        assert formats.date(datetime(2026, 11, 8)) == day
        assert formats.moment(datetime(2026, 11, 8, 14, 3, 5)) == f"{day} 14:03:05"
        assert len(set(formats.current().days)) == len(set(formats.current().long_days)) == 7


def test_numbers_without_a_style_are_english():
    assert formats.number(-1234.5, 1) == "-1,234.5"
    assert formats.number(12.5, 1, sign=True) == "+12.5"
    assert formats.number(-0.0001, 1) == "0.0"
    assert formats.number(float("nan")) == formats.percent(float("inf")) == "–"
    assert formats.significant(17896.6) == "17,897"
    assert formats.significant(0.01234) == "0.0123"
    assert formats.significant(0.0) == "0"
    assert formats.general(0.25) == "0.25"
    assert formats.general(50.0) == "50"
    assert formats.coordinate(28.6, 3) == "28.600"


def test_spanish_groups_from_five_digits():
    with formats.using(formats.STYLES["es"]):
        assert [formats.number(v) for v in (999, 9999, 10000, -1234)] == ["999", "9999", "10.000", "-1234"]


def test_money_stands_where_the_style_has_it():
    assert formats.money(1234.5, "USD", 2) == f"USD{FIXED}1,234.50"
    with formats.using(formats.STYLES["de"]):
        assert formats.money(1234.5, "EUR", 2) == f"1.234,50{FIXED}EUR"
        assert formats.money(1234.5) == "1.234"


def test_hours_in_sentences_are_english_days_and_times():
    with formats.using(formats.STYLES["de"]):
        assert formats.hour_in_prose(0) == "Mon 00:00" and formats.hour_in_prose(140) == "Sat 20:00"
    assert formats.hour_in_prose(22, 24) == "22:00"


def test_rounded_keeps_the_size():
    assert formats.rounded(534791.2) == 534800 and formats.rounded(2.55645e-05) == 2.556e-05


def test_weekdays_begin_on_monday():
    assert [formats.weekday(d) for d in (0, 6, 7)] == ["Mon", "Sun", "Mon"]
    with formats.using(formats.STYLES["de"]):
        assert (formats.weekday(1), formats.long_weekday(1)) == ("Di", "Dienstag")


@pytest.mark.parametrize(
    ("tag", "name"),
    [("de-AT", "de"), ("en", "en-US"), ("en-AU", "en-GB"), ("zh-Hans-CN", "zh"), ("fr_CA", "fr"), ("xx", "en-US"),
     (None, "en-US"), ("", "en-US")],
)  # fmt: skip
def test_closest_style_to_the_language_of_a_browser(tag, name):
    assert formats.closest(tag) == name


def test_prose_is_written_anew_and_names_are_not():
    english = "It saves 12.3% (8 of 10 samples): 1,234 kWh a day of 20,000.5; see TS 28.310, n78, 3GPP 38.901-1, 2026."
    with formats.using(formats.STYLES["de"]):
        assert formats.sentence(english) == (
            f"It saves 12,3{FIXED}% (8 of 10 samples): 1.234 kWh a day of 20.000,5; see TS 28.310, n78, 3GPP 38.901-1, "
            "2026."
        )
        assert formats.sentence("lon 115.8571, lat 28.6829 at 06:00") == "lon 115.8571, lat 28.6829 at 06:00"
    assert formats.sentence(english) == english


def test_a_style_holds_within_its_block_alone():
    with formats.using(formats.STYLES["fr"]):
        assert formats.number(0.5, 1) == "0,5"
    assert formats.number(0.5, 1) == "0.5"
