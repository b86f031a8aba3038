"""The pages and the way from one to the next."""

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from app.state.workspace import Workspace


def pages() -> list[StreamlitPage]:
    """The pages in the order of the menu."""
    from app.views import area, compare, deployment, export, sleep, spectrum, traffic

    return [
        st.Page(area.page, title="Area", icon=":material/map:", url_path="area", default=True),
        st.Page(traffic.page, title="Traffic", icon=":material/show_chart:", url_path="traffic"),
        st.Page(sleep.page, title="Sleep", icon=":material/bedtime:", url_path="sleep"),
        st.Page(spectrum.page, title="Spectrum", icon=":material/graphic_eq:", url_path="spectrum"),
        st.Page(deployment.page, title="Deployment", icon=":material/cell_tower:", url_path="deployment"),
        st.Page(compare.page, title="Compare", icon=":material/compare_arrows:", url_path="compare"),
        st.Page(export.page, title="Export", icon=":material/download:", url_path="export"),
    ]


def arrive(space: Workspace, page: StreamlitPage) -> None:
    """Note which page is open; coming to a page mounts its drawing map anew, with the area as it is now."""
    if space.page != page.title:
        space.page = page.title
        space.map_version += 1
        space.notes.pop("area", None)


def go(title: str) -> None:
    st.switch_page(next(page for page in pages() if page.title == title))


def next_step(title: str, label: str, primary: bool = True) -> None:
    """A button that leads to another page."""
    if st.button(
        label,
        type="primary" if primary else "secondary",
        icon=":material/arrow_forward:",
        icon_position="right",
        key=f"to {title}",
        width="stretch",
    ):
        go(title)
