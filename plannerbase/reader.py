"""The warm process that readers of strangers' files are forked from: `python -m plannerbase.reader SOCKET MODULE...`.

It imports what readers need, then forks a process for each file that it is handed a socket for, and reads nothing
itself. A forked process takes its request, closes itself in (`plannerbase.sandbox`), runs one guarded function and
ends. It has nothing of the server's: no memory, no environment, no open file.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import socket
import struct
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plannerbase import guard, plain, sandbox, wire
from plannerbase.text import Refused

MAX_REQUEST_BYTES = 10_000_000_000
NICE = 5  # a server that answers people goes first


def main(argv: list[str]) -> None:
    """Fork a reader for each socket that comes in, until the server is gone."""
    control = socket.socket(fileno=int(argv[0]))
    for module in argv[1:]:
        importlib.import_module(module)
    folders = sandbox.program_folders([*argv[1:], "plannerbase"])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # what ends is gone
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal; the server ends us by its socket
    gc.collect()
    gc.freeze()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        if os.fork() == 0:
            control.close()
            try:
                _serve(socket.socket(fileno=descriptors[0]), folders)
            finally:
                os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


def _serve(channel: socket.socket, program: list[Path]) -> None:
    """Read one file and answer."""
    sandbox.end_with_parent()
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 2)  # what libraries grumble about
    _introduce(channel)
    _, request = wire.receive(channel, MAX_REQUEST_BYTES)
    module = request["function"].partition(":")[0]
    importlib.import_module(module)
    folder, args, kwargs = request["folder"], request["args"], request["kwargs"]
    readable = [path for path in _paths([*args, *kwargs.values()]) if path.exists()]
    os.umask(0o077)
    os.chdir(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    os.nice(NICE)
    writable = [folder, *(path for name, path in kwargs.items() if name == "into")]
    sandbox.limit_resources(sandbox.Limits(**request["limits"]))
    sandbox.close_in([*program, *readable], writable)
    wire.send(channel, *_answer(guard.functions[request["function"]], args, kwargs, request["cancelled"]))


def _introduce(channel: socket.socket) -> None:
    """Tell by what number, and if there is one by what handle, this process can be killed."""
    number = os.getpid()
    handles = []
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            handles = [os.pidfd_open(number)]
    socket.send_fds(channel, [struct.pack("=q", number)], handles)
    for handle in handles:
        os.close(handle)


def _answer(entry: guard.Guarded, args: tuple, kwargs: dict[str, Any], cancelled: bool) -> tuple[bytes, Any]:
    """(kind, plain value) of what the function returned or raised."""
    if cancelled:
        kwargs = kwargs | {"cancelled": None}  # it is killed instead
    typed: tuple[type[Exception], ...] = (Refused, *entry.family)
    try:
        result = entry.pack(entry.function(*args, **kwargs))
        plain.encode(result)
        return guard.RESULT, result
    except MemoryError:
        return guard.NO_MEMORY, None
    except RecursionError:
        return guard.REFUSED, ["", "The file is nested too deeply to be read; export it again."]
    except typed as error:
        return guard.REFUSED, [type(error).__name__, str(error)]
    except Exception:
        return guard.UNEXPECTED, traceback.format_exc()


def _paths(values: list[Any]) -> Iterator[Path]:
    for value in values:
        if isinstance(value, Path):
            yield value.resolve()
        elif isinstance(value, list | tuple):
            yield from _paths(list(value))


if __name__ == "__main__":
    main(sys.argv[1:])
