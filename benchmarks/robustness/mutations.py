"""Damage to valid files, as files are damaged in life and as an attacker would: bytes, numbers, and the structure
inside archives, JSON, tables, databases and workbooks."""

from __future__ import annotations

import io
import sqlite3
import stat
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.robustness.array_mutations import Rng, mutated_array
from benchmarks.robustness.text_mutations import mutated_bytes, mutated_csv, mutated_json, mutated_xml


def mutated(data: bytes, kind: str, rng: Rng, others: tuple[bytes, ...] = ()) -> bytes:
    """`data`, a file of a kind ("json", "zip", "csv", "parquet", "sqlite", "xml", "bytes"), damaged in 1 to 3 ways."""
    warnings.simplefilter("ignore", UserWarning)  # zipfile grumbles about names that are there twice
    for _ in range(int(rng.integers(1, 4))):
        structured = STRUCTURED.get(kind)
        if structured and rng.random() < 0.65:
            try:
                data = structured(data, rng)
                continue
            except Exception:  # what is damaged already has no structure; its bytes have
                pass
        data = mutated_bytes(data, rng, others)
    return data


def _parquet(data: bytes, rng: Rng) -> bytes:
    table = pq.read_table(io.BytesIO(data))
    index = int(rng.integers(table.num_columns))
    name, column = table.column_names[index], table.column(index)
    way = int(rng.integers(9))
    if way == 0:
        table = table.remove_column(index)
    elif way == 1:
        kinds = (
            pa.string(),
            pa.float64(),
            pa.int64(),
            pa.float16(),
            pa.int8(),
            pa.bool_(),
            pa.binary(),
            pa.decimal128(38, 3),
        )
        table = table.set_column(index, name, column.cast(kinds[int(rng.integers(len(kinds)))], safe=False))
    elif way == 2:  # some values that are none
        values = column.to_numpy(zero_copy_only=False).astype(float)
        bad = float(rng.choice([np.nan, np.inf, -1, 1e30, -0.5, 1e300, 0]))
        values[rng.random(len(values)) < rng.choice([0.01, 0.5, 1])] = bad
        table = table.set_column(index, name, pa.array(values, from_pandas=bool(rng.random() < 0.3)))
    elif way == 3:
        table = table.filter(pa.array(rng.random(table.num_rows) < rng.choice([0, 0.5, 0.99])))
    elif way == 4:
        table = pa.concat_tables([table, table.slice(0, int(rng.integers(1, 50)))])
    elif way == 5:
        table = table.take(pa.array(rng.permutation(table.num_rows)))
    elif way == 6:  # a column twice
        table = table.append_column(name, column)
    elif way == 7:
        table = table.set_column(
            index, name, pa.array([[1]] * table.num_rows) if rng.random() < 0.5 else pa.nulls(table.num_rows)
        )
    else:
        stored = dict(table.schema.metadata or {b"opendiff": b"{}"})
        key = sorted(stored)[int(rng.integers(len(stored)))]
        stored[key] = (
            mutated_json(stored[key], rng) if rng.random() < 0.7 else mutated_bytes(stored[key], rng, ())
        )
        table = table.replace_schema_metadata(stored)
    out = io.BytesIO()
    pq.write_table(table, out, compression=str(rng.choice(["none", "snappy", "zstd"])))
    return out.getvalue()


