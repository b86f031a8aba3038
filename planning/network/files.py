"""Sites and cells from other tools' files, and a validation report of what was taken and what was left out.

Any format of `table_files` with any column names. The rows of an OpenCelliD CSV are cells, which are clustered into
sites; of an extract of OpenStreetMap only masts and towers of communication are sites.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from intake.guard import guarded
from intake.numbers import numbers_of
from intake.source import Source
from planning.errors import InputError
from planning.geometry import local_metres
from planning.network import CELL_COLUMNS, SITE_COLUMNS, Network, headings
from planning.network.rows import assumptions, sites_and_cells
from planning.network.table_files import read_bytes, read_tables

PREVIEW_ROWS = 3
CLUSTER_M = 50.0  # cells nearer than this to each other stand on one site (assumed)
OSM_MASTS = {  # column of an extract -> values that a site of a mobile network has
    "fclass": ("comms_tower", "tower_comms", "communications_tower", "communication_tower", "mast"),
    "man_made": ("communications_tower", "mast", "antenna"),
    "tower:type": ("communication",),
    "tower_type": ("communication",),
}  # fmt: skip


@dataclass(frozen=True)
class Imported:
    """network: what the file holds. mapping: our column -> the file's. report: sentences for the user: rows read,
    rows left out and why, what was assumed. provenance: of the export that the file was made by, if it says so."""

    network: Network
    mapping: dict[str, str]
    report: tuple[str, ...]
    provenance: dict


def guess_mapping(columns: Iterable[str]) -> dict[str, str]:
    """Our column -> the file's column, by its usual names (`headings`)."""
    return headings.guess_mapping(columns, (*SITE_COLUMNS, *CELL_COLUMNS))


def import_network(
    source: Source, name: str | None = None, mapping: dict[str, str] | None = None
) -> Imported:
    """A network from a path, or bytes and their file name. mapping: our column -> the file's, over what is guessed.

    Rows without a usable place are left out and counted in the report. Raises InputError where nothing is left.
    """
    return _import_bytes(*read_bytes(source, name), mapping)


def preview(data: bytes, name: str) -> tuple[list[str], pd.DataFrame]:
    """(names of the columns, first rows) of the largest table of a file; of our own layers, which need no mapping,
    nothing. Raises InputError."""
    columns, sample = _preview(data, name)
    return [str(c) for c in columns], sample


@guarded(InputError)
def _preview(data: bytes, name: str) -> tuple[list[str], pd.DataFrame]:
    tables, _ = read_tables(data, name)
    if {"sites", "cells"} <= set(tables):
        return [], pd.DataFrame()
    table = max(tables.values(), key=len)
    return [str(c) for c in table.columns], table.head(PREVIEW_ROWS)


def _to_plain(found: Imported) -> dict[str, Any]:
    return {
        "sites": found.network.sites, "cells": found.network.cells, "mapping": found.mapping,
        "report": found.report, "provenance": found.provenance,
    }  # fmt: skip


def _from_plain(plain: dict[str, Any]) -> Imported:
    """Raises InputError where the tables are no network."""
    network = Network.from_tables(plain["sites"], plain["cells"])
    report = tuple(str(line) for line in plain["report"])
    return Imported(network, dict(plain["mapping"]), report, dict(plain["provenance"]))


@guarded(InputError, pack=_to_plain, unpack=_from_plain)
def _import_bytes(data: bytes, name: str, mapping: dict[str, str] | None) -> Imported:
    tables, provenance = read_tables(data, name)
    report: list[str] = []
    if "sites" in tables and "cells" in tables:  # our own layers
        network = Network.from_tables(tables["sites"], _with_bools(tables["cells"]))
        report.append(f"{len(network.sites):,} sites and {len(network.cells):,} cells, with every figure.")
        return Imported(network, {}, tuple(report), provenance)
    frame, used = _located(tables, name, mapping, report)
    network = _network(frame, used, report)
    return Imported(network, used, tuple(report), provenance)


