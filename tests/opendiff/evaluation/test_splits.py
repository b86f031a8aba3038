"""Which tiles are held out together, on a made square of tiles."""

import numpy as np
import pytest

from opendiff.area import tile_frame
from opendiff.commands import evaluate as command
from opendiff.errors import ModelError
from opendiff.evaluation.realism import copy_figures
from opendiff.evaluation.splits import SPLITS, split_data
from opendiff.training_data import TrainingData

SIDE = 12


@pytest.fixture(scope="module")
def data() -> TrainingData:
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"))
    blocks = x // 3 * 4 + y // 3
    nothing = np.zeros(len(x))
    return TrainingData(
        tile_frame(x, y), None, nothing, nothing, nothing, np.ones(len(x), bool), nothing, blocks % 5, blocks
    )


def test_a_buffer_keeps_the_tiles_around_from_training(data):
    """By search: a tile is trained on exactly if no held-out tile is nearer than the buffer allows."""
    x, y = (data.tiles[axis].to_numpy() for axis in ("x", "y"))
    for name, reach in (("blocks", 0), ("buffer-1", 1), ("buffer-2", 2)):
        split = split_data(data, name)
        for fold in range(5):
            out = [(a, b) for a, b, f in zip(x, y, split.folds, strict=True) if f == fold]
            far = [
                min(max(abs(a - c), abs(b - d)) for c, d in out) > reach for a, b in zip(x, y, strict=True)
            ]
            assert split.kept(fold).tolist() == far


def test_quadrants_and_sectors_hold_out_one_direction_each(data):
    x, y = (data.tiles[axis].to_numpy() for axis in ("x", "y"))
    quadrants = split_data(data, "quadrants").folds
    assert all(
        len(np.unique(quadrants[(x < 6) == east][(y < 6)[(x < 6) == east]])) == 1 for east in (True, False)
    )
    assert sorted(np.bincount(quadrants)) == [36] * 4
    sectors = split_data(data, "sectors").folds
    assert len(np.unique(sectors)) == 6 and np.ptp(np.bincount(sectors)) <= 8
    angle = np.arctan2(y - 5.5, x - 5.5)
    order = sectors[np.argsort(angle, kind="stable")]
    assert (np.diff(order) >= 0).all()  # each is one range of directions


def test_the_command_offers_every_split(data):
    assert command.SPLITS == SPLITS
    with pytest.raises(ModelError, match="choose from: blocks"):
        split_data(data, "thirds")


def test_copies_lie_nearer_than_real_weeks():
    rng = np.random.default_rng(0)
    truth = rng.gamma(5, 0.2, (30, 168)) * (1.5 - np.cos(np.arange(168) / 12 * np.pi))
    folds = np.arange(30) % 3
    fresh = rng.gamma(5, 0.2, (30, 1, 168)) * (1.5 - np.cos(np.arange(168) / 12 * np.pi))
    found = copy_figures(truth, fresh, folds)
    assert found["nearest_made_50"] == pytest.approx(found["nearest_real_50"], rel=0.1)
    copied = np.roll(truth, 1, axis=0)[:, None]  # each the week of a tile of another fold
    assert copy_figures(truth, copied, folds)["nearest_made_50"] == pytest.approx(0, abs=1e-6)
