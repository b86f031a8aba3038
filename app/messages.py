"""How errors reach the user: one plain sentence in the page; what a programmer needs goes to the log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from app.errors import SavedWorkError
from app.state import controls
from plannerbase import formats

log = logging.getLogger(__name__)


def sentence(error: Exception, doing: str) -> str:
    """What to tell the user about `error`, which happened while `doing` ("reading the file")."""
    if _is_ours(error):
        return str(error)
    if isinstance(error, MemoryError):
        return f"The memory ran out while {doing}; try fewer samples or a smaller area."
    log.error("Unexpected error while %s", doing, exc_info=error)
    return (
        f"Something unexpected went wrong while {doing}. Nothing made so far is lost; try again, and if it stays, "
        "send the log of the app to whoever maintains it."
    )


def plain(text: str) -> str:
    """Text of strangers for Streamlit's Markdown: no link and no picture, which the browser would fetch from afar."""
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("<", "\\<")


def told(text: str) -> str:
    """A sentence that is kept with a plan or comes with an error, for Markdown: its numbers as the session has
    them."""
    return plain(formats.sentence(text)).replace("km2", "km²")


def show_error(error: Exception, doing: str) -> None:
    st.error(told(sentence(error, doing)), icon=":material/error:")


def _is_ours(error: Exception) -> bool:
    from opendiff.errors import OpenDiffError
    from planning.errors import PlanningError

    return isinstance(error, (OpenDiffError, PlanningError, SavedWorkError))


@contextmanager
def errors_shown(doing: str) -> Iterator[None]:
    """Show whatever goes wrong in the block as one sentence in the page, and go on after it."""
    try:
        yield
    except Exception as error:
        if not _is_ours(error) and controls.put_back():
            st.rerun()
        show_error(error, doing)
