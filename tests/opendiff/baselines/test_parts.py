"""Parts of the baselines against closed forms, and what each promises to leave alone."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from opendiff.baselines.adaptive import Adaptive, smoothed
from opendiff.baselines.adversarial import gradient_penalty
from opendiff.baselines.csdi import STEPS, noise_of, velocity
from opendiff.baselines.harness import Budget, TileConditions
from opendiff.baselines.ke_gan import STAGES, Kegan
from opendiff.baselines.open_diff import NO_ATTENTION, NO_GUIDANCE, Default, Published, with_users
from opendiff.baselines.spectra_gan import significant_bins, spectrum
from opendiff.baselines.tcn_gan import CircularConvolutions
from opendiff.conditions import MODALITIES, TOKENS_WIDTH
from opendiff.errors import ModelError
from opendiff.paper.ddpm import quadratic_schedule

ONE_UPDATE = Budget(updates=1, batch=4, checks=1, check_rows=2, check_samples=1)


def rows(count: int, seed: int) -> tuple[TileConditions, np.ndarray]:
    rng = np.random.default_rng(seed)
    told = rng.normal(size=(count, 3)).astype(np.float32)
    return TileConditions(told, told, np.arange(count)), rng.random((count, 1, 168)).astype(np.float32)


def test_the_noise_follows_from_the_velocity():
    torch.manual_seed(0)
    schedule, step = quadratic_schedule(STEPS, last=0.5), 17
    clean, noise, at = torch.randn(3, 168), torch.randn(3, 168), torch.full((3,), step)
    true_velocity = velocity(schedule, clean, noise, at)
    x = schedule.noised(clean, noise, at)
    assert torch.allclose(noise_of(lambda x, step: true_velocity, schedule)(x, step), noise, atol=1e-5)


def test_the_penalty_of_a_linear_critic_is_known():
    """Its slope is its weight everywhere, so the penalty is (|w| - 1)²."""
    weight = torch.randn(168)
    critic = lambda week, condition: week @ weight  # noqa: E731
    found = gradient_penalty(critic, torch.randn(5, 168), torch.randn(5, 168), torch.zeros(5, 1))
    assert found.item() == pytest.approx((weight.norm().item() - 1) ** 2, rel=1e-5)


def test_the_spectrum_keeps_energy_and_its_significant_bins_are_those_of_the_days():
    hour = torch.arange(168.0)
    weeks = torch.randn(6, 1) * torch.cos(2 * torch.pi * hour / 24) + 3.0
    kept = significant_bins(weeks).unflatten(0, (-1, 2))[:, 0].nonzero().flatten().tolist()
    assert set(kept) <= {0, 7} and 0 in kept
    parts = spectrum(weeks).unflatten(1, (-1, 2))
    energy = parts.square().sum(-1)
    energy[:, 1:-1] *= 2  # each bin but the first and last stands for two
    assert torch.allclose(energy.sum(1), weeks.square().sum(1), rtol=1e-4)


def test_convolutions_know_no_beginning_of_the_week():
    torch.manual_seed(0)
    body, x = CircularConvolutions(3, 2), torch.randn(2, 3, 168)
    with torch.no_grad():
        assert torch.allclose(body(x.roll(24, -1)), body(x).roll(24, -1), atol=1e-5)


@pytest.mark.slow
def test_the_public_sampler_hardly_heeds_its_condition():
    told, series = rows(24, 0)
    torch.manual_seed(0)
    model = Published().fit(told, series, 0, ONE_UPDATE)
    for layer in (model.network.denoiser.series_out, *(part.out for part in model.network.denoiser.layers)):
        torch.nn.init.normal_(layer.weight, std=0.2)
    far = dataclasses.replace(told, vectors=-told.vectors)

    def heed(asked: Published) -> float:
        return float(np.abs(asked.sample(told, 1, 0) - asked.sample(far, 1, 0)).mean())

    assert heed(model.forgetful()) < 0.05 * heed(model)


def test_the_ablations_take_away_what_they_say():
    told, series = rows(24, 0)
    model = Published(NO_ATTENTION).fit(told, series, 0, ONE_UPDATE)
    memory = model.network.precompute_kv(torch.randn(2, 3))
    share = model.network.denoiser.layers[0].share(torch.randn(2, 28, 64), memory.layers[0])
    assert (share == 1).all()
    assert (NO_GUIDANCE.condition_dropout, NO_GUIDANCE.guidance_scale, NO_GUIDANCE.tokens) == (0, 0, 8)


def test_later_stages_of_kegan_leave_earlier_ones_alone():
    told, series = rows(24, 0)
    model = Kegan().fit(told, series, 0, ONE_UPDATE)
    generator = model.network.generator
    before = copy.deepcopy(generator)
    model.done, model.budget = 3, Budget(updates=3)  # the last third
    week = torch.randn(4, 168)
    model.update(lambda: (torch.randn(4, 3), week))
    for stage in range(STAGES):
        pairs = zip(generator.parameters_of(stage), before.parameters_of(stage), strict=True)
        same = [torch.equal(one, other) for one, other in pairs]
        assert all(same) if stage < STAGES - 1 else not all(same)


def test_adaptive_never_learns_from_weeks_of_the_target():
    source, (told, series) = rows(24, 1), rows(20, 0)
    one, two = (Adaptive(source).fit(told, weeks, 0, ONE_UPDATE) for weeks in (series, series[::-1].copy()))
    first, second = (model.kegan.network.state_dict() for model in (one, two))
    assert all(torch.equal(first[name], second[name]) for name in first)
    made = one.sample(told, 2, 0)
    assert made.shape == (20, 2, 168) and np.isfinite(made).all()


def test_smoothing_is_no_matter_where_all_are_equal():
    assert smoothed(np.ones((12, 3), np.float32)) == pytest.approx(1)
    assert smoothed(np.full((1, 3), 5.0)).tolist() == [[5, 5, 5]]


def test_default_takes_tokens_as_they_are_and_other_vectors_in_their_place():
    _, series = rows(24, 0)
    model = Default()
    own = np.zeros((2, TOKENS_WIDTH + len(MODALITIES)), np.float32)
    own[:, 0], own[0, -1] = 3, 1
    known = model.conditions(TileConditions(own, own, np.arange(2)))
    assert known.tokens[0, 0] == 3 and known.present.sum() == 1 and known.present[0, -1]
    wide = np.zeros((2, TOKENS_WIDTH), np.float32)
    with pytest.raises(ModelError, match="give at most"):
        model.conditions(TileConditions(wide, wide, np.arange(2)))
    both = with_users(series, 0)
    assert np.array_equal(both[:, :1], series) and np.allclose(both[:, 1:], series, rtol=0.06)
    assert with_users(both, 0) is both
