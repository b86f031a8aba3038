"""The zoom-15 tiles that an area covers, or that a CSV lists.

`Tiles` is a GeoDataFrame in EPSG:4326 with columns x, y (int32), covered_share (0..1], geometry (the tile's outline),
sorted by (x, y) with a RangeIndex.
"""

from pathlib import Path
from typing import TypeAlias

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import ArrayLike

from opendiff.area.area import Area, read_area
from opendiff.area.files import MAX_UNPACKED_BYTES, read_limited
from opendiff.area.tile_grid import (
    ZOOM,
    Bounds,
    fractional_tile,
    tile_area_km2,
    tile_at,
    tile_bounds,
)
from opendiff.area.tile_shares import MAX_PIECES, crossings, unit_square_shares
from opendiff.errors import AreaError
from plannerbase.archive import bare_name, unpacked
from plannerbase.delimited import read_csv
from plannerbase.headings import columns_named
from plannerbase.layers import TABLES, Limits, chosen, read_layers
from plannerbase.numbers import numbers_of
from plannerbase.report import Report, rows_of

MAX_TILES = 20_000
MAX_ZOOM = 23
TILE_COLUMNS = {  # plain headings of a list of tiles
    "x": ("x", "tilex", "xtile", "column", "col", "tilecol"),
    "y": ("y", "tiley", "ytile", "row", "tilerow"),
    "zoom": ("z", "zoom", "zoomlevel", "tilez", "level"),
    "quadkey": ("quadkey", "qk"),
    "covered_share": ("coveredshare",),
    "path": ("z/x/y", "tile", "tileid", "key", "path"),
}
_PATH = r"^\s*(?P<z>\d{1,2})/(?P<x>\d+)/(?P<y>\d+)\s*$"
# A tile is covered when at least this share of it is: some 10 cm2 of a tile of 1 km2, less than anybody draws and far
# more than the rounding of coordinates, so that a box drawn along tile edges gets no slivers of its neighbours.
MIN_SHARE = 1e-9

Tiles: TypeAlias = gpd.GeoDataFrame


def tile_frame(x: ArrayLike, y: ArrayLike, covered_share: ArrayLike = 1.0) -> Tiles:
    """The `Tiles` of tile numbers x, y (any order, no duplicates) and their covered shares."""
    x, y = np.asarray(x, dtype=np.int32), np.asarray(y, dtype=np.int32)
    share = np.broadcast_to(np.asarray(covered_share, dtype=float), x.shape)
    order = np.lexsort((y, x))
    x, y = x[order], y[order]
    outline = shapely.box(*tile_bounds(x, y))
    return gpd.GeoDataFrame(
        {"x": x, "y": y, "covered_share": share[order]}, geometry=outline, crs="EPSG:4326"
    )


def tile_index(tiles: Tiles) -> pd.MultiIndex:
    """The numbers (x, y) of tiles, int64, to find rows by."""
    return pd.MultiIndex.from_frame(tiles[["x", "y"]].astype(np.int64))


def tiles_bounds(tiles: Tiles) -> Bounds:
    """W, S, E, N around tiles, degrees."""
    west, south, east, north = tile_bounds(tiles["x"].to_numpy(), tiles["y"].to_numpy())
    return float(west.min()), float(south.min()), float(east.max()), float(north.max())


def tiles_covering(area: Area, max_tiles: int = MAX_TILES) -> Tiles:
    """The tiles that `area` covers, with the share of each inside it.

    Shares are computed on the Web-Mercator map in units of tiles, where the sides of an outline are straight as they
    were drawn; the scale changes by less than 0.02 % inside a tile, so they are ground shares as well. A tile that is
    only touched along its edge does not count. Raises AreaError when more than `max_tiles` would be needed; what is
    far too large is refused by its extent, before anything is built.
    """
    outline = shapely.transform(
        area.geometry, lambda xy: np.column_stack(fractional_tile(xy[:, 0], xy[:, 1]))
    )
    if outline.area > max_tiles:
        raise _too_many(outline.area, max_tiles, area)
    if crossings(outline) > MAX_PIECES:
        raise AreaError(
            "The outline is too complex: it crosses too many tiles. Simplify it (a tolerance of 100 m is enough)."
        )
    found = unit_square_shares(outline, 4 * max_tiles)
    if isinstance(found, int):
        raise _too_many(found, max_tiles, area)
    x, y, share = found
    covered = share > MIN_SHARE
    if not covered.any():
        raise AreaError("The drawn area is smaller than a sheet of paper; draw a larger one.")
    if covered.sum() > max_tiles:
        raise _too_many(covered.sum(), max_tiles, area)
    share[share > 1 - MIN_SHARE] = 1
    return tile_frame(x[covered], y[covered], share[covered])


