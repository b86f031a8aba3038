"""How this session writes numbers and dates: as its user chose, else as the browser's language has them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import streamlit as st

from app.state import controls
from plannerbase import formats

KEY = "figures style"  # of the control; its value is a key of `formats.STYLES`, or BROWSER
BROWSER = ""


def begin() -> None:
    """At the beginning of a run of the script, and of a fragment: figures are written in the style of the session."""
    formats.use(style())


def style() -> str:
    """The key of `formats.STYLES` that holds in this session."""
    chosen = controls.value(KEY)
    return chosen if isinstance(chosen, str) and chosen in formats.STYLES else of_browser()


def of_browser() -> str:
    """The style that is closest to the language of the browser."""
    return formats.closest(st.context.locale)


def local_time(seconds: float) -> str:
    """A time (seconds since the epoch) as day and time of day to the second, where the browser is."""
    try:
        zone: ZoneInfo | None = ZoneInfo(st.context.timezone or "")
    except (ValueError, OSError, KeyError):  # none is known, or none by this name: that of the server
        zone = None
    return formats.moment(datetime.fromtimestamp(seconds, UTC).astimezone(zone))
