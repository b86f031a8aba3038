"""The `default` model: representation, prior and denoiser, with one sampling function and one file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from opendiff.conditions import Conditions
from opendiff.default.cities import COMPONENTS
from opendiff.default.denoiser import ConditionCache, Denoiser
from opendiff.default.folded import FoldedMemory, fold, fold_memory, fold_times, follow
from opendiff.default.prior import Prior, PriorPrediction
from opendiff.default.representation import LEVEL_WIDTH, SHAPE_WIDTH, WIDTH, Representation
from opendiff.default.sampler import sample_flow
from opendiff.default.texture import STYLES, Texture
from opendiff.errors import ModelError
from opendiff.storage.checkpoint import read_checkpoint, write_checkpoint
from opendiff.week import SERIES

FILE = "default.safetensors"
# Rows of a network call, padded where needed so that all calls have one size (`opendiff.device` says why).
ROWS_PER_CALL = 256
ROWS_PER_CALL_ON_GPU = 16_384  # so many that starting a kernel costs little beside its work


@dataclass(frozen=True)
class ModelConfig:
    """cities: names of the training cities; width, heads, layers, dropout: of the denoiser; steps: midpoint steps of
    the sampler; guidance_scale: mu of eq. 8, 0 because guidance narrows the ensemble."""

    cities: tuple[str, ...] = ("",)
    width: int = 64
    heads: int = 4
    layers: int = 2
    dropout: float = 0.1
    steps: int = 2
    guidance_scale: float = 0.0


class TrafficModel(nn.Module):
    """Prior, denoiser and representation of the week. Fitted by `opendiff.default.training`."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.prior = Prior(COMPONENTS, len(config.cities))
        summary = 2 * LEVEL_WIDTH + COMPONENTS + STYLES  # of `PriorPrediction.summary`
        self.denoiser = Denoiser(summary, config.width, config.heads, config.layers, config.dropout)
        self.representation = blank_representation()

    def precompute_kv(self, tokens: Tensor, present: Tensor, prediction: PriorPrediction) -> ConditionCache:
        """What the denoiser needs of conditions and of what the prior believes, once a tile."""
        expected = self.representation.expected(prediction.profile)
        return self.denoiser.precompute_kv(
            tokens, present, prediction.summary(), self.mean(prediction), prediction.deviation(), expected
        )

    def mean(self, prediction: PriorPrediction) -> Tensor:
        """Mean of the vectors, (rows, 338): the expected level, and what the noise of a city's tiles has in common."""
        return torch.cat([prediction.level, self.prior.common[prediction.city]], dim=-1)

    def sample(
        self,
        memory: ConditionCache,
        empty: ConditionCache | None,
        noise: Tensor,
        guidance_scale: float,
        steps: int,
        style: Tensor,
    ) -> Tensor:
        """Series (rows, 2, 168) from noise (rows, NOISE_WIDTH); memory: of each row; empty: as many of the empty
        condition; style: (rows, STYLES), as `Texture.style` makes it.

        Guidance is eq. 8 of the paper on the expected clean vector, (1 + mu) D(x, c) - mu D(x, nothing), both in one
        batch; without `empty`, or with mu 0, there is none. The level is taken from its noise exactly.
        """
        if not guidance_scale or empty is None:
            folded = fold_memory(self.denoiser, memory)
            return self.sampler(steps)(memory, folded, noise, style)
        mean = memory.mean[:, :LEVEL_WIDTH]
        mean = mean + guidance_scale * (mean - empty.mean[:, :LEVEL_WIDTH])
        level = mean + memory.deviation[:, :LEVEL_WIDTH] * noise[:, :LEVEL_WIDTH]
        both = ConditionCache.join([memory, empty])
        drawn = torch.cat([noise[:, WIDTH:]] * 2)

        def guided(x: Tensor, t: Tensor) -> Tensor:
            cond, uncond = self.denoiser(torch.cat([x, x]), t, both, drawn).chunk(2)
            return cond + guidance_scale * (cond - uncond)

        shape = sample_flow(guided, noise[:, :WIDTH], steps)[:, LEVEL_WIDTH:]
        expected = memory.expected + guidance_scale * (memory.expected - empty.expected)
        return self.representation.decode(torch.cat([level, shape], dim=-1), expected, style)

    @torch.no_grad()
    def sampler(self, steps: int) -> Callable[[ConditionCache, FoldedMemory, Tensor, Tensor], Tensor]:
        """Sampling without guidance: series (rows, 2, 168) of each row's memory, folded memory, noise (rows,
        NOISE_WIDTH) and style (rows, STYLES). What all calls have in common is computed here, once."""
        network, times = fold(self.denoiser), fold_times(self.denoiser, steps)

        @torch.no_grad()
        def series(memory: ConditionCache, folded: FoldedMemory, noise: Tensor, style: Tensor) -> Tensor:
            mean, deviation = memory.mean, memory.deviation
            level = mean[:, :LEVEL_WIDTH] + deviation[:, :LEVEL_WIDTH] * noise[:, :LEVEL_WIDTH]
            shape = follow(network, times, folded, deviation[:, LEVEL_WIDTH], noise) + mean[:, LEVEL_WIDTH:]
            return self.representation.decode(torch.cat([level, shape], dim=-1), memory.expected, style)

        return series

    def save(self, path: str | Path, notes: dict[str, object]) -> str:
        """Write weights and configuration; returns the checksum."""
        tensors = {f"network.{name}": value for name, value in self.state_dict().items()}
        for field in fields(self.representation):
            if field.name not in ("colour", "texture"):  # colour is the inverse of `whiten`
                tensors[f"representation.{field.name}"] = getattr(self.representation, field.name)
        for field in fields(Texture):
            tensors[f"texture.{field.name}"] = getattr(self.representation.texture, field.name)
        return write_checkpoint(path, tensors, {"model": "default", "config": asdict(self.config), **notes})


