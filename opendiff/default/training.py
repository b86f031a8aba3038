"""Training of the `default` model on tiles with traffic: representation, prior, then the denoiser.

Small enough for two cores, and seeded. The stages on a whole pack: `opendiff.default.pack_training`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from opendiff.conditions import Conditions
from opendiff.default.cities import ready, training_series
from opendiff.default.denoiser import gaussian_denoiser
from opendiff.default.model import ModelConfig, TrafficModel
from opendiff.default.prior_fit import PATTERNS, Unseen, fit_prior, level_noise
from opendiff.default.representation import LEVEL_WIDTH, SHAPE_WIDTH, Representation, roll_days
from opendiff.device import few_threads
from opendiff.observed import City
from opendiff.storage.resume import UNSAVED, TrainingState
from opendiff.week import DAYS
from plannerbase.progress import Progress

TIME_SPREAD = (
    1.2  # of the logit of the times that are trained: most lie where there is much of both data and noise
)
LARGEST_GRADIENT = 1.0  # norm beyond which a gradient is scaled down
WARM_UP = (
    20  # the learning rate grows over the first of so many parts of training, and falls evenly all along
)
MIN_RATE = 0.02  # at the end, of the highest rate
KEEP_ALL = (
    0.6  # share of rows that are trained with all modalities that they have, before `condition_dropout`
)


@dataclass(frozen=True)
class DenoiserTraining:
    """AdamW on batches of tiles, each drawn with a time and a pattern of modalities; an average of the weights is
    kept."""

    steps: int = 2000  # a two-sample classifier on left-out tiles still gained from 500 to 2,000
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    condition_dropout: float = 0.1  # rho of eq. 7
    averaging: float = 0.995  # of the weights that are kept, a step; less in the first steps


def train_model(
    conditions: Conditions,
    series: np.ndarray,
    intensities: np.ndarray,
    blocks: np.ndarray,
    seed: int = 0,
    config: ModelConfig = ModelConfig(),  # noqa: B008 (frozen)
    denoiser_training: DenoiserTraining = DenoiserTraining(),
    device: str = "cpu",
    progress: Progress | None = None,
    state: TrainingState = UNSAVED,
    others: Sequence[City] = (),
    name: str = "",
) -> TrafficModel:
    """The `default` model fitted on tiles with traffic of a city called `name`, and on `others`.

    series: (tiles, 2, 168) traffic and users, NaN where unmeasured; intensities: (tiles, 3) log1p of all POI, business
    POI and log population, NaN where unknown; blocks: (tiles,) spatial block of each tile, which leaves as one. An
    interrupted training goes on from `state`.
    """
    unseen = np.full((len(series), series.shape[-1]), np.nan)
    city = City(name, conditions, series, unseen, intensities, blocks)
    return train_cities([city, *others], seed, config, denoiser_training, device, progress, state)


@few_threads()
def train_cities(
    cities: Sequence[City],
    seed: int = 0,
    config: ModelConfig = ModelConfig(),  # noqa: B008 (frozen)
    denoiser_training: DenoiserTraining = DenoiserTraining(),
    device: str = "cpu",
    progress: Progress | None = None,
    state: TrainingState = UNSAVED,
) -> TrafficModel:
    """The `default` model fitted on cities, of which at least one has traffic. Gaps of the night are filled first."""
    torch.manual_seed(seed)
    cities = ready(cities)
    model = TrafficModel(replace(config, cities=tuple(city.name for city in cities)))
    # without a denoiser to train nothing has to be believed under some modalities only
    count = PATTERNS if denoiser_training.steps else 2
    unseen = fit_prior(model, cities, seed, progress, count)
    truth = torch.from_numpy(training_series(cities)).float()
    measured = [city.conditions.take(city.has_traffic) for city in cities]
    tokens = torch.from_numpy(np.concatenate([part.tokens for part in measured]))
    present = torch.from_numpy(np.concatenate([part.present for part in measured]))
    model.to(device)
    model.representation = model.representation.to(device)
    told = Told(tokens.to(device), present.to(device), unseen)
    fit_denoiser(model, told, truth.to(device), denoiser_training, progress, state)
    return model.eval()


@dataclass(frozen=True)
class Told:
    """What the denoiser learns from beside the series: tokens and present of the tiles (`Conditions`), and what the
    prior believes of them under some patterns of known modalities without having seen their block."""

    tokens: Tensor
    present: Tensor
    unseen: Unseen


def fit_denoiser(
    model: TrafficModel,
    told: Told,
    truth: Tensor,
    training: DenoiserTraining,
    progress: Progress | None,
    state: TrainingState = UNSAVED,
) -> None:
    """Learn the correction to the closed form, against predictions that had not seen the tile's block.

    The network sees the closed form whitened and learns what is missing in units of its error, so every time and tile
    weighs alike. The level has no error: it is told.
    """
    device, representation = truth.device, model.representation
    table = PriorPredictions.of(told.unseen, representation, truth, device)
    patterns = torch.from_numpy(told.unseen.patterns).to(device)
    level, white_noise = representation.level(truth), told.unseen.white.to(device)
    denoiser = model.denoiser
    average = {name: value.clone() for name, value in denoiser.state_dict().items()}
    optimiser = torch.optim.AdamW(
        denoiser.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    warm = max(1, training.steps // WARM_UP)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1, (step + 1) / warm) * max(MIN_RATE, 1 - step / max(1, training.steps))
    )
    denoiser.train()
    done, _ = state.restore({"denoiser": denoiser}, optimiser, schedule, average)
    for step in range(done, training.steps):
        row = torch.randint(len(truth), (training.batch,), device=device)
        pattern = draw_patterns(training.batch, len(patterns), training.condition_dropout, device)
        seen = told.present[row] & patterns[pattern]
        rolled = roll_days(white_noise[row], int(torch.randint(DAYS, ())))  # nobody knows the first weekday
        clean = torch.cat([level[row], rolled], dim=-1)
        mean, deviation, summary, style = table.pick(pattern, row)
        no_root = torch.zeros_like(rolled)  # nothing is decoded
        memory = denoiser.precompute_kv(told.tokens[row], seen, summary, mean, deviation, no_root)
        t = torch.sigmoid(torch.randn(training.batch, device=device) * TIME_SPREAD)
        x = (1 - t)[:, None] * clean + t[:, None] * torch.randn_like(clean)
        gaussian, white, scale = gaussian_denoiser(x, t, mean, deviation)
        known = ((clean - mean) / deviation)[:, :LEVEL_WIDTH]
        white = torch.cat([known, white[:, LEVEL_WIDTH:]], dim=-1)
        target = ((clean - gaussian) / scale)[:, LEVEL_WIDTH:]
        loss = (denoiser.correction(white, t, memory, style)[:, LEVEL_WIDTH:] - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(denoiser.parameters(), LARGEST_GRADIENT)
        optimiser.step()
        schedule.step()
        for name, value in denoiser.state_dict().items():
            average[name].lerp_(value, 1 - min(training.averaging, (step + 1) / (step + 10)))
        state.offer(step + 1, {"denoiser": denoiser}, optimiser, schedule, average)
        if progress:
            progress(step + 1, training.steps, "denoiser")
    denoiser.load_state_dict(average)
    denoiser.eval()


@dataclass(frozen=True)
class PriorPredictions:
    """Means, deviations and summaries of the prior, and the standard normal numbers that give the tiles' styles,
    (PATTERNS, tiles, numbers) each."""

    mean: Tensor
    deviation: Tensor
    summary: Tensor
    style: Tensor

    @staticmethod
    def of(
        unseen: Unseen, representation: Representation, series: Tensor, device: torch.device
    ) -> PriorPredictions:
        """Of all tiles with these series (tiles, 2, 168), for each pattern in turn."""
        predictions, on_host = unseen.predictions, representation.to("cpu")
        styles = [
            on_host.texture.noise_of(
                prediction.style, level_noise(on_host, series.cpu(), prediction), unseen.styles
            )
            for prediction in predictions
        ]
        return PriorPredictions(
            # the noise is told less what a city has in common, so its mean is 0
            torch.stack(
                [functional.pad(prediction.level, (0, SHAPE_WIDTH)) for prediction in predictions]
            ).to(device),
            torch.stack([prediction.deviation() for prediction in predictions]).to(device),
            torch.stack([prediction.summary() for prediction in predictions]).to(device),
            torch.stack(styles).to(device),
        )

    def pick(self, pattern: Tensor, row: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean, deviation, summary and style of tiles `row` (rows,) under patterns (rows,)."""
        mean, deviation, summary, style = (value[pattern, row] for value in vars(self).values())
        return mean, deviation, summary, style


def draw_patterns(count: int, patterns: int, empty: float, device: torch.device) -> Tensor:
    """Patterns of modalities that training rows may keep, (count,) of 0 to patterns - 1: the share `empty` none (eq. 7;
    pattern 1), of the others the share KEEP_ALL all (pattern 0), the rest any."""
    pattern = torch.randint(patterns, (count,), device=device)
    pattern = torch.where(torch.rand(count, device=device) < KEEP_ALL, 0, pattern)
    return torch.where(torch.rand(count, device=device) < empty, 1, pattern)
