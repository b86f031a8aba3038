"""Damage to bytes of any kind, and to what is text: JSON, CSV, XML."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from benchmarks.robustness.array_mutations import Rng

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
    10**400,
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


def mutated_bytes(data: bytes, rng: Rng, others: tuple[bytes, ...]) -> bytes:
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


def mutated_json(data: bytes, rng: Rng) -> bytes:
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


def mutated_csv(data: bytes, rng: Rng) -> bytes:
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


def mutated_xml(data: bytes, rng: Rng) -> bytes:
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
