"""Pictures and colours: each tile at its place, and darker for more."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.colours import ramp
from app.map.region import open_region, tile_picture
from opendiff.area.tile_grid import tile_at
from plannerbase import formats
from tests.app.making import SIDE, X0, Y0


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20, unique=True))
def test_each_pixel_lies_on_its_tile(cells):
    x, y = np.array(cells).T + np.array([[X0], [Y0]])
    blocks = np.zeros((len(x), 1, 1, 4), np.uint8)
    blocks[:, 0, 0, 0] = np.arange(1, len(x) + 1)
    picture = tile_picture(x, y, blocks)
    west, south, east, north = picture.bounds
    rows, columns = picture.rgba.shape[:2]
    for row in range(rows):
        for column in range(columns):
            lon = west + (column + 0.5) * (east - west) / columns
            lat = north + (row + 0.5) * (south - north) / rows
            tile = np.flatnonzero((x == tile_at(lon, lat)[0]) & (y == tile_at(lon, lat)[1]))
            assert picture.rgba[row, column, 0] == (tile[0] + 1 if len(tile) else 0)


def test_the_region_of_a_pack(pack):
    region = open_region(str(pack))
    assert len(region.x) == SIDE * (SIDE - 1)  # one column of tiles has no data
    with_data = region.tiles_with_data(np.array([X0, X0 + 1, X0 + 99]), np.array([Y0, Y0, Y0]))
    assert with_data.tolist() == [False, True, False]


@given(st.lists(st.floats(0, 100), min_size=2, max_size=30))
def test_more_is_never_lighter(values):
    rgba = ramp(np.sort(values), 100.0)
    luma = rgba[:, :3] @ np.array([0.299, 0.587, 0.114])
    assert (np.diff(luma) <= 1.5).all()  # whole numbers of each channel
    assert (rgba[:, 3] > 0).all()


def test_unknown_is_transparent():
    assert ramp(np.array([np.nan, 1.0]), 1.0)[:, 3].tolist()[0] == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (12345.6, "12,346"),
        (123.4, "123"),
        (1.234, "1.23"),
        (0.012345, "0.0123"),
        (float("nan"), "–"),
    ],
)
def test_number(value, text):
    assert formats.significant(value) == text


def test_the_bundled_region_has_its_land_cover():
    from app.colours import LAND_COVER, rgb
    from opendiff.demo import DemoSource

    region, context = open_region("demo"), DemoSource().context()
    assert len(region.x) == len(context) == 500
    assert region.has_land_cover and "Esri" in region.attribution
    tile = next(
        i for i, cover in enumerate(context["land_cover"]) if len(set(cover)) > 1 and "?" not in cover
    )
    left, top = region.x.min(), region.y.min()
    column, row = 2 * (region.x[tile] - left), 2 * (region.y[tile] - top)
    quarters = region.picture.rgba[row : row + 2, column : column + 2, :3].reshape(4, 3)  # NW NE SW SE
    expected = [rgb(LAND_COVER[letter][1]) for letter in context["land_cover"][tile]]
    np.testing.assert_array_equal(quarters, expected)
