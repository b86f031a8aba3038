"""What open data of an area survives: each fault of each provider, once in passing and once until the run gives up.

A fault is survived when no file is half-written, nothing that was there is lost, the run that met it tells of it or
gets over it, and the next run fetches only what is missing and ends with the same pack as one without a fault.
"""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
from rasterio.transform import from_origin

from benchmarks.robustness.fault_server import FAULTS, RETRY_AFTER_S, SLOW_S, FaultServer, World
from opendiff.area import Tiles, tile_frame
from opendiff.errors import SourceError
from opendiff.live.choices import Choices
from opendiff.live.fetching import Fetcher
from opendiff.live.http import Client, Patience
from opendiff.open_data.sources import read_image
from opendiff.poi.osm_files import tiles_bounds

KINDS = {"imagery": "/tiles", "population": "/population", "poi": "/api"}
COLUMN, ROW, SIDE = 17_000, 11_300, 3
CELL_DEGREES = 1 / 1200
MARGIN_DEGREES = 0.06
SHORT_S = SLOW_S / 2
NOTES = ("Imagery is missing on 1 of 9 tiles: the source has none there.",)  # where nothing fails


@dataclass(frozen=True)
class Scenario:
    """One fault of one provider; lasting: on every request of the run, else on two."""

    modality: str
    fault: str
    lasting: bool

    def __str__(self) -> str:
        return f"{self.modality}, {self.fault}, {'lasting' if self.lasting else 'passing'}"


SCENARIOS = tuple(
    Scenario(modality, fault, lasting)
    for modality, fault, lasting in itertools.product(KINDS, FAULTS, (False, True))
    if not (
        fault in ("404", "wrong type") and not lasting
    )  # these are not tried again, so passing means lasting
)


class MadeTime:
    """A clock whose sleepers do not wait; `slept` is what they would have."""

    def __init__(self) -> None:
        self.slept = 0.0

    def clock(self) -> float:
        return self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


def made_tiles() -> Tiles:
    x, y = np.meshgrid(np.arange(COLUMN, COLUMN + SIDE), np.arange(ROW, ROW + SIDE), indexing="ij")
    return tile_frame(x.ravel(), y.ravel())


@lru_cache(maxsize=2)
def _people(bounds: tuple[float, float, float, float], seed: int) -> bytes:
    """A GeoTIFF of people around a box."""
    rng = np.random.default_rng(seed)
    west, south, east, north = bounds
    width, height = (
        int(np.ceil((b - a + 2 * MARGIN_DEGREES) / CELL_DEGREES)) for a, b in ((west, east), (south, north))
    )
    people = rng.gamma(0.5, 40, (height, width)).astype(np.float32)
    with rasterio.MemoryFile() as file:
        with file.open(
            driver="GTiff", width=width, height=height, count=1, dtype="float32", crs="EPSG:4326", nodata=-99999.0,
            transform=from_origin(west - MARGIN_DEGREES, north + MARGIN_DEGREES, CELL_DEGREES, CELL_DEGREES),
        ) as raster:  # fmt: skip
            raster.write(people, 1)
        return file.read()


def made_world(tiles: Tiles, seed: int = 0, absent: bool = True) -> World:
    """A city around `tiles`: a population raster and places for them and their halo; one tile without an image."""
    rng = np.random.default_rng(seed)
    west, south, east, north = bounds = tiles_bounds(tiles)
    margin = MARGIN_DEGREES
    lon, lat = (
        rng.uniform(west - margin, east + margin, 400),
        rng.uniform(south - margin, north + margin, 400),
    )
    tags = [
        {"amenity": "cafe"},
        {"shop": "socks"},
        {"amenity": "school", "name": "x"},
        {"highway": "crossing"},
    ]
    places = [
        (float(a), float(b), tags[n % len(tags)]) for n, (a, b) in enumerate(zip(lon, lat, strict=True))
    ]
    gone = {(int(tiles["x"].iat[-1]), int(tiles["y"].iat[-1]))} if absent else set()
    return World(_people(bounds, seed), gone, places)


