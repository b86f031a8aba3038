"""Pixels: their ground, their tiles, their weights."""

import numpy as np
import pytest

from planning.coverage import Levels, PixelGrid
from planning.errors import InputError
from planning.geometry import local_metres, tile_area_km2, tile_position
from tests.planning.coverage.making import LAT, LON, tiles_around


@pytest.mark.parametrize("place", [(LON, LAT), (-0.1, 51.5), (24.9, 69.6), (179.99, -17.0)])
def test_pixels_are_the_ground_of_their_tiles(place):
    x0, y0 = (int(np.floor(v)) for v in tile_position(*place))
    x, y = np.array([x0 - 1, x0 - 1, x0 - 2]), np.array([y0, y0 + 1, y0])
    grid = PixelGrid.of_tiles(x, y, 20)
    column, row = (np.floor(v) for v in tile_position(grid.lon, grid.lat))
    np.testing.assert_array_equal(x[grid.tile], column)
    np.testing.assert_array_equal(y[grid.tile], row)
    assert grid.area_km2 == pytest.approx(tile_area_km2(x, y).sum(), rel=0.05)
    assert np.bincount(grid.tile, grid.weight) == pytest.approx(np.ones(3))


def test_distances_are_those_on_the_ellipsoid():
    grid = PixelGrid.of_tiles(*tiles_around(3)[:2], 50)
    origin = (float(grid.lon[0]), float(grid.lat[0]))
    planar = local_metres(grid.lon, grid.lat, origin)
    straight = np.hypot(grid.east_m - grid.east_m[0], grid.north_m - grid.north_m[0])
    np.testing.assert_allclose(np.hypot(*planar.T), straight, rtol=2e-3, atol=0.1)


def test_weights_spread_a_tile_and_evenly_where_they_are_zero():
    x, y, _ = tiles_around(2)
    grid = PixelGrid.of_tiles(x, y, 100)
    people = np.where(grid.tile == 1, 0.0, np.arange(len(grid)))
    weighted = grid.with_weights(people)
    assert np.bincount(weighted.tile, weighted.weight) == pytest.approx(np.ones(4))
    first = weighted.tile == 0
    np.testing.assert_allclose(weighted.weight[first], people[first] / people[first].sum())
    assert np.ptp(weighted.weight[weighted.tile == 1]) == 0
    with pytest.raises(InputError, match="one number of at least 0 for every pixel"):
        grid.with_weights(-people)


def test_a_raster_and_a_place_find_their_pixel():
    grid = PixelGrid.of_tiles(*tiles_around(2)[:2], 100)
    np.testing.assert_array_equal(grid.pixel_at(grid.lon, grid.lat), np.arange(len(grid)))
    assert grid.pixel_at([0.0], [0.0]).tolist() == [-1]
    raster = grid.raster(np.arange(len(grid)))
    np.testing.assert_array_equal(raster[grid.row, grid.column], np.arange(len(grid)))
    assert np.isnan(raster).sum() == raster.size - len(grid)


def test_areas_that_do_not_fit_are_refused():
    x, y, _ = tiles_around()
    for pixel_m in (10, 500, float("nan")):
        with pytest.raises(InputError, match="20 to 200 m"):
            PixelGrid.of_tiles(x, y, pixel_m)
    with pytest.raises(InputError, match="no tile"):
        PixelGrid.of_tiles([], [])
    with pytest.raises(InputError, match="wider than 500 km"):
        PixelGrid.of_tiles([0, 20_000], [10_000, 10_000])
    with pytest.raises(InputError, match="too small for pixels of 200 m"):
        PixelGrid.of_tiles([100], [200], 200)  # at 84.9 degrees north
    with pytest.raises(InputError, match="west < east"):
        PixelGrid.of_box((2.0, 1.0), (0.0, 1.0))


def test_levels_answer_by_brute_force():
    rng = np.random.default_rng(0)
    pixels, cells = 40, 9
    dense = np.where(rng.random((pixels, cells)) < 0.5, rng.uniform(-130, -60, (pixels, cells)), -np.inf)
    dense[3] = -np.inf
    order = np.argsort(-dense, axis=1)
    rows = [[(c, dense[p, c]) for c in order[p] if dense[p, c] > -np.inf] for p in range(pixels)]
    flat = [entry for row in rows for entry in row]
    indptr = np.concatenate([[0], np.cumsum([len(r) for r in rows])])
    levels = Levels(
        indptr, np.array([c for c, _ in flat], np.int32), np.array([v for _, v in flat], np.float32), cells
    )
    limit = rng.uniform(-120, -80, cells)
    for awake in (None, rng.random(cells) < 0.5, np.zeros(cells, bool)):
        for part, shown in ((levels, dense), (levels.above(limit), np.where(dense >= limit, dense, -np.inf))):
            up = shown if awake is None else np.where(awake, shown, -np.inf)
            expected = np.where(up.max(axis=1) > -np.inf, up.argmax(axis=1), -1)
            np.testing.assert_array_equal(part.best_server(awake), expected)
            np.testing.assert_allclose(part.best_rsrp_dbm(awake), up.max(axis=1), rtol=1e-6)
