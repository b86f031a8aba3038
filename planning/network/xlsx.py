"""XLSX workbooks of plain tables, written and read back as the XML they are: ten times as fast as a cell library."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any
from xml.sax.saxutils import escape, quoteattr, unescape

import pandas as pd

from planning.xml_text import without_controls

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
MAX_TEXT = 32_767  # characters that a cell holds
_OPEN, _CLOSE = f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData><row>', "</row></sheetData></worksheet>"
_SHEET = re.compile(r'<sheet name="([^"]*)"')
_CELL = re.compile(r'<c(?: t="(b|inlineStr)")?(?:/>|>(?:<v>|<is><t xml:space="preserve">)([^<]*)</)')


def workbook_bytes(tables: dict[str, pd.DataFrame]) -> bytes:
    """A workbook with a sheet a table: a row of headings, numbers with every digit, text as inline strings."""
    buffer = io.BytesIO()
    numbers = range(1, len(tables) + 1)
    sheets = "".join(
        f'<sheet name={quoteattr(name[:31])} sheetId="{i}" r:id="rId{i}"/>'
        for i, name in zip(numbers, tables, strict=True)
    )
    links = "".join(
        f'<Relationship Id="rId{i}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{i}.xml"/>'
        for i in numbers
    )
    kinds = "".join(
        f'<Override PartName="/xl/worksheets/sheet{i}.xml" ContentType="{_TYPE}.worksheet+xml"/>'
        for i in numbers
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
        f'ContentType="{_TYPE}.sheet.main+xml"/>{kinds}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{sheets}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{links}</Relationships>',
    }
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        for path, content in parts.items():
            archive.writestr(path, _HEAD + content)
        for i, table in zip(numbers, tables.values(), strict=True):
            archive.writestr(f"xl/worksheets/sheet{i}.xml", _sheet(table))
    return buffer.getvalue()


def _sheet(table: pd.DataFrame) -> str:
    columns = [_cells(table[column].tolist()) for column in table]
    head = "".join(map(_text, table.columns))
    rows = map("".join, zip(*columns, strict=True))
    body = "</row><row>".join([head, *rows])
    return _OPEN + body + _CLOSE


def _cells(values: list[object]) -> list[str]:
    """Cells of a column; equal texts are made once."""
    made: dict[object, str] = {}

    def cell(value: object) -> str:
        if isinstance(value, bool):
            return f'<c t="b"><v>{int(value)}</v></c>'
        if isinstance(value, (int, float)):
            return f"<c><v>{value!r}</v></c>" if value - value == 0 else "<c/>"  # neither NaN nor infinite
        if value is None or value is pd.NA:
            return "<c/>"
        if value not in made:
            made[value] = _text(value)
        return made[value]

    return [cell(value) for value in values]


def _text(value: object) -> str:
    text = escape(without_controls(value)[:MAX_TEXT])
    return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def own_tables(members: dict[str, bytes]) -> dict[str, pd.DataFrame] | None:
    """Tables of a workbook that `workbook_bytes` made, from its unpacked members; None for any other workbook."""
    names = [
        unescape(name, {"&quot;": '"'})
        for name in _SHEET.findall(members.get("xl/workbook.xml", b"").decode("utf-8", "replace"))
    ]
    tables = {}
    for number, name in enumerate(names, 1):
        text = members.get(f"xl/worksheets/sheet{number}.xml", b"").decode("utf-8", "replace")
        if not (text.startswith(_OPEN) and text.endswith(_CLOSE)):
            return None
        width = text.count("<c", 0, text.index("</row>"))
        cells = _CELL.findall(text)
        if not width or len(cells) % width or len(cells) // width != text.count("</row>"):
            return None
        columns = [cells[k::width] for k in range(width)]
        tables[name] = pd.DataFrame({unescape(head[1]): _values(rest) for head, *rest in columns})
    return tables or None


def _values(cells: list[tuple[str, str]]) -> list[Any]:
    """Numbers, texts, True and False, and None; a column of numbers alone with NaN for None."""
    kinds = {kind for kind, _ in cells}
    try:
        if kinds <= {""}:
            whole = not any(set(text) & set(".en") or not text for _, text in cells)
            return [int(text) if whole else float(text or "nan") for _, text in cells]
        made: dict[tuple[str, str], object] = {}
        for cell in set(cells):
            kind, text = cell
            made[cell] = (
                text == "1" if kind == "b" else unescape(text) if kind else float(text) if text else None
            )
        return [made[cell] for cell in cells]
    except ValueError:
        return [text for _, text in cells]
