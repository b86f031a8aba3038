"""Traffic for the area in the background: the model is loaded once a server and shared by all its users."""

import gc
import importlib
import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.background import session_jobs
from app.background.measuring import conditioned, worth
from app.map.region import open_region
from app.server import jobs
from app.server.cache import SharedCache
from app.server.limits import check_ensemble
from app.server.reading import read_apart
from app.state.inputs import DEMO
from app.state.results import Made
from app.state.workspace import Workspace
from plannerbase import formats, guard

if TYPE_CHECKING:
    from opendiff.measurements import Measurements
    from opendiff.traffic_table import TrafficEnsemble

log = logging.getLogger(__name__)

JOB = "traffic"
PLANNERS = (  # modules in the order in which a first plan needs them
    "planning.deployment",
    "planning.sleep",
    "planning.prb.hours",
    "planning.scenario",
    "app.charts.sleep",
)
CALM_SECONDS = 10.0  # without a job, since the last one or since the server is warm
MAX_CALM_SECONDS = 600.0
COLLECT_AFTER_SECONDS = 0.2
_warming = threading.Lock()
_warm_done = threading.Event()
_garbage = threading.Event()  # runs of pages have left some
_models: SharedCache[Any] = SharedCache(1, lambda model: 1)


def generator() -> Any:
    """The default model, its checksum verified. Raises ModelError."""
    from opendiff.generator import TrafficGenerator

    return _models.get("default", lambda: TrafficGenerator.load("default", device="cpu"))


def warm_up() -> None:
    """Import and load in the background what the first generation and the first plans need, once a server."""
    if _warming.acquire(blocking=False):  # never released
        threading.Thread(target=_warm, args=(True,), name="warm-up", daemon=True).start()


def warm_up_first() -> None:
    """The same before the server lets anybody in: where many come at once, all of them would wait for it."""
    if _warming.acquire(blocking=False):
        _warm()


def _warm(calmly: bool = False) -> None:
    """calmly: what reads files of users is started once no work has run for a moment: a first plan comes sooner."""
    try:
        read_apart()
        open_region(DEMO)
        generator()  # what the user needs first comes first
        for name in PLANNERS:
            importlib.import_module(name)
    except Exception:  # it comes up again, and is then shown, when traffic is generated
        log.warning("The model could not be loaded ahead of time.", exc_info=True)
    gc.collect()
    gc.freeze()  # what was loaded stays; no later collection has to walk through it
    _warm_done.set()
    threading.Thread(target=_collect, name="collect garbage", daemon=True).start()
    if calmly:
        _until_calm()
    try:
        guard.warm()
    except Exception:  # as above, when a file is read
        log.warning("What reads files could not be started ahead of time.", exc_info=True)


def _until_calm() -> None:
    begun = time.monotonic()
    while jobs.idle_seconds() < CALM_SECONDS and time.monotonic() - begun < MAX_CALM_SECONDS:
        time.sleep(1.0)


def collect_garbage() -> None:
    """Soon after a run of a page, whose end does not wait for it: not before the server is warm, when a collection
    walks through all that is being loaded, and no other thread runs meanwhile."""
    if _warm_done.is_set():
        _garbage.set()


def _collect() -> None:
    while True:
        _collect_once()


def _collect_once() -> None:
    """Wait for runs of pages and collect what they leave, at once for all that end in a moment."""
    _garbage.wait()
    time.sleep(COLLECT_AFTER_SECONDS)
    _garbage.clear()
    gc.collect()


def start(
    space: Workspace,
    samples: int,
    seed: int,
    guidance_scale: float | None,
    measured: "Measurements | None" = None,
) -> None:
    """Generate traffic for the area of the workspace in the background, given measured tiles where there are any.

    Raises PlanningError beyond the limits.
    """
    area, tiles, source = space.area, space.tiles, space.source
    assert area is not None and tiles is not None
    check_ensemble(len(tiles), samples)
    basis = space.basis("area")

    def work(job: jobs.Job) -> "TrafficEnsemble":
        from opendiff.opening import open_source

        job.report(0, 0, "loading the model")
        model = generator()
        opened = open_source(source)
        conditions = model.conditions(opened, tiles)
        described = {"area": area.to_geojson(), "area_name": area.name}
        if measured is not None:
            job.report(0, 0, "conditioning on the measurements")
            plain, model = model, conditioned(model, opened, measured, tiles, conditions)
            described["measured_worth"] = worth(plain, model, conditions, seed)
        job.report(
            0, 0, f"{formats.counted(len(conditions.tiles), 'tiles')}, {formats.counted(samples, 'samples')}"
        )
        ensemble = model.generate(
            conditions,
            samples=samples,
            seed=seed,
            guidance_scale=guidance_scale,
            progress=lambda done, total, _: job.report(done, total, job.what),
            cancelled=job.cancelled,
        )
        return replace(ensemble, metadata=ensemble.metadata | described)

    def deliver(space: Workspace, ensemble: "TrafficEnsemble") -> None:
        space.traffic = Made(ensemble, basis)

    session_jobs.start(space, JOB, "Generating traffic", work, deliver)
