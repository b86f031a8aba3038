"""HTTP for other people's servers: polite, patient within stated limits, and never leaving half a file behind.

What may pass (a time-out, a cut connection, 429, 5xx) is tried again after a growing, jittered pause, or after the
pause that the server asks for. What will not pass is one sentence that names the host and the remedy.
"""

from __future__ import annotations

import email.utils
import json
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from opendiff import __version__
from opendiff.errors import Cancelled, SourceError
from opendiff.storage.atomic import locked, replacing, storage_error

USER_AGENT = f"opendiff-planner/{__version__} (network planning on open data)"
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # status codes that another attempt may mend
CHUNK_BYTES = 1 << 16
MAX_REDIRECTS = 5
POLL_SECONDS = 0.1
INSTEAD = "use the bundled region (demo), a pack, or your own files"
Progress = Callable[[int, int], None]  # (bytes so far, bytes in all or 0)


class Unreachable(SourceError):
    """No connection to `host`, so no other request to it is worth a try now."""

    def __init__(self, message: str, host: str):
        super().__init__(message)
        self.host = host


class NotThere(SourceError):
    """The server answered that it has no such thing (404 or 410)."""


class TooLarge(SourceError):
    """The answer is larger than was allowed."""


@dataclass(frozen=True)
class Patience:
    """How long and how often to try; seconds."""

    connect: float = 10.0
    read: float = 60.0  # without a byte
    query: float = 180.0  # without a byte, of a database that thinks before it answers
    whole: float = 300.0  # of one answer, from its first byte
    whole_file: float = 6 * 3600.0  # of one file
    attempts: int = 5
    connections: int = 3  # of the attempts, how many may fail to connect at all
    first_pause: float = 1.0  # doubled each time
    longest_pause: float = 120.0  # that a Retry-After may ask for; a longer one ends the attempts


T = TypeVar("T")


class _Passing(Exception):
    """An attempt failed in a way that may pass. `pause`: seconds that the server asked for."""

    def __init__(self, what: str, pause: float | None = None, connected: bool = True):
        super().__init__(what)
        self.pause, self.connected = pause, connected


