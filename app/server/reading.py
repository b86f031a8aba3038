"""Files of strangers are read in processes apart from the server's, see `intake.guard`. Set by environment variables:

OPENDIFF_MAX_READ_SECONDS   that one file may take (default 60; packs, rasters and extracts have limits of their own)
OPENDIFF_MAX_READ_GB        memory that reading one file may take (default: half of the machine's, on a shared server
                            an eighth, at most 3)
"""

from __future__ import annotations

import os

from app.server import limits
from intake import guard
from intake.sandbox import Protection

READERS = (
    "opendiff.area.area",
    "opendiff.traffic_table",
    "opendiff.open_data.sources",
    "opendiff.live.imagery",
    "opendiff.live.population",
    "opendiff.poi.csv_files",
    "opendiff.poi.osm_files",
    "planning.network.files",
    "planning.deployment.places",
    "planning.traffic_file",
    "planning.csv_table",
    "app.saved.files",
    "openpyxl",
    "pyarrow.dataset",
    "pyarrow.pandas_compat",
)
AT_ONCE, AT_ONCE_PER_OWNER = 4, 2
SHARED_GB = 3.0


def read_apart() -> Protection:
    """Let files be read apart from now on, once for a server; returns what protects it."""
    whole_gb = (
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9 if hasattr(os, "sysconf") else 8.0
    )
    default_gb = min(SHARED_GB, whole_gb / 8) if limits.shared() else whole_gb / 2
    return guard.start(
        guard.Settings(
            READERS,
            memory_bytes=int(1e9 * _number("OPENDIFF_MAX_READ_GB", default_gb)),
            seconds=_number("OPENDIFF_MAX_READ_SECONDS", 60.0),
            at_once=AT_ONCE,
            at_once_per_owner=AT_ONCE_PER_OWNER,
            owner=limits.reader,
        )
    )


def _number(name: str, default: float) -> float:
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        from planning.errors import InputError

        raise InputError(f"{name} is {text!r}; set it to a number above 0, or leave it out.")
    return value
