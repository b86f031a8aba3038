"""Training of the `default` model: small enough for two cores, seeded, one function a part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from opendiff.conditions import MODALITIES, Conditions
from opendiff.denoiser import gaussian_denoiser
from opendiff.encoder import Report
from opendiff.model import ModelConfig, TrafficModel, condition_tensors
from opendiff.prior import gaussian_crps, prior_inputs
from opendiff.representation import (
    LEVEL_WIDTH,
    SHAPE_WIDTH,
    fit_representation,
    roll_days,
    with_whitening,
)

ALL_PATTERNS = 2 ** len(MODALITIES)


@dataclass(frozen=True)
class PriorTraining:
    epochs: int = 250
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    dropout: float = 0.2
    input_noise: float = 0.3
    keep_all: float = 0.5  # share of rows that see every modality they have
    keep_each: float = 0.6  # otherwise, the chance of each to stay
    profile_weight: float = 0.5
    intensity_weight: float = 0.3
    spread_weight: float = 0.3


@dataclass(frozen=True)
class DenoiserTraining:
    steps: int = 150  # chosen on inner folds; more steps sharpen what new tiles do not confirm
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    level_weight: float = 2.0  # of each level coordinate against an hour of the shape; more overfits
    condition_dropout: float = 0.1  # rho of eq. 7
    averaging: float = 0.995  # of the weights that are kept


def train_model(
    conditions: Conditions,
    series: np.ndarray,
    intensities: np.ndarray,
    groups: np.ndarray,
    seed: int = 0,
    config: ModelConfig = ModelConfig(),  # noqa: B008 (frozen)
    prior_training: PriorTraining = PriorTraining(),
    denoiser_training: DenoiserTraining = DenoiserTraining(),
    device: str = "cpu",
    report: Report | None = None,
) -> TrafficModel:
    """The `default` model fitted on tiles with traffic.

    series: (tiles, 2, 168) traffic and users; intensities: (tiles, 3) log1p of all POI, business POI and log
    population, NaN where unknown; groups: (tiles,) spatial group of each tile (never split between a member
    and its errors).
    """
    torch.manual_seed(seed)
    model = TrafficModel(config).to(device)
    truth = torch.from_numpy(series).float()
    model.representation = fit_representation(truth, config.components).to(device)
    truth = truth.to(device)
    unseen = fit_prior(model, conditions, truth, intensities, groups, prior_training, report)
    calibrate(model, conditions, truth, unseen)
    fit_denoiser(model, conditions, truth, unseen, denoiser_training, report)
    return model.eval()


def fit_prior(
    model: TrafficModel,
    conditions: Conditions,
    truth: Tensor,
    intensities: np.ndarray,
    groups: np.ndarray,
    training: PriorTraining,
    report: Report | None,
) -> Tensor:
    """Fit the members, each without one group; returns the mask (members, tiles) of tiles that a member has
    not seen."""
    prior, representation, device = model.prior, model.representation, truth.device
    tokens, present = condition_tensors(conditions, device)
    members, count = model.config.members, len(truth)
    names = np.unique(groups)
    left_out = torch.from_numpy(names[np.arange(members) % len(names)]).to(device)
    unseen = left_out[:, None] == torch.from_numpy(groups).to(device)
    level = representation.level(truth)
    profile = representation.shape_residual(truth) @ representation.profiles.T
    residual_variance = representation.shape_residual(truth).square().mean(-1).mean()
    known = torch.from_numpy(np.isfinite(intensities)).to(device)
    log_intensity = torch.from_numpy(np.nan_to_num(intensities)).float().to(device)
    total = known.sum(0).clamp_min(1)
    mean = log_intensity.sum(0) / total
    std = ((((log_intensity - mean) * known).square().sum(0)) / total).sqrt().clamp_min(1e-6)
    prior.intensity_mean.copy_(mean)
    prior.intensity_std.copy_(std)
    log_intensity = (log_intensity - mean) / std
    optimiser = torch.optim.AdamW(prior.parameters(), weight_decay=training.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, training.learning_rate, total_steps=training.epochs
    )
    # Bayesian bootstrap: members differ in what they take seriously, which is what their disagreement should show
    importance = torch.distributions.Exponential(1.0).sample((members, count)).to(device) * ~unseen
    profile_std = profile.std(0)
    prior.train()
    for epoch in range(training.epochs):
        keep = torch.rand(members, count, len(MODALITIES), device=device) < training.keep_each
        keep |= torch.rand(members, count, 1, device=device) < training.keep_all
        seen = present & keep
        noised = tokens + training.input_noise * torch.randn(members, *tokens.shape, device=device)
        level_mean, profile_mean, intensity_mean, log_spread = prior.split(
            prior(prior_inputs(noised, seen), training.dropout)
        )
        loss = gaussian_crps(level, level_mean, log_spread[..., :LEVEL_WIDTH]).mean(-1)
        profile_error = ((profile_mean - profile) / profile_std[0]).square().mean(-1)
        loss = loss + training.profile_weight * profile_error
        estimated = functional.smooth_l1_loss(
            intensity_mean, log_intensity.expand_as(intensity_mean), reduction="none"
        )
        loss = loss + training.intensity_weight * (estimated * known).mean(-1)
        # spread of the shape: Gaussian likelihood of the whole residual, relative to the average tile
        residual = representation.shape_residual(truth) - (profile_mean @ representation.profiles).detach()
        ratio = residual.square().mean(-1) / residual_variance
        log_scale = log_spread[..., LEVEL_WIDTH]
        loss = loss + training.spread_weight * (0.5 * ratio * torch.exp(-2 * log_scale) + log_scale)
        optimiser.zero_grad()
        (loss * importance).mean(-1).sum().backward()
        optimiser.step()
        schedule.step()
        if report:
            report("prior", epoch + 1, training.epochs)
    prior.eval()
    return unseen


@torch.no_grad()
def calibrate(model: TrafficModel, conditions: Conditions, truth: Tensor, unseen: Tensor) -> None:
    """Set whitening and spreads from the errors of members that had not seen the tile."""
    tokens, present = condition_tensors(conditions, truth.device)
    belief = model.believe(tokens, present, unseen.float())
    representation = model.representation
    residual = representation.shape_residual(truth) - belief.profile @ representation.profiles
    scaled = residual / belief.spread[:, LEVEL_WIDTH:]
    model.representation = with_whitening(representation.to("cpu"), scaled.double().cpu().numpy()).to(
        truth.device
    )
    white = scaled @ model.representation.whiten
    level = (representation.level(truth) - belief.level) / belief.spread[:, :LEVEL_WIDTH]
    factor = torch.cat([level.square().mean(0).sqrt(), white.square().mean().sqrt()[None]])
    model.prior.spread_factor.mul_(factor)


def fit_denoiser(
    model: TrafficModel,
    conditions: Conditions,
    truth: Tensor,
    unseen: Tensor,
    training: DenoiserTraining,
    report: Report | None,
) -> None:
    """Learn the correction to the closed form, against beliefs that had not seen the tile."""
    device, representation = truth.device, model.representation
    tokens, present = condition_tensors(conditions, device)
    beliefs = [Beliefs.of(model, tokens, present, unseen, pattern) for pattern in range(ALL_PATTERNS)]
    table = Beliefs.stack(beliefs)
    level, shape = representation.level(truth), representation.shape_residual(truth)
    denoiser = model.denoiser
    average = {name: value.clone() for name, value in denoiser.state_dict().items()}
    optimiser = torch.optim.AdamW(
        denoiser.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    warm = max(1, training.steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1, (step + 1) / warm) * max(0.02, 1 - step / max(1, training.steps))
    )
    weight = torch.ones(LEVEL_WIDTH + SHAPE_WIDTH, device=device)
    weight[:LEVEL_WIDTH] = training.level_weight
    denoiser.train()
    for step in range(training.steps):
        row = torch.randint(len(truth), (training.batch,), device=device)
        pattern = draw_patterns(training.batch, training.condition_dropout, device)
        seen = present[row] & pattern_mask(pattern)
        rolled = shape[row]
        days = int(torch.randint(7, ()))
        rolled = roll_days(rolled, days)
        clean = torch.cat([level[row], rolled @ representation.whiten], dim=-1)
        mean, deviation, summary = table.pick(pattern, row)
        memory = denoiser.remember(tokens[row], seen, summary, mean, deviation)
        t = torch.sigmoid(torch.randn(training.batch, device=device) * 1.2)
        x = (1 - t)[:, None] * clean + t[:, None] * torch.randn_like(clean)
        gaussian, white, scale = gaussian_denoiser(x, t, mean, deviation)
        target = (clean - gaussian) / scale
        loss = ((denoiser.correction(white, t, memory) - target).square() * weight).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(denoiser.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        for name, value in denoiser.state_dict().items():
            average[name].lerp_(value, 1 - min(training.averaging, (step + 1) / (step + 10)))
        if report:
            report("denoiser", step + 1, training.steps)
    denoiser.load_state_dict(average)
    denoiser.eval()


@dataclass(frozen=True)
class Beliefs:
    """Means, deviations and summaries of the prior for tiles, for each pattern of hidden modalities in turn."""

    mean: Tensor
    deviation: Tensor
    summary: Tensor

    @staticmethod
    @torch.no_grad()
    def of(model: TrafficModel, tokens: Tensor, present: Tensor, unseen: Tensor, pattern: int) -> Beliefs:
        seen = present & pattern_mask(torch.full((len(tokens),), pattern, device=tokens.device))
        belief = model.believe(tokens, seen, unseen.float())
        return Beliefs(belief.mean(model.representation), belief.deviation(), belief.summary())

    @staticmethod
    def stack(beliefs: list[Beliefs]) -> Beliefs:
        return Beliefs(
            torch.stack([b.mean for b in beliefs]),
            torch.stack([b.deviation for b in beliefs]),
            torch.stack([b.summary for b in beliefs]),
        )

    def pick(self, pattern: Tensor, row: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.mean[pattern, row], self.deviation[pattern, row], self.summary[pattern, row]


def pattern_mask(pattern: Tensor) -> Tensor:
    """Modalities kept by each pattern number (its bits), (rows, modalities) bool."""
    bits = 2 ** torch.arange(len(MODALITIES), device=pattern.device)
    return (pattern[:, None] & bits) > 0


def draw_patterns(count: int, empty: float, device: torch.device) -> Tensor:
    """Half of the rows keep all modalities, the share `empty` none (eq. 7), the rest any pattern."""
    pattern = torch.randint(ALL_PATTERNS, (count,), device=device)
    pattern = torch.where(torch.rand(count, device=device) < 0.6, ALL_PATTERNS - 1, pattern)
    return torch.where(torch.rand(count, device=device) < empty, 0, pattern)
