"""Adversarial training that all GANs here share: WGAN with gradient penalty (Gulrajani et al., NeurIPS 2017).

Left out for all of them: five critic steps a generator step, of which `CRITIC_STEPS` are taken, so that the budget
buys updates of what generates; critics learn at twice the generator's rate instead (Heusel et al., NeurIPS 2017). Rates
are ten times those published and without momentum, as TransGAN's, because updates are few.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from opendiff.baselines.harness import Draw, NeuralBaseline

CRITIC_STEPS = 2
PENALTY = 10.0
LEARNING_RATE, BETAS = 1e-3, (0.0, 0.99)
AVERAGING = 0.99  # of the weights that generate (Karras et al., ICLR 2018)

G = TypeVar("G", bound=nn.Module)  # the generator


class Adversary:
    """A critic with its optimiser: it learns to tell true weeks from made ones under the same condition."""

    def __init__(self, critic: nn.Module):
        self.critic = critic
        self.optimiser = torch.optim.Adam(critic.parameters(), 2 * LEARNING_RATE, BETAS)

    def learn(self, real: Tensor, made: Tensor, condition: Tensor) -> None:
        """One step of the critic on true and made weeks under conditions (rows, width)."""
        loss = self.critic(made, condition).mean() - self.critic(real, condition).mean()
        loss = loss + PENALTY * gradient_penalty(self.critic, real, made, condition)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    def loss(self, made: Tensor, condition: Tensor) -> Tensor:
        """What the generator minimises."""
        return -self.critic(made, condition).mean()


def gradient_penalty(critic: nn.Module, real: Tensor, made: Tensor, condition: Tensor) -> Tensor:
    """Mean square distance from 1 of the norm of the critic's slope between real and made."""
    share = torch.rand(len(real), *[1] * (real.ndim - 1))
    between = (share * real + (1 - share) * made).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between, condition).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


class Averaged(nn.Module, Generic[G]):
    """A generator and the running average of its weights, which is what generates."""

    generator: G
    average: torch.optim.swa_utils.AveragedModel

    def __init__(self, generator: G):
        super().__init__()
        self.generator = generator
        self.average = torch.optim.swa_utils.AveragedModel(
            generator, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGING)
        )


class AdversarialBaseline(NeuralBaseline, Generic[G]):
    """A GAN: subclasses make the generator (noise and condition -> scaled week) and its critics."""

    network: Averaged[G]

    @abstractmethod
    def make_generator(self, width: int, weeks: Tensor) -> G:
        """A module with `forward(condition) -> (rows, 168)`, which draws its noise itself."""

    @abstractmethod
    def make_critics(self, width: int) -> Iterable[nn.Module]:
        """Critics, each of which judges what `views` gives under the same number."""

    def views(self, week: Tensor) -> list[Tensor]:
        """What each critic sees of a week (rows, 168)."""
        return [week]

    def build(self, width: int, weeks: Tensor) -> None:
        self.network = Averaged(self.make_generator(width, weeks))
        self.adversaries = [Adversary(critic) for critic in self.make_critics(width)]
        self.optimiser = torch.optim.Adam(self.network.generator.parameters(), LEARNING_RATE, BETAS)

    def update(self, draw: Draw) -> None:
        generator = self.network.generator
        for _ in range(CRITIC_STEPS):
            condition, real = draw()
            with torch.no_grad():
                made = generator(condition)
            for adversary, true, false in zip(
                self.adversaries, self.views(real), self.views(made), strict=True
            ):
                adversary.learn(true, false, condition)
        condition, real = draw()
        made = generator(condition)
        loss = self.supervision(made, real)
        for adversary, view in zip(self.adversaries, self.views(made), strict=True):
            loss = loss + adversary.loss(view, condition)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.network.average.update_parameters(generator)

    def supervision(self, made: Tensor, real: Tensor) -> Tensor:
        """A loss beside the critics'; none unless a paper has one."""
        return made.new_zeros(())

    def weeks(self, condition: Tensor) -> Tensor:
        return self.network.average(condition)
