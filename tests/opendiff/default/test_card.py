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
TILES, SAMPLES, STEPS, SEED = 5, 3, 1, 8
WAYS = {"kernels": card.with_kernels, "graph": card.with_graph}


@pytest.fixture(scope="module")
def conditions():
    source = DemoSource("demo:seoul")  # weeks that nobody measured: their sizes differ between samples
    return source.conditions(source.covered_tiles().iloc[:TILES].reset_index(drop=True))


@pytest.fixture(scope="module")
def expected(conditions) -> np.ndarray:
    made = TrafficGenerator.load("default", "cpu").generate(conditions, SAMPLES, SEED, steps=STEPS)
    return np.stack([made.traffic, made.users])


def asked_of(generator: EnsembleGenerator, conditions) -> card.Asked:
    tensors = condition_tensors(conditions, DEVICE)
    memory, prediction = generator._precompute_kv(*tensors)
    numbers = torch.arange(SAMPLES, device=DEVICE)
    world = World.of(SEED, *tensors[3:], numbers)
    return card.Asked(SEED, *tensors[3:], numbers, memory, prediction, world)


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


@pytest.fixture
def fresh(monkeypatch):
    """No way of making weeks was tried before, and this device takes kernels."""
    monkeypatch.setattr(card, "_FAULTS", {})
    monkeypatch.setattr(card, "_CHECKED", {})
    monkeypatch.setattr(card, "can_run_kernels", lambda device: True)
    monkeypatch.setattr(card, "_kernels_fit", lambda model: True)


def stand_in(change):
    """Kernels that make the weeks of plain products, and change them."""

    def way(model, asked, steps, rows):
        plain = card.with_products(model, asked, steps, rows)

        def make(first, tiles, out):
            plain(first, tiles, out)
            change(out)

        return make

    return way


def fail(*_):
    raise RuntimeError("Failed to find C compiler.\nSecond line.")


@pytest.mark.parametrize(
    ("way", "said"),
    [
        (stand_in(lambda out: out[1, -1].mul_(1.05)), "deviate from plain products by 5.0%"),
        (stand_in(lambda out: out[0, 0].fill_(torch.nan)), "not finite"),
        (fail, "failed (RuntimeError: Failed to find C compiler)"),
    ],
)
@torch.inference_mode()
def test_kernels_that_deviate_or_fail_are_left_and_that_is_said(
    way, said, conditions, expected, monkeypatch, fresh
):
    tried = []

    def counted(*arguments):
        tried.append(True)
        return way(*arguments)

    generator = TrafficGenerator.load("default", DEVICE)
    monkeypatch.setattr(card, "with_kernels", counted)
    for _ in range(2):
        out = np.full((2, TILES * SAMPLES, 168), np.nan, np.float32)
        list(card.weeks(generator.model, asked_of(generator, conditions), STEPS, 15, out))
        np.testing.assert_allclose(out.reshape(expected.shape), expected, rtol=1e-2, atol=1e-3)
        generator.add_note(*card.faults(DEVICE))
    assert len(tried) == 1
    assert said in generator.device_note and generator.device_note.count("slower way") == 1


@torch.inference_mode()
def test_kernels_that_agree_are_checked_once(conditions, monkeypatch, fresh):
    generator = TrafficGenerator.load("default", DEVICE)
    checks, check = [], card.check
    monkeypatch.setattr(card, "with_kernels", stand_in(lambda out: out.mul_(1 + 1e-4)))
    monkeypatch.setattr(card, "check", lambda *arguments: (checks.append(True), check(*arguments)))
    asked = asked_of(generator, conditions)
    for _ in range(2):
        card.maker(generator.model, asked, STEPS, 15)
    assert len(checks) == 1 and not card.faults(DEVICE)
