"""Traffic inside tiles against a known answer; totals exact; the file against another reader's grid."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from opendiff.area import tile_frame
from opendiff.area.tile_grid import tile_bounds
from opendiff.errors import SourceError
from opendiff.fine import WEIGHTS, known_inside, place_cells, raster_cells, spread, write_geotiff
from opendiff.poi.places import Places

TILES = tile_frame(np.array([26930, 26931, 26933]), np.array([13650, 13650, 13652]))


def test_cells_sum_to_their_tile_and_follow_what_is_known():
    rng = np.random.default_rng(0)
    traffic = rng.lognormal(0, 2, 3)
    people = rng.random((3, 4, 4))
    places = np.zeros((3, 4, 4))
    places[0, 1, 2] = 5  # no other tile has a place
    people[2] = np.nan
    fine = spread(TILES, traffic, {"population": people, "places": places}, 4)
    np.testing.assert_allclose(fine.values.sum(axis=(1, 2)), traffic, rtol=1e-14)
    total = WEIGHTS["population"] + WEIGHTS["places"] + WEIGHTS["even"]
    expected = (
        WEIGHTS["population"] * people[0, 1, 2] / people[0].sum() + WEIGHTS["places"] + WEIGHTS["even"] / 16
    )
    assert fine.values[0, 1, 2] == pytest.approx(traffic[0] * expected / total)
    np.testing.assert_allclose(fine.values[2], traffic[2] / 16)  # nothing known: even
    with pytest.raises(SourceError, match="3 cells"):
        spread(TILES, traffic, {}, 3)


def test_places_are_counted_in_their_cell():
    west, south, east, north = tile_bounds(26930, 13650)
    lon = west + (east - west) * np.array([0.1, 0.9, 0.9])
    lat = north - (north - south) * np.array([0.1, 0.9, 0.9])
    cells = place_cells(Places(lon, lat, np.zeros(3, int)), TILES, 2)
    assert cells[0].tolist() == [[1, 0], [0, 2]] and cells[1:].sum() == 0


def test_a_raster_of_people_gives_each_cell_its_people(tmp_path):
    """People of one block of cells, in longitude and latitude, lie in the cell of the tile that holds them."""
    west, south, east, north = (float(edge) for edge in tile_bounds(26930, 13650))
    path = tmp_path / "people.tif"
    cells = np.zeros((40, 40))
    cells[:10, 30:] = 2.0  # the north-eastern sixteenth
    with rasterio.open(
        path, "w", driver="GTiff", width=40, height=40, count=1, dtype="float64", crs="EPSG:4326",
        transform=from_origin(west, north, (east - west) / 40, (north - south) / 40),
    ) as raster:  # fmt: skip
        raster.write(cells, 1)
    found = raster_cells(path, TILES, 4)
    assert found[0].sum() == pytest.approx(200, rel=0.02) and found[0, 0, 3] > 0.9 * found[0].sum()
    known = known_inside(TILES, 4, population=path)
    assert set(known) == {"population"} and np.isnan(known["population"][2]).all()


def test_the_file_lies_where_its_tiles_lie(tmp_path):
    fine = spread(TILES, np.array([1.0, 2.0, 3.0]), {}, 4)
    path = tmp_path / "fine.tif"
    write_geotiff(fine, path, "relative", "weekly mean traffic")
    with rasterio.open(path) as raster:
        image, tags = raster.read(1), raster.tags()
        assert raster.crs == "EPSG:3857" and tags["spread_by"] == "even 0.1" and tags["unit"] == "relative"
        west, _, _, north = tile_bounds(26933, 13652)
        x, y = rasterio.warp.transform("EPSG:4326", raster.crs, [float(west) + 1e-4], [float(north) - 1e-4])
        row, column = raster.index(x[0], y[0])
    assert (row, column) == (8, 12) and image[row, column] == pytest.approx(3 / 16)
    assert np.nansum(image) == pytest.approx(6) and np.isnan(image[0, 8])
