"""What is to be fetched from where: one word, address or file a modality."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from opendiff.errors import SourceError
from opendiff.live.population import PopulationUnit, check_country
from opendiff.live.providers import (
    OSM,
    Provider,
    imagery_provider,
    is_template,
    osm_provider,
    worldpop_provider,
)
from opendiff.poi.tables import Datum

NONE = "none"
RASTERS = (".tif", ".tiff")
EXTRACTS = (".pbf", ".osm", ".osm.gz", ".osm.bz2", ".gpkg")
POI_COLUMNS = ("lon", "lat", "category")  # of a table, that a user may name
TABLES = (
    ".csv", ".txt", ".tsv", ".xlsx", ".xlsm", ".parquet", ".geoparquet", ".geojson", ".json", ".geojsonl", ".geojsons",
    ".ndjson", ".kml", ".kmz", ".gpx", ".fgb", ".zip", ".csv.gz", ".csv.bz2",
)  # fmt: skip
PLACES = (*EXTRACTS, *TABLES)


@dataclass(frozen=True)
class Choices:
    """imagery: "esri", a tile template, a GeoTIFF or "none". population: "worldpop", a GeoTIFF of people or "none".
    poi: "osm", an extract (.osm.pbf, .osm, .gpkg, .shp.zip), a table of places or "none". country: ISO 3166 codes
    that WorldPop is asked for. poi_datum: of the positions in a table; poi_columns: its columns, (lon, lat or category,
    the table's heading), where these do not tell. population_unit: of a GeoTIFF; None: as it says
    itself, else people in each cell. base_map: "osm" or "none"; it is for the eyes alone, so it may change while a pack
    grows. Raises SourceError on anything else."""

    imagery: str = NONE
    population: str = NONE
    poi: str = NONE
    country: tuple[str, ...] = ()
    poi_datum: Datum = "WGS-84"
    population_unit: PopulationUnit | None = None
    base_map: str = NONE
    poi_columns: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "country", tuple(check_country(code) for code in self.country))
        if {self.imagery, self.population, self.poi} == {NONE}:
            raise SourceError("Nothing is asked for; name imagery, population or POI other than none.")
        if self.base_map not in ("osm", NONE):
            raise SourceError(f"{self.base_map!r} is no source of base maps; give osm or none.")
        if self.imagery_is_live:
            self.imagery_provider()
        elif self.imagery != NONE:
            _require_file(self.imagery, RASTERS, "imagery", "esri, a tile template, a GeoTIFF (.tif) or none")
        if self.population == "worldpop":
            if not self.country:
                raise SourceError(
                    "WorldPop comes by country; give its code with --country (three letters of ISO 3166, such as CHN; "
                    "several with commas between), or a raster of your own."
                )
        elif self.population != NONE:
            _require_file(self.population, RASTERS, "population", "worldpop, a GeoTIFF (.tif) or none")
        if unknown := {ours for ours, _ in self.poi_columns} - set(POI_COLUMNS):
            raise SourceError(f"{min(unknown)!r} is no column of places; name {', '.join(POI_COLUMNS)}.")
        if self.poi not in ("osm", NONE):
            _require_file(
                self.poi,
                PLACES,
                "POI",
                "osm, a file (.osm.pbf, .osm, .gpkg, .shp.zip, .csv, .xlsx, .parquet, .geojson, .kml, .gpx, .fgb) "
                "or none",
            )

    @property
    def imagery_is_live(self) -> bool:
        """Whether imagery comes from a tile server, under its terms."""
        return self.imagery == "esri" or is_template(self.imagery)

    def imagery_provider(self) -> Provider:
        """Whose imagery is asked for; `population_provider` and `poi_provider` likewise."""
        if self.imagery_is_live:
            return imagery_provider(self.imagery)
        return _own(self.imagery, "Imagery")

    def population_provider(self) -> Provider:
        return worldpop_provider() if self.population == "worldpop" else _own(self.population, "Population")

    def poi_provider(self) -> Provider:
        if self.poi == "osm":
            return osm_provider()
        own = _own(self.poi, "POI")
        if self.poi.lower().endswith(EXTRACTS):
            return replace(OSM, name=own.name, url=own.url)
        return own

    def key(self, modality: str) -> str:
        """What tells this source of a modality from another, also from the same file after a change."""
        choice = getattr(self, modality)
        if modality == "imagery" and self.imagery_is_live:
            return self.imagery_provider().url
        if choice in ("worldpop", "osm"):
            return f"{choice} {worldpop_provider().url if choice == 'worldpop' else ''}".strip()
        if choice == NONE:
            return NONE
        status = Path(choice).stat()
        datum = f" {self.poi_datum}" if modality == "poi" and self.poi_datum != "WGS-84" else ""
        if modality == "poi" and self.poi_columns:
            datum += f" {sorted(self.poi_columns)}"
        unit = f" {self.population_unit}" if modality == "population" and self.population_unit else ""
        return f"{Path(choice).name} {status.st_size} {status.st_mtime_ns}{datum}{unit}"

    @property
    def identity(self) -> str:
        """A short name for these choices, fit for a folder."""
        text = "\n".join(self.key(modality) for modality in ("imagery", "population", "poi"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _require_file(choice: str, suffixes: tuple[str, ...], what: str, allowed: str) -> None:
    path = Path(choice)
    if not choice.lower().endswith(suffixes):
        raise SourceError(f"{choice!r} is no source of {what}; give {allowed}.")
    if not path.is_file():
        raise SourceError(f"There is no file {path}; give {allowed} for {what}.")


def _own(file: str, what: str) -> Provider:
    name = Path(file).name
    return Provider(f"the file {name}", name, "as its owner says", f"{what} from the file {name}")
