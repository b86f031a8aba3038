"""The denoiser: expected clean vector given a noised one and the condition.

If what open data leaves open were Gaussian, the best denoiser would be known in closed form from the prior's mean and
spread. That closed form is the skip connection; a small transformer over the level and the seven days, with
cross-attention to the condition tokens (eq. 9-11 of the paper), learns what is not Gaussian. It is told the level and
the style (`texture`), which do not change along the path. Its output layer starts at zero, so training begins at the
closed form (conditionally whitened generation, arXiv 2509.20928; the preconditioning is that of Karras et al., NeurIPS
2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from opendiff.conditions import MODALITIES, TOKEN_WIDTHS
from opendiff.default.representation import LEVEL_WIDTH
from opendiff.default.texture import STYLES
from opendiff.week import DAYS, HOURS_PER_DAY, SERIES

DAY_WIDTH = SERIES * HOURS_PER_DAY
KNOWN_WIDTH = LEVEL_WIDTH + STYLES  # numbers that are known before the path begins, standard normal
TIME_FREQUENCIES = 8
EMBEDDING_STD = 0.02  # of learned embeddings before training, as is usual with transformers


@dataclass(frozen=True)
class ConditionCache:
    """All that the denoiser needs of the condition, computed once a tile.

    mean, deviation: (rows, 338) of the prior; expected: (rows, 336) root shapes; keys_values: of each layer's
    cross-attention, (rows, heads, tokens, width of a head) each.
    """

    mean: Tensor
    deviation: Tensor
    expected: Tensor
    keys_values: tuple[tuple[Tensor, Tensor], ...]

    def take(self, rows: Tensor) -> ConditionCache:
        """The memory of some rows (an index)."""
        pairs = tuple((keys[rows], values[rows]) for keys, values in self.keys_values)
        return ConditionCache(self.mean[rows], self.deviation[rows], self.expected[rows], pairs)

    @staticmethod
    def join(memories: list[ConditionCache]) -> ConditionCache:
        """The rows of several memories, one after the other."""
        layers = zip(*(memory.keys_values for memory in memories), strict=True)
        pairs = tuple(
            (torch.cat([keys for keys, _ in layer]), torch.cat([values for _, values in layer]))
            for layer in layers
        )
        means, deviations, expected = (
            torch.cat([getattr(memory, name) for memory in memories])
            for name in ("mean", "deviation", "expected")
        )
        return ConditionCache(means, deviations, expected, pairs)


class Block(nn.Module):
    """Pre-norm transformer block: attention among level and days, attention to the condition, feed-forward."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_self, self.norm_cross, self.norm_feed = (nn.LayerNorm(width) for _ in range(3))
        self.self_in, self.self_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.cross_out = nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, keys_values: tuple[Tensor, Tensor]) -> Tensor:
        """Hidden state (rows, 8, width); keys_values: of this block in the memory."""
        query, key, value = (self.heads_first(part) for part in self.self_in(self.norm_self(x)).chunk(3, -1))
        x = x + self.drop(self.self_out(self.attend(query, key, value)))
        query = self.heads_first(self.query(self.norm_cross(x)))
        x = x + self.drop(self.cross_out(self.attend(query, *keys_values)))
        return x + self.drop(self.feed(self.norm_feed(x)))

    def heads_first(self, x: Tensor) -> Tensor:
        """(rows, places, width) -> (rows, heads, places, width of a head)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)

    def drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class Denoiser(nn.Module):
    """A transformer over 1 + 7 places (the level, then the days), added to the closed form (`gaussian_denoiser`).

    summary_width: numbers that the prior hands over beside the condition tokens (`PriorPrediction.summary`).
    """

    def __init__(self, summary_width: int, width: int, heads: int, layers: int, dropout: float):
        super().__init__()
        self.level_in, self.day_in = nn.Linear(KNOWN_WIDTH, width), nn.Linear(DAY_WIDTH, width)
        self.time_in = nn.Sequential(
            nn.Linear(2 * TIME_FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.place = nn.Parameter(torch.randn(1 + DAYS, width) * EMBEDDING_STD)  # position embedding
        self.token_in = nn.ModuleList(nn.Linear(token_width, width) for token_width in TOKEN_WIDTHS)
        # the token of each modality where it is not known
        self.absent = nn.Parameter(torch.randn(len(MODALITIES), width) * EMBEDDING_STD)
        self.summary_in = nn.Linear(summary_width, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.day_out = nn.Linear(width, DAY_WIDTH)
        nn.init.zeros_(self.day_out.weight)
        nn.init.zeros_(self.day_out.bias)

    def precompute_kv(
        self,
        tokens: Tensor,
        present: Tensor,
        summary: Tensor,
        mean: Tensor,
        deviation: Tensor,
        expected: Tensor,
    ) -> ConditionCache:
        """The memory of conditions: tokens (rows, TOKENS_WIDTH), present (rows, modalities) bool, summary (rows,
        summary_width), mean and deviation (rows, 338), and the expected root shape (rows, 336)."""
        embedded = [
            layer(part) for layer, part in zip(self.token_in, tokens.split(TOKEN_WIDTHS, -1), strict=True)
        ]
        context = torch.where(present[..., None], torch.stack(embedded, 1), self.absent)
        context = torch.cat([context, self.summary_in(summary)[:, None]], dim=1)
        pairs = []
        for block in cast("Iterator[Block]", iter(self.blocks)):
            keys, values = block.key_value(context).chunk(2, -1)
            pairs.append((block.heads_first(keys), block.heads_first(values)))
        return ConditionCache(mean, deviation, expected, tuple(pairs))

    def forward(self, x: Tensor, t: Tensor, memory: ConditionCache, style: Tensor) -> Tensor:
        """Expected x_0 (rows, 338) given x_t (rows, 338) at times t, () or (rows,), along the straight path; style:
        (rows, STYLES) the noise that it was drawn with."""
        gaussian, white, scale = gaussian_denoiser(x, t, memory.mean, memory.deviation)
        # on a GPU the network computes in half precision, the closed form and the path in full
        with torch.autocast("cuda", torch.bfloat16, enabled=x.is_cuda):
            correction = self.correction(white, t, memory, style)
        return gaussian + scale * correction.to(x.dtype)

    def correction(self, white: Tensor, t: Tensor, memory: ConditionCache, style: Tensor) -> Tensor:
        """What the network adds to the closed form, (rows, 338), in units of the deviation of its error; white: the
        whitened x_t (rows, 338).

        Nothing is added to the level, which is exactly Gaussian. Along the path its whitened coordinates do not change,
        so the network knows the level from the first step on."""
        days = white[:, LEVEL_WIDTH:].unflatten(-1, (SERIES, DAYS, HOURS_PER_DAY)).transpose(1, 2).flatten(2)
        known = torch.cat([white[:, :LEVEL_WIDTH], style], dim=-1)
        h = torch.cat([self.level_in(known)[:, None], self.day_in(days)], dim=1)
        h = h + self.place + self.time_in(time_features(t, white)).unsqueeze(-2)
        for block, keys_values in zip(self.blocks, memory.keys_values, strict=True):
            h = block(h, keys_values)
        h = self.norm(h)
        days = self.day_out(h[:, 1:]).unflatten(-1, (SERIES, HOURS_PER_DAY)).transpose(1, 2).flatten(1)
        return torch.cat([torch.zeros_like(white[:, :LEVEL_WIDTH]), days], dim=-1)


def time_features(t: Tensor, like: Tensor) -> Tensor:
    """Sines and cosines (..., 2 * TIME_FREQUENCIES) of the log noise-to-signal ratio at times t (...) in 0..1."""
    t = t.to(like.dtype).clamp(1e-4, 1 - 1e-4)
    ratio = torch.log(t / (1 - t)) / 4  # within -2.3..2.3
    angle = ratio[..., None] * torch.linspace(0.5, 4, TIME_FREQUENCIES, dtype=like.dtype, device=like.device)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def gaussian_denoiser(x: Tensor, t: Tensor, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The closed form for x_0 normal with mean and deviation (rows, 338), at x_t (rows, 338) and t, () or (rows,).

    Returns the expected x_0, x_t whitened, and the deviation of x_0 that is left, (rows, 338) each: with x_t =
    (1 - t) x_0 + t e they follow from the normal distribution of x_0 given x_t.
    """
    t = t.to(x.dtype)
    if t.ndim:
        t = t[:, None]
    signal = 1 - t
    variance = deviation**2
    total = variance * signal**2 + t**2
    centred = x - signal * mean
    root = total.sqrt()
    return mean + variance * signal / total * centred, centred / root, t * deviation / root
