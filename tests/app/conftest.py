"""A small pack made here, and a workspace over it: pages are tested on real code without the bundled region."""

import numpy as np
import pandas as pd
import pytest

from app.state.results import Made
from app.state.workspace import Workspace
from opendiff.area import tiles_covering
from opendiff.open_data.sources import POI_COLUMNS, POPULATION_COLUMNS
from tests.app.making import SIDE, X0, Y0, box_of_tiles, ensemble


@pytest.fixture(autouse=True)
def library_folder(tmp_path, monkeypatch):
    """No test reads or writes the library of whoever runs it."""
    monkeypatch.setenv("OPENDIFF_LIBRARY", str(tmp_path / "library"))
    return tmp_path / "library"


@pytest.fixture(autouse=True)
def one_persons_server(monkeypatch):
    """No guard stands before AppTest, so nothing tells the pages that they are one person's but this."""
    monkeypatch.setenv("OPENDIFF_SHARED", "0")


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


@pytest.fixture
def space(pack):
    """A workspace on the pack with an area of 3 x 3 tiles and a week of five samples for it."""
    space = Workspace(source=str(pack))
    area = box_of_tiles(X0 + 2, Y0 + 2, X0 + 4, Y0 + 4)
    tiles = tiles_covering(area)
    space.set_area(area, tiles, len(tiles))
    space.traffic = Made(ensemble(tiles, area), space.basis("area"))
    return space
