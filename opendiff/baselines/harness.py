"""What all baselines share: what they are told, the scale of the traffic, the budget and the rule of early stopping."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn

from opendiff import metrics

HOURS = 168
ROWS_PER_CALL = 256  # rows a call when sampling

# gives a batch of conditions (rows, width) and scaled weeks (rows, hours)
Draw = Callable[[], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Budget:
    """The same for every baseline. updates: of the network that generates, each with `batch` training weeks (critics
    have theirs besides); checks: how often validation CRPS is taken on the rows held back; patience: checks without a
    better one before training stops; device: where networks learn and sample that gain by it."""

    updates: int = 600
    batch: int = 16
    checks: int = 6
    patience: int = 3
    held_back: float = 0.15
    check_rows: int = 24
    check_samples: int = 4
    device: str = "cpu"


@dataclass(frozen=True)
class TileConditions:
    """What is known of each row. vectors: (rows, width) float32, all open data side by side; graph: (rows, any)
    float32 embedding in a knowledge graph; groups: (rows,) int, rows that leave together when some are held back
    (spatial blocks)."""

    vectors: np.ndarray
    graph: np.ndarray
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.groups)

    def take(self, rows: np.ndarray) -> TileConditions:
        """The conditions of some rows (an index or a mask)."""
        return TileConditions(self.vectors[rows], self.graph[rows], self.groups[rows])


class Sampler(Protocol):
    """What generates weeks of traffic for rows that it has not seen."""

    def sample(self, conditions: TileConditions, samples: int, seed: int) -> np.ndarray:
        """Traffic (rows, samples, 168) float32, at least 0, in the unit of the series."""
        ...


class Baseline(Sampler, Protocol):
    """A generator that is fitted on some rows and samples weeks of traffic for others."""

    def fit(self, conditions: TileConditions, series: np.ndarray, seed: int, budget: Budget) -> Self:
        """series: (rows, series, 168), the first of which is traffic (users may follow), at least 0."""
        ...


@dataclass(frozen=True)
class RootScale:
    """Square roots, whose spread is nearly the same for quiet and busy tiles, to mean 0 and variance 1; one scale for
    all tiles and hours, so that the level is generated and not given away."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, traffic: np.ndarray) -> RootScale:
        """The scale of training traffic, of any shape."""
        root = np.sqrt(traffic)
        return cls(float(root.mean()), float(root.std()) or 1.0)

    def scaled(self, traffic: np.ndarray) -> np.ndarray:
        """Traffic, of any shape, on the scale that networks learn."""
        return ((np.sqrt(traffic) - self.mean) / self.deviation).astype(np.float32)

    def traffic(self, scaled: np.ndarray) -> np.ndarray:
        """The way back from `scaled`; at least 0."""
        return np.square(np.maximum(scaled * self.deviation + self.mean, 0)).astype(np.float32)


