"""One possible world a sample: the noise of the level that tiles share, the same for any batch, order or worker.

Three kinds of noise make the level of a tile: that of the weights, one vector a sample; two fields in space, of short
and of long range; and the tile's own. All are counters (`opendiff.noise`): the first by (seed, sample), the fields by
a fixed grid of cells, (seed, cell, sample), which a tile averages with weights that fall off with distance. Samples 2k
and 2k + 1 are mirror images, so that the mean of few worlds is nearly that of many. They have one style (`texture`),
which says how large the noise of a week is: under two styles what a mirrored pair adds to the mean would not cancel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from opendiff.conditions import TOKENS_WIDTH
from opendiff.default.prior import NEW_CITY, PriorPrediction
from opendiff.default.representation import LEVEL_WIDTH, NOISE_WIDTH, WIDTH
from opendiff.default.texture import SIZES
from opendiff.noise import mirrored_noise

# Numbers of streams of `mirrored_noise`; a tile's own noise is stream 0.
WEIGHT_STREAM, SHAPE_STREAM, FIELD_STREAM, STYLE_STREAM = 1, 2, 3, 5
FIELD_CELLS = (1, 4)  # side of a field's cells, tiles
FIELD_REACH = 2  # cells around a tile's that tell of it
FIELD_SCALE = 1.0  # standard deviation of a cell's weight, cells


def tiles_own(seed: int, x: Tensor, y: Tensor, sample: Tensor) -> Tensor:
    """The tiles' own noise (rows, NOISE_WIDTH) of rows of tiles x, y and samples, (rows,) each: mirrored in pairs, but
    for the numbers of the style, which a pair has in common."""
    own = mirrored_noise(seed, x, y, sample, NOISE_WIDTH)
    own[:, WIDTH:] *= (1 - 2 * (sample % 2)).to(own)[:, None]
    return own


@dataclass(frozen=True)
class World:
    """Shared noise of some tiles in some samples: weights (samples, TOKENS_WIDTH), shape (samples, 336), style
    (samples,), fields (tiles, samples, 2), each number standard normal."""

    weights: Tensor
    shape: Tensor
    style: Tensor
    fields: Tensor

    @staticmethod
    def of(seed: int, x: Tensor, y: Tensor, samples: Tensor) -> World:
        """For tiles x, y (tiles,) and the samples of these numbers (samples,), int64."""
        nowhere = torch.zeros_like(samples)
        first = samples - samples % 2  # of a mirrored pair
        return World(
            mirrored_noise(seed, nowhere, nowhere, samples, TOKENS_WIDTH, WEIGHT_STREAM),
            mirrored_noise(seed, nowhere, nowhere, samples, WIDTH - LEVEL_WIDTH, SHAPE_STREAM),
            mirrored_noise(seed, nowhere, nowhere, first, 1, STYLE_STREAM)[:, 0],
            torch.stack(
                [spatial_field(seed, x, y, samples, scale) for scale in range(len(FIELD_CELLS))], dim=-1
            ),
        )

    def mix(
        self, prediction: PriorPrediction, shared_shape: Tensor, own: Tensor, tile: Tensor, sample: Tensor
    ) -> Tensor:
        """Noise (rows, NOISE_WIDTH), each number standard normal, from the tiles' own (rows, NOISE_WIDTH).

        prediction: of each row's tile; tile, sample: (rows,) index of its tile and of its sample. The first level
        coordinate is correlated over tiles as the prediction says; shared_shape: () share of the variance of the
        shape's noise that all tiles of a sample have in common in a new city; of a training city that is known.
        """
        share = prediction.spatial
        local = (1 - share.sum(-1)).clamp_min(0).sqrt() * own[:, 0]
        residual = local + (share.sqrt() * self.fields[tile, sample]).sum(-1)
        level = (prediction.loading * self.weights[sample]).sum(-1) + prediction.residual * residual
        of_all = shared_share(prediction, shared_shape)[:, None]
        shape = (1 - of_all).sqrt() * own[:, LEVEL_WIDTH:WIDTH] + of_all.sqrt() * self.shape[sample]
        first = (level / prediction.spread[:, 0])[:, None]
        return torch.cat([first, own[:, 1:LEVEL_WIDTH], shape, own[:, WIDTH:NOISE_WIDTH]], dim=-1)

    def style_of_city(self, city: Tensor, city_style: Tensor, sample: Tensor) -> Tensor:
        """What styles have in a sample beside what the prior expects, (rows, STYLES): in a city whose weeks nobody
        measured, the noise of all weeks is larger in one sample than in another. city: (rows,) number of each row's;
        city_style: of the prior; sample: (rows,)."""
        larger = city_style[city, 1] * self.style[sample]
        return larger[:, None] * SIZES.to(larger)


def shared_share(prediction: PriorPrediction, shared_shape: Tensor) -> Tensor:
    """Share (rows,) of the variance of the shape's noise that all tiles of a sample have in common."""
    return torch.where(prediction.city == NEW_CITY, shared_shape, 0.0)


