"""Where the memory of a GPU runs out: smaller calls, then the CPU, with the same numbers, and it is said.

There need be no GPU: torch's own error is raised where the network would have been too large for one.
"""

import numpy as np
import pytest
import torch

from benchmarks.robustness.made_gpu import MadeGpu, plain_ensemble
from opendiff.base_generator import MIN_ROWS
from opendiff.default.model import ROWS_PER_CALL_ON_GPU
from opendiff.errors import ModelError
from opendiff.generator import TrafficGenerator


@pytest.mark.slow
def test_smaller_calls_are_tried_and_said():
    made = MadeGpu(2048)
    ensemble = made.generate()
    assert made.asked == [ROWS_PER_CALL_ON_GPU, 8192, 4096, 2048] and made.generator.device == "cuda"
    assert any("smaller (2,048 rows)" in note for note in ensemble.metadata["notes"])
    np.testing.assert_allclose(ensemble.traffic, plain_ensemble().traffic, rtol=1e-5)
    made.asked.clear()
    made.generate()
    assert made.asked == [2048]  # what did not fit is not tried again


def test_the_cpu_is_the_last_resort():
    made = MadeGpu(0)
    ensemble = made.generate()
    assert made.asked[-2:] == [MIN_ROWS, "cpu"] and made.generator.device == "cpu"
    assert any("the CPU was used" in note for note in ensemble.metadata["notes"])
    np.testing.assert_array_equal(ensemble.traffic, plain_ensemble().traffic)


def test_images_are_embedded_in_smaller_batches_too(monkeypatch):
    generator = TrafficGenerator.load("default", device="cpu")
    images = np.random.default_rng(0).integers(0, 256, (6, 256, 256, 3), np.uint8)
    expected = generator.encoder.image_tokens(images)
    generator.device = "cuda"
    real, tried = generator.encoder._trunk_statistics, []

    def statistics(batch):
        tried.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(batch)

    monkeypatch.setattr(generator.encoder, "_trunk_statistics", statistics)
    generator.encoder.image_batch = 128
    found = generator.within_memory(lambda: generator.encoder.image_tokens(images))
    assert tried[0] == 128 and tried[-1] <= 2
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_on_the_cpu_it_is_one_sentence(monkeypatch):
    generator = TrafficGenerator.load("default", device="cpu")
    for error in (
        MemoryError(),
        torch.OutOfMemoryError("no memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
    ):

        def fail(error=error):
            raise error

        with pytest.raises(ModelError, match="memory of this machine ran out"):
            generator.within_memory(fail)
    with pytest.raises(RuntimeError, match="something else"):
        generator.within_memory(lambda: (_ for _ in ()).throw(RuntimeError("something else")))
