"""The prior: what open data says of a tile before any noise is removed.

For each pattern of known modalities a Bayesian linear regression maps the condition tokens to the tile's level, its
daily profile, its POI and population intensity and how noisy its shape is. One pattern, one regression: a tile that
lacks a modality is judged by weights that were fitted without it. Tokens have a Gaussian prior whose width is one
number a token part, found by maximum marginal likelihood (MacKay 1992), so a part that tells nothing is shrunk away.
A belief mixes its pattern's regression with those that know one modality less, and where they disagree it is less
sure. Tiles leave in whole spatial blocks and in closed form, so each training tile has a belief that never saw its
block: those errors are honest, and the diffusion model learns from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from opendiff.conditions import INTENSITIES, MODALITIES, TOKEN_WIDTHS, TOKENS_WIDTH
from opendiff.default.representation import LEVEL_WIDTH, SHAPE_WIDTH, Representation

PATTERNS = 2 ** len(MODALITIES)  # of known modalities, numbered by their bits
SPREADS = LEVEL_WIDTH + 1  # of the two level coordinates and of the shape


class Prior(nn.Module):
    """Regressions of all patterns, evaluated together.

    Outputs are level means (2), profile coefficients (components), log intensities (3), log spread of the shape (1).
    `prior_fit` fills the buffers: weight and bias, the spreads of what is left open, and those that follow.
    """

    weight: Tensor
    bias: Tensor
    doubt: Tensor
    level_spread: Tensor
    shape_spread: Tensor
    committee: Tensor

    def __init__(self, components: int):
        super().__init__()
        self.components = components
        self.outputs = LEVEL_WIDTH + components + len(INTENSITIES) + 1
        self.register_buffer("weight", torch.zeros(PATTERNS, TOKENS_WIDTH, self.outputs))
        self.register_buffer("bias", torch.zeros(PATTERNS, self.outputs))
        # posterior covariance of the weights of each level coordinate, relative to the noise; the last row is the bias
        width = TOKENS_WIDTH + 1
        self.register_buffer("doubt", torch.zeros(PATTERNS, LEVEL_WIDTH, width, width))
        self.register_buffer("level_spread", torch.ones(PATTERNS, LEVEL_WIDTH))
        self.register_buffer("shape_spread", torch.ones(PATTERNS))
        # share of each pattern's regression in the belief of a pattern
        self.register_buffer("committee", torch.eye(PATTERNS))

    def forward(self, tokens: Tensor, present: Tensor) -> Belief:
        """The belief for tokens (rows, TOKENS_WIDTH) and present (rows, modalities) bool."""
        # All patterns are evaluated, whichever are needed: matrix products of one fixed shape round a tile alike
        # wherever it stands in the batch, which products of gathered matrices do not.
        pattern = pattern_number(present)
        tokens = tokens * token_mask(present)
        means = (tokens @ self.weight.transpose(0, 1).flatten(1)).unflatten(1, (PATTERNS, self.outputs))
        means = means + self.bias
        extended = torch.cat([tokens, torch.ones_like(tokens[:, :1])], dim=-1)
        doubted = extended @ self.doubt.permute(2, 0, 1, 3).flatten(1)
        doubted = doubted.unflatten(1, (PATTERNS, LEVEL_WIDTH, TOKENS_WIDTH + 1))
        leverage = (doubted * extended[:, None, None]).sum(-1)
        mean, level_spread = mixed(self.committee[pattern], means, self.level_spread * (1 + leverage).sqrt())
        return self.believe(mean, level_spread, self.shape_spread[pattern])

    def believe(self, mean: Tensor, level_spread: Tensor, shape_spread: Tensor) -> Belief:
        """The belief that outputs (rows, outputs), level_spread (rows, 2) and shape_spread (rows,) stand for."""
        widths = [LEVEL_WIDTH, self.components, len(INTENSITIES), 1]
        level, profile, log_intensity, log_spread = mean.split(widths, dim=-1)
        # between a third and three times the usual: the regression of a spread is too rough for more
        shape_spread = shape_spread[:, None] * log_spread.clamp(-1.0, 1.0).exp()
        return Belief(level, profile, log_intensity, torch.cat([level_spread, shape_spread], dim=-1))


@dataclass(frozen=True)
class Belief:
    """What the prior holds of tiles: expected level (rows, 2), profile (rows, components) and log1p intensity (rows,
    3); spread (rows, 3), the standard deviations of the two level coordinates and of the shape."""

    level: Tensor
    profile: Tensor
    log_intensity: Tensor
    spread: Tensor

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


def mixed(share: Tensor, means: Tensor, level_spread: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (rows, outputs) and level spread (rows, 2) of a mixture of regressions: share (rows, members), means (rows,
    members, outputs), level_spread (rows, members, 2). Variances add up within and between the members."""
    mean = (share[..., None] * means).sum(1)
    apart = means[..., :LEVEL_WIDTH] - mean[:, None, :LEVEL_WIDTH]
    return mean, (share[..., None] * (level_spread**2 + apart**2)).sum(1).sqrt()


def pattern_number(present: Tensor) -> Tensor:
    """Number of the pattern of known modalities, (rows,), of present (rows, modalities) bool."""
    return (present.long() * 2 ** torch.arange(len(MODALITIES), device=present.device)).sum(-1)


def pattern_mask(pattern: Tensor) -> Tensor:
    """Modalities that patterns (rows,) know, (rows, modalities) bool."""
    return (pattern[:, None] & 2 ** torch.arange(len(MODALITIES), device=pattern.device)) > 0


def token_mask(present: Tensor) -> Tensor:
    """(rows, TOKENS_WIDTH) bool from present (rows, modalities) bool."""
    return present.repeat_interleave(torch.tensor(TOKEN_WIDTHS, device=present.device), dim=-1)
