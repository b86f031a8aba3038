"""Weeks of many tiles on a GPU: made in calls, copied to the host beside the next call's work.

With Triton the noise, the path and what follows are three kernels (`opendiff.default.fused`); without it the path in
plain torch is captured once as a CUDA graph and replayed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec

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

# Tiles whose keys and values are made at once, padded so that their numbers are always the same.
TILES_A_FOLD = 64
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


Make = Callable[[int, int, Tensor], None]  # (first tile, tiles, out (2, tiles * samples, 168)): fills out


def weeks(model: TrafficModel, asked: Asked, steps: int, call_rows: int, out: np.ndarray) -> Iterator[int]:
    """Fill out (2, tiles * samples, 168), tile after tile, and tell after each call how many rows are done."""
    samples, tiles, device = len(asked.numbers), len(asked.x), asked.x.device
    tiles_a_call = max(1, call_rows // samples)
    rows = max(call_rows, samples)  # of a buffer: products have as many rows whatever is asked for
    make = maker(model, asked, steps, rows)
    made = [torch.empty(SERIES * rows * HOURS, device=device) for _ in range(2)]
    pinned = device.type == "cuda"
    held = [torch.empty(SERIES * rows * HOURS, pin_memory=pinned) for _ in range(2)]
    copies = torch.cuda.Stream(device) if pinned else None
    target = torch.from_numpy(out)
    waiting: list[tuple[int, Tensor, torch.cuda.Event | None]] = []

    def fetch() -> int:
        start, week, ready = waiting.pop(0)
        if ready is not None:
            ready.synchronize()
        target[:, start : start + week.shape[1]].copy_(week)
        return start + week.shape[1]

    for number, first in enumerate(range(0, tiles, tiles_a_call)):
        here = min(tiles_a_call, tiles - first)
        size = SERIES * here * samples * HOURS
        week, host = made[number % 2][:size], held[number % 2][:size]
        make(first, here, week.view(SERIES, -1, HOURS))
        waiting.append((first * samples, host.view(SERIES, -1, HOURS), _copied(week, host, copies)))
        if len(waiting) == 2:  # what the call before made is fetched before its buffers are written again
            yield fetch()
    while waiting:
        yield fetch()


def _copied(week: Tensor, host: Tensor, copies: torch.cuda.Stream | None) -> torch.cuda.Event | None:
    """Copy a call's weeks to the host, on a GPU beside the work that follows; returns what tells that it is done."""
    if copies is None:
        host.copy_(week)
        return None
    copies.wait_stream(torch.cuda.current_stream(week.device))
    with torch.cuda.stream(copies):
        host.copy_(week, non_blocking=True)
        ready = torch.cuda.Event()
        ready.record(copies)
    return ready


def maker(model: TrafficModel, asked: Asked, steps: int, rows: int) -> Make:
    """What makes weeks on the device of `asked`, for calls of at most `rows` rows."""
    device, config = asked.x.device, model.config
    if can_run_kernels(device):
        from opendiff.default import fused

        if fused.fits(config.width, config.heads, len(MODALITIES) + 1):
            try:
                return with_kernels(model, asked, steps, rows)
            except torch.OutOfMemoryError:
                raise
            except Exception:  # no compiler, a driver that is too old: of many kinds
                _WITHOUT.add(str(device))
    return with_graph(model, asked, steps, rows)


_WITHOUT: set[str] = set()  # devices on which the kernels failed


def can_run_kernels(device: torch.device) -> bool:
    """Whether Triton is there, and for this device."""
    if find_spec("triton") is None or str(device) in _WITHOUT:
        return False
    if device.type != "cuda":
        return os.environ.get("TRITON_INTERPRET") == "1"
    return torch.cuda.get_device_capability(device) >= LEAST_CAPABILITY


def with_kernels(model: TrafficModel, asked: Asked, steps: int, rows: int) -> Make:
    """What makes weeks with Triton's kernels."""
    from opendiff.default import fused

    network, representation = fold(model.denoiser), model.representation
    weights = fused.pack(network, fold_times(model.denoiser, steps))
    memory = fused.pack_memory(folded_memory(model, asked.memory), network.heads)
    mix = fused.Mix.of(asked.world, asked.belief, model.prior.shared_shape)
    device, samples = asked.x.device, len(asked.numbers)
    seed = torch.tensor([asked.seed], device=device)
    mean, spread = asked.memory.mean.contiguous(), asked.belief.spread.contiguous()
    vectors, shapes = torch.zeros(rows, WIDTH, device=device), torch.zeros(rows, SHAPE_WIDTH, device=device)

    def draw(first: int, tiles: int) -> None:
        fused.draw(vectors, seed, asked.x, asked.y, asked.numbers, mix, first, tiles)

    def follow(first: int, tiles: int) -> None:
        fused.follow(vectors, samples, weights, memory, mean, spread, first, tiles)

    def decode(out: Tensor) -> None:
        fused.decode(out, shapes, vectors, representation)

    def make(first: int, tiles: int, out: Tensor) -> None:
        draw(first, tiles)
        follow(first, tiles)
        torch.mm(vectors[:, LEVEL_WIDTH:], representation.colour, out=shapes)
        decode(out)

    if (str(device), steps) not in _COMPILED and device.type == "cuda":
        blank = torch.empty(SERIES, 1, HOURS, device=device)
        work = (lambda: draw(0, 1), lambda: follow(0, 1), lambda: decode(blank))
        with ThreadPoolExecutor(len(work)) as pool:  # side by side they are compiled in half the time
            for done in [pool.submit(_on, device, one) for one in work]:
                done.result()
        _COMPILED.add((str(device), steps))
    return make


_COMPILED: set[tuple[str, int]] = set()


def _on(device: torch.device, work: Callable[[], None]) -> None:
    with torch.cuda.device(device), torch.inference_mode():
        work()


def folded_memory(model: TrafficModel, memory: ConditionMemory) -> FoldedMemory:
    """The memory of tiles as a path needs it, made in parts of one size."""
    parts, count = [], len(memory.mean)
    for start in range(0, count, TILES_A_FOLD):
        row = torch.arange(start, start + TILES_A_FOLD, device=memory.mean.device)
        folded = fold_memory(model.denoiser, memory.take(row.clamp_max(count - 1)))
        parts.append(folded.take(slice(0, count - start)))
    return FoldedMemory.join(parts)


def with_graph(model: TrafficModel, asked: Asked, steps: int, rows: int) -> Make:
    """What makes weeks in plain torch: one call is captured and replayed for all."""
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
    """The work of a call as a graph; on a CPU as it is."""
    if device.type != "cuda":
        return call
    aside = torch.cuda.Stream(device)
    aside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(aside):
        call()  # what is made at the first call must not be part of the graph
    torch.cuda.current_stream(device).wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay
