"""What was made of an uploaded file: taken, fixed, left out, assumed, with counts, as a list and as a download."""

import re

import pandas as pd
import streamlit as st

from app.messages import plain, told
from app.widgets.file_button import table_button
from plannerbase.report import KINDS, Report

ICONS = {"taken": ":material/check:", "fixed": ":material/build:", "left out": ":material/block:",
         "assumed": ":material/help:"}  # fmt: skip


def file_report(report: Report, name: str) -> None:
    """The report of the file `name`; open where something was left out. Nothing where there is nothing to tell."""
    if not len(report):
        return
    counts = {kind: len(report.of(kind)) for kind in KINDS}
    title = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    with st.expander(plain(f"Validation report of {name}: {title}"), expanded=bool(counts["left out"])):
        for kind in KINDS:
            for entry in report.of(kind):
                st.markdown(f"{ICONS[kind]} **{kind.capitalize()}:** {told(entry.line)}")
        stem = re.sub(r"[^\w-]+", "-", name.rsplit(".", 1)[0]).strip("-") or "file"
        table_button("Download the report", pd.DataFrame(report.rows()), f"{stem}-report.csv")
