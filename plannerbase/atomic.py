"""Files that are written whole or not at all, also by several processes at once."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plannerbase.locks import held


class NotWritten(OSError):
    """A file cannot be written. path: the file; reason: why, in words."""

    def __init__(self, path: str | Path, reason: object) -> None:
        super().__init__(f"{path} cannot be written ({reason})")
        self.path, self.reason = Path(path), str(reason)


@contextmanager
def replacing(
    path: str | Path, faults: tuple[type[Exception], ...] = (OSError,), same_name: bool = False
) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it becomes `path`, on any failure it vanishes.

    The temporary name keeps the suffix, because some writers choose the format by it. The folder must exist.

    Parameters
    ----------
    faults : exceptions of the writer that mean that the file cannot be written
    same_name : whether the writer sees the file's own name, in a folder of its own, because it puts the name into
        the file or makes further files beside it

    Raises
    ------
    NotWritten
        Where the file cannot be written.
    """
    path = Path(path)
    other = path.parent / f".{path.stem}.{secrets.token_hex(4)}{'' if same_name else path.suffix}"
    temporary = other / path.name if same_name else other
    try:
        if same_name:
            other.mkdir(0o700)
        yield temporary
        _give_usual_mode(temporary)
        os.replace(temporary, path)
    except NotWritten:
        raise
    except faults as error:
        reason = getattr(error, "strerror", None) or str(error).replace(f"{other}{os.sep}", "")
        raise NotWritten(path, reason) from error
    finally:
        if same_name:
            shutil.rmtree(other, ignore_errors=True)
        with suppress(OSError):  # of a folder that is gone or read-only
            temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: str | Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock that one process or thread at a time can have; the system releases it when the process ends.

    path: a file for the lock alone, made where it is missing and left there. waiting: called while another holds the
    lock; may raise to give up. Raises NotWritten.
    """
    try:
        file = Path(path).open("a+b")
    except OSError as error:
        raise NotWritten(path, error.strerror) from error
    with held(file, waiting):
        yield


def _give_usual_mode(path: Path) -> None:
    """What the umask leaves to a new file: safetensors makes files that their owner alone may read."""
    if path.stat().st_mode & 0o777 != 0o600:
        return
    probe = path.with_name(f"{path.name}.mode")
    try:
        probe.touch()
        path.chmod(probe.stat().st_mode & 0o777)
    finally:
        probe.unlink(missing_ok=True)
