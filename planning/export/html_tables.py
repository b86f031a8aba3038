"""Tables of the report as HTML, every text escaped, every column with the unit that its name tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape

import numpy as np
import pandas as pd

from plannerbase import formats

MAX_ROWS = 500  # of a table on the page; the CSV and GeoPackage exports hold all
LONG = 40  # rows from which a table is folded
WIDE = 9  # columns beyond which a table is set smaller on paper
_UNITS = {"mbps": "Mbit/s", "kwh": "kWh", "m": "m", "w": "W", "db": "dB"}
_SHARES = ("saving", "share", "utilisation", "busiest_station", "gap", "gap_to_bound")


def html_table(table: pd.DataFrame) -> str:
    """The first MAX_ROWS rows, folded where they are many."""
    columns = [str(c) for c in table.columns]
    head = "".join(f"<th scope='col'>{escape(_heading(c))}</th>" for c in columns)
    rows = [
        "<tr>" + "".join(f"<td>{_value(v, c)}</td>" for v, c in zip(row, columns, strict=True)) + "</tr>"
        for row in table.head(MAX_ROWS).itertuples(index=False)
    ]
    more = len(table) - MAX_ROWS
    note = (
        f"<p class='note'>{formats.number(more)} more rows in the CSV and GeoPackage exports.</p>"
        if more > 0
        else ""
    )
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    wide = " wide" if len(columns) > WIDE else ""
    whole = f"<div class='scroll{wide}'><table>{body}</table></div>{note}"
    if len(table) <= LONG:
        return whole
    return f"<details><summary>{formats.counted(len(table), 'rows')} (open to read or print)</summary>{whole}</details>"


def _is_share(column: str) -> bool:
    return (column.startswith("covered_") and column != "covered_share") or column.endswith(_SHARES)


def _is_long(value: object) -> bool:
    return isinstance(value, (list, tuple)) and len(value) > 3


def _heading(column: str) -> str:
    """ "saved_kwh" as "saved (kWh)": the unit that the end of a column's name tells."""
    words = column.split("_")
    if words[-1] == "hours" and len(words) > 1 and words[-2] == "mbps":
        return f"{' '.join(words[:-2])} (Mbit/s x h)"
    if words[-1] in _UNITS and len(words) > 1:
        return f"{' '.join(words[:-1])} ({_UNITS[words[-1]]})"
    return " ".join(words)


def turned(table: pd.DataFrame) -> str:
    """Plans as columns and their figures as rows: narrow enough for paper."""
    head = "".join(f"<th scope='col'>{escape(str(name))}</th>" for name in ["", *table.iloc[:, 0]])
    rows = "".join(
        f"<tr><td>{escape(_heading(str(column)))}</td>"
        + "".join(f"<td>{_value(v, str(column))}</td>" for v in table[column].tolist())
        + "</tr>"
        for column in table.columns[1:]
    )
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"


def _value(value: object, column: str = "") -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        if column in ("lon", "lat"):
            return formats.coordinate(float(value), 6)
        if _is_share(column):
            return formats.general(float(f"{100 * value:.4g}")) + formats.current().percent
        return formats.general(float(value))
    if isinstance(value, dict) and not any(isinstance(v, dict) or _is_long(v) for v in value.values()):
        return "; ".join(f"{escape(_heading(str(k)))}: {_value(v, str(k))}" for k, v in value.items())
    if isinstance(value, (dict, list, tuple)):
        return escape(json.dumps(value, ensure_ascii=False))
    return escape(str(value))


def facts(values: Mapping[str, object]) -> str:
    """Keys and values as two columns."""
    rows = "".join(
        f"<tr><td>{escape(_heading(str(k)))}</td><td>{_value(v, str(k))}</td></tr>" for k, v in values.items()
    )
    return f"<div class='scroll facts'><table>{rows}</table></div>"
