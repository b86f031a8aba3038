"""Where this user's files lie on this platform: what was fetched, and what she saved."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from opendiff.errors import SourceError

NAME = "opendiff-planner"
MACOS = {"cache": "Caches", "data": "Application Support"}
LINUX = {"cache": ("XDG_CACHE_HOME", Path(".cache")), "data": ("XDG_DATA_HOME", Path(".local", "share"))}


def user_folder(kind: Literal["cache", "data"], environment: Mapping[str, str] = os.environ) -> Path:
    """Where the platform keeps a program's cache or data (the XDG base directories on Linux); it need not exist."""
    if sys.platform == "win32":
        home = Path(environment.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / MACOS[kind]
    else:
        variable, below_home = LINUX[kind]
        home = Path(environment.get(variable) or Path.home() / below_home)
    return home / NAME


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """OPENDIFF_CACHE or the user's cache folder, for what is fetched; made where it is missing. Raises SourceError."""
    folder = Path(environment.get("OPENDIFF_CACHE") or user_folder("cache", environment))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(
            f"The cache folder {folder} cannot be made ({error}); set OPENDIFF_CACHE to another."
        ) from None
    return folder
