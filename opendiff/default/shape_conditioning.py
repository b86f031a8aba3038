"""The shape of the week given measured tiles: exact in the Gaussian part of the model.

The whitened shape of a tile is z_i = m_i + s_i (sqrt(q) g + sqrt(1 - q) e_i), g common to all tiles of a sample. What
is measured is a linear map of it: all hours of traffic and users, those of one of them, or the mean day. In coordinates
in which that map is orthogonal every direction is a problem of its own with two variances, so the posterior of g and e
is a weighted mean. q, the share that a city has in common, and a factor of s are found by maximum likelihood: of a city
that was not measured before nobody knows its usual day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from opendiff.default.prior import Belief
from opendiff.default.profile_conditioning import ProfileUpdate, fit_profiles
from opendiff.default.representation import LEVEL_WIDTH, SHAPE_WIDTH, Representation
from opendiff.measurements import Measurements
from opendiff.week import DAYS, HOURS, HOURS_A_DAY, SERIES

MEASURED_NOISE = 0.05  # variance of a measured shape from week to week, in units of what a tile leaves open
SHARES = (0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.85)  # that a new city may have in common
FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)  # of the standard deviation of the shape
ROWS, SAMPLES = 256, 32  # tiles and samples of a matrix product
CERTAIN = 0.05  # a direction of less than this share of the usual variance tells nothing


@dataclass(frozen=True)
class ShapePosterior:
    """What measured tiles tell of the shape, in the whitened coordinates (`directions` are rows of unit length).

    directions: (measured directions, 336). common_mean, common_std: (directions,) of g. share: q. factor: of s. own:
    (measured tiles, directions) what each tile shows, NaN in tiles that show no shape; noise: variance of it.
    """

    directions: np.ndarray
    common_mean: np.ndarray
    common_std: np.ndarray
    share: float
    factor: float
    own: np.ndarray
    noise: float

    def of_tiles(self, measured: np.ndarray, shared: Tensor) -> ConditionedShape:
        """Of tiles and samples. measured: (tiles,) row among the measured tiles, -1 for others; shared: (samples, 336)
        standard normal noise, in multiples of SAMPLES."""
        basis = torch.from_numpy(self.directions).float()
        mean, std = (torch.from_numpy(v).float() for v in (self.common_mean, self.common_std))
        q, factor = self.share, self.factor
        drawn = shared.cpu()
        common = torch.cat(
            [part + (mean + (std - 1) * (part @ basis.T)) @ basis for part in drawn.split(SAMPLES)]
        )
        along = torch.cat([part @ basis.T for part in common.split(SAMPLES)])
        told = torch.full((len(measured), len(basis)), torch.nan)
        inside = measured >= 0
        told[inside] = torch.from_numpy(self.own[measured[inside]]).float()
        known = torch.isfinite(told).all(dim=1) & bool(len(basis))
        shift = (factor * np.sqrt(q) * (mean @ basis)).repeat(len(measured), 1)
        variance = 1 - q * ((1 - std**2)[:, None] * basis**2).sum(0).repeat(len(measured), 1)
        # the tile's own noise given the common part: what it shows, drawn a little to the common part
        left = (1 - q) / (1 - q + self.noise)
        expected = np.sqrt(q) * mean * (1 - left) + left * told.nan_to_num()
        for start in range(
            0, len(measured), ROWS
        ):  # products of one shape round a tile alike wherever it stands
            rows = torch.arange(start, start + ROWS).clamp_max(len(measured) - 1)
            turned = (expected[rows] @ basis)[: len(measured) - start]
            mine = known[start : start + ROWS]
            shift[start : start + ROWS][mine] = factor * turned[mine]
        spread = (1 - left) ** 2 * q * std**2 + (1 - q) * (1 - left)
        variance[known] = 1 - ((1 - spread)[:, None] * basis**2).sum(0)
        deviation = factor * variance.clamp_min(1e-6).sqrt()
        device = shared.device
        on = [v.to(device) for v in (basis, common, along, told.nan_to_num(), known, shift, deviation)]
        return ConditionedShape(on[0], on[1], on[2], on[3], on[4], on[5], on[6], q, factor, left)


@dataclass(frozen=True)
class ConditionedShape:
    """The shape's noise of tiles and samples, given the measured ones.

    shift, deviation: (tiles, 336) mean shift and standard deviation of the whitened shape, in units of `Belief.spread`.
    common: (samples, 336), along: the same in the measured directions; told: (tiles, directions) what measured tiles
    show; known: (tiles,) bool. left: share of what a measured tile shows beside the common part that is its own.
    """

    basis: Tensor
    common: Tensor
    along: Tensor
    told: Tensor
    known: Tensor
    shift: Tensor
    deviation: Tensor
    q: float
    factor: float
    left: float

    def noise(self, own: Tensor, tile: Tensor, sample: Tensor) -> Tensor:
        """Noise (rows, 336) around shift, standard normal in every coordinate; own: (rows, 336) standard normal; tile,
        sample: (rows,) of each row."""
        root, own_root = float(np.sqrt(self.q)), float(np.sqrt(1 - self.q))
        drawn = own
        known = self.known[tile]
        if bool(known.any()):
            seen = (self.told[tile] - root * self.along[sample]) * (self.left / own_root)
            seen = seen + (np.sqrt(1 - self.left) - 1) * (own @ self.basis.T)
            drawn = torch.where(known[:, None], own + seen @ self.basis, own)
        value = self.factor * (root * self.common[sample] + own_root * drawn)
        return (value - self.shift[tile]) / self.deviation[tile]


def profiles_of(
    representation: Representation, belief: Belief, measurements: Measurements
) -> ProfileUpdate | None:
    """What the measured weeks of a city tell of how hours differ between its tiles (`profile_conditioning`)."""
    if measurements.traffic.shape[1] == 1:
        return None
    known = _known(measurements)
    maps = _map(known, measurements.traffic.shape[1])
    profiles = representation.profiles.double().numpy()
    expected = representation.shape_mean.double().numpy() + belief.profile.double().numpy() @ profiles
    missed = _roots(measurements, known) - expected @ maps.T
    return fit_profiles(belief.loading.double().numpy(), missed, profiles @ maps.T)


def shape_posterior(
    representation: Representation, belief: Belief, share: float, measurements: Measurements, new_city: bool
) -> ShapePosterior:
    """What the measured shapes tell, of tiles that the belief expects (in the order of the measurements)."""
    if measurements.traffic.shape[1] == 1:  # means without hours
        nothing = np.zeros((len(measurements.x), 0))
        return ShapePosterior(
            np.zeros((0, SHAPE_WIDTH)), np.zeros(0), np.ones(0), share, 1.0, nothing + np.nan, MEASURED_NOISE
        )
    known = _known(measurements)
    maps = _map(known, measurements.traffic.shape[1])
    colour = representation.colour.double().numpy()
    factor_of = maps @ colour.T  # of whitened coordinates to what is measured
    left, values, right = np.linalg.svd(factor_of, full_matrices=False)
    good = values**2 > CERTAIN * np.median(values**2)
    directions = right[good]
    roots = _roots(measurements, known) - maps @ representation.shape_mean.double().numpy()
    expected = (belief.mean(representation)[:, LEVEL_WIDTH:]).double().numpy() @ directions.T
    seen = (roots @ left[:, good]) / values[good]
    own = (seen - expected) / belief.spread[:, LEVEL_WIDTH].double().numpy()[:, None]
    rows = np.isfinite(own).all(axis=1)
    if not rows.any():
        zero, one = np.zeros(len(directions)), np.ones(len(directions))
        return ShapePosterior(directions, zero, one, share, 1.0, np.full(own.shape, np.nan), MEASURED_NOISE)
    told = own[rows]
    shares, factors = (SHARES, FACTORS) if new_city and len(told) > 1 else ((share,), (1.0,))
    _, q, factor = min(
        (_loss(told, one, scale), one, scale) for one in sorted({*shares, share}) for scale in factors
    )
    own, told = own / factor, told / factor
    precision = 1 + len(told) * q / (1 - q + MEASURED_NOISE)
    mean = np.sqrt(q) * told.sum(axis=0) / (1 - q + MEASURED_NOISE) / precision
    std = np.full(len(directions), 1 / np.sqrt(precision))
    return ShapePosterior(directions, mean, std, q, factor, own, MEASURED_NOISE)


def _loss(told: np.ndarray, q: float, factor: float) -> float:
    """Negative log likelihood of what tiles show, (tiles, directions), with the share q in common."""
    tiles, directions = told.shape
    z = told / factor
    own = 1 - q + MEASURED_NOISE
    together = own + tiles * q
    mean = z.mean(axis=0)
    fit = np.square(z - mean).sum() / own + tiles * np.square(mean).sum() / together
    logs = directions * ((tiles - 1) * np.log(own) + np.log(together))
    return float(fit + logs) / 2 + tiles * directions * float(np.log(factor))


def _known(measurements: Measurements) -> tuple[bool, bool]:
    """Whether the shape is told by traffic, by users: by both where every tile has both, else by the more frequent."""
    traffic, users = measurements.has_traffic, measurements.has_users
    if traffic.all() or users.all():
        return bool(traffic.all()), bool(users.all())
    return bool(traffic.sum() >= users.sum()), bool(traffic.sum() < users.sum())


def _map(known: tuple[bool, bool], hours: int) -> np.ndarray:
    """(measured, 336) what of the root shapes of traffic and users is measured: the hours of a week, or of a day."""
    series = np.flatnonzero(known)
    full = np.eye(SHAPE_WIDTH).reshape(SERIES, HOURS, SHAPE_WIDTH)[series]
    if hours == HOURS:
        return full.reshape(-1, SHAPE_WIDTH)
    daily: np.ndarray = full.reshape(len(series), DAYS, HOURS_A_DAY, SHAPE_WIDTH).mean(axis=1)
    return daily.reshape(-1, SHAPE_WIDTH)


def _roots(measurements: Measurements, known: tuple[bool, bool]) -> np.ndarray:
    """(tiles, measured) root shapes, NaN where a tile lacks one of the quantities."""
    parts = []
    for name, has in zip(("traffic", "users"), known, strict=True):
        if has:
            values = getattr(measurements, name)
            mean = values.mean(axis=1, keepdims=True)
            with np.errstate(invalid="ignore", divide="ignore"):
                parts.append(np.where(mean > 0, np.sqrt(values / mean), np.nan))
    return np.concatenate(parts, axis=1)