@dataclass
class Client:
    """Requests with retries. Safe to use from several threads; each has connections of its own."""

    patience: Patience = Patience()
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    cancelled: Callable[[], bool] | None = None
    _own: threading.local = field(default_factory=threading.local, repr=False)

    def get(
        self,
        url: str,
        kinds: tuple[str, ...],
        max_bytes: int,
        form: Mapping[str, str] | None = None,
        check: Callable[[bytes], None] | None = None,
    ) -> bytes:
        """The body of an answer. Raises SourceError (NotThere, Unreachable, TooLarge) and Cancelled.

        kinds: beginnings of the content types that are accepted; form: fields to post; check: raises ValueError when
        a body is damaged, which counts as a truncated answer and is tried again.
        """

        def attempt() -> bytes:
            with self._answer(url, kinds, form=form) as answer:
                body = b"".join(self._chunks(answer, url, max_bytes, self.patience.whole))
            try:
                if check:
                    check(body)
            except ValueError as error:
                raise _Passing(f"the answer is damaged ({error})") from None
            return body

        return self._patiently(url, attempt)

    def download(
        self,
        url: str,
        path: Path,
        kinds: tuple[str, ...],
        max_bytes: int,
        progress: Progress | None = None,
        check: Callable[[Path], None] | None = None,
    ) -> None:
        """Stream an answer into `path`, which appears only when it is whole. Raises as `get` does.

        What came before a cut is kept beside it (`NAME.part`). The next attempt, in this run or another, goes on from
        there where the server allows it (206 for the same version of the file), else it starts again. check: raises
        ValueError when the file is damaged. One process at a time downloads a file; another waits and finds it there.
        """
        with locked(path.with_name(f"{path.name}.lock"), self.check_cancelled):
            if not path.is_file():
                self._download(url, path, kinds, max_bytes, progress, check)

    def _download(
        self,
        url: str,
        path: Path,
        kinds: tuple[str, ...],
        max_bytes: int,
        progress: Progress | None,
        check: Callable[[Path], None] | None,
    ) -> None:
        part, label = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json")

        def attempt() -> None:
            have, version = _begun(part, label, url)
            asked = {"Range": f"bytes={have}-", "If-Range": version} if have else {}
            with self._answer(url, kinds, headers=asked) as answer:
                if (
                    answer.status_code == 416
                ):  # there is nothing after what we have, so it is not what we think
                    part.unlink(missing_ok=True)
                    raise _Passing("the server does not have the rest of the file")
                resumed = answer.status_code == 206 and _starts_at(answer, have)
                if answer.status_code == 206 and not resumed:
                    part.unlink(missing_ok=True)
                    raise _Passing("the server sent another part of the file than was asked for")
                have = have if resumed else 0
                length = int(answer.headers.get("Content-Length") or 0)
                total = have + length if length and not answer.headers.get("Content-Encoding") else 0
                _require_room(path.parent, total - have, urlsplit(url).netloc)
                if not resumed:
                    _begin(part, label, url, answer)
                with part.open("ab" if resumed else "wb") as file:
                    for chunk in self._chunks(answer, url, max_bytes - have, self.patience.whole_file):
                        file.write(chunk)
                        have += len(chunk)
                        if progress:
                            progress(have, total)
            if total and have != total:
                raise _Passing(f"the file ended after {have:,} of {total:,} bytes")
            try:
                if check:
                    check(part)
            except ValueError as error:
                part.unlink(missing_ok=True)
                raise _Passing(f"the file is damaged ({error})") from None

        try:
            self._patiently(url, attempt)
            part.replace(path)
            label.unlink(missing_ok=True)
        except OSError as error:  # of a disk; those of the network are told apart before
            raise storage_error(path, error.strerror or error, "make room, or set OPENDIFF_CACHE") from error

    def check_cancelled(self) -> None:
        if self.cancelled and self.cancelled():
            raise Cancelled("Fetching was cancelled; what is already fetched is kept.")

    def _patiently(self, url: str, attempt: Callable[[], T]) -> T:
        host, patience = urlsplit(url).netloc, self.patience
        unconnected = 0
        for tried in range(1, patience.attempts + 1):
            self.check_cancelled()
            try:
                return attempt()
            except _Passing as failure:
                unconnected += not failure.connected
                pause = failure.pause
                if unconnected >= patience.connections:
                    raise Unreachable(
                        f"{host} cannot be reached ({failure}); check the network, or {INSTEAD}.", host
                    ) from None
                if pause is not None and pause > patience.longest_pause:
                    raise SourceError(
                        f"{host} asks to wait {pause:,.0f} s before the next request; run the same again after that."
                    ) from None
                if tried == patience.attempts:
                    raise SourceError(
                        f"{host} failed {tried} times ({failure}); what is fetched is kept, so run the same again "
                        f"later, or {INSTEAD}."
                    ) from None
                first = patience.first_pause if failure.connected else min(1.0, patience.first_pause)
                grown = first * 2 ** (tried - 1) * (0.5 + self.jitter())
                self._wait(grown if pause is None else pause + 0.1 * self.jitter())
        raise AssertionError("unreachable")

    def _wait(self, seconds: float) -> None:
        """Sleep in short naps, so that Cancel is heard."""
        end = self.clock() + seconds
        while (left := end - self.clock()) > 0:
            self.check_cancelled()
            self.sleep(min(left, POLL_SECONDS))

    @contextmanager
    def _answer(
        self,
        url: str,
        kinds: tuple[str, ...],
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[requests.Response]:
        """An answer with a good status and content type, its body not yet read."""
        host = urlsplit(url).netloc
        try:
            answer = self._session().request(
                "GET" if form is None else "POST",
                url,
                data=form,
                headers=dict(headers or {}),
                timeout=(self.patience.connect, self.patience.read),
                stream=True,
            )
        except requests.exceptions.TooManyRedirects:
            raise SourceError(f"{host} redirects in a circle; check the address.") from None
        except (requests.exceptions.ConnectTimeout, requests.exceptions.ConnectionError) as error:
            raise _Passing(_reason(error), connected="Connection aborted" in str(error)) from None
        except requests.exceptions.Timeout as error:
            raise _Passing(_reason(error)) from None
        except requests.exceptions.RequestException as error:
            raise SourceError(f"{host} cannot be asked ({_reason(error)}); check the address.") from None
        with answer:
            if answer.status_code == 416:
                yield answer
                return
            _require_status(answer, host)
            kind = answer.headers.get("Content-Type", "").split(";")[0].strip().lower()
            if not kind.startswith(kinds):
                raise SourceError(
                    f"{host} sent {kind or 'something without a content type'} where {' or '.join(kinds)} was "
                    "expected; check the address, and that no proxy or login page answers in its place."
                )
            yield answer

    def _chunks(self, answer: requests.Response, url: str, max_bytes: int, seconds: float) -> Iterator[bytes]:
        host, left = urlsplit(url).netloc, max_bytes
        end = self.clock() + seconds
        if int(answer.headers.get("Content-Length") or 0) > max_bytes:
            raise _too_large(host, max_bytes)
        try:
            for chunk in answer.iter_content(CHUNK_BYTES):
                self.check_cancelled()
                left -= len(chunk)
                if left < 0:
                    raise _too_large(host, max_bytes)
                if self.clock() > end:
                    raise _Passing(f"the answer took more than {seconds:.0f} s")
                yield chunk
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _Passing(f"the connection was cut in the middle of an answer: {_reason(error)}") from None

    def _session(self) -> requests.Session:
        if not hasattr(self._own, "session"):
            session = requests.Session()
            session.headers["User-Agent"] = USER_AGENT
            session.max_redirects = MAX_REDIRECTS
            self._own.session = session
        return self._own.session


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header (RFC 9110: seconds or an HTTP date) asks for; None where it says nothing."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        then = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())


def _require_status(answer: requests.Response, host: str) -> None:
    code = answer.status_code
    if code in PASSING:
        raise _Passing(f"status {code}", retry_after(answer.headers.get("Retry-After")))
    if code in (404, 410):
        raise NotThere(f"{host} has nothing at {urlsplit(answer.url).path}; check the address.")
    if code in (401, 403):
        raise SourceError(f"{host} refuses the request (status {code}); check its terms and the address.")
    if code not in (200, 206):
        raise SourceError(f"{host} answered with status {code}; check the address.")


def _begun(part: Path, label: Path, url: str) -> tuple[int, str]:
    """Bytes that an earlier attempt left, and the version of the file they belong to; 0 where they cannot be used."""
    try:
        kept = json.loads(label.read_text(encoding="utf-8"))
        if kept["url"] == url and kept["version"]:
            return part.stat().st_size, str(kept["version"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, ""


def _begin(part: Path, label: Path, url: str, answer: requests.Response) -> None:
    """Note which version of the file the part belongs to; a weak ETag cannot vouch for bytes."""
    tag = answer.headers.get("ETag", "")
    version = answer.headers.get("Last-Modified", "") if tag.startswith("W/") or not tag else tag
    part.unlink(missing_ok=True)
    with replacing(label) as temporary:
        temporary.write_text(json.dumps({"url": url, "version": version}), encoding="utf-8")


def _starts_at(answer: requests.Response, have: int) -> bool:
    return answer.headers.get("Content-Range", "").strip().startswith(f"bytes {have}-")


def _require_room(folder: Path, needed: int, host: str) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise SourceError(
            f"The file of {host} needs {needed / 1e9:.1f} GB and {folder} has {free / 1e9:.1f} GB free; free space "
            "or set OPENDIFF_CACHE to another folder."
        )


def _too_large(host: str, max_bytes: int) -> TooLarge:
    return TooLarge(f"{host} sent more than {max_bytes / 1e6:,.0f} MB, the limit; check the address.")


def _reason(error: Exception) -> str:
    """What went wrong, without the wrappings of three libraries."""
    text = str(error)
    for sign, plain in (
        ("NameResolution", "its name is not known here"),
        ("Name or service not known", "its name is not known here"),
        ("refused", "connection refused"),
        ("unreachable", "no route to it"),
        ("timed out", "timed out"),
        ("CERTIFICATE", "its certificate is not trusted"),
        ("reset", "connection reset"),
        ("Remote end closed", "connection closed without an answer"),
        ("IncompleteRead", "it ended too early"),
    ):
        if sign in text:
            return plain
    return type(error).__name__
