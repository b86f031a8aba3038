"""The denoiser as it samples: the same function with fewer and larger products, in the coordinates of the path.

Along the path every number keeps its own mean, so it is left out and added at the end: with c_t = x_t - (1 - t) mean a
step is c' = c + dt (a c - b correction), where a and b depend on the tile's spread and the time alone. What does not
change along a path is computed before it: embeddings of the times, scale and shift of each layer norm inside the
products that follow it, the query inside the keys of the condition, and the output layer inside its values.

A place (the level, then the days) is one row of numbers, first the hours of both series, then the two of the level.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from opendiff.default.denoiser import DAY_WIDTH, Block, ConditionMemory, Denoiser, time_features
from opendiff.default.representation import LEVEL_WIDTH
from opendiff.default.sampler import time_grid
from opendiff.week import DAYS, HOURS_A_DAY, SERIES

PLACES = 1 + DAYS
PLACE_WIDTH = DAY_WIDTH + LEVEL_WIDTH


@dataclass(frozen=True)
class FoldedBlock:
    """Matrices (in, out) and biases of a block: of query (divided by the root of a head's width), key and value; of
    what follows attention; of the two layers of the feed-forward part."""

    self_in: Tensor
    self_in_bias: Tensor
    self_out: Tensor
    self_out_bias: Tensor
    feed_in: Tensor
    feed_in_bias: Tensor
    feed_out: Tensor
    feed_out_bias: Tensor


@dataclass(frozen=True)
class Times:
    """The evaluations of a path, two a step: embedding (evaluations, 8, width) of time and place; at (evaluations,) the
    time, move (evaluations,) the step in time that follows, both float64."""

    embedding: Tensor
    at: Tensor
    move: Tensor


@dataclass(frozen=True)
class Folded:
    """The network: entry (50, width), blocks, out (width, 48) with its bias."""

    entry: Tensor
    blocks: tuple[FoldedBlock, ...]
    out: Tensor
    out_bias: Tensor
    heads: int
    eps: float


@dataclass(frozen=True)
class FoldedMemory:
    """Of each layer, keys (rows, width, heads * tokens) with their bias (rows, 1, heads * tokens), and values (rows,
    heads * tokens, width)."""

    layers: tuple[tuple[Tensor, Tensor, Tensor], ...]

    def take(self, rows: Tensor | slice) -> FoldedMemory:
        """The memory of some rows (an index)."""
        return FoldedMemory(
            tuple((keys[rows], bias[rows], values[rows]) for keys, bias, values in self.layers)
        )

    @staticmethod
    def join(memories: list[FoldedMemory]) -> FoldedMemory:
        """The rows of several memories, one after the other."""
        layers = []
        for same in zip(*(memory.layers for memory in memories), strict=True):
            keys, bias, values = (torch.cat(parts) for parts in zip(*same, strict=True))
            layers.append((keys, bias, values))
        return FoldedMemory(tuple(layers))


def fold(denoiser: Denoiser) -> Folded:
    """The network of a denoiser, which stays as it is."""
    width = denoiser.place.shape[1]
    out, out_bias = _normed(denoiser.norm, denoiser.day_out)
    entry = torch.cat([denoiser.day_in.weight.T, denoiser.level_in.weight.T])
    blocks = _blocks(denoiser)
    folded = tuple(_fold_block(block, width) for block in blocks)
    return Folded(entry.contiguous(), folded, out, out_bias, blocks[0].heads, denoiser.norm.eps)


def _blocks(denoiser: Denoiser) -> list[Block]:
    return list(cast("Iterator[Block]", iter(denoiser.blocks)))


def _fold_block(block: Block, width: int) -> FoldedBlock:
    self_in, self_bias = _normed(block.norm_self, block.self_in)
    scale = self_in.new_ones(3 * width)
    scale[:width] = 1 / math.sqrt(width // block.heads)
    first, second = cast(nn.Linear, block.feed[0]), cast(nn.Linear, block.feed[2])
    feed_in, feed_in_bias = _normed(block.norm_feed, first)
    parts = (
        self_in * scale, self_bias * scale, block.self_out.weight.T, block.self_out.bias,
        feed_in, feed_in_bias, second.weight.T, second.bias,
    )  # fmt: skip
    return FoldedBlock(*(part.contiguous() for part in parts))


def _normed(norm: nn.LayerNorm, linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Matrix (in, out) and bias of a layer that follows a layer norm, whose scale and shift they take over."""
    return (linear.weight * norm.weight).T.contiguous(), linear.bias + linear.weight @ norm.bias


def fold_memory(denoiser: Denoiser, memory: ConditionMemory) -> FoldedMemory:
    """Keys and values of each row's condition with the weights before and after them."""
    layers = []
    for block, (keys, values) in zip(_blocks(denoiser), memory.keys_values, strict=True):
        head = keys.shape[-1]
        matrix, query_bias = _normed(block.norm_cross, block.query)
        from_query = (matrix / math.sqrt(head)).unflatten(1, (block.heads, head))  # (width, heads, head)
        to_output = block.cross_out.weight.unflatten(1, (block.heads, head))  # (width, heads, head)
        bias = (query_bias / math.sqrt(head)).unflatten(0, (block.heads, head))
        folded_keys = torch.einsum("rhtd,whd->rwht", keys, from_query).flatten(2)
        key_bias = torch.einsum("rhtd,hd->rht", keys, bias).flatten(1)[:, None]
        # the shares of each head sum to 1, so that the output's bias can be shared out among the values
        folded_values = torch.einsum("rhtd,whd->rhtw", values, to_output) + block.cross_out.bias / block.heads
        layers.append((folded_keys.contiguous(), key_bias, folded_values.flatten(1, 2).contiguous()))
    return FoldedMemory(tuple(layers))


def fold_times(denoiser: Denoiser, steps: int) -> Times:
    """The evaluations of `steps` midpoint steps."""
    at, move = [], []
    for now, later in itertools.pairwise(time_grid(steps).tolist()):
        half = (now + later) / 2
        at.extend([now, half])
        move.extend([half - now, later - now])
    like = denoiser.place
    times, moves = torch.tensor([at, move], dtype=torch.float64, device=like.device).unbind()
    features = time_features(times, like)
    bias = torch.cat([denoiser.level_in.bias[None], denoiser.day_in.bias.expand(DAYS, -1)])
    embedding = denoiser.time_in(features)[:, None] + (denoiser.place + bias)
    return Times(embedding, times, moves)


def moves(times: Times, deviation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What an evaluation does for rows of these deviations of the shape (rows,): the scale that whitens c, and the
    factors of c and of the correction in the step that follows; (evaluations, rows) each, float32."""
    at, move = times.at[:, None], times.move[:, None]
    spread = deviation.double()
    total = (spread * (1 - at)) ** 2 + at**2
    root = total.sqrt()
    return (
        (1 / root).float(),
        (move * (1 - spread**2 * (1 - at) / total) / at).float(),
        (-move * spread / root).float(),
    )


def follow(network: Folded, times: Times, memory: FoldedMemory, deviation: Tensor, noise: Tensor) -> Tensor:
    """The shape (rows, 336) less its mean that the path leads to from noise (rows, 338).

    memory, deviation (rows,): of each row, the latter of the shape.
    """
    rows = len(noise)
    whiten, keep, add = moves(times, deviation)
    entry = noise.new_zeros(rows, PLACES, PLACE_WIDTH)
    entry[:, 0, DAY_WIDTH:] = noise[:, :LEVEL_WIDTH]  # whitened, the level stays as it is all along the path
    days = noise[:, LEVEL_WIDTH:].unflatten(-1, (SERIES, DAYS, HOURS_A_DAY))
    state = point = days.transpose(1, 2).flatten(2)
    for number in range(len(times.at)):
        torch.mul(point, whiten[number, :, None, None], out=entry[:, 1:, :DAY_WIDTH])
        correction = correct(network, times.embedding[number], memory, entry)
        moved = torch.addcmul(state, point, keep[number, :, None, None])
        point = moved.addcmul_(correction.view(rows, DAYS, DAY_WIDTH), add[number, :, None, None])
        if number % 2:
            state = point
    return point.unflatten(-1, (SERIES, HOURS_A_DAY)).transpose(1, 2).flatten(1)


def correct(network: Folded, embedding: Tensor, memory: FoldedMemory, entry: Tensor) -> Tensor:
    """What the network adds to the closed form, (rows * 7, 48); entry: whitened places (rows, 8, 50)."""
    rows, width = len(entry), embedding.shape[-1]
    h = torch.addmm(embedding.repeat(rows, 1), entry.view(-1, PLACE_WIDTH), network.entry)
    for block, (keys, key_bias, values) in zip(network.blocks, memory.layers, strict=True):
        mixed = torch.addmm(block.self_in_bias, _norm(h, network.eps), block.self_in)
        h = h.addmm_(_among_places(mixed, network.heads), block.self_out).add_(block.self_out_bias)
        scores = torch.baddbmm(key_bias, _norm(h, network.eps).view(rows, PLACES, width), keys)
        share = torch.softmax(scores.view(rows, PLACES, network.heads, -1), -1).view(rows, PLACES, -1)
        h = h.view(rows, PLACES, width).baddbmm_(share, values).view(-1, width)
        hidden = torch.addmm(block.feed_in_bias, _norm(h, network.eps), block.feed_in)
        hidden = nn.functional.silu(hidden, inplace=True)
        h = h.addmm_(hidden, block.feed_out).add_(block.feed_out_bias)
    days = h.view(rows, PLACES, width)[:, 1:].reshape(-1, width)
    return torch.addmm(network.out_bias, _norm(days, network.eps), network.out)


def _norm(h: Tensor, eps: float) -> Tensor:
    return nn.functional.layer_norm(h, h.shape[-1:], eps=eps)


def _among_places(mixed: Tensor, heads: int) -> Tensor:
    """Attention among the places of each row; mixed: queries, keys and values (rows * 8, 3 * width)."""
    parts = mixed.view(-1, PLACES, 3, heads, mixed.shape[-1] // (3 * heads)).permute(2, 0, 3, 1, 4)
    query, key, value = parts.unbind(0)
    found = nn.functional.scaled_dot_product_attention(query, key, value, scale=1.0)
    return found.transpose(1, 2).reshape(len(mixed), -1)
