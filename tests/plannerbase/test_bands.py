"""Bands against what they promise: how often a truth drawn as the samples were lies inside."""

import numpy as np
import pytest

from plannerbase.bands import band, quantile_of_samples


@pytest.mark.parametrize(("samples", "share"), [(20, 0.9), (20, 0.5), (9, 0.8), (200, 0.9)])
def test_a_band_holds_the_share_that_it_names(samples, share):
    rng = np.random.default_rng(0)
    drawn = rng.lognormal(size=(40_000, samples))
    truth = rng.lognormal(size=40_000)
    low, high = band(drawn, share, axis=1)
    assert ((low <= truth) & (truth <= high)).mean() == pytest.approx(share, abs=0.006)


def test_a_band_wider_than_the_samples_tell_ends_at_their_extremes():
    assert band([3.0, 1.0, 2.0], 0.9) == (1.0, 3.0)
    assert band([7.0], 0.9) == (7.0, 7.0)


def test_quantiles_lie_at_the_rank_over_one_more_than_the_samples():
    np.testing.assert_allclose(
        quantile_of_samples(np.arange(1.0, 20), [0.05, 0.5, 0.95, 0.625]), [1, 10, 19, 12.5]
    )
