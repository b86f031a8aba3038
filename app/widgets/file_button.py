"""Buttons for files: those that are written when they are asked for, and small tables."""

from collections.abc import Callable
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from app.server import audit
from app.state.workspace import workspace

# Streamlit disables the button while its file is being made, and a run of the page then might lose the file: so the
# browser alone shows what stands behind such a button
STYLE = """<style>
[data-testid="stElementContainer"]:has(> .stHtml > .writing) { display: none; }
[data-testid="stElementContainer"]:has(.stDownloadButton button:disabled)
  + [data-testid="stElementContainer"]:has(> .stHtml > .writing) { display: block; }
.writing { font-size: 0.8rem; opacity: 0.8; margin: 0; }
</style>"""


def file_button(
    where: Any,
    label: str,
    make: Callable[[], bytes],
    filename: str,
    mime: str,
    what: str,
    primary: bool = False,
    disabled: bool = False,
    holds: str = "",
) -> None:
    """A button that writes and downloads a file; while it is being written, it says so.

    where: a column or the page. make: the bytes. what: how much goes into the file, as "2,500 tiles, 60 sites". holds:
    what is in it, told below the button.
    """
    with where.container(gap="xsmall"):
        st.download_button(
            label,
            exported(make, filename),
            filename,
            mime,
            on_click="ignore",
            type="primary" if primary else "secondary",
            icon=":material/download:",
            width="stretch",
            disabled=disabled,
        )
        st.html(f'<p class="writing" role="status">Writing {escape(label)}: {escape(what)}.</p>')
        if holds:
            st.caption(holds)


def table_button(label: str, table: pd.DataFrame, filename: str) -> None:
    """A button that downloads a table that is shown, as CSV (UTF-8)."""
    make = exported(lambda: table.to_csv(index=False).encode(), filename)
    st.download_button(label, make, filename, "text/csv", on_click="ignore")


def exported(make: Callable[[], bytes], filename: str) -> Callable[[], bytes]:
    """`make`, which the audit log notes when the file is asked for."""
    return audit.logged(make, "exported", workspace().work, file=filename)
