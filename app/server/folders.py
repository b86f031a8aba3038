"""Folders of this machine for the files that sessions upload and the open data that they fetch."""

import contextlib
import hashlib
import os
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from app.server import limits

UPLOADS, SESSIONS = "uploads", "sessions"  # folders in the cache
KEPT_DAYS = 60


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
    from opendiff.storage.cache_room import make_room
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
        make_room(file.seek(0, os.SEEK_END))
        file.seek(0)
        with replacing(path) as temporary, temporary.open("wb") as out:
            shutil.copyfileobj(file, out)
    return str(path)
