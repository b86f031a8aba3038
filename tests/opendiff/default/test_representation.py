"""Series to vectors and back, and what whitening promises."""

import numpy as np
import pytest
import torch

from opendiff.default.representation import daily, fit_representation, roll_days, with_whitening
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
    residual = representation.shape_residual(series)
    return with_whitening(representation, residual.double().numpy())


def test_decode_inverts_encode(series, fitted):
    torch.testing.assert_close(fitted.decode(fitted.encode(series)), series, rtol=2e-3, atol=1e-5)


def test_vectors_are_centred_and_white(series, fitted):
    vectors = fitted.encode(series)
    assert vectors.mean(0).abs().max() < 0.4  # the mean shape is that of a day, not of each day of the week
    assert vectors[:, 0].std() == pytest.approx(1, abs=0.1)
    assert vectors[:, 2:].square().mean() == pytest.approx(1, abs=0.25)


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
    assert (fitted.decode(vectors) >= 0).all()


def test_daily_keeps_the_mean_and_repeats_each_day():
    shape = torch.randn(3, 336, generator=torch.Generator().manual_seed(2))
    profile = daily(shape)
    torch.testing.assert_close(profile, roll_days(profile, 1))
    torch.testing.assert_close(profile.mean(-1), shape.mean(-1))
