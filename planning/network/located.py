"""The tables of a file that hold places, made into one: positions by geometry first, tables joined by site names.

A file may hold a table a technology, a table of sites beside one of cells (or transmitters), or tables that are about
something else. What is not taken is said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from plannerbase.layers import Contents, Layer, points_of
from plannerbase.numbers import without_zeros
from plannerbase.positions import left_out_without_place, positions_of
from plannerbase.report import Report
from plannerbase.text import Refused
from planning.network import headings
from planning.network.cells import CELL_COLUMNS
from planning.network.network import SITE_COLUMNS
from planning.network.technologies import carriers_of

LON, LAT = "longitude of the place", "latitude of the place"  # columns of what this module makes
TECHNOLOGY = "technology of the table"
FOLDER = "folder"  # column of the placemarks of a KML
SAME_DEG = 1e-6  # columns that agree with the geometry so closely have the more digits of it
LARGEST_KM2 = 0.25  # of an area that is the plot of a site where a file has points too
YES, NO = (
    ("yes", "y", "true", "1", "1.0", "x", "oui", "ja", "si", "sí", "да", "是", "✓"),
    ("", "no", "n", "false", "0", "0.0", "-", "non", "nein", "нет", "否"),
)
MAX_LATITUDE = 85.0  # where the tile map ends
SHARED = 0.5  # of the names of a table's sites that another must hold to be joined with it


@dataclass(frozen=True)
class Placed:
    """Rows with a place. table: the file's columns, those of positions replaced by LON, LAT (degrees). used: our column
    -> the table's."""

    name: str
    table: pd.DataFrame
    used: dict[str, str]

    @property
    def sites(self) -> set[str]:
        """Names of the sites of its rows."""
        return _names(self.table, self.used)


def guess_mapping(columns: pd.Index) -> dict[str, str]:
    """Our column -> the file's, by its headings."""
    return headings.guess_mapping(columns, (*SITE_COLUMNS, *CELL_COLUMNS))


def placed_tables(
    contents: Contents, mapping: dict[str, str], crs: str | None, report: Report
) -> list[Placed]:
    """The tables with places, those without joined to them by the names of sites. Raises `Refused` where none has any,
    for a column that no table has, and for positions that need a reference system."""
    found: list[Placed] = []
    rest: list[tuple[Layer, Refused | None]] = []
    for layer in contents.layers.values():
        own = {ours: theirs for ours, theirs in mapping.items() if theirs in layer.table}
        noted = Report()
        try:
            placed = _placed(layer, own, crs, noted)
        except Refused as error:
            rest.append((layer, error))
            continue
        report.extend(noted if len(contents.layers) == 1 else noted.about(layer.name))
        found.append(placed)
    _check_mapping(contents, mapping)
    if not found:
        raise next(error for _, error in rest if error is not None)
    for layer, _ in rest:
        joined = _joined(layer, found, mapping, report)
        if joined is not None:
            position, placed = joined
            found[position] = placed
        else:
            report.left_out(
                f"The table {layer.name} was not read: it has no positions and no names of sites that do"
            )
    return _without_site_lists(found, report)


def with_technologies(
    tables: list[Placed], was_chosen: bool, report: Report
) -> list[tuple[pd.DataFrame, dict[str, str]]]:
    """(rows, our column -> theirs) of each table; where only its name tells the technology, with that.
    was_chosen: whether
    the user named the table."""
    out = []
    for placed in tables:
        table, used = placed.table, placed.used
        stated = {"technology", "band", "frequency_mhz", "channel"} & set(used)
        if not stated and FOLDER in table:
            folders = table[FOLDER].astype("string").fillna("")
            kinds = {text: bool(carriers_of(text, "")[0].technology) for text in set(folders)}
            if all(kinds.values()):
                table, used = table.assign(**{TECHNOLOGY: folders}), used | {"technology": TECHNOLOGY}
                report.assumed("rows have the technology that the name of their folder tells", len(table))
                stated = {"technology"}
        kind = carriers_of(placed.name, "")[0]
        if not stated and kind.technology and (len(tables) > 1 or was_chosen):
            table = table.assign(**{TECHNOLOGY: placed.name})
            used = used | {"technology": TECHNOLOGY}
            report.assumed(
                f"rows have the technology that the name of their table tells: {placed.name}", len(table)
            )
        out.append((table, used))
    if len(tables) > 1:
        named = [f"{placed.name} ({len(placed.table):,} rows)" for placed in tables]
        report.taken(f"tables taken together: {', '.join(named)}; choose one with --layer", len(tables))
    return out


