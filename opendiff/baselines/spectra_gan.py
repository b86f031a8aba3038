"""SpectraGAN: Xu, Marina and others, "SpectraGAN: Spectrum based generation of city scale spatiotemporal mobile network
traffic data", CoNEXT 2021. There is no public code; this is made from the paper.

Kept: the significant part of the week's spectrum is generated from noise and context, a recurrent network generates
what the spectrum leaves out, both are added after the inverse transform; one critic judges the spectrum and one the
series; the L1 distance of the significant spectrum from the true one is a loss besides.
Left out: the convolutional encoder of the context of neighbouring pixels (all baselines are given the same
conditions, which hold what is around a tile), patches of a city generated together, and hours as steps of the recurrent
network, which takes six at once.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from opendiff.baselines.adversarial import AdversarialBaseline
from opendiff.baselines.harness import HOURS

NOISE, HIDDEN, RECURRENT = 32, 128, 64
STEP = 6  # hours a step of the recurrent network
SIGNIFICANT = 0.95  # share of the mean energy of the spectrum that the kept bins hold
SPECTRUM_WEIGHT = 10.0


def spectrum(week: Tensor) -> Tensor:
    """Real and imaginary parts (rows, 2 * 85) of the orthonormal transform of weeks (rows, 168)."""
    return torch.view_as_real(torch.fft.rfft(week, norm="ortho")).flatten(1)


def significant_bins(weeks: Tensor) -> Tensor:
    """Mask (2 * 85,) of the strongest bins of the mean energy, which together hold `SIGNIFICANT` of it."""
    energy = spectrum(weeks).unflatten(1, (-1, 2)).square().sum(-1).mean(0)
    order = energy.argsort(descending=True)
    before = energy[order].cumsum(0) - energy[order]
    kept = torch.zeros_like(energy, dtype=torch.bool)
    kept[order] = before < SIGNIFICANT * energy.sum()
    return kept.repeat_interleave(2)


class SpectrumGenerator(nn.Module):
    """significant: (2 * 85,) bool, the bins of the spectrum that are generated."""

    significant: Tensor

    def __init__(self, condition_width: int, weeks: Tensor):
        super().__init__()
        self.register_buffer("significant", significant_bins(weeks))
        self.spectrum = nn.Sequential(
            nn.Linear(NOISE + condition_width, HIDDEN), nn.LeakyReLU(0.2), nn.Linear(HIDDEN, HIDDEN),
            nn.LeakyReLU(0.2), nn.Linear(HIDDEN, 2 * (HOURS // 2 + 1)),
        )  # fmt: skip
        self.recurrent = nn.GRU(NOISE + condition_width, RECURRENT, batch_first=True)
        self.residual = nn.Linear(RECURRENT, STEP)

    def forward(self, condition: Tensor) -> Tensor:
        """Scaled weeks (rows, 168) for conditions (rows, width), with noise of its own."""
        rows, steps = len(condition), HOURS // STEP
        bins = self.spectrum(torch.cat([torch.randn(rows, NOISE), condition], -1)) * self.significant
        regular = torch.fft.irfft(torch.view_as_complex(bins.unflatten(1, (-1, 2))), n=HOURS, norm="ortho")
        noise = torch.randn(rows, steps, NOISE)
        hidden, _ = self.recurrent(torch.cat([noise, condition[:, None].expand(-1, steps, -1)], -1))
        return regular + self.residual(hidden).flatten(1)


class Critic(nn.Sequential):
    """A judge of flat vectors under a condition."""

    def __init__(self, inputs: int, condition_width: int):
        super().__init__(
            nn.Linear(inputs + condition_width, HIDDEN), nn.LeakyReLU(0.2), nn.Linear(HIDDEN, HIDDEN),
            nn.LeakyReLU(0.2), nn.Linear(HIDDEN, 1),
        )  # fmt: skip

    def forward(self, values: Tensor, condition: Tensor) -> Tensor:  # type: ignore[override]  # told more than one
        """Scores (rows, 1) of values (rows, inputs) under conditions (rows, width); high is true."""
        return super().forward(torch.cat([values, condition], -1))


class SpectraGan(AdversarialBaseline[SpectrumGenerator]):
    """Critics of spectrum and series, and the L1 distance of the significant spectrum."""

    def make_generator(self, width: int, weeks: Tensor) -> SpectrumGenerator:
        return SpectrumGenerator(width, weeks)

    def make_critics(self, width: int) -> list[nn.Module]:
        return [Critic(2 * (HOURS // 2 + 1), width), Critic(HOURS, width)]

    def views(self, week: Tensor) -> list[Tensor]:
        return [spectrum(week), week]

    def supervision(self, made: Tensor, real: Tensor) -> Tensor:
        apart = (spectrum(made) - spectrum(real)).abs() * self.network.generator.significant
        return SPECTRUM_WEIGHT * apart.sum(1).mean() / self.network.generator.significant.sum()
