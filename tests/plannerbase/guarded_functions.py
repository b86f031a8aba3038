"""What a reader could be made to try, for `test_guard`."""

import os
import socket
import subprocess
import threading
from pathlib import Path

import numpy as np

from plannerbase.guard import guarded


class FileError(Exception):
    """The typed error of these readers."""


class KindOfFileError(FileError):
    """One of its kinds."""


@guarded(FileError)
def echo(*values):
    return list(values)


@guarded(FileError)
def read(path: Path | str):
    return Path(path).read_text()


@guarded(FileError)
def listed(path: str):
    return os.listdir(path)


@guarded(FileError)
def write(name: str, into: Path | None = None):
    place = Path(name) if into is None else into / name
    place.write_text("x")


@guarded(FileError)
def allocate(size: int):
    return int(np.ones(size, np.uint8).sum())


@guarded(FileError)
def result_of(size: int):
    return np.zeros(size, np.uint8)


@guarded(FileError, seconds=0.5)
def endless(cancelled=None):
    while True:
        pass


@guarded(FileError, seconds=600)
def patient(cancelled=None):
    while True:
        pass


@guarded(FileError)
def refuse(text: str):
    raise KindOfFileError(text)


@guarded(FileError)
def fail():
    raise KeyError("a fault of ours")


@guarded(FileError)
def recurse():
    return recurse()


@guarded(FileError)
def end():
    os.abort()


@guarded(FileError, unpack=lambda value: value["there"])
def lie():
    return {"here": 1}


@guarded(FileError)
def environment():
    return dict(os.environ)


@guarded(FileError)
def start_thread():
    found = []
    thread = threading.Thread(target=found.append, args=(1,))
    thread.start()
    thread.join()
    return found


@guarded(FileError)
def reach_out(way: str, number: int):
    """Whatever the kernel answers, as the name of the exception."""
    ways = {
        "socket": lambda: socket.socket(),
        "local socket": lambda: socket.socket(socket.AF_UNIX),
        "name": lambda: socket.getaddrinfo("localhost", 80),
        "program": lambda: subprocess.run(["/bin/true"], check=True),
        "fork": os.fork,
        "signal": lambda: os.kill(number, 0),
        "signal to all": lambda: os.kill(-1, 0),
        "handle": lambda: os.pidfd_open(number),
        "permissions": lambda: os.chmod("/tmp", 0o1777),
        "owner": lambda: os.chown("/tmp", 0, 0),
        "time": lambda: os.utime("/tmp"),
        "memory": lambda: Path(f"/proc/{number}/mem").open("rb"),
        "environment": lambda: Path(f"/proc/{number}/environ").read_bytes(),
        "root": lambda: os.chroot("/"),
        "more files": lambda: [open(os.devnull) for _ in range(1000)],
        "large file": lambda: Path("large").write_bytes(bytes(10**7)) and os.truncate("large", 10**11),
    }
    try:
        ways[way]()
    except OSError as error:
        return type(error).__name__
    return ""
