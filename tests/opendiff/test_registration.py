"""GCJ-02 registration against published coordinates, and areal interpolation against conservation."""

import numpy as np
import pytest

from opendiff.features import tile_features, with_halo
from opendiff.registration import gcj02_offset, register_poi, tile_shift
from opendiff.sources import PackSource


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


def test_no_shift_outside_mainland_china_or_in_wgs84():
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


def test_a_lone_cluster_is_conserved():
    """All POI in one counted tile, well inside the grid: the four tiles that share its ground hold them together."""
    x, y = (
        axis.reshape(-1) for axis in np.meshgrid(np.arange(7) + 26930, np.arange(7) + 13650, indexing="ij")
    )
    counts = np.zeros((49, 2))
    counts[24] = 120, 7
    moved, _ = register_poi(x, y, x, y, counts, "GCJ-02")
    assert (moved > 0).any(axis=1).sum() == 4
    np.testing.assert_allclose(
        moved.sum(axis=0), counts[24], rtol=1e-3
    )  # the shift changes by a little from tile to tile


def test_tiles_without_counted_ground_are_unknown():
    moved, known = register_poi(
        np.array([26940]), np.array([13650]), np.array([26900]), np.array([13650]), np.ones((1, 3)), "GCJ-02"
    )
    assert not known.any() and not moved.any()


def test_registered_counts_of_the_real_pack_follow_its_traffic_better(nanchang_pack):
    """Traffic knows nothing of the map service's datum: the correlation of log POI with log level is the judge."""
    pack = PackSource(nanchang_pack)
    tiles = pack.all_tiles()
    around = pack.open_data(with_halo(tiles), imagery=False)
    traffic, _, measured = pack.traffic(tiles)
    level = np.log(traffic[measured].mean(axis=1))
    correlation = {}
    for datum in ("WGS-84", "GCJ-02"):
        features = tile_features(tiles, around, datum)
        assert features.has_poi[measured].all()
        correlation[datum] = np.corrcoef(features.poi[measured, -1], level)[0, 1]
    assert correlation["WGS-84"] == pytest.approx(0.72, abs=0.005)
    assert correlation["GCJ-02"] == pytest.approx(0.79, abs=0.005)
