"""The way from one page to the next."""

from collections.abc import Sequence

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from app.map.area_entry import PLACE
from app.state.workspace import Workspace

_PAGES = "pages by title"


def begin(pages: Sequence[StreamlitPage]) -> None:
    """At the beginning of a run: these are the pages that there are."""
    st.session_state[_PAGES] = {page.title: page for page in pages}


def arrive(space: Workspace, page: StreamlitPage) -> None:
    """Note which page is open; coming to a page mounts its drawing map anew, with the area as it is now."""
    if space.page != page.title:
        space.page = page.title
        space.mount_anew()
        space.notes.pop(PLACE, None)


def next_step(title: str, label: str) -> None:
    """A button that leads to the page of this title."""
    if st.button(
        label,
        type="primary",
        icon=":material/arrow_forward:",
        icon_position="right",
        key=f"to {title}",
        width="stretch",
    ):
        st.switch_page(st.session_state[_PAGES][title])
