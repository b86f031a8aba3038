"""The pages of the app, in the order of its menu."""

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from app.views import area, compare, coverage, deployment, export, sleep, spectrum, traffic


def menu() -> list[StreamlitPage]:
    """One entry a page; `widgets.navigation` finds them by their titles."""
    return [
        st.Page(area.page, title="Area", icon=":material/map:", url_path="area", default=True),
        st.Page(traffic.page, title="Traffic", icon=":material/show_chart:", url_path="traffic"),
        st.Page(deployment.page, title="Network", icon=":material/cell_tower:", url_path="network"),
        st.Page(coverage.page, title="Coverage", icon=":material/network_cell:", url_path="coverage"),
        st.Page(sleep.page, title="Sleep", icon=":material/bedtime:", url_path="sleep"),
        st.Page(spectrum.page, title="Spectrum", icon=":material/graphic_eq:", url_path="spectrum"),
        st.Page(compare.page, title="Compare", icon=":material/compare_arrows:", url_path="compare"),
        st.Page(export.page, title="Export", icon=":material/download:", url_path="export"),
    ]
