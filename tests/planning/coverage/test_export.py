"""Exports read back by other libraries: GDAL, a zip and XML reader, GEOS."""

import io
import xml.etree.ElementTree as ElementTree
import zipfile

import numpy as np
import pytest
import rasterio
import shapely
from PIL import Image

from planning.coverage import Coverage, PixelGrid, RadioSettings
from planning.coverage.export import contours, geotiff_bytes, kmz_bytes, overlay_png
from planning.coverage.maps import MAPS, CoverageMap, coverage_map, ramp
from planning.errors import InputError
from tests.planning.coverage.making import three_sectors, tiles_around


@pytest.fixture(scope="module")
def coverage():
    return Coverage.of(three_sectors(4, seed=8), *tiles_around(2)[:2], RadioSettings(pixel_m=50))


def test_a_geotiff_is_cloud_optimised_and_holds_every_map_where_it_lies(coverage):
    maps = [coverage_map(coverage, name) for name in MAPS]
    data = geotiff_bytes(
        coverage.grid, maps, {"network": "four sites", "settings": coverage.settings.record()}
    )
    with rasterio.MemoryFile(data) as file, file.open() as raster:
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert raster.tags()["network"] == "four sites"
        assert raster.descriptions[0] == "RSRP of the best server (dBm)"
        assert raster.count == len(MAPS) and np.isnan(raster.nodata)
        lon, lat = coverage.grid.lon[::97], coverage.grid.lat[::97]
        x, y = rasterio.warp.transform("EPSG:4326", raster.crs, lon, lat)
        sampled = np.array(list(raster.sample(list(zip(x, y, strict=True)))))
        np.testing.assert_array_equal(sampled, np.column_stack([m.values[::97] for m in maps]))


def test_maps_are_the_coverage(coverage):
    load = np.full(len(coverage.cells), 0.3)
    np.testing.assert_array_equal(coverage_map(coverage, "rsrp").values, coverage.rsrp_dbm())
    np.testing.assert_array_equal(coverage_map(coverage, "sinr", load).values, coverage.sinr_db(load))
    indoors = coverage_map(coverage, "rsrp", indoors=True).values
    loss = coverage.cells.indoor_db[coverage.best_server()]
    np.testing.assert_allclose(coverage.rsrp_dbm() - indoors, loss, atol=1e-4)
    dark = np.zeros(len(coverage.cells), bool)
    assert np.isnan(coverage_map(coverage, "rsrp", awake=dark).values).all()
    assert (coverage_map(coverage, "covered", awake=dark).values == 0).all()
    with pytest.raises(InputError, match="no map"):
        coverage_map(coverage, "colour")


def test_a_kmz_lies_where_the_pixels_do(coverage):
    shown = coverage_map(coverage, "rsrp")
    with zipfile.ZipFile(io.BytesIO(kmz_bytes(coverage.grid, shown, ["a <plan> & more"]))) as archive:
        root = ElementTree.fromstring(archive.read("doc.kml"))
        picture = np.asarray(Image.open(io.BytesIO(archive.read("map.png"))))
        assert Image.open(io.BytesIO(archive.read("legend.png"))).size[0] > 100
    space = {"k": "http://www.opengis.net/kml/2.2"}
    box = {
        n: float(root.find(f".//k:LatLonBox/k:{n}", space).text) for n in ("north", "south", "east", "west")
    }
    assert root.find(".//k:description", space).text == "a <plan> & more"
    grid = coverage.grid
    assert box["west"] < grid.lon.min() and box["east"] > grid.lon.max()
    assert box["south"] < grid.lat.min() and box["north"] > grid.lat.max()
    column = ((grid.lon - box["west"]) / (box["east"] - box["west"]) * picture.shape[1]).astype(int)
    row = ((box["north"] - grid.lat) / (box["north"] - box["south"]) * picture.shape[0]).astype(int)
    same = (picture[row, column] == shown.colours()).all(axis=1)
    assert same.mean() > 0.8  # nearest pixels of another lattice


def test_colours_rise_in_lightness_and_end_as_viridis_does():
    colours = ramp(np.linspace(0, 1, 50))
    lightness = colours @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > 0).all()
    assert colours[0].tolist() == [68, 1, 84] and colours[-1].tolist() == [253, 231, 37]


def test_contours_enclose_the_ground_of_their_level():
    grid = PixelGrid.of_tiles(*tiles_around(2)[:2], 50)
    middle = np.hypot(grid.east_m, grid.north_m)
    shown = CoverageMap("rsrp", "RSRP", "dBm", (-60 - middle / 20).astype(np.float32), -120, -60)
    rings = contours(grid, shown, [-110.0, -90.0, -80.0])
    assert rings["from"].tolist() == [-110, -90, -80]
    assert rings["to"].tolist()[:2] == [-90, -80] and np.isnan(rings["to"].astype(float).iloc[2])
    # circles of 400 m and 600 m around the middle
    assert rings["km2"].iloc[2] == pytest.approx(np.pi * 0.4**2, rel=0.01)
    assert rings["km2"].iloc[1] == pytest.approx(np.pi * (0.6**2 - 0.4**2), rel=0.01)
    assert shapely.is_valid(rings.geometry.to_numpy()).all()
    assert not rings.geometry.iloc[1].contains(shapely.Point(grid.lon.mean(), grid.lat.mean()))
    for levels in ([], [1.0, 1.0], [2.0, 1.0]):
        with pytest.raises(InputError, match="ascending"):
            contours(grid, shown, levels)


def test_an_overlay_for_a_web_map_lies_where_the_pixels_do(coverage):
    shown, grid = coverage_map(coverage, "server"), coverage.grid
    data, (west, south, east, north) = overlay_png(grid, shown, mercator=True)
    picture = np.asarray(Image.open(io.BytesIO(data)))

    def height(lat):
        return np.arcsinh(np.tan(np.radians(lat)))

    column = ((grid.lon - west) / (east - west) * picture.shape[1]).astype(int)
    row = ((height(north) - height(grid.lat)) / (height(north) - height(south)) * picture.shape[0]).astype(
        int
    )
    assert (picture[row, column] == shown.colours()).all(axis=1).mean() > 0.8
