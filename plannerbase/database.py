"""SQLite files (GeoPackages) from strangers: judged by the structure that SQLite itself reads, and copied row by row.

A view may run for ever, a generated column may compute for hours, and a virtual table may read other files of the
machine as soon as somebody selects from it. So GDAL never sees a stranger's database: it gets a new one, written by
statements of ours, that holds the rows of plain tables and nothing else. Triggers, indexes, default values and checks
are left behind. The text of the schema is never judged: what counts is what SQLite made of it.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from plannerbase.text import Refused

MAX_TABLES, MAX_COLUMNS, MAX_ROWS = 5_000, 2_000, 20_000_000
MAX_VALUE_BYTES = 1_000_000_000  # of one value: the longest that SQLite stores
MAX_SECONDS = 600.0
ROWS_AT_ONCE = 2_000
STEPS_BETWEEN_CHECKS = 20_000  # of SQLite's machine, between two looks at the clock
MAX_GROWTH = 4  # bytes read may be this many times the file's, for pages that are used more than once
APPLICATION_ID, USER_VERSION = 0x47504B47, 10300  # "GPKG", version 1.3
# what a GeoPackage says of itself: read here, and written anew for the tables that are copied
CONTENTS, GEOMETRIES, SYSTEMS, EXTENSIONS = (
    "gpkg_contents", "gpkg_geometry_columns", "gpkg_spatial_ref_sys", "gpkg_extensions",
)  # fmt: skip
OF_THE_FORMAT = re.compile(r"(gpkg_|sqlite_|rtree_|ogr_|opendiff_)", re.IGNORECASE)
DECLARED = re.compile(r"[A-Za-z][A-Za-z0-9_ ]{0,39}(\(\s*\d{1,6}\s*(,\s*\d{1,6}\s*)?\))?")
OWN_TABLES = f"""
CREATE TABLE {SYSTEMS} (srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE {CONTENTS} (table_name TEXT PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT, description TEXT,
  last_change TEXT, min_x REAL, min_y REAL, max_x REAL, max_y REAL, srs_id INTEGER);
CREATE TABLE {GEOMETRIES} (table_name TEXT NOT NULL, column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL,
  srs_id INTEGER NOT NULL, z INTEGER NOT NULL, m INTEGER NOT NULL, PRIMARY KEY (table_name, column_name));
"""
ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_PRAGMA)
_LONG = {str, bytes}
ALLOWED_PRAGMAS = ("table_list", "table_xinfo")


@dataclass(frozen=True)
class Column:
    """A column as it is declared; key: its place in the primary key from 1, or 0."""

    name: str
    declared: str
    key: int


@dataclass(frozen=True)
class Database:
    """A database that was judged, open for reading: tables by name."""

    connection: sqlite3.Connection
    tables: dict[str, tuple[Column, ...]]
    size: int  # bytes of the file

    def rows(
        self,
        table: str,
        columns: tuple[str, ...] | None = None,
        where: tuple[str, tuple[str, ...]] | None = None,
    ) -> Iterator[tuple]:
        """The rows of a plain table, in batches of no unbounded size. where: a column and the texts that it may have.
        Raises `Refused` and sqlite3.Error."""
        names = tuple(c.name for c in self.tables[table]) if columns is None else columns
        if not set(names) <= {c.name for c in self.tables[table]}:
            raise Refused(f"lacks columns in {table!r}")
        # NOT INDEXED: no index, and so no expression of one, is looked at
        query = f"SELECT {', '.join(map(quoted, names))} FROM {quoted(table)} NOT INDEXED"
        column, texts = where or ("", ())
        if where:
            query += f" WHERE {quoted(column)} IN ({', '.join('?' * len(texts))})"
        cursor = self.connection.execute(query, texts)
        left, count = MAX_GROWTH * self.size + 1_000_000, 0
        while batch := cursor.fetchmany(ROWS_AT_ONCE):
            count += len(batch)
            left -= sum(map(_size, zip(*batch, strict=True)))
            if count > MAX_ROWS:
                raise Refused(f"holds more than {MAX_ROWS:,} rows in {table!r}")
            if left < 0:
                raise Refused("reads to more than it holds, so it is damaged")
            yield from batch


def _size(values: tuple) -> int:
    """Characters and bytes of the long values of a column, and one for each other value that is there."""
    kinds = set(map(type, values))  # mostly one kind a column, which is then counted at once
    if kinds <= _LONG:
        return sum(map(len, values))
    long = [len(value) for value in values if type(value) in _LONG] if kinds & _LONG else []
    return sum(long) + len(values) - len(long) - values.count(None)


@contextlib.contextmanager
def opened(path: str | Path, seconds: float = MAX_SECONDS) -> Iterator[Database]:
    """A database of plain tables, for reading. Raises `Refused` for anything else, also while it is read, and for what
    takes longer than `seconds`."""
    try:
        address = f"{Path(path).resolve().as_uri()}?mode=ro&immutable=1"
        size = Path(path).stat().st_size
        with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
            _limit(connection, time.monotonic() + seconds)
            yield Database(connection, _tables(connection), size)
    except (sqlite3.Error, sqlite3.Warning, OSError, ValueError, OverflowError) as error:
        if isinstance(error, Refused):
            raise
        if "interrupted" in str(error):
            raise Refused(f"takes longer than {seconds:g} seconds to read") from None
        # SQLite repeats damaged text in what it complains of
        raise Refused(f"is no readable database ({error})") from None


def check_plain(path: str | Path) -> None:
    """Raise `Refused` for a database that is more than plain tables and their spatial indexes."""
    with opened(path):
        pass


def copy_plain(source: str | Path, target: str | Path, seconds: float = MAX_SECONDS) -> None:
    """Write a new GeoPackage `target` with the rows of the plain tables of `source`. Raises `Refused`."""
    with (
        opened(source, seconds) as database,
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "temp_store=MEMORY", "locking_mode=EXCLUSIVE"):
            copy.execute(f"PRAGMA {pragma}")
        copy.execute(f"PRAGMA application_id={APPLICATION_ID}")
        copy.execute(f"PRAGMA user_version={USER_VERSION}")
        copy.executescript("BEGIN;" + OWN_TABLES)
        chosen = [name for name in database.tables if not OF_THE_FORMAT.match(name)]
        for name in chosen:
            _copy_table(database, copy, name)
        _copy_register(database, copy, {name.lower(): name for name in chosen})
        copy.execute("COMMIT")


def quoted(name: str) -> str:
    """A name as an SQL identifier. Raises `Refused` for one that cannot be."""
    if "\x00" in name or not name:
        raise Refused("has a table or column without a name")
    return '"' + name.replace('"', '""') + '"'


# --- judging -----------------------------------------------------------------------------------------------------


def _limit(connection: sqlite3.Connection, until: float) -> None:
    """Only reading, no functions, little of everything, and an end."""
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    for limit, most in (
        (sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES), (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 1_000_000),
        (sqlite3.SQLITE_LIMIT_COLUMN, MAX_COLUMNS), (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 100),
        (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 3), (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
        (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 16), (sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1),
        (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
    ):  # fmt: skip
        connection.setlimit(limit, most)
    if sys.version_info >= (3, 12):
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, False)
    connection.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_CHECKS)
    for pragma in (
        "trusted_schema=OFF",
        "cell_size_check=ON",
        "mmap_size=0",
        "query_only=ON",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")
    connection.set_authorizer(_authorised)


def _authorised(
    action: int, first: str | None, second: str | None, database: str | None, source: str | None
) -> int:
    if source is not None or action not in ALLOWED:  # source: the view or trigger that asks
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_PRAGMA and first not in ALLOWED_PRAGMAS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _tables(connection: sqlite3.Connection) -> dict[str, tuple[Column, ...]]:
    """The plain tables. Raises `Refused` where there is anything but these and spatial indexes."""
    kinds = connection.execute("SELECT type, name FROM sqlite_master").fetchmany(4 * MAX_TABLES + 1)
    if len(kinds) > 4 * MAX_TABLES:
        raise Refused(f"holds more than {MAX_TABLES:,} tables")
    # before SQLite looks closer, which prepares a statement on each of them
    for kind, name in kinds:
        if str(kind).lower() == "view":
            raise Refused(f"holds the view {name!r}, and views are not accepted")
    listed = connection.execute("PRAGMA main.table_list").fetchmany(MAX_TABLES + 1)
    if len(listed) > MAX_TABLES:
        raise Refused(f"holds more than {MAX_TABLES:,} tables")
    kind_of = {str(row[1]): str(row[2]) for row in listed if row[0] == "main"}
    if not kind_of:
        raise Refused("cannot be judged, for SQLite is older than 3.37")
    tables = {}
    for name, kind in kind_of.items():
        if kind == "view":
            raise Refused(f"holds the view {name!r}, and views are not accepted")
        if kind == "table" and name not in ("sqlite_schema", "sqlite_master"):
            tables[name] = _columns(connection, name)
    virtual = {name for name, kind in kind_of.items() if kind == "virtual"}
    # a table that SQLite could not make sense of is not listed
    written = {str(name) for kind, name in kinds if str(kind).lower() == "table"}
    unknown = (virtual | written) - set(kind_of) | virtual
    for name in sorted(unknown - _spatial_indexes(connection, tables)):
        raise Refused(f"holds the virtual table {name!r}, which is not accepted")
    return tables


def _columns(connection: sqlite3.Connection, table: str) -> tuple[Column, ...]:
    found = []
    for _, name, declared, _, _, key, hidden in connection.execute(
        f"PRAGMA main.table_xinfo({quoted(table)})"
    ):
        if hidden:
            raise Refused(f"holds the generated column {name!r} in {table!r}, and such are not accepted")
        found.append(Column(str(name), str(declared or ""), int(key)))
    return tuple(found)


def _spatial_indexes(connection: sqlite3.Connection, tables: dict[str, tuple[Column, ...]]) -> set[str]:
    """The names that R-trees have by the GeoPackage standard (annex F.3), for columns in `gpkg_extensions`."""
    if not {"table_name", "column_name", "extension_name"} <= {c.name for c in tables.get(EXTENSIONS, ())}:
        return set()
    rows = connection.execute(
        f"SELECT table_name, column_name, extension_name FROM {EXTENSIONS} NOT INDEXED"
    ).fetchmany(MAX_TABLES)
    return {f"rtree_{table}_{column}" for table, column, name in rows if name == "gpkg_rtree_index"}


# --- copying -----------------------------------------------------------------------------------------------------


def _copy_table(database: Database, copy: sqlite3.Connection, name: str) -> None:
    columns = database.tables[name]
    keys = [c for c in columns if c.key]
    number = keys[0].name if len(keys) == 1 and keys[0].declared.upper() == "INTEGER" else None

    def definition(column: Column) -> str:
        kind = column.declared if DECLARED.fullmatch(column.declared) else ""
        return f"{quoted(column.name)} {kind}" + (" PRIMARY KEY" if column.name == number else "")

    copy.execute(f"CREATE TABLE {quoted(name)} ({', '.join(map(definition, columns))})")
    places = ", ".join("?" * len(columns))
    copy.executemany(f"INSERT INTO {quoted(name)} VALUES ({places})", database.rows(name))


def _copy_register(database: Database, copy: sqlite3.Connection, chosen: dict[str, str]) -> None:
    """What the format says of the tables that were copied; chosen: their names by those in lower case."""

    def is_copied(row: dict[str, Any]) -> bool:
        return str(row.get("table_name")).lower() in chosen

    def is_layer(row: dict[str, Any]) -> bool:
        return is_copied(row) and row.get("data_type") in ("features", "attributes")

    for table, wanted in ((SYSTEMS, lambda row: True), (CONTENTS, is_layer), (GEOMETRIES, is_copied)):
        if table in database.tables:
            _copy_rows(database, copy, table, wanted)


def _copy_rows(
    database: Database, copy: sqlite3.Connection, table: str, wanted: Callable[[dict[str, Any]], bool]
) -> None:
    columns = [row[1] for row in copy.execute(f"PRAGMA table_info({table})")]
    there = tuple(c for c in columns if c in {found.name for found in database.tables[table]})
    for values in database.rows(table, there):
        if wanted(dict(zip(there, values, strict=True))):
            names, places = ", ".join(there), ", ".join("?" * len(there))
            copy.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({places})", values)
