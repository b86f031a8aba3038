"""Training of the model `paper` on tiles with traffic: noise estimation (eq. 1) with the condition dropped (eq. 7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from opendiff.paper.model import PaperConfig, PaperModel
from opendiff.storage.resume import TrainingState
from plannerbase.progress import Progress

DROP = 0.1  # what the learning rate is multiplied by, twice


@dataclass(frozen=True)
class SamplerTraining:
    """Adam and its two drops of the learning rate as in the published configuration; no average of the weights is
    kept, because the paper keeps none."""

    epochs: int = 100
    batch: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 1e-6
    drops: tuple[float, float] = (0.75, 0.9)  # shares of the epochs after which the rate falls to a tenth


def train_paper_model(
    condition: np.ndarray,
    present: np.ndarray,
    series: np.ndarray,
    seed: int = 0,
    config: PaperConfig = PaperConfig(),  # noqa: B008 (frozen)
    training: SamplerTraining = SamplerTraining(),
    device: str = "cpu",
    state: TrainingState | None = None,
    progress: Progress | None = None,
) -> tuple[PaperModel, list[float]]:
    """The model fitted on tiles with traffic, and the mean loss of each epoch.

    condition: (tiles, 128) embeddings, which count where present (tiles,); series: (tiles, 2, 168) traffic and users.
    The condition is dropped for each sample on its own, with probability rho; a tile without imagery trains the
    unconditional branch only.
    """
    torch.manual_seed(seed)
    model = PaperModel(config).to(device)
    truth = torch.from_numpy(series).float().to(device)
    model.fit_scale(truth)
    clean = model.scaled(truth)
    known = torch.from_numpy(present).to(device)
    told = torch.where(known[:, None], torch.from_numpy(condition).float().to(device), 0.0)
    state = state or TrainingState(None, "")
    optimiser = torch.optim.Adam(
        model.denoiser.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    drops = [round(share * training.epochs) for share in training.drops]
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda epoch: DROP ** sum(epoch >= drop for drop in drops)
    )
    parts = {"model": model}
    done, notes = state.restore(parts, optimiser, schedule)
    history = list(notes.get("history", []))
    count = len(clean)
    model.train()
    for epoch in range(done, training.epochs):
        total = 0.0
        for rows in torch.randperm(count).split(training.batch):
            loss = noise_loss(model, clean[rows.to(device)], told[rows.to(device)])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(rows)
        schedule.step()
        history.append(total / count)
        state.offer(epoch + 1, parts, optimiser, schedule, notes={"history": history})
        if progress:
            progress(epoch + 1, training.epochs, "sampler")
    return model.eval(), history


def noise_loss(model: PaperModel, clean: Tensor, condition: Tensor) -> Tensor:
    """Mean square error of the estimated noise (eq. 1) at random steps, each condition dropped with probability rho."""
    rows = len(clean)
    step = torch.randint(model.config.steps, (rows,)).to(clean.device)
    noise = torch.randn(clean.shape).to(clean.device)
    kept = (torch.rand(rows) >= model.config.condition_dropout).to(clean.device)
    memory = model.denoiser.precompute_kv(torch.where(kept[:, None], condition, 0.0))
    return functional.mse_loss(model.denoiser(model.schedule.noised(clean, noise, step), step, memory), noise)
