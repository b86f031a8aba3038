"""CSV of any encoding and delimiter, as a table."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import Any

import pandas as pd

from plannerbase.headings import joined_headings, looks_like_headings, with_units
from plannerbase.text import Refused, decoded, encoding_of

MAX_ROWS, MAX_COLUMNS = 20_000_000, 2_000
SEPARATORS = ",;\t|"
SAMPLE_BYTES = 65_536
_LINES = re.compile(r"\r\n|\n|\r")
SAMPLE_LINES = 60  # among which the heading is looked for
# a number that was written comes back as it was: pandas 3.1 does so by itself
PANDAS = tuple(int(part) for part in pd.__version__.split(".")[:2])
EXACT: dict[str, Any] = {} if PANDAS >= (3, 1) else {"float_precision": "round_trip"}


@dataclass(frozen=True)
class Dialect:
    """How a CSV is written. skip: lines above its heading; titles: of them, those with text."""

    encoding: str
    separator: str
    decimal: str
    skip: int = 0
    titles: tuple[str, ...] = ()


def dialect_of(data: bytes) -> Dialect:
    """The dialect of a CSV by its beginning. The separator is the one that the heading has most of, or that a first
    line `sep=;` states, as Excel writes it; a decimal comma is taken where columns are not separated by commas and no
    number has a point."""
    head = data[:SAMPLE_BYTES]
    encoding = encoding_of(head, whole=len(data) <= SAMPLE_BYTES)
    text = head.decode(encoding, "replace")
    lines = [line.removeprefix("\ufeff") for line in _LINES.split(text)]
    filled = [i for i, line in enumerate(lines) if line.strip() and not line.startswith("# ")]
    first = filled[0] if filled else 0
    stated = re.fullmatch(r'"?sep=(.)"?[,;\s]*', lines[first], re.I) if filled else None
    titles: tuple[str, ...] = ()
    if stated and len(filled) > 1:
        separator, skip = stated[1], first + 1
        if stated[1] not in SEPARATORS:
            raise Refused(f"says that {stated[1]!r} separates its columns, which is not accepted")
    else:
        separator, skip, titles = _heading(lines, filled)
    commas = separator != "," and re.search(r"\d,\d", text) and not re.search(r"\d\.\d", text)
    return Dialect(encoding, separator, "," if commas else ".", skip, titles)


def _heading(lines: list[str], filled: list[int]) -> tuple[str, int, tuple[str, ...]]:
    """(separator, lines above the heading, those of them with text). The first line is the heading unless the rows
    below are much wider, and one of them that holds no number fits them."""
    first = lines[filled[0]] if filled else ""
    separator = max(SEPARATORS, key=first.count)
    below = filled[1:SAMPLE_LINES]
    if len(below) < 2:
        return separator, 0, ()
    for candidate in sorted(SEPARATORS, key=lambda s: s != separator):
        widths = {i: _filled_cells(lines[i], candidate) for i in filled[:SAMPLE_LINES]}
        usual = sorted(widths[i] for i in below)[len(below) // 2]
        if usual < 2 or widths[filled[0]] > 0.5 * usual:
            if candidate == separator and widths[filled[0]] >= 2:
                return separator, 0, ()
            continue
        for i in below:
            if widths[i] > 0.6 * usual and looks_like_headings(lines[i].split(candidate)):
                titles = tuple(lines[k].strip(" " + SEPARATORS) for k in filled if k < i)
                return candidate, i, titles
    return separator, 0, ()


def second_headings(data: bytes, dialect: Dialect) -> tuple[list[str], int] | None:
    """(names of the columns, lines below the first one that they take) where the headings take two lines, as groups of
    columns or with a line of units; else None."""
    text = data[:SAMPLE_BYTES].decode(dialect.encoding, "replace").removeprefix("\ufeff")
    lines = _LINES.split(text)[max(dialect.skip - 1, 0) : dialect.skip + 3]
    if '"' in "".join(lines):
        return None
    cells = [line.split(dialect.separator) for line in lines]
    above = cells.pop(0) if dialect.skip else []
    if len(cells) < 3:
        return None
    width = len(cells[0])
    if width == len(cells[1]) == len(cells[2]):
        if (names := joined_headings(*cells)) is not None:
            return names, 1
        if (names := with_units([name.strip() for name in cells[0]], cells[1])) is not None:
            return names, 1
    if (
        len(above) == width == len(cells[1])
        and (names := joined_headings(above, cells[0], cells[1])) is not None
    ):
        return names, 0
    return None


def _filled_cells(line: str, separator: str) -> int:
    return sum(bool(cell.strip().strip('"')) for cell in line.split(separator))


def read_csv(
    data: bytes, most_rows: int = MAX_ROWS, dialect: Dialect | None = None, **options: Any
) -> pd.DataFrame:
    """The table in a CSV; dialect: by default `dialect_of` it; options are those of `pandas.read_csv`. Raises
    ValueError, of one line: `Refused` for a table
    that is too large, or whose rows do not fit its heading (pandas would shift or cut them in silence)."""
    dialect = dialect or dialect_of(data)
    if data.count(b"\n") > 2 * most_rows + 1000:
        raise Refused(f"has more than {most_rows:,} rows")
    text = _LINES.split(decoded(data), maxsplit=dialect.skip)[-1] if dialect.skip else decoded(data)
    if text[:100_000].split("\n", 1)[0].count(dialect.separator) >= MAX_COLUMNS:
        raise Refused(f"has more than {MAX_COLUMNS:,} columns")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                io.StringIO(text.removeprefix("\ufeff")), sep=dialect.separator, decimal=dialect.decimal,
                skipinitialspace=True, index_col=False, low_memory=False, nrows=most_rows + 1,
                **EXACT, **options,
            )  # fmt: skip
    except pd.errors.ParserWarning:
        raise Refused("has rows that are longer than its heading") from None
    except (ValueError, OverflowError) as error:
        raise Refused(f"is no readable CSV ({' '.join(str(error).split())})") from None
    if len(table) > most_rows:
        raise Refused(f"has more than {most_rows:,} rows")
    return table.rename(columns=lambda name: name.strip() if isinstance(name, str) else name)
