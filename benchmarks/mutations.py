"""Damage to valid files, as files are damaged in life and as an attacker would: bytes, numbers, and the structure
inside archives, JSON, tables, databases and workbooks."""

from __future__ import annotations

import io
import json
import re
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

from benchmarks.array_mutations import Rng, mutated_array

NUMBERS = (
    b"nan",
    b"NaN",
    b"inf",
    b"-inf",
    b"1e308",
    b"-1e308",
    b"1e400",
    b"-1",
    b"0",
    b"-0.0",
    b"",
    b"null",
    b"true",
    b"9223372036854775808",
    b"180.0000001",
    b"-90",
    b"90.5",
    b"0x10",
    b"1,5",
    b"1e-320",
    b"\xd9\xa1",
    b"--1",
    b"1_000",
    b"32768",
    b"167",
    b"168",
    b"65536",
    b'"1"',
)
TEXTS = (
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b'"',
    b"'",
    b",",
    b";",
    b"\t",
    b"=1+1",
    b"../../x",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"&b;",
    b"%s",
    b"{}",
    b"[" * 50,
    b"\xe2\x80\xae",
    b"\xed\xa0\x80",
    b"#",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1e308,
    float("nan"),
    float("inf"),
    2**63,
    2**200,
    "",
    "a",
    "1",
    [],
    {},
    [[]],
    [None],
    {"type": "Polygon"},
    [1, 2, 3],
    "\ud800",
    "x" * 5000,
)
ENCODINGS = (
    "utf-16",
    "utf-16-be",
    "utf-8-sig",
    "utf-32",
    "gb18030",
    "cp1252",
    "latin-1",
    "shift_jis",
    "utf-7",
    "cp037",
)


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
        data = _bytes(data, rng, others)
    return data


def _bytes(data: bytes, rng: Rng, others: tuple[bytes, ...]) -> bytes:
    if not data:
        return bytes(rng.integers(0, 256, int(rng.integers(1, 64)), np.uint8))
    at = int(rng.integers(len(data)))
    end = min(len(data), at + 1 + int(rng.geometric(0.05)))
    way = int(rng.integers(9))
    if way == 0:  # a bit
        return data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :]
    if way == 1:  # cut short, or begun late
        return data[:at] if rng.random() < 0.7 else data[at:]
    if way == 2:
        return data[:at] + data[end:]
    if way == 3:
        return data[:end] + data[at:end] * int(rng.integers(1, 20)) + data[end:]
    if way == 4:
        return data[:at] + TEXTS[int(rng.integers(len(TEXTS)))] + data[at:]
    if way == 5:  # a number of the text
        found = list(re.finditer(rb"-?\d+(?:\.\d+)?", data[:200_000]))
        if found:
            one = found[int(rng.integers(len(found)))]
            return data[: one.start()] + NUMBERS[int(rng.integers(len(NUMBERS)))] + data[one.end() :]
    if way == 6:  # a number of the heading or the index
        value = int(rng.choice([0, 1, 255, 65_535, 2**31 - 1, 2**32 - 1, 256, 100_000]))
        size, order = int(rng.choice([1, 2, 4])), str(rng.choice(["little", "big"]))
        at = int(rng.integers(min(len(data), 400))) if rng.random() < 0.5 else at
        return data[:at] + (value % 256**size).to_bytes(size, order) + data[at + size :]
    if way == 7 and others:  # the beginning of one file, the end of another
        other = others[int(rng.integers(len(others)))]
        return data[:at] + other[int(rng.integers(len(other))) if other else 0 :]
    return data[:at] + bytes(rng.integers(0, 256, end - at, np.uint8)) + data[end:]


def _json(data: bytes, rng: Rng) -> bytes:
    document = json.loads(data)
    if rng.random() < 0.03:  # deeper than a parser's stack
        return b'{"type":"Feature","geometry":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            places.append((node, key))
            walk(node[key])

    walk(document)
    node, key = places[int(rng.integers(len(places)))]
    way = int(rng.integers(5))
    if way == 0:
        del node[key]
    elif way == 1 and isinstance(node, list):
        node.extend([node[key]] * int(rng.integers(1, 5)))
    elif way == 2 and isinstance(node[key], (int, float)):
        node[key] = float(node[key]) * float(rng.choice([-1, 0, 1e-9, 1.5, 1e9, 1e300])) + float(rng.normal())
    elif way == 3:
        other, name = places[int(rng.integers(len(places)))]
        node[key] = other[name] if isinstance(other, dict) or name < len(other) else None
    else:
        node[key] = VALUES[int(rng.integers(len(VALUES)))]
    return json.dumps(document).encode("utf-8", "surrogatepass")


