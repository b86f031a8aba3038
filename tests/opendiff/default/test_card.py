"""Weeks made by the calls of a GPU are those of the CPU; without a GPU the same calls run on the CPU."""

import numpy as np
import pytest
import torch

from opendiff.base_generator import EnsembleGenerator
from opendiff.default import card
from opendiff.default.model import condition_tensors
from opendiff.default.world import World
from opendiff.demo import DemoSource
from opendiff.generator import TrafficGenerator

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TILES, SAMPLES, STEPS, SEED = 5, 3, 2, 8
WAYS = {"kernels": card.with_kernels, "graph": card.with_graph}


@pytest.fixture(scope="module")
def conditions():
    source = DemoSource()
    return source.conditions(source.covered_tiles().iloc[:TILES].reset_index(drop=True))


@pytest.fixture(scope="module")
def expected(conditions) -> np.ndarray:
    made = TrafficGenerator.load("default", "cpu").generate(conditions, SAMPLES, SEED, steps=STEPS)
    return np.stack([made.traffic, made.users])


def asked_of(generator: EnsembleGenerator, conditions) -> card.Asked:
    tensors = condition_tensors(conditions, DEVICE)
    memory, belief = generator._remember(*tensors)
    numbers = torch.arange(SAMPLES, device=DEVICE)
    world = World.of(SEED, *tensors[3:], numbers)
    return card.Asked(SEED, *tensors[3:], numbers, memory, belief, world)


@pytest.mark.parametrize("way", WAYS)
@torch.inference_mode()
def test_weeks_are_those_of_the_cpu(way, conditions, expected, monkeypatch):
    if way == "kernels":
        pytest.importorskip("triton", reason="Triton is not installed; it comes with torch for GPUs")
    generator = TrafficGenerator.load("default", DEVICE)
    monkeypatch.setattr(card, "maker", WAYS[way])
    out = np.full((2, TILES * SAMPLES, 168), np.nan, np.float32)
    # two tiles a call: a whole call, another beside whose copy it goes on, and one that is not full
    done = list(card.weeks(generator.model, asked_of(generator, conditions), STEPS, 7, out))
    assert done == [6, 12, 15]
    found = out.reshape(expected.shape)
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < (2e-3 if DEVICE == "cuda" else 1e-5)


@torch.inference_mode()
def test_kernels_that_fail_are_not_asked_again(conditions, monkeypatch):
    pytest.importorskip("triton", reason="Triton is not installed; it comes with torch for GPUs")
    tried = []

    def fail(*_):
        tried.append(True)
        raise RuntimeError("Failed to find C compiler.")

    generator = TrafficGenerator.load("default", DEVICE)
    monkeypatch.setattr(card, "with_kernels", fail)
    monkeypatch.setattr(card, "_WITHOUT", set())
    asked = asked_of(generator, conditions)
    for _ in range(2):
        out = np.full((2, TILES * SAMPLES, 168), np.nan, np.float32)
        list(card.weeks(generator.model, asked, 1, 15, out))
        assert np.isfinite(out).all()
    assert len(tried) == 1
