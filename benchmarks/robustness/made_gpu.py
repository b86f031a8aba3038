"""A GPU whose memory runs out, where there is none: torch's own error, raised where a call would be too large."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from opendiff.conditions import Conditions
from opendiff.demo import DemoSource
from opendiff.generator import TrafficGenerator
from opendiff.traffic_table import TrafficEnsemble

TILES, SAMPLES, SEED = 5, 2, 3


class MadeGpu:
    """A generator that believes to be on a GPU with room for calls of `room` rows; the CPU does the work. asked: the
    rows of each try, "cpu" where it was the CPU's."""

    def __init__(self, room: int):
        self.room = room
        self.generator = TrafficGenerator.load("default", device="cpu")
        self.asked: list[int | str] = []
        self._weeks = self.generator.weeks
        self.generator.weeks = self._tried  # type: ignore[assignment,method-assign]  # in the way of the real one
        self.generator.device = "cuda"

    def generate(self) -> TrafficEnsemble:
        return self.generator.generate(made_conditions(), samples=SAMPLES, seed=SEED)

    def _tried(self, *arguments: Any) -> Any:
        if self.generator.device == "cpu":
            self.asked.append("cpu")
            return self._weeks(*arguments)
        rows = self.generator.rows_a_call
        self.asked.append(rows)
        if rows > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        self.generator.device = "cpu"
        try:
            return self._weeks(*arguments)
        finally:
            self.generator.device = "cuda"


@cache
def made_conditions() -> Conditions:
    source = DemoSource()
    return source.conditions(source.covered_tiles().iloc[:TILES].reset_index(drop=True))


@cache
def plain_ensemble() -> TrafficEnsemble:
    return TrafficGenerator.load("default", device="cpu").generate(
        made_conditions(), samples=SAMPLES, seed=SEED
    )
