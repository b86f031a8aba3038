"""Pictures of the app for the documentation, from the real app with the bundled model and region."""

from __future__ import annotations

import argparse
import io
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.app import MAP, Watched, browser, open_page, until_quiet
from benchmarks.session import app
from planning.errors import InputError

if TYPE_CHECKING:
    from app.state.workspace import Workspace

SUMMARY = "pictures of the app's pages for the README"
WIDTH = 1400
MAX_BYTES = 250_000
# page: pixels scrolled down, and height of the picture
PAGES = {"traffic": (0, 960), "sleep": (0, 1290), "network": (0, 1330), "compare": (285, 1180)}
EVERY_PAGE = ("area", "traffic", "network", "coverage", "sleep", "spectrum", "compare", "export")
WIDTHS, HEIGHT = (1440, 1024, 390), 900  # of pictures to be looked at, which are as high as the page
MAX_HEIGHT = 6000
SETTLED_MS = 2500  # of maps and charts, after the page itself


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path("build/docs"), help="folder of the pictures (build/docs)"
    )
    parser.add_argument("--samples", type=int, default=20, help="samples of the traffic (default 20)")
    parser.add_argument(
        "--every",
        action="store_true",
        help="every page at 1440, 1024 and 390 pixels instead of the README's pictures",
    )
    parser.add_argument("--dark", action="store_true", help="in the dark theme")


def run(options: argparse.Namespace) -> tuple[str, dict[str, float]]:
    """The report and the bytes of each picture."""
    if shutil.which("chromium") is None:
        raise InputError("There is no chromium on this machine; install it to picture the app.")
    options.out.mkdir(parents=True, exist_ok=True)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="opendiff-bench-") as folder, browser() as chromium:
        place = Path(folder)
        work = _work(place / "library", 2 if options.quick else options.samples, 2 if options.quick else 20)
        with app(place, environment={"OPENDIFF_LIBRARY": str(place / "library")}) as (url, _):
            page = open_page(chromium, Watched(), f"{url}?work={work}")
            page.emulate_media(color_scheme="dark" if options.dark else "light")
            page.get_by_text("With data").wait_for()
            if options.every:
                _every_page(page, options, figures)
            for name, (down, height) in () if options.every else PAGES.items():
                page.set_viewport_size({"width": WIDTH, "height": height})
                _go_to(page, name)
                page.locator(".js-plotly-plot:visible").first.wait_for()
                page.wait_for_timeout(SETTLED_MS)
                page.locator("[data-testid='stMain']").evaluate("(main, y) => main.scrollTo(0, y)", down)
                page.wait_for_timeout(300)
                picture = _small(page.screenshot())
                (options.out / f"{name}.png").write_bytes(picture)
                figures[f"{name}_bytes"] = len(picture)
    lines = [
        f"- {options.out / name.removesuffix('_bytes')}.png: {size / 1000:,.0f} kB"
        for name, size in figures.items()
    ]
    return "\n".join(lines), figures


def _go_to(page: Any, name: str) -> None:
    page.get_by_role("link", name=name.capitalize(), exact=True).click()
    page.get_by_role("heading", name=name.capitalize(), exact=True).wait_for()
    until_quiet(page)


def _every_page(page: Any, options: argparse.Namespace, figures: dict[str, float]) -> None:
    """Pictures of all pages at all WIDTHS, to be looked at."""
    theme = "-dark" if options.dark else ""
    for name in EVERY_PAGE:
        page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})  # where the menu has its links
        _go_to(page, name)
        compute = page.get_by_role("button", name="Compute coverage")
        if name == "coverage" and compute.count():  # levels are not kept with the work
            compute.click()
            page.locator(MAP).first.wait_for()
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            page.wait_for_timeout(SETTLED_MS)
            whole = page.locator("[data-testid='stMain']").evaluate("main => main.scrollHeight")
            page.set_viewport_size({"width": width, "height": min(max(whole, HEIGHT), MAX_HEIGHT)})
            page.wait_for_timeout(SETTLED_MS)
            picture = page.screenshot(path=options.out / f"{name}-{width}{theme}.png")
            figures[f"{name}-{width}{theme}_bytes"] = len(picture)


def _small(png: bytes) -> bytes:
    """The picture below MAX_BYTES: as it is, or in as many of 256 colours as that takes."""
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (0, 256, 128, 64, 32):
        out = io.BytesIO()
        fewer = image.quantize(colours, dither=Image.Dither.NONE) if colours else image
        fewer.save(out, "PNG", optimize=True)
        if out.tell() < MAX_BYTES:
            break
    return out.getvalue()


def _work(library_folder: Path, samples: int, seconds: int) -> str:
    """Open work with generated traffic of the example area and plans of all kinds; returns its identity."""
    os.environ["OPENDIFF_LIBRARY"] = str(library_folder)
    from app.background import generation
    from app.map import area_entry
    from app.saved import open_work
    from app.state.workspace import Workspace

    space = Workspace(work=open_work.new_work())
    area_entry.example(space)
    generation.start(space, samples, 0, None)
    until_done(space)
    plan_all(space, 40, seconds)
    writing = open_work.keep(space)
    assert writing is not None
    writing.result()
    return space.work


def plan_all(space: Workspace, sites: int, seconds: int) -> None:
    """Deployments, sleep and spectrum plans of the traffic of a workspace; seconds: of each call of a solver."""
    from app.background import deployment, sleep, spectrum
    from planning.deployment.siting import SitingSettings
    from planning.sleep import SleepSettings, compared

    strategies = ["optimised", "traffic", "poi", "population", "uniform"]
    deployment.start(space, sites, strategies, {"siting": SitingSettings(time_limit=seconds)})
    until_done(space)
    settings = SleepSettings(time_limit=seconds, allow_unserved=True)
    sleep.start(space, sleep.SleepRequest(compared(), settings))
    until_done(space)
    spectrum.start(space, space.hour, 40, {}, {"time_limit": float(seconds)})
    until_done(space)


def until_done(space: Workspace) -> None:
    """Wait for the jobs of a workspace and hand over their results. Raises what went wrong in them."""
    from app.background import job_panel

    jobs = list(space.jobs.values())
    while not all(job.finished for job in jobs):
        time.sleep(0.05)
    for job in jobs:
        if job.error is not None:
            raise job.error
    job_panel.deliver_finished(space)
