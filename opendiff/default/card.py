"""Weeks of many tiles on a GPU: made in calls, copied to the host beside the next call's work.

With Triton the noise, the path and what follows are three kernels (`opendiff.default.fused`); without it the path in
plain torch is captured once as a CUDA graph and replayed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.util import find_spec
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from opendiff.conditions import MODALITIES
from opendiff.default.denoiser import ConditionCache
from opendiff.default.folded import FoldedMemory, fold, fold_memory, fold_times
from opendiff.default.model import TrafficModel
from opendiff.default.prior import PriorPrediction
from opendiff.default.representation import LEVEL_WIDTH, NOISE_WIDTH, SHAPE_WIDTH, WIDTH
from opendiff.default.world import World, tiles_own
from opendiff.device import rounded
from opendiff.week import HOURS, SERIES

# Tiles whose keys and values are made at once, padded so that their numbers are always the same.
TILES_PER_FOLD = 256
TILES_PER_FOLD_ON_CPU = 8  # few, because a call has 256 rows
MIN_CAPABILITY = (8, 0)  # of the GPUs that Triton's 16-bit products are made for


@dataclass(frozen=True)
class Asked:
    """What is generated: tiles x, y (tiles,), their memory, prediction and world, samples of these numbers
    (samples,)."""

    seed: int
    x: Tensor
    y: Tensor
    numbers: Tensor
    memory: ConditionCache
    prediction: PriorPrediction
    world: World


Make = Callable[[int, int, Tensor], None]  # (first tile, tiles, out (2, tiles * samples, 168)): fills out
Way = Callable[[TrafficModel, Asked, int, int], Make]


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
    """What makes weeks on the device of `asked`, for calls of at most `rows` rows: kernels, a captured graph, or plain
    products one by one, the first of these that works.

    A way is compared with plain products on the same device when a model first takes it. One that fails or differs is
    not taken again, and `faults` says so.
    """
    device = asked.x.device
    ways: list[tuple[str, Way]] = []
    if can_run_kernels(device) and _kernels_fit(model):
        ways.append((KERNELS, with_kernels))
    if device.type == "cuda":
        ways.append((GRAPH, with_graph))
    checked = _CHECKED.setdefault(model, set())
    for name, way in ways:
        if (str(device), name) in _FAULTS:
            continue
        try:
            make = way(model, asked, steps, rows)
            if (str(device), steps, name) not in checked:
                check(make, model, asked, steps)
                checked.add((str(device), steps, name))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # no compiler, a driver that is too old, another card: of many kinds
            _FAULTS[str(device), name] = _fault(name, error)
        else:
            return make
    return with_products(model, asked, steps, rows)


KERNELS, GRAPH = "kernels", "CUDA graph"
MAX_DEVIATION = 2e-3  # of a way's weeks from those of plain products, relative, over a batch
MAX_ROW_DEVIATION = 1e-2  # the same, of one week of one quantity

_CHECKED: WeakKeyDictionary[TrafficModel, set[tuple[str, int, str]]] = (
    WeakKeyDictionary()
)  # (device, steps, way)
_FAULTS: dict[tuple[str, str], str] = {}  # (device, way) that failed: a sentence that says so


class Deviates(Exception):
    """Weeks made in one way are not those of plain products."""


def faults(device: torch.device | str) -> tuple[str, ...]:
    """Sentences on the ways of making weeks that failed on a device."""
    # a tensor on "cuda" is on "cuda:0", or on whichever GPU is the current one
    where = str(torch.empty(0, device=device).device)
    return tuple(sentence for (found, _), sentence in _FAULTS.items() if found == where)


def _fault(name: str, error: Exception) -> str:
    reason = str(error).strip().partition("\n")[0].rstrip(".")
    if not isinstance(error, Deviates):
        reason = f"failed ({type(error).__name__}: {reason})"
    return f"The sampler's {name} on the GPU {reason}, so a slower way was taken."


def _kernels_fit(model: TrafficModel) -> bool:
    from opendiff.default import fused

    return fused.fits(model.config.width, model.config.heads, len(MODALITIES) + 1)


def check(make: Make, model: TrafficModel, asked: Asked, steps: int) -> None:
    """Compare the weeks of the first and of the last tile with those of plain products on the same device. Raises
    Deviates."""
    device, samples = asked.x.device, len(asked.numbers)
    plain = plain_weeks(model, asked, steps)
    sample = torch.arange(samples, device=device)
    for first in sorted({0, len(asked.x) - 1}):
        tile = torch.full_like(sample, first)
        memory = fold_memory(model.denoiser, asked.memory.take(tile))
        expected = plain(tile, sample, memory).transpose(0, 1)
        found = torch.full((SERIES, samples, HOURS), torch.nan, device=device)
        make(first, 1, found)
        if not bool(found.isfinite().all()):
            raise Deviates("made values that are not finite")
        gap = found - expected
        overall = float(gap.norm() / expected.norm())
        row = float((gap.norm(dim=-1) / expected.norm(dim=-1)).max())
        if overall > MAX_DEVIATION or row > MAX_ROW_DEVIATION:
            raise Deviates(f"deviate from plain products by {max(overall, row):.1%}")


def can_run_kernels(device: torch.device) -> bool:
    """Whether Triton is there, and for this device."""
    if find_spec("triton") is None:
        return False
    if device.type != "cuda":
        return os.environ.get("TRITON_INTERPRET") == "1"
    return torch.cuda.get_device_capability(device) >= MIN_CAPABILITY


def with_kernels(model: TrafficModel, asked: Asked, steps: int, rows: int) -> Make:
    """What makes weeks with Triton's kernels."""
    from opendiff.default import fused

    network, representation = fold(model.denoiser), model.representation
    weights = fused.pack(network, fold_times(model.denoiser, steps))
    memory = fused.pack_memory(folded_memory(model, asked.memory), network.heads)
    mix = fused.Mix.of(asked.world, asked.prediction, model.prior.shared_shape)
    device, samples = asked.x.device, len(asked.numbers)
    seed = torch.tensor([asked.seed], device=device)
    mean, spread = asked.memory.mean.contiguous(), asked.memory.deviation[:, : LEVEL_WIDTH + 1].contiguous()
    vectors, shapes = (torch.zeros(rows, width, device=device) for width in (NOISE_WIDTH, SHAPE_WIDTH))
    row, texture = torch.arange(rows, device=device), representation.texture
    city_style = model.prior.city_style

    def draw(first: int, tiles: int) -> None:
        fused.draw(vectors, seed, asked.x, asked.y, asked.numbers, mix, first, tiles)

    def follow(first: int, tiles: int) -> None:
        fused.follow(vectors, samples, weights, memory, mean, spread, first, tiles)

    def decode(out: Tensor, roots: Tensor) -> None:
        fused.decode(out, roots, vectors, representation)

    def make(first: int, tiles: int, out: Tensor) -> None:
        draw(first, tiles)
        follow(first, tiles)
        torch.mm(vectors[:, LEVEL_WIDTH:WIDTH], representation.colour, out=shapes)
        tile = (first + row // samples).clamp_max(len(asked.x) - 1)
        level = (vectors[:, 0] - mean[tile, 0]) / spread[tile, 0]
        of_city = asked.world.style_of_city(asked.prediction.city[tile], city_style, row % samples)
        style = texture.style(asked.prediction.style[tile] + of_city, level, vectors[:, WIDTH:])
        decode(out, asked.memory.expected[tile] + texture.apply(shapes, style))

    if (str(device), steps) not in _COMPILED and device.type == "cuda":
        blank = torch.empty(SERIES, 1, HOURS, device=device)
        work = (lambda: draw(0, 1), lambda: follow(0, 1), lambda: decode(blank, shapes))
        with ThreadPoolExecutor(len(work)) as pool:  # side by side they are compiled in half the time
            for done in [pool.submit(_on, device, one) for one in work]:
                done.result()
        _COMPILED.add((str(device), steps))
    return make


_COMPILED: set[tuple[str, int]] = set()


def _on(device: torch.device, work: Callable[[], None]) -> None:
    with torch.cuda.device(device), torch.inference_mode():
        work()


def folded_memory(model: TrafficModel, memory: ConditionCache, tiles: int = TILES_PER_FOLD) -> FoldedMemory:
    """The memory of tiles as a path needs it, made for `tiles` of them at a time, whatever is asked for."""
    parts, count = [], len(memory.mean)
    for start in range(0, count, tiles):
        row = torch.arange(start, start + tiles, device=memory.mean.device)
        folded = fold_memory(model.denoiser, memory.take(row.clamp_max(count - 1)))
        parts.append(folded.take(slice(0, count - start)))
    return FoldedMemory.join(parts)


def plain_weeks(
    model: TrafficModel, asked: Asked, steps: int
) -> Callable[[Tensor, Tensor, FoldedMemory], Tensor]:
    """What makes rounded series (rows, 2, 168) in plain torch from the index of each row's tile and sample, (rows,)
    each, and the folded memory of each row."""
    sample_weeks = model.sampler(steps)
    known = replace(asked.memory, keys_values=())  # those are in the folded memory

    def series(tile: Tensor, sample: Tensor, folded: FoldedMemory) -> Tensor:
        return rounded(sample_weeks(known.take(tile), folded, *drawn(model, asked, tile, sample)))

    return series


def drawn(model: TrafficModel, asked: Asked, tile: Tensor, sample: Tensor) -> tuple[Tensor, Tensor]:
    """Noise (rows, NOISE_WIDTH) and style (rows, STYLES) of weeks, from the index of each row's tile and sample,
    (rows,) each."""
    own = tiles_own(asked.seed, asked.x[tile], asked.y[tile], asked.numbers[sample])
    prediction = asked.prediction.take(tile)
    noise = asked.world.mix(prediction, model.prior.shared_shape, own, tile, sample)
    usual = prediction.style + asked.world.style_of_city(prediction.city, model.prior.city_style, sample)
    return noise, model.representation.texture.style(usual, noise[:, 0], noise[:, WIDTH:])


def with_graph(model: TrafficModel, asked: Asked, steps: int, rows: int) -> Make:
    """What makes weeks in plain torch: one call is captured and replayed for all."""
    return _plainly(model, asked, steps, rows, _captured)


def with_products(model: TrafficModel, asked: Asked, steps: int, rows: int) -> Make:
    """What makes weeks in plain torch, product by product."""
    return _plainly(model, asked, steps, rows, lambda call, _: call)


def _plainly(
    model: TrafficModel, asked: Asked, steps: int, rows: int,
    prepared: Callable[[Callable[[], None], torch.device], Callable[[], None]],
) -> Make:  # fmt: skip
    device, samples, count = asked.x.device, len(asked.numbers), len(asked.x)
    tile, sample = torch.zeros(2, rows, dtype=torch.int64, device=device).unbind()
    series = torch.empty(rows, SERIES, HOURS, device=device)
    memory, plain = folded_memory(model, asked.memory), plain_weeks(model, asked, steps)

    def call() -> None:
        series.copy_(plain(tile, sample, memory.take(tile)))

    replay = prepared(call, device)

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
