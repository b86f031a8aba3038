"""SQLite files (GeoPackages) from strangers: plain tables only.

A view may run for ever, and a virtual table may read other files of the machine as soon as somebody selects from it.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path

from intake.text import Refused

VIRTUAL = re.compile(r"create\s+virtual\s+table\b.*?\busing\s+(\w+)", re.IGNORECASE | re.DOTALL)
HARMLESS = ("rtree", "fts3", "fts4", "fts5")  # indexes, which GDAL and QGIS make
MOST_OBJECTS = 5_000


def check_plain(path: str | Path) -> None:
    """Raise `Refused` for a database with views, or with virtual tables that are no index, or that cannot be read."""
    try:
        address = f"{Path(path).resolve().as_uri()}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
            database.text_factory = lambda text: text.decode("utf-8", "replace")
            rows = database.execute("SELECT type, name, sql FROM sqlite_master").fetchmany(MOST_OBJECTS + 1)
    except (sqlite3.Error, OSError, ValueError) as error:
        # SQLite repeats damaged text in what it complains of
        raise Refused(f"is no readable database ({error})") from None
    if len(rows) > MOST_OBJECTS:
        raise Refused(f"holds more than {MOST_OBJECTS:,} tables")
    for kind, name, sql in rows:
        if kind == "view":
            raise Refused(f"holds the view {name!r}, and views are not accepted")
        found = VIRTUAL.match(str(sql or "").strip())
        if found and found[1].lower() not in HARMLESS:
            raise Refused(f"holds the virtual table {name!r}, which is not accepted")