def read_tiles(
    text_or_path: str | Path,
    max_tiles: int = MAX_TILES,
    report: Report | None = None,
    layer: str = "",
    crs: str = "",
) -> Tiles:
    """`tiles_covering` of `read_area`, or the tiles listed in a table (`tiles_in_csv`). report: is told what was read.
    layer, crs: as in `read_area`; layer: also the sheet of a workbook."""
    path = Path(text_or_path)
    if Path(bare_name(path.name)).suffix.lower() not in TABLES:
        area = read_area(text_or_path, layer, crs)
        if report is not None:
            report.extend(area.report)
        return tiles_covering(area, max_tiles)
    return tiles_in_csv(read_limited(path), path.name, max_tiles, report, layer)


def tiles_in_csv(
    data: bytes, filename: str, max_tiles: int = MAX_TILES, report: Report | None = None, layer: str = ""
) -> Tiles:
    """The tiles listed in a table (CSV, XLSX or Parquet): columns x, y and maybe covered_share and zoom, or one column
    of quadkeys or of z/x/y.

    Tiles of a lower zoom are split into their zoom-15 tiles; those of a higher one become the covered share of theirs.
    Lines without a tile are left out, and that is said. layer: the sheet that is meant, "" for the first that lists
    tiles. Raises AreaError.
    """
    report = Report() if report is None else report
    table, columns = _table(data, filename, max_tiles, layer)
    if table.empty:
        raise AreaError(f"{filename} lists no tile; give at least one line x,y below the heading.")
    if len(table) > max_tiles:
        raise AreaError(f"{filename} lists {len(table):,} tiles and the limit is {max_tiles:,}; split it.")
    table = _without_gaps(table, columns, filename, report)
    numbers, zoom = _listed(table, columns, filename, report)
    repeated = pd.DataFrame(np.column_stack([numbers, zoom])).duplicated().to_numpy()
    share = np.ones(len(table))
    if "covered_share" in columns:
        share = numbers_of(table[columns["covered_share"]])
        if not ((share > 0) & (share <= 1)).all():
            raise AreaError(f"{filename} has a covered_share that is not above 0 and at most 1; correct it.")
    if repeated.any():
        x, y = numbers[np.argmax(repeated)].astype(int)
        report.fixed("lines list a tile again, which counts once", int(repeated.sum()), [f"{x},{y}"])
        numbers, zoom, share = numbers[~repeated], zoom[~repeated], share[~repeated]
    if (zoom != ZOOM).any():
        return _at_zoom_15(numbers, zoom, share, filename, max_tiles, report)
    report.taken("tiles listed", len(numbers))
    return tile_frame(numbers[:, 0], numbers[:, 1], share)


