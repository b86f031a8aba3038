"""What a hostile file is, for `hostile_databases` and `hostile_files`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Make = Callable[[Path, int], bytes]  # (path of the secret, megabytes)


@dataclass(frozen=True)
class Hostile:
    """name: of the upload, whose ending tells the format. reader: of the app, see `hostile_reading`. make: the file.
    harmless: what harms in it is left behind, and the rest may be taken."""

    name: str
    reader: str
    make: Make
    harmless: bool = False
