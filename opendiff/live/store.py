"""The pack that fetched data is kept in: readable at every moment, and open to several processes at once.

Beside the files of every pack (`opendiff.open_data.sources`) it has `ATTRIBUTION.txt` and `pack.json`:

    format           1
    poi_datum        "WGS-84"
    poi_provider     "osm" or "map-service": whose way of counting places
    population_unit  "people": in each strip
    modalities       imagery, population, poi: provider, url, licence, attribution, terms, date of the last fetch, `key`
                     (what is asked again only of the same source), `problem` (a sentence; null where all was had)
    base_map_problem a sentence on why `base_map.geojson` is missing or lacks tiles, where it was asked for

and a column `no_imagery` in `tiles.parquet`, true where the provider said that it has no image of the tile.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from opendiff.area import Tiles, tile_index
from opendiff.errors import SourceError
from opendiff.live.providers import Provider
from opendiff.open_data.sources import POI_COLUMNS, POPULATION_COLUMNS, ZOOM, PackSource, image_path
from opendiff.storage.atomic import locked, replacing

FORMAT = 1
NO_IMAGERY = "no_imagery"
LABELS = {"imagery": "Imagery", "population": "Population", "poi": "POI"}
COLUMNS: dict[str, tuple[str, ...]] = {"poi": POI_COLUMNS, "population": POPULATION_COLUMNS}


@dataclass(frozen=True)
class PackStore:
    """A pack that is being filled."""

    root: Path

    @classmethod
    def at(cls, root: Path) -> PackStore:
        """The store in a folder, made where it is missing. Raises SourceError where something else lies there."""
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SourceError(f"The folder {root} cannot be made ({error}); name another.") from None
        if (root / "tiles.parquet").exists() and not (root / "pack.json").exists():
            raise SourceError(
                f"{root} holds an offline data package that was not fetched; name another folder."
            )
        return cls(root)

    def missing(self, modality: str, tiles: Tiles) -> np.ndarray:
        """Which of `tiles` the pack does not know yet, (tiles,) bool."""
        names = [NO_IMAGERY] if modality == "imagery" else list(COLUMNS[modality])
        rows = self._table(names).reindex(tile_index(tiles))
        if modality == "imagery":
            absent = rows[NO_IMAGERY].eq(True).to_numpy(bool)  # NaN, unknown, is not
            return ~absent & ~self.imaged(tiles)
        return rows.isna().any(axis=1).to_numpy()

    def imaged(self, tiles: Tiles) -> np.ndarray:
        """Which of `tiles` have a whole image in the pack, (tiles,) bool; one cut short is fetched again."""
        paths = [image_path(self.root, x, y) for x, y in zip(tiles["x"], tiles["y"], strict=True)]
        return np.array([_is_whole(path) for path in paths], bool)

    def claim(self, modality: str, provider: Provider, key: str, fetched: bool = True, **facts: str) -> None:
        """Say where a modality comes from, and that it is fetched now. facts: other keys of `pack.json`.

        Raises SourceError when the pack holds it from elsewhere.
        """
        with self._locked():
            stated = self._facts()
            before = stated["modalities"].get(modality, {})
            if before.get("key") == key and not fetched:
                return
            if before.get("key") not in (None, key) and self._holds(modality):
                raise SourceError(
                    f"The pack {self.root} holds {LABELS[modality]} from {before.get('provider')} of "
                    f"{str(before.get('date'))[:10]}; fetch another source, or a changed file, into another folder."
                )
            stated["modalities"][modality] = {
                "provider": provider.name,
                "url": provider.url,
                "licence": provider.licence,
                "attribution": provider.attribution,
                "terms": provider.terms,
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "key": key,
                "problem": before.get("problem"),
            }
            self._write_facts(stated | facts)

    def note_problem(self, modality: str, problem: str | None) -> None:
        """Keep a sentence on what could not be had of a modality, or that all was had."""
        with self._locked():
            stated = self._facts()
            about = stated["modalities"].setdefault(modality, {})
            if about.get("problem") != problem:
                about["problem"] = problem
                self._write_facts(stated)

    def note_base_map(self, problem: str | None) -> None:
        """Keep a sentence on why the base map is missing, or that it is not. No traffic rests on it, so it stands
        beside the modalities."""
        with self._locked():
            stated = self._facts()
            if stated.get("base_map_problem") != problem:
                self._write_facts(stated | {"base_map_problem": problem})

    def add(self, tiles: Tiles, columns: Mapping[str, np.ndarray] | None = None) -> None:
        """Put values of `tiles` into the table: an array (tiles, width) by modality, or (tiles,) for NO_IMAGERY.

        With no columns the tiles are listed only. What is known of other tiles, and other columns, stay.
        """
        with self._locked():
            table = self._table()
            table = table.reindex(table.index.union(tile_index(tiles)))
            rows = table.index.get_indexer(tile_index(tiles))
            for name, values in (columns or {}).items():
                places = [table.columns.get_loc(column) for column in COLUMNS.get(name, (name,))]
                kind = bool if name == NO_IMAGERY else np.float32
                table.iloc[rows, places] = np.asarray(values, kind).reshape(len(tiles), len(places))
            # before the table, because a table without it is somebody else's pack
            if not (self.root / "pack.json").exists():
                self._write_facts(self._facts())
            out = table.reset_index()
            out.insert(0, "z", ZOOM)
            out[NO_IMAGERY] = out[NO_IMAGERY].eq(True)
            with replacing(self.root / "tiles.parquet") as temporary:
                out.astype({"z": np.int32, "x": np.int32, "y": np.int32}).to_parquet(temporary, index=False)

    def pack(self) -> PackSource:
        """What is in the pack now."""
        return PackSource(self.root)

    def _holds(self, modality: str) -> bool:
        if modality == "imagery":
            return any((self.root / "imagery").rglob("*.png"))
        return bool(self._table(list(COLUMNS[modality])).notna().any(axis=None))

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self.root / ".lock")

    def _table(self, names: Sequence[str] = (*POI_COLUMNS, *POPULATION_COLUMNS, NO_IMAGERY)) -> pd.DataFrame:
        """By (x, y): POI and population, NaN where unknown, and NO_IMAGERY; or only the columns of these names."""
        path = self.root / "tiles.parquet"
        names = list(names)
        if not path.exists():
            empty = pd.MultiIndex.from_arrays([np.empty(0, np.int64)] * 2, names=["x", "y"])
            table = pd.DataFrame(index=empty, columns=names, dtype=np.float32)
        else:
            try:
                table = pd.read_parquet(path, columns=["x", "y", *names])
                table.index = pd.MultiIndex.from_frame(table[["x", "y"]].astype(np.int64))
                table = table[names]
            except PermissionError as error:
                raise SourceError(f"{path} cannot be read ({error}); check its permissions.") from None
            except (OSError, ValueError, KeyError):
                return self._without_damaged(path, names)
        if NO_IMAGERY in names:
            table[NO_IMAGERY] = table[NO_IMAGERY].astype(object)
        return table

    def _without_damaged(self, path: Path, names: Sequence[str]) -> pd.DataFrame:
        """The table anew, when it cannot be read: what it held can be fetched again, and the file is kept beside it."""
        try:
            path.replace(path.with_suffix(".damaged"))
        except OSError as error:
            raise SourceError(f"{path} is damaged and cannot be replaced ({error}); remove it.") from None
        return self._table(names)

    def _facts(self) -> dict[str, Any]:
        facts = dict(self.pack().facts)
        if not isinstance(facts.get("modalities"), dict):
            facts["modalities"] = {}
        start = {"format": FORMAT, "poi_datum": "WGS-84", "poi_provider": "osm", "population_unit": "people"}
        return start | facts

    def _write_facts(self, facts: dict[str, Any]) -> None:
        credits = [facts["modalities"].get(name, {}).get("attribution") for name in LABELS]
        with replacing(self.root / "ATTRIBUTION.txt") as temporary:
            temporary.write_text("; ".join(filter(None, credits)) + "\n", encoding="utf-8")
        with replacing(self.root / "pack.json") as temporary:
            temporary.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _is_whole(path: Path) -> bool:
    """Whether a file begins and ends as an image does."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
            file.seek(-12, os.SEEK_END)
            tail = file.read()
    except OSError:
        return False
    return (head == b"\x89PNG" and b"IEND" in tail) or (
        head[:2] == b"\xff\xd8" and tail.endswith(b"\xff\xd9")
    )
