"""CSV of any encoding and delimiter, as a table."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import Any

import pandas as pd

from intake.text import Refused, decoded, encoding_of

MOST_ROWS, MOST_COLUMNS = 20_000_000, 2_000
SEPARATORS = ",;\t|"
SAMPLE_BYTES = 65_536
# a number that was written comes back as it was: pandas 3.1 does so by itself
PANDAS = tuple(int(part) for part in pd.__version__.split(".")[:2])
EXACT: dict[str, Any] = {} if PANDAS >= (3, 1) else {"float_precision": "round_trip"}


@dataclass(frozen=True)
class Dialect:
    """How a CSV is written."""

    encoding: str
    separator: str
    decimal: str


def dialect_of(data: bytes) -> Dialect:
    """The dialect of a CSV by its beginning. The separator is the one that the first line has most of; a decimal comma
    is taken where columns are not separated by commas and no number has a point."""
    head = data[:SAMPLE_BYTES]
    encoding = encoding_of(head, whole=len(data) <= SAMPLE_BYTES)
    text = head.decode(encoding, "replace")
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("# ")), "")
    separator = max(SEPARATORS, key=first.count)
    commas = separator != "," and re.search(r"\d,\d", text) and not re.search(r"\d\.\d", text)
    return Dialect(encoding, separator, "," if commas else ".")


def read_csv(data: bytes, most_rows: int = MOST_ROWS, **options: Any) -> pd.DataFrame:
    """The table in a CSV; options are those of `pandas.read_csv`. Raises ValueError, of one line: `Refused` for a table
    that is too large, or whose rows do not fit its heading (pandas would shift or cut them in silence)."""
    dialect = dialect_of(data)
    if data.count(b"\n") > 2 * most_rows + 1000:
        raise Refused(f"has more than {most_rows:,} rows")
    text = decoded(data)
    if text[:100_000].split("\n", 1)[0].count(dialect.separator) >= MOST_COLUMNS:
        raise Refused(f"has more than {MOST_COLUMNS:,} columns")
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