def spatial_field(seed: int, x: Tensor, y: Tensor, samples: Tensor, scale: int) -> Tensor:
    """A standard normal field (tiles, samples) at tiles x, y (tiles,), of the range `scale` (0 or 1)."""
    side = FIELD_CELLS[scale]
    reach = torch.arange(-FIELD_REACH, FIELD_REACH + 1, device=x.device)
    dx, dy = (steps.reshape(-1) for steps in torch.meshgrid(reach, reach, indexing="ij"))
    column = x.div(side, rounding_mode="floor")[:, None] + dx
    row = y.div(side, rounding_mode="floor")[:, None] + dy
    # where the tile's centre lies from its cell's centre, in cells
    across, down = ((place % side + 0.5) / side - 0.5 for place in (x.double(), y.double()))
    weight = torch.exp(-0.5 * ((dx - across[:, None]) ** 2 + (dy - down[:, None]) ** 2) / FIELD_SCALE**2)
    weight = weight / weight.square().sum(dim=1, keepdim=True).sqrt()
    cells, place = torch.unique(torch.stack([column, row], dim=-1).reshape(-1, 2), dim=0, return_inverse=True)
    place = place.reshape(column.shape)
    count = len(samples)
    noise = mirrored_noise(
        seed, cells[:, 0].repeat_interleave(count), cells[:, 1].repeat_interleave(count), samples.repeat(len(cells)),
        1, FIELD_STREAM + scale,
    ).reshape(len(cells), count)  # fmt: skip
    total = torch.zeros(len(x), count, dtype=torch.float64, device=x.device)
    for offset in range(weight.shape[1]):  # in one order for every tile, whatever is asked for beside it
        total = total + weight[:, offset, None] * noise[place[:, offset]]
    return total.float()


def field_correlation(scale: int, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Correlation of the field of a range between tiles dx, dy apart, averaged over where they stand in their cells."""
    side = FIELD_CELLS[scale]
    places = [(u, v) for u in range(side) for v in range(side)]
    total = np.zeros(np.broadcast_shapes(np.shape(dx), np.shape(dy)))
    for u, v in places:
        total = total + _overlap(side, np.asarray(u), np.asarray(v), u + np.asarray(dx), v + np.asarray(dy))
    return total / len(places)


def _overlap(side: int, x0: np.ndarray, y0: np.ndarray, x1: np.ndarray, y1: np.ndarray) -> np.ndarray:
    """Correlation of the fields at two tiles: the product of their normalised cell weights."""
    return _overlap_axis(side, x0, x1) * _overlap_axis(side, y0, y1)


def _overlap_axis(side: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    cells = np.arange(-FIELD_REACH, FIELD_REACH + 1)

    def weights(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cell, inside = np.divmod(place, side)
        offset = (inside + 0.5) / side - 0.5
        weight = np.exp(-0.5 * (cells - offset[..., None]) ** 2 / FIELD_SCALE**2)
        return cell[..., None] + cells, weight / np.sqrt((weight**2).sum(-1, keepdims=True))

    cell_a, weight_a = weights(np.asarray(a))
    cell_b, weight_b = weights(np.asarray(b))
    same = cell_a[..., :, None] == cell_b[..., None, :]
    return (same * weight_a[..., :, None] * weight_b[..., None, :]).sum((-1, -2))
