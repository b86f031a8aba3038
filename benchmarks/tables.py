"""Tables as Markdown, which also reads well on a terminal."""

from __future__ import annotations

import pandas as pd


def markdown(frame: pd.DataFrame, formats: dict[str, str]) -> str:
    """The rows of a frame; `formats` gives the heading's format of numbers, an empty cell stands for NaN."""
    rows = [[*map(str, frame.columns)]]
    for values in frame.itertuples(index=False):
        rows.append([_cell(v, formats.get(c, "")) for c, v in zip(frame.columns, values, strict=True)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numeric = [pd.api.types.is_numeric_dtype(frame[column]) for column in frame.columns]
    lines = [
        "| "
        + " | ".join(t.rjust(w) if n else t.ljust(w) for t, w, n in zip(row, widths, numeric, strict=True))
        + " |"
        for row in rows
    ]
    rule = [("-" * (w - 1) + ":") if n else "-" * w for w, n in zip(widths, numeric, strict=True)]
    return "\n".join([lines[0], "| " + " | ".join(rule) + " |", *lines[1:]])


def _cell(value, style: str) -> str:
    if isinstance(value, str):
        return value
    return "" if pd.isna(value) else format(value, style)
