"""Reference generators: what a conditional generator of traffic must beat, fitted on the same tiles as it is.

Each has `fit(features, traffic)` and `sample(features, samples, seed)`: features (tiles, any) float with NaN where
unknown (`reference_features`), traffic (tiles, 168), samples out (tiles, samples, 168) float32, in the unit of
the traffic. They generate traffic only. None sees the tiles that it is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import RidgeCV

from opendiff.week import HOURS_PER_DAY

RIDGE_PENALTIES = np.logspace(1, 5, 9)  # the one with the least error of left-out tiles is taken
# Added to a shape (mean 1) before its logarithm: the nightly gap in the measurement leaves hours of nearly zero, whose
# logarithms would otherwise be most of the variance.
SHAPE_OFFSET = 0.05
Seed = int | np.random.SeedSequence


class Reference(Protocol):
    """A generator that is fitted on some tiles and samples weeks of others; shapes as at the head of this module."""

    def fit(self, features: np.ndarray, traffic: np.ndarray) -> Self: ...

    def sample(self, features: np.ndarray, samples: int, seed: int = 0) -> np.ndarray: ...


@dataclass
class RandomTiles:
    """The weeks of training tiles drawn at random, whatever the tile."""

    traffic: np.ndarray = field(init=False, repr=False)

    def fit(self, features: np.ndarray, traffic: np.ndarray) -> Self:
        self.traffic = traffic
        return self

    def sample(self, features: np.ndarray, samples: int, seed: int = 0) -> np.ndarray:
        chosen = np.random.default_rng(seed).integers(0, len(self.traffic), (len(features), samples))
        return self.traffic[chosen].astype(np.float32)


@dataclass
class MeanProfile:
    """The mean week of the training tiles, the same for every tile and sample."""

    traffic: np.ndarray = field(init=False, repr=False)

    def fit(self, features: np.ndarray, traffic: np.ndarray) -> Self:
        self.traffic = traffic.mean(axis=0)
        return self

    def sample(self, features: np.ndarray, samples: int, seed: int = 0) -> np.ndarray:
        return np.broadcast_to(self.traffic, (len(features), samples, len(self.traffic))).astype(np.float32)


@dataclass
class NearestTiles:
    """The weeks of the `neighbours` training tiles nearest in standardised features, drawn at random."""

    neighbours: int = 10
    traffic: np.ndarray = field(init=False, repr=False)
    scaled: np.ndarray = field(init=False, repr=False)
    scaling: "Scaling" = field(init=False, repr=False)

    def fit(self, features: np.ndarray, traffic: np.ndarray) -> Self:
        self.scaling = Scaling.of(features)
        self.scaled, self.traffic = self.scaling(features), traffic
        return self

    def sample(self, features: np.ndarray, samples: int, seed: Seed = 0) -> np.ndarray:
        scaled = self.scaling(features)
        distance = np.square(scaled[:, None] - self.scaled).sum(axis=2)
        nearest = np.argsort(distance, axis=1, kind="stable")[:, : self.neighbours]
        drawn = np.random.default_rng(seed).integers(0, nearest.shape[1], (len(features), samples))
        return self.traffic[np.take_along_axis(nearest, drawn, axis=1)].astype(np.float32)


@dataclass
class TreesNearestShapes:
    """A level from extra-trees (`TreeLevel`) times the shape of one of the nearest training tiles; spread: of the
    level, 1 is calibrated."""

    neighbours: int = 20
    spread: float = 1.0
    level: "TreeLevel" = field(init=False, repr=False)
    shape: NearestTiles = field(init=False, repr=False)

    def fit(self, features: np.ndarray, traffic: np.ndarray) -> Self:
        self.level = TreeLevel(self.spread).fit(features, traffic)
        self.shape = NearestTiles(self.neighbours).fit(features, _shapes(traffic))
        return self

    def sample(self, features: np.ndarray, samples: int, seed: int = 0) -> np.ndarray:
        level_seed, shape_seed = np.random.SeedSequence(seed).spawn(2)
        level = self.level.sample(features, samples, level_seed)
        return (level[..., None] * self.shape.sample(features, samples, shape_seed)).astype(np.float32)


@dataclass
class TreesRidgeShape:
    """A level from extra-trees (`TreeLevel`) times a shape whose logarithm is Gaussian: ridge regression gives its
    mean, the residuals (each predicted without its own tile) a covariance shrunk by Ledoit and Wolf (2004)."""

    spread: float = 1.0
    level: "TreeLevel" = field(init=False, repr=False)
    scaling: "Scaling" = field(init=False, repr=False)
    ridge: RidgeCV = field(init=False, repr=False)
    factor: np.ndarray = field(init=False, repr=False)

    def fit(self, features: np.ndarray, traffic: np.ndarray) -> Self:
        self.level = TreeLevel(self.spread).fit(features, traffic)
        self.scaling = Scaling.of(features)
        scaled, log_shape = self.scaling(features), np.log(_shapes(traffic) + SHAPE_OFFSET)
        self.ridge = RidgeCV(RIDGE_PENALTIES).fit(scaled, log_shape)
        residual = log_shape - self.ridge.predict(scaled)
        left_out = residual / (1 - _leverage(scaled, self.ridge.alpha_))[:, None]
        self.factor = np.linalg.cholesky(LedoitWolf().fit(left_out).covariance_)
        return self

    def sample(self, features: np.ndarray, samples: int, seed: int = 0) -> np.ndarray:
        level_seed, shape_seed = np.random.SeedSequence(seed).spawn(2)
        mean = self.ridge.predict(self.scaling(features))
        noise = np.random.default_rng(shape_seed).standard_normal((len(features), samples, mean.shape[1]))
        shape = np.maximum(np.exp(mean[:, None] + noise @ self.factor.T) - SHAPE_OFFSET, 0)
        level = self.level.sample(features, samples, level_seed)
        return (level[..., None] * _shapes(shape)).astype(np.float32)


@dataclass
class ProcessNearestShapes:
    """A level whose cube root is a Gaussian process over the features (one length for all, noise beside it, by marginal
    likelihood) times the shape of one of the nearest training tiles."""

    neighbours: int = 20
    scaling: "Scaling" = field(init=False, repr=False)
    process: GaussianProcessRegressor = field(init=False, repr=False)
    shape: NearestTiles = field(init=False, repr=False)

    def fit(self, features: np.ndarray, traffic: np.ndarray) -> Self:
        self.scaling = Scaling.of(features)
        scaled, root = self.scaling(features), np.cbrt(traffic.mean(axis=1, dtype=float))
        kernel = ConstantKernel() * RBF(np.sqrt(scaled.shape[1])) + WhiteKernel()
        self.process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0).fit(scaled, root)
        self.shape = NearestTiles(self.neighbours).fit(features, _shapes(traffic))
        return self

    def sample(self, features: np.ndarray, samples: int, seed: int = 0) -> np.ndarray:
        level_seed, shape_seed = np.random.SeedSequence(seed).spawn(2)
        mean, spread = self.process.predict(self.scaling(features), return_std=True)
        noise = np.random.default_rng(level_seed).standard_normal((len(features), samples))
        level = np.maximum(mean[:, None] + spread[:, None] * noise, 0) ** 3
        return (level[..., None] * self.shape.sample(features, samples, shape_seed)).astype(np.float32)


@dataclass
class TreeLevel:
    """The weekly mean of a tile: extra-trees on its cube root plus residuals drawn from the training tiles.

    The residuals are out of bag, so their spread is that of new tiles; `spread` scales it. On the cube root it hardly
    depends on the level. On the logarithm the quiet tiles, which matter least, would set the spread of the busy ones;
    measured in cross-validation the cube root is the better one.
    """

    spread: float = 1.0
    trees: int = 500
    scaling: "Scaling" = field(init=False, repr=False)
    forest: ExtraTreesRegressor = field(init=False, repr=False)
    residuals: np.ndarray = field(init=False, repr=False)

    def fit(self, features: np.ndarray, traffic: np.ndarray) -> Self:
        self.scaling = Scaling.of(features)
        root = np.cbrt(traffic.mean(axis=1, dtype=float))
        self.forest = ExtraTreesRegressor(
            self.trees, min_samples_leaf=3, max_features=1 / 3, bootstrap=True, oob_score=True, random_state=0
        ).fit(self.scaling(features), root)
        self.residuals = root - self.forest.oob_prediction_
        return self

    def sample(self, features: np.ndarray, samples: int, seed: Seed = 0) -> np.ndarray:
        """Levels (tiles, samples), at least 0."""
        drawn = np.random.default_rng(seed).choice(self.residuals, (len(features), samples))
        root = self.forest.predict(self.scaling(features))[:, None] + self.spread * drawn
        return np.maximum(root, 0) ** 3


@dataclass(frozen=True)
class Scaling:
    """Features to mean 0 and variance 1 over the training tiles; unknown ones to 0, with one flag for each group of
    features that are unknown together."""

    mean: np.ndarray
    deviation: np.ndarray
    flagged: np.ndarray  # one feature of each group
    flag_mean: np.ndarray
    flag_deviation: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "Scaling":
        """The scaling of training features (tiles, any)."""
        unknown = np.isnan(features)
        count = np.maximum((~unknown).sum(axis=0), 1)
        mean = np.where(unknown, 0, features).sum(axis=0) / count
        deviation = np.sqrt(np.where(unknown, 0, np.square(features - mean)).sum(axis=0) / count)
        _, flagged = np.unique(unknown, axis=1, return_index=True)
        flagged = flagged[unknown[:, flagged].any(axis=0) & ~unknown[:, flagged].all(axis=0)]
        flags = unknown[:, flagged]
        return cls(
            mean, np.where(deviation > 0, deviation, 1), flagged, flags.mean(axis=0), flags.std(axis=0)
        )

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Features (tiles, any) scaled, and the flags, (tiles, any + groups)."""
        scaled = np.nan_to_num((features - self.mean) / self.deviation, nan=0.0)
        flags = (np.isnan(features[:, self.flagged]) - self.flag_mean) / self.flag_deviation
        return np.hstack([scaled, flags])


