"""The ensemble given measured tiles, against the closed form of a normal distribution and the generator without."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from opendiff.area import Area, tile_frame, tiles_covering
from opendiff.conditioned import condition
from opendiff.default.level_terms import LevelTerms, field_weights
from opendiff.default.profile_conditioning import fit_profiles
from opendiff.default.world import FIELD_CELLS, spatial_field
from opendiff.demo import DemoSource
from opendiff.errors import ModelError, TableError
from opendiff.generator import TrafficGenerator
from opendiff.measurements import MBPS, Measurements
from opendiff.measuring import believed_by, left_out, measure_next
from opendiff.partitions import MeasuredTiles


@pytest.fixture(scope="module")
def generator():
    return TrafficGenerator.load("default", "cpu")


@pytest.fixture(scope="module")
def area(generator):
    tiles = tiles_covering(Area.from_box(115.87, 28.65, 115.95, 28.71))
    return generator.conditions(DemoSource(), tiles)


@pytest.fixture(scope="module", name="measured")
def measured_weeks(generator, area):
    """Ten tiles of a week of another seed, in another unit."""
    rows = np.arange(0, len(area.tiles), len(area.tiles) // 10)[:10]
    made = generator.generate(area.take(rows), 1, 99)
    x, y = (area.tiles[axis].to_numpy()[rows] for axis in ("x", "y"))
    return rows, Measurements.of(
        x, y, 3000.0 * made.traffic[:, 0], 500.0 * made.users[:, 0], unit=MBPS, name="m.csv"
    )


@pytest.fixture(scope="module")
def conditioned(generator, area, measured):
    return condition(generator, DemoSource(), measured[1], area.tiles, area)


def test_measured_tiles_come_out_as_measured(conditioned, area, measured):
    rows, told = measured
    ensemble = conditioned.generate(area, 20, 0)
    row = {key: i for i, key in enumerate(zip(told.x, told.y, strict=True))}
    order = [row[area.tiles["x"][i], area.tiles["y"][i]] for i in rows]
    for made, real in ((ensemble.traffic, told.traffic), (ensemble.users, told.users)):
        level = made[rows].astype(float).mean(axis=(1, 2))
        np.testing.assert_allclose(level, real[order].mean(axis=1), rtol=0.02)
        week = made[rows].astype(float).mean(axis=1)
        assert np.abs(week - real[order]).mean() < 0.1 * real.mean()
    assert ensemble.metadata["unit"] == MBPS and ensemble.metadata["measured"]["tiles"] == 10


def test_any_partition_order_and_number_of_samples_gives_the_same(conditioned, area):
    whole = conditioned.generate(area, 6, 1)
    order = np.random.default_rng(0).permutation(len(area.tiles))
    for rows in np.array_split(order, 3):
        part = conditioned.generate(area.take(rows), 6, 1)
        np.testing.assert_array_equal(part.traffic, whole.traffic[rows])
        np.testing.assert_array_equal(part.users, whole.users[rows])
    few = conditioned.generate(area, 2, 1)
    np.testing.assert_array_equal(few.traffic, whole.traffic[:, :2])


@pytest.mark.slow
def test_samples_have_the_moments_of_the_closed_form(conditioned, area):
    """Mean and deviation of sampled log levels are those of kriging (Rasmussen and Williams 2006, eq. 2.25)."""
    x, y = (area.tiles[axis].to_numpy() for axis in ("x", "y"))
    mean, deviation = conditioned.posterior.log_level(believed_by(conditioned, area), x, y)
    levels = np.log(conditioned.generate(area, 300, 5, steps=1).traffic.astype(float).mean(axis=2))
    free = conditioned.posterior.rows_of(x, y) < 0
    error = (levels.mean(axis=1) - mean)[free] / deviation[free]
    assert np.abs(error).max() < 0.3  # 300 samples: 0.06 is one standard error
    np.testing.assert_allclose(levels[free].std(axis=1), deviation[free], rtol=0.15)


@pytest.mark.slow
def test_neighbours_and_city_move_and_bands_shrink(generator, conditioned, area):
    plain, told = generator.generate(area, 40, 2), conditioned.generate(area, 40, 2)
    free = conditioned.posterior.rows_of(*(area.tiles[a].to_numpy() for a in ("x", "y"))) < 0
    spread = [np.log(e.traffic[free].astype(float).mean(axis=2)).std(axis=1).mean() for e in (plain, told)]
    assert spread[1] < spread[0]
    ratio = told.traffic[free].mean() / plain.traffic[free].mean()
    assert 1000 < ratio < 9000  # the measurements' unit is 3,000 times the model's


def test_a_field_s_covariance_is_that_of_its_samples():
    x, y = np.array([26_900, 26_901, 26_903]), np.array([13_600, 13_600, 13_602])
    for scale in range(len(FIELD_CELLS)):
        drawn = spatial_field(
            3, torch.from_numpy(x), torch.from_numpy(y), torch.arange(20_000), scale
        ).numpy()
        np.testing.assert_allclose(field_weights(x, y, scale, x, y), np.cov(drawn), atol=0.03)


def test_leaving_a_tile_out_is_what_conditioning_on_the_others_gives(conditioned, generator, area, measured):
    posterior = conditioned.posterior
    mean, deviation = posterior.left_out()
    total = posterior.root @ posterior.root.T
    expected = posterior.terms.mean + posterior.observed.offset
    others = np.arange(1, len(total))
    weight = np.linalg.solve(total[np.ix_(others, others)], total[others, 0])
    assert mean[0] == pytest.approx(expected[0] + weight @ posterior.missed()[others], abs=1e-9)
    assert deviation[0] ** 2 == pytest.approx(total[0, 0] - weight @ total[others, 0], rel=1e-9)
    assert "others" in left_out(conditioned).sentence


def test_where_to_measure_next_is_where_measuring_helps_most(conditioned, area):
    """The first tile of the list beats every other one by brute force."""
    ranked = measure_next(conditioned, area, 5)
    assert list(ranked["rank"]) == [1, 2, 3, 4, 5] and ranked["left"].is_monotonic_decreasing
    x, y = (area.tiles[axis].to_numpy(np.int64) for axis in ("x", "y"))
    prediction = believed_by(conditioned, area)
    covariance = conditioned.posterior.covariance(prediction, x, y)
    mean, _ = conditioned.posterior.log_level(prediction, x, y)
    weight = (np.exp(mean - mean.max()) * area.tiles["covered_share"].to_numpy()) ** 2
    left = []
    for j in range(len(x)):
        after = covariance - np.outer(covariance[:, j], covariance[:, j]) / (covariance[j, j] + 0.01**2)
        left.append(weight @ np.diag(after) / (weight @ np.diag(covariance)))
    measured = conditioned.posterior.rows_of(x, y) >= 0
    left = np.where(measured, 2, left)
    best = int(np.argmin(left))
    assert (ranked["x"][0], ranked["y"][0]) == (x[best], y[best])
    assert ranked["left"][0] == pytest.approx(left[best], abs=1e-6)


def test_traffic_alone_a_mean_day_or_a_mean_is_enough(generator, area, measured):
    rows, told = measured
    for hours in (24, 1):
        few = told.traffic.reshape(len(told.x), -1, 24).mean(axis=1)
        few = few if hours == 24 else few.mean(axis=1, keepdims=True)
        made = condition(
            generator, DemoSource(), Measurements.of(told.x, told.y, few, unit=MBPS), area.tiles, area
        )
        level = made.generate(area.take(rows), 10, 0).traffic.astype(float).mean(axis=(1, 2))
        key = {k: i for i, k in enumerate(zip(told.x, told.y, strict=True))}
        order = [key[area.tiles["x"][i], area.tiles["y"][i]] for i in rows]
        np.testing.assert_allclose(level, few[order].mean(axis=1), rtol=0.02)


def test_what_cannot_be_conditioned_is_refused(generator, conditioned, area, measured):
    far = Measurements.of(np.array([5]), np.array([5]), np.ones((1, 168)))
    with pytest.raises(TableError, match="far outside"):
        condition(generator, DemoSource(), far, area.tiles, area)
    with pytest.raises(ModelError, match="guidance"):
        conditioned.generate(area.take(np.arange(3)), 2, 0, guidance_scale=1.0)
    with pytest.raises(TableError, match="twice"):
        Measurements.of(np.array([5, 5]), np.array([5, 5]), np.ones((2, 168)))


def test_measurements_travel_to_workers_whole(area, measured):
    packed = MeasuredTiles.near(measured[1], area.tiles).measurements()
    np.testing.assert_array_equal(packed.traffic, measured[1].traffic)
    assert packed.unit == MBPS and packed.name == "m.csv"


def test_covariance_has_the_variance_on_its_diagonal(conditioned):
    terms = conditioned.posterior.terms
    assert isinstance(terms, LevelTerms)
    np.testing.assert_allclose(np.diag(terms.covariance(terms)), terms.variance(), rtol=1e-9)


class Elsewhere:
    """The demo's conditions a thousand tiles farther east, where nobody was trained."""

    name, attribution, step = "elsewhere", "", 1000

    def conditions(self, tiles):
        here = DemoSource().conditions(tile_frame(tiles["x"] - self.step, tiles["y"]))
        return replace(here, tiles=tile_frame(here.tiles["x"] + self.step, here.tiles["y"]))


