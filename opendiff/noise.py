"""Noise that belongs to a tile and a sample: the same whatever the batch, the order, the device or the partition.

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) is a keyed function of a counter,
so nothing has to be drawn in sequence. The key is the seed; the counter holds tile, sample, position and stream.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

WORD = 0xFFFFFFFF  # mask of 32 bits
# the constants of Philox4x32-10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
STREAM_SHIFT = 16  # bits of the counter that count blocks of four numbers; those above them hold the stream


def philox(counter: Tensor, key: tuple[int, int]) -> Tensor:
    """Philox4x32-10 of counters (..., 4), int64 holding 32-bit words; returns 32-bit words of the same shape."""
    c0, c1, c2, c3 = counter.unbind(-1)
    k0, k1 = key
    for _ in range(ROUNDS):
        # int64 products wrap, but their bits are those of the unsigned product: the mask undoes the arithmetic shift
        product0, product1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            ((product1 >> 32) & WORD) ^ c1 ^ k0,
            product1 & WORD,
            ((product0 >> 32) & WORD) ^ c3 ^ k1,
            product0 & WORD,
        )
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return torch.stack([c0, c1, c2, c3], dim=-1)


def tile_noise(seed: int, x: Tensor, y: Tensor, sample: Tensor, width: int, stream: int = 0) -> Tensor:
    """Standard normal numbers (rows, width) float32 for rows of (tile x, tile y, sample), int64 of shape (rows,) each.

    stream: below 65536, each gives other numbers (a sampler that draws anew in every step numbers its steps); width: at
    most 262144. Uniform numbers become normal by the method of Box and Muller.
    """
    blocks = -(-width // 4)
    # position and stream share a word of the counter
    position = torch.arange(blocks, device=x.device) + (stream << STREAM_SHIFT)
    counter = torch.stack(torch.broadcast_tensors(position, x[:, None], y[:, None], sample[:, None]), dim=-1)
    words = philox(counter, (seed & WORD, (seed >> 32) & WORD)).to(torch.float64)
    uniform = (words + 0.5) / 2**32
    radius = torch.sqrt(-2 * torch.log(uniform[..., 0::2]))
    angle = 2 * math.pi * uniform[..., 1::2]
    normal = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], dim=-1)
    return normal.reshape(len(x), -1)[:, :width].float()


def mirrored_noise(seed: int, x: Tensor, y: Tensor, sample: Tensor, width: int, stream: int = 0) -> Tensor:
    """As `tile_noise`, but samples 2k and 2k + 1 are each other's mirror image, noise and minus noise.

    Antithetic variates (Hammersley and Morton 1956): each sample is distributed as before, and what is linear in the
    noise cancels in the mean of a pair, so the mean of a few samples is nearly that of many.
    """
    pair = sample.div(2, rounding_mode="floor")
    sign = (1 - 2 * (sample - 2 * pair)).float()[:, None]
    # rows of both halves of a pair side by side, as whole ensembles have them, are drawn once
    if not x.is_cuda and len(x) % 2 == 0 and all(torch.equal(v[::2], v[1::2]) for v in (x, y, pair)):
        half = tile_noise(seed, x[::2], y[::2], pair[::2], width, stream)
        return half.repeat_interleave(2, dim=0) * sign
    return tile_noise(seed, x, y, pair, width, stream) * sign
