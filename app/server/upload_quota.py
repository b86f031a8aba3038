"""How much a session and a person may have uploaded at a time, and how often; what a closed session had is released.

OPENDIFF_MAX_SESSION_UPLOADS      files that one session holds
OPENDIFF_MAX_SESSION_UPLOAD_MB    their size
OPENDIFF_MAX_PERSON_UPLOADS       files that all sessions of a person hold
OPENDIFF_MAX_PERSON_UPLOAD_MB     their size
OPENDIFF_MAX_UPLOADS_PER_MINUTE   of a person, those refused included
OPENDIFF_MAX_UPLOADS_MB           size of the files of all sessions of the server
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.server.access import shared_server
from app.server.settings import whole_number
from plannerbase import formats

MB = 1_000_000
RATE_SECONDS = 60.0
MAX_CONCURRENT = 4  # uploads of one person that are received at the same time


class FileStorage(Protocol):
    """What is used of Streamlit's `MemoryUploadedFileManager`: for each session its files (`StoredUpload`) by their
    number."""

    file_storage: dict[str, dict[str, Any]]

    def remove_session_files(self, session_id: str) -> None: ...


@dataclass(frozen=True)
class UploadLimits:
    """Files and bytes at a time of a session, of a person and of all; uploads of a person a minute."""

    session_files: int
    session_bytes: int
    person_files: int
    person_bytes: int
    per_minute: int
    all_bytes: int


OWN = UploadLimits(100, 4000 * MB, 200, 4000 * MB, 120, 4000 * MB)
SHARED = UploadLimits(40, 600 * MB, 80, 1000 * MB, 60, 4000 * MB)


def upload_limits() -> UploadLimits:
    """The limits of this server. Raises PlanningError for a variable that is no number."""
    default = SHARED if shared_server() else OWN
    number = whole_number
    return UploadLimits(
        number("OPENDIFF_MAX_SESSION_UPLOADS", default.session_files),
        number("OPENDIFF_MAX_SESSION_UPLOAD_MB", default.session_bytes // MB) * MB,
        number("OPENDIFF_MAX_PERSON_UPLOADS", default.person_files),
        number("OPENDIFF_MAX_PERSON_UPLOAD_MB", default.person_bytes // MB) * MB,
        number("OPENDIFF_MAX_UPLOADS_PER_MINUTE", default.per_minute),
        number("OPENDIFF_MAX_UPLOADS_MB", default.all_bytes // MB) * MB,
    )


class QuotaError(Exception):
    """An upload is refused; the message says why. status: of the answer, 413 (too much) or 429 (too often)."""

    def __init__(self, message: str, status: int = 413):
        super().__init__(message)
        self.status = status


@dataclass(eq=False)
class Receiving:
    """An upload on its way. received: bytes so far, or as many as its length announces."""

    session: str
    file: str
    person: str
    received: int = 0


@dataclass
class UploadAccounts:
    """The uploads of all sessions. storage: where Streamlit holds them; may be called from any thread."""

    storage: Callable[[], FileStorage]
    limits: UploadLimits
    clock: Callable[[], float] = time.monotonic
    _persons: dict[str, str] = field(default_factory=dict)  # by session
    _times: dict[str, deque[float]] = field(default_factory=dict)  # of the uploads of a person
    _receiving: set[Receiving] = field(default_factory=set)
    _closed: dict[str, float] = field(default_factory=dict)  # session: when it was first found closed
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def begin(self, session: str, file: str, person: str, announced: int) -> Receiving:
        """Admit an upload, whose length in bytes is announced (0 where it is unknown). Raises QuotaError."""
        with self._lock:
            self._count_rate(person)
            if sum(other.person == person for other in self._receiving) >= MAX_CONCURRENT:
                raise QuotaError("Too many uploads at the same time; wait until the others are done.", 429)
            arriving = Receiving(session, file, person)
            self._persons[session] = person
            self._receiving.add(arriving)
            try:
                self.grow(arriving, announced)
            except QuotaError:
                self._receiving.discard(arriving)
                raise
            return arriving

    def grow(self, arriving: Receiving, total: int) -> None:
        """Account for `total` bytes of an upload. Raises QuotaError where that is more than is left."""
        with self._lock:
            arriving.received = max(arriving.received, total)
            most = self.limits
            sessions = [s for s, person in self._persons.items() if person == arriving.person]
            every = {*self.storage().file_storage, *self._persons}
            for scope, of, files, size in (
                ("This session", [arriving.session], most.session_files, most.session_bytes),
                ("You", sessions, most.person_files, most.person_bytes),
                ("This server", every, 10**9, most.all_bytes),
            ):
                count, held = self.held(of)
                if count > files or held > size:
                    verb = "hold" if scope == "You" else "holds"
                    raise QuotaError(
                        f"{scope} {verb} as many uploads as allowed ({formats.number(files)} files, "
                        f"{formats.number(size / MB)} MB); remove "
                        "files, or close the pages that hold them."
                    )

    def end(self, arriving: Receiving) -> None:
        """The upload is in the storage, or was given up."""
        with self._lock:
            self._receiving.discard(arriving)

    def held(self, sessions: Iterable[str]) -> tuple[int, int]:
        """Files and bytes of sessions, those on their way included."""
        sizes: dict[tuple[str, str], int] = {}
        with self._lock:
            stored: Mapping[str, Mapping[str, Any]] = self.storage().file_storage
            for session in set(sessions):
                for name, record in list(stored.get(session, {}).items()):
                    sizes[session, name] = record.size
                for other in self._receiving:
                    if other.session == session:
                        key = (session, other.file)
                        sizes[key] = sizes.get(key, 0) + other.received
        return len(sizes), sum(sizes.values())

    def release_closed(
        self, is_open: Callable[[str], bool], close: Callable[[str], None], after_seconds: float
    ) -> list[str]:
        """Close for good the sessions that were found closed `after_seconds` ago; returns them.

        is_open: whether a browser shows a session. close: ends a session, so that nobody can come back to it.
        """
        now, gone = self.clock(), []
        with self._lock:
            known = {*self.storage().file_storage, *self._persons}
            for session in known:
                if is_open(session):
                    self._closed.pop(session, None)
                elif now - self._closed.setdefault(session, now) >= after_seconds:
                    gone.append(session)
            for session in gone:
                self._closed.pop(session, None)
                self._persons.pop(session, None)
            for person in [
                p for p, times in self._times.items() if not times or now - times[-1] > RATE_SECONDS
            ]:
                del self._times[person]
        for session in gone:
            close(session)
            self.storage().remove_session_files(session)
        return gone

    def _count_rate(self, person: str) -> None:
        times = self._times.setdefault(person, deque())
        now = self.clock()
        while times and now - times[0] > RATE_SECONDS:
            times.popleft()
        if len(times) >= self.limits.per_minute:
            raise QuotaError(
                f"More than {self.limits.per_minute} uploads within a minute; wait a little, then try again.",
                429,
            )
        times.append(now)
