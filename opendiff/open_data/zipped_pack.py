"""A pack in a zip archive, unpacked into the cache once: only the files of a pack, under names of our own."""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
import zipfile
from pathlib import Path

from opendiff.errors import SourceError, StorageError
from opendiff.storage.atomic import locked
from opendiff.storage.cache_room import make_room, mark_used
from opendiff.storage.folders import cache_folder
from plannerbase.archive import DAMAGED, check_places, is_damage
from plannerbase.guard import guarded

MAX_MEMBERS = 200_000
MAX_BYTES = 8_000_000_000  # unpacked, all members
MAX_IMAGE_BYTES = 4_000_000  # unpacked
MAX_TEXT_BYTES = 1_000_000  # unpacked
BASE_MAP, MAX_BASE_MAP_BYTES = "base_map.geojson", 30_000_000  # see opendiff.open_data.base_map
MAX_GROWTH, FREE_BYTES = (
    20,
    50_000_000,
)  # unpacked may be this many times the archive, and this much in any case
UNPACK_SECONDS = 600.0
CHUNK_BYTES = 1 << 20
TABLES, TEXTS = ("tiles.parquet", "traffic.parquet", "osm_points.gpkg"), ("pack.json", "ATTRIBUTION.txt")
PLAIN = (*TABLES, *TEXTS, BASE_MAP)
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
    except StorageError:
        raise
    except OSError as error:
        raise _unwritable(archive, error) from None
    return folder


def _unpack_into(folder: Path, archive: Path) -> None:
    """Unpack a pack into a folder, which appears only when it is whole."""
    begun = folder.with_name("begun")
    shutil.rmtree(begun, ignore_errors=True)  # left by a process that ended in the middle
    try:
        make_room(unpacked_bytes(archive))
        begun.mkdir()
        unpack(archive, into=begun)
        begun.rename(folder)
    finally:
        shutil.rmtree(begun, ignore_errors=True)


@guarded(SourceError)
def unpacked_bytes(archive: Path) -> int:
    """How much the archive says that its pack unpacks to. Raises SourceError where that is too much."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return sum(member.file_size for member in _members(opened, archive).values())
    except DAMAGED as error:
        raise _unreadable(archive, error) from None


@guarded(SourceError, seconds=UNPACK_SECONDS)
def unpack(archive: Path, into: Path) -> None:
    """Write the files of a pack into a folder. Raises SourceError."""
    try:
        with zipfile.ZipFile(archive) as opened:
            _unpack(opened, archive, into)
    except SourceError:
        raise
    except OSError as error:
        if isinstance(error, EOFError | zipfile.BadZipFile):
            raise _unreadable(archive, error) from None
        raise _unwritable(archive, error) from None
    except Exception as error:
        if is_damage(error):
            raise _unreadable(archive, error) from None
        raise


def _unpack(opened: zipfile.ZipFile, archive: Path, folder: Path) -> None:
    left = _most_bytes(archive)
    for path, member in _members(opened, archive).items():
        target = folder.joinpath(*path.split("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        most = min(left, _most_of(path))
        with opened.open(member) as source, target.open("wb") as out:
            while chunk := source.read(CHUNK_BYTES):  # the size in the heading may lie
                most, left = most - len(chunk), left - len(chunk)
                if most < 0:
                    raise _too_large(archive, path)
                out.write(chunk)


def _most_of(path: str) -> int:
    """Bytes that a member may have."""
    if path == BASE_MAP:
        return MAX_BASE_MAP_BYTES
    return MAX_TEXT_BYTES if path in TEXTS else MAX_IMAGE_BYTES if path.startswith("imagery/") else MAX_BYTES


def _most_bytes(archive: Path) -> int:
    """Bytes that an archive may unpack to."""
    return min(MAX_BYTES, FREE_BYTES + MAX_GROWTH * archive.stat().st_size)


def _members(opened: zipfile.ZipFile, archive: Path) -> dict[str, zipfile.ZipInfo]:
    """The members that belong to the pack by their path inside it, by their headings within the limits. Raises
    SourceError."""
    name, infos = archive.name, opened.infolist()
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
        if info.file_size > _most_of(path):
            raise _too_large(archive, path)
        found[path] = info
    check_places(list(found.values()))
    if sum(info.file_size for info in found.values()) > _most_bytes(archive):
        raise _too_large(archive, "")
    return found


def _base(info: zipfile.ZipInfo) -> str:
    return info.filename.rpartition("/")[2]


def _too_large(archive: Path, path: str) -> SourceError:
    """path: of the member that is too large, empty where all of them are together."""
    what = f"{path} in {archive.name}" if path else archive.name
    return SourceError(f"{what} unpacks to more than a pack may hold; zip a smaller area.")


def _unreadable(archive: Path, error: Exception) -> SourceError:
    return SourceError(f"{archive.name} is no readable zip archive ({error}); zip the pack again.")


def _unwritable(archive: Path, error: OSError) -> SourceError:
    return SourceError(f"{archive.name} cannot be unpacked ({error}); unpack it and name the folder.")
