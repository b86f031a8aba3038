"""How erratic a week is: numbers that are drawn beside its noise, and the map from noise to the week's own part.

Tiles differ less by their hours than by how they keep to them: some repeat a day like clockwork, others jump, and a few
hours tower above the rest. What a root shape has beside its expectation is a profile, the same on every day, and a
rest. Both have a size; the rest consists of whole days, of what changes slowly and of what changes from hour to hour,
and its values have a skew and a tail (the sinh-arcsinh distribution of Jones and Pewsey, Biometrika 2009). These
numbers of a tile are its style. They are normal around what open data says; given them, the rest of the noise is close
to normal, which is where the denoiser starts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from opendiff.week import DAYS, HOURS_PER_DAY, SERIES

# Of each series. Sizes are logarithms; days and roughness are ratios to what changes slowly within a day.
NUMBERS = ("profile", "rest", "days", "roughness", "skew", "tail", "profile tail")
STYLES = SERIES * len(NUMBERS)  # traffic and users in turn
WEEK = (SERIES, DAYS, HOURS_PER_DAY)
MIN_SIZE = 1e-4  # of a part, root of the mean square
SKEWS, TAILS = (-0.6, 1.0), (0.45, 1.4)  # that are drawn; a tail of 1 is that of the normal distribution
# Grids of a tile's skew and tail, and what is expected of them before its week is seen (mean, deviation)
SKEW_GRID, TAIL_GRID = np.linspace(-0.4, 0.8, 13), np.linspace(0.45, 1.25, 17)
USUAL_SKEW, USUAL_TAIL, USUAL_PROFILE_TAIL = (0.2, 0.3), (0.8, 0.25), (0.9, 0.2)
MIN_STYLE_VARIANCE = 1e-4
# Log size of the rest of traffic in a city whose weeks nobody measured: mean and standard deviation over Nanchang
# (-2.4) and stations of Beijing and of Shandong, five of them a tile (-2.7, -3.3). The other sizes go with it.
CITY_SIZE = (-2.8, 0.4)
SIZES = (
    torch.arange(STYLES) < 2 * SERIES
).float()  # the numbers of the style that are sizes, of profile and of rest
QUANTILES = 1000  # of the normal distribution, from which moments are taken


@dataclass(frozen=True)
class Texture:
    """What all tiles have in common; float32 tensors.

    profile_spread, rest_spread: (2, 24) of the hours of the day, mean square 1; parts: (3, 2) usual size of what
    changes slowly, of whole days and of what changes from hour to hour. A tile's style less what is expected of it is
    by_level (STYLES,) times the noise of its level, as busy tiles are steadier, and root (STYLES, STYLES) times
    standard normal numbers.
    """

    profile_spread: Tensor
    rest_spread: Tensor
    parts: Tensor
    by_level: Tensor
    root: Tensor

    @staticmethod
    def blank() -> Texture:
        """One in which nothing is fitted."""
        return Texture(
            torch.ones(SERIES, HOURS_PER_DAY),
            torch.ones(SERIES, HOURS_PER_DAY),
            torch.ones(3, SERIES),
            torch.zeros(STYLES),
            torch.eye(STYLES),
        )

    def to(self, device: torch.device | str, dtype: torch.dtype = torch.float32) -> Texture:
        """The same on another device."""
        return Texture(*(getattr(self, field.name).to(device, dtype) for field in fields(self)))

    def style(self, expected: Tensor, level: Tensor, noise: Tensor) -> Tensor:
        """Styles (rows, STYLES) from what is expected, (rows, STYLES), and standard normal noise: level (rows,) of the
        mean log level, noise (rows, STYLES) of the style."""
        return expected + level[:, None] * self.by_level + noise @ self.root.T

    def noise_of(self, expected: Tensor, level: Tensor, style: Tensor) -> Tensor:
        """The noise (rows, STYLES) of styles (rows, STYLES): `style` backwards."""
        left = style - expected - level[:, None] * self.by_level
        return torch.linalg.solve_triangular(self.root.T, left, upper=True, left=False)

    def apply(self, noise: Tensor, style: Tensor) -> Tensor:
        """What root shapes have beside their expectation, (rows, 336), from coloured noise (rows, 336) and styles
        (rows, STYLES)."""
        profile_size, rest_size, days_ratio, rough_ratio, skew, tail, profile_tail = (
            part[..., None, None] for part in style.unflatten(-1, (len(NUMBERS), SERIES)).unbind(-2)
        )
        week = noise.unflatten(-1, WEEK)
        profile = week.mean(-2, keepdim=True)
        slow, days, rough = split(week - profile)
        usual = self.parts[..., None, None]
        rest = slow / usual[0] + days * (days_ratio.exp() / usual[1]) + rough * (rough_ratio.exp() / usual[2])
        rest = torch.asinh(rest / size(rest)) + skew.clamp(*SKEWS)
        rest = torch.sinh(rest / tail.clamp(*TAILS)) * self.rest_spread[:, None]
        rest = rest - rest.mean(-2, keepdim=True)
        rest = rest * (rest_size.exp() / size(rest))
        profile = profile / self.profile_spread[:, None]
        profile = torch.sinh(torch.asinh(profile / size(profile)) / profile_tail.clamp(*TAILS))
        profile = profile * self.profile_spread[:, None]
        return (rest + profile * (profile_size.exp() / size(profile))).flatten(1)


def split(rest: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of (rows, series, 7, 24): what changes slowly within a day, whole days (..., 7, 1), and the rest; they add up."""
    days = rest.mean(-1, keepdim=True)
    within = rest - days
    hours = within.flatten(-2)
    slow = ((hours.roll(1, -1) + hours.roll(-1, -1)) / 4 + hours / 2).unflatten(-1, rest.shape[-2:])
    return slow, days, within - slow


