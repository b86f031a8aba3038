"""Sites and cells: the network that deployment makes and that the sleep and PRB planners work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import ArrayLike

from plannerbase.counting import counted
from plannerbase.numbers import numbers_of
from planning.bands import CAPACITY_CARRIERS, DEFAULT_BAND, band_named
from planning.equipment import AC_BIAS_W, AC_SLOPE, CAPACITY, COVERAGE, Equipment
from planning.errors import InputError
from planning.geometry import centre_of, local_metres
from planning.network.cells import (
    BEAMWIDTH_DEG,
    FIGURES,
    FIRST_COLUMNS,
    NARROW_BEAMWIDTH_DEG,
    RADIO_COLUMNS,
    check_cells,
    completed,
    of_earlier_version,
    stated,
)
from planning.network.design import SiteDesign

if TYPE_CHECKING:
    import plotly.graph_objects as go

SITE_COLUMNS = ("site", "lon", "lat", "bbu_w", "ac_slope", "ac_bias_w")


@dataclass(frozen=True)
class Network:
    """sites: one row a site (SITE_COLUMNS). cells: one row a cell (CELL_COLUMNS), grouped by site in site order.

    Degrees WGS-84, azimuth in degrees clockwise from north, W, Mbit/s, MHz, dBm, dBi, m (`planning.network.cells`). A
    cell is a site x an azimuth x a carrier; its `assumed` names the attributes that no file stated. A coverage cell
    never sleeps. `capacity_mbps` is nominal: where the radio model has been run, its capacities count.
    """

    sites: pd.DataFrame
    cells: pd.DataFrame

    @classmethod
    def from_sites(
        cls,
        lon: ArrayLike,
        lat: ArrayLike,
        names: Sequence[str] | None = None,
        sectors: int = 3,
        capacity_layers: int | list[int] | np.ndarray = 1,
        coverage: Equipment = COVERAGE,
        capacity: Equipment = CAPACITY,
        design: SiteDesign | None = None,
    ) -> Network:
        """The default site: in each sector one coverage cell (4G) and `capacity_layers` capacity cells (5G).

        design: heights, tilts and bands that are planned, which are then not assumed.
        """
        lon, lat = np.atleast_1d(np.asarray(lon, float)), np.atleast_1d(np.asarray(lat, float))
        if not 1 <= sectors <= 12:
            raise InputError(f"A site has 1 to 12 sectors, not {sectors}.")
        width = max(3, len(str(len(lon))))
        names = [f"S{i + 1:0{width}d}" for i in range(len(lon))] if names is None else [str(n) for n in names]
        if len(names) != len(lon) or len(lat) != len(lon):
            raise InputError(
                f"{len(names)} site names, {len(lon)} longitudes and {len(lat)} latitudes do not match."
            )
        layers = np.broadcast_to(np.asarray(capacity_layers), lon.shape)
        bbu = coverage.bbu_w + np.where(layers > 0, capacity.bbu_w, 0.0)
        sites = pd.DataFrame(
            {
                "site": names,
                "lon": lon,
                "lat": lat,
                "bbu_w": bbu,
                "ac_slope": AC_SLOPE,
                "ac_bias_w": AC_BIAS_W,
            }
        )
        rows = [
            _cell(name, sector, sectors, layer, equipment, equipment is coverage)
            for name, count in zip(names, layers.tolist(), strict=True)
            for equipment, copies in ((coverage, 1), (capacity, count))
            for layer in range(copies)
            for sector in range(sectors)
        ]
        cells = pd.DataFrame(rows)
        if design is not None:
            cells = design.applied(cells, names)
        network = cls(sites, completed(cells))
        network.validate()
        return network

    @classmethod
    def from_geodataframe(cls, sites: gpd.GeoDataFrame, cells: pd.DataFrame | None = None) -> Network:
        """Sites that are points, with their cells.

        Parameters
        ----------
        sites : GeoDataFrame
            Points in any reference system (without one: degrees WGS-84), maybe with columns `site` (names), `bbu_w`,
            `ac_slope`, `ac_bias_w`. Sites without names get S001, S002, ...
        cells : DataFrame, optional
            A row a cell, columns `cell`, `site` and any of `planning.network.CELL_COLUMNS`; a geometry is left aside.
            None: the default site, three sectors with one 4G and one 5G cell each.

        Raises
        ------
        InputError
            For a geometry that is no point, and as `from_tables`.
        """
        points = sites.geometry
        if points.isna().any() or points.is_empty.any() or not (points.geom_type == "Point").all():
            raise InputError(
                "Every site must be a point; take the centroids of areas, and leave out empty rows."
            )
        if points.crs is not None:
            points = points.to_crs("EPSG:4326")
        table = pd.DataFrame(sites.drop(columns=sites.geometry.name)).reset_index(drop=True)
        table = table.assign(lon=points.x.to_numpy(), lat=points.y.to_numpy())
        if "site" not in table:
            width = max(3, len(str(len(table))))
            table["site"] = [f"S{i + 1:0{width}d}" for i in range(len(table))]
        if isinstance(cells, gpd.GeoDataFrame):
            cells = pd.DataFrame(cells.drop(columns=cells.geometry.name))
        return cls.from_tables(table, cells)

    def to_geodataframe(self, layer: str = "cells") -> gpd.GeoDataFrame:
        """Points, EPSG:4326.

        Parameters
        ----------
        layer : {"cells", "sites"}
            A row a cell, at its site, or a row a site.

        Raises
        ------
        InputError
            For another layer.
        """
        if layer == "sites":
            return points_layer(self.sites, self.sites)
        if layer == "cells":
            at = self.sites.set_index("site").loc[self.cells["site"], ["lon", "lat"]].reset_index(drop=True)
            return points_layer(self.cells, at)
        raise InputError(f"A network has the layers cells and sites, not {layer!r}.")

    def to_pandas(self) -> pd.DataFrame:
        """A row a cell with the position of its site."""
        return self.cells.merge(self.sites[["site", "lon", "lat"]], on="site", how="left")

    def statistics(self) -> pd.Series:
        """Sites, sectors, cells by technology, nominal capacity (Mbit/s) and idle power (W) of all cells."""
        cells = self.cells
        kinds = {
            f"cells_{kind}": int(n) for kind, n in cells["technology"].value_counts().sort_index().items()
        }
        known = {
            "sites": len(self.sites), "sectors": int(cells["sector"].nunique()), "cells": len(cells), **kinds,
            "capacity_mbps": float(cells["capacity_mbps"].sum()), "idle_w": float(cells["idle_w"].sum()),
        }  # fmt: skip
        return pd.Series(known, name="network")

    def plot(self) -> go.Figure:
        """The sites on a plain map, as large as their nominal capacity."""
        from planning.figures import places_figure

        lon, lat = self.sites["lon"].to_numpy(float), self.sites["lat"].to_numpy(float)
        names = self.sites["site"].astype(str).tolist()
        return places_figure(lon, lat, self.capacity_mbps, names, "nominal capacity (Mbit/s)")

    def __repr__(self) -> str:
        kinds = self.cells["technology"].value_counts().sort_index()
        known = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
        return f"Network({counted(len(self.sites), 'sites')}, {counted(len(self.cells), 'cells')}: {known})"

    @classmethod
    def from_tables(cls, sites: pd.DataFrame, cells: pd.DataFrame | None = None) -> Network:
        """Tables from a file or an editor; missing figures come from presets, missing cells are the default site's."""
        missing = [c for c in ("site", "lon", "lat") if c not in sites.columns]
        if missing:
            raise InputError(
                f"The table of sites lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}."
            )
        sites = sites.reset_index(drop=True)
        if cells is None or not len(cells):
            made = cls.from_sites(
                _floats(sites, "lon", "sites"), _floats(sites, "lat", "sites"), sites["site"]
            )
            extra = [c for c in sites.columns if c in ("bbu_w", "ac_slope", "ac_bias_w")]
            network = cls(made.sites.assign(**{c: sites[c] for c in extra}), made.cells)
        else:
            missing = [c for c in ("cell", "site") if c not in cells.columns]
            if missing:
                raise InputError(
                    f"The table of cells lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}."
                )
            cells = cells.reset_index(drop=True)
            if set(FIRST_COLUMNS) <= set(cells) and not set(RADIO_COLUMNS) & set(cells):
                cells = of_earlier_version(cells)
            cells = completed(cells)
            position = {s: i for i, s in enumerate(sites["site"].astype(str))}
            order = cells["site"].astype(str).map(position).fillna(len(position)).argsort(kind="stable")
            cells = cells.iloc[order].reset_index(drop=True)
            network = cls(_with_site_figures(sites, cells), cells)
        network = cls(_typed_sites(network.sites), network.cells)
        network.validate()
        return network

    def validate(self) -> None:
        """Raises InputError with the first thing that is wrong and how many rows have it."""
        sites, cells = self.sites, self.cells
        if not len(sites):
            raise InputError("The network has no site; deploy some or upload a table of sites.")
        _no_doubles(sites["site"], "site")
        _no_doubles(cells["cell"], "cell")
        unknown = ~_among(cells["site"], sites["site"])
        if unknown.any():
            first = cells.loc[unknown].iloc[0]
            raise InputError(
                f"{counted(int(unknown.sum()), 'cells name')} an unknown site (first: {first.cell} at {first.site})."
            )
        bare = ~_among(sites["site"], cells["site"])
        if bare.any():
            raise InputError(
                f"{counted(int(bare.sum()), 'sites have')} no cell (first: {sites.loc[bare, 'site'].iloc[0]})."
            )
        lon, lat = sites["lon"].to_numpy(float), sites["lat"].to_numpy(float)
        off = ~((np.abs(lon) <= 180) & (np.abs(lat) <= 85.0))
        if off.any():
            i = int(np.argmax(off))
            raise InputError(
                f"{counted(int(off.sum()), 'sites lie')} outside the map (first: {sites['site'].iloc[i]} at lon "
                f"{lon[i]}, lat "
                f"{lat[i]}); give longitude and latitude in degrees, WGS-84."
            )
        for column in ("bbu_w", "ac_slope", "ac_bias_w"):
            _not_negative(sites, column, "site")
        for column in FIGURES:
            _not_negative(cells, column, "cell")
        check_cells(cells)
        greedy = cells["sleep_w"].to_numpy(float) > cells["idle_w"].to_numpy(float)
        if greedy.any():
            raise InputError(
                f"{counted(int(greedy.sum()), 'cells draw')} more asleep than awake "
                f"(first: {cells['cell'].iloc[greedy.argmax()]})."
            )

    def equipment(self) -> pd.DataFrame:
        """One row an equipment: equipment, cells (number), FIGURES (means where its cells differ)."""
        groups = self.cells.groupby("equipment", sort=True)
        return (
            groups[list(FIGURES)]
            .mean()
            .assign(cells=groups.size())
            .reset_index()[["equipment", "cells", *FIGURES]]
        )

    def with_equipment(self, table: pd.DataFrame) -> Network:
        """The network with other figures for some equipment.

        table: a row an equipment with any of FIGURES; empty values change nothing. Raises InputError for an equipment
        that the network lacks and for figures that make no sense.
        """
        figures = [c for c in FIGURES if c in table]
        if "equipment" not in table or not figures:
            raise InputError(
                f"A table of equipment needs the column equipment and some of {', '.join(FIGURES)}."
            )
        name = table["equipment"].fillna("").astype(str)
        _no_doubles(name, "equipment")
        mine = self.cells["equipment"].astype(str)
        unknown = sorted(set(name) - set(mine))
        if unknown:
            raise InputError(
                f"The network has no equipment {unknown[0]!r}; it has {', '.join(sorted(set(mine)))}."
            )
        cells = self.cells.copy()
        for column in figures:
            value = mine.map(dict(zip(name, _floats_or_none(table, column), strict=True))).astype(float)
            changed = value.notna() & (value != cells[column])
            cells[column] = value.where(value.notna(), cells[column])
            cells[changed] = stated(cells[changed], column)
        network = Network(self.sites, cells)
        network.validate()
        return network

    @property
    def capacity_mbps(self) -> np.ndarray:
        """(sites,) Mbit/s with every cell awake."""
        return np.bincount(self.site_of_cell, self.cells["capacity_mbps"].to_numpy(float), len(self.sites))

    @property
    def site_of_cell(self) -> np.ndarray:
        """(cells,) row of each cell's site."""
        position = pd.Series(np.arange(len(self.sites)), index=self.sites["site"].to_numpy())
        return position.loc[self.cells["site"].to_numpy()].to_numpy()

    @property
    def sector_of_cell(self) -> np.ndarray:
        """(cells,) number of each cell's sector, a row of `sectors`."""
        return pd.factorize(self.cells["sector"])[0]

    @property
    def sectors(self) -> pd.DataFrame:
        """A row a sector, in the order of the cells: sector, site (row in `sites`), azimuth (of its first cell), cells
        (number)."""
        number = self.sector_of_cell
        _, first, count = np.unique(number, return_index=True, return_counts=True)
        return pd.DataFrame(
            {
                "sector": self.cells["sector"].to_numpy(object)[first],
                "site": self.site_of_cell[first],
                "azimuth": self.cells["azimuth"].to_numpy(float)[first],
                "cells": count,
            }
        )

    def with_capacity(self, capacity_mbps: ArrayLike) -> Network:
        """The network with other capacities (cells,) in Mbit/s, such as those of the radio model.

        The power at full load stays, so the slope in W per Mbit/s changes with the capacity; a cell without any carries
        nothing and keeps its slope.
        """
        new = np.asarray(capacity_mbps, float)
        old = self.cells["capacity_mbps"].to_numpy(float)
        slope = self.cells["slope_w_per_mbps"].to_numpy(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = np.where((new > 0) & (old > 0), slope * old / new, slope)
        network = Network(self.sites, self.cells.assign(capacity_mbps=new, slope_w_per_mbps=scaled))
        network.validate()
        return network

    def only(self, sites: np.ndarray) -> Network:
        """The network of some of its sites, (sites,) bool."""
        kept = self.sites[sites].reset_index(drop=True)
        cells = self.cells[_among(self.cells["site"], kept["site"])].reset_index(drop=True)
        return Network(kept, cells)

    def metres(self, origin: tuple[float, float] | None = None) -> np.ndarray:
        """(sites, 2) local metres."""
        lon, lat = self.sites["lon"].to_numpy(float), self.sites["lat"].to_numpy(float)
        return local_metres(lon, lat, origin or centre_of(lon, lat))


def points_layer(table: pd.DataFrame, at: pd.DataFrame) -> gpd.GeoDataFrame:
    """A table as points, EPSG:4326; at: its rows' lon and lat in degrees."""
    geometry = shapely.points(at["lon"].to_numpy(float), at["lat"].to_numpy(float))
    return gpd.GeoDataFrame(table.reset_index(drop=True), geometry=geometry, crs="EPSG:4326")


def _cell(
    site: str, sector: int, sectors: int, layer: int, equipment: Equipment, is_coverage: bool
) -> dict[str, str | float | bool]:
    """A cell of the default site; sector and layer: numbers from 0."""
    cell: dict[str, str | float | bool] = {
        "cell": f"{site}-{equipment.technology}-{sector + 1}" + (f"-{layer + 1}" if layer else ""),
        "site": site,
        "azimuth": 360.0 * sector / sectors,
        "technology": equipment.technology,
        "equipment": equipment.name,
        "is_coverage": is_coverage,
        "beamwidth_deg": _beamwidth_deg(sectors),
        "power_dbm": 30 + 10 * np.log10(equipment.radiated_w),
        "assumed": _ASSUMED,
    }
    band, frequency = _carrier(layer, equipment.technology, is_coverage)
    cell |= {"band": band, "frequency_mhz": frequency, "bandwidth_mhz": equipment.bandwidth_mhz}
    return cell | {figure: getattr(equipment, figure) for figure in FIGURES}


_ASSUMED = ",".join((*FIGURES, *RADIO_COLUMNS))


def _carrier(layer: int, technology: str, is_coverage: bool) -> tuple[str, float]:
    """(band, MHz) of a generated cell, assumed; layer: of the capacity cells of a sector, from 0."""
    if not is_coverage:
        carriers = CAPACITY_CARRIERS[technology]
        return carriers[layer % len(carriers)]
    band = band_named(DEFAULT_BAND[technology], technology)
    assert band is not None  # a constant of the table
    return band.name, band.frequency_mhz


def _beamwidth_deg(sectors: int) -> float:
    """Of the antennas of a site with so many sectors, assumed: 65 degrees up to four, narrower beyond."""
    return 360.0 if sectors == 1 else BEAMWIDTH_DEG if sectors <= 4 else NARROW_BEAMWIDTH_DEG


def _with_site_figures(sites: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Fill absent columns: a baseband for each technology of the site's cells, and the default cooling."""
    sites = sites.copy()
    if "bbu_w" not in sites:
        basebands = {"4G": COVERAGE.bbu_w, "5G": CAPACITY.bbu_w}
        kinds = pd.DataFrame(
            {"site": cells["site"].astype(str), "kind": cells["technology"]}
        ).drop_duplicates()
        watts = kinds["kind"].map(basebands).fillna(COVERAGE.bbu_w).groupby(kinds["site"]).sum()
        sites["bbu_w"] = sites["site"].astype(str).map(watts).fillna(0.0).to_numpy(float)
    for column, value in (("ac_slope", AC_SLOPE), ("ac_bias_w", AC_BIAS_W)):
        if column not in sites:
            sites[column] = value
    return sites


def _typed_sites(sites: pd.DataFrame) -> pd.DataFrame:
    """SITE_COLUMNS alone, as text or float."""
    return pd.DataFrame(
        {
            c: sites[c].astype(str).to_numpy(object) if c == "site" else _floats(sites, c, "sites")
            for c in SITE_COLUMNS
        }
    )


def _floats_or_none(table: pd.DataFrame, column: str) -> np.ndarray:
    """Numbers of a column, NaN where it is empty."""
    value = numbers_of(table[column])
    wrong = (
        ~np.isfinite(value) & table[column].notna().to_numpy() & (table[column].astype(str).str.strip() != "")
    )
    if wrong.any():
        first = table[column].iloc[int(np.argmax(wrong))]
        raise InputError(f"The column {column} holds {first!r}, which is not a number.")
    return value


def _floats(frame: pd.DataFrame, column: str, what: str) -> np.ndarray:
    """Numbers of a column, each of which must be one."""
    values = numbers_of(frame[column])
    bad = np.isnan(values)
    if bad.any():
        raise InputError(f"{int(bad.sum())} {what} have no number in the column {column}.")
    return values


def _among(names: pd.Series, known: pd.Series) -> np.ndarray:
    """(names,) bool; `isin` takes a hundred times as long for columns of text."""
    of = set(known.tolist())
    return np.fromiter((name in of for name in names.tolist()), bool, len(names))


def _no_doubles(names: pd.Series, what: str) -> None:
    doubled = names.duplicated()
    if doubled.any():
        raise InputError(
            f"{int(doubled.sum())} {what} names are used twice (first: {names[doubled].iloc[0]})."
        )


def _not_negative(frame: pd.DataFrame, column: str, what: str) -> None:
    values = frame[column].to_numpy(float)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        i = int(bad.argmax())
        raise InputError(
            f"{int(bad.sum())} {what}s have a {column} that is no number of at least 0 "
            f"(first: {frame[what].iloc[i]} with {values[i]:g})."
        )
