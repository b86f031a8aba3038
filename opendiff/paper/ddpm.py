"""Denoising diffusion (Ho et al., NeurIPS 2020) with the paper's schedule: 400 steps, quadratic beta 1e-4..0.05."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

EstimateNoise = Callable[[Tensor, int], Tensor]  # (x_t (rows, ...), step) -> noise in it, of the same shape
DrawNoise = Callable[[int], Tensor]  # step -> standard normal numbers, of the shape of the data


@dataclass(frozen=True)
class Schedule:
    """beta of each step and the product of 1 - beta up to it, both (steps,) float64; step 0 is the least noised."""

    beta: Tensor
    alpha_bar: Tensor

    @property
    def steps(self) -> int:
        return len(self.beta)

    def noised(self, clean: Tensor, noise: Tensor, step: Tensor) -> Tensor:
        """x_t of clean data and noise (rows, ...) at steps (rows,)."""
        share = self.alpha_bar.to(step.device)[step].to(clean.dtype).view(-1, *[1] * (clean.ndim - 1))
        return share.sqrt() * clean + (1 - share).sqrt() * noise


def quadratic_schedule(steps: int = 400, first: float = 1e-4, last: float = 0.05) -> Schedule:
    """beta whose square root grows evenly from that of `first` to that of `last`."""
    # on the CPU wherever the network is: the sampler reads these numbers one at a time
    beta = torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64, device="cpu") ** 2
    return Schedule(beta, torch.cumprod(1 - beta, 0))


def sample_ddpm(estimate: EstimateNoise, draw: DrawNoise, schedule: Schedule) -> Tensor:
    """Data from noise by ancestral sampling; draw(steps) is where it starts, draw(t) what step t adds, t >= 1.

    The variance of a step is the smaller of the two that Ho et al. discuss, as in CSDI.
    """
    x = draw(schedule.steps)
    beta, alpha_bar = schedule.beta.tolist(), schedule.alpha_bar.tolist()
    for step in reversed(range(schedule.steps)):
        noise = estimate(x, step)
        x = (x - beta[step] / (1 - alpha_bar[step]) ** 0.5 * noise) / (1 - beta[step]) ** 0.5
        if step:
            variance = (1 - alpha_bar[step - 1]) / (1 - alpha_bar[step]) * beta[step]
            x = x + variance**0.5 * draw(step)
    return x


def guided(cond: Tensor, uncond: Tensor, guidance_scale: float) -> Tensor:
    """Eq. 8: the noise estimated with the condition, pushed away from that without it by mu."""
    return (1 + guidance_scale) * cond - guidance_scale * uncond
