"""The denoiser as it samples: the same function with fewer and larger products, in the coordinates of the path.

Along the path every number keeps its own mean, so it is left out and added at the end: with c_t = x_t - (1 - t) mean a
step is c' = c + dt (a c - b correction), where a and b depend on the tile's spread and the time alone. What does not
change along a path is computed before it: embeddings of the times, scale and shift of each layer norm inside the
products that follow it and its mean inside those before it, the query inside the keys of the condition, and the output
layer inside its values. Exponentials are those of 2, about twice as fast on a CPU.

A place (the level, then the days) is one row of numbers, first the hours of both series, then those that are known
before: the two of the level and the style's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from opendiff.default.denoiser import DAY_WIDTH, KNOWN_WIDTH, Block, ConditionCache, Denoiser, time_features
from opendiff.default.representation import LEVEL_WIDTH, WIDTH
from opendiff.default.sampler import time_grid
from opendiff.week import DAYS, HOURS_PER_DAY, SERIES

LOG2E = math.log2(math.e)
# Of scores in base 2, either way: weights must neither overflow nor all be 0. No trained network comes near it.
LARGEST_SCORE = 100.0
PLACES = 1 + DAYS
PLACE_WIDTH = DAY_WIDTH + KNOWN_WIDTH


@dataclass(frozen=True)
class FoldedBlock:
    """Matrices (in, out) and biases of a block: of query (scaled for the softmax), key and value; of what follows
    attention; of the two layers of the feed-forward part, whose numbers between are -log2(e) times those of the
    denoiser."""

    self_in: Tensor
    self_in_bias: Tensor
    self_out: Tensor
    self_out_bias: Tensor
    feed_in: Tensor
    feed_in_bias: Tensor
    feed_out: Tensor
    feed_out_bias: Tensor
    heads: int


@dataclass(frozen=True)
class Times:
    """The evaluations of a path, two a step: embedding (evaluations, 8, width) of time and place; at (evaluations,) the
    time, move (evaluations,) the step in time that follows, both float64."""

    embedding: Tensor
    at: Tensor
    move: Tensor


@dataclass(frozen=True)
class Folded:
    """The network: entry (PLACE_WIDTH, width), blocks, out (width, 48) with its bias; same_head (heads * tokens,
    heads * tokens) is 1 where two tokens of the condition belong to the same head."""

    entry: Tensor
    blocks: tuple[FoldedBlock, ...]
    out: Tensor
    out_bias: Tensor
    same_head: Tensor
    eps: float

    @property
    def heads(self) -> int:
        return self.blocks[0].heads


@dataclass(frozen=True)
class FoldedMemory:
    """Of each layer, keys (rows, width, heads * tokens) with their bias (rows, 1, heads * tokens), and values (rows,
    heads * tokens, width)."""

    layers: tuple[tuple[Tensor, Tensor, Tensor], ...]

    def take(self, rows: Tensor | slice) -> FoldedMemory:
        """The memory of some rows (an index)."""
        if isinstance(rows, slice):
            return FoldedMemory(
                tuple((keys[rows], bias[rows], values[rows]) for keys, bias, values in self.layers)
            )
        layers = [tuple(part.index_select(0, rows) for part in layer) for layer in self.layers]
        return FoldedMemory(tuple((keys, bias, values) for keys, bias, values in layers))

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
    out, out_bias = _normed(denoiser.norm, denoiser.day_out)
    entry = _centred(torch.cat([denoiser.day_in.weight.T, denoiser.level_in.weight.T]))
    blocks = _blocks(denoiser)
    tokens = len(denoiser.token_in) + 1
    same_head = torch.eye(blocks[0].heads).repeat_interleave(tokens, 0).repeat_interleave(tokens, 1)
    return Folded(
        entry, tuple(map(_fold_block, blocks)), out, out_bias, same_head.to(entry), denoiser.norm.eps
    )


def _blocks(denoiser: Denoiser) -> list[Block]:
    return list(cast("Iterator[Block]", iter(denoiser.blocks)))


def _fold_block(block: Block) -> FoldedBlock:
    first, second = cast(nn.Linear, block.feed[0]), cast(nn.Linear, block.feed[2])
    width = len(first.weight.T)
    self_in, self_bias = _normed(block.norm_self, block.self_in)
    scale = torch.ones_like(self_bias)
    scale[:width] = LOG2E / math.sqrt(width // block.heads)
    feed_in, feed_in_bias = _normed(block.norm_feed, first)
    # y = -x log2(e) is what comes in, and x / (1 + exp(-x)) is then y / (1 + 2^y) but for that factor
    return FoldedBlock(
        self_in * scale, self_bias * scale, _centred(block.self_out.weight.T), _centred(block.self_out.bias),
        feed_in * -LOG2E, feed_in_bias * -LOG2E, _centred(second.weight.T / -LOG2E), _centred(second.bias),
        block.heads,
    )  # fmt: skip


def _normed(norm: nn.LayerNorm, linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Matrix (in, out) and bias of a layer that follows a layer norm, whose scale and shift they take over."""
    return (linear.weight * norm.weight).T.contiguous(), linear.bias + linear.weight @ norm.bias


def _centred(added: Tensor) -> Tensor:
    """What is added to the hidden state (..., width), less its mean, which every layer norm takes away."""
    return (added - added.mean(-1, keepdim=True)).contiguous()


