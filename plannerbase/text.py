"""Text from files whose encoding nobody states, JSON that may be hostile, and sentences fit to be shown."""

from __future__ import annotations

import codecs
import json
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import charset_normalizer
import numpy as np

MAX_LETTERS = 600  # of a sentence; the cause stands in its beginning, the remedy at its end
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
         (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
MAX_DEPTH = 100  # of JSON: whatever walks through it afterwards goes as deep
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
HIGH = re.compile(rb"[\x80-\xff]+")
LETTERS = re.compile(rb"[A-Za-z\x80-\xff]+")
DOUBLE = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")
SAMPLE = 200_000  # bytes by which an encoding is judged
OTHERS = ("cp1251", "koi8_r", "cp1253", "big5", "shift_jis", "euc_kr", "cp866")


class Refused(ValueError):
    """A file that is not taken; the text goes after its name ("holds a link")."""


@contextmanager
def refused_as(kind: type[Exception]) -> Iterator[None]:
    """Raise what is refused inside as an error of a package's own family, with the same sentence."""
    try:
        yield
    except Refused as error:
        raise kind(str(error)) from error.__cause__


def one_line(text: str) -> str:
    """A sentence without what a file may have put into it: line breaks, control and direction characters, length."""
    plain = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)
    plain = " ".join(plain.split())
    if len(plain) <= MAX_LETTERS:
        return plain
    return f"{plain[: MAX_LETTERS - 200]} ... {plain[-195:]}"


def encoding_of(data: bytes, whole: bool = True) -> str:
    """The encoding of a text: by its mark, else UTF-8 where that fits, else UTF-16 by its zero bytes, else GB 18030
    where what is not ASCII comes in pairs as Chinese does, else what charset-normalizer finds where most letters are
    not ASCII (Cyrillic, Big5, Shift JIS), else Windows-1252. whole: whether `data` is all of it.
    """
    for mark, name in MARKS:
        if data.startswith(mark):
            return name
    if _fits(data, "utf-8", whole) and b"\x00" not in data:
        return "utf-8"
    for name, place in (("utf-16-le", 1), ("utf-16-be", 0)):
        if data[place::2].count(0) > 0.4 * max(1, len(data) // 2) and _fits(data, name, whole):
            return name
    if _looks_chinese(data, whole):
        return "gb18030"
    letters = sum(len(run) for run in HIGH.findall(data[:SAMPLE]))
    if letters > 0.5 * sum(len(run) for run in LETTERS.findall(data[:SAMPLE])):
        found = charset_normalizer.from_bytes(data[:SAMPLE], cp_isolation=list(OTHERS)).best()
        if found is not None and _fits(data, found.encoding, whole):
            return str(found.encoding)
    return "cp1252" if _fits(data, "cp1252", whole) else "latin-1"


def _looks_chinese(data: bytes, whole: bool) -> bool:
    """Whether the bytes are GB 18030: every run of bytes above ASCII comes in pairs, or most double bytes are of the
    characters of GB 2312, which text of Europe never looks like."""
    runs = HIGH.findall(data[:SAMPLE])
    pairs = [len(run) % 2 == 0 for run in runs]
    if not runs or not _fits(data, "gb18030", whole):
        return False
    if all(pairs[:-1] if not whole else pairs):
        return True
    doubles = DOUBLE.findall(data[:SAMPLE])
    return sum(b"\xa1" <= d[:1] <= b"\xf7" and d[1:] >= b"\xa1" for d in doubles) > 0.8 * len(doubles)


def decoded(data: bytes) -> str:
    """The text of a file, see `encoding_of`; what does not fit the file's own mark becomes U+FFFD."""
    return data.decode(encoding_of(data), "replace")


def _depth(text: str | bytes) -> int:
    """How deeply JSON is nested, without parsing it; at most, where it is no JSON."""
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return 0
    marks = np.frombuffer(STRINGS.sub(b"", data), np.uint8)
    steps = np.isin(marks, (0x5B, 0x7B)).astype(np.int8) - np.isin(marks, (0x5D, 0x7D))
    return int(np.cumsum(steps, dtype=np.int32).max(initial=0))


def read_json(text: str | bytes) -> Any:
    """What JSON says. Raises ValueError, also for what is nested too deeply and for text with half a character."""
    try:
        if _depth(text) > MAX_DEPTH:
            raise RecursionError
        value = json.loads(text)
        escaped = b"\\ud" in text.lower() if isinstance(text, bytes) else "\\ud" in text.lower()
        if escaped:
            json.dumps(value, ensure_ascii=False).encode()  # UnicodeEncodeError is a ValueError
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def _fits(data: bytes, encoding: str, whole: bool) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(data, final=whole)
    except UnicodeDecodeError:
        return False
    return True
