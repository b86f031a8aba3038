"""Databases made to harm whoever reads them: they read other files, or compute for ever."""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from contextlib import closing
from pathlib import Path

from benchmarks.robustness import corpus, saved_corpus
from benchmarks.robustness.hostile_kinds import Hostile, Make

LETTERS, PATTERN = "a" * 120, "%a" * 8 + "%b"  # LIKE tries some 120 ** 8 ways
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS fid, i AS site FROM n"


def _tables() -> bytes:
    return corpus.networks("gpkg")[0]


def _with_sql(data: bytes, *statements: str | tuple) -> bytes:
    """A database after these statements; ("schema", type, name, SQL) writes the schema itself, as SQLite would not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.gpkg")
        path.write_bytes(data)
        with closing(sqlite3.connect(path)) as database, database:
            database.create_function("ST_IsEmpty", 1, lambda value: 0)
            for name in ("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
                database.create_function(name, 1, lambda value: 0.0)
            database.execute("PRAGMA writable_schema=ON")
            for statement in statements:
                if isinstance(statement, tuple):
                    _, kind, name, sql = statement
                    database.execute(
                        "INSERT INTO sqlite_master VALUES (?, ?, ?, 0, ?)", (kind, name, name, sql)
                    )
                else:
                    database.execute(statement)
        return path.read_bytes()


def _attributes(name: str) -> str:
    """SQL that tells GDAL of a table without geometry."""
    return (
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change) "
        f"VALUES ('{name}', 'attributes', '{name}', '2026-01-01T00:00:00.000Z')"
    )


def _other_file(kind: str, create: str, with_view: bool = False) -> Make:
    """A virtual table of SpatiaLite over a file of the server and, where asked for, a view of it and a box around that,
    as sites."""

    def make(secret: Path, megabytes: int) -> bytes:
        sql = create.format(module=f"VirtualText('{secret}', 'UTF-8', 0, POINT, NONE, ',')")
        if not with_view:
            return _with_sql(_tables(), ("schema", kind, "evil", sql), _attributes("evil"))
        view = "CREATE VIEW seen AS SELECT rowid AS fid, COL001 AS site, 115.9 AS lon, 28.6 AS lat FROM evil"
        box = "CREATE/**/VIRTUAL TABLE boxed USING VirtualBBox(seen, lon, lat, lon, lat)"
        return _with_sql(
            _tables(), ("schema", kind, "evil", sql), ("schema", "VIEW", "seen", view),
            ("schema", "table", "boxed", box),
            _attributes("evil"), _attributes("seen"), _attributes("boxed"),
        )  # fmt: skip

    return make


def _column(expression: str, rows: int = 1) -> Make:
    """A table of sites with a generated column."""

    def make(secret: Path, megabytes: int) -> bytes:
        value = expression.format(bytes=megabytes * 1_000_000, secret=secret)
        columns = f"fid INTEGER PRIMARY KEY, a TEXT, lon REAL, lat REAL, site TEXT AS ({value}) VIRTUAL"
        table = f"CREATE TABLE made ({columns})"
        fill = f"INSERT INTO made (a, lon, lat) VALUES ('{LETTERS}', 115.9, 28.6)"
        return _with_sql(_tables(), table, *[fill] * rows, _attributes("made"))

    return make


def _sql(*statements: str | tuple) -> Make:
    return lambda secret, megabytes: _with_sql(_tables(), *statements)


def _shared_pages(key: str, levels: int = 5) -> Make:
    """A table of a few pages that read as 10 ** 9 rows, for all that an inner page names is the one page below."""

    def make(secret: Path, megabytes: int) -> bytes:
        rows = ", ".join(["('site', 115.9, 28.6)"] * 10)
        data = _with_sql(
            _tables(), f"CREATE TABLE many (fid INTEGER {key}, site TEXT, lon REAL, lat REAL)",
            f"INSERT INTO many (site, lon, lat) VALUES {rows}", _attributes("many"),
        )  # fmt: skip
        with closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(data)
            (root,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'many'").fetchone()
        size = struct.unpack(">H", data[16:18])[0]
        pages = [data[start : start + size] for start in range(0, len(data), size)]
        pages.append(pages[root - 1])
        for _ in range(levels):
            pages.append(_inner_page(len(pages), size))
        pages[root - 1] = _inner_page(len(pages), size)
        pages[0] = pages[0][:28] + struct.pack(">I", len(pages)) + pages[0][32:]
        return b"".join(pages)

    return make


def _inner_page(below: int, size: int, cells: int = 100) -> bytes:
    """A page of a table's tree, all of whose children are the page `below`."""
    cell = struct.pack(">IB", below, 1)
    starts = [size - len(cell) * (i + 1) for i in range(cells)]
    head = struct.pack(">BHHHBI", 5, 0, cells, starts[-1], 0, below) + struct.pack(f">{cells}H", *starts)
    return head + bytes(starts[-1] - len(head)) + cell * cells


