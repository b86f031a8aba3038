"""Folders of this machine: the scenario library, the files that sessions upload and the open data that they fetch."""

import contextlib
import hashlib
import logging
import os
import re
import shutil
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from app.errors import SavedWorkError
from app.server import limits
from plannerbase import formats
from plannerbase.folders import folder_of

UPLOADS, SESSIONS = "uploads", "sessions"  # folders in the cache
PEOPLE = "people"  # folder in the library
KEPT_DAYS = 60
PERSON_GB = 5.0  # of one person on a shared server
log = logging.getLogger(__name__)


def library_folder() -> Path:
    """OPENDIFF_LIBRARY, or `scenarios` in the user's data folder; made where it is missing."""
    return folder_of("OPENDIFF_LIBRARY", "data", "scenarios", SavedWorkError)


def shelf(work: str) -> Path:
    """Where the scenarios and the open work of who is in this session lie: the library, or on a shared server a part of
    it that nobody else is led to, which need not exist."""
    owner = limits.owner(work)
    return library_folder() / PEOPLE / owner if owner else library_folder()


def make_private() -> None:
    """Take from other users of this machine what earlier versions let them read in the library and of uploads."""
    from opendiff.errors import OpenDiffError
    from opendiff.storage.folders import cache_folder

    try:
        library, cache = library_folder(), cache_folder()
        for place in (library, cache / UPLOADS, cache / SESSIONS):
            _make_private(place)
        for folder, below, files in os.walk(library):
            for name in (*below, *files):
                _make_private(Path(folder, name))
    except (OSError, SavedWorkError, OpenDiffError):
        log.warning("Folders of earlier versions could not be made private.", exc_info=True)


def _make_private(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and stat.S_IMODE(mode) & 0o077:
            path.chmod(stat.S_IMODE(mode) & 0o700)


def own_folder(work: str) -> Path:
    """Where the session with this open work keeps what it uploads and fetches: the cache, or on a shared server a part
    of its own."""
    from opendiff.storage.folders import cache_folder

    owner = limits.owner(work)
    if not owner:
        return cache_folder()
    every = cache_folder() / SESSIONS
    if not (every / owner).is_dir() and every.is_dir():
        forget_old(every)
    (every / owner).mkdir(parents=True, exist_ok=True)
    os.utime(every / owner)
    return every / owner


def forget_old(folder: Path) -> None:
    """Remove what sessions left that nobody has come back to for KEPT_DAYS."""
    for place in folder.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - place.stat().st_mtime > KEPT_DAYS * 86_400:
                shutil.rmtree(place, ignore_errors=True)


def keep_upload(file: BinaryIO, filename: str, suffixes: Sequence[str], folder: Path | None = None) -> str:
    """Keep an uploaded file in a folder, the cache where none is named, and return its path, whose name is of our own
    making.

    The same content is kept once. Raises SourceError for another suffix.
    """
    from opendiff.errors import SourceError
    from opendiff.storage.atomic import replacing, storage_error
    from opendiff.storage.cache_room import gigabytes, make_room, size_of
    from opendiff.storage.folders import cache_folder

    folder = cache_folder() if folder is None else folder
    suffix = next((s for s in suffixes if filename.lower().endswith(s)), None)
    if suffix is None:
        raise SourceError(f"{filename} is of another kind than {', '.join(suffixes)}; choose another file.")
    file.seek(0)
    digest = hashlib.file_digest(cast(Any, file), "sha256").hexdigest()[:16]
    stem = re.sub(r"[^\w-]+", "_", filename[: -len(suffix)])[:60].strip("_") or "file"
    path = folder / UPLOADS / digest / (stem + suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(path.parent, error.strerror, "make room, or set OPENDIFF_CACHE") from error
    if not path.is_file():
        size = file.seek(0, os.SEEK_END)
        if folder.is_relative_to(cache_folder() / SESSIONS):
            most = gigabytes("OPENDIFF_MAX_PERSON_GB", PERSON_GB)
            if size_of(folder / UPLOADS) + size > most:
                raise SourceError(
                    f"Your uploads would take more than {formats.number(most / 1e9, 3)} GB, as much as this "
                    "server keeps for a "
                    f"person; they go after {KEPT_DAYS} days, or ask its keeper."
                )
        make_room(size)
        file.seek(0)
        with replacing(path) as temporary, temporary.open("wb") as out:
            shutil.copyfileobj(file, out)
    return str(path)
