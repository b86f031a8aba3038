"""Our own models behind the interface of the baselines: the published method, its ablations, and `default`.

The reduced denoiser is the one of `opendiff.paper` with six hours a token and 50 steps, as CSDI has here, so that
the two differ by what OpenDiff adds: attention to the condition, its dropout, and guidance. It is told what all are
told, not an image embedding alone; the whole published method takes hours and is judged by `opendiff evaluate`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from opendiff.area import tile_frame
from opendiff.baselines.csdi import LAST_BETA, PATCH, STEPS, adam_with_drops, descend, noise_of, velocity
from opendiff.baselines.harness import HOURS, Budget, Draw, NeuralBaseline, Standard, TileConditions
from opendiff.conditions import INTENSITIES, MODALITIES, TOKEN_WIDTHS, TOKENS_WIDTH, Conditions
from opendiff.default.training import train_model
from opendiff.errors import ModelError
from opendiff.generator import TrafficGenerator
from opendiff.paper.ddpm import guided, sample_ddpm
from opendiff.paper.denoiser import DenoiserConfig
from opendiff.paper.model import PaperConfig, PaperModel
from opendiff.week import SERIES

FREE_MODALITIES = MODALITIES[:3]
FREE = sum(TOKEN_WIDTHS[:3])  # numbers that tokens of imagery and POI hold
STAND_IN_SPREAD = 0.01  # of the level of a stand-in for users, so that it has a distribution of its own


@dataclass(frozen=True)
class Ablation:
    """tokens: keys of the attention to the condition; one key has weight 1 whatever the hour, so the condition is only
    added (NA). condition_dropout and guidance_scale 0: no classifier-free guidance (NC). forgets: the condition is
    zeroed after the first step, as in the authors' public sampler. patch, steps, last_beta: hours a token, steps and
    the last beta of the schedule."""

    tokens: int = 8
    condition_dropout: float = 0.5
    guidance_scale: float = 0.2
    forgets: bool = False
    patch: int = PATCH
    steps: int = STEPS
    last_beta: float = LAST_BETA


class Published(NeuralBaseline):
    """The published denoiser, as a rule reduced, on traffic; the second of its two series is traffic again."""

    network: PaperModel
    on_gpu = True

    def __init__(self, ablation: Ablation = Ablation()):
        self.ablation = ablation

    def build(self, width: int, weeks: Tensor) -> None:
        denoiser = DenoiserConfig(
            condition_width=width,
            tokens=self.ablation.tokens,
            steps=self.ablation.steps,
            patch=self.ablation.patch,
        )
        self.network = PaperModel(
            PaperConfig(
                denoiser,
                1e-4,
                self.ablation.last_beta,
                self.ablation.condition_dropout,
                self.ablation.guidance_scale,
            )
        )
        self.optimiser, self.rate = adam_with_drops(self.network.denoiser, self.budget.updates)

    def update(self, draw: Draw) -> None:
        condition, clean = draw()
        clean = clean[:, None].expand(-1, SERIES, -1)
        step, noise = torch.randint(self.ablation.steps, (len(clean),)), torch.randn_like(clean)
        kept = torch.rand(len(clean)) >= self.ablation.condition_dropout  # eq. 7, each sample on its own
        memory = self.network.denoiser.precompute_kv(condition * kept[:, None])
        schedule = self.network.schedule
        estimate = self.network.denoiser(schedule.noised(clean, noise, step), step, memory)
        aim = velocity(schedule, clean, noise, step)
        descend(functional.mse_loss(estimate, aim), self.optimiser, self.rate)

    def weeks(self, condition: Tensor) -> Tensor:
        rows, scale = len(condition), self.ablation.guidance_scale
        cond = self.network.precompute_kv(condition)
        uncond = self.network.precompute_kv(torch.zeros_like(condition))
        both = cond.followed_by(uncond) if scale else cond

        def estimate(x: Tensor, step: int) -> Tensor:
            at = torch.tensor([step])
            if self.ablation.forgets and step < self.ablation.steps - 1:
                return self.network.denoiser(x, at, uncond)  # both branches of eq. 8 are this one
            found = self.network.denoiser(x, at, both)
            return guided(found[:rows], found[rows:], scale) if scale else found

        schedule = self.network.schedule
        made = sample_ddpm(noise_of(estimate, schedule), lambda _: torch.randn(rows, SERIES, HOURS), schedule)
        return made[:, 0]

    def forgetful(self) -> Published:
        """The same weights with the sampler that is public."""
        other = copy.copy(self)
        other.ablation = replace(self.ablation, forgets=True)
        return other


class Default:
    """The `default` model. It is fitted for the most part in closed form, each row by what the other groups say, and
    its few updates were chosen on inner folds once; no row is held back to stop it."""

    def fit(self, conditions: TileConditions, series: np.ndarray, seed: int, budget: Budget) -> Self:
        self.standard = Standard.of(conditions.vectors)
        both = with_users(series, seed)
        unknown = np.full((len(series), len(INTENSITIES)), np.nan)
        self.model = train_model(self.conditions(conditions), both, unknown, conditions.groups, seed)
        return self

    def sample(self, conditions: TileConditions, samples: int, seed: int) -> np.ndarray:
        return (
            TrafficGenerator(self.model, mirrored=False)
            .generate(self.conditions(conditions), samples, seed)
            .traffic
        )

    def conditions(self, told: TileConditions) -> Conditions:
        """Vectors that are not the encoder's own tokens take the places of imagery's and POI's."""
        vectors = told.vectors
        if vectors.shape[1] == TOKENS_WIDTH + len(MODALITIES):
            tokens, present = vectors[:, :TOKENS_WIDTH], vectors[:, TOKENS_WIDTH:] > 0.5
        elif vectors.shape[1] <= FREE:
            tokens = np.zeros((len(vectors), TOKENS_WIDTH), np.float32)
            tokens[:, : vectors.shape[1]] = self.standard(vectors).numpy()
            present = np.tile([name in FREE_MODALITIES for name in MODALITIES], (len(vectors), 1))
        else:
            raise ModelError(
                f"Conditions of {vectors.shape[1]} numbers do not fit the model default; give at most {FREE}."
            )
        tiles = tile_frame(np.arange(len(vectors)), np.zeros(len(vectors), int))
        return Conditions(tiles, np.ascontiguousarray(tokens), present)


def with_users(series: np.ndarray, seed: int) -> np.ndarray:
    """Series (rows, 2, 168); where users are not known, traffic with a little noise on its level stands in."""
    if series.shape[1] == SERIES:
        return series
    level = np.exp(STAND_IN_SPREAD * np.random.default_rng(seed).standard_normal((len(series), 1, 1)))
    return np.concatenate([series, series * level], axis=1).astype(np.float32)


LITERAL = Ablation(patch=1, steps=400, last_beta=0.05)  # an hour a token and the schedule as published
NO_ATTENTION = replace(Ablation(), tokens=1)
NO_GUIDANCE = replace(Ablation(), condition_dropout=0.0, guidance_scale=0.0)
