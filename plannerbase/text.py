"""Text from files whose encoding nobody states, JSON that may be hostile, and sentences fit to be shown."""

from __future__ import annotations

import codecs
import json
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from plannerbase.encodings import fits, guessed

MAX_LETTERS = 600  # of a sentence; the cause stands in its beginning, the remedy at its end
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
         (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
MAX_DEPTH = 100  # of JSON: whatever walks through it afterwards goes as deep
STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


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
    """The encoding of a text: by its mark, else UTF-8 where that fits, else UTF-16 by its zero bytes, else as
    `plannerbase.encodings` finds. whole: whether `data` is all of it.
    """
    for mark, name in MARKS:
        if data.startswith(mark):
            return name
    if fits(data, "utf-8", whole) and b"\x00" not in data:
        return "utf-8"
    for name, place in (("utf-16-le", 1), ("utf-16-be", 0)):
        if data[place::2].count(0) > 0.4 * max(1, len(data) // 2) and fits(data, name, whole):
            return name
    return guessed(data, whole)


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
