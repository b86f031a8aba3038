"""GCJ-02 registration against published coordinates, and interpolation against conservation and known densities."""

from dataclasses import replace

import numpy as np
import pytest

from opendiff.area.tile_grid import tile_centre
from opendiff.open_data.features import tile_features, with_halo
from opendiff.open_data.sources import PackSource
from opendiff.poi.places import Places
from opendiff.poi.registration import REACH, SMOOTH_PLACES, SUBTILES, register_poi, smooth_density, tile_shift
from plannerbase.systems import gcj02_offset


@pytest.mark.parametrize(
    ("lon", "lat", "gcj_lon", "gcj_lat"),
    [
        (116.404, 39.915, 116.41024449916938, 39.91640428150164),  # Beijing, as printed by public converters
        (121.4737, 31.2304, 121.47822, 31.22846),  # Shanghai
    ],
)
def test_offset_matches_published_conversions(lon, lat, gcj_lon, gcj_lat):
    east, north = gcj02_offset(lon, lat)
    assert lon + east == pytest.approx(gcj_lon, abs=2e-5)
    assert lat + north == pytest.approx(gcj_lat, abs=2e-5)


def test_nothing_is_shifted_outside_mainland_china_or_in_wgs84():
    x, y = np.array([16000, 26930]), np.array([11000, 13656])
    assert np.allclose(tile_shift(x, y, "WGS-84"), 0, atol=1e-9)
    east, south = tile_shift(x, y, "GCJ-02")
    assert east[0] == pytest.approx(0, abs=1e-9) and south[0] == pytest.approx(0, abs=1e-9)
    assert 0.3 < east[1] < 0.6 and 0.2 < south[1] < 0.5  # about 500 m at Nanchang


def test_wgs84_counts_stay_where_they_are():
    x, y = (
        axis.reshape(-1) for axis in np.meshgrid(np.arange(5) + 26930, np.arange(4) + 13650, indexing="ij")
    )
    counts = np.random.default_rng(0).integers(0, 50, (20, 14)).astype(float)
    moved, known = register_poi(x, y, x, y, counts, "WGS-84")
    assert known.all()
    np.testing.assert_allclose(moved, counts, atol=1e-6)


