"""How erratic weeks are: made weeks of a known style, and the map from noise to a week and back."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from opendiff.default.texture import (
    NUMBERS,
    SKEW_GRID,
    STYLES,
    USUAL_SKEW,
    USUAL_TAIL,
    Texture,
    _moments,
    fit_texture,
    likeliest,
    split,
    texture_of,
    with_styles,
)


def of(style: torch.Tensor, name: str, series: int = 0) -> torch.Tensor:
    return style.unflatten(-1, (len(NUMBERS), 2))[:, NUMBERS.index(name), series]


@pytest.fixture(scope="module")
def noise() -> torch.Tensor:
    return torch.randn(60, 336, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def style() -> torch.Tensor:
    usual = torch.tensor([-2.3, -2.5, -0.6, -0.6, 0.2, 0.8, 0.9]).repeat_interleave(2)
    return usual + 0.2 * torch.randn(60, STYLES, generator=torch.Generator().manual_seed(1))


def test_sizes_are_those_of_the_style(noise, style):
    week = Texture.blank().apply(noise, style).unflatten(-1, (2, 7, 24))
    profile = week.mean(2)
    rest = week - profile[:, :, None]
    for series in (0, 1):
        found = profile[:, series].square().mean(-1).sqrt().log()
        torch.testing.assert_close(found, of(style, "profile", series), atol=1e-3, rtol=0)
        found = rest[:, series].square().mean((-2, -1)).sqrt().log()
        torch.testing.assert_close(found, of(style, "rest", series), atol=1e-3, rtol=0)


def test_each_number_moves_what_it_is_called_after(noise, style):
    """Kurtosis with the tail, skewness with the skew, jumps from hour to hour with roughness, days with days."""

    def rest(name: str, by: float) -> np.ndarray:
        moved = style.clone()
        moved.unflatten(-1, (len(NUMBERS), 2))[:, NUMBERS.index(name)] += by
        week = Texture.blank().apply(noise, moved).unflatten(-1, (2, 7, 24))
        return (week - week.mean(2, keepdim=True))[:, 0].flatten(1).numpy()

    assert (
        stats.kurtosis(rest("tail", -0.2), axis=1).mean()
        > 2 * stats.kurtosis(rest("tail", 0.2), axis=1).mean()
    )
    assert stats.skew(rest("skew", 0.3), axis=1).mean() > stats.skew(rest("skew", -0.3), axis=1).mean() + 0.5
    jump = lambda values: np.abs(np.diff(values, axis=1)).mean()  # noqa: E731
    assert jump(rest("roughness", 0.8)) > 1.2 * jump(rest("roughness", -0.8))
    days = lambda values: values.reshape(-1, 7, 24).mean(axis=2).std()  # noqa: E731
    assert days(rest("days", 0.8)) > 2 * days(rest("days", -0.8))


def test_a_week_comes_back_from_its_noise_and_style(noise, style):
    week = Texture.blank().apply(noise, style).double().numpy()
    texture, found, styles = fit_texture(week)
    again = texture.apply(torch.from_numpy(found).float(), torch.from_numpy(styles).float()).numpy()
    assert np.abs(again - week).mean() / np.abs(week).mean() < 0.06
    told = torch.from_numpy(styles)
    for name in ("profile", "rest"):
        assert np.corrcoef(of(told, name), of(style, name))[0, 1] > 0.999
    for name in ("roughness", "tail"):
        assert np.corrcoef(of(told, name), of(style, name))[0, 1] > 0.5, name


def test_one_series_tells_its_own_numbers(noise, style):
    week = Texture.blank().apply(noise, style).double().numpy()
    texture, found, styles = fit_texture(week)
    alone, numbers = texture_of(texture, week.reshape(60, 2, 168)[:, 1:], [1])
    np.testing.assert_allclose(alone[:, 0], found.reshape(60, 2, 168)[:, 1], atol=1e-4)
    np.testing.assert_allclose(numbers[..., 0], styles.reshape(60, len(NUMBERS), 2)[..., 1], atol=1e-4)


def test_parts_of_the_rest_add_up():
    rest = torch.randn(4, 2, 7, 24, generator=torch.Generator().manual_seed(2))
    slow, days, rough = split(rest)
    torch.testing.assert_close(slow + days + rough, rest)
    assert slow.mean(-1).abs().max() < 0.2 and days.shape[-1] == 1
    even = torch.ones(1, 1, 7, 24) * torch.arange(7)[:, None]
    assert split(even)[0].abs().max() < 1e-6 and split(even)[2].abs().max() < 1e-6


@pytest.mark.parametrize(("skew", "tail"), [(0.0, 1.0), (0.4, 0.7), (-0.3, 1.2)])
def test_moments_are_those_of_quadrature(skew, tail):
    value = lambda z: np.sinh((np.arcsinh(z) + skew) / tail)  # noqa: E731
    mean = integrate.quad(lambda z: value(z) * stats.norm.pdf(z), -8, 8)[0]
    square = integrate.quad(lambda z: value(z) ** 2 * stats.norm.pdf(z), -8, 8)[0]
    found = _moments(torch.tensor(skew, dtype=torch.float64), torch.tensor(tail, dtype=torch.float64))
    assert float(found[0]) == pytest.approx(mean, abs=0.01)
    assert float(found[1]) == pytest.approx(np.sqrt(square - mean**2), rel=0.03)


@pytest.mark.slow
def test_skew_and_tail_of_many_hours_are_found():
    z = torch.randn(40, 1, 7, 240, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    values = torch.sinh((torch.asinh(z) + 0.3) / 0.7)
    skew, tail = likeliest(values - values.mean(), USUAL_SKEW, USUAL_TAIL, SKEW_GRID)
    assert float(skew.median()) == pytest.approx(0.3, abs=0.11) and float(tail.median()) == pytest.approx(
        0.7, abs=0.06
    )


def test_styles_vary_as_they_did_and_follow_the_level():
    rng = np.random.default_rng(4)
    level, slope = rng.normal(size=4000), rng.normal(size=STYLES)
    root = np.tril(rng.normal(size=(STYLES, STYLES))) / 4 + np.eye(STYLES)
    left = level[:, None] * slope + rng.normal(size=(4000, STYLES)) @ root.T
    texture = with_styles(Texture.blank(), level, left)
    np.testing.assert_allclose(texture.by_level, slope, atol=0.1)
    np.testing.assert_allclose(texture.root @ texture.root.T, root @ root.T, atol=0.25)
    expected, noise = torch.randn(5, STYLES), torch.randn(5, STYLES)
    drawn = texture.style(expected, torch.from_numpy(level[:5]).float(), noise)
    back = texture.noise_of(expected, torch.from_numpy(level[:5]).float(), drawn)
    torch.testing.assert_close(back, noise, atol=1e-4, rtol=1e-4)