def _csv(data: bytes, rng: Rng) -> bytes:
    way = int(rng.integers(8))
    if way == 0:
        return data.decode("utf-8", "replace").encode(str(rng.choice(ENCODINGS)), "replace")
    separator = max((b",", b";", b"\t"), key=data[:500].count)
    if way == 1:
        return data.replace(separator, bytes(rng.choice([b",", b";", b"\t", b"|", b" "])))
    rows = [line.split(separator) for line in data.split(b"\n")]
    row = int(rng.integers(len(rows)))
    column = int(rng.integers(len(rows[0])))
    if way == 2:  # a cell
        cell = (
            NUMBERS[int(rng.integers(len(NUMBERS)))]
            if rng.random() < 0.7
            else TEXTS[int(rng.integers(len(TEXTS)))]
        )
        rows[row][min(column, len(rows[row]) - 1)] = cell
    elif way == 3:
        rows = [cells[:column] + cells[column + 1 :] for cells in rows]
    elif way == 4:
        rows = [cells[:column] + cells[column : column + 1] * 2 + cells[column + 1 :] for cells in rows]
    elif way == 5:
        rows[row : row + 1] = [rows[row]] * int(rng.integers(0, 4))
    elif way == 6:
        rng.shuffle(rows)
    else:
        other = int(rng.integers(len(rows[0])))
        for cells in rows:
            if max(column, other) < len(cells):
                cells[column], cells[other] = cells[other], cells[column]
    return b"\n".join(separator.join(cells) for cells in rows)


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
        stored[key] = _json(stored[key], rng) if rng.random() < 0.7 else _bytes(stored[key], rng, ())
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
    way = int(rng.integers(8))
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
            way = int(rng.integers(6))
            some = f"WHERE rowid % {int(rng.integers(1, 4))} = 0"
            if way == 0:
                base.execute(f'DELETE FROM "{name}" {some}')
            elif way == 1:
                base.execute(f'ALTER TABLE "{name}" DROP COLUMN "{column}"')
            elif way == 2:
                base.execute(f'ALTER TABLE "{name}" RENAME COLUMN "{column}" TO "other"')
            elif way == 3:
                base.execute(f'DROP TABLE "{name}"')
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


def _xml(data: bytes, rng: Rng) -> bytes:
    marks = list(re.finditer(rb"<[^>]+>", data))
    one = marks[int(rng.integers(len(marks)))]
    way = int(rng.integers(6))
    if way == 0:
        return data[: one.start()] + data[one.end() :]
    if way == 1:
        return data[: one.end()] + one[0] * int(rng.choice([1, 3, 2000])) + data[one.end() :]
    if way == 2:
        head = b'<?xml version="1.0"?><!DOCTYPE kml [<!ENTITY a "aaaaaaaaaa"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
        return head + data[data.find(b"?>") + 2 :].replace(b"</name>", b"&a;&f;</name>")
    if way == 3:
        name = bytes(
            rng.choice([b"utf-16", b"cp037", b"nope", b"utf-7", b"idna", b"hex", b"gbk", b"utf_8_sig"])
        )
        return b'<?xml version="1.0" encoding="' + name + b'"?>' + data[data.find(b"?>") + 2 :]
    if way == 4:
        encoding = str(rng.choice(["utf-16", "cp037", "utf-8-sig", "utf-32"]))
        return data.decode("utf-8", "replace").encode(encoding, "replace")
    other = marks[int(rng.integers(len(marks)))]
    return data[: one.start()] + other[0] + data[one.end() :]


STRUCTURED: dict[str, Callable[[bytes, Rng], bytes]] = {
    "json": _json,
    "csv": _csv,
    "parquet": _parquet,
    "zip": _zip,
    "sqlite": _sqlite,
    "xml": _xml,
    "npy": lambda data, rng: mutated_array(data, rng, _json),
}


def kind_of(name: str) -> str:
    """What is inside a file of this name."""
    return {
        ".json": "json",
        ".geojson": "json",
        ".kml": "xml",
        ".xml": "xml",
        ".rels": "xml",
        ".csv": "csv",
        ".parquet": "parquet",
        ".gpkg": "sqlite",
        ".zip": "zip",
        ".npz": "zip",
        ".npy": "npy",
    }.get(Path(name).suffix.lower(), "bytes")
