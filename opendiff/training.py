"""Training of the encoder and of the `default` model: small enough for two cores, seeded, one function a
part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from opendiff.conditions import MODALITIES, Conditions
from opendiff.denoiser import gaussian_denoiser
from opendiff.encoder import IMAGE_FEATURES, Encoder
from opendiff.features import TileFeatures
from opendiff.model import ModelConfig, TrafficModel, condition_tensors
from opendiff.prior import gaussian_crps, prior_inputs
from opendiff.representation import (
    LEVEL_WIDTH,
    SERIES,
    SHAPE_WIDTH,
    Representation,
    fit_representation,
    roll_days,
    with_whitening,
)

Report = Callable[[str, int, int], None]  # (what, done, total)
ALL_PATTERNS = 2 ** len(MODALITIES)


@dataclass(frozen=True)
class EncoderTraining:
    """Multi-positive contrastive learning of the image projector (eq. 6) with heads that estimate POI and
    population."""

    epochs: int = 400
    learning_rate: float = 4e-3
    weight_decay: float = 0.5
    temperature: float = 0.1
    input_noise: float = 0.3
    head_weight: float = 4.0


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


def positive_pairs(features: TileFeatures, rows: np.ndarray) -> np.ndarray:
    """For each of `rows` its positives among `rows`: nearest by POI cosine, by population cosine (eq. 4), by
    distance.

    Returns (rows, rows) bool. A tile without POI or population has no positive by it, and is nobody's.
    """
    count = len(rows)
    positive = np.zeros((count, count), bool)
    x, y = features.tiles["x"].to_numpy()[rows], features.tiles["y"].to_numpy()[rows]
    nearness = -((x[:, None] - x) ** 2.0 + (y[:, None] - y) ** 2.0)
    poi = np.expm1(features.poi[rows, :-1])
    strips = np.exp(features.population[rows, :-2])
    everyone = np.ones(count, bool)
    ways = (
        (nearness, everyone),
        (cosine(poi), features.has_poi[rows]),
        (cosine(strips), features.has_population[rows]),
    )
    for similarity, known in ways:
        similarity = np.where(known[None, :], similarity, -np.inf)
        np.fill_diagonal(similarity, -np.inf)
        if known.sum() > 1:
            anchors = np.flatnonzero(known)
            positive[anchors, similarity[anchors].argmax(axis=1)] = True
    return positive


def cosine(vectors: np.ndarray) -> np.ndarray:
    """Cosine similarity of all pairs of rows, (rows, rows); eq. 4."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit @ unit.T


def multi_positive_loss(embedded: Tensor, positive: Tensor, temperature: float) -> Tensor:
    """Eq. 6: mean over anchors of the mean over their positives of -log softmax of similarity. embedded:
    (rows, width)."""
    unit = functional.normalize(embedded, dim=-1)
    similarity = unit @ unit.T / temperature
    similarity = similarity.masked_fill(torch.eye(len(unit), dtype=torch.bool, device=unit.device), -1e9)
    log_share = functional.log_softmax(similarity, dim=-1)
    return -((log_share * positive).sum(-1) / positive.sum(-1)).mean()


def train_encoder(
    trunk: nn.Module,
    features: TileFeatures,
    views: np.ndarray,
    has_imagery: np.ndarray,
    seed: int = 0,
    training: EncoderTraining = EncoderTraining(),
    report: Report | None = None,
) -> Encoder:
    """An encoder fitted on the tiles of `features`, without any traffic.

    views: (views, tiles, 512) trunk statistics of each tile's image turned and mirrored; the first is as it
    is.
    """
    torch.manual_seed(seed)
    encoder = Encoder()
    encoder.trunk = trunk
    encoder.poi.fit(features.poi[features.has_poi])
    encoder.population.fit(features.population[features.has_population])
    encoder.neighbourhood.fit(features.neighbourhood[features.has_neighbourhood])
    rows = np.flatnonzero(has_imagery)
    projector = encoder.image
    plain = torch.from_numpy(views[0, rows])
    projector.input_mean.copy_(plain.mean(0))
    projector.input_std.copy_(plain.std(0) + 1e-6)
    turned = torch.from_numpy(views[:, rows])
    positive = torch.from_numpy(positive_pairs(features, rows))
    both = torch.from_numpy((features.has_poi & features.has_population)[rows])
    target = torch.from_numpy(np.column_stack([features.poi, features.population[:, -2:]])[rows]).float()
    target = (target - target[both].mean(0)) / (target[both].std(0) + 1e-6)
    head = nn.Linear(projector.output_mean.shape[0], target.shape[1])
    parameters = [*projector.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, weight_decay=training.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, training.learning_rate, total_steps=training.epochs
    )
    projector.train()
    every = torch.arange(len(rows))
    for epoch in range(training.epochs):
        view = torch.randint(len(turned), (len(rows),))
        seen = projector.standardise(turned[view, every])
        embedded = projector.layers(seen + training.input_noise * torch.randn_like(seen))
        loss = multi_positive_loss(embedded, positive, training.temperature)
        loss = loss + training.head_weight * functional.smooth_l1_loss(head(embedded)[both], target[both])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if report:
            report("encoder", epoch + 1, training.epochs)
    encoder.eval()
    with torch.no_grad():
        embedded = projector.layers(projector.standardise(plain))
        projector.output_mean.copy_(embedded.mean(0))
        projector.output_std.copy_(embedded.std(0) + 1e-6)
    return encoder


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


__all__ = [
    "IMAGE_FEATURES",
    "SERIES",
    "DenoiserTraining",
    "EncoderTraining",
    "PriorTraining",
    "Representation",
    "train_encoder",
    "train_model",
]