def _check_mapping(contents: Contents, mapping: dict[str, str]) -> None:
    every = {str(c) for layer in contents.layers.values() for c in layer.table}
    for ours, theirs in mapping.items():
        if theirs not in every:
            shown = [str(c) for layer in contents.layers.values() for c in layer.table][:12]
            raise Refused(f"has no column {theirs!r} for {ours}; it has {', '.join(shown)}")


def _placed(layer: Layer, mapping: dict[str, str], crs: str | None, report: Report) -> Placed:
    """The rows of a layer that have a place. Raises `Refused` where none has."""
    table = layer.table.rename(columns=str)
    table = table.loc[:, ~table.columns.duplicated()]
    table = _with_one_azimuth(table, mapping, report)
    used = guess_mapping(table.columns) | mapping
    table, used = _with_flags(table, used, report)
    if layer.shapes is not None and not {"lon", "lat"} & set(mapping):
        table, used = _by_geometry(layer, table, used, crs, report)
    else:
        report.taken("rows read", len(table))
        lon, lat, columns = positions_of(table, report, _for_positions(mapping), crs)
        used = {k: v for k, v in used.items() if v not in columns.values() and k not in ("lon", "lat")}
        table = _with_place(table.drop(columns=list(columns.values())), lon, lat)
        used |= {"lon": LON, "lat": LAT}
    x, y = (table[used[axis]].to_numpy(float) for axis in ("lon", "lat"))
    good = (np.abs(x) <= 180) & (np.abs(y) <= MAX_LATITUDE)
    left_out_without_place(good, report)
    if not good.any():
        raise Refused("has no row with a longitude and latitude in degrees, WGS-84; check the column mapping")
    return Placed(layer.name, table[good].reset_index(drop=True), used)


def _with_one_azimuth(table: pd.DataFrame, mapping: dict[str, str], report: Report) -> pd.DataFrame:
    """Columns of the azimuths of a site's sectors as one that lists them."""
    columns = headings.numbered_azimuths(table.columns)
    if not columns or "azimuth" in mapping:
        return table
    texts = [table[c].astype("string").fillna("").str.strip() for c in columns]
    listed = ["/".join(t for t in row if t) for row in zip(*texts, strict=True)]
    report.taken(f"Azimuths of the sectors by the columns {', '.join(columns)}")
    return table.drop(columns=columns).assign(azimuth=listed)


