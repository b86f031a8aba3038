"""Areas and traffic for the tests of the app, and waiting for its jobs."""

import threading

import numpy as np
import pandas as pd
import pytest

from app.background import deployment, job_panel, sleep, spectrum
from app.map import area_entry
from app.saved import library, open_work
from app.state.results import Made
from app.state.workspace import Workspace
from opendiff.area import Area, tile_frame, tiles_covering
from opendiff.area.tile_grid import tile_bounds
from opendiff.open_data.sources import POI_COLUMNS, POPULATION_COLUMNS
from opendiff.traffic_table import TrafficEnsemble
from planning.deployment.siting import SitingSettings
from planning.prb import baseline, hours
from planning.sleep import SleepSettings

X0, Y0, SIDE = 26930, 13660, 8  # the tiles of the test pack
WAIT = 300  # seconds at most, on a machine with other work; a job that ends sooner is not waited for longer


def box_of_tiles(x0, y0, x1, y1, name="Test area"):
    """The area of whole tiles x0..x1, y0..y1."""
    west, _, _, north = (float(v) for v in tile_bounds(x0, y0))
    _, south, east, _ = (float(v) for v in tile_bounds(x1, y1))
    return Area.from_box(west, south, east, north, name)


def write_pack(folder):
    """A pack of 8 x 8 tiles; POI and population on all but the first column of tiles."""
    x, y = (v.ravel() for v in np.meshgrid(np.arange(X0, X0 + SIDE), np.arange(Y0, Y0 + SIDE), indexing="ij"))
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"z": 15, "x": x, "y": y})
    known = x > X0
    for column in POI_COLUMNS:
        table[column] = np.where(known, rng.poisson(5, len(x)), np.nan)
    for column in POPULATION_COLUMNS:
        table[column] = np.where(known, rng.random(len(x)), np.nan)
    folder.mkdir()
    table.to_parquet(folder / "tiles.parquet")
    return folder


def space_over(pack):
    """A workspace on the pack with an area of 3 x 3 tiles and a week of five samples for it."""
    space = Workspace(source=str(pack))
    area = box_of_tiles(X0 + 2, Y0 + 2, X0 + 4, Y0 + 4)
    tiles = tiles_covering(area)
    space.set_area(area, tiles, len(tiles))
    space.traffic = Made(ensemble(tiles, area), space.basis("area"))
    return space


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


def keep_traffic(folder):
    """Open work with traffic on the example area, in a library in this folder; its number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENDIFF_LIBRARY", str(folder))
        space = _with_traffic()
        open_work.keep(space).result()
    return space.work


def keep_finished_work(folder):
    """The same with all kinds of plans, which the library holds as "Kept aside", too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENDIFF_LIBRARY", str(folder))
        plan_few_hours(patch)
        space = _with_traffic()
        deployment.start(space, 20, ["uniform", "optimised"], {"siting": SitingSettings(time_limit=1)})
        finished(space)
        settings = SleepSettings(time_limit=4, threads=1, allow_unserved=True)
        sleep.start(space, sleep.SleepRequest(["always-on", "greedy"], settings, quantile=0.9))
        finished(space)
        spectrum.start(space, 20, 12, {}, {"time_limit": 1.0})
        finished(space)
        spectrum.start_hours(space)
        finished(space)
        open_work.keep(space).result()
        library.save(space, "Kept aside")
    return space.work


def _with_traffic():
    space = Workspace(work=open_work.new_work())
    area_entry.example(space)
    space.traffic = Made(ensemble(space.tiles, space.area), space.basis("area"))
    return space


def plan_few_hours(patch):
    """Of the spectrum by hour the solver plans every eighth hour, and a rule the others, in no time."""
    solved = hours.plan_hour

    def plan_hour(task):
        if task.problem.users.hour % 8 == 4:
            return solved(task)
        return baseline(task.problem, "best-sinr", task.settings)

    patch.setattr(spectrum, "SECONDS_AN_HOUR", 0.3)
    patch.setattr(hours, "plan_hour", plan_hour)


def finished(space):
    """Hand over the results of the jobs of a workspace."""
    for job in space.jobs.values():
        until_finished(job)
        assert job.error is None
    job_panel.deliver_finished(space)


def until_finished(job):
    """The job, once its thread has come to its end."""
    for thread in threading.enumerate():
        if thread.name == f"job: {job.label}":
            thread.join(WAIT)
    assert job.finished
    return job
