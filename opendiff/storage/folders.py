"""Where what was fetched is kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from opendiff.errors import SourceError
from plannerbase.folders import folder_of


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """OPENDIFF_CACHE or the user's cache folder, for what is fetched; made where it is missing. Raises SourceError."""
    return folder_of("OPENDIFF_CACHE", "cache", "", SourceError, environment)
