"""Series to vectors and back, and what whitening promises."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from opendiff.default.representation import daily, fit_representation, roll_days, with_whitening
from opendiff.default.texture import STYLES, fit_texture
from opendiff.week import HOURS


@pytest.fixture(scope="module")
def series() -> torch.Tensor:
    rng = np.random.default_rng(0)
    hour = np.arange(HOURS)
    day = 1.2 + np.sin((hour - 9) / 24 * 2 * np.pi)
    level = rng.lognormal(-3, 1, (80, 1, 1))
    noise = rng.gamma(8, 1 / 8, (80, 2, HOURS))
    return torch.from_numpy((level * day * noise).astype(np.float32))


@pytest.fixture(scope="module")
def fitted(series):
    representation = fit_representation(series, torch.zeros(9, 336))
    texture, noise, _ = fit_texture(representation.shape_residual(series).double().numpy())
    return with_whitening(replace(representation, texture=texture), noise)


def test_series_come_back_from_level_noise_and_style(series, fitted):
    residual = fitted.shape_residual(series)
    _, noise, styles = fit_texture(residual.double().numpy())
    white = torch.from_numpy(noise).float() @ fitted.whiten
    vectors = torch.cat([fitted.level(series), white], dim=-1)
    found = fitted.decode(vectors, fitted.shape_mean, torch.from_numpy(styles).float())
    # what is lost: the mean of the rest over the days, which the map from and to normal numbers does not keep at 0
    assert (found - series).abs().mean() / series.mean() < 0.02


def test_vectors_are_centred_and_white(series, fitted):
    _, noise, _ = fit_texture(fitted.shape_residual(series).double().numpy())
    white = torch.from_numpy(noise).float() @ fitted.whiten
    assert white.mean(0).abs().max() < 0.45  # the mean shape is that of a day, not of each day of the week
    assert fitted.level(series)[:, 0].std() == pytest.approx(1, abs=0.1)
    assert white.square().mean() == pytest.approx(1, abs=0.25)


def test_whitening_is_the_same_on_every_day(fitted):
    """Rolling the days of a shape rolls its whitened vector: nobody knows which weekday the week begins on."""
    shape = torch.randn(5, 336, generator=torch.Generator().manual_seed(0))
    for days in (1, 3):
        torch.testing.assert_close(
            roll_days(shape, days) @ fitted.whiten,
            roll_days(shape @ fitted.whiten, days),
            rtol=1e-3,
            atol=1e-3,
        )


def test_decoded_series_are_never_negative(fitted):
    vectors = 3 * torch.randn(50, 338, generator=torch.Generator().manual_seed(1))
    style = torch.zeros(50, STYLES)  # as much of its own as is expected, and a normal tail below the least
    assert (fitted.decode(vectors, fitted.shape_mean, style) >= 0).all()


def test_daily_keeps_the_mean_and_repeats_each_day():
    shape = torch.randn(3, 336, generator=torch.Generator().manual_seed(2))
    profile = daily(shape)
    torch.testing.assert_close(profile, roll_days(profile, 1))
    torch.testing.assert_close(profile.mean(-1), shape.mean(-1))