def survives(scenario: Scenario, folder: Path) -> str | None:
    """None when the fault is survived, else a sentence on what is wrong. `folder` is empty."""
    tiles, kind = made_tiles(), KINDS[scenario.modality]
    made = MadeTime()
    with FaultServer(made_world(tiles)) as server, environment(server, folder):
        choices = Choices("esri", "worldpop", "osm", ("XXA",))
        client = quick_client(made, SHORT_S) if scenario.fault == "slow" else quick_client(made)
        if scenario.lasting:
            server.fail_always(kind, scenario.fault)
        else:
            server.fail(kind, scenario.fault, scenario.fault)
        notes = _fetch(folder / "pack", choices, client, tiles)
        if broken := half_written(folder):
            return f"half-written: {broken}"
        if not scenario.lasting:
            if notes != NOTES or not same(pack_content(folder / "pack"), expected()):
                return f"a passing fault has left its mark ({notes})"
            if scenario.fault.startswith("429") and made.slept < RETRY_AFTER_S - 1:
                return "Retry-After was not honoured"
        elif not any(scenario.modality in note.lower() for note in set(notes) - set(NOTES)):
            return f"nothing is said of it ({notes})"
        before = server.asked.copy()
        server.fail_always(kind, None)
        notes = _fetch(folder / "pack", choices, client, tiles)
        asked = set((server.asked - before).keys())
        if asked - (_paths(scenario.modality, tiles) if scenario.lasting else set()):
            return f"asked again for what was there: {sorted(asked)[:3]}"
        # that a tile has no image is remembered: the one thing a fault may leave behind
        remembered = scenario.lasting and scenario.fault == "404" and scenario.modality == "imagery"
        if not remembered and (notes != NOTES or not same(pack_content(folder / "pack"), expected())):
            return f"the second run has not mended it ({notes})"
        return half_written(folder)


def quick_client(made: MadeTime, read: float = 10.0) -> Client:
    """The real client with a clock of its own. read: seconds that it waits for a byte, on the real clock; short only
    where a fault is to be slow, for a busy machine is slow without one."""
    return Client(Patience(5.0, read, read, attempts=4), made.clock, made.sleep, lambda: 0.5)


@lru_cache(maxsize=1)
def expected() -> dict[str, Any]:
    """The content of the pack when nothing fails."""
    tiles = made_tiles()
    with tempfile.TemporaryDirectory() as folder, FaultServer(made_world(tiles)) as server:
        with environment(server, Path(folder)):
            choices = Choices("esri", "worldpop", "osm", ("XXA",))
            Fetcher(Path(folder, "pack"), choices, quick_client(MadeTime())).area(tiles)
        content = pack_content(Path(folder, "pack"))
    if len(content["images"]) != len(tiles) - 1 or content["table"].isna().any(axis=None):
        raise SourceError("The made world is not fetched whole; the benchmark is broken.")
    return content


def pack_content(root: Path) -> dict[str, Any]:
    """All values of a pack that do not name a date."""
    table = pd.read_parquet(root / "tiles.parquet")
    images = {str(p.relative_to(root)): p.read_bytes() for p in sorted((root / "imagery").rglob("*.png"))}
    return {"table": table.sort_values(["x", "y"]).reset_index(drop=True), "images": images}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one["table"].equals(other["table"]) and one["images"] == other["images"]


def half_written(folder: Path) -> str | None:
    """The first file that is neither whole nor known to be a part; None when there is none."""
    for path in folder.rglob("*"):
        if path.is_dir() or path.name.endswith((".lock", ".part", ".part.json")):
            continue
        try:
            if path.name.startswith("."):
                raise ValueError("a temporary file was left")
            if path.suffix == ".png":
                read_image(path)
            elif path.suffix == ".parquet":
                pd.read_parquet(path)
            elif path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".tif":
                with rasterio.open(path) as raster:
                    raster.read()
        except (SourceError, ValueError, OSError, rasterio.errors.RasterioError) as error:
            return f"{path.name} ({error})"
    return None


def _fetch(root: Path, choices: Choices, client: Client, tiles: Tiles) -> tuple[str, ...]:
    try:
        return Fetcher(root, choices, client).area(tiles)
    except SourceError as error:
        return (str(error),)


def _paths(modality: str, tiles: Tiles) -> set[str]:
    """The paths of a modality on the server."""
    return {
        "imagery": {f"/tiles/15/{y}/{x}" for x, y in zip(tiles["x"], tiles["y"], strict=True)},
        "population": {"/population/XXA.tif"},
        "poi": {"/api/interpreter"},
    }[modality]


def environment(server: FaultServer, folder: Path) -> AbstractContextManager[None]:
    """Within it the product asks `server`, and keeps its cache in `folder`."""
    return variables(server.environment() | {"OPENDIFF_CACHE": str(folder / "cache")})


@contextmanager
def variables(wanted: dict[str, str]) -> Iterator[None]:
    """Environment variables for a while."""
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
