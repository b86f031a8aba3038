"""Pictures of pixels: each shows the ground below it, and classes have the colours of the legend."""

import numpy as np
import pytest
from rasterio.transform import from_bounds
from rasterio.warp import reproject

from app.map.raster import RSRP, PixelPicture, server_colours
from planning.coverage import PixelGrid

X, Y = np.array([26930, 26931, 26930]), np.array([13660, 13660, 13661])


@pytest.fixture(scope="module")
def grid():
    return PixelGrid.of_tiles(X, Y, 50.0)


def mercator(lon, lat):
    radius = 6378137.0
    return np.radians(lon) * radius, radius * np.log(np.tan(np.pi / 4 + np.radians(lat) / 2))


def test_the_picture_is_what_gdal_warps_to_web_mercator(grid):
    """The east-west place of each pixel as its value: neighbours differ by one."""
    frame = PixelPicture(grid)
    rgba = np.zeros((len(grid), 4), np.uint8)
    rgba[:, 0], rgba[:, 3] = grid.column, 255
    shown = frame.picture(rgba).rgba
    west, south, east, north = frame.bounds
    left, bottom = mercator(west, south)
    right, top = mercator(east, north)
    rows, columns = shown.shape[:2]
    wanted = np.full((rows, columns), -1.0)
    reproject(
        grid.raster(grid.column.astype(float), fill=-1.0),
        wanted,
        src_transform=from_bounds(
            grid.corner_m[0],
            grid.corner_m[1] - grid.shape[0] * grid.pixel_m,
            grid.corner_m[0] + grid.shape[1] * grid.pixel_m,
            grid.corner_m[1],
            grid.shape[1],
            grid.shape[0],
        ),
        src_crs=grid.crs,
        src_nodata=-1.0,
        dst_transform=from_bounds(left, bottom, right, top, columns, rows),
        dst_crs="EPSG:3857",
        dst_nodata=-1.0,
    )
    inside = (wanted >= 0) & (shown[..., 3] > 0)
    assert inside.sum() > 0.9 * len(grid)
    assert ((wanted >= 0) == (shown[..., 3] > 0)).mean() > 0.98  # edges fall between pixels
    off = np.abs(wanted[inside] - shown[inside][:, 0])
    assert off.max() <= 1 and (off == 0).mean() > 0.95


def test_ground_outside_the_area_is_transparent(grid):
    shown = PixelPicture(grid).picture(np.full((len(grid), 4), 255, np.uint8)).rgba
    rows, columns = shown.shape[:2]
    south_east = shown[int(rows * 0.6) :, int(columns * 0.6) :]  # the fourth tile, which is not there
    assert (south_east[..., 3] == 0).mean() > 0.95
    assert (shown[: int(rows * 0.4), : int(columns * 0.4), 3] > 0).mean() > 0.95


def test_levels_have_the_colour_of_their_class_and_none_where_nothing_is_received():
    rgba = RSRP.rgba(np.array([-75.0, -80.0, -80.1, -130.0, -np.inf, np.nan]))
    legend = RSRP.legend("RSRP")
    hexes = ["#" + bytes(colour[:3].tolist()).hex() for colour in rgba]
    assert hexes[0] == hexes[1] != hexes[2]
    assert rgba[4:, 3].max() == 0 < rgba[:4, 3].min()
    assert f"background:{hexes[0]};" in legend.split("-80 to -70")[0][-200:]
    assert f"background:{hexes[3]};" in legend.split("below -120")[0][-200:]
    assert "dBm" in legend


def test_neighbouring_cells_have_different_colours():
    colours = server_colours(np.arange(30), 30)
    assert len({tuple(c) for c in colours.tolist()}) == 30
