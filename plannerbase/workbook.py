"""Worksheets of workbooks from strangers (.xlsx, .xlsm; macros are never looked at), as tables."""

from __future__ import annotations

import html
import io
import re
import warnings
import zipfile
from typing import Any

import pandas as pd

from plannerbase.archive import members
from plannerbase.headings import joined_headings, looks_like_headings, with_units
from plannerbase.markup import check_plain
from plannerbase.text import Refused

MAX_SHEETS = 100
MAX_EMPTY = 20_000  # rows without a value after which a sheet is taken to have ended
MAX_MERGED = 100_000  # rows of merged cells that are filled
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
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


def hidden_sheets(parts: dict[str, bytes]) -> tuple[str, ...]:
    """The names of the worksheets that a viewer does not show. parts: of `workbook_members`."""
    found = []
    for tag in re.findall(
        r"<(?:\w+:)?sheet\s[^>]*>", parts.get("xl/workbook.xml", b"").decode("utf-8", "replace")
    ):
        name = re.search(r'\sname="([^"]*)"', tag)
        if name and re.search(r'\sstate="(?:h|veryH)idden"', tag):
            found.append(html.unescape(name[1]))
    return tuple(found)


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
            for sheet in book.worksheets[:MAX_SHEETS]:
                rows = _rows(sheet, most_rows, most_columns, _spans(parts, sheet))
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


def _spans(parts: dict[str, bytes], sheet: Any) -> dict[int, list[tuple[int, int]]]:
    """Row -> (column, row that has the value) of the cells of one column that were merged downwards, from 0."""
    path = str(getattr(sheet, "_worksheet_path", "")).lstrip("/")
    spans: dict[int, list[tuple[int, int]]] = {}
    count = 0
    for match in _MERGED.finditer(parts.get(path, b"")):
        first, top, last, bottom = (part.decode() for part in match.groups())
        column = 0
        for letter in first:
            column = 26 * column + ord(letter) - ord("A") + 1
        count += int(bottom) - int(top)
        if first != last or count > MAX_MERGED:
            continue
        for row in range(int(top), int(bottom)):
            spans.setdefault(row, []).append((column - 1, int(top) - 1))
    return spans


def _rows(
    sheet: Any, most_rows: int, most_columns: int, spans: dict[int, list[tuple[int, int]]]
) -> list[list[Any]]:
    """The rows with a value; no wider than `most_columns`, for a cell far to the right costs as much as a row."""
    rows: list[list[Any]] = []
    empty = 0
    tops = {top for merged in spans.values() for _, top in merged}
    held: dict[int, tuple[Any, ...]] = {}  # rows whose values hold for rows below
    whole = sheet.iter_rows(max_row=most_rows + TITLE_ROWS, max_col=most_columns, values_only=True)
    for number, row in enumerate(whole):
        if number in tops:
            held[number] = row
        if number in spans and any(value is not None for value in row):
            row = list(row)
            for column, top in spans[number]:
                if column < min(len(row), len(held.get(top, ()))) and row[column] is None:
                    row[column] = held[top][column]
        if any(value is not None for value in row):
            rows.append([v.strip() or None if isinstance(v, str) and not v.strip() else v for v in row])
            empty = 0
        else:
            empty += 1
            if empty > MAX_EMPTY:  # formatted to the last row of the sheet
                break
    return rows


def _table(rows: list[list[Any]]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    head = _heading(rows)
    first, headings = head + 1, rows[head]
    both = joined_headings(*rows[head : head + 3]) if len(rows) > head + 2 else None
    if both is not None:
        first, headings = head + 2, [name or None for name in both]
    elif head and (both := joined_headings(*rows[head - 1 : head + 2])) is not None:
        headings = [name or None for name in both]  # the row above names groups of columns, not the table
    elif (
        len(rows) > first and (units := with_units([str(v or "") for v in headings], rows[first])) is not None
    ):
        first, headings = first + 1, [name or None for name in units]
    places = [i for i, value in enumerate(headings) if value is not None]
    body = [[row[i] if i < len(row) else None for i in places] for row in rows[first:]]
    names: list[str] = []
    for i in places:
        name = str(headings[i]).strip()
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
