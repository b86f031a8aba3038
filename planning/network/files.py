"""Sites and cells from other tools' files, and a validation report of what was taken, fixed, left out and assumed.

Any format of `plannerbase.layers` with any column names. The rows of an OpenCelliD CSV are cells, which are clustered
into sites; of an extract of OpenStreetMap only masts and towers of communication are sites.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from plannerbase.counting import counted
from plannerbase.guard import guarded
from plannerbase.headings import place_columns
from plannerbase.layers import Contents, chosen
from plannerbase.report import Report
from plannerbase.source import Source
from plannerbase.text import Refused
from planning.errors import InputError
from planning.network import Network, located
from planning.network.cell_databases import (
    cell_codes,
    chosen_network,
    cluster_sites,
    clustered,
    operators,
    with_codes,
)
from planning.network.rows import assumptions, attributes, sites_and_cells
from planning.network.table_files import is_own, read_bytes, read_contents

__all__ = [
    "WHOLE",
    "Choice",
    "Imported",
    "Preview",
    "cluster_sites",
    "guess_mapping",
    "import_network",
    "import_points",
    "preview",
]
PREVIEW_ROWS = 3
OSM_MASTS = {  # column of an extract -> values that a site of a mobile network has
    "fclass": ("comms_tower", "tower_comms", "communications_tower", "communication_tower", "mast"),
    "man_made": ("communications_tower", "mast", "antenna"),
    "tower:type": ("communication",),
    "tower_type": ("communication",),
}  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """What of a file is meant. mapping: our column -> the file's, over what is guessed. layer: its sheet or layer, all
    with places where it is "". network: its operator as "460-0" or a name. crs: the reference system of positions that
    do not state theirs. box: W, S, E, N in degrees beyond which rows are left out unread."""

    mapping: dict[str, str] = field(default_factory=dict)
    layer: str = ""
    network: str = ""
    crs: str = ""
    box: tuple[float, float, float, float] | None = None


WHOLE = Choice()  # all tables of a file, as its headings say


@dataclass(frozen=True)
class Imported:
    """network: what the file holds. mapping: our column -> the file's. report: what was taken, fixed, left out and
    assumed. provenance: of the export that the file was made by, if it says so."""

    network: Network
    mapping: dict[str, str]
    report: Report
    provenance: dict


@dataclass(frozen=True)
class Preview:
    """columns: of the largest table with places, none for our own exports. sample: its first rows. layers: sheets and
    layers with rows. networks: operators, most rows first."""

    columns: list[str]
    sample: pd.DataFrame
    layers: list[str]
    networks: list[str]


def guess_mapping(columns: Iterable[str]) -> dict[str, str]:
    """Our column -> the file's column, by its usual names: those of positions as the import finds them."""
    listed = list(columns)
    places = {ours: theirs for ours, theirs in place_columns(listed).items() if ours in ("lon", "lat")}
    return places | located.guess_mapping(pd.Index(listed))


def import_network(
    source: Source, name: str | None = None, mapping: dict[str, str] | None = None, choice: Choice = WHOLE
) -> Imported:
    """A network from a path, or bytes and their file name. mapping: as `choice.mapping`.

    Rows without a usable place are left out and counted in the report. Raises InputError where nothing is left.
    """
    data, name = read_bytes(source, name)
    return _import_bytes(data, name, _asked(choice, mapping))


def preview(data: bytes, name: str, layer: str = "") -> Preview:
    """What a file holds, so that somebody can choose. Raises InputError."""
    return _preview(data, name, layer)


def import_points(
    source: Source, name: str | None = None, mapping: dict[str, str] | None = None, choice: Choice = WHOLE
) -> tuple[pd.DataFrame, Report]:
    """(one row a place with lon, lat and whatever else the file holds under our names; report).

    Rows of one site or of one place are one place. Raises InputError where no place is left.
    """
    data, name = read_bytes(source, name)
    asked = Choice(**_asked(choice, mapping))
    report = Report()
    contents = _chosen(data, name, asked, report)
    if is_own(contents):
        contents = Contents({"sites": contents.layers["sites"]}, contents.about, contents.report)
    table, _ = _whole(contents, name, asked, report)
    if "site" in table:
        named = table["site"].astype(str).to_numpy(object) != ""
    else:
        named = np.zeros(len(table), bool)
    place = table[["lon", "lat"]].round(6).astype(str).agg(" ".join, axis=1).to_numpy(object)
    key = np.where(named, table["site"].astype(str).to_numpy(object) if "site" in table else "", place)
    doubled = pd.Series(key).duplicated().to_numpy()
    if doubled.any():
        report.fixed("rows name a site or a place again: rows of one site are one place", int(doubled.sum()))
    stood_on = pd.Series(place).duplicated().to_numpy() & ~doubled
    if stood_on.any():
        report.fixed(
            "rows repeat the very place of another: rows of one place are one place",
            int(stood_on.sum()),
            table.loc[stood_on, "site"],
        )
    table = table[~(doubled | stood_on)].reset_index(drop=True)
    table = table.rename(columns=lambda c: str(c).lower() if str(c).lower() == "cost" else c)
    report.taken("places", len(table))
    return table, report


def _asked(choice: Choice, mapping: dict[str, str] | None) -> dict[str, Any]:
    """The choice as plain values."""
    whole = asdict(choice)
    whole["mapping"] = {k: v for k, v in (choice.mapping | (mapping or {})).items() if v}
    return whole


