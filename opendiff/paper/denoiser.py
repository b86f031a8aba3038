"""The denoising network of the published method: residual layers as in CSDI, with attention to the condition.

A layer adds the step, attends over the hours of its own row, attends to the condition (eq. 9-11), adds what is known
of each hour, and ends in a gate, a residual and a skip (Tashiro et al., NeurIPS 2021).

Eq. 9 makes keys and values from one vector z. With one key, softmax is 1 whatever the query: attention is then a
constant that no hour can influence, which is what the published code computes (168 copies of one key). Here W^K and
W^V map z to `tokens` keys and values, so that an hour chooses among aspects of its tile. Without condition z is zero
(eq. 7), which leaves the biases of W^K and W^V as the keys and values that mean "nothing is known".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from opendiff.paper.attention import self_attention
from opendiff.week import HOURS, SERIES

LONGEST_WAVE = 1e4  # of position embeddings, as in Vaswani et al., NeurIPS 2017


@dataclass(frozen=True)
class DenoiserConfig:
    """The published configuration, to which tokens (see above) and patch are added."""

    layers: int = 4
    channels: int = 64
    heads: int = 8
    step_width: int = 128
    hour_width: int = 128
    condition_width: int = 128
    tokens: int = 8
    dropout: float = 0.1
    steps: int = 400
    patch: int = 1  # hours a token; 1 as published


LayerCache = tuple[Tensor, Tensor, Tensor]  # keys, bias and values as of ConditionCache


@dataclass(frozen=True)
class ConditionCache:
    """What each layer needs of the condition of each row, computed once a tile: keys with W^Q folded in (rows,
    channels, heads * tokens) and their bias (rows, 1, heads * tokens), values with the output layer folded in (rows,
    heads * tokens, channels)."""

    layers: tuple[LayerCache, ...]

    def __len__(self) -> int:
        return len(self.layers[0][0])

    def take(self, rows: Tensor) -> ConditionCache:
        """The memory of some rows (an index)."""
        return ConditionCache(
            tuple((keys[rows], bias[rows], values[rows]) for keys, bias, values in self.layers)
        )

    def followed_by(self, other: ConditionCache) -> ConditionCache:
        """The rows of this memory, then those of the other."""
        pairs = zip(self.layers, other.layers, strict=True)
        return ConditionCache(
            tuple(
                (torch.cat([keys, more_keys]), torch.cat([bias, more_bias]), torch.cat([values, more_values]))
                for (keys, bias, values), (more_keys, more_bias, more_values) in pairs
            )
        )


class ResidualLayer(nn.Module):
    """One layer: `among_hours`, `to_condition`, `gated`, in this order; `precompute_kv` once a tile."""

    def __init__(self, config: DenoiserConfig):
        super().__init__()
        width = config.channels
        self.heads, self.tokens, self.dropout = config.heads, config.tokens, config.dropout
        self.step = nn.Linear(config.step_width, width)
        self.self_in, self.self_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(config.condition_width, 2 * config.tokens * width)
        self.cross_out = nn.Linear(width, width)
        self.norm_self, self.norm_self_feed, self.norm_cross, self.norm_cross_feed = (
            nn.LayerNorm(width) for _ in range(4)
        )
        self.self_feed, self.cross_feed = (
            nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width)) for _ in range(2)
        )
        self.middle, self.hour = nn.Linear(width, 2 * width), nn.Linear(config.hour_width, 2 * width)
        self.out = nn.Linear(width, 2 * width)

    def precompute_kv(self, condition: Tensor) -> LayerCache:
        """K and V of eq. 9 for condition (rows, 128), with the query's and the output's weights folded in."""
        keys, values = (
            part.unflatten(-1, (self.tokens, self.heads, -1)).transpose(1, 2)  # (rows, heads, tokens, width)
            for part in self.key_value(condition).chunk(2, -1)
        )
        width = keys.shape[-1]
        keys = keys / math.sqrt(width)
        from_query = self.query.weight.unflatten(0, (self.heads, width))  # (heads, width, channels)
        to_output = self.cross_out.weight.unflatten(1, (self.heads, width))  # (channels, heads, width)
        matrix = torch.einsum("rhtw,hwc->rcht", keys, from_query).flatten(2)
        bias = torch.einsum("rhtw,hw->rht", keys, self.query.bias.unflatten(0, (self.heads, width))).flatten(
            1
        )
        return matrix, bias[:, None], torch.einsum("rhtw,chw->rhtc", values, to_output).flatten(1, 2)

    def among_hours(self, x: Tensor, step: Tensor) -> Tensor:
        """The part that does not see the condition: step (rows or 1, 128) and temporal transformer."""
        h = x + self.step(step)[:, None]
        attended = self.self_out(self_attention(self.self_in(h), self.heads))
        h = self.norm_self(h + self.drop(attended))
        return self.norm_self_feed(h + self.drop(self.self_feed(h)))

    def share(self, h: Tensor, memory: LayerCache) -> Tensor:
        """Attention weights (rows, hours, heads, tokens) of each hour to each token: the softmax of eq. 10."""
        matrix, bias, _ = memory
        score = torch.baddbmm(bias, h, matrix)
        return torch.softmax(score.unflatten(-1, (self.heads, self.tokens)), -1)

    def to_condition(self, h: Tensor, memory: LayerCache) -> Tensor:
        """Attention-based integration, eq. 9-11."""
        attended = torch.baddbmm(self.cross_out.bias, self.share(h, memory).flatten(2), memory[2])
        h = self.norm_cross(h + self.drop(attended))
        return self.norm_cross_feed(h + self.drop(self.cross_feed(h)))

    def gated(self, x: Tensor, h: Tensor, hours: Tensor) -> tuple[Tensor, Tensor]:
        """Next hidden state and skip, both (rows, hours, channels)."""
        gate, kept = (self.middle(h) + self.hour(hours)).chunk(2, -1)
        # tanh by the sigmoid, which is four times as fast on a CPU
        gated = torch.sigmoid(gate) * (2 * torch.sigmoid(2 * kept) - 1)
        residual, skip = self.out(gated).chunk(2, -1)
        return (x + residual) * math.sqrt(0.5), skip

    def drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training) if self.training else x


class Denoiser(nn.Module):
    """Estimates the noise in two series of a week, given the step and the memory of the condition."""

    hours: Tensor
    steps: Tensor

    def __init__(self, config: DenoiserConfig = DenoiserConfig()):
        super().__init__()
        self.config = config
        width = config.channels
        self.series_in = nn.Linear(SERIES * config.patch, width)
        self.step_in = nn.Sequential(
            nn.Linear(config.step_width, config.step_width), nn.SiLU(),
            nn.Linear(config.step_width, config.step_width), nn.SiLU(),
        )  # fmt: skip
        self.layers = nn.ModuleList(ResidualLayer(config) for _ in range(config.layers))
        self.skip_out, self.series_out = nn.Linear(width, width), nn.Linear(width, SERIES * config.patch)
        nn.init.zeros_(self.series_out.weight)
        nn.init.zeros_(self.series_out.bias)
        self.register_buffer(
            "hours", waves(HOURS // config.patch, config.hour_width, LONGEST_WAVE), persistent=False
        )
        self.register_buffer("steps", waves(config.steps, config.step_width, LONGEST_WAVE), persistent=False)

    def precompute_kv(self, condition: Tensor) -> ConditionCache:
        """Keys and values of condition (rows, 128), zero where nothing is known."""
        return ConditionCache(tuple(layer.precompute_kv(condition) for layer in self._layers()))

    def _layers(self) -> Iterator[ResidualLayer]:
        return cast("Iterator[ResidualLayer]", iter(self.layers))

    def forward(self, x: Tensor, step: Tensor, memory: ConditionCache) -> Tensor:
        """Estimated noise (len(memory), 2, 168) in x (rows, 2, 168) at steps (rows,) or (1,), 0 the least noised.

        `memory` may have a multiple of x's rows, all conditions of the first kind, then all of the second: both are
        answered for the same x, and what does not see the condition yet is computed once.
        """
        times = len(memory) // len(x)
        step = self.step_in(self.steps[step])
        tokens = x.unflatten(2, (-1, self.config.patch)).transpose(1, 2).flatten(2)
        h = functional.relu(self.series_in(tokens))
        total: Tensor | float = 0.0
        for index, (layer, keys_values) in enumerate(zip(self._layers(), memory.layers, strict=True)):
            told = layer.among_hours(h, step)
            if index == 0 and times > 1:
                h, told = h.repeat(times, 1, 1), told.repeat(times, 1, 1)
                step = step if len(step) == 1 else step.repeat(times, 1)
            h, skip = layer.gated(h, layer.to_condition(told, keys_values), self.hours)
            total = total + skip
        h = functional.relu(self.skip_out(total * math.sqrt(1 / len(self.layers))))
        return self.series_out(h).unflatten(2, (SERIES, -1)).transpose(1, 2).flatten(2)


def waves(count: int, width: int, longest: float) -> Tensor:
    """Sines and cosines (count, width) of positions 0..count - 1, wavelengths from 2 pi to 2 pi * `longest`."""
    frequency = longest ** -torch.linspace(0, 1, width // 2, dtype=torch.float64)
    angle = torch.arange(count, dtype=torch.float64)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1).float()
