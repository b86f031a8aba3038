"""The folded path against the denoiser as it is trained, in float64."""

import copy

import pytest
import torch

from opendiff.default.denoiser import ConditionCache
from opendiff.default.folded import fold, fold_memory, fold_times, follow
from opendiff.default.model import condition_tensors
from opendiff.default.representation import NOISE_WIDTH
from opendiff.default.sampler import sample_flow
from opendiff.demo import DemoSource
from opendiff.generator import TrafficGenerator


@torch.inference_mode()
@pytest.mark.parametrize("steps", [1, 4])
def test_the_folded_path_is_that_of_the_denoiser_told_the_exact_level(steps):
    """The level's path is known: (1 - t) mean + sqrt((1 - t)^2 deviation^2 + t^2) noise."""
    source = DemoSource()
    generator = TrafficGenerator.load("default", "cpu")
    tensors = condition_tensors(source.conditions(source.covered_tiles().iloc[:16].reset_index(drop=True)))
    memory, _ = generator._precompute_kv(*tensors)
    noise = torch.randn(16, NOISE_WIDTH, generator=torch.Generator().manual_seed(0))
    network = generator.model.denoiser
    exact = copy.deepcopy(network).double()
    pairs = tuple((keys.double(), values.double()) for keys, values in memory.keys_values)
    told = ConditionCache(memory.mean.double(), memory.deviation.double(), memory.expected.double(), pairs)

    def denoise(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        spread = ((told.deviation[:, :2] * (1 - t)) ** 2 + t**2).sqrt()
        level = (1 - t) * told.mean[:, :2] + spread * noise[:, :2].double()
        return exact(torch.cat([level, x[:, 2:]], dim=-1), t, told, noise[:, 338:].double())

    expected = sample_flow(denoise, noise[:, :338].double(), steps)[:, 2:] - told.mean[:, 2:]
    folded = fold_memory(network, memory)
    found = follow(fold(network), fold_times(network, steps), folded, memory.deviation[:, 2], noise).double()
    # at t = 1 the denoiser's time features in float32 are off by some 1e-4
    assert (found - expected).norm() / expected.norm() < 2e-5
