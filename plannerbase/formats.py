"""Numbers, money, dates and weekdays as people of a place write them.

A style holds for the thread that asked for it (`using`, `use`). Without one, numbers are written as in English. What
programs read (CSV, GeoJSON and the other exports, coordinates) keeps the decimal point and ISO 8601.

References
----------
Unicode CLDR, https://cldr.unicode.org: separators, patterns and names of weekdays.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from plannerbase.counting import of_count

NARROW, FIXED = "\u202f", "\u00a0"  # spaces that do not break a line
MISSING = "–"
_ENGLISH_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ENGLISH_LONG = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Style:
    """How a place writes figures.

    Attributes
    ----------
    label : str
        What it is called where it is chosen.
    decimal, group : str
        Separators of decimals and of thousands.
    percent : str
        What follows the number of per cent, with its space.
    dates : str
        Of a day, as in `datetime.strftime`.
    days, long_days : tuple of str
        Names of weekdays, Monday first.
    money_first : bool
        Whether the currency stands before the amount.
    least_grouped : int
        Digits before the first separator of thousands, at least: with 2 none stands in 1234.
    """

    label: str
    decimal: str = "."
    group: str = ","
    percent: str = "%"
    dates: str = "%d %b %Y"
    days: tuple[str, ...] = _ENGLISH_DAYS
    long_days: tuple[str, ...] = _ENGLISH_LONG
    money_first: bool = False
    least_grouped: int = 1

    @property
    def separators(self) -> str:
        """Of decimals and thousands in one word, as Plotly takes them."""
        return self.decimal + self.group


STYLES = {
    "en-US": Style("English, US", dates="%b %d, %Y", money_first=True),
    "en-GB": Style("English, UK", money_first=True),
    "de": Style(
        "Deutsch", ",", ".", f"{FIXED}%", "%d.%m.%Y", ("Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"),
        ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
    ),
    "fr": Style(
        "Français", ",", NARROW, f"{NARROW}%", "%d/%m/%Y", ("lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."),
        ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    ),
    "es": Style(
        "Español", ",", ".", f"{FIXED}%", "%d/%m/%Y", ("lun", "mar", "mié", "jue", "vie", "sáb", "dom"),
        ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"), least_grouped=2,
    ),
    "pt": Style(
        "Português", ",", ".", "%", "%d/%m/%Y", ("seg.", "ter.", "qua.", "qui.", "sex.", "sáb.", "dom."),
        ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo"),
        money_first=True,
    ),
    "zh": Style(
        "中文", dates="%Y/%m/%d", days=("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
        long_days=("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"), money_first=True,
    ),
    "ja": Style(
        "日本語", dates="%Y/%m/%d", days=("月", "火", "水", "木", "金", "土", "日"),
        long_days=("月曜日", "火曜日", "水曜日", "木曜日", "金曜日", "土曜日", "日曜日"), money_first=True,
    ),
    "iso": Style("ISO 8601 and SI", ".", NARROW, f"{NARROW}%", "%Y-%m-%d"),
}  # fmt: skip
DEFAULT = "en-US"
_style: ContextVar[Style] = ContextVar("style of figures", default=STYLES[DEFAULT])


def closest(tag: str | None) -> str:
    """The key of STYLES for a language tag of BCP 47, as a browser tells it; DEFAULT for one that is not known."""
    wanted = (tag or "").replace("_", "-")
    keys = {key.lower(): key for key in STYLES}
    language = wanted.split("-")[0].lower()
    if language == "en" and wanted.lower() not in ("en", "en-us"):
        return "en-GB"
    return keys.get(wanted.lower()) or keys.get(language) or DEFAULT


def use(name: str) -> None:
    """Let this thread write figures in a style of STYLES from now on."""
    _style.set(STYLES[name])


@contextmanager
def using(style: Style) -> Iterator[None]:
    """Write figures in this style within the block."""
    token = _style.set(style)
    try:
        yield
    finally:
        _style.reset(token)


def current() -> Style:
    """The style of this thread."""
    return _style.get()


# --- numbers -----------------------------------------------------------------------------------------------------


def number(value: float, digits: int = 0, sign: bool = False) -> str:
    """A number with so many digits behind the decimal separator. sign: with a plus sign, too."""
    if not math.isfinite(value):
        return MISSING
    text = f"{value:{'+' if sign else ''},.{digits}f}"
    if text.startswith("-") and not text.strip("-0.,"):
        text = text[1:]  # no minus zero
    return _written(text)


def counted(count: int, text: str) -> str:
    """A count and what is counted, told in the plural ("sites"), in the singular where it is one."""
    return f"{number(count)} {of_count(count, text)}"


def significant(value: float, figures: int = 3, most: int = 4) -> str:
    """A number with so many significant digits, without exponent. most: digits behind the decimal separator."""
    if not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    digits = max(0, figures - 1 - math.floor(math.log10(abs(value))))
    return number(value, min(digits, most))


def rounded(value: float, figures: int = 4) -> float:
    """A number rounded to so many significant digits."""
    return float(f"{value:.{figures}g}")


def general(value: float) -> str:
    """A number with the digits that it needs, six at most: 0.25, 50, 1,234.5."""
    if not math.isfinite(value):
        return MISSING
    return _written(f"{value:,.6g}")


def percent(share: float, digits: int = 0) -> str:
    """A share of 0 to 1 in per cent."""
    return number(100 * share, digits) + current().percent if math.isfinite(share) else MISSING


def money(value: float, currency: str = "", digits: int = 0) -> str:
    """An amount with its currency where the style has it."""
    amount, style = number(value, digits), current()
    if not currency:
        return amount
    return f"{currency}{FIXED}{amount}" if style.money_first else f"{amount}{FIXED}{currency}"


def coordinate(degrees: float, digits: int = 5) -> str:
    """Degrees of latitude or longitude, with a decimal point in every style, as maps and files have them."""
    return f"{degrees:.{digits}f}"


def _written(text: str) -> str:
    """A number as Python writes it (1,234.5) in the present style."""
    style = current()
    whole, point, part = text.partition(".")
    if (
        style.least_grouped > 1
        and whole.count(",") == 1
        and len(whole.lstrip("+-").split(",")[0]) < style.least_grouped
    ):
        whole = whole.replace(",", "")
    return whole.replace(",", style.group) + (style.decimal if point else "") + part


# --- days --------------------------------------------------------------------------------------------------------


def weekday(day: int) -> str:
    """The short name of a weekday, 0 for Monday; later days begin the next week."""
    return current().days[day % 7]


def long_weekday(day: int) -> str:
    """The whole name of a weekday, 0 for Monday."""
    return current().long_days[day % 7]


def hour_in_prose(hour: int, hours: int = 168) -> str:
    """An hour of a week (of so many hours) as "Tue 06:00", or of a typical day as "06:00"; for sentences that are kept
    with a plan, so in English."""
    time = f"{hour % 24:02d}:00"
    return time if hours <= 24 else f"{STYLES[DEFAULT].days[hour // 24 % 7]} {time}"


def date(moment: datetime) -> str:
    """The day of a moment."""
    return moment.strftime(current().dates)


def moment(when: datetime) -> str:
    """Day and time of day to the second."""
    return f"{date(when)} {when:%H:%M:%S}"


# --- prose -------------------------------------------------------------------------------------------------------

_IN_PROSE = re.compile(r"(?<![\w.,:/#])(?<!\w-)(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?( ?%)?(?![\w]|[.,/:]\d|-\w)")
# words before what is a name or a place, not an amount
_NAMED = {"TS", "TR", "ES", "EN", "eq.", "version", "Table", "lat", "lon", "latitude", "longitude"}


def sentence(text: str) -> str:
    """Prose with English numbers (1,234.5 and 12.3%) in the present style; numbers of standards stay as they are.

    For sentences that are kept with a plan and so are written before it is known who reads them.
    """
    if current() == STYLES[DEFAULT]:
        return text

    def written(found: re.Match[str]) -> str:
        before = text[: found.start()].split()
        whole, part, share = found[1], found[2] or "", found[3]
        if not (part or share or "," in whole) or (before and before[-1] in _NAMED):
            return found[0]
        return _written(whole + part) + (current().percent if share else "")

    return _IN_PROSE.sub(written, text)