def _grid_shift(secret: Path, megabytes: int) -> bytes:
    """A reference system whose definition names a file."""
    wkt = (
        'GEOGCS["a",DATUM["b",SPHEROID["c",6378137,298.25]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433],'
        f'EXTENSION["PROJ4","+proj=longlat +ellps=WGS84 +nadgrids={secret} +no_defs"]]'
    )
    return _with_sql(
        corpus.gpkg_areas()[0], f"UPDATE gpkg_spatial_ref_sys SET definition = '{wkt}' WHERE srs_id = 4326"
    )


LIKE = f"a LIKE '{PATTERN}'"
DATABASES: dict[str, Hostile] = {
    **{
        f"virtual table: {name}": Hostile("a.gpkg", "sites", _other_file(kind, create))
        for name, kind, create in (
            ("comment", "table", "CREATE/**/VIRTUAL TABLE evil USING {module}"),
            ("line comment", "table", "CREATE--\nVIRTUAL--\nTABLE evil USING {module}"),
            ("white space", "table", "CREATE\t\f\nVIRTUAL\r TABLE\tevil\nUSING\t{module}"),
            ("name of an index", "table", 'CREATE VIRTUAL TABLE evil /* "a using rtree" */ USING {module}'),
            ("quoted", "table", "CREATE VIRTUAL TABLE [evil] USING {module}"),
            ("type in capitals", "TABLE", "create virtual table if not exists evil using {module}"),
            ("type of an index", "index", "CREATE VIRTUAL TABLE evil USING {module}"),
        )
    },
    "virtual table: with a view of it": Hostile(
        "a.gpkg", "sites", _other_file("table", "CREATE/**/VIRTUAL TABLE evil USING {module}", with_view=True)
    ),
    "virtual table: named a using rtree": Hostile("a.gpkg", "sites", lambda secret, mb: _with_sql(
        _tables(), ("schema", "table", "a using rtree", 'CREATE VIRTUAL TABLE "a using rtree" USING '
                    f"VirtualText('{secret}', 'UTF-8', 0)"), _attributes("a using rtree"))),
    "virtual table: under the name of a spatial index": Hostile("a.gpkg", "sites", lambda secret, mb: _with_sql(
        _tables(), "DROP TABLE rtree_sites_geom",
        ("schema", "table", "rtree_sites_geom", f"CREATE VIRTUAL TABLE rtree_sites_geom USING VirtualText('{secret}')"),
        _attributes("rtree_sites_geom")), harmless=True),
    "virtual table: statistics of pages": Hostile("a.gpkg", "sites", _sql(
        ("schema", "table", "d", "CREATE VIRTUAL TABLE d USING dbstat"), _attributes("d"))),
    "virtual table: text index": Hostile("a.gpkg", "sites", _sql(
        ("schema", "table", "f", "CREATE VIRTUAL TABLE f USING fts5(site, lon, lat, content='sites')"),
        _attributes("f"))),
    "virtual table: area": Hostile("a.gpkg", "area", lambda secret, mb: _with_sql(
        corpus.gpkg_areas()[0],
        ("schema", "table", "evil", f"CREATE/**/VIRTUAL TABLE evil USING VirtualOGR('{secret}')"))),
    "virtual table: scenario": Hostile("a.gpkg", "scenario", lambda secret, mb: _with_sql(
        saved_corpus.scenario_files()[0],
        ("schema", "table", "evil", f"CREATE/**/VIRTUAL TABLE evil USING VirtualText('{secret}')"))),
    "virtual table: places": Hostile("a.gpkg", "extract", lambda secret, mb: _with_sql(
        corpus.place_gpkgs()[0],
        ("schema", "table", "evil", f"CREATE/**/VIRTUAL TABLE evil USING VirtualText('{secret}')"))),
    "view: endless, in capitals": Hostile("a.gpkg", "sites", _sql(
        ("schema", "VIEW", "v", f"CREATE VIEW v AS {ENDLESS}"), _attributes("v"))),
    "view: endless, as a table": Hostile("a.gpkg", "sites", _sql(
        ("schema", "table", "v", f"CREATE/**/VIEW v AS {ENDLESS}"), _attributes("v"))),
    "view: endless, temporary": Hostile("a.gpkg", "sites", _sql(
        ("schema", "view", "v", f"CREATE TEMP VIEW v AS {ENDLESS}"), _attributes("v"))),
    "generated column: LIKE": Hostile("a.gpkg", "sites", _column(LIKE)),
    "generated column: GLOB": Hostile("a.gpkg", "sites", _column(f"a GLOB '{PATTERN.replace('%', '*')}'")),
    "generated column: zeroblob": Hostile("a.gpkg", "sites", _column("hex(zeroblob({bytes}))", 5)),
    "generated column: printf": Hostile("a.gpkg", "sites", _column("printf('%{bytes}s', a)", 5)),
    "generated column: replace": Hostile("a.gpkg", "sites", _column("replace(hex(zeroblob(9999)), '0', a)", 5)),
    "generated column: scenario": Hostile("a.gpkg", "scenario", _sql(
        f"CREATE TABLE opendiff_parts (part TEXT, a TEXT, data BLOB AS ({LIKE}))",
        f"INSERT INTO opendiff_parts VALUES ('state.json', '{LETTERS}')")),
    "generated column: statistics": Hostile("a.gpkg", "sites", _sql(
        ("schema", "table", "sqlite_stat1", f"CREATE TABLE sqlite_stat1(tbl, idx, a, stat AS ({LIKE}))"))),
    "index: expression": Hostile("a.gpkg", "sites", _sql(
        "CREATE TABLE i (fid INTEGER PRIMARY KEY, site TEXT, a TEXT)",
        "CREATE INDEX j ON i (lower(hex(a))) WHERE length(a) > 3", _attributes("i")), harmless=True),
    "check and default": Hostile("a.gpkg", "sites", _sql(
        "CREATE TABLE c (fid INTEGER PRIMARY KEY, a TEXT, site TEXT DEFAULT (hex(zeroblob(99999999))), "
        f"CHECK ({LIKE}))",
        _attributes("c")), harmless=True),
    "trigger": Hostile("a.gpkg", "sites", _sql(
        "CREATE TRIGGER t AFTER INSERT ON sites BEGIN INSERT INTO sites (site) SELECT site FROM sites; END"),
        harmless=True),
    "pages used twice": Hostile("a.gpkg", "sites", _shared_pages("PRIMARY KEY")),
    "pages used twice, without a key": Hostile("a.gpkg", "sites", _shared_pages("")),
    "reference system that names a file": Hostile("a.gpkg", "area", _grid_shift, harmless=True),
}  # fmt: skip
