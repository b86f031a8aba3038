"""A piece of saved work with every part that the app writes, to be damaged part by part and as a whole."""

from __future__ import annotations

import os
import tempfile
from functools import lru_cache
from pathlib import Path
from unittest.mock import patch

import shapely

from app.background import deployment, sleep, spectrum
from app.saved import library, open_work, packing
from app.server.jobs import Job
from app.state.inputs import Upload
from app.state.results import Made
from app.state.workspace import Workspace
from benchmarks.robustness.corpus import made_ensemble, outlines
from opendiff.area import Area, tiles_covering
from planning.sleep import SleepSettings

ASKED = sleep.SleepRequest(
    ["always-on", "greedy"], SleepSettings(time_limit=2, threads=1), quantile=0.9, held_out=False
)


@lru_cache(maxsize=1)
def parts() -> dict[str, bytes]:
    """The parts of work with traffic, two deployments, sleep and spectrum plans, a place and a file."""
    return {part: make() for part, make in packing.pack(_made()).items()}


@lru_cache(maxsize=1)
def scenario_files() -> list[bytes]:
    """The same as a scenario of the library."""
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, {"OPENDIFF_LIBRARY": folder}):
        return [(Path(folder) / f"{library.save(_made(), 'a')}.gpkg").read_bytes()]


@lru_cache(maxsize=1)
def _made() -> Workspace:
    space = Workspace(work=open_work.new_work())
    area = Area.from_geojson(shapely.geometry.mapping(outlines()[0]), "a")
    tiles = tiles_covering(area)
    space.set_area(area, tiles, 0)
    space.traffic = Made(made_ensemble(), space.basis("area"))
    space.uploads = {"own sites file": Upload("a.csv", b"lon,lat\n115.9,28.6\n")}
    space.drawn_places = [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [115.9, 28.6]}}
    ]
    deployment.start(space, 4, ["traffic", "uniform"], {})
    _finish(space)
    sleep.start(space, ASKED)
    _finish(space)
    spectrum.start(space, 20, 4, {"bandwidth_mhz": 5}, {"time_limit": 1.0})
    _finish(space)
    return space


def _finish(space: Workspace) -> None:
    for name, job in list(space.jobs.items()):
        result = _result(job)
        for step in job.after:
            step(space)
        job.deliver(space, result)
        del space.jobs[name]


def _result(job: Job) -> object:
    job.thread.join()
    if job.error is not None:
        raise job.error
    return job.result
