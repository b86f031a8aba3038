"""Path loss against published vectors and formulas worked by hand, line of sight against its probability."""

import numpy as np
import pytest

from planning.propagation import (
    building_loss_db,
    line_of_sight,
    link_losses_db,
    los_probability,
    path_losses_db,
    site_key,
)

# ground distance m, LOS dB, NLOS dB at 5 GHz and the heights of the scenario: test vectors of ns-3
# (three-gpp-propagation-loss-model-test-suite), which come from an independent Matlab implementation
PUBLISHED = {
    ("RMa", 35): [(10, 77.3784, 77.3784), (100, 87.2965, 95.7718), (1000, 108.5577, 133.5223)],
    ("UMa", 25): [(10, 72.9380, 82.5131), (100, 86.2362, 106.1356), (1000, 109.7252, 144.7641),
                  (5000, 137.6794, 172.0753)],
    ("UMi", 10): [(10, 69.8591, 76.7563), (100, 88.4122, 107.9432), (1000, 119.3114, 143.1886),
                  (5000, 147.2696, 167.8617)],
}  # fmt: skip


@pytest.mark.parametrize(("scenario", "rows"), PUBLISHED.items())
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_path_loss_is_that_of_published_test_vectors(scenario, rows, kind):
    environment, height = scenario
    ground, los, nlos = np.array(rows).T
    found = path_losses_db(ground.astype(kind), environment=environment, frequency_ghz=5.0, station_m=height)
    assert found[0].dtype == found[1].dtype == kind
    np.testing.assert_allclose(found, [los, nlos], atol=1.1e-4)


@pytest.mark.parametrize("environment", ["UMa", "UMi", "RMa"])
def test_losses_of_links_of_one_mast_are_those_of_each_link(environment):
    rng = np.random.default_rng(0)
    ground = rng.uniform(0, 4000, (3, 50)).astype(np.float32)
    mast = np.array([2, 0, 2, 2, 0])
    height = np.array([30.0, 0.0, 12.0], np.float32)[mast][:, None]
    figures = {"environment": environment, "frequency_ghz": rng.uniform(0.7, 3.5, (5, 1)).astype(np.float32)}
    one_by_one = path_losses_db(ground[mast], station_m=height, **figures)
    np.testing.assert_array_equal(link_losses_db(ground, mast, station_m=height, **figures), one_by_one)


def test_rma_beyond_the_breakpoint_and_far_away():
    los, _ = path_losses_db(np.array([10_000.0]), environment="RMa", frequency_ghz=5.0, station_m=35)
    _, blocked = path_losses_db(np.array([5000.0]), environment="RMa", frequency_ghz=5.0, station_m=35)
    assert [los[0], blocked[0]] == pytest.approx([140.3896, 160.5169], abs=1e-4)


def test_uma_by_hand_with_heights_and_frequencies_of_each_link():
    # d2D 300 m, 20 m apart in height: d3D 300.6659 m; breakpoint 4 x 20.5 x 0.5 x 0.7e9 / 3e8 = 95.67 m
    # LOS 28 + 40 x 2.478084 - 3.098039 - 9 x log10(95.6667^2 + 20^2) = 88.2044
    # NLOS 13.54 + 39.08 x 2.478084 - 3.098039 = 107.2855
    los, blocked = path_losses_db(
        np.array([300.0, 300.0]),
        environment="UMa",
        frequency_ghz=[0.7, 2.6],
        station_m=[21.5, 25.0],
    )
    assert [los[0], blocked[0]] == pytest.approx([88.2044, 107.2855], abs=1e-3)
    # 2.6 GHz at 25 m: d3D 300.9190 m, breakpoint 416 m; 28 + 22 x 2.478450 + 8.299467 = 90.8254
    assert los[1] == pytest.approx(90.8254, abs=1e-3)


def test_nearer_than_ten_metres_counts_as_ten():
    near, at_ten = (
        path_losses_db(np.array([d]), environment="UMi", frequency_ghz=3.5, station_m=10) for d in (0.0, 10.0)
    )
    np.testing.assert_array_equal(near, at_ten)


def test_line_of_sight_probability_by_hand():
    assert los_probability([5.0, 18.0], "UMa").tolist() == [1, 1]
    # 18/200 + exp(-200/63) (1 - 18/200) = 0.09 + 0.041807 x 0.91; the same with 36 m
    assert los_probability(200.0, "UMa") == pytest.approx(0.128044, abs=1e-5)
    assert los_probability(200.0, "UMi") == pytest.approx(0.093518, abs=1e-5)
    assert los_probability([10.0, 1010.0], "RMa") == pytest.approx([1, np.exp(-1)])


def test_building_loss_by_hand():
    # 2.6 GHz: glass 2.52, coated glass 23.78, concrete 15.4 dB
    # low: 5 - 10 log10(0.3 x 0.559758 + 0.7 x 0.028840) = 12.256; high: 5 - 10 log10(0.7 x 0.0041879 + 0.3 x 0.02884)
    assert building_loss_db(2.6, "UMa", "low") == pytest.approx(12.2558 + 25 / 6, abs=1e-3)
    assert building_loss_db(2.6, "UMa", "high") == pytest.approx(24.3615 + 25 / 6, abs=1e-3)
    assert building_loss_db(2.6, "RMa", "low") == pytest.approx(12.2558 + 5 / 3, abs=1e-3)


def test_drawn_line_of_sight_has_its_probability_and_is_alike_nearby():
    east, north = np.random.default_rng(0).uniform(-3000, 3000, (2, 40_000))
    key = site_key(115.9, 28.7)
    for probability in (0.05, 0.3, 0.8):
        drawn = line_of_sight(east, north, np.full(len(east), probability), key, 0)
        assert drawn.mean() == pytest.approx(probability, abs=0.02)
    half = np.full(len(east), 0.5)
    here = line_of_sight(east, north, half, key, 0)
    assert (here == line_of_sight(east + 5, north, half, key, 0)).mean() > 0.9
    assert (here == line_of_sight(east + 200, north, half, key, 0)).mean() == pytest.approx(0.5, abs=0.03)
    for other in (line_of_sight(east, north, half, key, 1),
                  line_of_sight(east, north, half, site_key(115.9001, 28.7), 0)):  # fmt: skip
        assert (here == other).mean() == pytest.approx(0.5, abs=0.03)


def test_drawn_line_of_sight_knows_neither_order_nor_batch():
    east, north = np.random.default_rng(1).uniform(-500, 500, (2, 300))
    half, key = np.full(300, 0.5), site_key(2.3, 48.9)
    whole = line_of_sight(east, north, half, key, 7)
    order = np.random.default_rng(2).permutation(300)
    np.testing.assert_array_equal(line_of_sight(east[order], north[order], half, key, 7), whole[order])
    np.testing.assert_array_equal(line_of_sight(east[:9], north[:9], half[:9], key, 7), whole[:9])
