"""Open data of an area into a pack: what is already there stays, what is missing is fetched, what fails is told.

POI and population are fetched for the area and its halo, because a tile is also described by its neighbours; imagery
for the area alone. The base map, which only the maps show, comes last and fails alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

import plannerbase.report
from opendiff.area import Tiles, tiles_bounds
from opendiff.area.tile_grid import Bounds, fractional_tile
from opendiff.errors import SourceError
from opendiff.live.choices import EXTRACTS, NONE, Choices
from opendiff.live.http import INSTEAD, Client, Unreachable
from opendiff.live.imagery import cut_geotiff, fetch_tiles
from opendiff.live.overpass import BLOCK_TILES, TooMuch, fetch_osm_places
from opendiff.live.population import PopulationUnit, fetch_country, strip_population, unit_of
from opendiff.live.providers import osm_provider
from opendiff.live.rasters import cut_blocks
from opendiff.live.store import LABELS, NO_IMAGERY, PackStore
from opendiff.live.streets import fetch_streets
from opendiff.open_data.base_map import add_to_pack, read_base_map
from opendiff.open_data.features import with_halo
from opendiff.poi.osm_files import is_shapefile_zip, layer_bounds, read_osm_extract
from opendiff.poi.places import Places, count_places
from opendiff.poi.tables import read_poi_table
from opendiff.storage.cache_room import make_room, mark_used
from opendiff.storage.folders import cache_folder
from plannerbase.progress import Progress

IMAGERY_PER_MERGE = 512  # tiles between two notes of which the provider lacks
MAX_BASE_MAP_TILES = 4_096  # of an area: some 64 km a side; the map of a larger one would be slow to draw
POI_MARGIN_TILES = 1.0  # around the places of a file, within which a tile without a place has none


@dataclass
class Fetcher:
    """Fills the pack at `root` by `choices`. Cancelled by `client.cancelled`; what is fetched by then is kept."""

    root: Path
    choices: Choices
    client: Client = field(default_factory=Client)
    progress: Progress | None = None

    def __post_init__(self) -> None:
        self.store = PackStore.at(Path(self.root))
        self._unreachable: list[str] = []  # hosts, in this run
        self.told = (
            plannerbase.report.Report()
        )  # of the user's own files: what was taken, fixed, left out and assumed

    def area(self, tiles: Tiles) -> tuple[str, ...]:
        """All modalities of an area; returns sentences on what could not be had.

        Raises SourceError when nothing at all is known about the area then, and Cancelled.
        """
        around = with_halo(tiles)
        self.store.add(around)
        self._unreachable.clear()
        notes = (*self.poi(around, tiles), *self.population(around, tiles), *self.imagery(tiles))
        if all(self._lacking(name, tiles).all() for name in LABELS):
            if notes and len(self._unreachable) == len(notes):
                hosts = ", ".join(dict.fromkeys(self._unreachable))
                raise SourceError(
                    f"No open data can be fetched ({hosts}: no connection); check the network, or {INSTEAD}."
                )
            raise SourceError(" ".join(notes) or "Nothing is known about the area; choose other sources.")
        return (*notes, *self.base_map(around))

    def base_map(self, tiles: Tiles) -> tuple[str, ...]:
        """Roads, water, rail and names of exactly these tiles; returns a sentence on why they could not be had."""
        if self.choices.base_map == NONE:
            return ()
        problem = None
        try:
            self._base_map(tiles)
        except SourceError as error:
            problem = f"The base map is missing: {error}"
        self.store.note_base_map(problem)
        return (problem,) if problem else ()

    def imagery(self, tiles: Tiles) -> tuple[str, ...]:
        """Imagery of exactly these tiles; returns a sentence on those that it could not have."""
        return self._modality("imagery", tiles, tiles, self._imagery)

    def poi(self, tiles: Tiles, area: Tiles | None = None) -> tuple[str, ...]:
        """POI of exactly these tiles; the sentence is on those of `area`, all where it is None."""
        return self._modality("poi", tiles, tiles if area is None else area, self._poi)

    def population(self, tiles: Tiles, area: Tiles | None = None) -> tuple[str, ...]:
        """Population of exactly these tiles; the sentence is on those of `area`, all where it is None."""
        return self._modality("population", tiles, tiles if area is None else area, self._population)

    def _modality(
        self, name: str, tiles: Tiles, area: Tiles, fill: Callable[[Tiles, bool], None]
    ) -> tuple[str, ...]:
        """Fill one modality; a fault becomes a sentence that is kept in the pack.

        fill: asked with the missing tiles, and with whether nothing is known of the area yet.
        """
        if getattr(self.choices, name) == NONE:
            return ()
        missing = self.store.missing(name, tiles)
        provider = getattr(self.choices, f"{name}_provider")()
        self.store.claim(name, provider, self.choices.key(name), fetched=bool(missing.any()))
        reason = "the source has none there."
        try:
            if missing.any():
                fill(tiles[missing].reset_index(drop=True), bool(self._lacking(name, area).all()))
        except SourceError as error:
            if isinstance(error, Unreachable):
                self._unreachable.append(error.host)
            reason = str(error)
        lacking = int(self._lacking(name, area).sum())
        on = "" if lacking == len(area) else f" on {lacking:,} of {len(area):,} tiles"
        problem = f"{LABELS[name]} is missing{on}: {reason}" if lacking else None
        self.store.note_problem(name, problem)
        return (problem,) if problem else ()

    def _lacking(self, name: str, tiles: Tiles) -> np.ndarray:
        """Which of `tiles` the pack has nothing of, whether it might be had or not: (tiles,) bool."""
        return ~self.store.imaged(tiles) if name == "imagery" else self.store.missing(name, tiles)

    def _imagery(self, tiles: Tiles, nothing_yet: bool) -> None:
        x, y = tiles["x"].to_numpy(), tiles["y"].to_numpy()
        if not self.choices.imagery_is_live:
            absent = cut_geotiff(
                Path(self.choices.imagery),
                x,
                y,
                self.store.root,
                self._progress("imagery"),
                self.client.cancelled,
            )
            self._remember_absent(tiles, absent)
            return
        provider = self.choices.imagery_provider()
        for start in range(0, len(tiles), IMAGERY_PER_MERGE):
            part = slice(start, start + IMAGERY_PER_MERGE)
            done = fetch_tiles(
                self.client,
                provider,
                x[part],
                y[part],
                self.store.root,
                self._progress("imagery", start, len(tiles)),
            )
            self._remember_absent(tiles.iloc[part], done.absent)
            if done.reason is not None:
                raise done.reason

    def _remember_absent(self, tiles: Tiles, rows: np.ndarray) -> None:
        """That the provider has no image of these rows of `tiles`."""
        if len(rows):
            self.store.add(tiles.iloc[rows], {NO_IMAGERY: np.ones(len(rows), bool)})

    def _poi(self, tiles: Tiles, nothing_yet: bool) -> None:
        if self.choices.poi != "osm":
            return self._poi_from_file(tiles, nothing_yet)
        provider = self.choices.poi_provider()
        self.store.claim("poi", provider, self.choices.key("poi"), poi_provider="osm")

        def fetch(part: Tiles) -> None:
            places = fetch_osm_places(self.client, provider, tiles_bounds(part))
            self.store.add(part, {"poi": count_places(places, part)})

        self._by_blocks(tiles, fetch, "POI")

    def _base_map(self, tiles: Tiles) -> None:
        present = read_base_map(self.store.root)
        missing = tiles if present is None else tiles[~present.covers(tiles)].reset_index(drop=True)
        if not len(missing):
            return
        if len(tiles) > MAX_BASE_MAP_TILES:
            raise SourceError(f"it is drawn of at most {MAX_BASE_MAP_TILES:,} tiles.")
        provider = osm_provider()
        if (host := urlsplit(provider.url).netloc) in self._unreachable:
            raise SourceError(f"{host}: no connection.")

        def fetch(part: Tiles) -> None:
            found = fetch_streets(self.client, provider, tiles_bounds(part))
            add_to_pack(self.store.root, found.clipped(part))

        self._by_blocks(missing, fetch, "base map")

    def _by_blocks(self, tiles: Tiles, fetch: Callable[[Tiles], None], what: str) -> None:
        """Fetch tiles block by block; a block that is too much for the server, in quarters."""
        x, y = tiles["x"].to_numpy(np.int64), tiles["y"].to_numpy(np.int64)
        blocks = [(block, BLOCK_TILES) for block in cut_blocks(x, y, BLOCK_TILES)]
        progress, done = self._progress(what), 0
        while blocks:
            block, side = blocks.pop(0)
            part = tiles.iloc[block].reset_index(drop=True)
            try:
                fetch(part)
            except TooMuch:
                if side == 1:
                    raise
                quarters = cut_blocks(x[block], y[block], side // 2)
                blocks = [(block[rows], side // 2) for rows in quarters] + blocks
                continue
            done += len(part)
            if progress:
                progress(done, len(tiles), what)

    def _poi_from_file(self, tiles: Tiles, nothing_yet: bool) -> None:
        path = Path(self.choices.poi)
        if path.name.lower().endswith(EXTRACTS) or is_shapefile_zip(path):
            extract = read_osm_extract(path, tiles_bounds(tiles), self.client.cancelled)
            places, provider, report = extract.places, "osm", extract.report
            bounds = layer_bounds(path)
        else:
            table = read_poi_table(path, self.choices.poi_datum, dict(self.choices.poi_columns))
            places, provider, report = table.places, table.provider, table.report
            bounds = _bounds(places)
        self.told.extend(report.about(path.name))
        self.client.check_cancelled()
        covered = tiles if bounds is None else tiles[_near(tiles, bounds)].reset_index(drop=True)
        counts = count_places(places, covered)
        if nothing_yet and not counts.any():
            why = " ".join(entry.line for entry in report.of("left out")[:2])
            raise SourceError(
                f"{path.name} has no place in the area; check its positions (lon, lat in degrees)."
                f"{f' {why}' if why else ''}"
            )
        self.store.claim("poi", self.choices.poi_provider(), self.choices.key("poi"), poi_provider=provider)
        self.store.add(covered, {"poi": counts})

    def _population(self, tiles: Tiles, nothing_yet: bool) -> None:
        if self.choices.population != "worldpop":
            rasters = [Path(self.choices.population)]
        else:
            provider = self.choices.population_provider()
            folder = cache_folder() / "population"
            make_room()
            rasters = [
                fetch_country(self.client, provider, code, folder, self._progress(f"population {code}"))
                for code in self.choices.country
            ]
            for raster in rasters:
                mark_used(raster)
        unit: PopulationUnit = "people"
        if self.choices.population != "worldpop":
            unit = self.choices.population_unit or unit_of(rasters[0])
            said = (
                "as stated"
                if self.choices.population_unit
                else "as the file says"
                if unit != "people"
                else "assumed"
            )
            words = "people per km2" if unit == "per-km2" else "people in each cell"
            self.told.assumed(f"{rasters[0].name}: its values are {words} ({said})")
        people, known = strip_population(rasters[0], tiles, self.client.cancelled, unit)
        for raster in rasters[1:]:
            more, covers = strip_population(raster, tiles, self.client.cancelled, unit)
            people, known = people + more, known | covers
        if nothing_yet and not people.any():
            names = " and ".join(raster.name for raster in rasters)
            raise SourceError(f"{names} has no people in the area; check the country or the file.")
        covered = np.flatnonzero(known)
        self.store.add(tiles.iloc[covered], {"population": people[covered]})

    def _progress(self, what: str, before: int = 0, total: int | None = None) -> Progress | None:
        """Progress of a stage, or of a part of it that begins after `before` of `total`."""
        if self.progress is None:
            return None
        progress = self.progress
        return lambda done, of, _: progress(before + done, of if total is None else total, what)


def _bounds(places: Places) -> Bounds | None:
    """W, S, E, N around places, degrees; None around none."""
    if not len(places):
        return None
    return places.lon.min(), places.lat.min(), places.lon.max(), places.lat.max()


def _near(tiles: Tiles, bounds: Bounds) -> np.ndarray:
    """Which tiles touch the box W, S, E, N of a file's places, or nearly so: (tiles,) bool."""
    west, south, east, north = bounds
    (left, right), (bottom, top) = fractional_tile([west, east], [south, north])
    x, y = tiles["x"].to_numpy(), tiles["y"].to_numpy()
    margin = POI_MARGIN_TILES
    return (x + 1 > left - margin) & (x < right + margin) & (y + 1 > top - margin) & (y < bottom + margin)
