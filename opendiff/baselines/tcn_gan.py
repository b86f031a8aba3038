"""TCN-GAN: a GAN of temporal convolutional networks (Bai, Kolter and Koltun, "An empirical evaluation of generic
convolutional and recurrent networks for sequence modeling", arXiv 1803.01271), as the paper built one by hand.

Kept: noise at every hour beside the condition, residual blocks of dilated convolutions with weight normalisation that
see the whole week, padded in a circle because a week has no beginning; a critic of the same blocks that also sees
mean and minimum of the series.
Left out: three such networks side by side with kernels of 24, 72 and 168 hours, which take fifty times as long: one
with kernels of 3 sees as far by its dilations. Dropout.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from opendiff.baselines.adversarial import AdversarialBaseline
from opendiff.baselines.harness import HOURS

NOISE, WIDTH, KERNEL = 10, 16, 3
DILATIONS = (1, 2, 4, 8, 24, 48)  # the last two reach the same hour of the days around


class CircularConvolutions(nn.Module):
    """(rows, channels, hours) -> (rows, outputs, hours), in residual blocks."""

    def __init__(self, inputs: int, outputs: int, width: int = WIDTH):
        super().__init__()
        self.start = nn.Conv1d(inputs, width, 1)
        self.blocks = nn.ModuleList(
            weight_norm(nn.Conv1d(width, width, KERNEL, dilation=dilation)) for dilation in DILATIONS
        )
        self.end = nn.Conv1d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.start(x)
        for block, dilation in zip(self.blocks, DILATIONS, strict=True):
            padded = functional.pad(h, (dilation, dilation), mode="circular")
            h = h + functional.leaky_relu(block(padded), 0.2)
        return self.end(h)


class TcnGenerator(nn.Module):
    """Noise, condition and a learned embedding of each hour, through the convolutions."""

    def __init__(self, condition_width: int):
        super().__init__()
        self.condition = nn.Linear(condition_width, WIDTH)
        self.hour = nn.Parameter(0.1 * torch.randn(WIDTH, HOURS))
        self.body = CircularConvolutions(NOISE + 2 * WIDTH, 1)

    def forward(self, condition: Tensor) -> Tensor:
        """Scaled weeks (rows, 168) for conditions (rows, width), with noise of its own."""
        rows = len(condition)
        told = self.condition(condition)[..., None].expand(-1, -1, HOURS)
        noise = torch.randn(rows, NOISE, 1) + torch.randn(rows, NOISE, HOURS)
        return self.body(torch.cat([noise, told, self.hour.expand(rows, -1, -1)], 1)).squeeze(1)


class TcnCritic(nn.Module):
    """The convolutions averaged over the week, beside mean and minimum of the series."""

    def __init__(self, condition_width: int):
        super().__init__()
        self.hour = nn.Parameter(0.1 * torch.randn(4, HOURS))
        self.body = CircularConvolutions(5, WIDTH)
        self.judge = nn.Sequential(
            nn.Linear(WIDTH + 2 + condition_width, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)
        )

    def forward(self, week: Tensor, condition: Tensor) -> Tensor:
        """Scores (rows, 1) of scaled weeks (rows, 168) under conditions (rows, width); high is true."""
        seen = self.body(torch.cat([week[:, None], self.hour.expand(len(week), -1, -1)], 1)).mean(-1)
        summary = torch.stack([week.mean(-1), week.amin(-1)], -1)
        return self.judge(torch.cat([seen, summary, condition], -1))


class TcnGan(AdversarialBaseline[nn.Module]):
    """One critic of the whole week."""

    def make_generator(self, width: int, weeks: Tensor) -> nn.Module:
        return TcnGenerator(width)

    def make_critics(self, width: int) -> list[nn.Module]:
        return [TcnCritic(width)]
