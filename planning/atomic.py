"""`plannerbase.atomic` with the errors of this package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyogrio

from plannerbase.atomic import NotWritten, replacing
from planning.errors import InputError

FAULTS = (OSError, pyogrio.errors.DataSourceError, pyogrio.errors.FeatureError, RuntimeError)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Call write(temporary path) beside `path`, then move the result into place: whole or not at all.

    Raises InputError where the place cannot be written.
    """
    try:
        with replacing(path, FAULTS, same_name=True) as part:
            write(part)
    except NotWritten as error:
        raise InputError(f"{error}; choose another place.") from error
