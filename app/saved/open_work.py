"""Work that a reload of the page does not lose: it is kept under a number by chance, which the address holds."""

import streamlit as st

from app.messages import errors_shown
from app.saved import library
from app.state.workspace import Workspace

PARAMETER = "work"


def come_back(space: Workspace) -> None:
    """In the first run of a session: reopen what its address names, else begin work of its own."""
    if not space.work:
        asked = st.query_params.get(PARAMETER, "")
        space.work = library.new_work()
        with errors_shown("opening the work that this address names"):
            library.forget_old_work()
            if library.is_work(asked):
                space.work = asked
                try:
                    library.reopen(asked, space)
                except Exception:
                    space.work = library.new_work()  # what cannot be read is not written over
                    raise
    if space.area is not None and st.query_params.get(PARAMETER) != space.work:
        st.query_params[PARAMETER] = space.work  # changing the page drops it


def keep(space: Workspace) -> None:
    with errors_shown("keeping your work"):
        library.keep(space)