def load_model(path: str | Path) -> tuple[TrafficModel, str]:
    """The model in a checkpoint, ready to sample, and its checksum. Raises ModelError."""
    checkpoint = read_checkpoint(path, kind="default")
    # how many steps pay is a matter of the sampler, not of the weights
    config = checkpoint.notes["config"] | {"steps": ModelConfig.steps}
    config["cities"] = tuple(config.get("cities", ()))
    try:
        model = TrafficModel(ModelConfig(**config))
    except TypeError:
        raise ModelError(f"{path} was made by another version; train it again.") from None
    checkpoint.load_into(model, "network.")
    parts = {
        field.name: checkpoint.tensor(f"representation.{field.name}")
        for field in fields(Representation)
        if field.name not in ("colour", "texture")
    }
    texture = Texture(*(checkpoint.tensor(f"texture.{field.name}") for field in fields(Texture)))
    parts["colour"] = torch.linalg.inv(parts["whiten"].double()).float()
    model.representation = Representation(**parts, texture=texture)
    return model.eval(), checkpoint.checksum


def blank_representation() -> Representation:
    """A representation of the right shapes, in which nothing is fitted."""
    eye = torch.eye(SHAPE_WIDTH)
    return Representation(
        torch.zeros(SERIES), torch.ones(()), torch.ones(SHAPE_WIDTH),
        eye, eye, torch.zeros(COMPONENTS, SHAPE_WIDTH), Texture.blank(),
    )  # fmt: skip


def rows_a_call(device: torch.device | str) -> int:
    """Rows of a network call on a device."""
    return ROWS_PER_CALL if torch.device(device).type == "cpu" else ROWS_PER_CALL_ON_GPU


def condition_tensors(
    conditions: Conditions, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Tokens (tiles, TOKENS_WIDTH), present (tiles, modalities), reliability, x and y (tiles,) of conditions."""
    arrays = conditions.tokens, conditions.present, conditions.reliability
    numbers = (conditions.tiles[axis].to_numpy(np.int64) for axis in ("x", "y"))
    return tuple(torch.from_numpy(np.ascontiguousarray(values)).to(device) for values in (*arrays, *numbers))  # type: ignore[return-value]
