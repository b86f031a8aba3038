"""The content of a file, however it is handed over: a path, bytes, or an open binary file."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from plannerbase.text import Refused

Source = str | Path | bytes | bytearray | BinaryIO


def name_of(source: Source, name: str | None, otherwise: str) -> str:
    """The file's name: as stated, else of the path or of the open file, else `otherwise`."""
    if name:
        return name
    if isinstance(source, str | Path):
        return Path(source).name
    return str(getattr(source, "name", otherwise))


def content_of(source: Source, most_bytes: int) -> bytes:
    """All bytes of it. Raises OSError (FileNotFoundError for what is no file) and, for more than `most_bytes`,
    `Refused`."""
    if isinstance(source, bytes | bytearray):
        data = bytes(source)
    elif isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}")
        if path.stat().st_size > most_bytes:
            raise _too_large(most_bytes)
        data = path.read_bytes()
    else:
        data = source.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise _too_large(most_bytes)
    return data


def _too_large(most_bytes: int) -> Refused:
    size = f"{most_bytes // 10**9} GB" if most_bytes >= 10**9 else f"{most_bytes // 10**6} MB"
    return Refused(f"is larger than {size}")