def size(part: Tensor) -> Tensor:
    """Root of the mean square of (rows, series, days, hours), (rows, series, 1, 1)."""
    return part.square().mean((-2, -1), keepdim=True).sqrt().clamp_min(MIN_SIZE)


# ---- from measured weeks --------------------------------------------------------------------------------------------


def fit_texture(residual: np.ndarray) -> tuple[Texture, np.ndarray, np.ndarray]:
    """The texture of root shapes less their expectation, (tiles, 336); the noise (tiles, 336) and styles (tiles,
    STYLES) that they are made of. `by_level` and `root` are left blank: they need what open data says of the styles
    (`with_styles`)."""
    week = torch.from_numpy(np.asarray(residual, float)).unflatten(-1, WEEK)
    profile = week.mean(-2, keepdim=True)
    rest = week - profile
    spreads = [_spread_of_hours(part / size(part)) for part in (profile, rest)]
    parts = torch.ones(3, SERIES, dtype=week.dtype)
    none = torch.zeros(STYLES, dtype=week.dtype), torch.eye(STYLES, dtype=week.dtype)
    blank = Texture(spreads[0], spreads[1], parts, *none)
    numbers, sizes = _numbers(blank, week)[1:]
    usual = sizes.log().mean(1).exp()
    texture = Texture(spreads[0], spreads[1], usual, *none)
    noise = _numbers(texture, week)[0]
    return texture.to("cpu"), noise.flatten(1).numpy(), numbers.flatten(1).numpy()


def with_styles(texture: Texture, level: np.ndarray, left: np.ndarray) -> Texture:
    """The texture with how styles depend on the level and vary. level: (tiles,) noise of the mean log level; left:
    (tiles, STYLES) styles less what was expected of them, both of tiles that had not been seen."""
    slope = level @ left / (level @ level)
    beside = left - level[:, None] * slope
    root = np.linalg.cholesky(beside.T @ beside / len(beside) + MIN_STYLE_VARIANCE * np.eye(STYLES))
    return replace(texture, by_level=torch.from_numpy(slope).float(), root=torch.from_numpy(root).float())


