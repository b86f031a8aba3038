"""Weeks of many tiles on a GPU: made in calls, copied to the host beside the next call's work.

With Triton the noise, the path and what follows are three kernels (`opendiff.default.fused`); without it the path in
plain torch is captured once as a CUDA graph and replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from opendiff.conditions import MODALITIES
from opendiff.default.denoiser import ConditionMemory
from opendiff.default.folded import FoldedMemory, fold, fold_memory, fold_times
from opendiff.default.model import TrafficModel
from opendiff.default.prior import Belief
from opendiff.default.representation import LEVEL_WIDTH, SHAPE_WIDTH, WIDTH
from opendiff.default.world import World
from opendiff.device import rounded
from opendiff.noise import tile_noise
from opendiff.week import HOURS, SERIES

TILES_A_FOLD = 256  # of which keys and values are made at once, padded so that their numbers are always the same
LEAST_CAPABILITY = (8, 0)  # of the GPUs that Triton's 16-bit products are made for


@dataclass(frozen=True)
class Asked:
    """What is generated: tiles x, y (tiles,), their memory, belief and world, samples of these numbers (samples,)."""

    seed: int
    x: Tensor
    y: Tensor
    numbers: Tensor
    memory: ConditionMemory
    belief: Belief
    world: World


@cache
def kernels_run(device: str) -> bool:
    """Whether Triton is there, knows this GPU and finds what it compiles with."""
    if torch.cuda.get_device_capability(device) < LEAST_CAPABILITY:
        return False
    try:
        from opendiff.default import fused

        out, one = torch.empty(1, WIDTH, device=device), torch.ones(1, dtype=torch.int64, device=device)
        mix = fused.Mix(torch.ones(1, 1, device=device), out[0], torch.ones(1, SHAPE_WIDTH, device=device), 1.0, 0.0)
        fused.draw(out, one, one, one, one, mix)
        torch.cuda.synchronize(device)
    except Exception:  # of many kinds: no Triton, no compiler, a driver that is too old
        return False
    return True


def weeks(model: TrafficModel, asked: Asked, steps: int, call_rows: int, out: np.ndarray) -> Iterator[int]:
    """Fill out (2, tiles * samples, 168), tile after tile, and tell after each call how many rows are done."""
    samples, tiles = len(asked.numbers), len(asked.x)
    tiles_a_call = max(1, call_rows // samples)
    rows = max(call_rows, samples)  # a buffer's; products have as many rows whatever is asked for
    config = model.config
    tokens = len(MODALITIES) + 1
    make: Callable[[int, int, Tensor], None]
    if kernels_run(str(asked.x.device)) and _fused().fits(config.width, config.heads, tokens):
        make = with_kernels(model, asked, steps, rows)
    else:
        make = with_graph(model, asked, steps, rows)
    device = asked.x.device
    made = [torch.empty(SERIES * rows * HOURS, device=device) for _ in range(2)]
    held = [torch.empty(SERIES * rows * HOURS, pin_memory=True) for _ in range(2)]
    target = torch.from_numpy(out)
    copies = torch.cuda.Stream(device)
    waiting: list[tuple[int, Tensor, torch.cuda.Event]] = []

    def fetch() -> int:
        start, week, ready = waiting.pop(0)
        ready.synchronize()
        target[:, start : start + week.shape[1]].copy_(week)
        return start + week.shape[1]

    for number, first in enumerate(range(0, tiles, tiles_a_call)):
        here = min(tiles_a_call, tiles - first)
        size = SERIES * here * samples * HOURS
        week = made[number % 2][:size]
        make(first, here, week.view(SERIES, -1, HOURS))
        copies.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(copies):
            host = held[number % 2][:size]
            host.copy_(week, non_blocking=True)
            ready = torch.cuda.Event()
            ready.record(copies)
        waiting.append((first * samples, host.view(SERIES, -1, HOURS), ready))
        if len(waiting) == 2:  # the buffers of the call before are free before they are written again
            yield fetch()
    while waiting:
        yield fetch()


def _fused():  # type: ignore[no-untyped-def]
    from opendiff.default import fused

    return fused


def with_kernels(
    model: TrafficModel, asked: Asked, steps: int, rows: int
) -> Callable[[int, int, Tensor], None]:
    """What makes the weeks of some tiles, (first, tiles, out (2, tiles * samples, 168)), with Triton's kernels."""
    from opendiff.default import fused

    network, representation = fold(model.denoiser), model.representation
    weights = fused.pack(network, fold_times(model.denoiser, steps))
    memory = fused.pack_memory(folded_memory(model, asked.memory), network.heads)
    mix = fused.Mix.of(asked.world, asked.belief, model.prior.shared_shape)
    device, samples = asked.x.device, len(asked.numbers)
    seed = torch.tensor([asked.seed], device=device)
    mean, spread = asked.memory.mean.contiguous(), asked.belief.spread.contiguous()
    vectors, shapes = torch.zeros(rows, WIDTH, device=device), torch.empty(rows, SHAPE_WIDTH, device=device)

    def make(first: int, tiles: int, out: Tensor) -> None:
        fused.draw(vectors, seed, asked.x, asked.y, asked.numbers, mix, first, tiles)
        fused.follow(vectors, samples, weights, memory, mean, spread, first, tiles)
        torch.mm(vectors[:, LEVEL_WIDTH:], representation.colour, out=shapes)
        fused.decode(out, shapes, vectors, representation)

    return make


def folded_memory(model: TrafficModel, memory: ConditionMemory) -> FoldedMemory:
    """The memory of tiles as a path needs it, made in parts of one size."""
    parts, count = [], len(memory.mean)
    for start in range(0, count, TILES_A_FOLD):
        row = torch.arange(start, start + TILES_A_FOLD, device=memory.mean.device)
        folded = fold_memory(model.denoiser, memory.take(row.clamp_max(count - 1)))
        parts.append(folded.take(slice(0, count - start)))
    return FoldedMemory.join(parts)


def with_graph(
    model: TrafficModel, asked: Asked, steps: int, rows: int
) -> Callable[[int, int, Tensor], None]:
    """As `with_kernels`, in plain torch: one call is captured and replayed for all."""
    device, samples, count = asked.x.device, len(asked.numbers), len(asked.x)
    tile, sample = torch.zeros(2, rows, dtype=torch.int64, device=device).unbind()
    series = torch.empty(rows, SERIES, HOURS, device=device)

    def call() -> None:
        own = tile_noise(asked.seed, asked.x[tile], asked.y[tile], asked.numbers[sample], WIDTH)
        noise = asked.world.mix(asked.belief.take(tile), model.prior.shared_shape, own, tile, sample)
        series.copy_(rounded(sample_weeks(asked.memory.take(tile), noise)))

    sample_weeks = model.sampler(steps)
    replay = _captured(call, device)

    def make(first: int, tiles: int, out: Tensor) -> None:
        row = torch.arange(rows, device=device)
        tile.copy_((first + row // samples).clamp_max(count - 1))
        sample.copy_(row % samples)
        replay()
        out.copy_(series[: tiles * samples].transpose(0, 1))

    return make


def _captured(call: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """The work of a call as a graph; as it is where it cannot be captured."""
    aside = torch.cuda.Stream(device)
    aside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(aside):
        call()  # what is made at the first call must not be part of the graph
    torch.cuda.current_stream(device).wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay
