"""Uploaded measurements: counters of cells, places or tiles, with the network that says where cells are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.state.inputs import Upload
from app.state.slots import Slot
from app.state.workspace import Workspace
from opendiff.errors import TableError

if TYPE_CHECKING:
    from opendiff.measurements import Measurements
    from plannerbase.counters import Counters
    from planning.traffic import TrafficTable

FILE, NETWORK = "measurements", "measured network"  # keys of the uploads
READ: Slot[Measured] = Slot()  # where a workspace holds what was read
COLUMNS = {
    "cell": "Cell", "time": "Date-time", "traffic": "Traffic", "users": "Users", "prb": "PRB use", "energy": "Energy",
}  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """What uploads measure. counters: as they were read; tiles: the same by tile."""

    counters: Counters
    tiles: Measurements


def read_measured(
    file: Upload,
    network: Upload | None = None,
    mapping: dict[str, str] | None = None,
    timezone: str = "",
    unit: str = "",
) -> Measured:
    """Both forms of an upload. Raises TableError."""
    from opendiff.measured_files import measurements_of
    from plannerbase.cell_places import read_cell_places
    from plannerbase.text import Refused

    counters, places = _counters(file, mapping, timezone, unit), None
    if network is not None:
        try:
            places, report = read_cell_places(network.data, network.name)
        except Refused as error:
            raise TableError(f"{network.name} {error}.") from None
        counters.report.extend(report)
    return Measured(counters, measurements_of(counters, places, file.name))


def cell_counters(space: Workspace) -> Counters | None:
    """The counters of cells that were uploaded, as they were read last; None without any."""
    if FILE not in space.uploads:
        return None
    read = space.last_cached(READ)
    counters: Counters = _counters(space.uploads[FILE], None, "", "") if read is None else read.counters
    return counters if counters.kind == "cell" else None


def read_table(file: Upload) -> TrafficTable:
    """Measured traffic of tiles or places as a traffic table, one sample.

    Raises TableError, which names the columns that were found, or PlanningError.
    """
    import numpy as np

    from opendiff.measured_files import measurements_of
    from planning.errors import InputError
    from planning.traffic import TrafficTable

    try:
        return TrafficTable.read(file.data, file.name)
    except InputError as error:
        if "lacks the column" not in str(error) and "neither Parquet nor" not in str(error):
            raise
    told = measurements_of(_counters(file, None, "", ""), None, file.name)
    hours = told.traffic.shape[1]
    rows = told.has_traffic
    if not rows.any():
        raise TableError(f"{file.name} measures users only; the comparison needs traffic.")
    week = np.tile(told.traffic[rows], (1, 168 // hours))
    return TrafficTable.from_arrays(told.x[rows], told.y[rows], week, metadata={"unit": told.unit})


def _counters(file: Upload, mapping: dict[str, str] | None, timezone: str, unit: str) -> Counters:
    from plannerbase.counters import read_counters
    from plannerbase.text import Refused

    try:
        return read_counters(file.data, file.name, mapping, timezone, unit)
    except Refused as error:
        raise TableError(f"{file.name} {error}.") from None
