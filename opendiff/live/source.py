"""Live open data as a source of the generator: each tile is fetched when it is first asked for, and kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from opendiff.area import Tiles
from opendiff.live.choices import Choices
from opendiff.live.fetching import Fetcher
from opendiff.live.http import Client
from opendiff.open_data.sources import OpenData, PackSource
from opendiff.poi.categories import PoiProvider
from opendiff.poi.registration import PoiDatum
from opendiff.storage.folders import cache_folder
from plannerbase.progress import Progress


@dataclass
class LiveSource:
    """Open data by `choices`, kept in a pack of the cache folder (or in `root`). Methods raise SourceError."""

    choices: Choices
    root: Path | None = None
    client: Client = field(default_factory=Client)
    progress: Progress | None = None
    name: str = "live"

    def __post_init__(self) -> None:
        root = self.root or cache_folder() / "packs" / self.choices.identity
        self.fetcher = Fetcher(root, self.choices, self.client, self.progress)
        self._prepared = False

    def prepare(self, tiles: Tiles) -> tuple[str, ...]:
        """Fetch all of an area at once; returns sentences on what could not be had. From then on `open_data` fetches
        no more. Raises Cancelled as well."""
        notes = self.fetcher.area(tiles)
        self._prepared = True
        return notes

    def open_data(self, tiles: Tiles, imagery: bool = True) -> OpenData:
        """As `PackSource.open_data`, which the generator asks for a halo without imagery first, then for the tiles
        with it: the first fetches POI and population, the second imagery."""
        if not self._prepared:
            self.fetcher.store.add(tiles)
            if imagery:
                self.fetcher.imagery(tiles)
            else:
                self.fetcher.poi(tiles)
                self.fetcher.population(tiles)
        return self.pack.open_data(tiles, imagery)

    @property
    def pack(self) -> PackSource:
        """What is fetched so far."""
        return self.fetcher.store.pack()

    @property
    def attribution(self) -> str:
        return self.pack.attribution

    @property
    def poi_datum(self) -> PoiDatum:
        return self.pack.poi_datum

    @property
    def poi_provider(self) -> PoiProvider:
        return self.pack.poi_provider

    @property
    def notes(self) -> tuple[str, ...]:
        return self.pack.notes