@guarded(
    InputError,
    pack=lambda found: asdict(found) | {"sample": found.sample},
    unpack=lambda plain: Preview(**plain),
)
def _preview(data: bytes, name: str, layer: str) -> Preview:
    contents = read_contents(data, name)
    layers = list(contents.layers)
    if is_own(contents):
        return Preview([], pd.DataFrame(), [], [])
    if layer in layers:
        contents = chosen(contents, layer)
    table = max((part.table for part in contents.layers.values()), key=len).rename(columns=str)
    return Preview([str(c) for c in table.columns], table.head(PREVIEW_ROWS), layers, operators(table))


def _to_plain(found: Imported) -> dict[str, Any]:
    return {
        "sites": found.network.sites, "cells": found.network.cells, "mapping": found.mapping,
        "report": found.report.record(), "provenance": found.provenance,
    }  # fmt: skip


def _from_plain(plain: dict[str, Any]) -> Imported:
    """Raises InputError where the tables are no network."""
    network = Network.from_tables(plain["sites"], plain["cells"])
    return Imported(
        network, dict(plain["mapping"]), Report.from_record(plain["report"]), dict(plain["provenance"])
    )


def _content(network: Network) -> str:
    return f"{counted(len(network.sites), 'sites')} and {counted(len(network.cells), 'cells')}"


@guarded(InputError, pack=_to_plain, unpack=_from_plain)
def _import_bytes(data: bytes, name: str, asked: dict[str, Any]) -> Imported:
    choice, report = Choice(**asked), Report()
    contents = _chosen(data, name, choice, report)
    if is_own(contents):
        sites, cells = (contents.layers[part].table for part in ("sites", "cells"))
        network = Network.from_tables(sites, _with_bools(cells))
        report.taken(f"{_content(network)}, with every figure")
        return Imported(network, {}, report, contents.about)
    table, used = _whole(contents, name, choice, report)
    network = Network.from_tables(*sites_and_cells(table, report))
    if sentence := assumptions(network.cells):
        report.assumed(sentence)
    report.taken(_content(network))
    return Imported(network, used, report, contents.about)


def _chosen(data: bytes, name: str, choice: Choice, report: Report) -> Contents:
    """The file, or the layer of it that was chosen; what its reader put right is in the report."""
    try:
        contents = chosen(read_contents(data, name), choice.layer)
    except Refused as error:
        raise InputError(f"{name} {error}.") from None
    report.extend(contents.report)
    return contents


def _whole(
    contents: Contents, name: str, choice: Choice, report: Report
) -> tuple[pd.DataFrame, dict[str, str]]:
    """(rows with a place under our names, our column -> theirs) of all tables. Raises InputError."""
    try:
        tables = located.placed_tables(contents, choice.mapping, choice.crs or None, report)
        parts = []
        mapping: dict[str, str] = {}
        for table, used in located.with_technologies(tables, bool(choice.layer), report):
            mine, used = _rows_meant(table, used, name, choice, report)
            if len(mine):
                parts.append(attributes(mine, used, report))
                mapping |= {k: v for k, v in used.items() if v not in (located.LON, located.LAT)}
    except Refused as error:
        raise InputError(f"{name} {error}.") from None
    if not parts:
        raise InputError(
            f"{name} has no row in or near the area; check its positions, or import the file of the area."
        )
    whole = parts[0] if len(parts) == 1 else _stacked(parts)
    return whole, mapping


def _rows_meant(
    table: pd.DataFrame, used: dict[str, str], name: str, choice: Choice, report: Report
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows near the box, of one operator; masts of an extract alone; rows of cell databases as sites."""
    coded = with_codes(table)
    codes = cell_codes(coded, used)
    mine = chosen_network(coded, codes, choice.network or None, report)
    table = (table if codes is None else coded)[mine].reset_index(drop=True)
    table = _masts(table, name, report)
    if codes is None:
        return table, used
    table = table.drop(columns=["lon", "lat"], errors="ignore")
    table = table.rename(columns={used["lon"]: "lon", used["lat"]: "lat"})
    if choice.box is not None:
        west, south, east, north = choice.box
        near = table["lon"].between(west, east).to_numpy() & table["lat"].between(south, north).to_numpy()
        if near.any() and not near.all():
            report.left_out(f"of {len(table):,} rows lie far from the area", int((~near).sum()))
            table = table[near].reset_index(drop=True)
    if not len(table):
        return table, used
    made = clustered(table, codes, report)
    return made, {c: c for c in made.columns}


def _stacked(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Tables under each other; text that one of them lacks is empty there."""
    whole = pd.concat(parts, ignore_index=True)
    texts = [c for c in whole if any(c in part and part[c].dtype == object for part in parts)]
    return whole.assign(**{c: whole[c].where(whole[c].notna(), "") for c in texts})


def _masts(frame: pd.DataFrame, name: str, report: Report) -> pd.DataFrame:
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
    report.taken(
        f"OpenStreetMap: {int(is_mast.sum()):,} masts and towers of communication; the map may lack many"
    )
    return frame[is_mast].reset_index(drop=True)


def _with_bools(cells: pd.DataFrame) -> pd.DataFrame:
    """Yes and no as whatever a format writes for them."""
    if "is_coverage" not in cells:
        return cells
    text = cells["is_coverage"].astype(str).str.lower()
    return cells.assign(is_coverage=text.isin(["true", "1", "1.0", "yes"]).to_numpy())
