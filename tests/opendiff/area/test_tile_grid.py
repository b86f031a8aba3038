import math

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opendiff.area.tile_grid import (
    MAX_LATITUDE,
    TILES_ACROSS,
    tile_area_km2,
    tile_at,
    tile_bounds,
    tile_centre,
)
from opendiff.errors import AreaError

tile_number = st.integers(0, TILES_ACROSS - 1)


@given(tile_number, tile_number)
def test_centre_lies_in_its_tile(x, y):
    assert tile_at(*tile_centre(x, y)) == (x, y)


@given(st.floats(-180, 179.999999), st.floats(-85.05, 85.05))
def test_tile_at_agrees_with_the_published_formula(lon, lat):
    """The scalar slippy-map formula of the OpenStreetMap wiki, in its secant form."""
    phi = math.radians(lat)
    across = (lon + 180) / 360 * 2**15
    down = (1 - math.log(math.tan(phi) + 1 / math.cos(phi)) / math.pi) / 2 * 2**15
    near_edge = min(across % 1, 1 - across % 1, down % 1, 1 - down % 1) < 1e-7
    assert near_edge or tile_at(lon, lat) == (math.floor(across), math.floor(down))


@given(tile_number, tile_number)
def test_bounds_enclose_the_centre_and_meet_the_neighbours(x, y):
    west, south, east, north = tile_bounds(x, y)
    lon, lat = tile_centre(x, y)
    assert west < lon < east and south < lat < north
    assert tile_bounds(x + 1, y)[0] == east and tile_bounds(x, y + 1)[3] == south


def test_arrays_keep_their_shape():
    x = np.arange(12).reshape(3, 4)
    assert tile_area_km2(x, 13657).shape == (3, 4)
    assert tile_at(np.zeros((2, 1)), np.zeros(3))[0].shape == (2, 1)


@pytest.mark.parametrize("y", [0, 100, 13657, 16383, 16384, 30000, TILES_ACROSS - 1])
def test_area_agrees_with_geodesic_polygons(y):
    west, south, east, north = tile_bounds(26929, y)
    lon = np.linspace(west, east, 500)  # parallels are no geodesics, so they are followed in small steps
    ring_lon = np.concatenate([lon, lon[::-1]])
    ring_lat = np.repeat([south, north], len(lon))
    area, _ = pyproj.Geod(ellps="WGS84").polygon_area_perimeter(ring_lon, ring_lat)
    assert tile_area_km2(26929, y) == pytest.approx(abs(area) / 1e6, rel=1e-6)


def test_all_tiles_cover_the_ellipsoid_between_the_limits():
    zone = pyproj.Proj(proj="cea", ellps="WGS84")  # equal area: a rectangle of its true size
    width, height = zone(180, MAX_LATITUDE)
    total = tile_area_km2(0, np.arange(TILES_ACROSS)).sum() * TILES_ACROSS
    assert total == pytest.approx(4 * width * height / 1e6, rel=1e-9)


@pytest.mark.parametrize(("lon", "lat"), [(181, 0), (0, 86), (0, -90), (math.nan, 0), (0, math.inf)])
def test_positions_off_the_map_are_refused(lon, lat):
    with pytest.raises(AreaError, match="outside the map"):
        tile_at(lon, lat)
