"""The model `paper`: scale of the data, denoiser and sampler, with one file.

One scale for all tiles, the mean and standard deviation of each series over the training tiles, so that a tile's level
is generated and not given away (the published code scales each tile by its own minimum and maximum).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from opendiff.errors import ModelError
from opendiff.noise import tile_noise
from opendiff.paper.ddpm import guided, quadratic_schedule, sample_ddpm
from opendiff.paper.denoiser import ConditionCache, Denoiser, DenoiserConfig
from opendiff.storage.checkpoint import read_checkpoint, write_checkpoint
from opendiff.week import HOURS, SERIES

FILE = "paper.safetensors"
# Rows of a network call, padded where needed (see `opendiff.device`). Few, so that activations stay in the cache.
ROWS_PER_CALL = 8
ROWS_PER_CALL_ON_GPU = 512  # so many that its kernels are busy


@dataclass(frozen=True)
class PaperConfig:
    """rho of eq. 7 and mu of eq. 8 are those of the published configuration."""

    denoiser: DenoiserConfig = field(default_factory=DenoiserConfig)
    first_beta: float = 1e-4
    last_beta: float = 0.05
    condition_dropout: float = 0.5
    guidance_scale: float = 0.2

    @property
    def steps(self) -> int:
        return self.denoiser.steps


@dataclass(frozen=True)
class Rows:
    """What the noise of a row depends on: the seed, and tile and sample, each (rows,) int64."""

    seed: int
    x: Tensor
    y: Tensor
    sample: Tensor

    def noise(self, step: int) -> Tensor:
        """Standard normal numbers (rows, 2, 168) of a step, the same whatever the other rows are."""
        flat = tile_noise(self.seed, self.x, self.y, self.sample, SERIES * HOURS, stream=step)
        return flat.unflatten(-1, (SERIES, HOURS))


def rows_a_call(device: torch.device | str) -> int:
    """Rows of a network call on a device."""
    return ROWS_PER_CALL if torch.device(device).type == "cpu" else ROWS_PER_CALL_ON_GPU


class PaperModel(nn.Module):
    """Denoiser, noise schedule and the one scale of the data (mean, deviation, each (2, 1))."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: PaperConfig = PaperConfig()):
        super().__init__()
        self.config = config
        self.denoiser = Denoiser(config.denoiser)
        self.schedule = quadratic_schedule(config.steps, config.first_beta, config.last_beta)
        self.register_buffer("mean", torch.zeros(SERIES, 1))
        self.register_buffer("deviation", torch.ones(SERIES, 1))

    def fit_scale(self, series: Tensor) -> None:
        """Set the one scale of all tiles from training series (tiles, 2, 168)."""
        self.mean.copy_(series.mean((0, 2))[:, None])
        self.deviation.copy_(series.std((0, 2))[:, None] + 1e-12)

    def scaled(self, series: Tensor) -> Tensor:
        """Series (rows, 2, 168) of zero mean and unit variance over the training tiles."""
        return (series - self.mean) / self.deviation

    @torch.no_grad()
    def precompute_kv(self, condition: Tensor) -> ConditionCache:
        """What the denoiser needs of conditions (tiles, 128), zero where nothing is known."""
        return self.denoiser.precompute_kv(condition)

    @torch.inference_mode()
    def sample(self, memory: ConditionCache, rows: Rows, guidance_scale: float) -> Tensor:
        """Series (rows, 2, 168), at least 0, for `memory` with a row for each of `rows`, or with as many again of the
        empty condition behind them: then eq. 8 is applied with `guidance_scale`."""
        count = len(rows.x)
        step_of = torch.arange(self.config.steps, device=rows.x.device)

        def estimate(x: Tensor, step: int) -> Tensor:
            noise = self.denoiser(x, step_of[step : step + 1], memory)
            return noise if len(memory) == count else guided(noise[:count], noise[count:], guidance_scale)

        x = sample_ddpm(estimate, rows.noise, self.schedule)
        return (x * self.deviation + self.mean).clamp_min(0)

    def save(self, path: str | Path, notes: dict[str, object]) -> str:
        """Write weights and configuration; returns the checksum."""
        return write_checkpoint(
            path, self.state_dict(), {"model": "paper", "config": asdict(self.config), **notes}
        )


def load_paper_model(path: str | Path) -> tuple[PaperModel, str]:
    """The model in a file, ready to sample, and its checksum. Raises ModelError."""
    path = Path(path)
    if not path.is_file():
        raise ModelError(
            f"There are no weights of the model paper at {path}; make them with "
            "`python -m opendiff train sampler --model paper --data PACK --out DIR`."
        )
    checkpoint = read_checkpoint(path, kind="paper")
    config = dict(checkpoint.notes["config"])
    model = PaperModel(PaperConfig(**config | {"denoiser": DenoiserConfig(**config["denoiser"])}))
    checkpoint.load_into(model, "")
    return model.eval(), checkpoint.checksum
