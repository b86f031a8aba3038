"""Files of strangers are read in processes apart from the server's, see `plannerbase.guard`. Set by environment
variables:

OPENDIFF_MAX_READ_SECONDS   of the processor that one file may take (default 60; for packs, rasters and extracts
                            their readers say how long)
OPENDIFF_MAX_READ_GB        memory that reading one file may take (default: half of the machine's, on a shared server
                            an eighth, at most 3), GB
"""

from __future__ import annotations

import os

from app.server import access, limits
from app.server.settings import whole_number
from plannerbase import guard
from plannerbase.sandbox import Protection

READERS = (
    "opendiff.area.area",
    "opendiff.open_data.sources",
    "opendiff.open_data.base_map",
    "opendiff.live.imagery",
    "opendiff.live.population",
    "opendiff.poi.tables",
    "opendiff.poi.osm_files",
    "planning.network.files",
    "planning.deployment.places",
    "planning.csv_table",
    "planning.coverage.rasters",
    "plannerbase.counters",
    "plannerbase.cell_places",
    "plannerbase.traffic_file",
    "planning.measured_power",
    "planning.measured_traffic",
    "app.saved.files",
    "openpyxl",
    "pyarrow.dataset",
    "pyarrow.pandas_compat",
)
AT_ONCE, AT_ONCE_PER_OWNER = 4, 2
SHARED_GB = 3


def read_apart() -> Protection:
    """Let files be read apart from now on, once for a server; returns what protects it."""
    whole_gb = (
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9 if hasattr(os, "sysconf") else 8.0
    )
    default_gb = min(SHARED_GB, whole_gb / 8) if access.shared_server() else whole_gb / 2
    most_gb = whole_number("OPENDIFF_MAX_READ_GB", max(1, round(default_gb)))
    return guard.start(
        guard.Settings(
            READERS,
            memory_bytes=1_000_000_000 * most_gb,
            seconds=float(whole_number("OPENDIFF_MAX_READ_SECONDS", 60)),
            at_once=AT_ONCE,
            at_once_per_owner=AT_ONCE_PER_OWNER,
            owner=limits.reader,
        )
    )
