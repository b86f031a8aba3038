"""Diffraction against the ITU's validation of the Bullington method, terrain and land cover against simple ground."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from planning.coverage import Coverage, RadioSettings, Terrain
from planning.coverage.diffraction import bullington_db, knife_edge_db
from planning.coverage.weights import land_cover_weights, people_weights
from planning.errors import InputError
from planning.propagation import path_losses_db
from tests.planning.coverage.making import LAT, LON, lon_lat, network_at, tiles_around

COARSE = RadioSettings(pixel_m=100, reach_m=4000, floor_dbm=-160)

# ITU-R SG 3, "Validation examples for the delta Bullington diffraction prediction method", path 4: antennas above
# ground at either end in m, GHz, Bullington loss of the actual path in dB
VALIDATION = [
    (30, 30, 1.0, 7.8709851352),
    (50, 10, 2.5, 0.0),
    (20, 20, 0.6, 15.30876397),
    (40, 50, 0.2, 6.526730443),
    (70, 5, 0.15, 0.0),
]


@pytest.mark.parametrize(("start", "end", "frequency", "loss"), VALIDATION)
def test_bullington_gives_the_losses_of_the_itu_validation(start, end, frequency, loss):
    text = Path(__file__).with_name("itu_path_4.txt").read_text()
    ground = np.array([float(v) for v in text.split(",")])
    place = np.append(np.arange(len(ground) - 1) * 50.0, 40_511.12702)
    found, _ = bullington_db(
        place[1:-1] / place[-1],
        ground[None, 1:-1],
        place[-1:],
        ground[:1] + start,
        ground[-1:] + end,
        frequency,
    )
    assert found[0] == pytest.approx(loss, abs=1e-6)


def test_a_knife_edge_by_hand():
    assert knife_edge_db(np.array([-1.0, -0.79])).tolist() == [0, 0]
    # 6.9 + 20 log10(sqrt(0.01 + 1) - 0.1) = 6.0328; 6.9 + 20 log10(sqrt(1.9^2 + 1) + 1.9) = 19.0429
    assert knife_edge_db(np.array([0.0, 2.0])) == pytest.approx([6.0329, 19.0429], abs=1e-3)


def geotiff(tmp_path, heights, crs="EPSG:4326", name="dem.tif", **more):
    """A raster of 0.1 degrees around the test's tiles; heights: function of lon, lat in degrees."""
    step, side = 0.0005, 240
    west, north = LON - 0.06, LAT + 0.06
    lon, lat = np.meshgrid(west + step * (np.arange(side) + 0.5), north - step * (np.arange(side) + 0.5))
    values = np.asarray(heights(lon, lat), np.float32)
    path = tmp_path / name
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=1, dtype="float32", crs=crs,
        transform=from_origin(west, north, step, step), **more,
    ) as raster:  # fmt: skip
        raster.write(values, 1)
    return path


def coverage_with(terrain, settings=COARSE):
    return Coverage.of(network_at(-400.0, 0.0), *tiles_around(2)[:2], settings, terrain=terrain)


def test_flat_ground_changes_nothing(tmp_path):
    plain = coverage_with(None)
    flat = coverage_with(Terrain(geotiff(tmp_path, lambda lon, lat: np.full(lon.shape, 40.0))))
    np.testing.assert_allclose(flat.rsrp_dbm(), plain.rsrp_dbm(), atol=1e-3)
    assert flat.notes == ()


