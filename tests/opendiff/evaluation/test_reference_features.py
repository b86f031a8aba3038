import numpy as np
import pytest

from opendiff.area import tile_frame
from opendiff.evaluation.reference_features import IMAGE_STATISTICS, image_statistics, tile_features
from opendiff.open_data.sources import OpenData


def column(statistics: np.ndarray, name: str) -> np.ndarray:
    return statistics[:, IMAGE_STATISTICS.index(name)]


def flat(*colour: int) -> np.ndarray:
    return np.full((1, 32, 32, 3), colour, np.uint8)


def test_statistics_of_a_flat_image_are_those_found_by_hand():
    found = image_statistics(flat(51, 102, 0))
    assert found.shape == (1, 27)
    for name, value in {
        "red_mean": 0.2,
        "green_mean": 0.4,
        "blue_mean": 0,
        "green_std": 0,
        "red_q10": 0.2,
        "red_q90": 0.2,
        "gradient_mean": 0,
        "edge_share": 0,
        "saturation_mean": 1,
        "excess_green_mean": (0.8 - 0.2) / 0.6,
        "bright_share": 0,
        "dark_share": 1,
        "bluish_share": 0,
    }.items():
        assert column(found, name) == pytest.approx(value, abs=1e-6), name
    black = image_statistics(flat(0, 0, 0))
    assert np.isfinite(black).all() and column(black, "dark_share") == 1


def test_gradients_see_stripes():
    stripes = np.zeros((1, 32, 32, 3), np.uint8)
    stripes[:, :, ::4] = 255
    found = image_statistics(stripes)
    assert column(found, "gradient_mean") > 0.2 and column(found, "edge_share") > 0.4
    assert column(found, "coarse_gradient_mean") == pytest.approx(
        0, abs=1e-6
    )  # one stripe in each 4 x 4 block


def test_colours_and_textures_do_not_depend_on_the_orientation():
    image = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
    found = image_statistics(image)
    np.testing.assert_allclose(image_statistics(image[:, ::-1]), found, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(image_statistics(image.transpose(0, 2, 1, 3)), found, rtol=1e-4, atol=1e-6)


def test_rows_do_not_depend_on_the_batch():
    image = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
    np.testing.assert_allclose(image_statistics(image[17:18])[0], image_statistics(image)[17], rtol=1e-6)
    assert image_statistics(image[:0]).shape == (0, 27)


def open_data(x, y, has_imagery, has_poi, has_population, seed=0) -> OpenData:
    rng = np.random.default_rng(seed)
    count = len(x)
    return OpenData(
        tile_frame(x, y),
        rng.integers(0, 256, (count, 32, 32, 3), np.uint8),
        np.array(has_imagery),
        rng.integers(0, 9, (count, 14)).astype(np.float32),
        np.array(has_poi),
        np.zeros((count, 14), np.float32),
        np.zeros(count, bool),
        rng.random((count, 12), np.float32),
        np.array(has_population),
    )


def test_what_is_unknown_is_nan():
    data = open_data([1, 2, 3], [5, 5, 5], [True, False, True], [False, True, True], [True, True, False])
    found = tile_features(data)
    assert found.shape == (3, 42)
    unknown = np.isnan(found)
    assert unknown[:, :27].all(axis=1).tolist() == [False, True, False] and unknown[1, :27].all()
    assert unknown[:, 27:41].any(axis=1).tolist() == [True, False, False]
    assert unknown[:, 41].tolist() == [False, False, True]
    np.testing.assert_allclose(found[1, 27:41], np.log1p(data.poi[1]), rtol=1e-6)


def test_means_of_neighbours_are_those_found_by_hand():
    x, y = [10, 10, 11, 12, 30], [5, 6, 6, 5, 5]
    data = open_data(x, y, [False] * 5, [True, True, False, True, True], [True] * 5)
    around = tile_features(data, data)[:, 42:]
    poi, population = np.log1p(data.poi), np.log(data.population.mean(axis=1) + 1e-4)
    # tile 0 touches 1 and 2, of which 2 has no POI; tile 4 stands alone
    np.testing.assert_allclose(around[0, :14], poi[1], rtol=1e-6)
    assert around[0, 14] == pytest.approx((population[1] + population[2]) / 2, rel=1e-5)
    np.testing.assert_allclose(around[2, :14], (poi[0] + poi[1] + poi[3]) / 3, rtol=1e-6)
    assert np.isnan(around[4]).all()
