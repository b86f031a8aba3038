"""The ways that an upload takes into the app, by their names: what its pages call with the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from app.saved import library, packing
from app.state.workspace import Workspace
from benchmarks.robustness import corpus
from opendiff.area import read_area_bytes, tile_frame
from opendiff.live.imagery import cut_geotiff
from opendiff.live.population import strip_population
from opendiff.open_data.sources import PackSource
from opendiff.poi.osm_files import osm_poi_counts
from planning.deployment.places import read_places
from planning.network.files import import_network, preview
from planning.traffic import TrafficTable

MAX_ROWS = 168 * 100_000  # of a session on a shared server


def tiles() -> Any:
    x, y = (axis.ravel() for axis in np.meshgrid(*[np.arange(corpus.SIDE)] * 2, indexing="ij"))
    return tile_frame(corpus.COLUMN + x, corpus.ROW + y)


def _sites(path: Path) -> Any:
    preview(path.read_bytes(), path.name)
    found = import_network(path.read_bytes(), path.name)
    return found.network.sites, found.network.cells, found.report, found.provenance


def _scenario(path: Path) -> Any:
    space = Workspace()
    packing.unpack(library.upload(path.read_bytes()), space, controls=False, tile_weeks=MAX_ROWS // 168)
    return space


def _pack(path: Path) -> Any:
    source = PackSource(path)
    return source.open_data(source.covered_tiles()), source.attribution, source.facts


def _imagery(path: Path) -> Any:
    wanted = tiles()
    return cut_geotiff(path, wanted["x"].to_numpy(), wanted["y"].to_numpy(), path.parent / "cut")


READERS: dict[str, Callable[[Path], Any]] = {
    "area": lambda path: read_area_bytes(path.read_bytes(), path.name),
    "sites": _sites,
    "places": lambda path: read_places(path.read_bytes(), path.name),
    "traffic": lambda path: TrafficTable.read(path.read_bytes(), path.name, most_rows=MAX_ROWS),
    "scenario": _scenario,
    "pack": _pack,
    "imagery": _imagery,
    "population": lambda path: strip_population(path, tiles()),
    "extract": lambda path: osm_poi_counts(path, tiles()),
}
