"""A pack in a zip archive, unpacked into the cache once: only the files of a pack, under names of our own."""

from __future__ import annotations

import hashlib
import lzma
import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path

from opendiff.errors import SourceError, StorageError
from opendiff.storage.atomic import locked
from opendiff.storage.cache_room import make_room, mark_used
from opendiff.storage.folders import cache_folder

MAX_MEMBERS = 200_000
MAX_BYTES = 8_000_000_000  # unpacked, all members
MAX_IMAGE_BYTES = 4_000_000  # unpacked
CHUNK_BYTES = 1 << 20
PLAIN = ("tiles.parquet", "traffic.parquet", "pack.json", "ATTRIBUTION.txt")
IMAGE = re.compile(r"imagery/15/(\d{1,5})/(\d{1,5})\.png")


def unpacked(archive: Path) -> Path:
    """The folder with the content of a zipped pack; unpacked again only when the archive has changed.

    Files that do not belong to a pack are left out. Raises SourceError.
    """
    try:
        status = archive.stat()
        identity = f"{archive.resolve()} {status.st_size} {status.st_mtime_ns}"
        home = cache_folder() / "unpacked" / hashlib.sha256(identity.encode()).hexdigest()[:16]
        folder = home / (re.sub(r"[^\w.-]", "_", archive.stem) or "pack")
        home.mkdir(parents=True, exist_ok=True)
        with locked(home / ".lock"):
            if not folder.is_dir():
                _unpack_into(folder, archive)
        mark_used(home)
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        NotImplementedError,
        EOFError,
        RuntimeError,
        ValueError,
        lzma.LZMAError,
        zlib.error,
    ) as error:
        raise SourceError(
            f"{archive.name} is no readable zip archive ({error}); zip the pack again."
        ) from None
    except StorageError:
        raise
    except OSError as error:
        raise SourceError(
            f"{archive.name} cannot be unpacked ({error}); unpack it and name the folder."
        ) from None
    return folder


def _unpack_into(folder: Path, archive: Path) -> None:
    """Unpack a pack into a folder, which appears only when it is whole."""
    begun = folder.with_name("begun")
    shutil.rmtree(begun, ignore_errors=True)  # left by a process that ended in the middle
    try:
        with zipfile.ZipFile(archive) as opened:
            _unpack(opened, begun, archive.name)
        begun.rename(folder)
    finally:
        shutil.rmtree(begun, ignore_errors=True)


def _unpack(archive: zipfile.ZipFile, folder: Path, name: str) -> None:
    """Write the members of a pack into a folder. Raises SourceError."""
    members = _members(archive, name)
    left = MAX_BYTES
    size = sum(member.file_size for member in members.values())
    if size > left:
        raise _too_large(name)
    make_room(size)
    for path, member in members.items():
        target = folder.joinpath(*path.split("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        most = min(left, MAX_IMAGE_BYTES) if path.startswith("imagery/") else left
        with archive.open(member) as source, target.open("wb") as out:
            while chunk := source.read(CHUNK_BYTES):  # the size in the heading may lie
                most, left = most - len(chunk), left - len(chunk)
                if most < 0:
                    raise _too_large(name)
                out.write(chunk)


def _members(archive: zipfile.ZipFile, name: str) -> dict[str, zipfile.ZipInfo]:
    """The members that belong to the pack by their path inside it. Raises SourceError."""
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise SourceError(
            f"{name} holds {len(infos):,} files and the limit is {MAX_MEMBERS:,}; zip the pack only."
        )
    roots = sorted(
        (info.filename.removesuffix("tiles.parquet") for info in infos if _base(info) == "tiles.parquet"),
        key=len,
    )
    if not roots:
        raise SourceError(f"{name} holds no tiles.parquet; zip the folder of a pack.")
    found = {}
    for info in infos:
        path = info.filename
        if info.is_dir() or not path.startswith(roots[0]):
            continue
        path = path.removeprefix(roots[0])
        if path not in PLAIN and not IMAGE.fullmatch(path):
            continue
        if stat.S_ISLNK(info.external_attr >> 16) or info.flag_bits & 1 or path in found:
            raise SourceError(
                f"{name} holds a link, a password or a file twice; zip the plain files of the pack."
            )
        found[path] = info
    return found


def _base(info: zipfile.ZipInfo) -> str:
    return info.filename.rpartition("/")[2]


def _too_large(name: str) -> SourceError:
    return SourceError(
        f"{name} unpacks to more than a pack may hold ({MAX_BYTES // 10**9} GB); zip a smaller area."
    )
