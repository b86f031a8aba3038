"""HTTP for other people's servers: polite, and patient within stated limits.

What may pass (a time-out, a cut connection, 429, 5xx) is tried again after a growing, jittered pause, or after the
pause that the server asks for. What will not pass is one sentence that names the host and the remedy. Files that are
larger than memory: `opendiff.live.download`.
"""

from __future__ import annotations

import email.utils
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from opendiff import __version__
from opendiff.errors import Cancelled, SourceError

USER_AGENT = f"opendiff-planner/{__version__} (network planning on open data)"
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # status codes that another attempt may mend
CHUNK_BYTES = 1 << 16
MAX_REDIRECTS = 5
POLL_SECONDS = 0.1  # between two looks whether to stop
# what the message of an error holds, and what that means to who reads ours
REASONS = (
    ("NameResolution", "its name is not known here"),
    ("Name or service not known", "its name is not known here"),
    ("refused", "connection refused"),
    ("unreachable", "no route to it"),
    ("timed out", "timed out"),
    ("CERTIFICATE", "its certificate is not trusted"),
    ("reset", "connection reset"),
    ("Remote end closed", "connection closed without an answer"),
    ("IncompleteRead", "it ended too early"),
)
INSTEAD = "use the bundled region (demo), an offline data package, or your own files"


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
    first_pause: float = 1.0  # doubled each time; at most 1 s where there was no connection
    longest_pause: float = 120.0  # that a Retry-After may ask for; a longer one ends the attempts


T = TypeVar("T")


class Passing(Exception):
    """An attempt failed in a way that may pass. pause: seconds that the server asked for; connected: whether it was
    reached at all."""

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
            with self.answer(url, kinds, form=form) as answer:
                body = b"".join(self.chunks(answer, url, max_bytes, self.patience.whole))
            try:
                if check:
                    check(body)
            except ValueError as error:
                raise Passing(f"the answer is damaged ({error})") from None
            return body

        return self.patiently(url, attempt)

    def check_cancelled(self) -> None:
        """Raises Cancelled where the caller asked to stop."""
        check_cancelled(self.cancelled)

    def patiently(self, url: str, attempt: Callable[[], T]) -> T:
        """What `attempt` returns, tried again while it raises Passing and patience lasts. Raises SourceError
        (Unreachable) and Cancelled."""
        host, patience = urlsplit(url).netloc, self.patience
        unconnected = 0
        for tried in range(1, patience.attempts + 1):
            self.check_cancelled()
            try:
                return attempt()
            except Passing as failure:
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
    def answer(
        self,
        url: str,
        kinds: tuple[str, ...],
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[requests.Response]:
        """An answer with a good status and content type, its body not yet read; one of status 416 (no such range) as it
        is. Raises Passing and SourceError (NotThere)."""
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
            raise Passing(_reason(error), connected="Connection aborted" in str(error)) from None
        except requests.exceptions.Timeout as error:
            raise Passing(_reason(error)) from None
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

    def chunks(self, answer: requests.Response, url: str, max_bytes: int, seconds: float) -> Iterator[bytes]:
        """The body of an answer, piece by piece; seconds: it may take in all. Raises Passing, TooLarge, Cancelled."""
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
                    raise Passing(f"the answer took more than {seconds:.0f} s")
                yield chunk
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise Passing(f"the connection was cut in the middle of an answer: {_reason(error)}") from None

    def _session(self) -> requests.Session:
        if not hasattr(self._own, "session"):
            session = requests.Session()
            session.headers["User-Agent"] = USER_AGENT
            session.max_redirects = MAX_REDIRECTS
            self._own.session = session
        return self._own.session


def check_cancelled(cancelled: Callable[[], bool] | None) -> None:
    """Raises Cancelled where `cancelled`, if there is one, says so."""
    if cancelled and cancelled():
        raise Cancelled("Fetching was cancelled; what is already fetched is kept.")


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
        raise Passing(f"status {code}", retry_after(answer.headers.get("Retry-After")))
    if code in (404, 410):
        raise NotThere(f"{host} has nothing at {urlsplit(answer.url).path}; check the address.")
    if code in (401, 403):
        raise SourceError(f"{host} refuses the request (status {code}); check its terms and the address.")
    if code not in (200, 206):
        raise SourceError(f"{host} answered with status {code}; check the address.")


def _too_large(host: str, max_bytes: int) -> TooLarge:
    return TooLarge(f"{host} sent more than {max_bytes / 1e6:,.0f} MB, the limit; check the address.")


def _reason(error: Exception) -> str:
    """What went wrong, without the wrappings of three libraries."""
    text = str(error)
    for sign, plain in REASONS:
        if sign in text:
            return plain
    return type(error).__name__