@pytest.mark.slow
def test_in_a_new_city_any_partition_gives_the_same_and_the_profile_follows(generator, area, measured):
    """The measured days begin six hours later than the model's; so do those of the tiles that were not measured."""
    source = Elsewhere()
    rows, told = measured
    tiles = tile_frame(area.tiles["x"] + source.step, area.tiles["y"])
    asked = generator.conditions(source, tiles)
    late = Measurements.of(told.x + source.step, told.y, np.roll(told.traffic, 6, axis=1), unit=MBPS)
    made = condition(generator, source, late, tiles, asked)
    assert made.posterior.new_city and made.posterior.profiles is not None
    whole = made.generate(asked, 8, 1)
    for part in np.array_split(np.random.default_rng(1).permutation(len(tiles)), 3):
        np.testing.assert_array_equal(made.generate(asked.take(part), 8, 1).traffic, whole.traffic[part])
    np.testing.assert_allclose(
        whole.traffic[rows].astype(float).mean(axis=(1, 2)).sum(), late.traffic.mean(axis=1).sum(), rtol=0.02
    )
    others = np.setdiff1d(np.arange(len(tiles)), rows)
    day = whole.traffic[others].astype(float).mean(axis=(0, 1)).reshape(7, 24).mean(axis=0)
    plain = generator.generate(asked.take(others), 8, 1).traffic.astype(float).mean(axis=(0, 1))
    plain = plain.reshape(7, 24).mean(axis=0)
    assert np.corrcoef(day, np.roll(plain, 6))[0, 1] > np.corrcoef(day, plain)[0, 1]


def test_weights_of_profiles_are_found_again():
    """Coefficients that follow one token are told of tiles that were not measured (closed form: least squares)."""
    rng = np.random.default_rng(0)
    loading, weight = rng.normal(size=(200, 4)), np.array([[0.5, 0], [0, -0.3], [0, 0], [0, 0]])
    directions = rng.normal(size=(2, 48))
    missed = (0.2 + loading @ weight + rng.normal(0, 0.02, (200, 2))) @ directions
    missed[5] = np.nan
    update = fit_profiles(loading[:150], missed[:150], directions)
    expected = 0.2 + loading[150:] @ weight
    np.testing.assert_allclose(update.shift(loading[150:]), expected, atol=0.1)
    assert fit_profiles(loading[:2], missed[:2], directions) is None