def references() -> dict[str, Reference]:
    """A new, unfitted generator of each kind, by the name under which it is reported.

    A spread of 0.7 is what the project's published figures were measured with; the full one is calibrated.
    """
    return {
        "random tiles": RandomTiles(),
        "mean profile": MeanProfile(),
        "10 nearest tiles": NearestTiles(10),
        "extra-trees level x 20 nearest shapes": TreesNearestShapes(20),
        "extra-trees level (spread 0.7) x ridge shape": TreesRidgeShape(0.7),
        "extra-trees level x ridge shape": TreesRidgeShape(),
        "Gaussian-process level x 20 nearest shapes": ProcessNearestShapes(20),
    }


def held_out(
    reference: Reference,
    features: np.ndarray,
    traffic: np.ndarray,
    folds: np.ndarray,
    samples: int = 60,
    seed: int = 0,
    kept: Callable[[int], np.ndarray] | None = None,
) -> np.ndarray:
    """Samples (tiles, samples, 168) of every tile from the reference fitted on the tiles of all other folds; kept: mask
    (tiles,) of those that are fitted on for a fold, where it is not all others."""
    ensemble = np.empty((len(traffic), samples, traffic.shape[1]), np.float32)
    for number, fold in enumerate(np.unique(folds)):
        test = folds == fold
        train = ~test if kept is None else kept(fold)
        fitted = reference.fit(features[train], traffic[train])
        ensemble[test] = fitted.sample(features[test], samples, seed + number)
    return ensemble


def other_days(traffic: np.ndarray) -> np.ndarray:
    """An oracle, not a generator: each hour on the tile's own other days, an ensemble (tiles, days - 1, hours)."""
    tiles, hours = traffic.shape
    days = traffic.reshape(tiles, hours // HOURS_PER_DAY, HOURS_PER_DAY)
    others = [np.roll(days, shift, axis=1).reshape(tiles, hours) for shift in range(1, days.shape[1])]
    return np.stack(others, axis=1)


def _shapes(traffic: np.ndarray) -> np.ndarray:
    """Series divided by their mean; a silent series is flat."""
    level = traffic.mean(axis=-1, keepdims=True)
    return np.divide(traffic, level, out=np.ones_like(traffic), where=level > 0)


def _leverage(scaled: np.ndarray, penalty: float) -> np.ndarray:
    """Diagonal of the hat matrix of ridge regression with an unpenalised intercept, (tiles,)."""
    centred = scaled - scaled.mean(axis=0)
    gram = centred.T @ centred + penalty * np.eye(centred.shape[1])
    return 1 / len(scaled) + np.einsum("tf,ft->t", centred, np.linalg.solve(gram, centred.T))