@dataclass(frozen=True)
class Standard:
    """Columns to mean 0 and variance 1 over the training rows; a constant one becomes 0."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Standard:
        """The standard of training values (rows, columns)."""
        deviation = values.std(axis=0)
        return cls(values.mean(axis=0), np.where(deviation > 1e-6, deviation, 1.0))

    def __call__(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy((values - self.mean) / self.deviation).float()


def held_back(groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Mask (rows,) of whole groups that hold about `share` of the rows; at least one group, never all."""
    names, count = np.unique(groups, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    before = np.cumsum(count[order]) - count[order]
    chosen = before < share * len(groups)
    chosen[-1] = False
    return np.isin(groups, names[order[chosen]])


class EarlyStopping:
    """Keeps the weights with the lowest validation CRPS, and says when to stop."""

    def __init__(self, network: nn.Module, patience: int):
        self.network, self.patience = network, patience
        self.best, self.weights, self.waited = np.inf, copy.deepcopy(network.state_dict()), 0

    def over(self, score: float) -> bool:
        """Take note of a validation CRPS; True when training is to stop."""
        self.waited += 1
        if score < self.best:
            self.best, self.weights, self.waited = score, copy.deepcopy(self.network.state_dict()), 0
        return self.waited >= self.patience

    def restore(self) -> None:
        """Give the network back its best weights."""
        self.network.load_state_dict(self.weights)


class NeuralBaseline(ABC):
    """A baseline that is a network: subclasses build it, update it and let it generate."""

    network: nn.Module  # all that generates; what early stopping keeps
    held: tuple[
        TileConditions, np.ndarray, int
    ]  # rows that no update saw, their traffic (rows, 168), and the seed
    told: str = "vectors"  # the field of the conditions that it is told
    on_gpu: bool = (
        False  # whether a GPU is worth it: updates of 16 rows leave one waiting, calls of many steps do not
    )

    @abstractmethod
    def build(self, width: int, weeks: Tensor) -> None:
        """Make `network` for conditions of `width` numbers; weeks: (rows, 168) scaled training weeks."""

    @abstractmethod
    def update(self, draw: Draw) -> None:
        """One update of what generates; `draw` gives a new batch each time."""

    @abstractmethod
    def weeks(self, condition: Tensor) -> Tensor:
        """Scaled weeks (rows, 168) for standardised conditions (rows, width), one each."""

    def fit(self, conditions: TileConditions, series: np.ndarray, seed: int, budget: Budget) -> Self:
        """As `Baseline.fit`: updates until the budget or the patience is spent, then the best weights."""
        torch.manual_seed(seed)
        values, traffic = getattr(conditions, self.told), series[:, 0]
        self.standard, self.scale = Standard.of(values), RootScale.of(traffic)
        told, scaled = self.standard(values), self.scale.scaled(traffic)
        back = held_back(conditions.groups, budget.held_back, seed)
        checked = np.random.default_rng(seed).permutation(np.flatnonzero(back))[: budget.check_rows]
        self.budget, self.done = budget if self.on_gpu else replace(budget, device="cpu"), 0
        stopping = self.begin(told[~back], torch.from_numpy(scaled[~back]))
        every = max(1, budget.updates // budget.checks)
        for self.done in range(1, budget.updates + 1):
            self.step()
            if self.done % every == 0:
                made = self.scale.scaled(self.sample(conditions.take(checked), budget.check_samples, seed))
                if stopping.over(float(metrics.crps(scaled[checked], made).mean())):
                    break
        stopping.restore()
        self.held = conditions.take(back), traffic[back], seed
        return self

    def begin(self, told: Tensor, weeks: Tensor) -> EarlyStopping:
        """Make the network on the device of the budget, where the rows to learn from are as well."""
        self.rows = told.to(self.budget.device), weeks.to(self.budget.device)
        with torch.device(self.budget.device):
            self.build(told.shape[1], self.rows[1])
        return EarlyStopping(self.network, self.budget.patience)

    def step(self) -> None:
        """One update."""
        told, weeks = self.rows

        def draw() -> tuple[Tensor, Tensor]:
            rows = torch.randint(len(told), (self.budget.batch,))
            return told[rows], weeks[rows]

        self.network.train()
        with torch.device(self.budget.device):
            self.update(draw)

    def sample(self, conditions: TileConditions, samples: int, seed: int) -> np.ndarray:
        """As `Baseline.sample`; the same seed gives the same weeks, and draws outside are not disturbed."""
        told = self.standard(getattr(conditions, self.told)).repeat_interleave(samples, 0)
        drawing_on = [self.budget.device] if self.budget.device == "cuda" else []
        with torch.random.fork_rng(devices=drawing_on):
            torch.manual_seed(seed)
            made = self.all_weeks(told).cpu().numpy()
        return self.scale.traffic(made).reshape(len(conditions), samples, HOURS)

    def all_weeks(self, told: Tensor) -> Tensor:
        """`weeks` for any number of conditions (rows, width), in calls of bounded size."""
        self.network.eval()
        with torch.no_grad(), torch.device(self.budget.device):
            return torch.cat([self.weeks(part.to(self.budget.device)) for part in told.split(ROWS_PER_CALL)])


def other_conditions(conditions: TileConditions, samples: int, seed: int) -> TileConditions:
    """Conditions (rows * samples) drawn from all rows at random: weeks sampled under them, one each, are the model's
    unconditional weeks."""
    drawn = np.random.default_rng(seed).integers(len(conditions), size=len(conditions) * samples)
    return conditions.take(drawn)
