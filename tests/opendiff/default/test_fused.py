"""The kernels of a GPU beside plain torch: on the GPU where there is one, else by Triton's interpreter on the CPU."""

import pytest
import torch

from opendiff.default.folded import fold, fold_memory, fold_times
from opendiff.default.folded import follow as follow_plainly
from opendiff.default.model import TrafficModel, condition_tensors
from opendiff.default.representation import NOISE_WIDTH, WIDTH
from opendiff.default.world import World, tiles_own
from opendiff.demo import DemoSource
from opendiff.device import rounded
from opendiff.generator import TrafficGenerator

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
pytest.importorskip("triton", reason="Triton is not installed; it comes with torch for GPUs")

from opendiff.default import fused  # noqa: E402

TILES, SAMPLES, STEPS = 2, 9, 1
# 16-bit factors on a GPU, 32-bit ones in the interpreter
TOLERANCE = 2e-3 if DEVICE == "cuda" else 1e-5


@pytest.fixture(scope="module")
def model() -> TrafficModel:
    model = TrafficGenerator.load("default", "cpu").model.to(DEVICE)
    model.representation = model.representation.to(DEVICE)
    return model


@pytest.fixture(scope="module")
def asked():
    source = DemoSource()
    tiles = source.covered_tiles().iloc[10 : 10 + TILES].reset_index(drop=True)
    return condition_tensors(source.conditions(tiles), DEVICE)


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@torch.inference_mode()
def test_noise_is_that_of_any_device(model, asked):
    x, y = asked[3:]
    prediction = model.prior(*asked)
    numbers = torch.arange(4, 4 + SAMPLES, device=DEVICE)
    row = torch.arange(TILES * SAMPLES, device=DEVICE)
    tile, sample = row // SAMPLES, row % SAMPLES
    seed = 2**40 + 17
    world, share = World.of(seed, x, y, numbers), model.prior.shared_shape
    own = tiles_own(seed, x[tile], y[tile], numbers[sample])
    expected = world.mix(prediction.take(tile), share, own, tile, sample)
    vectors = torch.full((TILES * SAMPLES + 5, NOISE_WIDTH), torch.nan, device=DEVICE)
    fused.draw(
        vectors, torch.tensor([seed], device=DEVICE), x, y, numbers, fused.Mix.of(world, prediction, share)
    )
    torch.testing.assert_close(vectors[: len(row)], expected, rtol=1e-5, atol=2e-6)
    assert vectors[len(row) :].isnan().all()


@torch.inference_mode()
def test_path_is_that_of_plain_torch(model, asked):
    memory = model.precompute_kv(asked[0], asked[1], model.prior(*asked))
    network, times = fold(model.denoiser), fold_times(model.denoiser, STEPS)
    folded = fold_memory(model.denoiser, memory)
    noise = torch.randn(TILES * SAMPLES, NOISE_WIDTH, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    tile = torch.arange(TILES, device=DEVICE).repeat_interleave(SAMPLES)
    spread = memory.deviation[:, :3].contiguous()
    shape = follow_plainly(network, times, folded.take(tile), spread[tile, 2], noise)
    vectors = noise.clone()
    weights, packed = fused.pack(network, times), fused.pack_memory(folded, network.heads)
    fused.follow(vectors, SAMPLES, weights, packed, memory.mean, spread)
    level = memory.mean[tile, :2] + spread[tile, :2] * noise[:, :2]
    torch.testing.assert_close(vectors[:, :2], level)
    assert relative(vectors[:, 2:WIDTH], shape + memory.mean[tile, 2:]) < TOLERANCE
    torch.testing.assert_close(vectors[:, WIDTH:], noise[:, WIDTH:])
    again = noise[SAMPLES:].clone()  # in another call, and in programs of another size
    fused.follow(again, SAMPLES, weights, packed, memory.mean, spread, first=1, tiles=TILES - 1, rows=4)
    assert relative(again, vectors[SAMPLES:]) < TOLERANCE


@torch.inference_mode()
def test_weeks_are_those_of_the_representation(model):
    vectors = torch.randn(9, NOISE_WIDTH, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    vectors[0, 0] = 9.0  # a level above the highest
    roots = 1 + torch.randn(9, 336, generator=torch.Generator().manual_seed(2)).to(DEVICE) / 2
    expected = model.representation.series(vectors[:, :2], roots)
    out = torch.full((2, 7, 168), torch.nan, device=DEVICE)  # of the first rows only
    fused.decode(out, roots, vectors, model.representation)
    torch.testing.assert_close(out.transpose(0, 1), expected[:7], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(rounded(out), out, rtol=0, atol=0)