def _with_flags(
    table: pd.DataFrame, used: dict[str, str], report: Report
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Columns of yes and no that technologies are the headings of (2G, 4G, 5G), as one that lists them."""
    if {"technology", "band", "frequency_mhz", "channel"} & set(used):
        return table, used
    flags = {
        c: table[c].astype("string").fillna("").str.strip().str.casefold()
        for c in table
        if c not in used.values() and carriers_of(c, "")[0].technology
    }
    flags = {c: texts for c, texts in flags.items() if set(texts) <= {*YES, *NO} and texts.isin(YES).any()}
    if len(flags) < 2:
        return table, used
    lists = zip(*([c if yes else "" for yes in texts.isin(YES)] for c, texts in flags.items()), strict=True)
    listed = ["+".join(filter(None, names)) for names in lists]
    report.taken(f"Technologies of the sites by the columns {', '.join(flags)}")
    return table.drop(columns=list(flags)).assign(**{TECHNOLOGY: listed}), used | {"technology": TECHNOLOGY}


def _with_place(table: pd.DataFrame, lon: np.ndarray, lat: np.ndarray) -> pd.DataFrame:
    return table.assign(**{LON: lon, LAT: lat})


def _for_positions(mapping: dict[str, str]) -> dict[str, str]:
    return {
        k: v for k, v in mapping.items() if k in ("lon", "lat", "easting", "northing", "both", "wkt", "ngr")
    }


def _by_geometry(
    layer: Layer, table: pd.DataFrame, used: dict[str, str], crs: str | None, report: Report
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows with the position of their geometry; columns count only where there is none, and where they agree with
    it, for they have more digits."""
    shapes = layer.in_degrees(crs, report)
    report.taken("features read", len(table))
    rows, lon, lat = points_of(shapes, report, LARGEST_KM2)
    bare = np.setdiff1d(np.flatnonzero([shape is None for shape in shapes]), rows)
    rows = np.concatenate([rows, bare])
    order = np.argsort(rows, kind="stable")
    x, y = (np.concatenate([v, np.full(len(bare), np.nan)])[order] for v in (lon, lat))
    if len(rows) > len(np.unique(rows)):
        report.fixed(
            "features hold several points and became a row for each", len(rows) - len(np.unique(rows))
        )
    if not len(rows):
        raise Refused("holds no point and no area that could be a place")
    table = table.iloc[rows[order]].reset_index(drop=True)
    try:
        own_x, own_y, columns = positions_of(table, Report())
    except Refused:
        own_x, own_y, columns = np.full(len(table), np.nan), np.full(len(table), np.nan), {}
    same = (np.abs(own_x - x) <= SAME_DEG) & (np.abs(own_y - y) <= SAME_DEG)
    gap = np.isnan(x) & np.isfinite(own_x)
    differs = np.isfinite(x) & np.isfinite(own_x) & ~same
    if differs.any():
        named = " and ".join(columns.values())
        report.fixed(
            f"rows lie elsewhere by {named} than by their geometry, which counts", int(differs.sum())
        )
    if gap.any():
        report.fixed("features without a geometry were placed by their columns", int(gap.sum()))
    x, y = np.where(same | gap, own_x, x), np.where(same | gap, own_y, y)
    used = {k: v for k, v in used.items() if v not in columns.values() and k not in ("lon", "lat")}
    table = table.drop(columns=list(columns.values()))
    return _with_place(table, x, y), used | {"lon": LON, "lat": LAT}


def _names(table: pd.DataFrame, used: dict[str, str]) -> set[str]:
    if used.get("site") not in table:
        return set()
    return set(_key(table[used["site"]])) - {""}


def _key(values: pd.Series) -> pd.Series:
    """Names of sites as they are compared: text, whole numbers without a point, without case."""
    if pd.api.types.is_float_dtype(values.dtype):
        values = values.map(lambda v: "" if v != v else f"{v:.17g}")
    return values.astype("string").fillna("").str.strip().str.casefold().astype(object)


def _number_key(values: pd.Series) -> pd.Series:
    """As `_key`, but numbers without the zeros that they begin with."""
    return _key(values).map(without_zeros)


def _joined(
    layer: Layer, found: list[Placed], mapping: dict[str, str], report: Report
) -> tuple[int, Placed] | None:
    """(place in found, its table with the rows of `layer`) where the names of its sites are found there."""
    table = layer.table.rename(columns=str)
    used = guess_mapping(table.columns) | {k: v for k, v in mapping.items() if v in table}
    mine = _names(table, used)
    if not mine:
        return None
    key = _key
    shared = [len(mine & placed.sites) / len(mine) for placed in found]
    if max(shared) < SHARED:  # "007" in one table may be 7 in another that a spreadsheet wrote
        key = _number_key
        numbers = [set(map(without_zeros, placed.sites)) for placed in found]
        shared = [len(set(map(without_zeros, mine)) & theirs) / len(mine) for theirs in numbers]
    best = int(np.argmax(shared))
    if shared[best] < SHARED:
        return None
    placed = found[best]
    sites = placed.table.assign(**{"key of the site": key(placed.table[placed.used["site"]])})
    sites = sites.drop_duplicates("key of the site")
    rows = table.assign(**{"key of the site": key(table[used["site"]])})
    shown = [c for c in sites.columns if c not in rows.columns]
    both = rows.merge(sites[[*shown, "key of the site"]], on="key of the site", how="inner")
    lost, bare = len(rows) - len(both), sites[~sites["key of the site"].isin(both["key of the site"])]
    if lost:
        names = rows.loc[~rows["key of the site"].isin(sites["key of the site"]), used["site"]]
        report.left_out(f"rows of {layer.name} name no site of {placed.name}", lost, names)
    if len(bare):
        report.left_out(
            f"sites of {placed.name} have no row in {layer.name}", len(bare), bare[placed.used["site"]]
        )
    report.taken(f"rows of {layer.name} joined with {placed.name} by the names of their sites", len(both))
    merged = {k: v for k, v in placed.used.items() if v in shown and k not in used} | used
    return best, Placed(layer.name, both.drop(columns="key of the site"), merged)


def _without_site_lists(found: list[Placed], report: Report) -> list[Placed]:
    """Without tables that only list the sites of another table that has their cells."""
    kept = []
    for placed in found:
        others = [
            o
            for o in found
            if o is not placed and "cell" in o.used and placed.sites and placed.sites <= o.sites
        ]
        if others and not {"cell", "azimuth"} & set(placed.used):
            report.left_out(
                f"The table {placed.name} lists the sites of {others[0].name} again and was not added"
            )
        else:
            kept.append(placed)
    return kept
