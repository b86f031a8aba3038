"""Room in the cache: what can be had again goes when the cache would grow beyond its quota, the longest unused first.

OPENDIFF_CACHE_GB   quota of the cache folder, GB (default 20)

What can be had again: packs that were fetched or made of files, packs that were unpacked, national rasters. Uploaded
files stay, as only their owner has them. What was used within RECENT_S stays as well: somebody may be at work with it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from opendiff.errors import SourceError, StorageError
from opendiff.storage.atomic import locked
from opendiff.storage.folders import cache_folder

DEFAULT_GB = 20.0
RECENT_S = 3600.0
# folders of what can be had again, in the cache and for each session
KINDS = ("packs", "unpacked", "population")
SESSIONS = "sessions"
GONE = ".gone-"  # begins the name of an entry that is being removed
NOTES = "used"  # folder of the notes of when an entry was used


@dataclass(frozen=True)
class Entry:
    """Something of the cache that goes as a whole. used: seconds since the epoch."""

    path: Path
    size: int
    used: float


def mark_used(path: Path) -> None:
    """Note that an entry, or the entry that a file lies in, is used now; of other places nothing is noted.

    The note is a file of its own: the system's time of access may be off, or be changed by looking at the size.
    """
    entry = entry_of(path)
    if entry is not None:
        note = _note(entry)
        with suppress(OSError):  # of a cache that is read-only
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()


def entry_of(path: Path) -> Path | None:
    """The entry of the cache that a path is, or lies in."""
    try:
        home, path = cache_folder().resolve(), path.resolve()
    except (OSError, ValueError, RuntimeError):  # no path at all, or links in a circle
        return None
    if not path.is_relative_to(home):
        return None
    parts = path.relative_to(home).parts
    below = 2 if parts[:1] == (SESSIONS,) else 0
    if len(parts) < below + 2 or parts[below] not in KINDS:
        return None
    return home.joinpath(*parts[: below + 2])


def make_room(wanted: int = 0) -> list[Path]:
    """Remove what was unused longest until `wanted` bytes more are within the quota; returns what went.

    Raises StorageError where the rest, which stays, leaves no such room. Several processes may call it at once.
    """
    home = cache_folder()
    with locked(home / ".room.lock"):
        _finish_removals(home)
        most = quota()
        held = size_of(home) + wanted
        if held <= most:
            return []
        removed = []
        now = time.time()
        for entry in sorted(entries(home), key=lambda entry: entry.used):
            if held <= most or now - entry.used < RECENT_S:
                break
            if _remove(entry.path):
                held -= entry.size
                removed.append(entry.path)
        if held > most and wanted:
            raise StorageError(
                f"The cache would hold {held / 1e9:,.3f} GB and may hold {most / 1e9:,.3f} GB; take a smaller file or "
                "area, or ask whoever runs the server to make room or to raise OPENDIFF_CACHE_GB."
            )
        return removed


def quota() -> int:
    """Bytes that the cache may hold. Raises SourceError where OPENDIFF_CACHE_GB is no positive number."""
    return gigabytes("OPENDIFF_CACHE_GB", DEFAULT_GB)


def gigabytes(variable: str, default: float) -> int:
    """Bytes that an environment variable states in GB. Raises SourceError where it is no positive number."""
    text = os.environ.get(variable, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise SourceError(f"{variable} is {text!r}; set it to a positive number of GB, or leave it out.")
    return int(value * 1e9)


def entries(home: Path) -> list[Entry]:
    """What can be had again."""
    places = [home, *_folders(home / SESSIONS)]
    found = []
    for folder in (place / kind for place in places for kind in KINDS):
        for path in _listed(folder):
            if not path.name.startswith("."):
                found.append(Entry(path, size_of(path), max(_changed(path), _changed(_note(path)))))
    return found


def _note(entry: Path) -> Path:
    """The file whose time says when an entry was used last."""
    home = cache_folder().resolve()
    return home / NOTES / entry.parent.resolve().relative_to(home) / f"{entry.name}.used"


def _changed(path: Path) -> float:
    """Seconds since the epoch, 0 where there is nothing."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; what vanishes meanwhile counts nothing."""
    with suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            return path.lstat().st_size
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def _remove(path: Path) -> bool:
    """An entry vanishes at once under its name, and then from the disk."""
    gone = path.with_name(f"{GONE}{secrets.token_hex(8)}")
    try:
        path.rename(gone)
    except OSError:
        return False
    _delete(gone)
    _delete(_note(path))
    return True


def _finish_removals(home: Path) -> None:
    """What a process left that ended while it removed."""
    for place in (home, *_folders(home / SESSIONS)):
        for kind in KINDS:
            for path in _listed(place / kind):
                if path.name.startswith(GONE):
                    _delete(path)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _folders(folder: Path) -> list[Path]:
    return [path for path in _listed(folder) if path.is_dir()]


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
