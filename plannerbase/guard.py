"""Readers of strangers' files run in a process of their own, which can harm nobody.

A function that is `guarded` runs where it is called, as the command line wants it, until `start` was called, as the app
does. From then on every call goes to a new process, forked from a warm one (`plannerbase.reader`): it has no network,
may read only the program and the files that the call names, is held to limits on memory, processor time, open files
and file size (`plannerbase.sandbox`), and answers with plain values (`plannerbase.plain`), from which `unpack` makes
the typed result again, with its checks. It is killed when its time is over, on a busy machine after three times as
long. Only some run at once, and of one owner only some of these, so that others notice nothing.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from plannerbase.errors import Cancelled
from plannerbase.sandbox import Protection, protection
from plannerbase.text import Refused, one_line
from plannerbase.wire import Ended, TooLarge, receive, send

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
WAITING = 3  # a busy machine may take this many times the time of the processor
POLL_SECONDS = 0.1  # between two looks at whether the caller still wants it
WAIT_SECONDS = 120.0  # for a turn
RESULT, REFUSED, NO_MEMORY, UNEXPECTED = b"R", b"E", b"M", b"X"
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
    "PROJ_NETWORK": "OFF", "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none", "GDAL_VRT_ENABLE_PYTHON": "NO",
    "CPL_VSIL_USE_TEMP_FILE_FOR_RANDOM_WRITE": "NO", "GDAL_PAM_ENABLED": "NO", "OGR_SQLITE_CACHE": "0",
}  # fmt: skip


class ReaderError(RuntimeError):
    """A reader failed in a way that is a fault of ours; its traceback is in the log."""


@dataclass(frozen=True)
class Guarded:
    """A function that reads a stranger's file. family: its typed errors, the first of which tells that a limit was
    reached. seconds: of the processor that it may take, the settings' where it is None."""

    function: Callable[..., Any]
    family: tuple[type[Exception], ...]
    pack: Callable[[Any], Any]
    unpack: Callable[[Any], Any]
    seconds: float | None

    def error(self, name: str, sentence: str) -> Exception:
        """The typed error of this name, if it is one of the family."""
        known: dict[str, type[Exception]] = {}
        left: list[type[Exception]] = [Refused, *self.family]
        while left:
            kind = left.pop()
            known.setdefault(kind.__name__, kind)
            left += kind.__subclasses__()
        return known.get(name, self.family[0])(one_line(sentence))


@dataclass(frozen=True)
class Settings:
    """How files are read apart. modules: imported ahead. memory_bytes, seconds (of the processor): of one file.
    at_once: files, and of one owner; owner: tells whose the present call is."""

    modules: tuple[str, ...]
    memory_bytes: int = 2_000_000_000
    seconds: float = 60.0
    at_once: int = 4
    at_once_per_owner: int = 2
    owner: Callable[[], str] = lambda: ""


functions: dict[str, Guarded] = {}
_same: Callable[[Any], Any] = lambda value: value  # noqa: E731
_readers: Readers | None = None
_starting = threading.Lock()


