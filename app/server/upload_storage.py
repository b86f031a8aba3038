"""Uploads lie on the disk and not in the server's memory: what sessions hold may be gigabytes.

Streamlit keeps the bytes of every upload until its session is forgotten. `on_disk` makes the table in which it keeps
them one of files.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

log = logging.getLogger(__name__)
SMALL_BYTES = 100_000  # up to which a file stays in memory
REST_SECONDS = 1.0  # after which a file that nobody asked for leaves the memory


class StoredUpload:
    """What Streamlit uses of its `UploadedFileRec`. The bytes are in memory while a page runs with them, so that its
    runs share them, and else in a file of `folder`, which goes with the record."""

    def __init__(self, record: UploadedFileRec, folder: Path) -> None:
        self.file_id, self.name, self.type = record.file_id, record.name, record.type
        self.size = len(record.data)
        self._data: bytes | None = record.data
        self._path: Path | None = None
        self._folder = folder
        self._used = time.monotonic()
        self._lock = threading.Lock()

    @property
    def data(self) -> bytes:
        """The bytes."""
        with self._lock:
            self._used = time.monotonic()
            if self._data is None:
                assert self._path is not None
                self._data = self._path.read_bytes()
            return self._data

    def rest(self, now: float) -> None:
        """Leave the memory if nobody has asked for a while. Where the disk is full the bytes stay."""
        with self._lock:
            if self._data is None or self.size <= SMALL_BYTES or now - self._used < REST_SECONDS:
                return
            try:
                if self._path is None:
                    self._path = self._written(self._data)
                self._data = None
            except OSError as error:
                log.warning("An upload stays in memory, for it cannot be written: %s", error)

    def _written(self, data: bytes) -> Path:
        number, name = tempfile.mkstemp(dir=self._folder)
        path = Path(name)
        with os.fdopen(number, "wb") as file:
            file.write(data)
        weakref.finalize(self, _remove, path)
        return path


class SessionUploads(dict[str, StoredUpload]):
    """The uploads of a session by their number."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __setitem__(self, number: str, record: UploadedFileRec | StoredUpload) -> None:
        stored = record if isinstance(record, StoredUpload) else StoredUpload(record, self._folder)
        super().__setitem__(number, stored)


def share_copies() -> None:
    """Let copies of an uploaded file share its bytes: Streamlit copies the value of every widget in every run."""
    UploadedFile.__deepcopy__ = _copy  # type: ignore[attr-defined]


def _copy(file: UploadedFile, _: object) -> UploadedFile:
    record = UploadedFileRec(file.file_id, file.name, file.type, file.getvalue())
    copy = UploadedFile(record, file._file_urls)
    copy.seek(file.tell())
    return copy


def on_disk(folder: Path) -> defaultdict[str, SessionUploads]:
    """For `MemoryUploadedFileManager.file_storage`: the uploads by session, their files in a folder."""
    return defaultdict(lambda: SessionUploads(folder))


def rest(uploads: Mapping[str, Mapping[str, Any]]) -> None:
    """Let all files (`StoredUpload`) of all sessions leave the memory that are not in use; may be called from any
    thread."""
    now = time.monotonic()
    for session in list(uploads.values()):
        for stored in list(session.values()):
            stored.rest(now)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # the folder is gone
        path.unlink()