def test_a_slope_as_seen_from_the_antenna_changes_the_pattern_alone(tmp_path):
    east, _ = lon_lat(1.0, 0.0)
    rise = 0.05 / (east - LON)  # 5 cm a metre eastwards
    slope = coverage_with(Terrain(geotiff(tmp_path, lambda lon, lat: 100 + rise * (lon - LON))))
    plain = coverage_with(None)
    grid = plain.grid
    x0, y0 = grid.metres(*lon_lat(-400.0, 0.0))
    ground = np.hypot(grid.east_m - x0, grid.north_m - y0)
    down = np.degrees(np.arctan2(23.5 - 0.05 * (grid.east_m - x0), np.maximum(ground, 10)))
    level = np.degrees(np.arctan2(23.5, np.maximum(ground, 10)))
    pattern = np.minimum(12 * (down / 8) ** 2, 30) - np.minimum(12 * (level / 8) ** 2, 30)
    heard = np.isfinite(plain.rsrp_dbm()) & np.isfinite(slope.rsrp_dbm())
    np.testing.assert_allclose((plain.rsrp_dbm() - slope.rsrp_dbm())[heard], pattern[heard], atol=0.3)


def test_behind_a_ridge_there_is_no_line_of_sight_and_diffraction_adds_to_it(tmp_path):
    def ridge(lon, lat):
        return np.where(np.abs(lon - LON) < 0.0006, 80.0, 0.0)  # 60 m either side of the middle

    path = geotiff(tmp_path, ridge)
    plain, behind = coverage_with(None), coverage_with(Terrain(path))
    grid = plain.grid
    x0, y0 = grid.metres(*lon_lat(-400.0, 0.0))
    near = (grid.east_m - x0 < 250) & (np.abs(grid.east_m - x0) > 0)
    np.testing.assert_allclose(behind.rsrp_dbm()[near], plain.rsrp_dbm()[near], atol=1e-3)
    pixel = int(np.argmin(np.hypot(grid.east_m - x0 - 900, grid.north_m - y0)))
    ground = float(np.hypot(grid.east_m[pixel] - x0, grid.north_m[pixel] - y0))
    _, blocked = path_losses_db(np.array([ground]), environment="UMa", frequency_ghz=2.6, station_m=25.0)
    # one edge of 80 m, 400 m from the antenna at 25 m, user at 1.5 m
    above = 80 - (25 + (1.5 - 25) * 400 / ground)
    v = above * np.sqrt(2 * ground / (3e8 / 2.6e9 * 400 * (ground - 400)))
    edge = float(knife_edge_db(np.array(v)))
    excess = edge + (1 - np.exp(-edge / 6)) * (10 + 0.02 * ground / 1000)
    depression = np.degrees(np.arctan2(23.5, ground))
    by_hand = behind.cells.eirp_dbm[0] - 12 * (depression / 8) ** 2 - blocked[0] - excess
    found = behind.levels.rsrp_dbm[behind.levels.pixel == pixel]
    shown = found[0] if len(found) else 10 * np.log10(behind.rest_mw[pixel, 0])
    assert shown == pytest.approx(by_hand, abs=4)  # a ridge of 120 m is wider than an edge


def test_any_reference_system_gives_the_same(tmp_path):
    def hills(lon, lat):
        return 60 * np.sin(400 * (lon - LON)) * np.cos(300 * (lat - LAT)) + 100

    path = geotiff(tmp_path, hills)
    other = tmp_path / "utm.tif"
    with rasterio.open(path) as source:
        transform, width, height = rasterio.warp.calculate_default_transform(
            source.crs, "EPSG:32650", source.width, source.height, *source.bounds
        )
        values = np.full((height, width), np.nan, np.float32)
        rasterio.warp.reproject(
            rasterio.band(source, 1), values, dst_transform=transform, dst_crs="EPSG:32650", dst_nodata=np.nan,
            resampling=rasterio.warp.Resampling.bilinear,
        )  # fmt: skip
    with rasterio.open(
        other, "w", driver="GTiff", width=width, height=height, count=1, dtype="float32", crs="EPSG:32650",
        transform=transform, nodata=np.nan,
    ) as raster:  # fmt: skip
        raster.write(values, 1)
    first, second = (coverage_with(Terrain(p)).rsrp_dbm() for p in (path, other))
    both = np.isfinite(first) & np.isfinite(second)
    assert np.median(np.abs(first - second)[both]) < 0.5
    np.testing.assert_array_equal(first, coverage_with(Terrain(path.read_bytes())).rsrp_dbm())


