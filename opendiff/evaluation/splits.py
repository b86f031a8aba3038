"""Which tiles are held out together, and which are kept from training beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from opendiff.errors import ModelError
from opendiff.training_data import TrainingData

# The blocks are the pack's folds; a buffer keeps the tiles around a held-out one from training as well.
BLOCKS, BUFFERS = "blocks", {"buffer-1": 1, "buffer-2": 2}
QUADRANTS, SECTORS = "quadrants", "sectors"
SPLITS = (BLOCKS, *BUFFERS, QUADRANTS, SECTORS)
SECTOR_COUNT = 6


def split_data(data: TrainingData, name: str) -> TrainingData:
    """The same tiles with the folds of a split. Raises ModelError for an unknown one."""
    if name not in SPLITS:
        raise ModelError(f"There is no split {name!r}; choose from: {', '.join(SPLITS)}.")
    if name == BLOCKS:
        return data
    if name in BUFFERS:
        return replace(data, buffer=BUFFERS[name])
    x, y = (data.tiles[axis].to_numpy(float) for axis in ("x", "y"))
    east, south = x - np.median(x[data.has_traffic]), y - np.median(y[data.has_traffic])
    if name == QUADRANTS:
        return replace(data, folds=(east >= 0) * 2 + (south >= 0))
    angle = np.arctan2(south, east)
    # as many measured tiles in each
    bounds = np.quantile(angle[data.has_traffic], np.arange(1, SECTOR_COUNT) / SECTOR_COUNT)
    return replace(data, folds=np.searchsorted(bounds, angle, side="right"))
