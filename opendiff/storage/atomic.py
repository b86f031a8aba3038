"""Files that are written whole or not at all, also by several processes at once."""

import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from opendiff.errors import StorageError
from plannerbase.locks import held


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it becomes `path`, on any failure it vanishes.

    The temporary name keeps the suffix, because some writers choose the format by it. The folder must exist. Raises
    StorageError, which is an OSError too, where the file cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        _give_usual_mode(temporary)
        os.replace(temporary, path)
    except StorageError:
        raise
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise storage_error(path, reason, "make room, or choose another place") from error
    finally:
        with suppress(OSError):  # of a folder that is gone or read-only
            temporary.unlink(missing_ok=True)


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


def write_json(path: str | Path, content: Any) -> None:
    """Write what JSON can hold, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


@contextmanager
def locked(path: str | Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock that one process or thread at a time can have; the system releases it when the process ends.

    path: a file for the lock alone, made where it is missing and left there. waiting: called while another holds the
    lock; may raise to give up.
    """
    try:
        file = Path(path).open("a+b")
    except OSError as error:
        raise storage_error(path, error.strerror, "check the permissions of its folder") from error
    with held(file, waiting):
        yield


def storage_error(path: str | Path, reason: object, remedy: str) -> StorageError:
    """That a file cannot be written, as one sentence."""
    error = StorageError(f"{path} cannot be written ({reason}); {remedy}.")
    error.strerror = str(reason)
    return error
