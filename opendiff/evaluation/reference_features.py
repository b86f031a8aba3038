"""Plain features of tiles, for the reference generators and for probes: no learned parameter, NaN where unknown."""

import numpy as np

from opendiff.area.tile_grid import TILES_ACROSS
from opendiff.open_data.sources import OpenData

IMAGES_AT_ONCE = 16  # so that memory does not grow with the number of tiles
POPULATION_FLOOR = 1e-4  # a hundredth of a median strip of the pack; below it the logarithm says nothing
STEEP = 0.1  # change of brightness a pixel, as a share of the full range, that counts as an edge
BRIGHT, DARK = 0.7, 0.25  # of the full range: brightest channel above, mean brightness below
COARSE = 4  # side, in pixels, of the blocks that are averaged for the coarse gradient
CHANNELS = ("red", "green", "blue")
IMAGE_STATISTICS: tuple[str, ...] = (
    *(f"{channel}_mean" for channel in CHANNELS),
    *(f"{channel}_std" for channel in CHANNELS),
    *(f"{channel}_q{q}" for q in (10, 50, 90) for channel in CHANNELS),
    "gradient_mean",
    "gradient_std",
    "coarse_gradient_mean",
    "coarse_gradient_std",
    "edge_share",
    "saturation_mean",
    "saturation_std",
    "excess_green_mean",
    "excess_green_std",
    "bright_share",
    "dark_share",
    "bluish_share",
)


def image_statistics(imagery: np.ndarray) -> np.ndarray:
    """27 statistics of colour and texture, (tiles, 27) float64 in the order of IMAGE_STATISTICS.

    imagery: (tiles, height, width, 3) uint8, sides divisible by 4. Colours are on 0..1; gradients are taken of the
    mean brightness, at full size and after averaging 4 x 4 pixels; excess green is
    (2 g - r - b) / (r + g + b) (Woebbecke et al. 1995).
    """
    parts = [
        _statistics(imagery[start : start + IMAGES_AT_ONCE])
        for start in range(0, len(imagery), IMAGES_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.empty((0, len(IMAGE_STATISTICS)))


def known_image_statistics(open_data: OpenData) -> np.ndarray:
    """`image_statistics` of each tile, (tiles, 27); NaN where it has no imagery."""
    statistics = np.full((len(open_data.tiles), len(IMAGE_STATISTICS)), np.nan)
    statistics[open_data.has_imagery] = image_statistics(open_data.imagery[open_data.has_imagery])
    return statistics


def tile_features(
    open_data: OpenData,
    surroundings: OpenData | None = None,
    osm_poi: bool = False,
    statistics: np.ndarray | None = None,
) -> np.ndarray:
    """Features (tiles, 27 + 14 + 1) float64: image statistics, log POI counts, log mean population; NaN where unknown.

    With `osm_poi`, log counts of OpenStreetMap are 14 more.
    The twelve population strips of a tile are so alike that as twelve features they would only outweigh the rest.
    With `surroundings` (open data of tiles round about, which may hold the same tiles) the means of the last fifteen
    over a tile's known neighbours, of eight, are appended. statistics: `known_image_statistics` of these tiles, where
    they are at hand already.
    """
    parts = [known_image_statistics(open_data) if statistics is None else statistics, _counts(open_data)]
    if surroundings is not None:
        parts.append(_neighbour_means(open_data, surroundings))
    if osm_poi:
        parts.append(np.where(open_data.has_osm_poi[:, None], np.log1p(open_data.osm_poi), np.nan))
    return np.hstack(parts)


def _statistics(imagery: np.ndarray) -> np.ndarray:
    colour = imagery.astype(np.float32) / 255
    count, height, width, _ = colour.shape
    flat = colour.reshape(count, height * width, 3)
    brightness = colour.mean(axis=-1)
    coarse = brightness.reshape(count, height // COARSE, COARSE, width // COARSE, COARSE).mean(axis=(2, 4))
    steep, coarse_steep = _gradient(brightness), _gradient(coarse)
    highest, lowest, total = flat.max(axis=-1), flat.min(axis=-1), flat.sum(axis=-1)
    saturation = np.divide(highest - lowest, highest, out=np.zeros_like(highest), where=highest > 0)
    excess_green = np.divide(3 * flat[..., 1] - total, total, out=np.zeros_like(total), where=total > 0)
    columns = [
        flat.mean(axis=1, dtype=float),
        flat.std(axis=1, dtype=float),
        *np.quantile(flat, [0.1, 0.5, 0.9], axis=1),
        *(_mean_and_std(steep), _mean_and_std(coarse_steep), (steep > STEEP).mean(axis=(1, 2))[:, None]),
        *(_mean_and_std(saturation), _mean_and_std(excess_green)),
        (highest > BRIGHT).mean(axis=1)[:, None],
        (brightness < DARK).mean(axis=(1, 2))[:, None],
        (flat[..., 2] > flat[..., 0]).mean(axis=1)[:, None],
    ]
    return np.hstack(columns).astype(float)


def _gradient(brightness: np.ndarray) -> np.ndarray:
    down, right = np.gradient(brightness, axis=(1, 2))
    return np.hypot(down, right)


def _mean_and_std(values: np.ndarray) -> np.ndarray:
    values = values.reshape(len(values), -1)
    return np.column_stack([values.mean(axis=1, dtype=float), values.std(axis=1, dtype=float)])


def _counts(open_data: OpenData) -> np.ndarray:
    """Log POI counts and log mean population, (tiles, 15); NaN where unknown."""
    poi = np.where(open_data.has_poi[:, None], np.log1p(open_data.poi), np.nan)
    population = np.log(open_data.population.mean(axis=1, keepdims=True) + POPULATION_FLOOR)
    return np.hstack([poi, np.where(open_data.has_population[:, None], population, np.nan)])


def _neighbour_means(open_data: OpenData, surroundings: OpenData) -> np.ndarray:
    """Mean of `_counts` over the known ones of the eight neighbours of each tile, (tiles, 15); NaN without any."""
    known, values = _keys(surroundings), _counts(surroundings)
    order = np.argsort(known)
    known, values = known[order], values[order]
    step = np.arange(-1, 2)
    offsets = np.delete((step[:, None] * TILES_ACROSS + step).reshape(-1), 4)  # without the tile itself
    wanted = _keys(open_data)[:, None] + offsets
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    near = np.where((known[place] == wanted)[..., None], values[place], np.nan)
    count = np.isfinite(near).sum(axis=1)
    return np.divide(np.nansum(near, axis=1), count, out=np.full(count.shape, np.nan), where=count > 0)


def _keys(open_data: OpenData) -> np.ndarray:
    x, y = (open_data.tiles[axis].to_numpy(np.int64) for axis in ("x", "y"))
    return x * TILES_ACROSS + y
