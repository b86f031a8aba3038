"""A user's files, made here: an aerial image, a table of places and a raster of people of one small city."""

import numpy as np
import pandas as pd
import rasterio
from rasterio.transform import from_bounds

from opendiff.area import tile_frame
from opendiff.area.tile_grid import tile_bounds

COLUMN, ROW, SIDE = 17_100, 11_200, 3


def own_tiles(margin=0):
    x, y = np.meshgrid(
        np.arange(COLUMN - margin, COLUMN + SIDE + margin), np.arange(ROW - margin, ROW + SIDE + margin),
        indexing="ij",
    )  # fmt: skip
    return tile_frame(x.ravel(), y.ravel())


def bounds_of(margin=0):
    west, _, _, north = tile_bounds(COLUMN - margin, ROW - margin)
    _, south, east, _ = tile_bounds(COLUMN + SIDE - 1 + margin, ROW + SIDE - 1 + margin)
    return float(west), float(south), float(east), float(north)


def box_text(inset=1e-4):
    west, south, east, north = bounds_of()
    return f"{west + inset},{south + inset},{east - inset},{north - inset}"


def write_image(path, bounds=None, size=(900, 900), crs="EPSG:4326", bands=3, dtype="uint8", **options):
    """A smooth picture whose red grows eastwards and whose green grows southwards."""
    width, height = size
    red = np.linspace(0, 250, width)[None].repeat(height, 0)
    green = np.linspace(0, 250, height)[:, None].repeat(width, 1)
    pixels = np.stack([red, green, np.full((height, width), 128.0), np.full((height, width), 255.0)])[:bands]
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=bands, dtype=dtype, crs=crs,
        transform=from_bounds(*(bounds or bounds_of(1)), width, height), tiled=True, **options,
    ) as raster:  # fmt: skip
        raster.write(pixels.astype(dtype))
    return path


def write_places(path, count=600, seed=0, separator=","):
    rng = np.random.default_rng(seed)
    west, south, east, north = bounds_of(5)
    categories = ["catering", "shopping", "Education culture", "company", "nonsense"]
    pd.DataFrame(
        {
            "lon": rng.uniform(west, east, count).round(6),
            "lat": rng.uniform(south, north, count).round(6),
            "category": rng.choice(categories, count),
        }
    ).to_csv(path, index=False, sep=separator)
    return path


def write_people(path):
    west, south, east, north = bounds_of(5)
    people = np.random.default_rng(1).gamma(0.5, 40, (120, 150)).astype(np.float32)
    with rasterio.open(
        path, "w", driver="GTiff", width=150, height=120, count=1, dtype="float32", crs="EPSG:4326",
        transform=from_bounds(west, south, east, north, 150, 120), nodata=-99999.0,
    ) as raster:  # fmt: skip
        raster.write(people, 1)
    return path
