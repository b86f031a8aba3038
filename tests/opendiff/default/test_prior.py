"""The prior's regression, imputation and worlds against closed forms, other libraries and draws."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from opendiff.conditions import MODALITIES, TOKEN_WIDTHS, TOKENS_WIDTH
from opendiff.default.cities import fill_gaps, night_gaps
from opendiff.default.imputation import CityTokens, expectation, fit_imputation, left_open
from opendiff.default.prior import NEW_CITY, Prior, PriorPrediction
from opendiff.default.regression import LEVEL_WIDTHS, TILES_AN_OBSERVATION, Sample, regress
from opendiff.default.representation import NOISE_WIDTH, WIDTH
from opendiff.default.texture import STYLES
from opendiff.default.world import FIELD_CELLS, World, field_correlation, spatial_field, tiles_own
from opendiff.week import SERIES

COMPONENTS = 3


def made_city(rng: np.random.Generator, tiles: int, weight: np.ndarray) -> Sample:
    tokens = rng.normal(size=(tiles, TOKENS_WIDTH))
    values = tokens @ weight + 0.3 * rng.normal(size=tiles) + rng.normal()
    return Sample(tokens, values, np.full(tiles, 0.09))


def test_weights_agree_with_the_joint_gaussian():
    """Weights of two cities and of a new one by conditioning one large normal vector on all tiles."""
    rng = np.random.default_rng(0)
    weight = np.zeros(TOKENS_WIDTH)
    weight[[16, 35]] = 0.5, 0.3
    cities = [made_city(rng, tiles, weight) for tiles in (40, 25)]
    found = regress(cities, LEVEL_WIDTHS)
    shared, own = LEVEL_WIDTHS.covariances()
    design = [city.tokens - found.centre[1 + n] for n, city in enumerate(cities)]
    values = np.concatenate([city.values - found.value[1 + n] for n, city in enumerate(cities)])
    stacked = np.vstack(design)
    of_city = np.repeat([0, 1], [40, 25])
    same = of_city[:, None] == of_city
    covariance = stacked @ shared @ stacked.T + same * (stacked @ own @ stacked.T)
    covariance += 0.09 * TILES_AN_OBSERVATION * np.eye(len(values))
    solved = np.linalg.solve(covariance, values)
    for city in range(3):
        cross = shared @ stacked.T + own @ (stacked * (of_city == city - 1)[:, None]).T
        np.testing.assert_allclose(found.mean[city], cross @ solved, atol=1e-8)
        if city:  # of a new city only a share of what is its own is taken
            expected = shared + own - cross @ np.linalg.solve(covariance, cross.T)
            np.testing.assert_allclose(found.covariance[city], expected / TILES_AN_OBSERVATION, atol=1e-8)
    assert np.trace(found.covariance[NEW_CITY]) > 0


def test_a_city_that_tells_nothing_is_as_a_new_one():
    rng = np.random.default_rng(1)
    found = regress([made_city(rng, 30, np.full(TOKENS_WIDTH, 0.1)), None], LEVEL_WIDTHS)
    np.testing.assert_array_equal(found.mean[2], found.mean[0])


@pytest.mark.slow
def test_imputation_is_the_conditional_expectation():
    """Against the slopes of a regression on draws of the same covariance."""
    rng = np.random.default_rng(2)
    root = 0.4 * rng.normal(size=(TOKENS_WIDTH, TOKENS_WIDTH)) / np.sqrt(TOKENS_WIDTH) + np.eye(TOKENS_WIDTH)
    covariance = root @ root.T
    known = np.repeat(np.arange(len(MODALITIES)) % 2 == 1, TOKEN_WIDTHS)
    draws = rng.multivariate_normal(np.zeros(TOKENS_WIDTH), covariance, 200_000)
    slopes = np.linalg.lstsq(draws[:, known], draws, rcond=None)[0].T
    gain = expectation(covariance, known, 0.999)
    np.testing.assert_allclose(gain[:, known], slopes, atol=0.02)
    assert (gain[:, ~known] == 0).all()
    left = np.cov((draws - draws[:, known] @ slopes.T).T)
    np.testing.assert_allclose(left_open(covariance, gain), left, atol=0.03)


@pytest.mark.slow
def test_em_finds_the_covariance_of_tokens_that_are_missing_at_random():
    rng = np.random.default_rng(3)
    root = np.eye(TOKENS_WIDTH)
    root[35, 16] = 0.9  # population follows places
    draws = rng.normal(size=(4000, TOKENS_WIDTH)) @ root.T + 2
    present = rng.random((4000, len(MODALITIES))) < 0.8
    city = CityTokens.of(draws, present, np.ones(4000))
    means, covariance = fit_imputation([city])
    np.testing.assert_allclose(means[1], 2, atol=0.12)
    assert covariance[35, 16] == pytest.approx(0.9, abs=0.08)


def test_a_population_that_is_not_borne_out_counts_less():
    covariance = np.eye(TOKENS_WIDTH) + 0.5
    known = np.repeat([name == "population" for name in MODALITIES], TOKEN_WIDTHS)
    good, poor = (expectation(covariance, known, trust) for trust in (1.0, 0.05))
    assert 0 < poor[16].sum() < 0.2 * good[16].sum()


def made_prediction(rows: int, spatial: tuple[float, float], city: int = NEW_CITY) -> PriorPrediction:
    loading = torch.zeros(rows, TOKENS_WIDTH)
    loading[:, 0] = 0.6
    residual = torch.full((rows,), 0.8)
    spread = torch.tensor([1.0, 0.5]).expand(rows, 2)  # of the level, and of traffic against users
    return PriorPrediction(
        torch.zeros(rows, 2), torch.zeros(rows, COMPONENTS), torch.zeros(rows, STYLES), torch.zeros(rows, 3), spread,
        loading, residual, torch.tensor(spatial).expand(rows, 2),
        torch.full((rows,), city),
    )  # fmt: skip


def test_the_samples_of_a_pair_are_mirrored_under_one_style():
    x, y = torch.tensor([100, 101]).repeat_interleave(6), torch.tensor([50, 50]).repeat_interleave(6)
    sample = torch.arange(6).repeat(2)
    own = tiles_own(3, x, y, sample)
    assert torch.equal(own[1::2, :WIDTH], -own[::2, :WIDTH])
    assert torch.equal(own[1::2, WIDTH:], own[::2, WIDTH:]) and own.shape == (12, NOISE_WIDTH)
    assert not torch.equal(own[0, WIDTH:], own[2, WIDTH:]) and not torch.equal(own[0, WIDTH:], own[6, WIDTH:])
    every = tiles_own(3, *(torch.zeros(4000, dtype=torch.int64) for _ in range(2)), torch.arange(4000))
    assert every.std(0).numpy() == pytest.approx(1, abs=0.06)
    assert every[:, WIDTH:].mean(0).abs().max() < 0.1


def test_worlds_have_the_covariance_that_the_prior_states():
    """Weights shared by all tiles, fields by neighbours: correlations of the noise over many samples."""
    x, y = torch.tensor([100, 101, 103, 900]), torch.tensor([50, 50, 50, 700])
    samples = 2 * torch.arange(4000)  # one of each mirrored pair
    world = World.of(7, x, y, samples)
    tile = torch.arange(4).repeat_interleave(4000)
    sample = torch.arange(4000).repeat(4)
    own = torch.randn(16_000, NOISE_WIDTH, generator=torch.Generator().manual_seed(0))
    noise = world.mix(made_prediction(16_000, (0.5, 0.2)), torch.tensor(0.3), own, tile, sample)
    level = noise[:, 0].reshape(4, 4000).numpy()
    found = np.corrcoef(level)
    for other, dx in ((1, 1), (2, 3)):
        near, far = (field_correlation(scale, np.array(dx), np.array(0)) for scale in (0, 1))
        field = 0.5 * near + 0.2 * far
        assert found[0, other] == pytest.approx(0.36 + 0.64 * field, abs=0.06)
    assert found[0, 3] == pytest.approx(0.36, abs=0.05)
    assert level.std(axis=1) == pytest.approx(1, abs=0.05)
    shape = noise[:, 100].reshape(4, 4000).numpy()
    assert np.corrcoef(shape)[0, 3] == pytest.approx(0.3, abs=0.05)
    assert torch.equal(noise[:, WIDTH:], own[:, WIDTH:])  # how erratic a tile is no other tells
    at_home = world.mix(made_prediction(16_000, (0.5, 0.2), 1), torch.tensor(0.3), own, tile, sample)
    assert torch.equal(
        at_home[:, 2:WIDTH], own[:, 2:WIDTH]
    )  # of a training city it is known, and part of the mean


def test_weeks_of_an_unmeasured_city_are_larger_in_one_sample_than_in_another():
    world = World.of(7, torch.tensor([100, 101]), torch.tensor([50, 50]), torch.arange(4000))
    city_style = torch.tensor([[-0.3, 0.5], [0.0, 0.0]])
    tile, sample = torch.arange(2).repeat_interleave(4000), torch.arange(4000).repeat(2)
    of_city = world.style_of_city(torch.full((8000,), NEW_CITY), city_style, sample)
    size = of_city[:, : 2 * SERIES]
    assert torch.equal(size, size[:, :1].expand_as(size)) and not of_city[:, 2 * SERIES :].any()
    assert torch.equal(size[tile == 0], size[tile == 1])  # all tiles alike
    assert torch.equal(size[::2], size[1::2])  # a mirrored pair as well
    assert float(size.mean()) == pytest.approx(0, abs=0.03) and float(size.std()) == pytest.approx(
        0.5, abs=0.02
    )
    assert not world.style_of_city(torch.ones(8000, dtype=torch.int64), city_style, sample).any()


def test_a_field_is_the_same_whatever_is_asked_for_beside_it():
    x, y = torch.tensor([10, 20, 37]), torch.tensor([5, 6, 90])
    for scale in (0, 1):
        whole = spatial_field(3, x, y, torch.arange(6), scale)
        part = spatial_field(3, x[[2, 0]], y[[2, 0]], torch.tensor([4, 1]), scale)
        assert torch.equal(part, whole[[2, 0]][:, [4, 1]])


@pytest.mark.parametrize("scale", [0, 1])
def test_the_stated_correlation_of_a_field_is_that_of_its_draws(scale):
    """Over all places in a cell, 2,000 draws of each; for neighbours, across a corner, and a cell apart."""
    side = FIELD_CELLS[scale]
    x, y = (
        axis.reshape(-1) for axis in torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    )
    samples = 2 * torch.arange(2000)  # one of each mirrored pair
    here = spatial_field(5, x, y, samples, scale)
    assert here.square().mean().item() == pytest.approx(1, abs=0.03)
    for dx, dy in ((1, 0), (2, 1), (side, 0)):
        there = spatial_field(5, x + dx, y + dy, samples, scale)
        stated = field_correlation(scale, np.array(dx), np.array(dy)).item()
        assert (here * there).mean().item() == pytest.approx(stated, abs=0.03), (dx, dy)


def test_a_tile_belongs_to_the_city_in_whose_box_it_lies():
    prior = Prior(COMPONENTS, 2)
    prior.bounds[1:] = torch.tensor([[10, 20, 5, 9], [100, 110, 5, 9]])
    city = prior.city_of(torch.tensor([10, 105, 21, 20]), torch.tensor([5, 9, 5, 10]))
    assert city.tolist() == [1, 2, NEW_CITY, NEW_CITY]


def test_prediction_of_a_tile_is_its_own_whatever_the_batch():
    torch.manual_seed(0)
    prior = Prior(COMPONENTS, 1)
    torch.nn.init.normal_(prior.weight)
    torch.nn.init.normal_(prior.level_factor, std=0.05)
    tokens, present = torch.randn(8, TOKENS_WIDTH), torch.rand(8, len(MODALITIES)) < 0.5
    trust, place = torch.full((8,), 0.8), torch.arange(8)
    every = prior(tokens, present, trust, place, place)
    order = torch.tensor([3, 3, 3, 3, 5, 5, 5, 5])
    some = prior(tokens[order], present[order], trust, place[order], place[order])
    torch.testing.assert_close(some.level, every.level[order])
    torch.testing.assert_close(some.spread, every.spread[order])
    variance = every.loading.square().sum(1) + every.residual**2
    torch.testing.assert_close(every.spread[:, 0] ** 2, variance)


def test_levels_that_lack_everything_have_the_spread_of_all_tiles():
    """Nothing known: the level's variance is that of the weights' sum over the covariance of tokens, beside the
    rest."""
    prior = Prior(COMPONENTS, 1)
    prior.weight[0, 16, 0] = 1.0
    prior.feature_cov.mul_(0.25)
    nothing = torch.zeros(1, len(MODALITIES), dtype=torch.bool)
    prediction = prior(
        torch.zeros(1, TOKENS_WIDTH), nothing, torch.ones(1), torch.tensor([5]), torch.tensor([5])
    )
    draws = multivariate_normal(np.zeros(2), np.diag([0.25, 1.0])).rvs(100_000, random_state=0).sum(axis=1)
    assert prediction.spread[0, 0].item() == pytest.approx(draws.std(), rel=0.01)


def test_gaps_of_the_night_are_found_and_filled():
    hours = np.arange(24)
    day = 1.1 - np.cos((hours - 4) / 24 * 2 * np.pi)
    assert night_gaps(day) == []
    broken = day.copy()
    broken[[3, 4]] = 0.02
    assert night_gaps(broken) == [3, 4]
    week = np.tile(broken, 7)[None] * np.array([[1.0], [3.0]])
    filled, gap = fill_gaps(week)
    assert gap == [3, 4]
    kept = ~np.isin(np.arange(168) % 24, gap)
    np.testing.assert_array_equal(filled[:, kept], week[:, kept])
    assert (filled[:, ~kept] > 0.5 * week[:, kept].min(axis=1, keepdims=True)).all()
    assert (filled[:, ~kept] < week[:, [2]]).all()
