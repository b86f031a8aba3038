"""Files of measurements: a table of tiles, or an export of counters by cell, place or tile."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from opendiff.area.tile_grid import tile_at
from opendiff.errors import TableError
from opendiff.measurements import MBPS, RELATIVE, Measurements
from plannerbase.cell_places import read_cell_places
from plannerbase.counters import Counters, read_counters
from plannerbase.counting import counted
from plannerbase.report import Report
from plannerbase.served_area import CellPlaces, tiles_of_cells
from plannerbase.text import Refused

MAX_NETWORK_BYTES = 400_000_000


def read_measurements(
    path: str | Path,
    network: str | Path | None = None,
    mapping: dict[str, str] | None = None,
    timezone: str = "",
    unit: str = "",
    crs: str = "",
) -> Measurements:
    """Measured tiles of a file; see `plannerbase.counters.read_counters` for what it may hold.

    Parameters
    ----------
    network : file that says where the cells are, for counters by cell.
    mapping : our column -> the file's.
    timezone, unit : of the area, and of traffic whose heading states none.
    crs : of the network's positions.

    Raises
    ------
    TableError
        For a file that cannot be read, or that holds nothing measured.
    """
    path = Path(path)
    try:
        counters = read_counters(path, path.name, mapping, timezone, unit)
    except FileNotFoundError:
        raise TableError(f"There is no file {path}; name one with measurements.") from None
    except OSError as error:
        raise TableError(f"{path} cannot be read ({error.strerror or error}).") from None
    except Refused as error:
        raise TableError(f"{path.name} {error}.") from None
    places = None
    if network is not None:
        try:
            data = Path(network).read_bytes()
            places, report = read_cell_places(data, Path(network).name, crs=crs)
        except OSError as error:
            raise TableError(f"{network} cannot be read ({error.strerror or error}).") from None
        except Refused as error:
            raise TableError(f"{Path(network).name} {error}.") from None
        counters.report.extend(report)
    return measurements_of(counters, places, path.name)


def measurements_of(counters: Counters, places: CellPlaces | None, name: str) -> Measurements:
    """Measured tiles of counters; places: of the cells, for counters by cell. Raises TableError."""
    report = Report([*counters.report.entries])
    quantities: list[str] = [q for q in ("traffic", "users") if q in counters.values]
    if not quantities:
        found = ", ".join(counters.values)
        raise TableError(f"{name} measures {found} only; the generator is told traffic or users.")
    typical = {q: counters.typical(q) for q in quantities}
    values = {q: v for q, (v, _) in typical.items()}
    few = ~np.isfinite(values[quantities[0]]).all(axis=1)
    if few.any():
        what = {"cell": "cells", "place": "places", "tile": "tiles"}[counters.kind]
        report.left_out(f"{what} left out: too few hours of the week were measured", int(few.sum()))
    spread = typical[quantities[0]][1]
    unit = MBPS if counters.unit == MBPS else RELATIVE
    if counters.kind == "cell":
        if places is None and np.isfinite(counters.at).any():
            here = np.flatnonzero(np.isfinite(counters.at).all(axis=1))
            names = tuple(counters.names[i] for i in here)
            nowhere = np.full(len(here), np.nan)
            places = CellPlaces(names, counters.at[here, 0], counters.at[here, 1], nowhere, {})
            report.assumed("cells lie where the measurements say; they serve all directions", len(here))
        if places is None:
            raise TableError(
                f"{name} names cells and not where they are; give the network file as well (--network FILE)."
            )
        x, y, laid = _by_cell(counters, places, values, name, report)
        weeks = max(1, counters.hours // 168)
        noise = np.full(
            len(x), np.nanmedian(spread) / np.sqrt(weeks) if np.isfinite(spread).any() else np.nan
        )
    else:
        if counters.kind == "tile":
            of = counters.at.astype(np.int64)
        else:
            of = np.column_stack(tile_at(counters.at[:, 0], counters.at[:, 1]))
        x, y, laid, noise = _by_tile(of, values, spread, ~few)
    keep = np.isfinite(laid[quantities[0]]).all(axis=1) & (laid[quantities[0]].mean(axis=1) > 0)
    if (~keep).any():
        report.left_out("tiles without any traffic left out", int((~keep).sum()))
    if not keep.any():
        raise TableError(f"{name} measures no tile: no place or cell has enough hours.")
    kind = {168: "a typical week", 24: "a typical day", 1: "a mean without hours"}[counters.period]
    report.taken(f"measured tiles, {kind} each", int(keep.sum()))
    told = {q: laid[q][keep] for q in quantities}
    return Measurements.of(
        x[keep],
        y[keep],
        told.get("traffic"),
        told.get("users"),
        noise[keep],
        unit=unit,
        name=name,
        report=report,
    )


def _by_cell(
    counters: Counters, places: CellPlaces, values: dict[str, np.ndarray], name: str, report: Report
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    rows, column = places.rows_of(counters.names)
    known = rows >= 0
    if not known.any():
        raise TableError(
            f"No cell of {name} ({counted(len(rows), 'cells')}, first: {', '.join(counters.names[:3])}) is in the "
            f"network file (first: {', '.join(places.name[:3])}); map the column with the cells' names with "
            "--map cell=COLUMN."
        )
    report.taken(f"cells found in the network by {column}", int(known.sum()))
    if not known.all():
        lost = [counters.names[i] for i in np.flatnonzero(~known)[:3]]
        report.left_out("cells left out: the network file does not have them", int((~known).sum()), lost)
    laid: dict[str, np.ndarray] = {}
    x = y = np.empty(0, np.int64)
    for number, (quantity, table) in enumerate(values.items()):
        noted = report if number == 0 else Report()
        x, y, laid[quantity] = tiles_of_cells(places, rows[known], table[known], noted)
    return x, y, laid


def _by_tile(
    of: np.ndarray, values: dict[str, np.ndarray], spread: np.ndarray, good: np.ndarray
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Sums over the places of a tile."""
    rows = np.flatnonzero(good)
    tiles, number = np.unique(of[rows], axis=0, return_inverse=True)
    number = number.reshape(-1)
    laid = {}
    for quantity, table in values.items():
        total = np.zeros((len(tiles), table.shape[1]))
        np.add.at(total, number, table[rows])
        laid[quantity] = total
    noise = np.full(len(tiles), np.nan)
    np.fmax.at(noise, number, spread[rows])
    return tiles[:, 0], tiles[:, 1], laid, noise