def texture_of(texture: Texture, residual: np.ndarray, series: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Noise (tiles, series, 168) and numbers (tiles, len(NUMBERS), series) of root shapes less their expectation,
    (tiles, series, 168), of some of the series."""
    week = torch.from_numpy(np.asarray(residual, float)).unflatten(-1, WEEK[1:])
    exact = texture.to("cpu", torch.float64)
    of_series = exact.profile_spread[series], exact.rest_spread[series], exact.parts[:, series]
    noise, numbers, _ = _numbers(Texture(*of_series, exact.by_level, exact.root), week)
    return noise.flatten(2).numpy(), numbers.numpy()


def _numbers(texture: Texture, week: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Noise like week (rows, series, 7, 24), numbers (rows, 7, series) of the style, and sizes (3, rows, series) of the
    rest's parts: `Texture.apply` backwards."""
    profile = week.mean(-2, keepdim=True)
    rest = week - profile
    profile_size, rest_size = size(profile), size(rest)
    level = rest / texture.rest_spread[:, None]
    skew, tail = likeliest(level, USUAL_SKEW, USUAL_TAIL, SKEW_GRID)
    normal = _normal(level, skew, tail)
    slow, days, rough = split(normal - normal.mean(-2, keepdim=True))
    sizes = [size(part) for part in (slow, days, rough)]
    usual = texture.parts[..., None, None]
    rest_noise = slow / sizes[0] * usual[0] + days / sizes[1] * usual[1] + rough / sizes[2] * usual[2]
    hours = profile / texture.profile_spread[:, None]
    none, profile_tail = likeliest(hours, (0.0, 1.0), USUAL_PROFILE_TAIL, np.zeros(1))
    hours = _normal(hours, none, profile_tail)
    hours = hours / size(hours) * texture.profile_spread[:, None]
    numbers = [
        profile_size.log(), rest_size.log(), (sizes[1] / sizes[0]).log(), (sizes[2] / sizes[0]).log(), skew, tail,
        profile_tail,
    ]  # fmt: skip
    styles = torch.stack([number[..., 0, 0] for number in numbers], dim=1)
    return hours + rest_noise, styles, torch.stack([one[..., 0, 0] for one in sizes])


def _spread_of_hours(part: Tensor) -> Tensor:
    """(series, 24) standard deviation of the hours of the day over rows and days, mean square 1."""
    spread = part.transpose(0, 1).flatten(1, 2).std(1).clamp_min(MIN_SIZE)
    return spread / spread.square().mean(-1, keepdim=True).sqrt()


def likeliest(
    values: Tensor, usual_skew: tuple[float, float], usual_tail: tuple[float, float], skews: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Skew and tail (rows, series, 1, 1) of the greatest posterior density of values (rows, series, days, hours)."""
    values = values / size(values)
    best = torch.full(values.shape[:2], -torch.inf, dtype=values.dtype)
    skew, tail = torch.zeros_like(best), torch.ones_like(best)
    for one in skews:
        for other in TAIL_GRID:
            mean, spread = _moments(torch.tensor(one), torch.tensor(other))
            moved = values * spread + mean
            inner = other * torch.asinh(moved) - one
            density = inner.cosh().log() + np.log(other) - 0.5 * torch.log1p(moved**2) + spread.log()
            total = (density - 0.5 * inner.sinh() ** 2).sum((-2, -1))
            total = total - ((one - usual_skew[0]) / usual_skew[1]) ** 2 / 2
            total = total - ((other - usual_tail[0]) / usual_tail[1]) ** 2 / 2
            better = total > best
            best = torch.where(better, total, best)
            skew, tail = torch.where(better, one, skew), torch.where(better, other, tail)
    return skew[..., None, None], tail[..., None, None]


def _normal(values: Tensor, skew: Tensor, tail: Tensor) -> Tensor:
    """Values (rows, series, days, hours) as normal numbers, by their skew and tail (rows, series, 1, 1)."""
    mean, spread = (moment[..., None, None] for moment in _moments(skew[..., 0, 0], tail[..., 0, 0]))
    return torch.sinh(tail * torch.asinh(values / size(values) * spread + mean) - skew)


def _moments(skew: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of sinh((asinh(z) + skew) / tail), z standard normal."""
    share = (torch.arange(QUANTILES, dtype=torch.float64) + 0.5) / QUANTILES
    z = torch.special.ndtri(share)
    values = torch.sinh((torch.asinh(z) + skew[..., None]) / tail[..., None])
    return values.mean(-1), values.std(-1, correction=0)
