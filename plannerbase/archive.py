"""Members of zip archives from strangers, in memory and under no name of theirs."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import re
import stat
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from plannerbase.text import Refused

DAMAGED = (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, OSError, RuntimeError, ValueError,
           KeyError, IndexError, OverflowError)  # fmt: skip
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


MAX_GROWTH, FREE_BYTES = (
    100,
    20_000_000,
)  # unpacked may be this many times the archive, and this much in any case


MARKS = {".gz": b"\x1f\x8b", ".bz2": b"BZh"}  # first bytes of a single file that is compressed


def bare_name(name: str) -> str:
    """The name of a file without the ending of its compression: "cells.csv" of "cells.csv.gz"."""
    stem = PurePosixPath(name)
    return str(stem.with_suffix("")) if stem.suffix.lower() in MARKS else name


def opened_packed(file: BinaryIO, name: str) -> BinaryIO:
    """The uncompressed content of an open file whose name ends in .gz or .bz2. Raises `Refused`."""
    suffix = PurePosixPath(name).suffix.lower()
    mark = MARKS[suffix]
    if file.read(len(mark)) != mark:
        raise Refused("is not compressed as its name says")
    file.seek(0)
    opened = gzip.GzipFile(fileobj=file) if suffix == ".gz" else bz2.BZ2File(file)
    return cast(BinaryIO, opened)


def unpacked(data: bytes, name: str, most_bytes: int) -> tuple[bytes, str]:
    """(content, name) of a file, uncompressed where its name ends in .gz or .bz2. Raises `Refused`."""
    bare = bare_name(name)
    if bare == name:
        return data, name
    most_bytes = min(most_bytes, FREE_BYTES + MAX_GROWTH * len(data))
    try:
        with opened_packed(io.BytesIO(data), name) as file:
            content = file.read(most_bytes + 1)
    except (EOFError, OSError, ValueError, zlib.error) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"cannot be uncompressed ({type(error).__name__}); it may not be whole") from None
    if len(content) > most_bytes:
        raise _too_large(most_bytes)
    return content, bare


def is_damage(error: Exception) -> bool:
    """Whether reading an archive raised it because of what the archive holds."""
    return isinstance(error, DAMAGED) or type(error).__module__ in ("zlib", "lzma", "_lzma", "bz2")


def check_places(infos: list[zipfile.ZipInfo]) -> None:
    """Raise ValueError where members share bytes of the archive, by which few bytes unpack to many."""
    ordered = sorted(infos, key=lambda info: info.header_offset)
    for one, other in itertools.pairwise(ordered):
        if one.header_offset + 30 + one.compress_size > other.header_offset:
            raise ValueError("its members overlap")


def members(
    data: bytes, suffixes: tuple[str, ...], most_members: int, most_bytes: int, most_growth: int = MAX_GROWTH
) -> dict[str, bytes]:
    """Content by name of the members with these suffixes; macOS's resource forks are passed over.

    most_growth: how many times the archive all may be, beyond the FREE_BYTES that are always taken.

    Raises `Refused` for more members or bytes than asked for, paths that lead out of the archive, links, passwords, and
    archives that cannot be read.
    """
    most_bytes = min(most_bytes, FREE_BYTES + most_growth * len(data))
    found, left = {}, most_bytes
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in checked(archive, most_members, most_bytes):
                base = PurePosixPath(member.filename).name
                if not base.lower().endswith(suffixes) or base.startswith("._"):
                    continue
                with archive.open(member) as file:
                    content = file.read(left + 1)  # the size in the heading may lie
                left -= len(content)
                if left < 0:
                    raise _too_large(most_bytes)
                found[member.filename] = content
    except Refused:
        raise
    except Exception as error:
        if is_damage(error):
            raise Refused(f"is not a readable zip archive ({type(error).__name__})") from None
        raise
    return found


def checked(archive: zipfile.ZipFile, most_members: int, most_bytes: int) -> list[zipfile.ZipInfo]:
    """The members that are files, none of them suspicious. Raises `Refused`."""
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > most_members:
        raise Refused(f"holds {len(infos):,} files and the limit is {most_members:,}")
    check_places(infos)
    if sum(info.file_size for info in infos) > most_bytes:
        raise _too_large(most_bytes)
    for info in infos:
        parts = re.split(r"[\\/]", info.filename)
        if ".." in parts or parts[0] == "" or ":" in parts[0] or stat.S_ISLNK(info.external_attr >> 16):
            raise Refused(f"holds the unsafe path {info.filename!r}")
        if info.flag_bits & 1:
            raise Refused("is protected by a password")
        if info.compress_type not in METHODS:
            raise Refused("is compressed in a way that is not known")
    return infos


def _too_large(most_bytes: int) -> Refused:
    return Refused(f"unpacks to more than {most_bytes // 10**6:,} MB")
