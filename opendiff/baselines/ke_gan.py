"""KEGAN: Hui et al., "Large-scale urban cellular traffic generation via knowledge-enhanced GANs with multi-periodic
patterns", KDD 2023.

Kept: a knowledge-graph embedding as the condition; a day that is a mixture of learned patterns, then a residual of
the week, then one of single hours by convolutions; a critic for each, trained one after the other with the earlier
stages frozen. In Beijing the embedding is the published one; in Nanchang it is made from POI, population and
adjacency (`graph_embedding`).
Left out: patterns of their own for weekdays and weekends, because it is not known which day the series begin on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from opendiff.baselines.adversarial import BETAS, CRITIC_STEPS, LEARNING_RATE, Adversary, Averaged
from opendiff.baselines.harness import HOURS, Draw, NeuralBaseline
from opendiff.baselines.spectra_gan import Critic
from opendiff.baselines.tcn_gan import CircularConvolutions, TcnCritic

NOISE, HIDDEN, PATTERNS = 32, 64, 32
DAYS, HOURS_PER_DAY, PART = 7, 24, 6  # the stage of the week is in parts of six hours
STAGES = 3


class KnowledgeGenerator(nn.Module):
    """`forward(condition, stages)` is the week (rows, 168) after so many of its three stages."""

    def __init__(self, condition_width: int, weeks: Tensor):
        super().__init__()
        inputs = NOISE + condition_width
        days = weeks.unflatten(1, (DAYS, HOURS_PER_DAY)).mean(1)
        chosen = days[torch.randint(len(days), (PATTERNS,))]
        self.patterns = nn.Parameter(chosen + 0.05 * torch.randn(PATTERNS, HOURS_PER_DAY))
        self.share = nn.Sequential(nn.Linear(inputs, PATTERNS), nn.LayerNorm(PATTERNS))
        self.height = nn.Linear(inputs, 1)  # softmax alone cannot leave the range of the patterns
        self.week = nn.Sequential(
            nn.Linear(inputs, HIDDEN), nn.LayerNorm(HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HOURS // PART)
        )
        self.told = nn.Linear(condition_width, HIDDEN // 4)
        self.hours = CircularConvolutions(2 + HIDDEN // 4, 1)
        for last in (self.week[-1], self.hours.end):  # a stage adds nothing before it is trained
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, condition: Tensor, stages: int = STAGES) -> Tensor:
        """Scaled weeks (rows, 168) for conditions (rows, width), with noise of its own."""
        rows = len(condition)
        told = torch.cat([torch.randn(rows, NOISE), condition], -1)
        day = torch.softmax(self.share(told), -1) @ self.patterns + self.height(told)
        made = day.repeat(1, DAYS)
        if stages > 1:
            made = made + self.week(told).repeat_interleave(PART, 1)
        if stages > 2:
            about = self.told(condition)[..., None].expand(-1, -1, HOURS)
            seen = torch.cat([made[:, None], torch.randn(rows, 1, HOURS), about], 1)
            made = made + self.hours(seen).squeeze(1)
        return made

    def parameters_of(self, stage: int) -> list[nn.Parameter]:
        """What is trained in a stage, 0 to 2: the day, the week, single hours."""
        modules = ((self.share, self.height), (self.week,), (self.told, self.hours))[stage]
        own = [parameter for module in modules for parameter in module.parameters()]
        return [self.patterns, *own] if stage == 0 else own


def view(week: Tensor, stage: int) -> Tensor:
    """What the critic of a stage sees of weeks (rows, 168): the mean day, parts of the week, or all."""
    if stage == 0:
        return week.unflatten(1, (DAYS, HOURS_PER_DAY)).mean(1)
    return week.unflatten(1, (-1, PART)).mean(2) if stage == 1 else week


class Kegan(NeuralBaseline):
    """A generator and a critic a stage; each stage is trained for a third of the updates."""

    network: Averaged[KnowledgeGenerator]
    told = "graph"

    def build(self, width: int, weeks: Tensor) -> None:
        self.network = Averaged(KnowledgeGenerator(width, weeks))
        critics = (Critic(HOURS_PER_DAY, width), Critic(HOURS // PART, width), TcnCritic(width))
        self.adversaries = [Adversary(critic) for critic in critics]
        generator = self.network.generator
        self.optimisers = [
            torch.optim.Adam(generator.parameters_of(stage), LEARNING_RATE, BETAS) for stage in range(STAGES)
        ]

    def update(self, draw: Draw) -> None:
        stage = min(STAGES - 1, STAGES * (self.done - 1) // self.budget.updates)
        generator, adversary = self.network.generator, self.adversaries[stage]
        for _ in range(CRITIC_STEPS):
            condition, real = draw()
            with torch.no_grad():
                made = generator(condition, stage + 1)
            adversary.learn(view(real, stage), view(made, stage), condition)
        condition, _ = draw()
        loss = adversary.loss(view(generator(condition, stage + 1), stage), condition)
        self.optimisers[stage].zero_grad()
        loss.backward()
        self.optimisers[stage].step()
        self.network.average.update_parameters(generator)

    def weeks(self, condition: Tensor) -> Tensor:
        return self.network.average(condition)
