"""The shape of the week given measured tiles: exact in the Gaussian part of the model.

The whitened noise of a tile's shape is z_i = f (sqrt(q) g + sqrt(1 - q) e_i), g common to all tiles of a sample. A
measured shape tells the style of its tile, and given that a linear map of z_i (`texture`): all hours of traffic and
users, those of one of them, or the mean day. In coordinates
in which that map is orthogonal every direction is a problem of its own with two variances, so the posterior of g and e
is a weighted mean. q, the share that a city has in common, and the factor f are found by maximum likelihood: of a city
that was not measured before nobody knows its usual day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from opendiff.default.prior import Prior, PriorPrediction
from opendiff.default.profile_conditioning import ProfileUpdate, fit_profiles
from opendiff.default.representation import SHAPE_WIDTH, Representation
from opendiff.default.texture import NUMBERS, STYLES, Texture, texture_of
from opendiff.measurements import Measurements
from opendiff.week import DAYS, HOURS, HOURS_PER_DAY, SERIES

MEASURED_NOISE = 0.05  # variance of a measured shape from week to week, in units of what a tile leaves open
SHARES = (0.01, 0.03, 0.06, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.85)  # that a new city may have in common
FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)  # of the standard deviation of the shape
FEW_TILES = 4  # as many measured tiles count as much as what is usual, in the mean style of a new city
TOLD_BY_A_DAY = (0, len(NUMBERS) - 1)  # numbers of the style: size and tail of the profile
ROWS, SAMPLES = 256, 32  # tiles and samples of a matrix product
CERTAIN = 0.05  # a direction of less than this share of the usual variance tells nothing


@dataclass(frozen=True)
class ShapePosterior:
    """What measured tiles tell of the shape, in the whitened coordinates (`directions` are rows of unit length).

    directions: (measured directions, 336). common_mean, common_std: (directions,) of g. share: q. factor: of s. own:
    (measured tiles, directions) what each tile shows, NaN in tiles that show no shape; noise: variance of it; styles:
    what the measured tiles tell of styles. offset: (336,) of root shapes in a new city beside what is expected.
    """

    directions: np.ndarray
    common_mean: np.ndarray
    common_std: np.ndarray
    share: float
    factor: float
    own: np.ndarray
    noise: float
    styles: Styles
    offset: np.ndarray

    @staticmethod
    def unconditioned(directions: np.ndarray, share: float, tiles: int) -> ShapePosterior:
        """Where measured tiles (a number) show no shape."""
        zero, one = np.zeros(len(directions)), np.ones(len(directions))
        nothing = np.full((tiles, len(directions)), np.nan)
        styles, offset = Styles.unknown(tiles), np.zeros(SHAPE_WIDTH)
        return ShapePosterior(directions, zero, one, share, 1.0, nothing, MEASURED_NOISE, styles, offset)

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

    shift, deviation: (tiles, 336) mean shift and standard deviation of the whitened noise of the shape.
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


@dataclass(frozen=True)
class Styles:
    """What measured tiles tell of styles (`texture`).

    shift: (STYLES,) of the city beside what is expected, open: share of the standard deviation that it still has. own:
    (measured tiles, STYLES) expected style of each beside what was expected before, NaN where it shows no shape; root:
    (STYLES, STYLES) of what is left open of it.
    """

    shift: Tensor
    open: float
    own: Tensor
    root: Tensor

    @staticmethod
    def unknown(tiles: int) -> Styles:
        """Where measured tiles (a number) tell nothing."""
        return Styles(torch.zeros(STYLES), 1.0, torch.full((tiles, STYLES), torch.nan), torch.eye(STYLES))

    def style(
        self,
        texture: Texture,
        expected: Tensor,
        level: Tensor,
        noise: Tensor,
        measured: np.ndarray,
        of_city: Tensor,
    ) -> Tensor:
        """Styles (rows, STYLES) as `Texture.style` makes them; measured: (rows,) row among the measured tiles, -1 for
        others; of_city: (rows, STYLES) what the city would have beside the expected if no tile of it were measured."""
        row = torch.from_numpy(measured).to(expected.device)
        own = (
            self.own.to(expected)[row.clamp_min(0)]
            if len(self.own)
            else expected.new_full(expected.shape, torch.nan)
        )
        known = (row >= 0)[:, None] & own.isfinite()
        free = texture.style(expected + self.shift.to(expected) + self.open * of_city, level, noise)
        return torch.where(known, expected + own + noise @ self.root.to(expected).T, free)


def told_styles(texture: Texture, left: np.ndarray, told: np.ndarray, unmeasured: bool) -> Styles:
    """From left (measured tiles, STYLES), styles less what was expected of them, of which the numbers `told`
    (STYLES,) are known; NaN in tiles without a shape. unmeasured: training knew no week of the city."""
    root = texture.root.double().numpy()
    by_level = texture.by_level.double().numpy()
    covariance = root @ root.T + np.outer(by_level, by_level)
    # the told numbers are themselves
    gain = covariance[:, told] @ np.linalg.inv(covariance[np.ix_(told, told)])
    open_ = covariance - gain @ covariance[told]
    values, vectors = np.linalg.eigh((open_ + open_.T) / 2)
    rows = np.isfinite(left[:, told]).all(axis=1)
    mean, known = np.zeros(told.sum()), 0.0
    if unmeasured and rows.any():
        known = float(rows.sum() / (rows.sum() + FEW_TILES))
        mean = left[rows][:, told].mean(axis=0) * known
    parts = gain @ mean, left[:, told] @ gain.T, vectors * np.sqrt(values.clip(0))
    shift, own, left_root = (torch.from_numpy(part).float() for part in parts)
    return Styles(shift, float(np.sqrt(1 - known)), own, left_root)


def profiles_of(
    representation: Representation, prediction: PriorPrediction, measurements: Measurements
) -> ProfileUpdate | None:
    """What the measured weeks of a city tell of how hours differ between its tiles (`profile_conditioning`)."""
    if measurements.traffic.shape[1] == 1:
        return None
    known = _known(measurements)
    maps = _map(known, measurements.traffic.shape[1])
    profiles = representation.profiles.double().numpy()
    expected = representation.shape_mean.double().numpy() + prediction.profile.double().numpy() @ profiles
    missed = _roots(measurements, known) - expected @ maps.T
    return fit_profiles(prediction.loading.double().numpy(), missed, profiles @ maps.T)


def shape_posterior(
    representation: Representation,
    prediction: PriorPrediction,
    prior: Prior,
    measurements: Measurements,
    new_city: bool,
) -> ShapePosterior:
    """What the measured shapes tell, of tiles that the prediction expects (in the order of the measurements)."""
    share = float(prior.shared_shape) if new_city else 0.0  # a training city's is known
    common = prior.common[prediction.city.to(prior.common.device)].double().cpu().numpy()
    tiles, hours = len(measurements.x), measurements.traffic.shape[1]
    if hours == 1:  # means without hours
        return ShapePosterior.unconditioned(np.zeros((0, SHAPE_WIDTH)), share, tiles)
    known = _known(measurements)
    maps = _map(known, hours)
    colour = representation.colour.double().numpy()
    factor_of = maps @ colour.T  # of whitened coordinates to what is measured
    left, values, right = np.linalg.svd(factor_of, full_matrices=False)
    good = values**2 > CERTAIN * np.median(values**2)
    directions = right[good]
    missed = (
        _roots(measurements, known) - representation.expected(prediction.profile).double().numpy() @ maps.T
    )
    rows = np.isfinite(missed).all(axis=1)
    if not rows.any():
        return ShapePosterior.unconditioned(directions, share, tiles)
    of_city = _city_mean(missed[rows]) if new_city else np.zeros(len(maps))
    missed = missed - of_city
    series = np.flatnonzero(known).tolist()
    week = missed[rows].reshape(rows.sum(), len(series), hours)
    made, numbers = texture_of(representation.texture, np.tile(week, HOURS // hours), series)
    made = made.reshape(*made.shape[:2], HOURS // hours, hours).mean(axis=2).reshape(len(made), -1)
    own = np.full((tiles, len(directions)), np.nan)
    own[rows] = (made @ left[:, good]) / values[good] - common[rows] @ directions.T
    told = own[rows]
    styles = told_styles(
        representation.texture,
        *_styles_left(prediction, rows, numbers, series, hours),
        bool((prior.city_style[prediction.city.to(prior.city_style.device), 1] > 0).any()),
    )
    shares, factors = (SHARES, FACTORS) if new_city and len(told) > 1 else ((share,), (1.0,))
    _, q, factor = min(
        (_loss(told, one, scale), one, scale) for one in sorted({*shares, share}) for scale in factors
    )
    own, told = own / factor, told / factor
    precision = 1 + len(told) * q / (1 - q + MEASURED_NOISE)
    mean = np.sqrt(q) * told.sum(axis=0) / (1 - q + MEASURED_NOISE) / precision
    std = np.full(len(directions), 1 / np.sqrt(precision))
    return ShapePosterior(
        directions, mean, std, q, factor, own, MEASURED_NOISE, styles, _in_a_week(of_city, known)
    )


def _city_mean(missed: np.ndarray) -> np.ndarray:
    """What root shapes of tiles, (tiles, measured), have in common: their mean, less the share of it that is noise."""
    count = len(missed)
    mean = missed.mean(axis=0)
    noise = np.square(missed - mean).mean() / max(count - 1, 1)
    return np.asarray(mean * max(0.0, 1 - noise / max(float(np.square(mean).mean()), 1e-12)))


def _in_a_week(mean: np.ndarray, known: tuple[bool, bool]) -> np.ndarray:
    """(336,) of what is measured of some series, the same on every day where it is of a day; 0 of a series without."""
    series = np.flatnonzero(known)
    found = np.zeros((SERIES, HOURS))
    of_hours = mean.reshape(len(series), -1)
    found[series] = np.tile(of_hours, HOURS // of_hours.shape[1])
    return found.reshape(-1)


def _styles_left(
    prediction: PriorPrediction, rows: np.ndarray, numbers: np.ndarray, series: list[int], hours: int
) -> tuple[np.ndarray, np.ndarray]:
    """Styles (tiles, STYLES) less what is expected, NaN where unknown, and which numbers (STYLES,) are known."""
    known = np.zeros((len(NUMBERS), SERIES), bool)
    of_hours = list(range(len(NUMBERS)) if hours == HOURS else TOLD_BY_A_DAY)
    known[np.ix_(of_hours, series)] = True
    of_rows = np.full((len(numbers), len(NUMBERS), SERIES), np.nan)
    of_rows[:, :, series] = numbers
    found = np.full((len(rows), len(NUMBERS), SERIES), np.nan)
    found[rows] = of_rows
    flat = np.where(known, found, np.nan).reshape(len(rows), -1)
    return flat - prediction.style.double().numpy(), known.reshape(-1)


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
    daily: np.ndarray = full.reshape(len(series), DAYS, HOURS_PER_DAY, SHAPE_WIDTH).mean(axis=1)
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
