"""The sampler against the exact flow: for Gaussian data every sampler is linear, so its error has a closed form."""

import pytest
import torch

from opendiff.default.denoiser import gaussian_denoiser
from opendiff.default.sampler import sample_flow, time_grid

DEVIATIONS = torch.tensor([0.3, 0.5, 1.0, 2.0], dtype=torch.float64)
MEAN = torch.tensor([1.0, -2.0, 0.0, 0.5], dtype=torch.float64)


def generated(steps: int, noise: torch.Tensor) -> torch.Tensor:
    return sample_flow(lambda x, t: gaussian_denoiser(x, t, MEAN, DEVIATIONS)[0], noise, steps)


def exact(noise: torch.Tensor) -> torch.Tensor:
    """The flow of Gaussian data maps noise e to mean + deviation * e."""
    return MEAN + DEVIATIONS * noise


def test_time_grid_runs_from_noise_to_data():
    grid = time_grid(6)
    assert grid[0] == 1 and grid[-1] == 0 and (grid.diff() < 0).all()


@pytest.mark.parametrize(("steps", "error"), [(4, 1e-2), (6, 4e-3), (12, 5e-4), (48, 2e-5)])
def test_midpoint_steps_follow_the_exact_flow(steps, error):
    noise = torch.randn(2000, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gap = generated(steps, noise) - exact(noise)
    assert gap.square().mean(0).sqrt().max() < error


def test_error_falls_at_least_with_the_square_of_the_step():
    noise = torch.randn(500, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    coarse, fine = ((generated(steps, noise) - exact(noise)).square().mean().sqrt() for steps in (16, 32))
    assert coarse / fine > 3.9
