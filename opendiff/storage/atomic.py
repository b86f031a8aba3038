"""`plannerbase.atomic` with the errors of this package."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from opendiff.errors import StorageError
from plannerbase import atomic
from plannerbase.atomic import NotWritten


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """See `plannerbase.atomic.replacing`. Raises StorageError, which is an OSError too."""
    try:
        with atomic.replacing(path, (OSError, SafetensorError)) as temporary:
            yield temporary
    except NotWritten as error:
        if isinstance(error.__cause__, StorageError):
            raise error.__cause__ from None
        raise storage_error(path, error.reason, "make room, or choose another place") from error


def write_json(path: str | Path, content: Any) -> None:
    """Write what JSON can hold, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


@contextmanager
def locked(path: str | Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """See `plannerbase.atomic.locked`. Raises StorageError."""
    try:
        with atomic.locked(path, waiting):
            yield
    except NotWritten as error:
        raise storage_error(path, error.reason, "check the permissions of its folder") from error


def storage_error(path: str | Path, reason: object, remedy: str) -> StorageError:
    """That a file cannot be written, as one sentence."""
    error = StorageError(f"{path} cannot be written ({reason}); {remedy}.")
    error.strerror = str(reason)
    return error
