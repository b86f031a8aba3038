"""Worksheets of workbooks from strangers (.xlsx, .xlsm; macros are never looked at), as tables."""

from __future__ import annotations

import io
import warnings
import zipfile
from typing import Any

import pandas as pd

from plannerbase.archive import members
from plannerbase.headings import looks_like_headings
from plannerbase.markup import check_plain
from plannerbase.text import Refused

MOST_SHEETS = 100
MOST_EMPTY = 20_000  # rows without a value after which a sheet is taken to have ended
TITLE_ROWS = 30  # among which the heading is looked for


def workbook_members(data: bytes, most_members: int, most_bytes: int) -> dict[str, bytes]:
    """The XML parts of a workbook, none of them with a document type. Raises `Refused`."""
    parts = members(data, (".xml", ".rels"), most_members, most_bytes)
    for part, content in parts.items():
        try:
            check_plain(content)
        except Refused as error:
            raise Refused(f"holds {part}, which {error}") from None
    return parts


def read_workbook(
    parts: dict[str, bytes], most_rows: int, most_columns: int
) -> dict[str, tuple[pd.DataFrame, tuple[str, ...]]]:
    """(table, titles above its heading) of each worksheet that has rows, by its name; parts: of `workbook_members`.
    Raises `Refused`."""
    import openpyxl  # only workbooks need it

    found = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(_only(parts), read_only=True, data_only=True)
            for sheet in book.worksheets[:MOST_SHEETS]:
                rows = _rows(sheet, most_rows, most_columns)
                if rows:
                    found[str(sheet.title)] = _table(rows)
    except Refused:
        raise
    except Exception as error:  # openpyxl raises what its parsers raise
        raise Refused(f"is no readable XLSX workbook ({type(error).__name__})") from None
    return found


def _only(parts: dict[str, bytes]) -> io.BytesIO:
    """A workbook of these members alone: none that was not looked at is left for a parser."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    made.seek(0)
    return made


def _rows(sheet: Any, most_rows: int, most_columns: int) -> list[list[Any]]:
    """The rows with a value; no wider than `most_columns`, for a cell far to the right costs as much as a row."""
    rows: list[list[Any]] = []
    empty = 0
    for row in sheet.iter_rows(max_row=most_rows + TITLE_ROWS, max_col=most_columns, values_only=True):
        if any(value is not None for value in row):
            rows.append([v.strip() or None if isinstance(v, str) and not v.strip() else v for v in row])
            empty = 0
        else:
            empty += 1
            if empty > MOST_EMPTY:  # formatted to the last row of the sheet
                break
    return rows


def _table(rows: list[list[Any]]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    head = _heading(rows)
    places = [i for i, value in enumerate(rows[head]) if value is not None]
    body = [[row[i] if i < len(row) else None for i in places] for row in rows[head + 1 :]]
    names: list[str] = []
    for i in places:
        name = str(rows[head][i]).strip()
        names.append(name if name not in names else f"{name}.{sum(n.split('.')[0] == name for n in names)}")
    titles = tuple(" ".join(str(v) for v in row if v is not None) for row in rows[:head])
    return pd.DataFrame(body, columns=names).infer_objects(), titles


def _heading(rows: list[list[Any]]) -> int:
    """The row of the headings: the first, unless the rows below are much wider and one of them holds no number."""
    widths = [sum(value is not None for value in row) for row in rows[: 2 * TITLE_ROWS]]
    below = sorted(widths[1:])
    if len(below) < 2:
        return 0
    usual = below[len(below) // 2]
    if usual < 2 or widths[0] > 0.5 * usual:
        return 0
    for i, width in enumerate(widths[:TITLE_ROWS]):
        if width > 0.6 * usual and looks_like_headings(rows[i]):
            return i
    return 0
