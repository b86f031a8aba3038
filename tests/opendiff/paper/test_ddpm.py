"""Schedule, sampler and guidance against closed forms."""

import pytest
import torch

from opendiff.paper.ddpm import guided, quadratic_schedule, sample_ddpm


def test_schedule_is_quadratic():
    schedule = quadratic_schedule()
    root = schedule.beta.sqrt()
    assert schedule.steps == 400
    assert schedule.beta[0].item() == pytest.approx(1e-4) and schedule.beta[-1].item() == pytest.approx(0.05)
    torch.testing.assert_close(root.diff(), torch.full((399,), (0.05**0.5 - 0.01) / 399, dtype=torch.float64))
    middle = (0.01 + (0.05**0.5 - 0.01) * 100 / 399) ** 2
    assert schedule.beta[100].item() == pytest.approx(middle)
    product = 1.0
    for beta in schedule.beta[:11].tolist():
        product *= 1 - beta
    assert schedule.alpha_bar[10].item() == pytest.approx(product)
    assert schedule.alpha_bar[-1] < 2e-3  # almost nothing of the data is left at the end


def test_noised_data_have_the_share_of_their_step():
    schedule = quadratic_schedule(10)
    clean, noise = torch.full((2, 3), 2.0), torch.ones(2, 3)
    noised = schedule.noised(clean, noise, torch.tensor([0, 9]))
    share = schedule.alpha_bar[[0, 9]].float()
    torch.testing.assert_close(noised[:, 0], share.sqrt() * 2 + (1 - share).sqrt())


def test_the_exact_denoiser_of_gaussian_data_gives_back_mean_and_spread():
    """For x_0 normal the expected noise in x_t is linear in x_t; sampling with it must end at the same normal."""
    schedule, mean, deviation = quadratic_schedule(), 0.8, 0.5
    generator = torch.Generator().manual_seed(0)

    def estimate(x, step):
        share = schedule.alpha_bar[step].item()
        total = share * deviation**2 + 1 - share
        return (1 - share) ** 0.5 * (x - share**0.5 * mean) / total

    def draw(step):
        return torch.randn(40_000, 1, generator=generator)

    sampled = sample_ddpm(estimate, draw, schedule)
    # the smaller of the two variances is exact for unit noise; here it narrows the spread by about 1 %
    assert sampled.mean().item() == pytest.approx(mean, abs=0.01)
    assert sampled.std().item() == pytest.approx(deviation, rel=0.03)


def test_each_step_draws_its_own_noise():
    asked = []

    def draw(step):
        asked.append(step)
        return torch.zeros(1, 1)

    sample_ddpm(lambda x, step: x, draw, quadratic_schedule(5))
    assert asked == [5, 4, 3, 2, 1]


def test_guidance_is_eq_8():
    told, uncond = torch.tensor([3.0, -1.0]), torch.tensor([1.0, 1.0])
    assert guided(told, uncond, 0.5).tolist() == [1.5 * 3 - 0.5 * 1, 1.5 * -1 - 0.5 * 1]
    assert torch.equal(guided(told, uncond, 0.0), told)
