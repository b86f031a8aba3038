"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyogrio

from planning.errors import InputError


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Call write(temporary path) beside `path`, then move the result into place: whole or not at all.

    Raises InputError where the place cannot be written.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=".writing-", dir=path.resolve().parent))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); choose another folder.") from error
    try:
        part = folder / path.name
        write(part)
        os.replace(part, path)
    except (OSError, pyogrio.errors.DataSourceError, pyogrio.errors.FeatureError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).replace(str(folder), "")
        raise InputError(f"{path} cannot be written ({reason}); choose another place.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
