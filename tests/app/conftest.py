"""A small pack made here, and a workspace over it: pages are tested on real code without the bundled region."""

import numpy as np
import pandas as pd
import pytest

from app.state import Made, Workspace
from opendiff.area import Area, tile_frame, tiles_covering
from opendiff.sources import POI_COLUMNS, POPULATION_COLUMNS
from opendiff.tile_grid import tile_bounds
from opendiff.traffic_table import TrafficEnsemble

X0, Y0, SIDE = 26930, 13660, 8


@pytest.fixture
def pack(tmp_path):
    """8 x 8 tiles; POI and population on all but the first column of tiles."""
    x, y = (v.ravel() for v in np.meshgrid(np.arange(X0, X0 + SIDE), np.arange(Y0, Y0 + SIDE), indexing="ij"))
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"z": 15, "x": x, "y": y})
    known = x > X0
    for column in POI_COLUMNS:
        table[column] = np.where(known, rng.poisson(5, len(x)), np.nan)
    for column in POPULATION_COLUMNS:
        table[column] = np.where(known, rng.random(len(x)), np.nan)
    folder = tmp_path / "city"
    folder.mkdir()
    table.to_parquet(folder / "tiles.parquet")
    return folder


def box_of_tiles(x0, y0, x1, y1, name="Test area"):
    """The area of whole tiles x0..x1, y0..y1."""
    west, _, _, north = (float(v) for v in tile_bounds(x0, y0))
    _, south, east, _ = (float(v) for v in tile_bounds(x1, y1))
    return Area.from_box(west, south, east, north, name)


@pytest.fixture
def space(pack):
    """A workspace on the pack with an area of 3 x 3 tiles and a week of five samples for it."""
    space = Workspace(source=str(pack))
    area = box_of_tiles(X0 + 2, Y0 + 2, X0 + 4, Y0 + 4)
    tiles = tiles_covering(area)
    space.set_area(area, tiles, len(tiles))
    space.traffic = Made(ensemble(tiles, area), space.basis("area"))
    return space


def ensemble(tiles, area, samples=5, seed=0):
    """Traffic with a day's course and noise: shapes and metadata as the generator's."""
    rng = np.random.default_rng(seed)
    hours = np.arange(168)
    day = 1.2 + np.sin((hours % 24 - 9) / 24 * 2 * np.pi)
    level = rng.lognormal(0, 0.5, len(tiles))
    traffic = level[:, None, None] * day * rng.lognormal(0, 0.2, (len(tiles), samples, 168))
    intensities = {
        name: level * rng.lognormal(0, 0.1, len(tiles)) for name in ("poi", "business_poi", "population")
    }
    metadata = {"unit": "relative", "samples": samples, "seed": seed, "area": area.to_geojson()}
    return TrafficEnsemble(
        tile_frame(tiles["x"], tiles["y"], tiles["covered_share"]),
        traffic.astype(np.float32),
        (0.5 * traffic).astype(np.float32),
        intensities,
        metadata,
    )
