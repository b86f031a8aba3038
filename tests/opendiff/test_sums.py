"""Coverage of sums over neighbours, against draws whose truth comes from the same world or from a narrower one."""

import numpy as np
import pytest

from opendiff.metrics.sums import busy_hours, neighbour_sets, sum_figures


def test_neighbours_are_the_nearest():
    x, y = np.meshgrid(np.arange(5), np.arange(5))
    rows = neighbour_sets(x.reshape(-1), y.reshape(-1), 9)
    assert set(rows[12]) == {6, 7, 8, 11, 12, 13, 16, 17, 18} and rows[12, 0] == 12
    assert neighbour_sets(np.arange(3), np.zeros(3), 9).shape == (3, 3)


@pytest.mark.slow
def test_shared_error_is_seen_in_sums_only():
    """Tiles that err together: an ensemble that knows is covered in sums, one of independent tiles is not."""
    rng = np.random.default_rng(0)
    x, y = (axis.reshape(-1) for axis in np.meshgrid(np.arange(12), np.arange(12)))
    found: dict[str, list[float]] = {"shared": [], "alone": []}
    for _ in range(40):
        common = rng.normal(size=(1, 101))
        levels = np.exp(0.4 * common + 0.4 * rng.normal(size=(144, 101)))
        alone = np.exp(np.sqrt(0.32) * rng.normal(size=(144, 100)))
        truth = np.repeat(levels[:, :1], 24, axis=1)
        for name, ensemble in (("shared", levels[:, 1:]), ("alone", alone)):
            figures = sum_figures(truth, np.repeat(ensemble[..., None], 24, axis=2), x, y)
            found[name].append(figures["sum36_coverage_90"])
    assert np.mean(found["shared"]) == pytest.approx(0.9, abs=0.08)
    assert np.mean(found["alone"]) < 0.6


def test_busy_hours_are_those_of_the_sums():
    rng = np.random.default_rng(1)
    truth, ensemble = rng.gamma(2, size=(7, 24)), rng.gamma(2, size=(7, 3, 24))
    rows = neighbour_sets(np.arange(7), np.zeros(7), 4)
    true, made = busy_hours(truth, ensemble, rows)
    for area, members in enumerate(rows):
        assert true[area] == pytest.approx(truth[members].sum(axis=0).max())
        assert made[area] == pytest.approx(ensemble[members].sum(axis=0).max(axis=1))
