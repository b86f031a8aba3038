"""Small tables that a user uploads or names: CSV of any encoding and delimiter."""

from __future__ import annotations

import pandas as pd

from plannerbase.delimited import read_csv
from plannerbase.guard import guarded
from planning.errors import InputError

MAX_ROWS = 1_000_000  # figures of equipment and measurements come in far fewer


@guarded(InputError)
def read_table(data: bytes, name: str, columns: str) -> pd.DataFrame:
    """The table in a CSV. columns: what it should hold, for the error. Raises InputError."""
    if not data:
        raise InputError(f"{name} is empty; give columns {columns}.")
    try:
        return read_csv(data, MAX_ROWS)
    except ValueError as error:
        raise InputError(f"{name} {error}; give columns {columns}.") from None