def test_gaps_are_filled_and_said_and_a_file_elsewhere_is_refused(tmp_path):
    def holed(lon, lat):
        return np.where((lon > LON) & (lat > LAT - 0.005), -9999.0, 50.0)

    gaps = coverage_with(Terrain(geotiff(tmp_path, holed, nodata=-9999.0)))
    assert "has no elevation and takes the nearest value" in gaps.notes[0]
    np.testing.assert_allclose(gaps.rsrp_dbm(), coverage_with(None).rsrp_dbm(), atol=1e-3)
    with pytest.raises(InputError, match="no value on"):
        coverage_with(
            Terrain(
                geotiff(tmp_path, lambda lon, lat: np.where(lon < LON - 0.03, 1.0, -9999.0), nodata=-9999)
            )
        )
    elsewhere = tmp_path / "far.tif"
    with rasterio.open(
        elsewhere, "w", driver="GTiff", width=4, height=4, count=1, dtype="uint8", crs="EPSG:4326",
        transform=from_origin(0, 1, 0.1, 0.1),
    ) as raster:  # fmt: skip
        raster.write(np.ones((4, 4), np.uint8), 1)
    with pytest.raises(InputError, match="does not touch the area"):
        coverage_with(Terrain(elsewhere))


def test_files_that_are_none_are_refused(tmp_path):
    text = tmp_path / "dem.tif"
    text.write_text("not a raster")
    with pytest.raises(InputError, match="cannot be read as GeoTIFF"):
        coverage_with(Terrain(text))
    with pytest.raises(InputError, match="cannot be read as GeoTIFF"):
        coverage_with(Terrain(b"II*\0rubbish"))
    with pytest.raises(InputError, match="no file"):
        coverage_with(Terrain(tmp_path / "absent.tif"))
    nowhere = tmp_path / "nowhere.tif"
    with rasterio.open(nowhere, "w", driver="GTiff", width=2, height=2, count=1, dtype="uint8") as raster:
        raster.write(np.ones((2, 2), np.uint8), 1)
    with pytest.raises(InputError, match="where on earth"):
        coverage_with(Terrain(nowhere))


def test_land_cover_adds_the_loss_of_its_class(tmp_path):
    path = geotiff(tmp_path, lambda lon, lat: np.where(lon > LON, 10, 50), name="cover.tif")
    plain = coverage_with(None)
    wooded = coverage_with(Terrain(clutter=path, clutter_db={10: 6.0}))
    loss = np.where(plain.grid.lon > LON, 6.0, 0.0)
    clear = np.abs(plain.grid.lon - LON) > 0.0006
    np.testing.assert_allclose((plain.rsrp_dbm() - wooded.rsrp_dbm())[clear], loss[clear], atol=1e-4)
    with pytest.raises(InputError, match="-40 to 80 dB"):
        Terrain(clutter=path, clutter_db={10: 100.0})


def test_traffic_stands_where_people_or_buildings_are(tmp_path):
    grid = coverage_with(None).grid
    people = geotiff(
        tmp_path, lambda lon, lat: np.where(lon > LON, 30.0, -9999.0), name="people.tif", nodata=-9999.0
    )
    east = grid.lon > LON
    clear = np.abs(grid.lon - LON) > 0.0012
    weights = people_weights(grid, people)
    np.testing.assert_allclose(weights[clear], np.where(east, 30.0, 0.0)[clear], rtol=1e-5)
    cover = geotiff(tmp_path, lambda lon, lat: np.where(lon > LON, 50, 80), name="classes.tif")
    np.testing.assert_array_equal(land_cover_weights(grid, cover)[clear], east[clear].astype(float))
    spread = grid.with_weights(weights)
    assert spread.weight[~east & clear & np.isin(grid.tile, np.unique(grid.tile[east & clear]))].sum() == 0
    with pytest.raises(InputError, match="nobody in the area"):
        people_weights(grid, geotiff(tmp_path, lambda lon, lat: 0 * lon, name="none.tif"))
