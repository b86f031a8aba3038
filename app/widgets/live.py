"""The part of a page that follows the hour, run by itself: what stands above and beside it is not sent again."""

from collections.abc import Callable

import streamlit as st

from app.messages import errors_shown
from app.saved import open_work
from app.state import figures
from app.state.workspace import Workspace
from app.widgets import accessible

WHOLE = "whole run"  # set by a run of the whole script, taken by the part


def live(space: Workspace, part: Callable[[], None]) -> None:
    """Show `part`, and run it alone when one of its widgets changes.

    Everything of the page whose numbers are offered as tables belongs to `part`: a run of its own offers them anew and
    keeps the work, as a run of the script does. `part` asks for a run of the script by `st.rerun()`.
    """
    st.session_state[WHOLE] = True
    st.fragment(_run)(space, part)


def _run(space: Workspace, part: Callable[[], None]) -> None:
    alone = not st.session_state.pop(WHOLE, False)
    if alone:
        figures.begin()
        accessible.begin()
    with errors_shown("showing this page"):
        part()
        accessible.offered_tables()
    if alone:
        with errors_shown("keeping your work"):
            if open_work.keep(space) is None and open_work.changed_elsewhere(space) is not None:
                st.rerun()  # which says above the page that another tab has changed the work
