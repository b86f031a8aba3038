"""The sampler of a GPU: its noise, the whole path and what follows it, in three kernels (Triton).

A program follows a few samples of one tile from noise to data: it holds their numbers, reads the weights and what the
tile's condition gives (`opendiff.default.folded`) and writes once. Products have 16-bit factors and 32-bit sums. Where
TRITON_INTERPRET=1 is set before the import, the same kernels run on a CPU, with 32-bit factors.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from opendiff.default.folded import PLACE_WIDTH, PLACES, Folded, FoldedMemory, Times
from opendiff.default.prior import PriorPrediction
from opendiff.default.representation import (
    LEVEL_WIDTH,
    MAX_LOG_LEVEL,
    MIN_SHAPE_MEAN,
    NOISE_WIDTH,
    SHAPE_WIDTH,
    WIDTH,
    Representation,
)
from opendiff.default.world import World, shared_share
from opendiff.device import LOST_BITS
from opendiff.observed import MIN_LEVEL
from opendiff.week import HOURS, HOURS_PER_DAY, SERIES

WARPS = 4
ROWS = 8  # samples a program: with 8 places each, 64 rows of a product
TOKENS = 16  # of a condition, padded
PADDED = 64  # numbers of a place, padded
ABSENT = -1e9  # score of a padded token
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# 16 bits of which 11 are mantissa: eight times as exact as bfloat16, and layer norms keep all factors small
FACTOR = torch.float32 if INTERPRETED else torch.float16
PAIRS = 256  # of normal numbers of a row, padded
HOURS_PADDED = 256


@dataclass(frozen=True)
class Weights:
    """ends: entry and exit; matrices and biases of all blocks, one after the other; of each evaluation of the path the
    embedding, the time at and the move that follows. Matrices have 16 bits, the others are float32."""

    ends: Tensor
    out_bias: Tensor
    matrices: Tensor
    biases: Tensor
    embedding: Tensor
    at: Tensor
    move: Tensor
    width: int
    heads: int
    layers: int
    eps: float


@dataclass(frozen=True)
class TileMemory:
    """keys, values (tiles, layers, width, width) and key_bias (tiles, layers, width) of conditions, heads of TOKENS
    tokens side by side."""

    keys: Tensor
    key_bias: Tensor
    values: Tensor


def fits(width: int, heads: int, tokens: int) -> bool:
    """Whether the kernel is made for a network of this shape."""
    return width == heads * TOKENS == PADDED and tokens <= TOKENS


def pack(network: Folded, times: Times) -> Weights:
    """The weights of a network and the times of a path as the kernel reads them."""
    width = network.entry.shape[1]
    entry, out = network.entry.new_zeros(2, PADDED, width)
    entry[: len(network.entry)] = network.entry
    out[:, : network.out.shape[1]] = network.out
    out_bias = network.out_bias.new_zeros(PADDED)
    out_bias[: len(network.out_bias)] = network.out_bias
    matrices, biases = [], []
    for block in network.blocks:
        query, key, value = block.self_in.split(width, 1)
        # the keys' bias is left out: it shifts all scores of a query alike
        query_bias, _, value_bias = block.self_in_bias.split(width)
        matrices += [query, key, value, block.self_out, block.feed_in, block.feed_out]
        biases += [
            query_bias, value_bias @ block.self_out + block.self_out_bias, block.feed_in_bias,
            block.feed_out_bias,
        ]  # fmt: skip
    return Weights(
        torch.cat([entry.flatten(), out.flatten()]).to(FACTOR), out_bias,
        torch.cat([matrix.flatten() for matrix in matrices]).to(FACTOR), torch.cat(biases),
        times.embedding.contiguous(), times.at.to(out_bias), times.move.to(out_bias), width, network.heads,
        len(network.blocks), network.eps,
    )  # fmt: skip


def pack_memory(memory: FoldedMemory, heads: int) -> TileMemory:
    """The memory of tiles as the kernel reads it."""
    keys, biases, values = [], [], []
    for key, bias, value in memory.layers:
        tokens = key.shape[-1] // heads
        pad = (0, TOKENS - tokens)
        keys.append(torch.nn.functional.pad(key.unflatten(-1, (heads, tokens)), pad).flatten(-2))
        bias = torch.nn.functional.pad(bias.unflatten(-1, (heads, tokens)), pad, value=ABSENT)
        biases.append(bias.flatten(1))
        values.append(
            torch.nn.functional.pad(value.unflatten(1, (heads, tokens)), (0, 0, *pad)).flatten(1, 2)
        )
    return TileMemory(
        torch.stack(keys, 1).to(FACTOR),
        torch.stack(biases, 1).contiguous(),
        torch.stack(values, 1).to(FACTOR),
    )


# Numbers that differ from call to call must not make other kernels of them.
@triton.jit(do_not_specialize=["first", "samples"])
def _noise(
    vectors, x, y, numbers, level, own_level, shape, seed, first, samples, own_share, shared_share,
    WIDTH: tl.constexpr, SHARED: tl.constexpr, PAIRS: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """A tile's noise (`opendiff.noise`, `World.mix`) into vectors, ROWS samples a program."""
    place, block = tl.program_id(0), tl.program_id(1)
    tile = first + place
    sample = block * ROWS + tl.arange(0, ROWS)
    there = sample < samples
    number = tl.load(numbers + sample, mask=there, other=0).to(tl.uint32)
    column, row = tl.load(x + tile).to(tl.uint32), tl.load(y + tile).to(tl.uint32)
    pair = tl.arange(0, PAIRS)
    counter = tl.zeros((ROWS, PAIRS), tl.uint32)
    position = counter + (pair // 2).to(tl.uint32)[None, :]
    w0, w1, w2, w3 = tl.philox(
        tl.load(seed), position, counter + column, counter + row, counter + (number >> 1)[:, None]
    )
    second = (pair % 2 == 1)[None, :]
    first_word = tl.where(second, w2, w0).to(tl.float64)
    second_word = tl.where(second, w3, w1).to(tl.float64)
    radius = tl.sqrt(-2.0 * tl.log((first_word + 0.5) * (1.0 / 4294967296.0)))
    angle = 6.283185307179586 * ((second_word + 0.5) * (1.0 / 4294967296.0))
    # samples 2k and 2k + 1 are mirror images but for the style
    mirrored = (1.0 - 2.0 * (number & 1).to(tl.float32))[:, None]
    mirrored = tl.where((2 * pair < SHARED)[None, :], mirrored, 1.0)
    even = mirrored * (radius * tl.cos(angle)).to(tl.float32)
    odd = mirrored * (radius * tl.sin(angle)).to(tl.float32)
    of_shape = ((pair >= 1) & (2 * pair < SHARED))[None, :]
    inside = there[:, None] & of_shape
    at = shape + sample[:, None] * (SHARED - 2) + 2 * pair[None, :] - 2
    own = tl.where(of_shape, tl.load(own_share + tile), 1.0)  # the style shares nothing
    shared = tl.load(shared_share + tile)
    mixed = own * even + shared * tl.load(at, mask=inside, other=0.0)
    mixed_odd = own * odd + shared * tl.load(at + 1, mask=inside, other=0.0)
    start = tl.load(level + tile * samples + sample, mask=there, other=0.0)
    leading = start[:, None] + tl.load(own_level + tile) * even
    lead = (pair == 0)[None, :]
    to = vectors + (place * samples + sample)[:, None].to(tl.int64) * WIDTH + 2 * pair[None, :]
    kept = there[:, None] & (2 * pair < WIDTH)[None, :]
    tl.store(to, tl.where(lead, leading, mixed), mask=kept)
    tl.store(to + 1, tl.where(lead, odd, mixed_odd), mask=kept)


@triton.jit
def _norm(h, eps, WIDTH: tl.constexpr):
    return h * tl.rsqrt(tl.sum(h * h, axis=1) * (1.0 / WIDTH) + eps)[:, None]


@triton.jit(do_not_specialize=["first", "samples"])
def _path(
    vectors, mean, spread, keys, key_bias, values, ends, out_bias, matrices, biases, embedding, at, move,
    first, samples, eps,
    EVALUATIONS: tl.constexpr, WIDTH: tl.constexpr, HEADS: tl.constexpr, LAYERS: tl.constexpr,
    ROWS: tl.constexpr, HOURS: tl.constexpr, HOURS_PER_DAY: tl.constexpr, DAY: tl.constexpr,
    PLACE: tl.constexpr, SHAPE_END: tl.constexpr, VECTOR: tl.constexpr, FACTOR: tl.constexpr,
):  # fmt: skip
    """Noise in vectors becomes data: ROWS samples of a tile a program, all evaluations of the path."""
    local, block = tl.program_id(0), tl.program_id(1)
    tile = first + local
    M: tl.constexpr = ROWS * 8
    HEAD: tl.constexpr = WIDTH // HEADS
    token, column = tl.arange(0, M), tl.arange(0, WIDTH)
    sample, place = block * ROWS + token // 8, token % 8
    is_day = (place > 0)[:, None]
    hour = (column // HOURS_PER_DAY) * HOURS + column % HOURS_PER_DAY
    beside = tl.where(column < DAY + 2, column - DAY, column - DAY - 2 + SHAPE_END)  # level, style
    number = tl.where(is_day, 2 + hour[None, :] + (place[:, None] - 1) * HOURS_PER_DAY, beside[None, :])
    known = tl.where(is_day, (column < DAY)[None, :], ((column >= DAY) & (column < PLACE))[None, :])
    known = known & (sample < samples)[:, None]
    address = (local * samples + sample)[:, None].to(tl.int64) * VECTOR + number
    state = tl.load(vectors + address, mask=known, other=0.0)
    point = state
    deviation = tl.load(spread + tile * 3 + 2)
    variance = deviation * deviation
    square = column[:, None] * WIDTH + column[None, :]
    twice = tl.arange(0, 2 * WIDTH)
    wide = column[:, None] * (2 * WIDTH) + twice[None, :]
    tall = twice[:, None] * WIDTH + column[None, :]
    own_row = (token // 8)[:, None] == (token // 8)[None, :]
    for evaluation in range(EVALUATIONS):
        time, step = tl.load(at + evaluation), tl.load(move + evaluation)
        total = variance * (1.0 - time) * (1.0 - time) + time * time
        white = tl.rsqrt(total)
        entered = (point * tl.where(is_day, white, 1.0)).to(FACTOR)
        told = tl.load(embedding + evaluation * 8 * WIDTH + place[:, None] * WIDTH + column[None, :])
        h = tl.dot(entered, tl.load(ends + square), told)
        for layer in range(LAYERS):
            weight = matrices + layer * (8 * WIDTH * WIDTH)
            bias = biases + layer * (5 * WIDTH)
            normed = _norm(h, eps, WIDTH).to(FACTOR)
            query = tl.dot(normed, tl.load(weight + square)) + tl.load(bias + column)[None, :]
            key = tl.trans(tl.dot(normed, tl.load(weight + WIDTH * WIDTH + square)).to(FACTOR))
            value = tl.dot(normed, tl.load(weight + 2 * WIDTH * WIDTH + square)).to(FACTOR)
            mixed = tl.zeros((M, WIDTH), tl.float32)
            for head in range(HEADS):
                of_head = (column // HEAD == head)[None, :]
                score = tl.dot(tl.where(of_head, query, 0.0).to(FACTOR), key)
                score = tl.where(own_row, score, -1e9)
                share = tl.exp2(score - tl.max(score, axis=1)[:, None])
                found = tl.dot(share.to(FACTOR), value) / tl.sum(share, axis=1)[:, None]
                mixed += tl.where(of_head, found, 0.0)
            h += tl.dot(mixed.to(FACTOR), tl.load(weight + 3 * WIDTH * WIDTH + square))
            h += tl.load(bias + WIDTH + column)[None, :]
            # the condition: its keys hold the query's weights, its values those of the output
            of_tile = (tile * LAYERS + layer).to(tl.int64) * WIDTH
            normed = _norm(h, eps, WIDTH).to(FACTOR)
            score = tl.dot(normed, tl.load(keys + of_tile * WIDTH + square))
            score = tl.reshape(score + tl.load(key_bias + of_tile + column)[None, :], (M, HEADS, HEAD))
            share = tl.exp2(score - tl.max(score, axis=2, keep_dims=True))
            share = share / tl.sum(share, axis=2, keep_dims=True)
            h += tl.dot(tl.reshape(share, (M, WIDTH)).to(FACTOR), tl.load(values + of_tile * WIDTH + square))
            normed = _norm(h, eps, WIDTH).to(FACTOR)
            fed = tl.dot(normed, tl.load(weight + 4 * WIDTH * WIDTH + wide))
            fed += tl.load(bias + 2 * WIDTH + twice)[None, :]
            fed = fed / (1.0 + tl.exp2(fed))
            h += tl.dot(fed.to(FACTOR), tl.load(weight + 6 * WIDTH * WIDTH + tall))
            h += tl.load(bias + 4 * WIDTH + column)[None, :]
        normed = _norm(h, eps, WIDTH).to(FACTOR)
        added = tl.dot(normed, tl.load(ends + WIDTH * WIDTH + square)) + tl.load(out_bias + column)[None, :]
        keep = step * (1.0 - variance * (1.0 - time) / total) / time
        moved = state + tl.where(is_day, keep * point - step * deviation * white * added, 0.0)
        point = moved
        state = tl.where(evaluation % 2 == 1, moved, state)
    level = tl.load(spread + tile * 3 + tl.minimum(tl.maximum(column - DAY, 0), 1))[None, :]
    level = tl.where((column < DAY + 2)[None, :], level, 1.0)
    centre = tl.load(mean + tile * SHAPE_END + number, mask=known & (number < SHAPE_END), other=0.0)
    tl.store(vectors + address, centre + tl.where(is_day, point, point * level), mask=known)


@triton.jit(do_not_specialize=["rows"])
def _weeks(
    out, roots, vectors, log_mean, difference, rows, most, least, least_shape,
    HOURS: tl.constexpr, PADDED: tl.constexpr, VECTOR: tl.constexpr, ROWS: tl.constexpr, LOST_BITS: tl.constexpr,
):  # fmt: skip
    """Series of root shapes and the level in vectors, rounded; ROWS rows of both series a program."""
    item = tl.program_id(0) * ROWS * 2 + tl.arange(0, 2 * ROWS)
    row, series = item // 2, item % 2
    hour = tl.arange(0, PADDED)
    known = (row < rows)[:, None] & (hour < HOURS)[None, :]
    at = (row.to(tl.int64) * 2 + series)[:, None] * HOURS + hour[None, :]
    shape = tl.maximum(tl.load(roots + at, mask=known, other=0.0), 0.0)
    shape = shape * shape
    middle = tl.sum(shape, axis=1) * (1.0 / HOURS)
    leading = tl.load(vectors + row.to(tl.int64) * VECTOR, mask=row < rows, other=0.0)
    second = tl.load(vectors + row.to(tl.int64) * VECTOR + 1, mask=row < rows, other=0.0)
    half = second * tl.load(difference) * 0.5
    centred = leading + tl.where(series == 0, half, -half)
    level = tl.maximum(tl.exp(tl.minimum(centred, most) + tl.load(log_mean + series)), least)
    value = (level / tl.maximum(middle, least_shape))[:, None] * shape
    bits = value.to(tl.int32, bitcast=True)
    bits += (1 << (LOST_BITS - 1)) - 1 + ((bits >> LOST_BITS) & 1)
    value = ((bits >> LOST_BITS) << LOST_BITS).to(tl.float32, bitcast=True)
    tl.store(out + (series.to(tl.int64) * rows + row)[:, None] * HOURS + hour[None, :], value, mask=known)


@dataclass(frozen=True)
class Mix:
    """How a tile's own noise becomes the noise of the path (`World.mix`): level (tiles, samples) and own_level
    (tiles,) give the first coordinate, own_share and shared_share (tiles,) the shape's with shape (samples, 336)."""

    level: Tensor
    own_level: Tensor
    shape: Tensor
    own_share: Tensor
    shared_share: Tensor

    @staticmethod
    def of(world: World, prediction: PriorPrediction, shared_shape: Tensor) -> Mix:
        """For the tiles of a prediction and the samples of a world."""
        local = (1 - prediction.spatial.sum(-1)).clamp_min(0).sqrt()
        of_fields = (prediction.spatial.sqrt()[:, None] * world.fields).sum(-1)
        level = prediction.loading @ world.weights.T + prediction.residual[:, None] * of_fields
        spread, share = prediction.spread[:, 0], shared_share(prediction, shared_shape)
        return Mix(
            (level / spread[:, None]).contiguous(), prediction.residual * local / spread, world.shape,
            (1 - share).sqrt(), share.sqrt(),
        )  # fmt: skip


def draw(
    vectors: Tensor, seed: Tensor, x: Tensor, y: Tensor, numbers: Tensor, mix: Mix, first: int = 0,
    tiles: int | None = None,
) -> None:  # fmt: skip
    """Noise of `tiles` tiles from the one at `first` on of x, y (all tiles,), and of samples of these numbers
    (samples,), into the first rows of vectors (rows, NOISE_WIDTH), tile after tile; seed: (1,) int64."""
    tiles = len(x) if tiles is None else tiles
    _noise[tiles, triton.cdiv(len(numbers), 4)](
        vectors, x, y, numbers, mix.level, mix.own_level, mix.shape, seed, first, len(numbers), mix.own_share,
        mix.shared_share, WIDTH=NOISE_WIDTH, SHARED=WIDTH, PAIRS=PAIRS, ROWS=4,
    )  # fmt: skip


def follow(
    vectors: Tensor, samples: int, weights: Weights, memory: TileMemory, mean: Tensor, spread: Tensor, first: int = 0,
    tiles: int | None = None, rows: int = ROWS, warps: int = WARPS, stages: int = 1,
) -> None:  # fmt: skip
    """Data in place of noise in the first rows of vectors (rows, NOISE_WIDTH), for the same tiles as `draw`; the
    style stays noise.

    mean (all tiles, 338); spread (all tiles, 3): standard deviations of the level's two coordinates and of the shape.
    """
    tiles = len(mean) if tiles is None else tiles
    _path[tiles, triton.cdiv(samples, rows)](
        vectors, mean, spread, memory.keys, memory.key_bias, memory.values, weights.ends, weights.out_bias,
        weights.matrices, weights.biases, weights.embedding, weights.at, weights.move, first, samples, weights.eps,
        EVALUATIONS=len(weights.at), WIDTH=weights.width, HEADS=weights.heads, LAYERS=weights.layers, ROWS=rows,
        HOURS=HOURS, HOURS_PER_DAY=HOURS_PER_DAY, DAY=SERIES * HOURS_PER_DAY,
        PLACE=PLACE_WIDTH, SHAPE_END=WIDTH, VECTOR=NOISE_WIDTH,
        FACTOR=tl.float32 if INTERPRETED else tl.float16, num_warps=warps, num_stages=stages,
    )  # fmt: skip


def decode(out: Tensor, roots: Tensor, vectors: Tensor, representation: Representation) -> None:
    """Traffic and users (2, rows, 168), rounded, of the first rows of root shapes (rows, 336) and of vectors (rows,
    NOISE_WIDTH)."""
    rows = out.shape[1]
    _weeks[(triton.cdiv(rows, 4),)](
        out, roots, vectors, representation.log_mean, representation.difference_std,
        rows, MAX_LOG_LEVEL, MIN_LEVEL, MIN_SHAPE_MEAN, HOURS=HOURS, PADDED=HOURS_PADDED, VECTOR=NOISE_WIDTH,
        ROWS=4, LOST_BITS=LOST_BITS,
    )  # fmt: skip


assert PLACES == 8 and LEVEL_WIDTH == 2 and SHAPE_WIDTH == SERIES * HOURS  # as the kernels count
