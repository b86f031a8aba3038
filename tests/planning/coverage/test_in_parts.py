"""Levels part by part are those of one process, bit for bit, and the commands that share them write the same files."""

import numpy as np
import pytest

from plannerbase.workers import local_workers
from planning.coverage import Coverage, RadioSettings, Terrain
from planning.coverage import in_parts as parts_of_coverage
from planning.shared_work import SharedWork
from tests.planning.coverage.making import three_sectors, tiles_around
from tests.planning.coverage.test_terrain import geotiff


def same(left: Coverage, right: Coverage) -> None:
    for name in ("indptr", "cell", "rsrp_dbm"):
        np.testing.assert_array_equal(getattr(left.levels, name), getattr(right.levels, name))
    np.testing.assert_array_equal(left.rest_mw, right.rest_mw)
    np.testing.assert_array_equal(left.best_server(), right.best_server())


@pytest.fixture(scope="module")
def area():
    x, y, _ = tiles_around(4)
    return three_sectors(12, 1, 6000.0), x, y


@pytest.mark.parametrize("blocks", [1, 2])
def test_parts_make_the_levels_of_one_process(area, blocks, monkeypatch, tmp_path):
    """Sites are near some parts only, and the parts' places differ; a stopped run goes on."""
    network, x, y = area
    settings = RadioSettings(pixel_m=50.0, reach_m=2500.0)
    monkeypatch.setattr(parts_of_coverage, "BLOCKS_PER_SIDE", blocks)
    whole = Coverage.of(network, x, y, settings)
    same(Coverage.of(network, x, y, settings, work=SharedWork()), whole)
    folder, told = tmp_path / "work", []
    same(Coverage.of(network, x, y, settings, work=SharedWork(folder=folder)), whole)
    files = sorted(folder.glob("coverage-*/*.npz"))
    assert len(files) > 3
    files[0].unlink()
    files[2].write_bytes(b"PK no more")
    again = Coverage.of(
        network, x, y, settings, work=SharedWork(folder=folder), progress=lambda *p: told.append(p)
    )
    same(again, whole)
    assert told[0][:2] == (len(files) - 2, len(files))


def test_terrain_and_land_cover_come_along(area, tmp_path):
    network, x, y = area
    rng = np.random.default_rng(0)
    hills = geotiff(tmp_path, lambda lon, lat: 60 * np.sin(400 * lon) + 40 * np.cos(300 * lat))
    (tmp_path / "cover").mkdir()
    cover = geotiff(tmp_path / "cover", lambda lon, lat: rng.choice([10, 50, 80], lon.shape))
    terrain, settings = Terrain(hills, cover), RadioSettings(pixel_m=100.0, reach_m=1500.0)
    whole = Coverage.of(network, x[:4], y[:4], settings, terrain=terrain)
    flat = Coverage.of(network, x[:4], y[:4], settings)
    assert not np.array_equal(whole.levels.rsrp_dbm, flat.levels.rsrp_dbm)
    same(Coverage.of(network, x[:4], y[:4], settings, terrain=terrain, work=SharedWork()), whole)


@pytest.mark.slow
def test_workers_make_the_levels_of_one_process(area):
    network, x, y = area
    with local_workers(2, threads=1) as workers:
        same(Coverage.of(network, x, y, work=SharedWork(workers)), Coverage.of(network, x, y))
