"""CSDI: Tashiro, Song, Song and Ermon, "CSDI: Conditional score-based diffusion models for probabilistic time series
imputation", NeurIPS 2021.

Kept: four residual layers of 64 channels and 8 heads (step, transformer over time, side information, gate, residual
and skip), 50 ancestral steps with the quadratic beta of 1e-4..0.5, Adam with two drops of the rate.
Left out: the mask of observed values and the transformer over features, because a week is generated from nothing and
is one series; the condition of the tile joins the embedding of time as side information. Six hours make a token, not
one, which takes a tenth of the time. Added: the network estimates the velocity (Salimans and Ho, ICLR 2022), from which
the noise follows; estimating the noise itself, as published, needs thousands of updates before a week comes out right.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from opendiff.baselines.harness import HOURS, Draw, NeuralBaseline
from opendiff.paper.ddpm import EstimateNoise, Schedule, quadratic_schedule, sample_ddpm
from opendiff.paper.denoiser import waves

STEPS, LAST_BETA = 50, 0.5
PATCH = 6  # hours a token
WIDTH, HEADS, LAYERS, STEP_WIDTH, TIME_WIDTH = 64, 8, 4, 128, 128
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-6
DROPS = (0.75, 0.9)  # shares of the updates after which the rate falls to a tenth


class ResidualLayer(nn.Module):
    """Step, transformer over time, side information, gate; then residual and skip."""

    def __init__(self, condition_width: int):
        super().__init__()
        self.step = nn.Linear(STEP_WIDTH, WIDTH)
        self.over_time = nn.TransformerEncoderLayer(WIDTH, HEADS, 64, 0.1, "gelu", batch_first=True)
        self.middle, self.side = (
            nn.Linear(WIDTH, 2 * WIDTH),
            nn.Linear(TIME_WIDTH + condition_width, 2 * WIDTH),
        )
        self.out = nn.Linear(WIDTH, 2 * WIDTH)

    def forward(self, x: Tensor, step: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
        """Next hidden state and skip of x (rows, tokens, 64)."""
        h = self.middle(self.over_time(x + self.step(step)[:, None])) + self.side(side)
        gate, kept = h.chunk(2, -1)
        residual, skip = self.out(torch.sigmoid(gate) * torch.tanh(kept)).chunk(2, -1)
        return (x + residual) * math.sqrt(0.5), skip


class CsdiNetwork(nn.Module):
    """time, steps: embeddings of the tokens and of the diffusion steps."""

    time: Tensor
    steps: Tensor

    def __init__(self, condition_width: int):
        super().__init__()
        self.week_in = nn.Linear(PATCH, WIDTH)
        self.step_in = nn.Sequential(
            nn.Linear(STEP_WIDTH, STEP_WIDTH), nn.SiLU(), nn.Linear(STEP_WIDTH, STEP_WIDTH), nn.SiLU()
        )
        self.layers = nn.ModuleList(ResidualLayer(condition_width) for _ in range(LAYERS))
        self.skip_out, self.week_out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, PATCH)
        nn.init.zeros_(self.week_out.weight)
        self.register_buffer("time", waves(HOURS // PATCH, TIME_WIDTH, 1e4), persistent=False)
        self.register_buffer("steps", waves(STEPS, STEP_WIDTH, 1e4), persistent=False)

    def forward(self, x: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        """Estimated velocity (rows, 168) at x (rows, 168) at steps (rows,) under conditions (rows, width)."""
        tokens = HOURS // PATCH
        side = torch.cat(
            [self.time.expand(len(x), -1, -1), condition[:, None].expand(-1, tokens, -1)], dim=-1
        )
        step = self.step_in(self.steps[step])
        h = functional.relu(self.week_in(x.unflatten(1, (tokens, PATCH))))
        total: Tensor | float = 0.0
        for layer in self.layers:
            h, skip = layer(h, step, side)
            total = total + skip
        return self.week_out(functional.relu(self.skip_out(total / math.sqrt(LAYERS)))).flatten(1)


class Csdi(NeuralBaseline):
    """The published training, on velocities; a week is sampled in STEPS ancestral steps."""

    network: CsdiNetwork
    on_gpu = True

    def build(self, width: int, weeks: Tensor) -> None:
        self.network = CsdiNetwork(width)
        self.schedule = quadratic_schedule(STEPS, last=LAST_BETA)
        self.optimiser, self.rate = adam_with_drops(self.network, self.budget.updates)

    def update(self, draw: Draw) -> None:
        condition, clean = draw()
        step, noise = torch.randint(STEPS, (len(clean),)), torch.randn_like(clean)
        estimate = self.network(self.schedule.noised(clean, noise, step), step, condition)
        aim = velocity(self.schedule, clean, noise, step)
        descend(functional.mse_loss(estimate, aim), self.optimiser, self.rate)

    def weeks(self, condition: Tensor) -> Tensor:
        def estimate(x: Tensor, step: int) -> Tensor:
            return self.network(x, torch.full((len(x),), step), condition)

        draw = lambda _: torch.randn(len(condition), HOURS)  # noqa: E731
        return sample_ddpm(noise_of(estimate, self.schedule), draw, self.schedule)


def velocity(schedule: Schedule, clean: Tensor, noise: Tensor, step: Tensor) -> Tensor:
    """sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) clean at steps (rows,)."""
    return schedule.noised(noise, -clean, step)


def noise_of(velocity: EstimateNoise, schedule: Schedule) -> EstimateNoise:
    """The noise that an estimated velocity stands for."""

    def noise(x: Tensor, step: int) -> Tensor:
        share = float(schedule.alpha_bar[step])
        return (1 - share) ** 0.5 * x + share**0.5 * velocity(x, step)

    return noise


def adam_with_drops(
    network: nn.Module, updates: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Adam and its rate as in the published configuration of CSDI, which OpenDiff has taken over."""
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    return optimiser, torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda update: 0.1 ** sum(update >= share * updates for share in DROPS)
    )


def descend(
    loss: Tensor, optimiser: torch.optim.Optimizer, rate: torch.optim.lr_scheduler.LRScheduler | None = None
) -> None:
    """One step of the optimiser, and of its rate."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    if rate is not None:
        rate.step()