def guarded(
    *family: type[Exception],
    pack: Callable[[Any], Any] = _same,
    unpack: Callable[[Any], Any] = _same,
    seconds: float | None = None,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function run in a reading process once `start` was called.

    Its arguments are plain values; those that are a `Path` may be read, and a `Path` that is called `into` may be
    written below. A callable `cancelled` stays here, and `Cancelled` is raised once it says so. pack, unpack: between
    its result and plain values; what `unpack` gets may be anything plain.
    """

    def wrap(function: Callable[P, T]) -> Callable[P, T]:
        name = f"{function.__module__}:{function.__qualname__}"
        functions[name] = Guarded(function, family, pack, unpack, seconds)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            if _readers is None:
                return function(*args, **kwargs)
            result: T = _readers.call(name, args, kwargs)
            return result

        return call

    return wrap


def start(settings: Settings) -> Protection:
    """Read files apart from now on, once for the process; returns what protects it. Where the system cannot fork, files
    are read in this process as before."""
    global _readers
    has = protection()
    with _starting:
        if _readers is None and has.apart:
            _readers = Readers(settings)
            log.log(logging.INFO if has.landlock and has.seccomp else logging.WARNING, "%s", has)
    return has


def warm() -> None:
    """Start the warm process and wait until it is ready, so that the first file does not."""
    if _readers is not None:
        _ready()


def stop() -> None:
    """Read files in this process again, and end the warm one."""
    global _readers
    with _starting:
        if _readers is not None:
            _readers.close()
        _readers = None


@guarded(ReaderError)
def _ready() -> None:
    """Nothing: a call that shows that reading works."""


class Readers:
    """The warm process and the turns at it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._warm: subprocess.Popen | None = None
        self._control: socket.socket | None = None
        self._lock = threading.Lock()
        self._turns = threading.Condition()
        self._running: Counter[str] = Counter()

    def call(self, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The result of a guarded function, read apart. Raises its typed errors."""
        entry = functions[name]
        cancelled = kwargs.pop("cancelled", None)
        request = {"function": name, "args": args, "kwargs": kwargs, "cancelled": cancelled is not None}
        private = tempfile.TemporaryDirectory(prefix="opendiff-read-", ignore_cleanup_errors=True)
        with self._turn(entry, cancelled), private as folder:
            return self._read(entry, request | {"folder": Path(folder).resolve()}, cancelled)

    def close(self) -> None:
        with self._lock:
            if self._control is not None:
                self._control.close()
            if self._warm is not None:
                self._warm.wait()
            self._control = self._warm = None

    @contextlib.contextmanager
    def _turn(self, entry: Guarded, cancelled: Callable[[], bool] | None) -> Iterator[None]:
        owner, most = self.settings.owner(), self.settings
        until = time.monotonic() + WAIT_SECONDS

        def free() -> bool:
            return self._running.total() < most.at_once and self._running[owner] < most.at_once_per_owner

        with self._turns:
            while not self._turns.wait_for(free, timeout=1.0):
                if cancelled is not None and cancelled():
                    raise Cancelled
                if time.monotonic() > until:
                    raise entry.error("", "The server is busy reading other files; try again in a minute.")
            self._running[owner] += 1
        try:
            yield
        finally:
            with self._turns:
                self._running[owner] -= 1
                self._running += Counter()  # without owners that have none
                self._turns.notify_all()

    def _read(self, entry: Guarded, request: dict[str, Any], cancelled: Callable[[], bool] | None) -> Any:
        seconds = entry.seconds or self.settings.seconds
        limits = {"memory_bytes": self.settings.memory_bytes, "cpu_seconds": math.ceil(seconds)}
        channel, process = self._begun()
        answered, began = threading.Event(), time.monotonic()
        watch = (process, answered, began + WAITING * seconds, cancelled)
        threading.Thread(target=_watch, args=watch, daemon=True, name="reading").start()
        try:
            with channel:
                send(channel, b"Q", request | {"limits": limits})
                kind, answer = receive(channel, self.settings.memory_bytes)
        except TooLarge:
            raise self._too_much(entry) from None
        except (Ended, OSError, ValueError) as error:
            if cancelled is not None and cancelled():
                raise Cancelled from None
            raise self._ended(entry, time.monotonic() - began >= seconds, seconds) from error
        finally:
            answered.set()
            process.close()
        return self._taken(entry, kind, answer)

    def _taken(self, entry: Guarded, kind: bytes, answer: Any) -> Any:
        """What a reading process answered, which is trusted in nothing."""
        if kind == NO_MEMORY:
            raise self._too_much(entry)
        if kind == REFUSED and isinstance(answer, list) and len(answer) == 2:
            raise entry.error(str(answer[0]), str(answer[1]))
        if kind == RESULT:
            try:
                return entry.unpack(answer)
            except (LookupError, TypeError, AttributeError) as error:
                raise ReaderError("A reader answered something else than its result.") from error
        log.error("A reader failed:\n%s", str(answer)[-4000:])
        raise ReaderError("A reader failed; see the log.")

    def _ended(self, entry: Guarded, late: bool, seconds: float) -> Exception:
        if late:
            return entry.error(
                "", f"The file takes longer than {seconds:g} seconds to read; give a smaller or simpler one."
            )
        return entry.error(
            "",
            "The file cannot be read: damage in it, or what it asked for, ended its reader; export it again.",
        )

    def _too_much(self, entry: Guarded) -> Exception:
        most = self.settings.memory_bytes / 1e9
        sentence = (
            f"The file needs more than the {most:.1f} GB of memory that one may take; give a smaller one."
        )
        return entry.error("", sentence)

    # --- the processes ---

    def _begun(self) -> tuple[socket.socket, _Process]:
        """A new reading process and the channel to it."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            for attempt in range(2):
                control = self._started()
                try:
                    socket.send_fds(control, [b"j"], [theirs.fileno()])
                    break
                except OSError:
                    if attempt:
                        raise
                    self._forget()
        try:
            head, descriptors, _, _ = socket.recv_fds(ours, 8, 1)
        except OSError:
            head, descriptors = b"", []
        if len(head) != 8:
            ours.close()
            raise ReaderError("The reading process did not start; see the log.")
        return ours, _Process(struct.unpack("=q", head)[0], descriptors[0] if descriptors else None)

    def _started(self) -> socket.socket:
        if self._control is not None and self._warm is not None and self._warm.poll() is None:
            return self._control
        self._forget()
        ours, theirs = socket.socketpair()
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "LANG", "LC_ALL", "LC_CTYPE")
        }
        kept |= ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        with theirs:
            self._warm = subprocess.Popen(
                [sys.executable, "-P", "-m", "plannerbase.reader", str(theirs.fileno()), *self.settings.modules],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=kept, cwd="/",
            )  # fmt: skip
        self._control = ours
        return ours

    def _forget(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._warm is not None and self._warm.poll() is None:
            self._warm.kill()
            self._warm.wait()
        self._control = self._warm = None


class _Process:
    """A reading process, to be killed. descriptor: its handle, where the system has such, which no other can get."""

    def __init__(self, number: int, descriptor: int | None) -> None:
        self._number, self._descriptor = number, descriptor
        self._lock, self._over = threading.Lock(), False

    def kill(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._over:
                return
            if self._descriptor is None:
                os.kill(self._number, signal.SIGKILL)
            else:
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def close(self) -> None:
        """Kill it for good."""
        self.kill()
        with self._lock:
            self._over = True
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None


def _watch(
    process: _Process, answered: threading.Event, until: float, cancelled: Callable[[], bool] | None
) -> None:
    """Kill a reading process when its time is over, or nobody wants it any more."""
    while not answered.wait(POLL_SECONDS if cancelled is not None else max(0.0, until - time.monotonic())):
        if time.monotonic() >= until or (cancelled is not None and cancelled()):
            process.kill()
            return