def fold_memory(denoiser: Denoiser, memory: ConditionCache) -> FoldedMemory:
    """Keys and values of each row's condition with the weights before and after them."""
    layers = []
    for block, (keys, values) in zip(_blocks(denoiser), memory.keys_values, strict=True):
        head = keys.shape[-1]
        matrix, query_bias = _normed(block.norm_cross, block.query)
        scale = LOG2E / math.sqrt(head)
        # (width, heads, head) and (heads, head, width)
        from_query = (matrix * scale).unflatten(1, (block.heads, head))
        to_output = _centred(block.cross_out.weight.T).unflatten(0, (block.heads, head))
        bias = (query_bias * scale).unflatten(0, (block.heads, head))
        folded_keys = torch.einsum("rhtd,whd->rwht", keys, from_query).flatten(2)
        key_bias = torch.einsum("rhtd,hd->rht", keys, bias).flatten(1)[:, None]
        # the shares of each head sum to 1, so that the output's bias can be shared out among the values
        folded_values = torch.einsum("rhtd,hdw->rhtw", values, to_output)
        folded_values = folded_values + _centred(block.cross_out.bias) / block.heads
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
    embedding = _centred(denoiser.time_in(features)[:, None] + (denoiser.place + bias))
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
    """The shape (rows, 336) less its mean that the path leads to from noise (rows, NOISE_WIDTH).

    memory, deviation (rows,): of each row, the latter of the shape.
    """
    rows = len(noise)
    whiten, keep, add = moves(times, deviation)
    entry = noise.new_zeros(rows, PLACES, PLACE_WIDTH)
    # whitened, level and style stay as they are all along the path
    entry[:, 0, DAY_WIDTH:] = torch.cat([noise[:, :LEVEL_WIDTH], noise[:, WIDTH:]], dim=1)
    days = noise[:, LEVEL_WIDTH:WIDTH].unflatten(-1, (SERIES, DAYS, HOURS_PER_DAY))
    state = point = days.transpose(1, 2).flatten(2)
    for number in range(len(times.at)):
        torch.mul(point, whiten[number, :, None, None], out=entry[:, 1:, :DAY_WIDTH])
        correction = correct(network, times.embedding[number], memory, entry)
        moved = torch.addcmul(state, point, keep[number, :, None, None])
        point = moved.addcmul_(correction.view(rows, DAYS, DAY_WIDTH), add[number, :, None, None])
        if number % 2:
            state = point
    return point.unflatten(-1, (SERIES, HOURS_PER_DAY)).transpose(1, 2).flatten(1)


def correct(network: Folded, embedding: Tensor, memory: FoldedMemory, entry: Tensor) -> Tensor:
    """What the network adds to the closed form, (rows * 7, 48); entry: whitened places (rows, 8, PLACE_WIDTH)."""
    rows, width = len(entry), embedding.shape[-1]
    h = torch.addmm(embedding.repeat(rows, 1), entry.view(-1, PLACE_WIDTH), network.entry)
    for block, (keys, key_bias, values) in zip(network.blocks, memory.layers, strict=True):
        _among_places(h, torch.addmm(block.self_in_bias, _norm(h, network.eps), block.self_in), block)
        by_row = h.view(rows, PLACES, width)
        score = torch.baddbmm(key_bias, _norm(by_row, network.eps), keys)
        share = score.clamp_(-LARGEST_SCORE, LARGEST_SCORE).exp2_().view(-1, keys.shape[-1])
        share = share.div_(share @ network.same_head).view(rows, PLACES, -1)
        by_row.baddbmm_(share, values)
        hidden = torch.addmm(block.feed_in_bias, _norm(h, network.eps), block.feed_in)
        h.addmm_(hidden.div_(hidden.exp2().add_(1)), block.feed_out).add_(block.feed_out_bias)
    days = h.view(rows, PLACES, width)[:, 1:].reshape(-1, width)
    return torch.addmm(network.out_bias, _norm(days, network.eps), network.out)


def _norm(h: Tensor, eps: float) -> Tensor:
    """Layer norm of numbers whose mean is zero."""
    length = torch.linalg.vector_norm(h, dim=-1, keepdim=True)
    return h * length.square_().mul_(1 / h.shape[-1]).add_(eps).rsqrt_()


def _among_places(h: Tensor, mixed: Tensor, block: FoldedBlock) -> None:
    """Add attention among the places of each row to h (rows * 8, width); mixed: queries, keys and values (rows * 8, 3 *
    width).

    Head by head, because then nothing has to be copied into another order.
    """
    queries, keys, values = mixed.view(-1, PLACES, mixed.shape[-1]).chunk(3, -1)
    head = len(block.self_out) // block.heads
    ones = mixed.new_ones(PLACES, 1)
    for start in range(0, len(block.self_out), head):
        own = slice(start, start + head)
        share = torch.bmm(queries[..., own], keys[..., own].transpose(1, 2))
        share.clamp_(-LARGEST_SCORE, LARGEST_SCORE).exp2_()
        found = torch.bmm(share, values[..., own]).view(-1, head)
        h.addmm_(found.div_(share.view(-1, PLACES) @ ones), block.self_out[own])
    h.add_(block.self_out_bias)