def import_points(
    source: Source, name: str | None = None, mapping: dict[str, str] | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """(one row a place with lon, lat and whatever else the file holds under our names; report).

    Of cells at one site, a row is the site. Raises InputError where no place is left.
    """
    data, name = read_bytes(source, name)
    tables, _ = read_tables(data, name)
    report: list[str] = []
    if "sites" in tables and "cells" in tables:
        tables = {"sites": tables["sites"]}
    frame, used = _located(tables, name, mapping, report)
    for ours, theirs_ in used.items():  # in our units
        if ours in headings.UNITS and ours not in ("lon", "lat", "azimuth"):
            frame[theirs_] = headings.quantities(frame[theirs_], ours, theirs_)
    theirs = {v: k for k, v in used.items()}
    frame = frame.rename(columns=theirs).loc[:, lambda f: ~f.columns.duplicated()]
    if "cell" in frame and "site" in frame:
        frame = frame.drop_duplicates("site").reset_index(drop=True)
    frame = frame.rename(columns=lambda c: str(c).lower() if str(c).lower() == "cost" else c)
    report.append(f"{len(frame):,} places.")
    return frame, report


def _located(
    tables: dict[str, pd.DataFrame], name: str, mapping: dict[str, str] | None, report: list[str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """(rows with a place, our column -> theirs) of the largest table."""
    frame = max(tables.values(), key=len)
    used = guess_mapping(frame.columns) | {k: v for k, v in (mapping or {}).items() if v}
    for ours, theirs in used.items():
        if theirs not in frame:
            raise InputError(
                f"{name} has no column {theirs!r} for {ours}; it has {', '.join(map(str, frame.columns[:12]))}."
            )
    missing = [c for c in ("lon", "lat") if c not in used]
    if missing:
        raise InputError(
            f"{name}: no column looks like {' or '.join(missing)} (found: "
            f"{', '.join(map(str, frame.columns[:12]))}); say which one it is in the column mapping."
        )
    frame = _masts(_placed(frame, used, name, report), name, report)
    if {"mcc", "net", "radio"} <= set(map(str.lower, map(str, frame.columns))):
        frame = _clustered(frame, report)
        used = {"lon": "lon", "lat": "lat", "site": "clustered", "cell": "cell", "technology": "technology"}
    return frame, used


def _masts(frame: pd.DataFrame, name: str, report: list[str]) -> pd.DataFrame:
    """Of an extract of OpenStreetMap the masts and towers of communication; any other table as it is."""
    if "osm_id" not in frame and not {"man_made", "tower:type"} & set(frame):
        return frame
    known = [c for c in OSM_MASTS if c in frame]
    if not known:
        return frame
    is_mast = np.zeros(len(frame), bool)
    for column in known:
        is_mast |= frame[column].isin(OSM_MASTS[column]).to_numpy()
    if not is_mast.any():
        raise InputError(
            f"{name} holds no communication mast or tower among its {len(frame):,} OpenStreetMap places."
        )
    report.append(
        f"OpenStreetMap: {int(is_mast.sum()):,} masts and towers of communication; the map may lack many."
    )
    return frame[is_mast].reset_index(drop=True)


def cluster_sites(lon: np.ndarray, lat: np.ndarray, metres: float = CLUSTER_M) -> np.ndarray:
    """(rows,) number of the site each place belongs to: places of a grid cell of `metres` merge, then complete
    linkage inside 3 x 3 such cells keeps every site narrower than `metres`."""
    points = local_metres(lon, lat, (float(np.mean(lon)), float(np.mean(lat))))
    unique, place = np.unique(points.round(2), axis=0, return_inverse=True)
    pairs = cKDTree(unique).query_pairs(metres, output_type="ndarray")
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(unique),) * 2)
    parts, part = connected_components(graph, directed=False)
    label, base = np.zeros(len(unique), int), 0
    order = np.argsort(part, kind="stable")
    for mine in np.split(order, np.searchsorted(part[order], np.arange(1, parts))):
        inner = np.ones(1, int)
        if 1 < len(mine) <= 4000:  # a chain of near places is cut where it grows wider than the limit
            inner = fcluster(linkage(unique[mine], "complete"), metres, "distance")
        label[mine] = base + inner
        base += int(inner.max())
    return np.unique(label[place.ravel()], return_inverse=True)[1]


def _placed(frame: pd.DataFrame, used: dict[str, str], name: str, report: list[str]) -> pd.DataFrame:
    place = {c: numbers_of(frame[used[c]]) for c in ("lon", "lat")}
    good = (np.abs(place["lon"]) <= 180) & (np.abs(place["lat"]) <= 85)
    report.append(f"{len(frame):,} rows read.")
    if not good.all():
        first = int((~good).argmax()) + 1
        report.append(
            f"{int((~good).sum()):,} rows left out: no longitude and latitude in degrees (first: row {first})."
        )
    if not good.any():
        raise InputError(
            f"No row of {name} has a longitude and latitude in degrees, WGS-84; check the column mapping."
        )
    return frame.assign(**{used["lon"]: place["lon"], used["lat"]: place["lat"]})[good].reset_index(drop=True)


def _clustered(frame: pd.DataFrame, report: list[str]) -> pd.DataFrame:
    frame = frame.rename(columns=str.lower)
    site = cluster_sites(frame["lon"].to_numpy(), frame["lat"].to_numpy())
    parts = frame[["radio", "mcc", "net", "area", "cell"]].astype(object)
    names = parts.where(parts.notna(), "").astype(str).agg("-".join, axis=1)
    centre = frame.groupby(site)[["lon", "lat"]].transform("mean")
    estimated = int((frame.get("changeable", pd.Series(0, index=frame.index)) == 1).sum())
    report.append(
        f"OpenCelliD: cells within {CLUSTER_M:g} m stand on one site (assumed); {estimated:,} positions are estimates."
    )
    kind = frame["radio"].astype(str).str.upper()
    older = int(kind.isin(["GSM", "UMTS", "CDMA"]).sum())
    if older:
        report.append(f"{older:,} cells of 2G and 3G take the energy figures of 4G equipment (assumed).")
    return pd.DataFrame(
        {"clustered": [f"OCID{i + 1:06d}" for i in site], "cell": names, "technology": kind}
    ).assign(lon=centre["lon"].to_numpy(), lat=centre["lat"].to_numpy())


def _network(frame: pd.DataFrame, used: dict[str, str], report: list[str]) -> Network:
    sites, cells = sites_and_cells(frame, used, report)
    network = Network.from_tables(sites, cells)
    if sentence := assumptions(network.cells):
        report.append(sentence)
    report.append(f"{len(network.sites):,} sites and {len(network.cells):,} cells.")
    return network


def _with_bools(cells: pd.DataFrame) -> pd.DataFrame:
    """Yes and no as whatever a format writes for them."""
    if "is_coverage" not in cells:
        return cells
    text = cells["is_coverage"].astype(str).str.lower()
    return cells.assign(is_coverage=text.isin(["true", "1", "1.0", "yes"]).to_numpy())
