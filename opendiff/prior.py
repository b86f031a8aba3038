"""The prior: what open data says of a tile before any noise is removed.

A cross-fitted ensemble of small networks maps condition tokens to the mean and spread of the tile's level, to
the mean and spread of its daily profile, and to its POI and population intensity. Every member was fitted
without one group of tiles, so each training tile has members that never saw it: their errors are honest, and
the diffusion model learns from these.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from opendiff.conditions import INTENSITIES, MODALITIES, TOKEN_WIDTHS, TOKENS_WIDTH
from opendiff.representation import LEVEL_WIDTH, SHAPE_WIDTH, Representation

INPUT_WIDTH = TOKENS_WIDTH + len(MODALITIES)
SPREADS = LEVEL_WIDTH + 1  # of the two level coordinates and of the shape


class Prior(nn.Module):
    """members networks of the same form, evaluated together.

    Outputs are level means (2), profile coefficients (components), log intensities (3) and log spreads (3); a
    straight linear path runs beside the hidden layers.
    """

    def __init__(self, members: int, components: int, hidden: int):
        super().__init__()
        self.components = components
        outputs = LEVEL_WIDTH + components + len(INTENSITIES) + SPREADS
        shapes = {"first": (INPUT_WIDTH, hidden), "second": (hidden, hidden), "last": (hidden, outputs)}
        for name, (rows, columns) in shapes.items():
            gain = 0.3 if name == "last" else 1.0
            weight = nn.Parameter(torch.randn(members, rows, columns) * gain / math.sqrt(rows))
            self.register_parameter(f"{name}_weight", weight)
            self.register_parameter(f"{name}_bias", nn.Parameter(torch.zeros(members, 1, columns)))
        self.linear = nn.Parameter(torch.zeros(members, INPUT_WIDTH, outputs))
        # calibration fitted on members that had not seen the tile
        self.register_buffer("spread_factor", torch.ones(SPREADS))
        self.register_buffer("intensity_mean", torch.zeros(len(INTENSITIES)))
        self.register_buffer("intensity_std", torch.ones(len(INTENSITIES)))

    def forward(self, inputs: Tensor, dropout: float = 0.0) -> Tensor:
        """inputs (members or 1, rows, INPUT_WIDTH) -> outputs (members, rows, outputs)."""
        hidden = functional.silu(inputs @ self.first_weight + self.first_bias)
        hidden = functional.dropout(hidden, dropout, self.training)
        hidden = functional.silu(hidden @ self.second_weight + self.second_bias)
        hidden = functional.dropout(hidden, dropout, self.training)
        return hidden @ self.last_weight + self.last_bias + inputs @ self.linear

    def split(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Level means, profile coefficients, log intensities (standardised), log spreads."""
        widths = [LEVEL_WIDTH, self.components, len(INTENSITIES), SPREADS]
        return tuple(outputs.split(widths, dim=-1))

    def combine(self, outputs: Tensor, weight: Tensor) -> Belief:
        """One belief a row from the members, weighted (members, rows): their mean, and both kinds of
        variance."""
        level, profile, intensity, log_spread = self.split(outputs)
        share = (weight / weight.sum(0, keepdim=True))[..., None]
        level_mean = (share * level).sum(0)
        variance = (share * (2 * log_spread).exp()).sum(0)
        disagreement = (share * (level - level_mean) ** 2).sum(0)
        disagreement = functional.pad(disagreement, (0, 1))
        return Belief(
            level_mean,
            (share * profile).sum(0),
            (share * intensity).sum(0) * self.intensity_std + self.intensity_mean,
            (variance + disagreement).sqrt() * self.spread_factor,
        )


class Belief:
    """What the prior holds of tiles: level (rows, 2), profile (rows, components), log1p intensity (rows, 3),
    spread (rows, 3)."""

    def __init__(self, level: Tensor, profile: Tensor, log_intensity: Tensor, spread: Tensor):
        self.level, self.profile, self.log_intensity, self.spread = level, profile, log_intensity, spread

    def mean(self, representation: Representation) -> Tensor:
        """Mean of the vectors, (rows, 338)."""
        return torch.cat([self.level, self.profile @ representation.profiles @ representation.whiten], dim=-1)

    def deviation(self) -> Tensor:
        """Standard deviation of the vectors, (rows, 338)."""
        return torch.cat(
            [self.spread[:, :LEVEL_WIDTH], self.spread[:, LEVEL_WIDTH:].expand(-1, SHAPE_WIDTH)], -1
        )

    def summary(self) -> Tensor:
        """What the denoiser is told of it, (rows, 2 + components + 3)."""
        return torch.cat([self.level, self.profile, self.spread.log()], dim=-1)


def prior_inputs(tokens: Tensor, present: Tensor) -> Tensor:
    """tokens (rows, 28) and present (rows, 4) bool -> (rows, INPUT_WIDTH), absent modalities 0."""
    widths = torch.tensor(TOKEN_WIDTHS, device=tokens.device)
    keep = present.repeat_interleave(widths, dim=-1)
    return torch.cat([tokens * keep, present.to(tokens.dtype)], dim=-1)


def gaussian_crps(truth: Tensor, mean: Tensor, log_spread: Tensor) -> Tensor:
    """CRPS of a normal forecast in closed form (Gneiting and Raftery 2007, eq. 21)."""
    spread = log_spread.exp()
    z = (truth - mean) / spread
    density = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return spread * (z * torch.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))
