"""Where this user's files lie on this platform: what was fetched, and what she saved."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

NAME = "opendiff-planner"
MACOS = {"cache": "Caches", "data": "Application Support"}
LINUX = {"cache": ("XDG_CACHE_HOME", Path(".cache")), "data": ("XDG_DATA_HOME", Path(".local", "share"))}
Kind = Literal["cache", "data"]


def user_folder(kind: Kind, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the platform keeps a program's cache or data (the XDG base directories on Linux); it need not exist."""
    if sys.platform == "win32":
        home = Path(environment.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / MACOS[kind]
    else:
        variable, below_home = LINUX[kind]
        home = Path(environment.get(variable) or Path.home() / below_home)
    return home / NAME


def folder_of(
    variable: str,
    kind: Kind,
    below: str,
    refused: type[Exception],
    environment: Mapping[str, str] = os.environ,
) -> Path:
    """The folder that an environment variable names, or one below the user's; made where it is missing.

    Raises `refused`, with one sentence, where it cannot be made.
    """
    folder = Path(environment.get(variable) or user_folder(kind, environment) / below)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise refused(f"The folder {folder} cannot be made ({reason}); set {variable} to another.") from error
    return folder