def square(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Tiles (x, y) of a square near Nanchang."""
    axes = np.meshgrid(np.arange(side) + 26930, np.arange(side) + 13650, indexing="ij")
    return tuple(axis.reshape(-1) for axis in axes)


def test_a_lone_cluster_is_conserved():
    """All POI in one counted tile, well inside the grid: the four tiles that share its ground hold them together."""
    x, y = square(7)
    counts = np.zeros((49, 2))
    counts[24] = 120, 7
    moved, _ = register_poi(x, y, x, y, counts, "GCJ-02")
    assert (moved > 0).any(axis=1).sum() == 4
    np.testing.assert_allclose(
        moved.sum(axis=0), counts[24], rtol=1e-3
    )  # the shift changes by a little from tile to tile


def test_density_keeps_the_count_of_every_tile():
    x, y = square(5)
    counts = np.random.default_rng(2).integers(0, 30, (25, 3)).astype(float)
    counts[4] = 0
    density = smooth_density(x, y, counts)
    assert density.shape == (25, SUBTILES, SUBTILES, 3) and (density >= 0).all()
    np.testing.assert_allclose(density.sum(axis=(1, 2)), counts, atol=1e-9)


def test_density_of_a_slope_follows_the_slope():
    """Counts that grow evenly eastwards: inside a tile the parts grow eastwards too, and not southwards."""
    x, y = square(5)
    density = smooth_density(x, y, (x - x.min() + 1.0)[:, None])[12, ..., 0]
    columns = density.sum(axis=1)
    assert (np.diff(columns) > 0).all()
    np.testing.assert_allclose(
        density, np.broadcast_to(columns[:, None] / SUBTILES, density.shape), atol=1e-12
    )


def test_registration_of_a_slope_is_nearer_than_even_spreading():
    """True places on a ramp of density, counted on the shifted grid: smooth interpolation must find the true counts
    better than taking places as evenly spread inside each counted tile does."""
    x, y = square(9)
    shift_x, shift_y = tile_shift(x, y, "GCJ-02")
    ramp = lambda start: np.exp(0.5 * (start + 1)) - np.exp(0.5 * start)  # noqa: E731 (integral over a tile)
    east, south = x - x.min(), y - y.min()
    counted, true = (ramp(east) * ramp(south))[:, None], ramp(east + shift_x) * ramp(south + shift_y)
    inner = (np.abs(east - 4) <= 2) & (np.abs(south - 4) <= 2)
    moved = register_poi(x, y, x, y, counted, "GCJ-02")[0][:, 0]
    even = sum(
        weight * (ramp(east + dx) * ramp(south + dy))
        for dx, dy, weight in (
            (0, 0, (1 - shift_x) * (1 - shift_y)), (1, 0, shift_x * (1 - shift_y)),
            (0, 1, (1 - shift_x) * shift_y), (1, 1, shift_x * shift_y),
        )
    )  # fmt: skip
    assert np.abs(moved - true)[inner].mean() < 0.5 * np.abs(even - true)[inner].mean()


def places_in(x: np.ndarray, y: np.ndarray, east: float = 0.0) -> Places:
    """A place in each of these tiles, `east` tiles from its middle, in WGS-84."""
    lon, lat = tile_centre(x + east, y)
    return Places(lon, lat, np.zeros(len(lon), int))


def test_known_places_leave_wgs84_counts_where_they_are():
    x, y = square(5)
    rng = np.random.default_rng(4)
    counts = rng.integers(0, 50, (25, 14)).astype(float)
    rows = rng.integers(0, 25, 60)
    moved, _ = register_poi(x, y, x, y, counts, "WGS-84", places_in(x[rows], y[rows]))
    np.testing.assert_allclose(moved, counts, atol=1e-6)


def test_counts_follow_known_places_and_are_conserved():
    """A lone cluster whose known places all lie in one of the four tiles that share its ground."""
    x, y = square(7)
    counts = np.zeros((49, 2))
    counts[24] = 120, 7
    smooth, _ = register_poi(x, y, x, y, counts, "GCJ-02")
    home = (
        24 - 7
    )  # the tile west of it, whose eastern part is counted some 500 m farther east, in the cluster's tile
    assert 0 < smooth[home, 0] < 120
    number = 15
    places = places_in(np.full(number, x[home]), np.full(number, y[home]), east=0.3)
    moved, _ = register_poi(x, y, x, y, counts, "GCJ-02", places)
    share = number / (number + SMOOTH_PLACES)
    expected = (1 - share) * smooth
    expected[home] += share * counts[24]
    np.testing.assert_allclose(moved, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(moved.sum(axis=0), counts[24], rtol=1e-3)


def test_counts_and_places_beyond_reach_change_nothing():
    x, y = square(9)
    counts = np.random.default_rng(3).integers(0, 30, (81, 1)).astype(float)
    middle = np.array([40])
    near = (np.abs(x - x[40]) <= REACH) & (np.abs(y - y[40]) <= REACH)
    whole, part = (
        register_poi(
            x[middle], y[middle], x[rows], y[rows], counts[rows], "GCJ-02", places_in(x[rows], y[rows])
        )[0]
        for rows in (np.ones(81, bool), near)
    )
    np.testing.assert_array_equal(whole, part)


def test_tiles_without_counted_ground_are_unknown():
    moved, known = register_poi(
        np.array([26940]), np.array([13650]), np.array([26900]), np.array([13650]), np.ones((1, 3)), "GCJ-02"
    )
    assert not known.any() and not moved.any()


def test_registered_counts_of_the_real_pack_follow_its_traffic_better(nanchang_pack):
    """Traffic knows nothing of the map service's datum: the correlation of root POI with root level is the judge."""
    pack = PackSource(nanchang_pack)
    tiles = pack.all_tiles()
    around = pack.open_data(with_halo(tiles), imagery=False)
    assert len(around.osm_places) > 1000
    traffic, _, measured = pack.traffic(tiles)
    level = traffic[measured].mean(axis=1) ** 0.4  # where the spread of levels is even
    correlation = {}
    smooth = replace(around, osm_places=None)
    for name, data, datum in (
        ("as counted", around, "WGS-84"), ("smooth", smooth, "GCJ-02"), ("places", around, "GCJ-02")
    ):  # fmt: skip
        features = tile_features(tiles, data, datum)
        assert features.has_poi[measured].all()
        correlation[name] = np.corrcoef(features.poi[measured, -1], level)[0, 1]
    assert correlation["as counted"] == pytest.approx(0.744, abs=0.005)
    assert correlation["smooth"] == pytest.approx(0.82, abs=0.01)
    assert correlation["places"] == pytest.approx(0.841, abs=0.005)
