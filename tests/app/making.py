"""Areas and traffic for the tests of the app, and waiting for its jobs."""

import threading

import numpy as np

from opendiff.area import Area, tile_frame
from opendiff.area.tile_grid import tile_bounds
from opendiff.traffic_table import TrafficEnsemble

X0, Y0, SIDE = 26930, 13660, 8  # the tiles of the test pack
WAIT = 60  # seconds, on a machine with other work; a job that ends sooner is not waited for longer


def box_of_tiles(x0, y0, x1, y1, name="Test area"):
    """The area of whole tiles x0..x1, y0..y1."""
    west, _, _, north = (float(v) for v in tile_bounds(x0, y0))
    _, south, east, _ = (float(v) for v in tile_bounds(x1, y1))
    return Area.from_box(west, south, east, north, name)


def ensemble(tiles, area, samples=5, seed=0):
    """Traffic with a day's course and noise: shapes and metadata as the generator's."""
    rng = np.random.default_rng(seed)
    hours = np.arange(168)
    day = 1.2 + np.sin((hours % 24 - 9) / 24 * 2 * np.pi)
    level = rng.lognormal(0, 0.5, len(tiles))
    traffic = level[:, None, None] * day * rng.lognormal(0, 0.2, (len(tiles), samples, 168))
    intensities = {
        name: level * rng.lognormal(0, 0.1, len(tiles)) for name in ("poi", "business_poi", "population")
    }
    metadata = {
        "unit": "relative",
        "samples": samples,
        "seed": seed,
        "area": area.to_geojson(),
        "area_name": area.name,
    }
    return TrafficEnsemble(
        tile_frame(tiles["x"], tiles["y"], tiles["covered_share"]),
        traffic.astype(np.float32),
        (0.5 * traffic).astype(np.float32),
        intensities,
        metadata,
    )


def until_finished(job):
    """The job, once its thread has come to its end."""
    for thread in threading.enumerate():
        if thread.name == f"job: {job.label}":
            thread.join(WAIT)
    assert job.finished
    return job