def _table(data: bytes, filename: str, max_tiles: int, layer: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """A list of tiles and our column -> its heading. Raises AreaError."""
    most_rows = max(max_tiles, MAX_TILES) + 1
    try:
        data, filename = unpacked(data, filename, MAX_UNPACKED_BYTES)
        is_text = Path(filename).suffix.lower() in (".csv", ".txt", ".tsv")
        if is_text:
            tables = [read_csv(data, most_rows=most_rows)]
        else:
            contents = chosen(read_layers(data, filename, Limits(rows=most_rows)), layer)
            tables = [layer.table.rename(columns=str) for layer in contents.layers.values()]
    except ValueError as error:
        raise AreaError(
            f"{filename} cannot be read as a table: it {error}; give a CSV with columns x and y."
        ) from None
    for table in tables:
        columns = columns_named(table.columns, TILE_COLUMNS)
        if {"x", "y"} <= set(columns):
            return table, columns
        if "quadkey" in columns:
            if is_text:
                table = read_csv(data, dtype="string")  # a key may begin with 0
            elif pd.api.types.is_numeric_dtype(table[columns["quadkey"]]):
                raise AreaError(
                    f"{filename} holds its quadkeys as numbers, without the zeros that they begin with; format the "
                    "column as text."
                )
            return table, columns
        if "path" in columns:
            parts = table[columns["path"]].astype("string").str.extract(_PATH)
            if parts["x"].notna().any():
                return parts, {"x": "x", "y": "y", "zoom": "z"}
    raise AreaError(f"{filename} has no columns x and y; give the numbers of zoom-15 tiles, one tile a line.")


def _without_gaps(
    table: pd.DataFrame, columns: dict[str, str], filename: str, report: Report
) -> pd.DataFrame:
    """The lines with a number in every column that tells the tile. Raises AreaError where none has."""
    told = [columns[c] for c in ("x", "y", "zoom") if c in columns] if {"x", "y"} <= set(columns) else []
    empty = np.zeros(len(table), bool)
    for heading in told:
        bare = np.isnan(numbers_of(table[heading]))
        if heading != columns.get("zoom") or not bare.all():
            empty |= bare
    if empty.all():
        raise AreaError(f"{filename} has no line with numbers for {' and '.join(told)}; correct it.")
    if empty.any():
        report.left_out("lines left out: no number of a tile", int(empty.sum()), rows_of(empty))
    return table[~empty].reset_index(drop=True)


def _listed(
    table: pd.DataFrame, columns: dict[str, str], filename: str, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """(rows, 2) tile numbers and (rows,) zooms of a list. Raises AreaError."""
    if not {"x", "y"} <= set(columns):
        return _of_quadkeys(table[columns["quadkey"]], filename)
    numbers = np.column_stack([numbers_of(table[columns[axis]]) for axis in ("x", "y")])
    zoom = np.full(len(table), float(ZOOM))
    stated = numbers_of(table[columns["zoom"]]) if "zoom" in columns else np.full(len(table), np.nan)
    if np.isnan(stated).all():
        report.assumed(f"No column tells the zoom: the tiles are of zoom {ZOOM}")
    else:
        zoom = stated
        if not ((zoom >= 0) & (zoom <= MAX_ZOOM) & (zoom == np.floor(zoom))).all():
            raise AreaError(
                f"{filename} has a zoom that is no whole number from 0 to {MAX_ZOOM}; correct it."
            )
    with np.errstate(invalid="ignore"):
        bad = ~((numbers >= 0) & (numbers < 2.0 ** zoom[:, None]) & (numbers == np.floor(numbers))).all(
            axis=1
        )
    if bad.any():
        row = int(np.argmax(bad))
        raise AreaError(
            f"Line {row + 2} of {filename} is no zoom-{int(zoom[row])} tile; x and y must be whole numbers from 0 to "
            f"{2 ** int(zoom[row]) - 1}."
        )
    return numbers, zoom.astype(np.int64)


def _of_quadkeys(column: pd.Series, filename: str) -> tuple[np.ndarray, np.ndarray]:
    """As `_listed`, of Bing's keys: a digit 0 to 3 a zoom."""
    keys = column.astype("string").fillna("").str.strip()
    good = keys.str.fullmatch(rf"[0-3]{{1,{MAX_ZOOM}}}").to_numpy(bool)
    if not good.all():
        raise AreaError(
            f"Line {int(np.argmin(good)) + 2} of {filename} is no quadkey; it has a digit 0 to 3 a zoom."
        )
    digits = [np.array([int(c) for c in key]) for key in keys]
    numbers = np.array(
        [
            [(d & 1) @ (1 << np.arange(len(d))[::-1]), (d >> 1) @ (1 << np.arange(len(d))[::-1])]
            for d in digits
        ],
        float,
    )
    return numbers, np.array([len(d) for d in digits])


def _at_zoom_15(
    numbers: np.ndarray, zoom: np.ndarray, share: np.ndarray, filename: str, max_tiles: int, report: Report
) -> Tiles:
    """The zoom-15 tiles of tiles (rows, 2) of any zoom (rows,), with the share of each that is covered."""
    if (4.0 ** np.maximum(ZOOM - zoom, 0)).sum() > max_tiles:
        raise AreaError(
            f"{filename} lists tiles of zoom {int(zoom.min())}, which are more than {max_tiles:,} tiles of zoom "
            f"{ZOOM}; "
            "list fewer."
        )
    parts = []
    for level in np.unique(zoom):
        mine, weight = numbers[zoom == level].astype(np.int64), share[zoom == level]
        if level <= ZOOM:
            side = 1 << int(ZOOM - level)
            east, south = (v.ravel() for v in np.meshgrid(np.arange(side), np.arange(side), indexing="ij"))
            x, y = mine[:, :1] * side + east, mine[:, 1:] * side + south
            parts.append(pd.DataFrame({"x": x.ravel(), "y": y.ravel(), "share": np.repeat(weight, side**2)}))
            if level < ZOOM:
                report.fixed(f"tiles of zoom {level} split into {x.size:,} of zoom {ZOOM}", len(mine))
        else:
            over = int(level - ZOOM)
            parts.append(
                pd.DataFrame({"x": mine[:, 0] >> over, "y": mine[:, 1] >> over, "share": weight / 4.0**over})
            )
            report.fixed(f"tiles of zoom {level} became shares of their tiles of zoom {ZOOM}", len(mine))
    whole = pd.concat(parts).groupby(["x", "y"], as_index=False)["share"].sum()
    report.taken(f"tiles of zoom {ZOOM}", len(whole))
    return tile_frame(whole["x"], whole["y"], np.minimum(whole["share"], 1.0))


def _too_many(count: float, max_tiles: int, area: Area) -> AreaError:
    """The error for about so many tiles, with the side of a square that would be small enough."""
    scale = 10 ** max(0, len(str(int(count))) - 2)
    centre = area.geometry.envelope.centroid
    side = float(np.sqrt(max_tiles * tile_area_km2(*tile_at(centre.x, centre.y))))
    shown = round(side, -1) if side > 100 else round(side)
    return AreaError(
        f"The area covers about {round(count / scale) * scale:,} tiles and the limit is {max_tiles:,} "
        f"(about {shown:.0f} x {shown:.0f} km here); draw a smaller area or split it."
    )
