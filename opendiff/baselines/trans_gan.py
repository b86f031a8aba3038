"""TransGAN: Jiang, Chang and Wang, "TransGAN: Two pure transformers can make one strong GAN, and that can scale up",
NeurIPS 2021; for series as in Li et al., "TTS-GAN", AIME 2022 (latent of 100, patches, dropout 0.5 in the critic).

Kept: noise and condition become a few tokens, stages of transformers at 7, 28 and 168 tokens with the channels
rearranged into length between them, attention within windows (days) at the finest stage, a critic that sees patches
of two sizes, the gradient penalty and the average of the weights.
Left out: relative positions, differentiable augmentation, and width: one transformer layer a stage.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from opendiff.baselines.adversarial import AdversarialBaseline
from opendiff.baselines.harness import HOURS

LATENT = 100
STAGES = ((7, 96), (28, 48), (168, 16))  # tokens and channels
WINDOW = 24  # tokens that attend to each other at the finest stage
CRITIC_PATCHES, CRITIC_WIDTH = (6, 24), 32
HEAD_WIDTH = 8


def transformer(width: int, dropout: float = 0.0) -> nn.TransformerEncoderLayer:
    """One pre-norm layer with heads of HEAD_WIDTH channels."""
    return nn.TransformerEncoderLayer(
        width, width // HEAD_WIDTH, 2 * width, dropout, "gelu", batch_first=True, norm_first=True
    )


class TransGenerator(nn.Module):
    """Few wide tokens become many narrow ones, stage by stage, down to an hour each."""

    def __init__(self, condition_width: int):
        super().__init__()
        tokens, channels = STAGES[0]
        self.start = nn.Linear(LATENT + condition_width, tokens * channels)
        self.positions = nn.ParameterList(0.02 * torch.randn(*stage) for stage in STAGES)
        self.stages = nn.ModuleList(transformer(channels) for _, channels in STAGES)
        self.finer = nn.ModuleList(
            nn.Linear(channels, more // tokens * narrower)
            for (tokens, channels), (more, narrower) in itertools.pairwise(STAGES)
        )
        self.week = nn.Linear(STAGES[-1][1], 1)

    def forward(self, condition: Tensor) -> Tensor:
        """Scaled weeks (rows, 168) for conditions (rows, width), with noise of its own."""
        noise = torch.randn(len(condition), LATENT)
        h = self.start(torch.cat([noise, condition], -1)).unflatten(1, STAGES[0])
        for number, (tokens, channels) in enumerate(STAGES):
            if number:
                h = self.finer[number - 1](h).reshape(len(h), tokens, channels)
            h = h + self.positions[number]
            if tokens == HOURS:
                windows = h.reshape(-1, WINDOW, channels)
                h = self.stages[number](windows).reshape(h.shape)
            else:
                h = self.stages[number](h)
        return self.week(h).squeeze(-1)


class TransCritic(nn.Module):
    """A transformer layer over patches of each size of CRITIC_PATCHES, averaged and judged together."""

    def __init__(self, condition_width: int):
        super().__init__()
        self.patches = nn.ModuleList(nn.Linear(patch, CRITIC_WIDTH) for patch in CRITIC_PATCHES)
        self.positions = nn.ParameterList(
            0.02 * torch.randn(HOURS // patch, CRITIC_WIDTH) for patch in CRITIC_PATCHES
        )
        self.stages = nn.ModuleList(transformer(CRITIC_WIDTH) for _ in CRITIC_PATCHES)
        width = len(CRITIC_PATCHES) * CRITIC_WIDTH + condition_width
        self.judge = nn.Sequential(nn.Linear(width, 64), nn.LeakyReLU(0.2), nn.Dropout(0.5), nn.Linear(64, 1))

    def forward(self, week: Tensor, condition: Tensor) -> Tensor:
        """Scores (rows, 1) of scaled weeks (rows, 168) under conditions (rows, width); high is true."""
        parts = []
        with sdpa_kernel(SDPBackend.MATH):  # the only kernel whose slope has a slope, for the penalty
            for patch, into, positions, stage in zip(
                CRITIC_PATCHES, self.patches, self.positions, self.stages, strict=True
            ):
                parts.append(stage(into(week.unflatten(1, (-1, patch))) + positions).mean(1))
        return self.judge(torch.cat([*parts, condition], -1))


class TransGan(AdversarialBaseline[nn.Module]):
    """One critic of the whole week."""

    def make_generator(self, width: int, weeks: Tensor) -> nn.Module:
        return TransGenerator(width)

    def make_critics(self, width: int) -> list[nn.Module]:
        return [TransCritic(width)]