def _zip(data: bytes, rng: Rng) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    which = int(rng.integers(len(members)))
    name, content = members[which]
    link, method = False, zipfile.ZIP_DEFLATED
    way = int(rng.integers(10))
    if way == 0:
        del members[which]
    elif way == 1:
        evil = (
            "../evil",
            "/etc/evil",
            "C:\\evil",
            "a/../../evil",
            "\x00",
            "e" * 300,
            "ünïcode",
            "con",
            name.upper(),
        )
        members[which] = (evil[int(rng.integers(len(evil)))] + Path(name).suffix, content)
    elif way == 2:
        members.append((name, content))
    elif way == 3:
        link = True
    elif way == 4:
        method = int(rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]))
    elif way == 5:
        members += [(f"{i}{Path(name).suffix}", b"x") for i in range(int(rng.choice([3, 150])))]
    elif way == 6:  # an archive inside, under the name of what is expected
        members[which] = (name, data)
    elif way == 7:  # a member of nothing, which packs to almost nothing
        members[which] = (name, content[: len(content) // 2] + bytes(int(rng.choice([2, 30]) * 1_000_000)))
    else:
        members[which] = (name, mutated(content, kind_of(name), rng))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for member, content in members:
            info = zipfile.ZipInfo(member.replace("\x00", "\\0"))
            info.compress_type = method
            if link and member == name:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, content)
    made = out.getvalue()
    if rng.random() < 0.1:  # a heading that lies about the size
        at = made.rfind(b"PK\x01\x02") + 24
        made = made[:at] + struct.pack("<I", int(rng.choice([0, 1, 2**31, 2**32 - 1]))) + made[at + 4 :]
    return made


def _sqlite(data: bytes, rng: Rng) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.gpkg")
        path.write_bytes(data)
        base = sqlite3.connect(path)
        try:
            base.execute("PRAGMA trusted_schema=OFF")
            base.execute("PRAGMA synchronous=OFF")
            tables = [row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            own = [name for name in tables if not name.startswith(("sqlite_", "rtree_"))]
            chosen = own if rng.random() < 0.7 else tables
            name = chosen[int(rng.integers(len(chosen)))]
            for (trigger,) in base.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
                base.execute(f'DROP TRIGGER "{trigger}"')
            columns = [row[1] for row in base.execute(f'PRAGMA table_info("{name}")')]
            column = columns[int(rng.integers(len(columns)))]
            way = int(rng.integers(8))
            some = f"WHERE rowid % {int(rng.integers(1, 4))} = 0"
            if way == 0:
                base.execute(f'DELETE FROM "{name}" {some}')
            elif way == 1:
                base.execute(f'ALTER TABLE "{name}" DROP COLUMN "{column}"')
            elif way == 2:
                base.execute(f'ALTER TABLE "{name}" RENAME COLUMN "{column}" TO "other"')
            elif way == 3:
                base.execute(f'DROP TABLE "{name}"')
            elif way > 5:
                _write_schema(base, name, rng)
            else:
                values: tuple[Any, ...] = (
                    None,
                    -1,
                    0,
                    1e308,
                    "nan",
                    "",
                    "a",
                    b"\x00",
                    2**62,
                    "GP\x00",
                    '{"a":[',
                    "null",
                    "[]",
                )
                value = values[int(rng.integers(len(values)))]
                base.execute(f'UPDATE "{name}" SET "{column}" = ? {some}', (value,))
            base.commit()
        finally:
            base.close()
        return path.read_bytes()


_BLANKS = ("/**/", "--\n", "\t", "\f", " \n", "/* using rtree */")
_NAMES = ("evil", "a using rtree", "gpkg_contents", "sqlite_stat1", "rtree_a_geom", "opendiff_parts", "")
_BODIES = (
    "VIRTUAL{0}TABLE{0}{1}{0}USING{0}VirtualText('/etc/hostname', 'UTF-8', 0)",
    "VIRTUAL{0}TABLE{0}{1}{0}USING{0}rtree(id, a, b)",
    "VIRTUAL{0}TABLE{0}{1}{0}USING{0}fts5(a, content='{2}')",
    "VIRTUAL{0}TABLE{0}{1}{0}USING{0}dbstat",
    'VIEW{0}{1}{0}AS{0}SELECT * FROM "{2}"',
    "TEMP{0}VIEW{0}{1}{0}AS{0}WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    "TABLE{0}{1}{0}(a TEXT, b TEXT AS (a LIKE '%a%a%a%a%a%b'))",
    "TABLE{0}{1}{0}(a TEXT, b BLOB GENERATED ALWAYS AS (zeroblob(99999999)) STORED)",
    "TABLE{0}{1}{0}(a TEXT DEFAULT (hex(randomblob(99999))), CHECK (a GLOB '*a*a*a*b'))",
    "TRIGGER{0}{1}{0}AFTER INSERT ON \"{2}\" BEGIN SELECT load_extension('x'); END",
    "INDEX{0}{1}{0}ON \"{2}\" (printf('%99999999d', rowid))",
)


def _write_schema(base: sqlite3.Connection, table: str, rng: Rng) -> None:
    """Write into the schema what SQLite itself would not, or change a statement that is there."""
    base.execute("PRAGMA writable_schema=ON")
    blank, name, body = (str(rng.choice(of)) for of in (_BLANKS, _NAMES, _BODIES))
    quoted = '"' + name + '"' if rng.random() < 0.7 else f"[{name}]"
    sql = "CREATE" + blank + body.format(blank, quoted, table)
    if rng.random() < 0.5:
        sql = "".join(c.upper() if rng.random() < 0.5 else c.lower() for c in sql)
    kind = str(rng.choice(["table", "view", "index", "trigger", "TABLE", "View", ""]))
    root = int(rng.choice([0, 1, 2, 5, -1, 2**31]))
    if rng.random() < 0.7:
        base.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", (kind, name, table, root, sql))
    else:
        base.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (sql, table))
    if rng.random() < 0.5:
        base.execute(
            "INSERT OR REPLACE INTO gpkg_contents (table_name, data_type) VALUES (?, 'attributes')", (name,)
        )


STRUCTURED: dict[str, Callable[[bytes, Rng], bytes]] = {
    "json": mutated_json,
    "csv": mutated_csv,
    "parquet": _parquet,
    "zip": _zip,
    "sqlite": _sqlite,
    "xml": mutated_xml,
    "npy": lambda data, rng: mutated_array(data, rng, mutated_json),
}


def kind_of(name: str) -> str:
    """What is inside a file of this name."""
    return {
        ".json": "json",
        ".geojson": "json",
        ".kml": "xml",
        ".gpx": "xml",
        ".xml": "xml",
        ".rels": "xml",
        ".csv": "csv",
        ".parquet": "parquet",
        ".gpkg": "sqlite",
        ".zip": "zip",
        ".npz": "zip",
        ".npy": "npy",
    }.get(Path(name).suffix.lower(), "bytes")
