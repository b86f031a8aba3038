"""CSDI: Tashiro, Song, Song and Ermon, "CSDI: Conditional score-based diffusion models for probabilistic time series
imputation", NeurIPS 2021.

Kept: four residual layers of 64 channels and 8 heads (step, transformer over time, side information, gate, residual
and skip), 50 steps with the quadratic beta of 1e-4..0.5, noise estimation by Adam with two drops of the rate.
Left out: the mask of observed values and the transformer over features, because a week is generated from nothing and
is one series; the condition of the tile joins the embedding of time as side information. Six hours make a token, not
one, which takes a tenth of the time. Added: what a step takes for the clean week is kept inside the range of the
training weeks, as in the code of Ho et al. (NeurIPS 2020), without which a briefly trained network leaves it.
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
        """Estimated noise (rows, 168) in x (rows, 168) at steps (rows,) under conditions (rows, width)."""
        tokens = HOURS // PATCH
        side = torch.cat(
            [self.time.expand(len(x), -1, -1), condition[:, None].expand(-1, tokens, -1)], dim=-1
        )
        step = self.step_in(self.steps[step])
        h, total = functional.relu(self.week_in(x.unflatten(1, (tokens, PATCH)))), 0.0
        for layer in self.layers:
            h, skip = layer(h, step, side)
            total = total + skip
        return self.week_out(functional.relu(self.skip_out(total / math.sqrt(LAYERS)))).flatten(1)


class Csdi(NeuralBaseline):
    def build(self, width: int, weeks: Tensor) -> None:
        self.network = CsdiNetwork(width)
        self.schedule = quadratic_schedule(STEPS, last=LAST_BETA)
        self.range = (float(weeks.min()), float(weeks.max()))
        self.optimiser, self.rate = adam_with_drops(self.network, self.budget.updates)

    def update(self, draw: Draw) -> None:
        condition, clean = draw()
        step, noise = torch.randint(STEPS, (len(clean),)), torch.randn_like(clean)
        estimate = self.network(self.schedule.noised(clean, noise, step), step, condition)
        descend(functional.mse_loss(estimate, noise), self.optimiser, self.rate)

    def weeks(self, condition: Tensor) -> Tensor:
        def estimate(x: Tensor, step: int) -> Tensor:
            return self.network(x, torch.full((len(x),), step), condition)

        kept = within(estimate, self.schedule, self.range)
        return sample_ddpm(kept, lambda _: torch.randn(len(condition), HOURS), self.schedule)


def within(estimate: EstimateNoise, schedule: Schedule, span: tuple[float, float]) -> EstimateNoise:
    """The same estimate, changed where it would put the clean data outside `span`."""

    def kept(x: Tensor, step: int) -> Tensor:
        share = float(schedule.alpha_bar[step])
        clean = (x - (1 - share) ** 0.5 * estimate(x, step)) / share**0.5
        return (x - share**0.5 * clean.clamp(*span)) / (1 - share) ** 0.5

    return kept


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
